"""Pause, resume, cancel, terminate: of an execution and of one task. After the acknowledgement nothing new starts there."""

from __future__ import annotations

import pytest

from taskengine.errors import CommandRefusedError, NotFoundError
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.effect import Halt
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import Join, RetryPolicy
from tests.kernel.scene import Scene, function, noop, wait


def refused(scene: Scene, command: cmd.Command) -> str:
    """The name of the refusal; nothing may have changed."""
    seq = scene.state.seq
    with pytest.raises((CommandRefusedError, NotFoundError)) as error:
        scene.do(command)
    assert scene.state.seq == seq
    return error.value.name


# ── pause and resume ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_paused_execution_starts_nothing() -> None:
    scene = Scene(function("a"), function("b", "a"), noop("c", "a"), wait("d", "a", config={"duration": 0})).start()
    scene.pause()
    assert scene.state.status is Status.PAUSED
    scene.succeed("a")
    assert scene.phases() == ["completed", "ready", "ready", "ready"]
    scene.resume()
    assert scene.phases() == ["completed", "ready", "completed", "completed"]
    assert scene.admit() == ["b"]


def test_what_runs_in_a_pause_finishes_and_is_recorded() -> None:
    scene = Scene(function("a"), function("b")).start()
    scene.pause()
    scene.succeed("a").fail("b")
    assert scene.phases() == ["completed", "failed"]
    assert scene.ended[0] is Status.FAILED


def test_conditions_are_not_evaluated_and_nothing_is_skipped_in_a_pause() -> None:
    scene = Scene(function("a"), function("b", "a"), function("c", "a", join=Join.ALL_DONE, when="false")).start()
    scene.pause()
    scene.fail("a")
    assert scene.phases() == ["failed", "pending", "ready"]
    scene.resume()
    assert scene.phases() == ["failed", "skipped", "skipped"]


def test_a_paused_task_starts_nothing_and_the_others_go_on() -> None:
    scene = Scene(function("a"), function("b", "a"), noop("c", "a"), function("d", "c")).start()
    scene.pause("/b/")
    scene.pause("/c/")
    scene.succeed("a")
    assert scene.phases() == ["completed", "ready", "ready", "pending"]
    assert [scene.status(name) for name in "bc"] == [Status.PAUSED] * 2
    scene.resume("/c/")
    assert scene.admit() == ["d"]
    scene.resume("/b/")
    assert scene.admit() == ["b"]


def test_a_pause_within_a_pause_ends_with_its_own_resume() -> None:
    scene = Scene(function("a")).start(admit=0)
    scene.pause()
    scene.pause("/a/")
    scene.resume()
    assert scene.admit() == []
    scene.resume("/a/")
    assert scene.admit() == ["a"]


def test_pausing_twice_and_resuming_what_is_not_paused_is_refused() -> None:
    scene = Scene(function("a"), function("b")).start()
    scene.pause("/a/")
    assert refused(scene, cmd.Pause(at=0, path="/a/")) == "already_paused"
    assert refused(scene, cmd.Resume(at=0)) == "not_paused"
    assert refused(scene, cmd.Resume(at=0, path="/b/")) == "not_paused"
    scene.pause()
    assert refused(scene, cmd.Pause(at=0)) == "already_paused"
    with pytest.raises(CommandRefusedError) as error:
        scene.resume("/b/")
    assert error.value.hint.startswith("the whole execution is paused: task-engine instance resume ")


def test_a_task_that_was_paused_and_retried_is_still_paused() -> None:
    scene = Scene(function("a"), function("b")).start()
    scene.pause("/a/")
    scene.fail("a")
    scene.retry("/a/")
    assert scene.admit() == []
    scene.resume("/a/")
    assert scene.admit() == ["a"]


# ── cancel ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cancelled_execution_ends_when_its_running_attempts_have() -> None:
    scene = Scene(function("a"), function("b"), function("c", "a")).start()
    scene.cancel(reason="enough")
    assert set(scene.effects) == {Halt(1, 1, is_final=False), Halt(2, 1, is_final=False)}
    scene.report("a", cmd.Abandoned())
    assert scene.ended == (None, None)
    scene.report("b", cmd.Abandoned())
    assert scene.types() == ["TaskCancelled", "ExecutionCancelled"]
    assert scene.ended == (Status.CANCELLED, None)
    assert [scene.status(name) for name in "abc"] == [Status.CANCELLED] * 3
    assert scene.state.open_count == 0


def test_cancel_starts_nothing_that_was_ready() -> None:
    scene = Scene(function("a"), function("b"), noop("c", "a")).start(admit=1)
    scene.cancel()
    assert scene.admit() == []
    scene.succeed("a")
    assert scene.phases() == ["completed", "ready", "ready"]
    assert scene.ended[0] is Status.CANCELLED


def test_an_execution_in_which_nothing_runs_is_cancelled_at_once() -> None:
    scene = Scene(wait("w", config={"duration": "1h"})).start()
    scene.cancel()
    assert scene.types() == ["SubtreeCancelled", "ExecutionCancelled"]
    assert scene.state.wake_at is None


def test_an_attempt_that_was_to_stop_and_succeeds_has_succeeded() -> None:
    scene = Scene(function("a"), function("b")).start()
    scene.cancel("/a/")
    scene.succeed("a").succeed("b")
    assert scene.phases() == ["completed", "completed"]
    assert scene.ended == (Status.COMPLETED, None)


@pytest.mark.parametrize("is_lost", [False, True])
def test_an_attempt_that_was_to_stop_and_fails_or_is_lost_is_cancelled_and_not_retried(*, is_lost: bool) -> None:
    scene = Scene(function("a", retry=RetryPolicy(max_attempts=5)), function("b")).start()
    scene.cancel("/a/")
    if is_lost:
        scene.lose("a")
    else:
        scene.fail("a")
    assert scene.phases() == ["cancelled", "running"]


def test_an_attempt_that_does_not_obey_a_cancel_ends_with_its_timeout() -> None:
    for path in ("/", "/a/"):
        scene = Scene(function("a", timeout_ms=5_000, retry=RetryPolicy(max_attempts=5)), function("b", "a")).start()
        scene.cancel(path)
        scene.at(5)
        assert scene.types()[:2] == ["TaskTimedOut", "TaskCancelled"]
        assert Halt(1, 1, is_final=True) in scene.effects
        assert scene.phases("a") == ["cancelled"]


def test_a_cancel_ends_a_pause_so_that_clocks_bound_what_does_not_obey() -> None:
    scene = Scene(function("a", timeout_ms=5_000)).start()
    scene.pause("/a/")
    scene.pause()
    scene.at(100)
    scene.cancel()
    assert not scene.state.is_paused
    scene.at(104)
    assert scene.ended == (None, None)
    scene.at(105)
    assert scene.ended[0] is Status.CANCELLED


def test_the_timeout_of_a_cancelled_execution_ends_it_as_cancelled() -> None:
    scene = Scene(function("a"), timeout_ms=10_000).start()
    scene.cancel(reason="enough")
    scene.at(10)
    assert scene.types() == ["ExecutionCancelled"]
    assert scene.effects[0] == Halt(1, 1, is_final=True)


def test_one_task_is_cancelled_at_once_when_it_does_not_run() -> None:
    steps = (function("a"), function("ready"), wait("waiting", config={"signal": "x"}), noop("pending", "a"))
    scene = Scene(*steps, max_concurrency=1).start()
    for name in ("ready", "waiting", "pending"):
        scene.cancel(f"/{name}/")
        assert scene.phases(name) == ["cancelled"]
    assert scene.succeed("a").ended == (Status.COMPLETED, Outcome.PARTIAL)


def test_nothing_else_can_be_asked_of_what_is_being_cancelled() -> None:
    scene = Scene(function("a"), function("b")).start()
    scene.cancel("/a/")
    assert refused(scene, cmd.Cancel(at=0, path="/a/")) == "already_cancelling"
    assert refused(scene, cmd.Pause(at=0, path="/a/")) == "already_cancelling"
    scene.report("a", cmd.Abandoned())
    scene.cancel()
    for command in (
        cmd.Cancel(at=0),
        cmd.Pause(at=0),
        cmd.Cancel(at=0, path="/b/"),
        cmd.Pause(at=0, path="/b/"),
        cmd.Retry(at=0, path="/a/"),
    ):
        assert refused(scene, command) == "already_cancelling"


# ── terminate ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_terminate_ends_an_execution_now_and_waits_for_nobody() -> None:
    scene = Scene(function("a"), function("b", "a")).start()
    scene.terminate()
    assert scene.types() == ["ExecutionTerminated"]
    assert scene.effects == [Halt(1, 1, is_final=True)]
    assert scene.ended == (Status.CANCELLED, Outcome.TERMINATED)
    assert refused(scene, cmd.Report(at=0, task=1, attempt=1, end=cmd.Abandoned())) == "stale_attempt"


def test_terminate_ends_one_task_now_even_one_that_is_being_cancelled() -> None:
    scene = Scene(function("a"), function("b", "a"), function("c")).start()
    scene.cancel()
    scene.terminate("/a/")
    assert scene.effects == [Halt(1, 1, is_final=True)]
    scene.report("c", cmd.Abandoned())
    assert scene.ended == (Status.CANCELLED, None)
    assert scene.state.live[1].outcome is Outcome.TERMINATED


# ── what is not allowed ──────────────────────────────────────────────────────────────────────────────────────────────


def test_before_the_start_everything_is_refused_and_after_it_a_second_start() -> None:
    scene = Scene(function("a"))
    for command in (cmd.Tick(at=0), cmd.Admit(at=0, slots=1), cmd.Pause(at=0), cmd.Lost(at=0, attempts=())):
        assert refused(scene, command) == "not_started"
    scene.start()
    assert (
        refused(scene, cmd.Start(at=0, workflow_id="", workflow_version="", seed=0, input=scene.state.input)) == "already_started"
    )


def test_a_finished_execution_and_a_finished_task_obey_nothing() -> None:
    scene = Scene(function("a"), function("b")).start().succeed("a")
    for command in (cmd.Pause(at=0, path="/a/"), cmd.Cancel(at=0, path="/a/"), cmd.Terminate(at=0, path="/a/")):
        assert refused(scene, command) == "task_already_finished"
    scene.succeed("b")
    for command in (cmd.Pause(at=0), cmd.Resume(at=0), cmd.Cancel(at=0), cmd.Terminate(at=0)):
        assert refused(scene, command) == "execution_already_finished"


def test_a_path_that_is_not_there_is_named() -> None:
    scene = Scene(function("a")).start()
    for kind in (cmd.Pause, cmd.Resume, cmd.Cancel, cmd.Terminate, cmd.Retry):
        assert refused(scene, kind(at=0, path="/b/")) == "unknown_path"


def test_who_asked_and_why_stands_in_the_event() -> None:
    scene = Scene(function("a")).start()
    turn = scene.do(cmd.Pause(at=0, by="ann", reason="lunch"))
    assert turn.events == [ev.SubtreePaused(at=0, path="/", by="ann", reason="lunch")]
