"""Going on without a step: a person says so, joins see it as done, and nothing that happened is forgotten."""

from __future__ import annotations

import pytest

from taskengine.errors import CommandRefusedError
from taskengine.model import command as cmd
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import Join, OnError, OnFailure, RetryPolicy, Step, Success
from tests.kernel.scene import Scene, approval, function, loop, mapped, noop, parallel, wait


def refusal(scene: Scene, path: str) -> CommandRefusedError:
    with pytest.raises(CommandRefusedError) as refused:
        scene.skip(path)
    return refused.value


def test_nothing_is_retried_in_a_group_that_was_skipped() -> None:
    scene = Scene(mapped("each", function("x"), items=[1]), function("b")).start()
    scene.cancel("/each/")
    scene.report("each/[0]/x", cmd.Abandoned())
    scene.skip("/each/")
    for again in (scene.retry, scene.skip):
        with pytest.raises(CommandRefusedError) as caught:
            again("/each/[0]/x/")
        assert (caught.value.name, caught.value.message) == ("group_skipped", "/each/ was skipped, and /each/[0]/x/ with it")


def test_a_failed_step_is_skipped_and_the_rest_goes_on_as_if_it_had_been_done() -> None:
    scene = Scene(function("a"), function("b", "a"), output="{{ steps.a.output }} {{ steps.a.status }}").start()
    scene.fail("a")
    assert scene.ended == (Status.FAILED, None)
    scene.skip("/a/", "ann", "the host is gone")
    assert scene.types() == ["ExecutionRetried", "TaskSkipped"]
    assert scene.admit() == ["b"]
    scene.succeed("b")
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.output == "null skipped"
    assert scene.why("/a/") == "skipped: by ann: the host is gone"
    assert scene.story("/a/")[-1] == "skipped by ann: the host is gone"


def test_a_step_that_failed_while_others_run_takes_its_failure_along() -> None:
    scene = Scene(function("a"), function("b", "a"), function("other")).start()
    scene.fail("a")
    assert scene.phases("b") == ["skipped"]
    scene.skip("/a/")
    assert scene.types() == ["TaskRetryScheduled", "TaskSkipped"]
    assert scene.admit() == ["b"]
    scene.succeed("b", "other")
    assert scene.ended == (Status.COMPLETED, None)


@pytest.mark.parametrize("join", [Join.ALL_SUCCESS, Join.ANY_SUCCESS, Join.NONE_FAILED, Join.ALL_DONE])
def test_joins_see_a_skipped_step_as_done(join: Join) -> None:
    scene = Scene(function("a"), function("b"), function("c", "a", "b", join=join)).start()
    scene.fail("a").fail("b", admit=False)
    scene.skip("/a/")
    scene.skip("/b/") if join not in {Join.ANY_SUCCESS, Join.ALL_DONE} else None
    scene.admit()
    assert scene.phases("c") == ["running"]
    scene.crash()


def test_what_was_there_for_the_failure_is_not_needed_any_more() -> None:
    rescue = function("rescue", "a", join=Join.ANY_FAILED)
    scene = Scene(function("a"), rescue, function("other")).start()
    scene.fail("a", admit=False)
    assert scene.phases("rescue") == ["ready"]
    scene.skip("/a/")
    assert scene.phases("rescue") == ["skipped"]
    scene.succeed("other")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_step_that_has_not_begun_is_skipped() -> None:
    scene = Scene(function("a"), function("b", "a"), function("c", "b")).start()
    scene.skip("/b/")
    assert scene.types() == ["TaskSkipped"]
    assert scene.admit() == ["c"]
    scene.succeed("a", "c")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_step_that_waits_for_a_slot_is_skipped() -> None:
    scene = Scene(function("a"), function("b", "a"), max_concurrency=1).start(admit=0)
    scene.skip("/a/")
    assert scene.admit() == ["b"]


def test_a_step_that_waits_for_its_next_attempt_is_skipped() -> None:
    scene = Scene(function("a", retry=RetryPolicy(max_attempts=3)), function("b", "a")).start()
    scene.fail("a")
    assert scene.phases("a") == ["retrying"]
    scene.skip("/a/")
    assert scene.state.wake_at is None
    assert scene.admit() == ["b"]


def test_a_wait_an_approval_and_a_lost_attempt_are_skipped() -> None:
    scene = Scene(
        wait("w", config={"signal": "go", "deadline": "1h"}),
        approval("ok", escalation={"after": "1h", "to": ["bob"]}),
        function("lost", is_idempotent=False),
    ).start()
    scene.lose("lost")
    assert scene.phases() == ["waiting", "waiting", "waiting"]
    for path in ("/w/", "/ok/", "/lost/"):
        scene.skip(path)
    assert scene.ended == (Status.COMPLETED, None)
    scene.crash()
    assert not scene.state.timers.due


def test_a_signal_goes_to_the_next_who_waits_when_the_first_was_skipped() -> None:
    scene = Scene(wait("a", config={"signal": "go"}), wait("b", config={"signal": "go"})).start()
    scene.skip("/a/")
    scene.signal("go")
    assert scene.phases() == ["skipped", "completed"]


def test_a_cancelled_step_is_skipped() -> None:
    scene = Scene(function("a"), function("b", "a"), max_concurrency=1).start(admit=0)
    scene.cancel("/a/")
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)
    scene.skip("/a/")
    assert scene.admit() == ["b"]
    scene.succeed("b")
    assert scene.ended == (Status.COMPLETED, None)


def test_of_a_cancelled_execution_what_follows_the_skipped_step_goes_on() -> None:
    scene = Scene(function("a"), function("b", "a"), function("c")).start()
    scene.cancel()
    scene.fail("a", "c")
    assert scene.ended == (Status.CANCELLED, None)
    scene.skip("/a/")
    assert scene.admit() == ["b"]
    scene.succeed("b")
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)
    assert scene.phases() == ["skipped", "completed", "cancelled"]


def test_in_a_pause_a_step_is_skipped_and_nothing_begins() -> None:
    scene = Scene(wait("w", config={"duration": "1h"}), function("b", "w")).start()
    scene.pause("/w/")
    scene.skip("/w/")
    assert scene.phases() == ["skipped", "ready"]
    scene.pause()
    assert scene.admit() == []


def test_what_was_skipped_by_a_person_stays_so_when_what_came_before_it_begins_again() -> None:
    scene = Scene(function("a"), function("b", "a"), function("c", "b"), function("other")).start()
    scene.skip("/b/")
    scene.fail("a")
    scene.retry("/a/")
    assert scene.phases("a", "b", "c") == ["ready", "skipped", "running"]
    scene.admit()
    scene.fail("a").succeed("c", "other")
    scene.retry()
    scene.admit()
    scene.succeed("a")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_step_in_a_failed_map_is_skipped_and_the_map_completes() -> None:
    each = mapped("each", function("a"), function("b", "a"), items=[1, 2])
    scene = Scene(each, function("after", "each"), output="{{ steps.each.output }}").start()
    scene.fail("each/[0]/a").succeed("each/[1]/a").succeed("each/[1]/b", output=2)
    assert scene.ended[0] is Status.FAILED
    scene.skip("/each/[0]/a/")
    assert scene.admit() == ["each/[0]/b"]
    scene.succeed("each/[0]/b", output=1)
    scene.succeed("after")
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.output == [1, 2]


def test_a_step_in_a_group_that_goes_on_is_skipped_also_when_its_scope_has_failed() -> None:
    scene = Scene(mapped("each", function("a"), function("b", "a"), items=[1, 2])).start()
    scene.fail("each/[0]/a")
    assert scene.phases("each/[0]") == ["failed"]
    scene.skip("/each/[0]/a/")
    assert scene.phases("each/[0]", "each/[0]/a") == ["expanded", "skipped"]
    scene.skip("/each/[1]/b/")
    scene.admit()
    scene.crash()
    scene.succeed("each/[0]/b", "each/[1]/a")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_loop_goes_on_after_its_failed_step_was_skipped() -> None:
    scene = Scene(loop("each", function("a"), config={"items": [1, 2]}), output="{{ steps.each.output }}").start()
    scene.fail("each/[0]/a")
    scene.skip("/each/[0]/a/")
    assert scene.admit() == ["each/[1]/a"]
    scene.succeed("each/[1]/a", output=2)
    assert scene.output == [None, 2]


@pytest.mark.parametrize("is_open", [True, False])
def test_a_failed_container_is_skipped_as_a_whole(is_open: bool) -> None:  # noqa: FBT001 -- pytest passes it by name
    others = (function("other"),) if is_open else ()
    scene = Scene(mapped("each", function("a"), items=[1, 2]), function("after", "each"), *others).start()
    scene.fail("each/[0]/a").succeed("each/[1]/a")
    assert scene.phases("each", "after") == ["failed", "skipped"]
    scene.skip("/each/")
    scene.crash()
    assert scene.phases("each", "each/[0]", "each/[0]/a") == ["skipped", "failed", "failed"]
    scene.admit()
    scene.succeed("after", *(["other"] if is_open else []))
    assert scene.ended == (Status.COMPLETED, None)


@pytest.mark.parametrize("is_open", [True, False])
def test_a_terminated_container_is_skipped_as_a_whole(is_open: bool) -> None:  # noqa: FBT001 -- likewise
    others = (function("other"),) if is_open else ()
    scene = Scene(mapped("each", function("a"), items=[1, 2]), function("after", "each"), *others).start()
    scene.terminate("/each/" if is_open else "/")
    scene.skip("/each/")
    assert scene.admit() == ["after"]
    scene.crash()
    scene.succeed("after", *(["other"] if is_open else []))
    assert scene.ended == (Status.COMPLETED, None)


def test_nothing_begins_again_in_a_container_that_was_skipped() -> None:
    scene = Scene(mapped("each", function("a"), items=[1, 2]), function("after", "each")).start()
    scene.fail("each/[0]/a").succeed("each/[1]/a")
    scene.skip("/each/")
    with pytest.raises(CommandRefusedError) as refused:
        scene.retry("/each/[0]/a/")
    assert refused.value.name == "group_skipped"
    assert refusal(scene, "/each/[0]/a/").name == "group_skipped"
    scene.admit()
    scene.fail("after")
    scene.retry()
    scene.admit()
    scene.succeed("after")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_container_that_has_not_begun_is_skipped() -> None:
    each = mapped("each", function("b"), items=[1], depends_on=("a",))
    scene = Scene(function("a"), each).start()
    scene.skip("/each/")
    scene.succeed("a")
    assert scene.ended == (Status.COMPLETED, None)


def test_what_cannot_be_skipped_says_why() -> None:
    each = mapped("each", function("a"), items=[1, 2])
    sub = Step(id="sub", type="workflow", config={"workflow": "other"})
    scene = Scene(each, noop("done"), function("off", when="false"), sub).start()
    assert refusal(scene, "/").name == "not_a_step"
    assert refusal(scene, "/each/[0]/").name == "not_a_step"
    error = refusal(scene, "/each/[0]/a/")
    assert (error.name, error.hint) == ("task_running", "cancel it first")
    assert refusal(scene, "/each/").name == "task_running"
    assert refusal(scene, "/done/").name == "task_already_finished"
    assert refusal(scene, "/off/").name == "task_already_finished"
    assert refusal(scene, "/sub/").name == "task_running"
    scene.cancel("/each/")
    assert refusal(scene, "/each/[0]/a/").name == "already_cancelling"


def test_a_step_that_its_group_has_completed_without_is_not_skipped() -> None:
    both = parallel("both", branches={"left": (function("a"),), "right": (function("a"),)}, success=Success(at_least=1))
    scene = Scene(both, function("after", "both")).start()
    scene.fail("both/right/a").succeed("both/left/a")
    assert refusal(scene, "/both/right/a/").name == "group_completed"
    scene.succeed("after")
    assert refusal(scene, "/both/right/a/").name == "group_completed"


def test_what_is_being_undone_is_not_gone_on_with() -> None:
    undo = function("")
    scene = Scene(function("a", compensate=undo), function("b", "a"), on_failure=OnFailure.COMPENSATE).start()
    scene.succeed("a").fail("b")
    assert refusal(scene, "/b/").name == "compensating"
    assert refusal(scene, "/a/[undo]/").name == "task_running"
    scene.succeed("a/[undo]")
    assert refusal(scene, "/a/[undo]/").name == "task_already_finished"


def undone_by_hand(*, max_attempts: int = 1) -> Scene:
    """Of three steps the last fails, and what undoes the second does too."""
    undo = function("", retry=RetryPolicy(max_attempts=max_attempts, jitter=0.0, initial_interval_ms=60_000))
    steps = function("a", compensate=undo), function("b", "a", compensate=undo), function("c", "b")
    scene = Scene(*steps, on_failure=OnFailure.COMPENSATE).start()
    return scene.succeed("a").succeed("b").fail("c").fail("b/[undo]")


def test_what_cannot_be_undone_and_was_by_hand_is_skipped_and_the_rest_is_undone() -> None:
    scene = undone_by_hand()
    assert (scene.ended, scene.phases("b/[undo]", "a/[undo]")) == ((Status.FAILED, None), ["failed", "cancelled"])
    assert refusal(scene, "/a/[undo]/").name == "task_not_failed"
    scene.skip("/b/[undo]/")
    assert scene.admit() == ["a/[undo]"]
    scene.succeed("a/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)
    assert scene.phases("b/[undo]", "a/[undo]") == ["skipped", "completed"]
    assert refusal(scene, "/b/[undo]/").name == "task_already_finished"


def test_what_is_about_to_be_undone_once_more_may_be_skipped_at_once() -> None:
    scene = undone_by_hand(max_attempts=2)
    assert scene.phases("b/[undo]") == ["retrying"]
    scene.skip("/b/[undo]/")
    assert scene.admit() == ["a/[undo]"]
    scene.succeed("a/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)


def test_the_last_one_that_is_skipped_ends_it() -> None:
    scene = undone_by_hand()
    scene.skip("/b/[undo]/")
    scene.admit()
    scene.fail("a/[undo]")
    scene.skip("/a/[undo]/")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)


def test_a_failure_that_did_not_count_is_no_flaw_once_it_was_skipped() -> None:
    scene = Scene(function("a", on_error=OnError.CONTINUE), function("b")).start()
    scene.fail("a")
    scene.skip("/a/")
    scene.succeed("b")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_success_rule_counts_a_skipped_step_as_completed() -> None:
    scene = Scene(function("a"), function("b"), success=Success(at_least=2)).start()
    scene.fail("a")
    scene.skip("/a/")
    scene.succeed("b")
    assert scene.ended == (Status.COMPLETED, None)
