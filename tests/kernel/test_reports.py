"""At most one result of each attempt is taken, and what happens to attempts that die with their process."""

from __future__ import annotations

import pytest

from taskengine.errors import CommandRefusedError
from taskengine.model import command as cmd
from taskengine.model.effect import Halt, Launch, Release
from taskengine.model.status import Outcome, Status
from taskengine.model.value import NONE
from taskengine.model.workflow import RetryPolicy
from tests.kernel.scene import Scene, function

AGAIN = RetryPolicy(max_attempts=2, initial_interval_ms=0)
DONE = cmd.Succeeded(NONE)


def lose_until_suspect(scene: Scene) -> None:
    """Two losses, each while it ran among others."""
    for _ in range(2):
        scene.lose("a")
        scene.admit()


@pytest.mark.parametrize(("task", "attempt"), [(1, 1), (1, 3), (1, 0), (2, 1), (0, 1), (99, 1), (-1, 1)])
def test_a_report_of_any_other_attempt_than_the_running_one_is_refused(task: int, attempt: int) -> None:
    scene = Scene(function("a", retry=AGAIN), function("b", "a")).start().fail("a")
    assert scene.state.live[1].attempt == 2
    with pytest.raises(CommandRefusedError) as refused:
        scene.do(cmd.Report(at=0, task=task, attempt=attempt, end=DONE))
    assert refused.value.name == "stale_attempt"


def test_a_second_report_of_the_same_attempt_is_refused() -> None:
    scene = Scene(function("a"), function("b")).start().succeed("a")
    with pytest.raises(CommandRefusedError):
        scene.report("a", DONE, attempt=1)


def test_the_late_report_of_a_lost_attempt_is_refused() -> None:
    scene = Scene(function("a")).start()
    scene.lose("a")
    with pytest.raises(CommandRefusedError):
        scene.report("a", DONE, attempt=1)
    scene.admit()
    with pytest.raises(CommandRefusedError):
        scene.report("a", DONE, attempt=1)
    scene.report("a", DONE, attempt=2)
    assert scene.ended[0] is Status.COMPLETED


def test_a_launch_is_owed_until_its_attempt_has_ended() -> None:
    scene = Scene(function("a")).start()
    assert scene.effects == [Launch(1, 1, is_suspect=False)]
    scene.succeed("a", admit=False)
    assert scene.effects == [Release(1, 1)]


def test_a_lost_attempt_does_not_count_against_max_attempts() -> None:
    scene = Scene(function("a")).start()
    scene.lose("a")
    assert scene.phases() == ["ready"]
    scene.admit()
    assert scene.state.live[1].attempt == 2
    assert scene.state.live[1].used == 1
    assert scene.succeed("a").ended[0] is Status.COMPLETED


def test_from_the_second_loss_on_a_task_is_a_suspect_and_only_gets_the_slot_that_is_kept_for_suspects() -> None:
    scene = Scene(function("a"), function("b")).start(admit=1)
    lose_until_suspect(scene)
    assert scene.phases() == ["ready", "running"]
    assert scene.state.suspects.first() == (5, 1)
    assert scene.admit(slots=100) == []
    assert scene.admit(slots=0, suspect_slots=1) == ["a"]
    assert scene.effects == [Launch(1, 3, is_suspect=True)]


def test_suspects_come_after_everything_else() -> None:
    scene = Scene(function("a", priority=9), function("b"), function("c")).start(admit=1)
    scene.lose("a")
    scene.admit(1)
    scene.lose("a")
    assert scene.admit(slots=1, suspect_slots=1) == ["b", "a"]


def test_five_losses_alone_are_quarantine() -> None:
    scene = Scene(function("a"), function("b", "a")).start()
    lose_until_suspect(scene)
    for _ in range(4):
        assert scene.admit(0, suspect_slots=1) == ["a"]
        scene.lose("a")
        assert scene.phases("a") == ["ready"]
    scene.admit(0, suspect_slots=1)
    scene.lose("a")
    assert scene.types()[:2] == ["TaskAttemptLost", "TaskQuarantined"]
    assert scene.ended == (Status.FAILED, Outcome.QUARANTINED)
    assert scene.phases() == ["failed", "skipped"]


def test_a_quarantined_task_can_be_resumed_by_a_person_and_is_no_suspect_any_more() -> None:
    scene = Scene(function("a")).start()
    lose_until_suspect(scene)
    for _ in range(5):
        scene.admit(0, suspect_slots=1)
        scene.lose("a")
    scene.retry()
    assert scene.admit() == ["a"]
    assert scene.state.live[1].attempt == 8
    assert scene.succeed("a").ended == (Status.COMPLETED, None)


def test_an_attempt_that_a_graceful_stop_gave_back_is_not_counted_at_all() -> None:
    scene = Scene(function("a")).start()
    for _ in range(9):
        scene.lose("a", is_counted=False)
        assert scene.admit() == ["a"]
    assert scene.state.live[1].losses == 0
    assert scene.state.live[1].attempt == 10
    scene.report("a", cmd.Abandoned())
    assert scene.types() == ["TaskAttemptLost"]
    assert scene.state.live[1].losses == 0


def test_a_task_that_is_not_idempotent_waits_for_a_person_after_a_loss() -> None:
    scene = Scene(function("a", is_idempotent=False)).start()
    scene.lose("a")
    assert scene.phases() == ["waiting"]
    assert scene.state.is_idle
    assert scene.admit(suspect_slots=1) == []
    scene.retry("/a/")
    assert scene.admit() == ["a"]
    assert scene.succeed("a").ended[0] is Status.COMPLETED


def test_a_task_that_waits_for_a_person_can_be_cancelled_instead() -> None:
    scene = Scene(function("a", is_idempotent=False)).start()
    scene.lose("a")
    scene.cancel("/a/")
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)


def test_the_total_timeout_of_a_task_that_waits_for_a_person_counts_on() -> None:
    scene = Scene(function("a", is_idempotent=False, total_timeout_ms=5_000)).start()
    scene.lose("a")
    assert scene.at(5).phases() == ["failed"]


def test_losses_are_reported_for_many_at_once_and_what_has_ended_or_is_named_twice_does_no_harm() -> None:
    scene = Scene(function("a"), function("b"), function("c")).start().succeed("c")
    scene.do(cmd.Lost(at=0, attempts=((1, 1), (2, 1), (1, 1), (3, 1), (1, 7), (77, 1))))
    assert scene.types() == ["TaskAttemptLost"] * 2
    assert scene.phases() == ["ready", "ready", "completed"]


def test_a_loss_after_the_end_changes_nothing() -> None:
    scene = Scene(function("a")).start()
    scene.terminate()
    assert scene.effects == [Halt(1, 1, is_final=True)]
    scene.do(cmd.Lost(at=0, attempts=((1, 1),)))
    assert scene.events == []


def test_the_clock_of_a_lost_attempt_stops_with_it() -> None:
    scene = Scene(function("a", timeout_ms=5_000)).start()
    scene.lose("a")
    assert scene.at(60).phases() == ["ready"]
    scene.admit()
    assert scene.state.wake_at == 65_000
