"""Progress and silence of a running attempt."""

from __future__ import annotations

import pytest

from taskengine.errors import CommandRefusedError
from taskengine.model import command as cmd
from taskengine.model.effect import Halt
from taskengine.model.status import Outcome, Status
from taskengine.model.value import TaskError, raw
from taskengine.model.workflow import RetryPolicy
from tests.kernel.scene import Scene, function

AGAIN = RetryPolicy(max_attempts=2, initial_interval_ms=1_000, jitter=0.0)
HALF = raw({"fraction": 0.5})


def test_progress_is_written_down_and_the_next_attempt_can_read_it() -> None:
    scene = Scene(function("a", retry=AGAIN)).start()
    scene.do(cmd.Progress(at=0, task=1, attempt=1, progress=HALF))
    assert scene.types() == ["TaskProgressReported"]
    scene.fail("a").at(1).admit()
    assert (scene.state.live[1].attempt, scene.state.live[1].progress) == (2, HALF)


def test_a_new_round_begins_without_progress() -> None:
    scene = Scene(function("a")).start()
    scene.do(cmd.Progress(at=0, task=1, attempt=1, progress=HALF))
    scene.fail("a").retry("/a/")
    assert not scene.state.live[1].progress


def test_a_sign_of_life_is_written_down_only_when_it_forgives_losses() -> None:
    scene = Scene(function("a")).start()
    scene.do(cmd.Progress(at=0, task=1, attempt=1))
    assert scene.types() == []
    scene.lose("a")
    scene.admit()
    scene.do(cmd.Progress(at=0, task=1, attempt=2))
    assert scene.types() == ["TaskProgressReported"]
    assert scene.state.live[1].losses == 0


def test_a_task_that_makes_headway_between_its_losses_is_never_quarantined() -> None:
    scene = Scene(function("a")).start()
    for attempt in range(1, 30):
        scene.do(cmd.Progress(at=0, task=1, attempt=attempt, progress=HALF))
        scene.lose("a")
        scene.admit(suspect_slots=1)
    assert scene.phases() == ["running"]


@pytest.mark.parametrize("kind", [cmd.Progress, cmd.Silent])
@pytest.mark.parametrize(("task", "attempt"), [(1, 2), (1, 0), (0, 1), (99, 1)])
def test_only_the_running_attempt_can_be_alive_or_silent(kind: type, task: int, attempt: int) -> None:
    scene = Scene(function("a")).start()
    with pytest.raises(CommandRefusedError) as refused:
        scene.do(kind(at=0, task=task, attempt=attempt))
    assert refused.value.name == "stale_attempt"


def test_a_silent_attempt_is_stopped_not_waited_for_and_made_again_by_the_policy() -> None:
    scene = Scene(function("a", retry=AGAIN)).start()
    scene.do(cmd.Silent(at=0, task=1, attempt=1))
    assert scene.types() == ["TaskTimedOut", "TaskRetryScheduled"]
    assert Halt(1, 1, is_final=True) in scene.effects
    scene.at(1).admit()
    scene.do(cmd.Silent(at=0, task=1, attempt=2))
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)


def test_an_error_can_say_that_trying_again_would_not_help() -> None:
    scene = Scene(function("a", retry=AGAIN)).start().fail("a", error=TaskError(type="Boom", is_final=True))
    assert scene.ended[0] is Status.FAILED


def test_an_error_can_ask_for_a_longer_pause_than_the_policy_has() -> None:
    scene = Scene(function("a", retry=AGAIN)).start().fail("a", error=TaskError(type="Busy", retry_after_ms=7_000))
    assert scene.state.wake_at == 7_000
