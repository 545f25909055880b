"""Why an execution is not further: the reasons of each kind, and the command that moves it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from taskengine.cli.main import cli
from taskengine.kernel.advance import fold
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.skips import skipped_because
from taskengine.model import event as ev
from taskengine.model.value import Raw, TaskError
from taskengine.model.workflow import Join, Step, Workflow
from tests.cli.programs import Folder

Run = Callable[..., Result]

SEVERAL = """
name: several
steps:
  - {id: broken, type: function, config: {function: "absent_module:f"}, depends_on: [approval]}
  - {id: approval, type: wait, config: {signal: approved, deadline: 1h}}
  - {id: later, type: wait, config: {duration: 1h}}
  - {id: bad, type: function, config: {function: "steps:fail"}, retry: {max_attempts: 2, initial_interval: 1h}}
  - {id: after, type: noop, depends_on: [later]}
"""


@pytest.fixture
def te(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(folder.path)
    for name in ("TASK_ENGINE_DB", "TASK_ENGINE_BY", "TASK_ENGINE_ASCII"):
        monkeypatch.delenv(name, raising=False)
    return lambda *words: CliRunner().invoke(cli, words)


def explained(te: Run, *words: str) -> dict[str, Any]:
    return json.loads(te("instance", "explain", "@latest", "-o", "json", *words).stdout)


def test_each_open_task_has_a_reason_of_its_kind(folder: Folder, te: Run) -> None:
    (folder.path / "several.yaml").write_text(SEVERAL, encoding="utf-8")
    # The function that is missing keeps the workflow from being started: it is there at first, and removed afterwards.
    (folder.path / "absent_module.py").write_text("def f():\n    return 1\n", encoding="utf-8")
    assert folder.run("run", "several.yaml", "--timeout", "0.2s").code == 124
    (folder.path / "absent_module.py").unlink()
    found = explained(te)
    kinds = {one["step_id"]: one["kind"] for one in found["reasons"]}
    assert kinds == {
        "broken": "function_not_found",
        "approval": "signal",
        "later": "timer",
        "bad": "retry",
        "after": "dependencies",
    }
    by_step = {one["step_id"]: one for one in found["reasons"]}
    assert "absent_module" in by_step["broken"]["text"]
    assert by_step["after"]["waits_for"] == ["later"]
    assert by_step["later"]["until"].endswith("Z")
    assert "bad row 17" in by_step["bad"]["text"]
    assert "no living process uses this database" in found["attended"]
    assert found["next"] == [
        f"task-engine instance signal {found['id']} approved",
        f"task-engine run --resume {found['id']}",
    ]


@pytest.mark.processes
def test_what_a_killed_run_left_is_not_said_to_be_without_living_processes_while_another_run_lives(folder: Folder) -> None:
    keeper, victim = folder.start("run", "gated.yaml"), folder.start("run", "endless.yaml")
    keeper.until("step=middle status=running")
    victim.until("step=forever status=running")
    victim.kill()
    execution = folder.run("instance", "history", "endless", "-o", "name").stdout.strip()
    told = folder.run("instance", "explain", execution, "-o", "json").data["attended"]
    assert told.endswith(" and no living process has taken it over: a run goes on with its own execution only")
    folder.open_gate()
    assert keeper.end().code == 0
    told = folder.run("instance", "explain", execution, "-o", "json").data["attended"]
    assert told.endswith(" and no living process uses this database")


def test_a_pause_is_told_with_who_and_why(te: Run, folder: Folder) -> None:
    assert folder.run("run", "waiting.yaml", "--timeout", "0.1s").code == 124
    assert te("instance", "pause", "@latest", "--by", "ada", "--reason", "disk is full").exit_code == 0
    found = explained(te)
    assert found["why"].startswith("the execution is paused by ada since ")
    assert found["why"].endswith(": disk is full")
    assert {one["kind"] for one in found["reasons"]} == {"paused"}
    assert found["next"][0] == f"task-engine instance resume {found['id']}"


EACH = """
name: many
steps:
  - id: each
    type: map
    config: {items: [1, 2]}
    steps: [{id: one, type: wait, config: {signal: go, deadline: 1h}}]
  - {id: after, type: noop, depends_on: [each]}
"""


@pytest.fixture
def many(te: Run, folder: Folder) -> str:
    (folder.path / "many.yaml").write_text(EACH, encoding="utf-8")
    assert folder.run("run", "many.yaml", "--timeout", "0.1s").code == 124
    return te("instance", "list", "-o", "name").stdout.strip()


def test_a_pause_of_a_task_is_told_with_who_and_why_and_how_it_is_ended(te: Run, many: str) -> None:
    assert te("instance", "pause", many, "--task", "each", "--by", "ada", "--reason", "disk is full").exit_code == 0
    told = r"/each/ is paused by ada since \S+Z: disk is full"
    assert re.search(told, explained(te)["why"])
    assert re.search(f"^{told}$", te("instance", "status", many).stdout, re.MULTILINE)
    assert re.search(f"why +{told}$", te("instance", "status", many, "--task", "each/[0]/one").stdout, re.MULTILINE)
    for words in ((), ("--task", "each/[1]/one")):
        refused = te("instance", "resume", many, *words)
        assert refused.exit_code == 5
        assert f"what is paused is /each/: task-engine instance resume {many} --task each\n" in refused.stderr
    assert te("instance", "resume", many, "--task", "each").exit_code == 0
    assert "ada" not in te("instance", "status", many).stdout + explained(te)["why"]


def test_a_cancel_is_told_with_who_and_why(te: Run, many: str) -> None:
    assert te("instance", "cancel", many, "--by", "bob", "--reason", "wrong input").exit_code == 0
    told = r"it was cancelled by bob at \S+Z: wrong input$"
    assert re.search(f"^the execution is cancelled; {told}", explained(te)["why"])
    assert re.search(f"^{told}", te("instance", "status", many).stdout, re.MULTILINE)
    assert "why       never began: the execution is cancelled\n" in te("instance", "status", many, "--task", "after").stdout


def test_a_task_that_had_ended_when_its_execution_did_says_how_it_ended(te: Run) -> None:
    assert te("run", "failing.yaml").exit_code == 10
    assert "why       has ended, failed: ValueError bad row 17\n" in te("instance", "status", "@latest", "--task", "load").stdout


def test_an_ended_execution_says_how_and_what_to_do(te: Run) -> None:
    assert te("run", "failing.yaml").exit_code == 10
    found = explained(te)
    assert (found["reasons"], found["attended"]) == ([], "")
    assert found["why"] == "the execution is failed: ValueError: /load/ bad row 17"
    assert found["next"] == [f"task-engine instance retry {found['id']} && task-engine run --resume {found['id']}"]


def test_the_database_that_was_named_is_part_of_every_command(te: Run, folder: Folder) -> None:
    assert folder.run("run", "waiting.yaml", "--timeout", "0.1s", "--db", "my work.db").code == 124
    found = explained(te, "--db", "my work.db")
    assert all(command.endswith(" --db 'my work.db'") for command in found["next"])


@pytest.mark.parametrize(
    ("data", "meant"),
    [
        ("{by: Grace}", '\'{"by": "Grace"}\''),
        ("Grace", "'\"Grace\"'"),
        ("['a', 2]", "'[\"a\", 2]'"),
        ("{a: [&x 1, *x]}", "'\"text\"'"),
        ("{by: Grace", "'\"text\"'"),
        ("2027-01-31", "'\"2027-01-31\"'"),
    ],
)
def test_data_that_is_no_json_is_told_as_json(te: Run, data: str, meant: str) -> None:
    refused = te("instance", "signal", "@latest", "approved", "--data", data)
    assert refused.exit_code == 8
    assert refused.stderr.endswith(f"stand in double quotes: --data {meant}\n")


def test_a_signal_that_nobody_waits_for_is_kept_and_said_to_be(te: Run, folder: Folder) -> None:
    assert folder.run("run", "waiting.yaml", "--timeout", "0.1s").code == 124
    kept = te("instance", "signal", "@latest", "approve")
    assert kept.exit_code == 0
    assert "no open step of this workflow waits for approve: it is kept all the same (they wait for: approved)" in kept.stderr
    taken = te("instance", "signal", "@latest", "approved")
    assert "kept" not in taken.stderr


def test_a_retry_says_what_it_has_come_to(te: Run, folder: Folder) -> None:
    assert te("run", "failing.yaml").exit_code == 10
    nobody = te("instance", "retry", "@latest")
    assert nobody.stdout.endswith(" has a new round\n")
    assert "now: 2 pending" in nobody.stderr
    assert "No process runs it; to go on with it: task-engine run --resume ex_" in nobody.stderr
    assert te("run", "--resume").exit_code == 10
    assert folder.marks == ["load 1", "load 2"]


def test_a_task_is_named_by_its_id_or_by_execution_and_path(te: Run) -> None:
    assert te("run", "failing.yaml").exit_code == 10
    (load, _) = te("instance", "tasks", "@latest", "-o", "name").stdout.split()
    assert te("task", "retry", load, "-o", "name").exit_code == 0
    assert te("task", "retry", "@latest/load").exit_code == 5  # it waits already: there is nothing to try again
    for wrong in ("load", "@latest/", "/load", "task_", "task_x_0"):
        assert te("task", "retry", wrong).exit_code == 2
    beyond = te("task", "cancel", load[:-1] + "7", "-o", "json")
    assert (beyond.exit_code, json.loads(beyond.stderr)["error"]["name"]) == (3, "unknown_path")


def skipped(join: Join, *, ended: dict[str, str], when: str | None = None) -> str:
    """What is said of a step ``last`` that was skipped after these ends of its dependencies."""
    steps = tuple(Step(id=name, type="function", config={"function": "f"}) for name in ended)
    last = Step(id="last", type="noop", depends_on=tuple(ended), join=join, when=when)
    plan = compile_plan(Workflow(name="told", steps=(*steps, last)))
    error = TaskError(type="ValueError", message="no")
    events: list[ev.Event] = [ev.ExecutionStarted(at=0, workflow_id="wf", workflow_version="1", seed=1, input=Raw(b"{}"))]
    for number, how in enumerate(ended.values(), 1):
        if how == "skipped":
            events.append(ev.TaskSkipped(at=0, task=number, reason=ev.SkipReason.WHEN))
            continue
        events.append(ev.TaskScheduled(at=0, task=number, attempt=1))
        end = ev.TaskCompleted(at=0, task=number, attempt=1) if how == "completed" else None
        events.append(end or ev.TaskFailed(at=0, task=number, attempt=1, error=error))
    number = len(ended) + 1
    events.append(ev.TaskSkipped(at=0, task=number, reason=ev.SkipReason.WHEN if when else ev.SkipReason.JOIN))
    return skipped_because(fold("ex_1", plan, events), number)


@pytest.mark.parametrize(
    ("join", "ended", "told"),
    [
        (Join.ALL_SUCCESS, {"a": "completed", "b": "failed", "c": "skipped"}, "b failed, c was skipped"),
        (Join.NONE_FAILED, {"a": "skipped", "b": "failed"}, "b failed"),
        (Join.ANY_SUCCESS, {"a": "failed", "b": "skipped"}, "none of a, b completed"),
        (Join.ANY_FAILED, {"a": "completed", "b": "skipped"}, "none of a, b failed"),
    ],
)
def test_a_skipped_step_names_what_skipped_it(join: Join, ended: dict[str, str], told: str) -> None:
    assert skipped(join, ended=ended) == told


def test_a_step_whose_condition_is_false_says_which_one() -> None:
    assert skipped(Join.ALL_SUCCESS, ended={"a": "completed"}, when="1 > 2") == "its condition is false: 1 > 2"


def test_the_line_of_a_skipped_task_says_why(te: Run, tmp_path: Path) -> None:
    assert te("run", "failing.yaml").exit_code == 10
    (line,) = [line for line in te("instance", "status", "@latest").stdout.splitlines() if "report" in line]
    assert line.split() == ["»", "report", "skipped", "load", "failed"]
