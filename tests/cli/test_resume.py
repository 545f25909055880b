"""Killed, interrupted, taken up again, controlled from elsewhere: real processes on one database."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.cli.programs import Folder

pytestmark = pytest.mark.processes
AT_THE_GATE = "step=middle status=running"


def test_a_killed_run_goes_on_where_it_was(folder: Folder) -> None:
    running = folder.start("run", "gated.yaml")
    running.until(AT_THE_GATE)
    running.kill()
    before = folder.events()

    resumed = folder.start("run", "gated.yaml", "--resume")
    resumed.until(AT_THE_GATE)
    folder.open_gate("after the crash")
    ended = resumed.end()

    assert ended.code == 0
    assert ended.data == {"middle": "after the crash"}
    assert folder.marks.count("before 1") == 1
    assert [mark for mark in folder.marks if not mark.startswith("middle 1")] == ["before 1", "middle 2", "after 1"]
    after = folder.events()
    assert after[: len(before)] == before
    lost = [event for event in after if event["type"] == "TaskAttemptLost"]
    assert [(event["step_id"], event["attempt"], event["data"]) for event in lost] == [("middle", 1, {})]


def test_the_lines_of_a_resumed_run_begin_where_it_was_taken_up(folder: Folder) -> None:
    running = folder.start("run", "gated.yaml")
    running.until(AT_THE_GATE)
    running.kill()
    resumed = folder.start("run", "gated.yaml", "--resume")
    resumed.until(AT_THE_GATE)
    folder.open_gate()
    assert "step=before" not in resumed.end().stderr


def test_ctrl_c_gives_attempts_back_and_says_how_to_go_on(folder: Folder) -> None:
    running = folder.start("run", "gated.yaml", "--grace", "0s")
    running.until(AT_THE_GATE)
    running.interrupt()
    ended = running.end()
    assert ended.code == 130
    lost = [event for event in folder.events() if event["type"] == "TaskAttemptLost"]
    assert [event["data"] for event in lost] == [{"is_counted": False}]

    command = re.search(r"go on: task-engine (run gated.yaml --resume ex_\w+)", ended.stderr)
    assert command is not None
    resumed = folder.start(*shlex.split(command[1]))
    resumed.until(AT_THE_GATE)
    folder.open_gate()
    assert resumed.end().code == 0


def test_what_runs_may_finish_within_the_grace_and_nothing_new_begins(folder: Folder) -> None:
    running = folder.start("run", "gated.yaml", "--grace", "1m")
    running.until(AT_THE_GATE)
    running.interrupt()
    running.until("stopping:")
    folder.open_gate()
    assert running.end().code == 130
    tasks = {task["step_id"]: task["status"] for task in folder.status()["tasks"]}
    assert tasks == {"before": "completed", "middle": "completed", "after": "pending"}


def test_an_execution_that_ends_within_the_grace_has_its_own_outcome(folder: Folder) -> None:
    document = 'name: single\nsteps:\n  - {id: middle, type: function, config: {function: "steps:gate"}}\n'
    (folder.path / "single.yaml").write_text(document, encoding="utf-8")
    running = folder.start("run", "single.yaml", "--grace", "1m")
    running.until(AT_THE_GATE)
    running.interrupt()
    running.until("stopping:")
    folder.open_gate()
    assert running.end().code == 0


def test_a_second_ctrl_c_stops_at_once(folder: Folder) -> None:
    running = folder.start("run", "endless.yaml", "--grace", "10m")
    running.until("step=forever status=running")
    running.interrupt()
    running.until("stopping:")
    running.interrupt()
    ended = running.end()
    assert ended.code == 130
    assert "go on: task-engine run endless.yaml --resume ex_" in ended.stderr
    assert "No process runs it" in folder.run("instance", "status", "@latest").stdout


STUBBORN = """
import asyncio
from pathlib import Path


async def swallow(ctx):
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass


async def block(ctx):
    await asyncio.to_thread(Path("middle").read_text)
"""


@pytest.mark.parametrize("function", ["swallow", "block"])
def test_a_function_that_cannot_be_stopped_does_not_keep_the_process(folder: Folder, function: str) -> None:
    (folder.path / "stubborn.py").write_text(STUBBORN, encoding="utf-8")
    document = f'name: stubborn\nsteps:\n  - {{id: a, type: function, config: {{function: "stubborn:{function}"}}}}\n'
    (folder.path / "stubborn.yaml").write_text(document, encoding="utf-8")
    running = folder.start("run", "stubborn.yaml", "--grace", "0s", "-o", "json")
    running.until("step=a status=running")
    running.interrupt()
    ended = running.end()
    assert (ended.code, ended.data["status"]) == (130, "running")
    assert "go on: task-engine run stubborn.yaml --resume ex_" in ended.stderr
    assert "work.left_behind" in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert folder.events()[-1]["type"] == "TaskAttemptLost"


def test_a_new_run_leaves_what_is_unfinished_alone_and_says_so(folder: Folder) -> None:
    running = folder.start("run", "endless.yaml")
    running.until("step=forever status=running")
    running.kill()
    first = folder.status()["id"]
    again = folder.run("run", "endless.yaml", "--timeout", "300ms", "--grace", "0s")
    assert "1 earlier execution of endless left unfinished" in again.stderr
    assert folder.marks == ["forever 1", "forever 1"]
    assert folder.events(first)[-1]["type"] == "TaskScheduled"


def test_resume_takes_one_execution_and_leaves_its_neighbours(folder: Folder) -> None:
    for _ in range(2):
        running = folder.start("run", "gated.yaml")
        running.until(AT_THE_GATE)
        running.kill()
    newest, oldest = folder.run("instance", "list", "-o", "name").stdout.split()
    resumed = folder.start("run", "gated.yaml", "--resume", oldest[-8:])
    resumed.until(AT_THE_GATE)
    folder.open_gate()
    assert resumed.end().code == 0
    assert folder.status(oldest)["status"] == "completed"
    assert [event["type"] for event in folder.events(newest)][-1] == "TaskScheduled"


def test_what_a_living_process_runs_is_not_taken_from_it(folder: Folder) -> None:
    running = folder.start("run", "gated.yaml")
    running.until(AT_THE_GATE)
    execution = folder.status()["id"]
    assert folder.run("run", "gated.yaml", "--resume").code == 3
    taken = folder.run("run", "gated.yaml", "--resume", execution)
    assert taken.code == 5
    assert "another process is running" in taken.stderr
    folder.open_gate()
    assert running.end().code == 0
    assert folder.run("run", "gated.yaml", "--resume", execution).code == 5


def test_an_execution_is_resumed_with_its_own_document_only(folder: Folder) -> None:
    folder.run("run", "endless.yaml", "--timeout", "50ms", "--grace", "0s")
    ended = folder.run("run", "gated.yaml", "--resume", folder.status()["id"])
    assert ended.code == 5
    assert 'one of "endless"' in ended.stderr


def test_a_document_that_has_changed_is_said_and_not_taken(folder: Folder) -> None:
    folder.run("run", "waiting.yaml", "--timeout", "50ms")
    document = folder.path / "waiting.yaml"
    again = folder.run("run", "waiting.yaml", "--resume", "--timeout", "50ms")
    assert "has changed" not in again.stderr
    document.write_text(document.read_text().replace("deadline: 1h", "deadline: 2h"), encoding="utf-8")
    unkept = folder.run("run", "waiting.yaml", "--resume", "--timeout", "50ms")
    assert "warning: waiting.yaml has changed (a version that is not kept yet): ex_" in unkept.stderr
    assert "goes on with version 1, which it began with" in unkept.stderr
    assert "task-engine run waiting.yaml" in unkept.stderr
    assert folder.run("workflow", "upload", "waiting.yaml").code == 0
    kept = folder.run("run", "waiting.yaml", "--resume", "--timeout", "50ms")
    assert "waiting.yaml has changed (version 2): ex_" in kept.stderr


def test_a_folder_that_was_moved_is_still_the_place_of_its_functions(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder.run("run", "waiting.yaml", "--timeout", "50ms")
    moved = tmp_path_factory.mktemp("elsewhere") / "project"
    folder.path.rename(moved)
    folder.path = moved
    assert folder.run("instance", "signal", "@latest", "approved").code == 0
    assert folder.run("run", "waiting.yaml", "--resume").code == 0
    assert folder.run("run", "partial.yaml").code == 12
    assert sorted(folder.marks) == ["after 1", "needed 1", "optional 1"]  # the two of the second run go side by side


def test_resume_takes_no_input(folder: Folder) -> None:
    assert folder.run("run", "hello.yaml", "--resume", "--input", "who=Ada").code == 2


def test_a_failed_execution_is_tried_again_as_its_hint_says(folder: Folder) -> None:
    ended = folder.run("run", "failing.yaml")
    commands = ended.stderr.splitlines()[-1].removeprefix("try again: ").split(" && ")
    source = folder.path / "steps.py"
    source.write_text(source.read_text().replace("raise ValueError(message)", "return message"), encoding="utf-8")
    codes = [folder.run(*shlex.split(command)[1:]).code for command in commands]
    assert codes == [0, 0]
    assert folder.status()["status"] == "completed"


# ── control from another process ─────────────────────────────────────────────────────────────────────────────────────


def test_a_running_execution_is_paused_and_resumed_from_another_process(folder: Folder) -> None:
    running = folder.start("run", "gated.yaml")
    running.until(AT_THE_GATE)
    assert "running  " in folder.run("instance", "list").stdout
    assert re.search(r"middle +running +attempt 1 is running", folder.run("instance", "explain", "@latest").stdout)
    paused = folder.run("instance", "pause", "@latest", "--by", "grace", "--reason", "lunch")
    assert paused.code == 0
    assert paused.stdout.endswith(" paused\n")
    running.until("control=paused path=/ by=grace reason=lunch")
    folder.open_gate()
    running.until("step=middle status=completed")
    assert folder.status()["status"] == "paused"
    assert folder.run("instance", "pause", "@latest").code == 5
    assert re.search(r", for \S+, \S+s of it paused\n", folder.run("instance", "status", "@latest").stdout)
    assert folder.run("instance", "resume", "@latest").code == 0
    assert running.end().code == 0
    assert folder.marks == ["before 1", "middle 1", "after 1"]
    assert re.search(r", took \S+, \S+s of it paused\n", folder.run("instance", "status", "@latest").stdout)


@pytest.mark.parametrize("verb", ["cancel", "terminate"])
def test_a_running_execution_is_ended_from_another_process(folder: Folder, verb: str) -> None:
    running = folder.start("run", "endless.yaml")
    running.until("step=forever status=running")
    assert folder.run("instance", verb, "@latest").code == 0
    ended = running.end()
    assert ended.code == 11
    assert "cancelled" in ended.stderr


def test_a_signal_from_another_process_reaches_a_waiting_run(folder: Folder) -> None:
    running = folder.start("run", "waiting.yaml")
    running.until("step=approval status=waiting signal=approved")
    sent = folder.run("instance", "signal", "@latest", "approved", "--data", '{"by": "Ada"}')
    assert sent.code == 0, sent.stderr
    assert running.end().code == 0
    assert folder.marks == ["after 1"]
    received = [event for event in folder.events() if event["type"] == "SignalReceived"]
    assert [event["data"] for event in received] == [{"name": "approved", "data": {"by": "Ada"}}]


def test_a_waiting_run_hears_that_it_was_ended_by_another_process(folder: Folder) -> None:
    running = folder.start("run", "waiting.yaml")
    running.until("step=approval status=waiting")
    assert folder.run("instance", "terminate", "@latest").code == 0
    assert running.end().code == 11


def test_the_same_signal_key_counts_once(folder: Folder) -> None:
    folder.run("run", "waiting.yaml", "--timeout", "50ms")
    for _ in range(2):
        assert folder.run("instance", "signal", "@latest", "noted", "--id", "letter-7").code == 0
    assert [event["type"] for event in folder.events()].count("SignalReceived") == 1


def test_an_execution_whose_process_died_still_takes_commands(folder: Folder) -> None:
    running = folder.start("run", "gated.yaml")
    running.until(AT_THE_GATE)
    running.kill()
    assert "running (no process)" in folder.run("instance", "list").stdout
    told = folder.run("instance", "explain", "@latest").stdout
    assert "tasks: 1 lost with the process, 1 waiting for others" in told
    assert re.search(r"middle +running +attempt 1 was lost with its process", told)
    assert "attempt 1 was lost with its process" in folder.run("instance", "status", "@latest", "--task", "middle").stdout
    assert folder.run("instance", "pause", "@latest").code == 0
    assert "paused  " in folder.run("instance", "list").stdout
    assert folder.status()["status"] == "paused"
    resumed = folder.run("instance", "resume", "@latest")
    assert resumed.code == 0
    assert "No process runs it; to go on with it: task-engine run --resume ex_" in resumed.stderr
    assert folder.run("instance", "cancel", "@latest", "-o", "json").data["status"] == "cancelled"


def test_one_task_alone_is_controlled_by_its_step_or_path(folder: Folder) -> None:
    running = folder.start("run", "gated.yaml")
    running.until(AT_THE_GATE)
    assert folder.run("instance", "pause", "@latest", "--task", "after").code == 0
    assert folder.run("instance", "pause", "@latest", "--task", "/after/").code == 5
    folder.open_gate()
    running.until("step=middle status=completed")
    tasks = {task["step_id"]: task["status"] for task in folder.status()["tasks"]}
    assert tasks["after"] == "paused"
    assert folder.run("instance", "resume", "@latest", "--task", "/after").code == 0
    assert running.end().code == 0
