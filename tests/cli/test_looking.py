"""``instance list|status|events`` and ``workflow check`` on a history of three executions: the same facts in every form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import Result

from tests.cli.programs import Folder

Ask = Callable[..., Result]
COMMON_KEYS = {"id", "status", "state", "outcome", "started_at", "finished_at", "duration", "duration_ms"}
EXECUTION_KEYS = COMMON_KEYS | {
    *(
        "workflow_id",
        "workflow_name",
        "workflow_version",
        "kind",
        "version",
        "progress",
        "priority",
        "business_key",
        "parent_execution_id",
        "created_at",
    ),
}
TASK_KEYS = COMMON_KEYS | {
    *(
        "trace_id",
        "parent_id",
        "path",
        "depth",
        "step_id",
        "name",
        "type",
        "attempt",
        "idempotency_key",
        "progress",
        "error_code",
        "error_msg",
    ),
}


def names(ask: Ask, *words: str) -> list[str]:
    return ask("instance", "list", "-o", "name", *words).stdout.split()


def workflow_of(ask: Ask, word: str) -> str:
    return json.loads(ask("instance", "status", word, "-o", "json").stdout)["workflow_name"]


# ── ids ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_execution_is_named_by_any_part_that_is_its_own(ask: Ask) -> None:
    waiting, failing, hello = names(ask)
    for word in (hello, hello.removeprefix("ex_"), hello[-4:], hello[-10:].lower(), hello[: -len(hello) // 5]):
        assert workflow_of(ask, word) == "hello", word
    assert workflow_of(ask, "@latest") == workflow_of(ask, waiting) == "waiting"
    assert workflow_of(ask, "@failed") == workflow_of(ask, failing) == "failing"


@pytest.mark.parametrize("word", ["ex_", "a", "abc", "%%%%", "____", "@newest", "ex_\n01", "'; --"])
def test_what_is_no_id_is_refused_by_name(word: str, ask: Ask) -> None:
    result = ask("instance", "status", word)
    assert result.exit_code == 3
    assert "is no execution's id" in result.stderr


def test_an_empty_database_has_no_latest(folder: Folder) -> None:
    assert folder.run("run", "lost.yaml").code == 3
    assert folder.run("run", "hello.yaml", "-i", "who=Ada", "--db", "new.db").code == 0
    assert folder.run("instance", "status", "@failed", "--db", "new.db").code == 3


# ── list ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_list_is_newest_first_with_mark_and_word(ask: Ask) -> None:
    head, *lines = ask("instance", "list").stdout.splitlines()
    assert head.split() == ["ID", "WORKFLOW", "VERSION", "STATUS", "PROGRESS", "STARTED", "DURATION"]
    assert [re.split(r"\s{2,}", line)[1:5] for line in lines] == [
        ["waiting", "1", "◌ waiting (no process)", "0/2"],
        ["failing", "1", "✖ failed", "0/2"],
        ["hello", "1", "✔ completed", "2/2"],
    ]
    assert all(re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line) for line in lines)


def test_what_no_process_runs_is_told_apart_with_the_command_that_goes_on(ask: Ask) -> None:
    waiting = names(ask)[0]
    told = f"no process: nothing runs it or would take it up; to go on with the newest: task-engine run --resume {waiting}\n"
    for words in (["list"], ["history", "waiting"]):
        result = ask("instance", *words)
        assert "◌ waiting (no process)" in result.stdout
        assert result.stderr == told
    assert ask("instance", "list", "-o", "json").stderr == ask("instance", "list", "--status", "failed").stderr == ""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--status", "completed"], ["hello"]),
        (["--status", "SUCCESS"], ["hello"]),
        (["--status", "succeeded,failed"], ["failing", "hello"]),
        (["--status", "failed", "--status", "waiting"], ["waiting", "failing"]),
        (["--status", "canceled"], []),
        (["--workflow", "failing"], ["failing"]),
        (["--workflow", "failing", "--status", "completed"], []),
        (["--limit", "0"], ["waiting", "failing", "hello"]),
        (["--limit", "2"], ["waiting", "failing"]),
    ],
    ids=" ".join,
)
def test_a_list_holds_what_was_asked_for(words: list[str], found: list[str], ask: Ask) -> None:
    result = ask("instance", "list", *words, "-o", "json")
    assert result.exit_code == 0
    assert [one["workflow_name"] for one in json.loads(result.stdout)["items"]] == found


def test_a_list_that_is_cut_says_so(ask: Ask) -> None:
    result = ask("instance", "list", "--limit", "1")
    assert result.stderr.splitlines()[-1] == "showing 1 of 3; --limit 0 for all"
    document = json.loads(ask("instance", "list", "--limit", "1", "-o", "json").stdout)
    assert (document["total"], document["has_more"], len(document["items"])) == (3, True, 1)


def test_an_unknown_workflow_is_an_error_and_an_unknown_status_a_usage_error(ask: Ask) -> None:
    assert ask("instance", "list", "--workflow", "absent").exit_code == 3
    result = ask("instance", "list", "--status", "done")
    assert result.exit_code == 2
    assert "'done' is no status" in result.stderr


def test_yaml_and_json_say_the_same(ask: Ask) -> None:
    for words in (["list"], ["status", "@failed"], ["events", "@failed"], ["status", "@failed", "--task", "load"]):
        as_json, as_yaml = (ask("instance", *words, "-o", form).stdout for form in ("json", "yaml"))
        assert json.loads(as_json) == yaml.safe_load(as_yaml)


def test_the_keys_of_an_execution_are_those_of_the_interface(ask: Ask) -> None:
    listed = json.loads(ask("instance", "list", "-o", "json").stdout)["items"][0]
    assert listed.keys() == EXECUTION_KEYS
    assert listed["progress"].keys() == {"total", "completed", "failed"}
    document = json.loads(ask("instance", "status", "@failed", "-o", "json").stdout)
    assert document.keys() == EXECUTION_KEYS | {"input", "output", "error_code", "error_message", "tasks"}
    assert document["progress"] == {
        "total": 2,
        "completed": 0,
        "failed": 1,
        "running": 0,
        "waiting": 0,
        "pending": 0,
        "cancelled": 0,
        "skipped": 1,
    }
    assert (document["error_code"], document["error_message"]) == ("ValueError", "/load/ bad row 17")


# ── status ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_status_is_a_header_the_progress_and_a_line_for_each_task(ask: Ask) -> None:
    lines = ask("instance", "status", names(ask)[2]).stdout.splitlines()
    assert re.fullmatch(r"hello 1  ex_\w{26}  ✔ completed", lines[0])
    assert re.fullmatch(r"started \S+Z, took \S+s", lines[1])
    assert lines[2] == "Progress: 2/2 (100%)  2 completed"
    assert lines[3].startswith("Output: ")
    assert lines[5].split() == ["TASK", "NAME", "STATUS", "ATTEMPT", "DURATION"]
    assert re.fullmatch(r"✔ greet\s+Say hello\s+completed\s+1\s+\S+s", lines[6])
    assert re.fullmatch(r"✔ rest\s+rest\s+completed\s+1", lines[7])


def test_what_a_completed_execution_skipped_is_done(folder: Folder) -> None:
    text = "name: short\nsteps:\n  - {id: a, type: noop}\n  - {id: b, type: noop, when: 'false'}\n"
    (folder.path / "short.yaml").write_text(text, encoding="utf-8")
    assert folder.run("run", "short.yaml").code == 0
    assert "Progress: 2/2 (100%)  1 completed, 1 skipped" in folder.run("instance", "status", "@latest").stdout
    assert "  2/2  " in folder.run("instance", "list").stdout
    assert folder.status()["progress"]["completed"] == 1


def test_a_failure_and_what_waits_are_explained_in_their_line(ask: Ask) -> None:
    failed = ask("instance", "status", "@failed").stdout
    assert "Error: ValueError: /load/ bad row 17" in failed
    assert re.search(r"✖ load +failed +1 +\S+ +ValueError: bad row 17", failed)
    assert re.search(r"» report +skipped", failed)
    waiting = ask("instance", "status", "@latest").stdout
    assert re.search(r"◌ approval +waiting +\S+ +\S+ +waits for signal approved", waiting)
    assert re.search(r"· after +pending +waits for approval", waiting)


def test_an_execution_that_no_process_runs_says_how_to_go_on(ask: Ask) -> None:
    execution = names(ask)[0]
    assert (
        f"No process runs it; to go on with it: task-engine run --resume {execution}" in ask("instance", "status", "@latest").stdout
    )
    assert "No process" not in ask("instance", "status", "@failed").stdout


def test_the_keys_of_a_task_are_those_of_the_interface(ask: Ask) -> None:
    tasks = json.loads(ask("instance", "status", "@failed", "-o", "json").stdout)["tasks"]
    assert [task.keys() for task in tasks] == [TASK_KEYS, TASK_KEYS]
    load, report = tasks
    execution = load["trace_id"]
    assert load["id"] == f"task_{execution.removeprefix('ex_')}_1"
    assert load["idempotency_key"] == f"{execution}/load/"
    assert (load["status"], load["error_code"], load["error_msg"], load["attempt"]) == ("failed", "ValueError", "bad row 17", 1)
    assert (report["status"], report["error_code"], report["started_at"]) == ("skipped", None, None)
    assert load["duration_ms"] >= 0


@pytest.mark.parametrize("path", ["greet", "/greet", "/greet/"])
def test_a_task_tells_its_story_and_why_it_is_where_it_is(path: str, ask: Ask) -> None:
    execution = names(ask)[2]
    document = json.loads(ask("instance", "status", execution, "--task", path, "-o", "json").stdout)
    assert document["inputs"] == {"who": "Ada"}
    assert document["output"] == {"step": "greet", "who": "Ada"}
    assert [line["text"] for line in document["story"]] == ["attempt 1 began", "completed"]
    text = ask("instance", "status", execution, "--task", path).stdout
    assert re.search(r'input +\{"who":"Ada"\}', text)
    assert re.search(r"why +has ended, completed", text)


def test_a_failed_task_tells_its_error(ask: Ask) -> None:
    text = ask("instance", "status", "@failed", "--task", "load").stdout
    assert re.search(r"status +✖ failed", text)
    assert re.search(r"error +ValueError: bad row 17", text)
    assert re.search(r"failed for good: ValueError bad row 17", text)


# ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_events_have_one_shape(ask: Ask) -> None:
    execution = names(ask)[1]
    events = json.loads(ask("instance", "events", execution, "-o", "json").stdout)
    assert [(event["seq"], event["type"]) for event in events] == [
        (1, "ExecutionStarted"),
        (2, "TaskScheduled"),
        (3, "TaskFailed"),
        (4, "TaskSkipped"),
        (5, "ExecutionFailed"),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["at"]) for event in events)
    assert {event["trace_id"] for event in events} == {execution}
    assert events[0]["by"] == "ada"
    assert "task_id" not in events[0]
    failed = events[2]
    assert {key: failed[key] for key in ("task_id", "step_id", "path", "attempt")} == {
        "task_id": f"task_{execution.removeprefix('ex_')}_1",
        "step_id": "load",
        "path": "/load/",
        "attempt": 1,
    }
    assert failed["data"] == {"error": {"type": "ValueError", "message": "bad row 17", "bases": ["Exception"]}}


def test_a_part_of_a_history_is_asked_for_by_number(ask: Ask) -> None:
    lines = ask("instance", "events", "@failed", "--after", "2", "--limit", "2", "-o", "jsonl").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [3, 4]
    assert ask("instance", "events", "@failed", "--after", "99").stdout == ""


def test_events_for_people_are_a_line_each(ask: Ask) -> None:
    head, *lines = ask("instance", "events", "@failed").stdout.splitlines()
    assert head.split() == ["SEQ", "AT", "TYPE", "PATH", "ATTEMPT", "BY", "DATA"]
    assert len(lines) == 5
    assert re.search(r'TaskFailed +/load/ +1 +error=\{"type":"ValueError"', lines[2])


# ── workflow check ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_document_that_can_be_run_is_valid(ask: Ask) -> None:
    result = ask("workflow", "check", "hello.yaml", "gated.yaml")
    assert result.exit_code == 0
    assert result.stdout == "✔ valid  hello.yaml: hello 1, 2 steps\n✔ valid  gated.yaml: gated, 3 steps\n"


def test_a_document_with_warnings_is_not_simply_valid(ask: Ask, tmp_path: Path) -> None:
    document = tmp_path / "w.yaml"
    document.write_text("name: w\nsteps: [{id: a, type: function, config: {function: 'absent:f'}}]\n", encoding="utf-8")
    result = ask("workflow", "check", str(document))
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, f"✔ valid, 1 warning  {document}: w, 1 step")


def test_the_worst_of_several_documents_decides(ask: Ask, past: Folder) -> None:
    (past.path / "bad.yaml").write_text("name: bad\nsteps:\n  - {id: a, type: noop, depends_on: [b]}\n", encoding="utf-8")
    assert ask("workflow", "check", "hello.yaml", "absent.yaml").exit_code == 3
    result = ask("workflow", "check", "hello.yaml", "absent.yaml", "bad.yaml")
    assert result.exit_code == 8
    assert "--> bad.yaml:3:" in result.stdout
    assert "there is no file absent.yaml" in result.stderr
    assert ask("workflow", "check", "hello.yaml", "bad.yaml", "-o", "name").stdout == "hello.yaml\n"


def test_findings_are_data_when_that_is_asked_for(ask: Ask, past: Folder) -> None:
    (past.path / "bad.yaml").write_text("name: bad\nsteps:\n  - {id: a, type: noop, depends_on: [b]}\n", encoding="utf-8")
    good, absent, bad = json.loads(ask("workflow", "check", "hello.yaml", "absent.yaml", "bad.yaml", "-o", "json").stdout)["files"]
    assert (good["is_valid"], good["name"], good["version"], good["task_count"], good["findings"]) == (True, "hello", "1", 2, [])
    assert (absent["is_valid"], absent["findings"][0]["name"]) == (False, "file_not_found")
    assert not bad["is_valid"]
    assert bad["findings"][0]["line"] == 3
    assert re.fullmatch(r"TE1\d{3}", bad["findings"][0]["code"])


def test_the_version_is_said_in_every_form(ask: Ask) -> None:
    from taskengine import __version__

    assert ask("version").stdout.startswith(f"task-engine {__version__} (Python 3.")
    assert ask("version", "-o", "name").stdout == f"{__version__}\n"
    assert json.loads(ask("version", "-o", "json").stdout)["version"] == __version__
