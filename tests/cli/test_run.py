"""``run`` as a person meets it: real processes, their output, their exit codes."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest
import yaml

from tests.cli.programs import Folder

pytestmark = pytest.mark.processes
ID = re.compile(r"ex_[0-9A-HJKMNP-TV-Z]{26}")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("hello.yaml --input who=Ada", 0),
        ("failing.yaml", 10),
        ("partial.yaml", 12),
        ("hello.yaml", 8),
        ("hello.yaml --input who=Ada --input size=3", 8),
        ("hello.yaml --input who=Ada --input times=often", 8),
        ("steps.py", 8),
        ("absent.yaml", 3),
        ("hello.yaml --resume", 3),
        ("hello.yaml --input @absent.json", 3),
        ("hello.yaml --wrong", 2),
        ("hello.yaml --timeout soon", 2),
        ("hello.yaml --db absent/engine.db --input who=Ada", 6),
        ("hello.yaml --db hello.yaml --input who=Ada", 6),
        ("endless.yaml --timeout 50ms --grace 0s", 124),
    ],
)
def test_the_exit_code_says_how_it_ended(folder: Folder, words: str, code: int) -> None:
    ended = folder.run("run", *words.split())
    assert ended.code == code, ended.stderr
    assert "Traceback" not in ended.stderr


def test_stdout_holds_the_output_and_nothing_else(folder: Folder) -> None:
    ended = folder.run("run", "hello.yaml", "--input", "who=Ada")
    assert ended.data == {"greeting": "Hello Ada", "step": "greet"}
    assert "greet prints this" in ended.stderr


def test_a_failed_run_has_no_output_and_says_which_step_failed_and_what_to_do(folder: Folder) -> None:
    ended = folder.run("run", "failing.yaml")
    assert ended.stdout == ""
    assert "load: ValueError: bad row 17" in ended.stderr
    see, again = ended.stderr.splitlines()[-2:]
    assert see.startswith("see why: task-engine instance status ex_")
    assert see.endswith("--task load")
    assert re.fullmatch(r"try again: task-engine instance retry (ex_\w+) && task-engine run failing.yaml --resume \1", again)


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_the_execution_is_data_when_that_is_asked_for(folder: Folder, form: str, read: object) -> None:
    ended = folder.run("run", "failing.yaml", "-o", form)
    document = {"json": json.loads, "yaml": yaml.safe_load}[form](ended.stdout)
    assert (document["status"], document["workflow_name"], document["error_code"]) == ("failed", "failing", "ValueError")
    assert ended.code == 10


def test_the_name_is_the_id_alone(folder: Folder) -> None:
    assert ID.fullmatch(folder.run("run", "partial.yaml", "-o", "name").stdout.strip())


def test_a_pipe_gets_one_line_for_each_change(folder: Folder) -> None:
    lines = folder.run("run", "hello.yaml", "--input", "who=Ada").stderr.splitlines()
    changes = [
        re.sub(r"dur=\S+", "dur=…", line.partition(" ")[2]) for line in lines if re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z ", line)
    ]
    execution = ID.search(changes[0])
    assert execution is not None
    assert [ID.sub("ex_…", change) for change in changes] == [
        "execution=ex_… status=running version=1 by=ada workflow=hello",
        "step=greet status=running attempt=1",
        "step=greet status=completed dur=…",
        "step=rest status=completed",
        "execution=ex_… status=completed dur=…",
    ]
    assert not any("\x1b" in line for line in lines)


def test_no_watch_tells_the_end_alone(folder: Folder) -> None:
    ended = folder.run("run", "hello.yaml", "--input", "who=Ada", "--no-watch")
    assert "status=" not in ended.stderr
    assert "completed  hello ex_" in ended.stderr


def test_a_retry_and_an_error_are_told_on_one_line_each(folder: Folder) -> None:
    document = """
name: again
steps:
  - {id: call, type: function, retry: {max_attempts: 2, initial_interval: 10ms}, config: {function: "steps:fail_once"}}
"""
    (folder.path / "again.yaml").write_text(document, encoding="utf-8")
    ended = folder.run("run", "again.yaml")
    assert ended.code == 0
    assert re.search(r'step=call status=waiting attempt=1 retry_in=\S+ error="ConnectionError: no route"', ended.stderr)
    assert re.search(r"step=call status=completed attempt=2 dur=", ended.stderr)


def test_input_comes_from_a_file_and_from_stdin_and_the_last_one_wins(folder: Folder) -> None:
    (folder.path / "input.json").write_text('{"who": "Bob"}', encoding="utf-8")
    assert folder.run("run", "hello.yaml", "-i", "@input.json").data["greeting"] == "Hello Bob"
    assert folder.run("run", "hello.yaml", "-i", "@input.json", "-i", "who=Eve").data["greeting"] == "Hello Eve"
    assert folder.run("run", "hello.yaml", "-i", "@-", stdin='{"who": "Joe"}').data["greeting"] == "Hello Joe"


def test_findings_of_the_document_are_shown_with_their_place(folder: Folder) -> None:
    (folder.path / "typo.yaml").write_text(
        "name: typo\nsteps:\n  - {id: a, type: noop}\n  - {id: b, type: noop, depends_on: [aa]}\n"
    )
    ended = folder.run("run", "typo.yaml")
    assert ended.code == 8
    assert re.search(r"error\[TE1\d{3}\]", ended.stderr)
    assert "--> typo.yaml:4:" in ended.stderr
    as_json = json.loads(folder.run("run", "typo.yaml", "-o", "json").stderr)
    assert re.fullmatch(r"TE1\d{3}", as_json["error"]["code"])
    assert as_json["error"]["details"]["findings"][0]["line"] == 4


def test_a_function_that_is_not_there_is_an_error_before_anything_runs(folder: Folder) -> None:
    (folder.path / "lost.yaml").write_text('name: lost\nsteps:\n  - {id: a, type: function, config: {function: "steps:absent"}}\n')
    ended = folder.run("run", "lost.yaml")
    assert ended.code == 3
    assert 'error[TE3000]: step "a": "steps:absent"' in ended.stderr
    assert folder.run("instance", "list", "-o", "name").stdout == ""


def test_the_default_database_is_for_this_user_alone_and_ignored_by_git(folder: Folder) -> None:
    folder.run("run", "partial.yaml")
    home = folder.path / ".task-engine"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "engine.db").stat().st_mode) == 0o600
    assert (home / ".gitignore").read_text() == "*\n"


def test_commands_to_paste_name_the_database_only_where_that_is_needed(folder: Folder) -> None:
    assert "--db" not in folder.run("run", "partial.yaml").stderr
    assert folder.run("run", "partial.yaml", "--db", "my own.db").stderr.rstrip().endswith("--db 'my own.db'")
    assert "--db" not in folder.run("run", "partial.yaml", TASK_ENGINE_DB="other.db").stderr
    assert (folder.path / "other.db").exists()


def test_a_reader_who_leaves_does_not_change_the_outcome(folder: Folder) -> None:
    running = folder.start("run", "gated.yaml", "-o", "json")
    running.until("step=middle status=running")
    running.leave_stdout()
    folder.open_gate()
    ended = running.end()
    assert ended.code == 0
    assert "Broken" not in ended.stderr
    assert "completed  gated" in ended.stderr


def test_a_changed_document_under_the_same_version_is_refused_by_name(folder: Folder) -> None:
    folder.run("run", "hello.yaml", "--input", "who=Ada")
    path = folder.path / "hello.yaml"
    path.write_text(path.read_text().replace("Hello", "Goodbye"), encoding="utf-8")
    ended = folder.run("run", "hello.yaml", "--input", "who=Ada")
    assert ended.code == 5
    assert "version" in ended.stderr
    assert "hint:" in ended.stderr


def test_who_asks_is_recorded(folder: Folder) -> None:
    folder.run("run", "partial.yaml", "--by", "grace")
    assert folder.events()[0]["by"] == "grace"
    folder.run("run", "partial.yaml")
    assert folder.events()[0]["by"] == "ada"


def test_a_database_of_another_program_is_left_alone(folder: Folder) -> None:
    import sqlite3

    path = folder.path / "other.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE things (id INTEGER)")
    database.close()
    before = path.read_bytes()
    ended = folder.run("run", "partial.yaml", "--db", str(path))
    assert ended.code == 6
    assert "database of another program" in ended.stderr
    assert Path(path).read_bytes() == before


def test_the_line_of_the_end_names_the_outcome_of_a_timeout(folder: Folder) -> None:
    text = "name: late\nlimits: {timeout: 50ms}\nsteps: [{id: forever, type: function, config: {function: 'steps:forever'}}]\n"
    (folder.path / "late.yaml").write_text(text, encoding="utf-8")
    ended = folder.run("run", "late.yaml")
    assert ended.code == 10
    assert re.search(r" execution=ex_\w+ status=failed outcome=timed_out dur=", ended.stderr)
