"""What follows a failed attempt: another one by the policy, or the end; and new rounds that people ask for."""

from __future__ import annotations

from statistics import mean

import pytest

from taskengine.errors import CommandRefusedError
from taskengine.kernel.retry import delay_ms
from taskengine.model.status import Outcome, Status
from taskengine.model.value import TaskError
from taskengine.model.workflow import Join, RetryPolicy
from tests.kernel.scene import BOOM, Scene, function, noop, wait

THREE = RetryPolicy(max_attempts=3, initial_interval_ms=1_000, jitter=0.0)


def test_a_failed_attempt_is_made_again_after_the_interval() -> None:
    scene = Scene(function("a", retry=THREE)).start().fail("a")
    assert scene.phases() == ["retrying"]
    assert scene.status("a") is Status.WAITING
    scene.at(0.999)
    assert scene.admit() == []
    scene.at(1)
    assert scene.admit() == ["a"]
    assert scene.state.live[1].attempt == 2


def test_max_attempts_counts_the_first_one() -> None:
    scene = Scene(function("a", retry=THREE)).start()
    for second in (1, 3):
        scene.fail("a").at(second).admit()
    scene.fail("a")
    assert scene.phases() == ["failed"]
    assert scene.ended == (Status.FAILED, None)
    assert [type(event).__name__ for event in scene.history].count("TaskScheduled") == 3


def test_intervals_grow_by_the_coefficient_up_to_the_longest() -> None:
    policy = RetryPolicy(max_attempts=9, initial_interval_ms=1_000, max_interval_ms=5_000, backoff_coefficient=2.0, jitter=0.0)
    assert [delay_ms(policy, used, seed=1, task=1) for used in range(1, 6)] == [1_000, 2_000, 4_000, 5_000, 5_000]
    assert delay_ms(policy, 10_000, seed=1, task=1) == 5_000


def test_jitter_is_drawn_from_the_executions_seed_and_stays_within_its_share() -> None:
    policy = RetryPolicy(max_attempts=9, initial_interval_ms=1_000, jitter=0.25)
    delays = [delay_ms(policy, 1, seed=seed, task=3) for seed in range(2_000)]
    assert delays == [delay_ms(policy, 1, seed=seed, task=3) for seed in range(2_000)]
    assert 750 <= min(delays) < 770
    assert 1_230 < max(delays) <= 1_250
    assert 980 < mean(delays) < 1_020
    assert len({delay_ms(policy, 1, seed=7, task=task) for task in range(100)}) > 50


@pytest.mark.parametrize("error", [TaskError(type="Fatal"), TaskError(type="Sub", bases=("Fatal",))])
def test_a_non_retryable_error_ends_the_task_at_once(error: TaskError) -> None:
    policy = RetryPolicy(max_attempts=3, non_retryable_errors=("Fatal",))
    assert Scene(function("a", retry=policy)).start().fail("a", error=error).phases() == ["failed"]


def test_non_retryable_errors_are_matched_by_type_never_by_message() -> None:
    policy = RetryPolicy(max_attempts=3, non_retryable_errors=("Fatal",))
    scene = Scene(function("a", retry=policy)).start().fail("a", error=TaskError(type="Other", message="Fatal"))
    assert scene.phases() == ["retrying"]


def test_a_retry_waits_for_a_slot_like_everything_else() -> None:
    scene = Scene(function("a", retry=THREE), function("b"), function("c"), max_concurrency=1).start()
    scene.fail("a")
    scene.at(60)
    assert scene.phases() == ["ready", "running", "ready"]
    scene.succeed("b")
    assert scene.phases() == ["running", "completed", "ready"]


def test_a_person_retries_a_failed_task_of_a_running_execution() -> None:
    scene = Scene(function("a"), function("b", "a"), function("c")).start().fail("a")
    assert scene.phases() == ["failed", "skipped", "running"]
    scene.retry("/a/")
    assert scene.phases() == ["ready", "pending", "running"]
    scene.admit()
    scene.succeed("a").succeed("b").succeed("c")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_new_round_has_all_its_attempts_again_and_numbers_go_on() -> None:
    scene = Scene(function("a", retry=RetryPolicy(max_attempts=2, initial_interval_ms=0)), function("b")).start()
    scene.fail("a").fail("a")
    assert scene.phases("a") == ["failed"]
    scene.retry("/a/")
    scene.admit()
    scene.fail("a")
    assert scene.phases("a") == ["running"]
    assert scene.state.live[1].attempt == 4


def test_a_person_does_not_wait_for_the_interval() -> None:
    scene = Scene(function("a", retry=RetryPolicy(max_attempts=2, initial_interval_ms=60_000))).start().fail("a")
    scene.retry("/a/")
    assert scene.admit() == ["a"]
    assert scene.state.wake_at is None


def test_a_retried_task_goes_through_its_join_again() -> None:
    steps = (function("a"), function("rescue", "a", join=Join.ANY_FAILED), function("other"))
    scene = Scene(*steps).start().fail("a").fail("rescue")
    scene.retry("/a/")
    scene.retry("/rescue/")
    assert scene.phases() == ["ready", "pending", "running"]
    scene.admit()
    scene.succeed("a")
    assert scene.phases() == ["completed", "skipped", "running"]


def test_a_task_that_was_skipped_in_a_later_round_keeps_its_attempts_numbers() -> None:
    steps = (function("a"), function("rescue", "a", join=Join.ANY_FAILED), function("other"))
    scene = Scene(*steps).start().fail("a").fail("rescue")
    scene.retry("/a/")
    scene.retry("/rescue/")
    scene.admit()
    scene.succeed("a")
    assert scene.phases("rescue") == ["skipped"]
    assert scene.state.live[2].attempt == 1


def test_what_was_ready_because_of_a_failure_is_pending_again_when_that_is_retried() -> None:
    scene = Scene(function("a"), function("b", "a", join=Join.ALL_DONE), function("c"), max_concurrency=1).start(admit=1)
    scene.fail("a", admit=False)
    assert scene.phases() == ["failed", "ready", "ready"]
    scene.retry("/a/")
    assert scene.phases() == ["ready", "pending", "ready"]


def test_retrying_a_finished_execution_begins_what_failed_and_opens_what_was_skipped() -> None:
    scene = Scene(function("a"), function("b"), function("c", "a", "b"), output="{{ steps.c.output }}").start()
    scene.succeed("b", output=1).fail("a")
    assert scene.ended == (Status.FAILED, None)
    scene.at(10)
    scene.retry()
    assert scene.ended == (None, None)
    assert scene.phases() == ["ready", "completed", "pending"]
    scene.admit()
    scene.succeed("a").succeed("c", output="all")
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.output == "all"


def test_retrying_everything_leaves_handled_failures_alone() -> None:
    steps = (function("a"), noop("rescue", "a", join=Join.ANY_FAILED, handles=("Boom",)), function("b"))
    scene = Scene(*steps).start().fail("a").fail("b")
    scene.retry()
    assert scene.phases() == ["failed", "completed", "ready"]
    scene.admit()
    assert scene.succeed("b").ended == (Status.COMPLETED, None)


def test_one_task_of_a_finished_execution_can_be_retried_even_a_handled_one() -> None:
    steps = (function("a"), noop("rescue", "a", join=Join.ANY_FAILED, handles=("Boom",)), function("b"))
    scene = Scene(*steps).start().fail("a").succeed("b")
    assert scene.ended == (Status.COMPLETED, None)
    scene.retry("/a/")
    assert scene.phases() == ["ready", "completed", "completed"]


def test_after_a_terminate_everything_that_was_cut_off_is_opened_by_a_retry() -> None:
    scene = Scene(function("a"), function("b", "a"), wait("w", config={"signal": "go"}), function("done")).start()
    scene.succeed("done").terminate()
    assert [scene.status(name).value for name in "abw"] == ["cancelled"] * 3
    scene.retry()
    assert scene.phases() == ["ready", "pending", "waiting", "completed"]
    scene.admit()
    scene.succeed("a").succeed("b").signal("go")
    assert scene.ended == (Status.COMPLETED, None)


def test_retrying_one_task_after_a_terminate_leaves_the_others_cancelled() -> None:
    scene = Scene(function("a"), function("b"), noop("c", "a"), noop("d", "b")).start()
    scene.terminate()
    scene.retry("/a/")
    assert scene.phases() == ["ready", "cancelled", "pending", "cancelled"]
    scene.admit()
    assert scene.succeed("a").ended == (Status.COMPLETED, Outcome.PARTIAL)


def test_an_execution_that_was_cancelled_before_anything_began_can_be_retried() -> None:
    scene = Scene(function("a"), function("b", "a")).start(admit=0)
    scene.cancel()
    assert scene.ended[0] is Status.CANCELLED
    scene.retry()
    assert scene.phases() == ["ready", "pending"]


def test_the_executions_timeout_begins_anew_with_a_retry() -> None:
    scene = Scene(function("a"), timeout_ms=10_000).start()
    scene.at(10)
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)
    scene.at(100)
    scene.retry()
    scene.at(109)
    scene.admit()
    assert scene.phases() == ["running"]
    scene.at(110)
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)


@pytest.mark.parametrize(
    ("path", "refusal"),
    [("/", "execution_not_finished"), ("/a/", "task_not_failed"), ("/b/", "task_not_failed")],
)
def test_what_has_not_failed_is_not_retried(path: str, refusal: str) -> None:
    scene = Scene(function("a"), function("b", "a")).start()
    with pytest.raises(CommandRefusedError) as refused:
        scene.retry(path)
    assert refused.value.name == refusal


def test_a_completed_execution_has_nothing_to_retry() -> None:
    scene = Scene(function("a"), function("b", when="false")).start().succeed("a")
    for path in ("/", "/a/", "/b/"):
        with pytest.raises(CommandRefusedError) as refused:
            scene.retry(path)
        assert refused.value.name == "nothing_to_retry"


def test_a_condition_that_failed_is_evaluated_again_in_a_new_round() -> None:
    scene = Scene(function("a"), noop("b", when="input.missing", join=Join.ALL_DONE), function("c")).start(given={})
    assert scene.phases("b") == ["failed"]
    assert scene.error("b").type == "ExpressionError"
    scene.retry("/b/")
    assert scene.phases("b") == ["failed"]
    assert scene.state.live[2].attempt == 0


def test_an_error_is_remembered_while_its_retry_waits() -> None:
    scene = Scene(function("a", retry=THREE)).start().fail("a", error=BOOM)
    assert scene.error("a") == BOOM
