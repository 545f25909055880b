"""Workflows that a database keeps: uploaded, listed, shown, run, exported; and their executions, listed and watched."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from taskengine.cli.main import cli
from tests.cli.programs import Folder

Run = Callable[..., Result]


@pytest.fixture
def te(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(folder.path)
    for name in ("TASK_ENGINE_DB", "TASK_ENGINE_BY", "TASK_ENGINE_ASCII"):
        monkeypatch.delenv(name, raising=False)
    return lambda *words: CliRunner().invoke(cli, words)


def data(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def change(folder: Folder, name: str, old: str, *, new: str) -> None:
    path = folder.path / name
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def test_what_is_uploaded_is_listed_and_runs(te: Run, folder: Folder) -> None:
    sent = te("workflow", "upload", "hello.yaml", "failing.yaml")
    assert sent.exit_code == 0
    first, second = sent.stdout.splitlines()
    assert first.startswith("✔ uploaded  hello 1  wf_")
    assert second.startswith("✔ uploaded  failing 1  wf_")
    assert "next: task-engine workflow execute hello" in sent.stderr
    listed = te("workflow", "list").stdout.splitlines()
    assert [line.split()[1:4] for line in listed[1:]] == [["failing", "1", "2"], ["hello", "1", "2"]]
    ended = te("workflow", "execute", "hello", "--input", "who=Ada", "--priority", "9", "-o", "json")
    assert (data(ended)["output"], data(ended)["priority"]) == ({"greeting": "Hello Ada", "step": "greet"}, 9)
    assert folder.marks == ["greet 1"]


def test_an_upload_keeps_all_documents_or_none(te: Run, folder: Folder) -> None:
    (folder.path / "bad.yaml").write_text("name: bad\nsteps: []\n", encoding="utf-8")
    refused = te("workflow", "upload", "hello.yaml", "bad.yaml")
    assert refused.exit_code == 8
    assert "nothing was uploaded" in refused.stderr
    assert not (folder.path / ".task-engine").exists()


def test_versions_are_numbered_by_what_changed(te: Run, folder: Folder) -> None:
    assert data(te("workflow", "upload", "gated.yaml", "-o", "json"))["items"][0]["is_new"]
    assert "unchanged  gated 1" in te("workflow", "upload", "gated.yaml").stdout
    change(folder, "gated.yaml", "name: gated", new="name: gated\ndescription: with a gate")
    assert "uploaded  gated 2" in te("workflow", "upload", "gated.yaml").stdout
    versions = data(te("workflow", "versions", "gated", "-o", "json"))["items"]
    assert [(one["version"], one["is_latest"]) for one in versions] == [("2", True), ("1", False)]
    assert data(te("workflow", "show", "gated", "-o", "json"))["description"] == "with a gate"
    assert data(te("workflow", "show", "gated", "--version", "1", "-o", "json"))["description"] == ""
    missing = te("workflow", "show", "gated", "--version", "7", "-o", "json")
    assert (missing.exit_code, json.loads(missing.stderr)["error"]["name"]) == (3, "version_not_found")


def test_a_version_that_was_given_never_changes_but_a_draft_is_a_new_one(te: Run, folder: Folder) -> None:
    assert te("workflow", "upload", "hello.yaml").exit_code == 0
    change(folder, "hello.yaml", "Say hello", new="Say it")
    refused = te("workflow", "upload", "hello.yaml", "-o", "json")
    assert (refused.exit_code, json.loads(refused.stderr)["error"]["name"]) == (5, "version_exists")
    assert te("run", "hello.yaml", "--input", "who=Ada", "--draft").exit_code == 0
    assert te("workflow", "versions", "hello", "-o", "name").stdout.split() == ["2", "1"]


def test_an_exported_document_is_the_same_workflow(te: Run, folder: Folder) -> None:
    assert te("workflow", "upload", "hello.yaml").exit_code == 0
    document = te("workflow", "export", "hello").stdout
    (folder.path / "again.yaml").write_text(document, encoding="utf-8")
    assert list(yaml.safe_load(document)) == ["name", "version", "input", "steps", "output"]
    assert "unchanged  hello 1" in te("workflow", "upload", "again.yaml").stdout
    assert data(te("workflow", "export", "hello", "-o", "json")) == yaml.safe_load(document)


def test_a_workflow_is_found_by_name_id_and_part_of_the_id_and_else_the_nearest_is_named(te: Run) -> None:
    assert te("workflow", "upload", "hello.yaml", "failing.yaml", "waiting.yaml").exit_code == 0
    workflow_id = data(te("workflow", "show", "hello", "-o", "json"))["id"]
    for word in (workflow_id, workflow_id[-6:], "hello"):
        assert te("workflow", "show", word, "-o", "name").stdout == f"{workflow_id}\n"
    assert 'did you mean "hello"?' in te("workflow", "show", "helo").stderr
    ambiguous = te("workflow", "show", workflow_id[:7], "-o", "json")
    assert (ambiguous.exit_code, json.loads(ambiguous.stderr)["error"]["name"]) == (3, "ambiguous_id")


def test_the_beginning_of_a_name_runs_nothing_and_names_what_was_meant(te: Run, folder: Folder) -> None:
    assert te("workflow", "upload", "failing.yaml").exit_code == 0
    one = te("workflow", "execute", "fail", "-o", "json")
    assert (one.exit_code, json.loads(one.stderr)["error"]["name"]) == (3, "workflow_not_found")
    assert 'did you mean "failing"?' in te("workflow", "execute", "f").stderr
    assert te("workflow", "upload", "partial.yaml", "hello.yaml").exit_code == 0
    change(folder, "hello.yaml", "name: hello", new="name: failing-too")
    assert te("workflow", "upload", "hello.yaml").exit_code == 0
    assert "did you mean one of these: failing, failing-too?" in te("workflow", "execute", "fail").stderr
    assert folder.marks == []


def test_what_is_shown_of_a_workflow_tells_its_steps_and_its_past(te: Run) -> None:
    assert te("run", "failing.yaml").exit_code == 10
    shown = te("workflow", "show", "failing").stdout
    assert "runs      1, 0% completed, the last failed at " in shown
    assert shown.splitlines()[-1].split() == ["report", "noop", "load"]


def test_a_kept_workflow_needs_its_input(te: Run) -> None:
    assert te("workflow", "upload", "hello.yaml").exit_code == 0
    refused = te("workflow", "execute", "hello")
    assert refused.exit_code == 8
    assert "hint: add --input who=text" in refused.stderr


def test_the_history_of_a_workflow_tells_what_ended_each(te: Run) -> None:
    assert te("run", "failing.yaml").exit_code == 10
    assert te("run", "hello.yaml", "--input", "who=Ada").exit_code == 0
    (line,) = te("instance", "history", "failing").stdout.splitlines()[1:]
    assert line.endswith("ValueError: /load/ bad row 17")
    found = data(te("instance", "history", "failing", "--status", "Failed", "--limit", "5", "-o", "json"))
    assert [(one["workflow_name"], one["error_code"]) for one in found["items"]] == [("failing", "ValueError")]
    assert te("instance", "history", "failing", "--status", "completed", "-o", "name").stdout == ""
    assert te("instance", "history", "absent").exit_code == 3


def test_tasks_are_listed_and_filtered(te: Run) -> None:
    assert te("run", "failing.yaml").exit_code == 10
    lines = te("instance", "tasks", "@latest").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["PATH", "/load/", "/report/"]
    found = data(te("instance", "tasks", "@latest", "--status", "skipped", "-o", "json"))
    assert ([one["path"] for one in found["items"]], found["total"]) == (["/report/"], 2)


def test_a_resume_needs_no_file(te: Run, folder: Folder) -> None:
    assert te("run", "waiting.yaml", "--timeout", "0.1s").exit_code == 124
    assert te("instance", "signal", "@latest", "approved").exit_code == 0
    (folder.path / "waiting.yaml").unlink()
    ended = te("run", "--resume")
    assert ended.exit_code == 0, ended.output
    assert folder.marks == ["after 1"]
    again = te("run", "--resume", "-o", "json")
    assert (again.exit_code, json.loads(again.stderr)["error"]["name"]) == (3, "nothing_to_resume")
    over = te("run", "--resume", "@latest", "-o", "json")
    assert (over.exit_code, json.loads(over.stderr)["error"]["name"]) == (5, "execution_already_finished")
    assert te("run").exit_code == 2


def test_whoever_watches_an_ended_execution_gets_its_outcome(te: Run) -> None:
    assert te("run", "failing.yaml").exit_code == 10
    watched = te("instance", "watch", "@latest")
    assert watched.exit_code == 10
    assert "step=load status=failed" in watched.stderr
    assert te("instance", "status", "@latest", "--watch").exit_code == 10
    assert te("instance", "status", "@latest", "--watch", "--task", "load").exit_code == 2


def test_whoever_watches_what_nobody_runs_is_told_so(te: Run) -> None:
    assert te("run", "waiting.yaml", "--timeout", "0.1s").exit_code == 124
    watched = te("instance", "watch", "@latest", "--timeout", "0.1s")
    assert watched.exit_code == 124
    assert "No process runs it; to go on with it: task-engine run --resume ex_" in watched.stderr
    assert "only the watching ended" in watched.stderr


@pytest.mark.processes
def test_a_watch_sees_what_another_process_does_and_stopping_it_stops_nothing(folder: Folder) -> None:
    runner = folder.start("run", "gated.yaml")
    runner.until("step=middle status=running")
    leaver, watcher = folder.start("instance", "watch", "@latest"), folder.start("instance", "watch", "@latest", "-o", "json")
    leaver.until("step=middle status=running")
    watcher.until("step=middle status=running")
    leaver.interrupt()
    assert leaver.end().code == 130
    folder.open_gate()
    assert runner.end().code == 0
    seen = watcher.end()
    assert (seen.code, seen.data["status"]) == (0, "completed")
    assert "step=after status=completed" in seen.stderr


@pytest.mark.processes
def test_a_retry_that_no_living_process_takes_up_says_how_to_go_on(folder: Folder) -> None:
    keeper = folder.start("run", "gated.yaml")  # a living node; executions of others are not its own
    keeper.until("step=middle status=running")
    assert folder.run("run", "failing.yaml").code == 10
    said = folder.run("instance", "retry", "@failed")
    assert said.code == 0
    assert "has a new round" in said.stdout
    assert "now: 2 pending" in said.stderr
    assert "No process runs it; to go on with it: task-engine run --resume ex_" in said.stderr
    execution = said.stdout.split()[0]
    found = folder.run("instance", "explain", execution, "-o", "json").data
    assert {one["step_id"]: one["text"] for one in found["reasons"]}["load"] == "ready; no process has taken it up"
    assert found["next"] == [f"task-engine run --resume {execution}"]
    assert found["attended"].startswith("nobody has taken it up yet; its own run, or any program with an Engine, ")
    folder.open_gate()
    assert keeper.end().code == 0


def test_a_run_keeps_its_workflow_too(te: Run) -> None:
    assert te("run", "hello.yaml", "--input", "who=Ada", "--db", "other.db").exit_code == 0
    assert te("workflow", "list", "--limit", "0", "-o", "name", "--db", "other.db").stdout.startswith("wf_")


def test_a_workflow_that_the_database_lacks_is_warned_of_before_it_is_started(te: Run, folder: Folder) -> None:
    (folder.path / "mum.yaml").write_text(
        "name: mum\nsteps:\n  - {id: k, type: workflow, config: {workflow: kid}}\n", encoding="utf-8"
    )
    (folder.path / "kid.yaml").write_text("name: kid\nsteps: [{id: k, type: noop}]\n", encoding="utf-8")
    alone = te("workflow", "upload", "mum.yaml")
    assert alone.exit_code == 0
    assert 'warning[TE1634]: step "k" starts the workflow "kid", which is not in the database\n  --> mum.yaml:3:' in alone.stderr
    assert "hint: task-engine workflow upload FILE" in alone.stderr
    failed = te("run", "mum.yaml", "--plain")
    assert failed.exit_code == 10
    assert failed.stderr.startswith("warning[TE1634]")
    assert "TE1634" not in te("workflow", "upload", "mum.yaml", "kid.yaml").stderr
    done = te("run", "mum.yaml", "--plain")
    assert done.exit_code == 0
    assert "TE1634" not in done.stderr


def test_what_others_started_is_listed_only_when_it_is_asked_for(te: Run, folder: Folder) -> None:
    (folder.path / "kid.yaml").write_text("name: kid\nsteps: [{id: k, type: noop}]\n", encoding="utf-8")
    (folder.path / "mum.yaml").write_text(
        "name: mum\nsteps:\n  - {id: k, type: workflow, config: {workflow: kid}}\n", encoding="utf-8"
    )
    assert te("workflow", "upload", "kid.yaml").exit_code == 0
    assert te("run", "mum.yaml").exit_code == 0

    def listed(*words: str) -> tuple[list[str], int]:
        found = data(te("instance", "list", "-o", "json", *words))
        return sorted(one["workflow_name"] for one in found["items"]), found["total"]

    assert listed() == (["mum"], 1)
    assert listed("--all") == (["kid", "mum"], 2)
    assert listed("--workflow", "kid") == (["kid"], 1)
