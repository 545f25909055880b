"""Clocks: of an attempt, a task, the queue, a wait, the execution. Never early, and not in a pause but for the execution's own."""

from __future__ import annotations

from taskengine.model import command as cmd
from taskengine.model.effect import Halt, WakeAt
from taskengine.model.status import Outcome, Status
from taskengine.model.value import TaskError
from taskengine.model.workflow import RetryPolicy
from tests.kernel.scene import Scene, function, mapped, wait

AGAIN = RetryPolicy(max_attempts=2, initial_interval_ms=1_000, jitter=0.0)


def test_an_attempt_that_takes_too_long_is_stopped_and_the_task_fails() -> None:
    scene = Scene(function("a", timeout_ms=5_000)).start()
    scene.at(4.999)
    assert scene.phases() == ["running"]
    scene.at(5)
    assert scene.types() == ["TaskTimedOut", "TaskFailed", "ExecutionFailed"]
    assert scene.effects[0] == Halt(1, 1, is_final=True)
    assert scene.error("a").type == "Timeout"
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)


def test_a_timeout_is_retried_like_any_error() -> None:
    scene = Scene(function("a", timeout_ms=5_000, retry=AGAIN)).start().at(5)
    assert scene.types() == ["TaskTimedOut", "TaskRetryScheduled"]
    scene.at(6)
    assert scene.admit() == ["a"]
    scene.at(10.9)
    assert scene.phases() == ["running"]
    scene.at(11)
    assert scene.phases() == ["failed"]


def test_a_timeout_is_not_retried_when_the_policy_lists_it() -> None:
    policy = RetryPolicy(max_attempts=2, non_retryable_errors=("Timeout",))
    assert Scene(function("a", timeout_ms=5_000, retry=policy)).start().at(5).phases() == ["failed"]


def test_the_total_timeout_spans_attempts_and_the_time_between_them() -> None:
    policy = RetryPolicy(max_attempts=9, initial_interval_ms=2_000, backoff_coefficient=1.0, jitter=0.0)
    scene = Scene(function("a", total_timeout_ms=5_000, retry=policy)).start()
    scene.fail("a").at(2).admit()
    scene.at(3).fail("a")
    scene.at(5)
    assert scene.types() == ["TaskTimedOut", "TaskFailed", "ExecutionFailed"]
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)


def test_a_wait_and_a_group_that_take_too_long_fail_at_once_whatever_their_retry_says() -> None:
    never = wait("w", config={"signal": "never"}, timeout_ms=5_000, total_timeout_ms=9_000, retry=AGAIN)
    group = mapped("each", function("a"), items=[1], total_timeout_ms=5_000, retry=AGAIN)
    scene = Scene(never, group).start().at(5)
    assert scene.phases() == ["failed", "failed"]
    assert scene.error("each").message == "the total timeout passed"
    assert scene.state.wake_at is None


def test_the_total_timeout_begins_anew_with_a_new_round() -> None:
    scene = Scene(function("a", total_timeout_ms=5_000), function("b")).start().at(5)
    assert scene.phases("a") == ["failed"]
    scene.retry("/a/")
    scene.admit()
    assert scene.at(9).phases("a") == ["running"]
    assert scene.at(10).phases("a") == ["failed"]


def test_a_task_that_gets_no_slot_in_time_fails() -> None:
    scene = Scene(function("a"), function("b", queue_timeout_ms=3_000), max_concurrency=1).start()
    assert scene.at(2.9).phases() == ["running", "ready"]
    assert scene.at(3).phases() == ["running", "failed"]
    assert scene.state.live[2].outcome is Outcome.TIMED_OUT


def test_the_queue_timeout_counts_from_when_the_step_could_begin_and_ends_with_the_slot() -> None:
    scene = Scene(function("a"), function("b", "a", queue_timeout_ms=3_000)).start()
    scene.at(60).succeed("a", admit=False)
    scene.at(62)
    assert scene.admit() == ["b"]
    assert scene.at(1_000).phases() == ["completed", "running"]


def test_every_attempt_that_waits_for_a_slot_has_its_own_queue_timeout() -> None:
    scene = Scene(function("a", queue_timeout_ms=3_000, retry=AGAIN), function("b"), max_concurrency=1).start()
    scene.fail("a")
    scene.at(1)
    assert scene.phases() == ["ready", "running"]
    assert scene.at(3.9).phases() == ["ready", "running"]
    assert scene.at(4).phases() == ["failed", "running"]


def test_what_is_due_comes_before_what_is_new() -> None:
    scene = Scene(function("a", queue_timeout_ms=3_000)).start(admit=0)
    scene.now = 3_000
    assert scene.admit() == []
    assert scene.phases() == ["failed"]


def test_the_executions_timeout_ends_it_and_stops_what_runs() -> None:
    scene = Scene(function("a"), function("b", "a"), timeout_ms=10_000).start().at(10)
    assert scene.types() == ["ExecutionTimedOut"]
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)
    assert scene.state.error == TaskError(type="Timeout", message="the execution's timeout passed")
    assert Halt(1, 1, is_final=True) in scene.effects
    assert [scene.status(name) for name in "ab"] == [Status.CANCELLED] * 2


def test_the_executions_timeout_counts_through_a_pause_and_the_tasks_clocks_do_not() -> None:
    scene = Scene(function("a", timeout_ms=5_000), timeout_ms=20_000).start().at(4)
    scene.pause()
    assert scene.state.wake_at == 20_000
    scene.at(15)
    assert scene.phases() == ["running"]
    scene.resume()
    assert scene.state.wake_at == 16_000
    assert scene.at(15.999).phases() == ["running"]
    assert scene.at(16).phases() == ["failed"]
    scene = Scene(function("a"), timeout_ms=20_000).start()
    scene.pause()
    assert scene.at(20).ended == (Status.FAILED, Outcome.TIMED_OUT)


def test_the_clocks_of_a_paused_task_stand_still_and_the_others_run() -> None:
    scene = Scene(function("a", timeout_ms=5_000), function("b", timeout_ms=6_000)).start().at(3)
    scene.pause("/a/")
    assert scene.at(6).phases() == ["running", "failed"]
    scene.at(100)
    scene.resume("/a/")
    assert scene.at(101.9).phases("a") == ["running"]
    assert scene.at(102).phases("a") == ["failed"]


def test_pauses_of_a_task_and_of_the_execution_that_overlap_are_counted_once() -> None:
    scene = Scene(function("a", timeout_ms=10_000)).start().at(2)
    scene.pause("/a/")
    scene.at(4)
    scene.pause()
    scene.at(6)
    scene.resume("/a/")
    scene.at(8)
    scene.resume()
    assert scene.state.wake_at == 16_000
    assert scene.at(15.9).phases() == ["running"]
    assert scene.at(16).phases() == ["failed"]


def test_a_retrys_interval_stands_still_in_a_pause_too() -> None:
    scene = Scene(function("a", retry=AGAIN)).start()
    scene.pause()
    scene.fail("a")
    assert scene.phases() == ["retrying"]
    scene.at(50)
    scene.resume()
    assert scene.at(50.9).phases() == ["retrying"]
    assert scene.at(51).phases() == ["ready"]


def test_a_retrys_interval_of_a_paused_task_stands_still() -> None:
    scene = Scene(function("a", retry=AGAIN), function("b")).start()
    scene.pause("/a/")
    scene.fail("a")
    scene.at(50)
    assert scene.phases() == ["retrying", "running"]
    scene.resume("/a/")
    assert scene.at(50.9).phases() == ["retrying", "running"]
    assert scene.at(51).phases() == ["ready", "running"]


def test_a_wait_for_a_signal_that_does_not_come_in_time_fails() -> None:
    scene = Scene(wait("w", config={"signal": "go", "deadline": "5s"})).start()
    assert scene.at(4.9).phases() == ["waiting"]
    scene.at(5)
    assert scene.types() == ["TaskTimedOut", "TaskFailed", "ExecutionFailed"]
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)


def test_a_clock_that_jumps_back_makes_nothing_early_and_instants_never_decrease() -> None:
    scene = Scene(function("a", timeout_ms=5_000)).start().at(4)
    scene.signal("noted")
    scene.now = -60_000
    scene.signal("noted")
    assert scene.history[-1].at == 4_000
    scene.do(cmd.Tick(at=-60_000))
    assert scene.phases() == ["running"]


def test_a_clock_that_jumps_far_ahead_fires_each_timer_once() -> None:
    scene = Scene(function("a", timeout_ms=5_000, retry=AGAIN), wait("w", config={"duration": "1h"})).start().at(10**9)
    assert scene.phases() == ["retrying", "completed"]
    assert scene.types() == ["TaskTimedOut", "TaskRetryScheduled", "TimerFired", "TaskCompleted"]


def test_the_shell_is_told_only_when_the_next_instant_changes() -> None:
    scene = Scene(function("a", timeout_ms=5_000), function("b"), function("c", timeout_ms=9_000)).start(admit=0)
    scene.admit(1)
    assert scene.effects[-1] == WakeAt(5_000)
    scene.admit(2)
    assert not [effect for effect in scene.effects if isinstance(effect, WakeAt)]
    scene.succeed("a", admit=False)
    assert scene.effects[-1] == WakeAt(9_000)
    scene.succeed("b", "c")
    assert scene.state.wake_at is None
