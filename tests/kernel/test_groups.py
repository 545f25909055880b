"""Containers: what they open, what they give, how they end, and how everything that stops work reaches into them."""

from __future__ import annotations

import msgspec
import pytest

from taskengine.errors import CommandRefusedError
from taskengine.model import command as cmd
from taskengine.model.status import Outcome, Status
from taskengine.model.value import Json, TaskError, raw
from taskengine.model.workflow import Block, Join, OnError, RetryPolicy, Step, Success
from tests.kernel.scene import Scene, condition, function, loop, mapped, noop, parallel, wait

OUT = "{{ steps.each.output }}"


def given(scene: Scene, path: str) -> bytes:
    """The input of a running task."""
    return bytes(scene.state.live[scene.number(path)].input)


def config(step: str, kind: str, **options: object) -> Step:
    """A control step with a config."""
    return Step(id=step, type=kind, config=dict(options))


# ── conditions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def chosen(given: Json) -> Scene:
    check = condition(
        "check", cases={"input > 10": (function("big"),), "input > 5": (function("middle"),), "": (function("small"),)}
    )
    return Scene(check, function("after", "check"), output="{{ steps.check.output }}").start(given=given)


@pytest.mark.parametrize(("given", "path"), [(11, "check/[0]/big"), (6, "check/[1]/middle"), (1, "check/else/small")])
def test_a_condition_takes_the_first_case_that_holds_and_gives_what_it_gave(given: int, path: str) -> None:
    scene = chosen(given)
    assert scene.status("check") is Status.RUNNING
    scene.succeed(path, output={"n": given}).succeed("after")
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.output == {"n": given}


def test_a_condition_without_a_case_that_holds_completes_and_gives_none() -> None:
    scene = Scene(condition("check", cases={"input > 10": (function("big"),)}), output="{{ steps.check.output }}").start(given=1)
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.output is None


def test_a_failure_inside_a_case_is_the_failure_of_the_condition_and_says_where() -> None:
    scene = chosen(11)
    scene.fail("check/[0]/big", error=TaskError(type="Boom", message="no"))
    assert scene.ended == (Status.FAILED, None)
    assert scene.state.error is not None
    assert (scene.state.error.type, scene.state.error.message) == ("Boom", "/check/[0]/big/ no")
    assert scene.phases("check", "after") == ["failed", "skipped"]


def test_a_case_that_cannot_be_judged_fails_by_name() -> None:
    scene = Scene(condition("check", cases={"input.x > 1": (noop("a"),)})).start(given={})
    assert scene.error("check").type == "ExpressionError"


# ── parallel ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def both(**options: object) -> Step:
    return parallel("both", branches={"left": (function("a"), function("b", "a")), "right": (function("a"),)}, **options)


def test_branches_run_side_by_side_and_give_an_object() -> None:
    scene = Scene(both(), output="{{ steps.both.output }}").start()
    scene.succeed("both/right/a", output=2).succeed("both/left/a", output=0).succeed("both/left/b", output=1)
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.output == {"left": 1, "right": 2}


def test_one_branch_that_fails_does_not_stop_the_other_and_fails_the_step() -> None:
    scene = Scene(both()).start()
    scene.fail("both/right/a")
    assert scene.status("both") is Status.RUNNING
    scene.succeed("both/left/a").succeed("both/left/b")
    assert scene.ended == (Status.FAILED, None)
    assert scene.error("both").message == "1 of 2 failed, the first: /both/right/a/ no"


@pytest.mark.parametrize("rule", [Success(at_least=1), Success(percent=50.0), Success(when="children.completed > 0")])
def test_a_rule_that_holds_although_a_branch_failed_gives_partial(rule: Success) -> None:
    scene = Scene(both(success=rule), function("after", "both"), output="{{ steps.both.output }}").start()
    scene.fail("both/right/a").succeed("both/left/a").succeed("both/left/b", output=1).succeed("after")
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)
    assert scene.output == {"left": 1, "right": None}


def test_a_rule_that_does_not_hold_fails_the_step() -> None:
    scene = Scene(both(success=Success(at_least=2))).start()
    scene.fail("both/right/a").succeed("both/left/a").succeed("both/left/b")
    assert scene.ended == (Status.FAILED, None)


def test_a_failure_is_handled_inside_its_block_and_does_not_leave_it() -> None:
    steps = (function("a"), function("mend", "a", join=Join.ANY_FAILED, handles=("Boom",)))
    scene = Scene(parallel("both", branches={"left": steps})).start()
    scene.fail("both/left/a").succeed("both/left/mend")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_failure_that_is_to_be_gone_on_from_makes_everything_around_it_partial() -> None:
    scene = Scene(mapped("each", function("a", on_error=OnError.CONTINUE), items=[1])).start()
    scene.fail("each/[0]/a")
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)


# ── maps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_map_gives_the_results_in_the_order_of_its_items() -> None:
    each = mapped("each", function("a", input_mapping={"x": "{{ item }}", "n": "{{ index }}"}), items="{{ input }}")
    scene = Scene(each, output=OUT).start(given=["p", "q", "r"])
    assert [given(scene, f"each/[{n}]/a") for n in range(3)] == [
        b'{"x":"p","n":0}',
        b'{"x":"q","n":1}',
        b'{"x":"r","n":2}',
    ]
    scene.succeed("each/[2]/a", output="R").succeed("each/[0]/a", output="P").succeed("each/[1]/a", output="Q")
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.output == ["P", "Q", "R"]


def test_a_map_over_nothing_gives_nothing() -> None:
    scene = Scene(mapped("each", function("a"), items=[]), output=OUT).start()
    assert scene.output == []


def test_a_map_opens_no_more_than_its_window() -> None:
    scene = Scene(mapped("each", function("a"), items=list(range(5)), config={"max_concurrency": 2}), output=OUT)
    scene.start(admit=0)
    assert scene.admit() == ["each/[0]/a", "each/[1]/a"]
    scene.report("each/[1]/a", cmd.Succeeded(raw(1)))
    assert scene.admit() == ["each/[2]/a"]
    for index in (0, 2, 3, 4):
        scene.succeed(f"each/[{index}]/a", output=index)
    assert scene.output == [0, 1, 2, 3, 4]


def test_a_batch_is_the_item() -> None:
    each = mapped("each", function("a", input_mapping={"x": "{{ item }}"}), items=[1, 2, 3], config={"batch_size": 2})
    scene = Scene(each).start()
    assert given(scene, "each/[1]/a") == b'{"x":[3]}'
    scene.succeed("each/[0]/a", "each/[1]/a")
    assert scene.ended == (Status.COMPLETED, None)


@pytest.mark.parametrize("items", ["text", 3, None, {"a": 1}])
def test_items_that_are_no_list_fail_by_name(items: Json) -> None:
    scene = Scene(mapped("each", function("a"), items="{{ input }}")).start(given=items)
    assert scene.error("each").type == "ValidationError"
    assert "items is a list" in scene.error("each").message


def test_maps_of_maps_see_the_items_of_their_own_and_the_steps_around() -> None:
    inner = mapped(
        "inner",
        function("a", input_mapping={"x": "{{ item }}", "y": "{{ steps.row.output.row }}"}),
        items="{{ item }}",
        depends_on=("row",),
    )
    outer = mapped("each", Step(id="row", type="set", config={"row": "{{ index }}"}), inner, items="{{ input }}")
    scene = Scene(outer, output=OUT).start(given=[[1, 2], [3]])
    assert given(scene, "each/[1]/inner/[0]/a") == b'{"x":3,"y":1}'
    for path in ("each/[0]/inner/[0]/a", "each/[0]/inner/[1]/a", "each/[1]/inner/[0]/a"):
        scene.succeed(path, output=path)
    assert scene.output == [["each/[0]/inner/[0]/a", "each/[0]/inner/[1]/a"], ["each/[1]/inner/[0]/a"]]


def test_a_block_with_several_last_steps_gives_an_object_and_one_with_an_output_gives_that() -> None:
    scene = Scene(mapped("each", function("a"), function("b"), items=[1]), output=OUT).start()
    scene.succeed("each/[0]/a", output=1).succeed("each/[0]/b", output=2)
    assert scene.output == [{"a": 1, "b": 2}]
    scene = Scene(mapped("each", function("a"), items=[5], output="{{ steps.a.output + item }}"), output=OUT).start()
    scene.succeed("each/[0]/a", output=1)
    assert scene.output == [6]


def test_large_maps_are_opened_in_several_turns() -> None:
    scene = Scene(mapped("each", noop("a"), items="{{ input }}"), output="{{ steps.each.output | length }}")
    turn = scene.do(cmd.Start(at=0, workflow_id="wf_1", workflow_version="1", seed=7, input=raw(list[Json]([1] * 3_000))))
    turns = 1
    while turn.is_cut:
        turn, turns = scene.do(cmd.Tick(at=0)), turns + 1
        assert len(turn.events) < 3_000
    assert turns > 1
    assert scene.output == 3_000


# ── loops ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_loop_goes_on_until_its_condition_holds_and_gives_what_the_last_iteration_gave() -> None:
    poll = loop("each", function("ask"), config={"until": "steps.ask.output.done"})
    scene = Scene(poll, output=OUT).start()
    scene.succeed("each/[0]/ask", output={"done": False}).succeed("each/[1]/ask", output={"done": True})
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.output == {"done": True}


def test_a_loop_while_its_condition_holds_may_make_no_iteration() -> None:
    scene = Scene(loop("each", function("a"), config={"while": "index < input"}), output=OUT)
    assert scene.start(given=0).output is None
    scene = Scene(loop("each", function("a"), config={"while": "index < input"}), output=OUT).start(given=2)
    scene.succeed("each/[0]/a", output=1).succeed("each/[1]/a", output=2)
    assert scene.output == 2


def test_a_while_sees_none_before_the_first_iteration_and_then_the_last_one() -> None:
    scene = Scene(loop("each", function("a"), config={"while": "steps.a.output != 3 and output != 3"}), output=OUT).start()
    scene.succeed("each/[0]/a", output=1).succeed("each/[1]/a", output=3)
    assert scene.output == 3


def test_a_loop_without_an_end_stops_at_its_limit() -> None:
    scene = Scene(loop("each", noop("a"), config={"until": "false", "max_iterations": 3})).start()
    assert scene.ended == (Status.FAILED, None)
    assert scene.error("each").type == "LimitReached"


def test_a_loop_over_items_is_sequential_and_stops_at_the_first_failure() -> None:
    scene = Scene(loop("each", function("a"), config={"items": [1, 2, 3]})).start()
    scene.succeed("each/[0]/a").fail("each/[1]/a")
    assert scene.ended == (Status.FAILED, None)
    assert scene.state.find("/each/[2]/") is None


def test_a_loop_with_a_lenient_rule_goes_on_after_a_failure() -> None:
    scene = Scene(loop("each", function("a"), config={"items": [1, 2]}, success=Success(at_least=1)), output=OUT).start()
    scene.fail("each/[0]/a").succeed("each/[1]/a", output=5)
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)
    assert scene.output == [None, 5]


def test_a_loop_may_count_in_a_variable() -> None:
    count = Step(id="count", type="set", config={"n": "{{ variables.n + 1 }}"})
    scene = Scene(loop("each", count, config={"until": "variables.n >= 4"}), output="{{ variables.n }}").start(variables={"n": 0})
    assert scene.output == 4


# ── steps that end at once ───────────────────────────────────────────────────────────────────────────────────────────


def test_set_fail_and_aggregate() -> None:
    scene = Scene(
        config("vars", "set", who="{{ input.who }}"),
        Step(id="sum", type="aggregate", config={"items": "{{ input.rows }}", "operation": "sum", "field": "n", "group_by": "k"}),
        Step(id="stop", type="fail", depends_on=("vars",), config={"type": "OutOfStock", "message": "no {{ variables.who }}"}),
        Step(id="mend", type="noop", depends_on=("stop",), join=Join.ANY_FAILED, handles=("OutOfStock",)),
        output="{{ steps.sum.output }}",
    ).start(given={"who": "ann", "rows": [{"k": "a", "n": 1}, {"k": "b", "n": 2}, {"k": "a", "n": 3}]})
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.error("stop").message == "no ann"
    assert scene.output == {"a": 4, "b": 2}


def test_a_filter_takes_the_signals_that_it_names_and_leaves_the_others() -> None:
    scene = Scene(
        wait("mine", config={"signal": "paid", "filter": "event.order == input.order"}),
        wait("any", "mine", config={"signal": "paid"}),
        output="{{ [steps.mine.output.n, steps.any.output.n] }}",
    ).start(given={"order": 7})
    scene.signal("paid", {"order": 6, "n": 1})
    scene.signal("paid", "nothing to look into")
    assert scene.status("mine") is Status.WAITING
    scene.signal("paid", {"order": 7, "n": 2})
    assert scene.phases("mine", "any") == ["completed", "completed"]
    assert scene.output == [2, 1]


# ── control of a subtree ─────────────────────────────────────────────────────────────────────────────────────────────


def working(output: str | None = None) -> Scene:
    each = mapped("each", function("a"), function("b", "a"), items=[1, 2, 3], config={"max_concurrency": 2})
    return Scene(each, function("other"), output=output).start()


def test_a_pause_of_a_group_reaches_what_is_opened_later_and_a_resume_lets_it_go_on() -> None:
    scene = working()
    scene.pause("/each/")
    scene.succeed("each/[0]/a", "each/[1]/a", "other")
    assert scene.admit() == []
    assert scene.status("each/[0]/b") is Status.PAUSED
    scene.resume("/each/")
    assert scene.admit() == ["each/[0]/b", "each/[1]/b"]


def test_a_pause_of_a_group_lets_it_end_but_opens_nothing() -> None:
    scene = Scene(mapped("each", function("a"), items=[1, 2], config={"max_concurrency": 1}), output=OUT).start()
    scene.pause("/each/")
    scene.succeed("each/[0]/a")
    assert scene.state.find("/each/[1]/") is None
    scene.resume("/each/")
    scene.admit()
    scene.succeed("each/[1]/a")
    assert scene.ended == (Status.COMPLETED, None)


def test_pauses_of_a_group_and_of_a_task_in_it_are_two() -> None:
    scene = working()
    scene.pause("/each/[0]/b/")
    scene.pause("/each/")
    scene.succeed("each/[0]/a", "each/[1]/a")
    scene.resume("/each/")
    assert scene.admit() == ["each/[1]/b"]
    scene.resume("/each/[0]/b/")
    assert scene.admit() == ["each/[0]/b"]


def test_the_clocks_of_a_paused_group_stand_still() -> None:
    scene = Scene(mapped("each", wait("nap", config={"duration": "10s"}), items=[1, 2])).start()
    scene.at(4).pause("/each/")
    scene.at(100)
    assert scene.status("each/[0]/nap") is Status.PAUSED
    scene.resume("/each/")
    scene.at(105)
    assert not scene.state.is_finished
    scene.at(106)
    assert scene.ended == (Status.COMPLETED, None)


def test_a_cancel_of_a_group_waits_for_what_runs_and_nothing_more_begins() -> None:
    scene = working()
    scene.cancel("/each/")
    assert sorted(type(effect).__name__ for effect in scene.effects) == ["Halt", "Halt"]
    assert scene.status("each") is Status.RUNNING
    scene.report("each/[0]/a", cmd.Abandoned())
    scene.succeed("each/[1]/a")
    assert scene.phases("each", "each/[0]", "each/[0]/a", "each/[0]/b", "each/[1]/a") == [
        "cancelled",
        "cancelled",
        "cancelled",
        "cancelled",
        "completed",
    ]
    scene.succeed("other")
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)


def test_a_cancel_of_a_group_in_which_nothing_runs_ends_it_at_once() -> None:
    scene = Scene(mapped("each", wait("nap", config={"signal": "go"}), items=[1, 2])).start()
    scene.cancel("/each/")
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)
    assert scene.types() == ["SubtreeCancelled", "TaskCancelled", "ExecutionCompleted"]


def test_a_cancel_of_one_iteration_is_a_flaw_of_the_group() -> None:
    scene = working()
    scene.cancel("/each/[0]/")
    scene.report("each/[0]/a", cmd.Abandoned())
    assert scene.phases("each/[0]", "each") == ["cancelled", "expanded"]
    with pytest.raises(CommandRefusedError):
        scene.cancel("/each/[0]/")
    for path in ("each/[1]/a", "each/[1]/b", "each/[2]/a", "each/[2]/b", "other"):
        scene.succeed(path)
    assert scene.error("each").type == "SuccessRuleBroken"


def test_a_cancel_inside_a_cancel_is_refused_and_a_wider_one_takes_it_over() -> None:
    scene = working()
    scene.cancel("/each/[0]/")
    with pytest.raises(CommandRefusedError) as refused:
        scene.pause("/each/[0]/b/")
    assert refused.value.name in {"already_cancelling", "task_already_finished"}
    scene.cancel("/each/")
    scene.report("each/[0]/a", cmd.Abandoned())
    scene.report("each/[1]/a", cmd.Abandoned())
    assert scene.phases("each") == ["cancelled"]


def test_a_terminate_of_a_group_ends_it_at_once() -> None:
    scene = working()
    scene.terminate("/each/")
    assert [type(effect).__name__ for effect in scene.effects] == ["Halt", "Halt"]
    assert scene.phases("each", "each/[1]/a") == ["cancelled", "cancelled"]
    scene.succeed("other")
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)


def test_a_group_has_a_timeout() -> None:
    scene = Scene(mapped("each", function("a"), items=[1, 2], timeout_ms=5_000)).start()
    scene.succeed("each/[0]/a").at(5)
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)
    assert scene.error("each").type == "Timeout"
    assert [type(effect).__name__ for effect in scene.effects if type(effect).__name__ == "Halt"] == ["Halt"]


def test_a_cancel_of_the_execution_and_its_timeout_reach_everything() -> None:
    scene = working()
    scene.cancel()
    for path in ("each/[0]/a", "each/[1]/a", "other"):
        scene.report(path, cmd.Abandoned())
    assert scene.ended == (Status.CANCELLED, None)
    assert scene.state.open_count == 0


def test_the_rule_of_the_workflow_is_applied_to_what_had_completed_before_a_cancel() -> None:
    scene = Scene(function("a"), function("b"), success=Success(at_least=1)).start()
    scene.succeed("a")
    scene.cancel()
    scene.report("b", cmd.Abandoned())
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)
    scene = Scene(function("a"), function("b"), success=Success(at_least=1)).start()
    scene.cancel()
    scene.succeed("a", admit=False).report("b", cmd.Abandoned())
    assert scene.ended == (Status.CANCELLED, None)


def test_a_workflow_rule_judges_its_steps() -> None:
    scene = Scene(function("a"), function("b"), success=Success(percent=50.0)).start()
    scene.succeed("a").fail("b")
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)


# ── a new round ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_retry_of_a_failed_execution_goes_on_inside_the_group() -> None:
    scene = working(OUT)
    scene.fail("each/[0]/a").succeed("each/[1]/a", output=1).succeed("each/[1]/b", output=11)
    scene.succeed("each/[2]/a").succeed("each/[2]/b", output=12).succeed("other")
    assert scene.ended == (Status.FAILED, None)
    scene.retry()
    assert scene.admit() == ["each/[0]/a"]
    scene.succeed("each/[0]/a").succeed("each/[0]/b", output=10)
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.output == [10, 11, 12]


def test_a_retry_of_one_task_in_a_group_that_goes_on() -> None:
    scene = working()
    scene.fail("each/[0]/a")
    scene.retry("/each/[0]/a/")
    assert scene.phases("each/[0]", "each/[0]/b") == ["expanded", "pending"]
    assert scene.admit() == ["each/[0]/a"]
    scene.succeed("each/[0]/a").succeed("each/[0]/b", output=0)
    assert scene.phases("each/[0]") == ["completed"]


def test_a_retry_of_a_group_begins_what_failed_in_it() -> None:
    scene = working()
    scene.cancel("/each/")
    scene.report("each/[0]/a", cmd.Abandoned())
    scene.report("each/[1]/a", cmd.Succeeded(raw(1)))
    scene.retry("/each/")
    assert scene.admit() == ["each/[0]/a", "each/[1]/b"]
    for path in ("each/[0]/a", "each/[0]/b", "each/[1]/b", "each/[2]/a", "each/[2]/b", "other"):
        scene.succeed(path, output=path)
    assert scene.ended == (Status.COMPLETED, None)


def test_a_retry_of_a_group_leaves_alone_what_is_being_cancelled_in_it() -> None:
    scene = working()
    scene.cancel("/each/[0]/")
    with pytest.raises(CommandRefusedError) as refused:
        scene.retry("/each/")
    assert refused.value.name == "nothing_to_retry"
    scene.report("each/[0]/a", cmd.Abandoned())
    scene.retry("/each/")
    assert "each/[0]/b" not in scene.admit()
    assert scene.phases("each/[0]", "each/[0]/a") == ["expanded", "running"]


def test_a_retry_of_a_loop_goes_on_where_it_stopped() -> None:
    scene = Scene(loop("each", function("a"), config={"items": [1, 2, 3]}), output=OUT).start()
    scene.succeed("each/[0]/a", output=1).fail("each/[1]/a")
    scene.retry()
    scene.admit()
    scene.succeed("each/[1]/a", output=2).succeed("each/[2]/a", output=3)
    assert scene.output == [1, 2, 3]


def test_what_a_group_completed_without_is_not_retried() -> None:
    scene = Scene(both(success=Success(at_least=1)), function("after", "both")).start()
    scene.fail("both/right/a").succeed("both/left/a").succeed("both/left/b")
    with pytest.raises(CommandRefusedError) as refused:
        scene.retry("/both/right/a/")
    assert refused.value.name == "group_completed"
    scene.succeed("after")
    with pytest.raises(CommandRefusedError) as refused:
        scene.retry()
    assert refused.value.name == "nothing_to_retry"
    with pytest.raises(CommandRefusedError) as refused:
        scene.retry("/both/right/a/")
    assert refused.value.name == "group_completed"


def test_losses_and_attempts_inside_a_group_are_as_anywhere() -> None:
    scene = Scene(mapped("each", function("a", retry=RetryPolicy(max_attempts=2, jitter=0.0)), items=[1])).start()
    scene.lose("each/[0]/a")
    scene.admit()
    scene.fail("each/[0]/a").at(1)
    scene.admit()
    scene.crash()
    scene.succeed("each/[0]/a")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_story_tells_of_groups() -> None:
    scene = working()
    assert scene.story("/each/") == ["begins", "opens [0] to [1]"]
    assert scene.why("/each/") == "0/3 done, 2 running"
    assert scene.why("/each/[0]/b/") == "waits for a (join all_success)"


def test_what_was_skipped_by_itself_has_not_completed_and_what_a_person_skipped_has() -> None:
    steps = (function("a"), function("b", "a"), function("c", "a"))
    for rule in (Success(at_least=1), Success(at_least=2), Success(percent=50.0)):
        scene = Scene(*steps, success=rule).start()
        scene.fail("a")
        assert (scene.phases("b", "c"), scene.ended) == (["skipped", "skipped"], (Status.FAILED, None))
        scene.skip("/a/")
        scene.admit()
        scene.succeed("b").fail("c")
        assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)


@pytest.mark.parametrize("rule", [Success(), Success(when="children.failed == 0 and children.cancelled == 0")])
def test_what_a_cancel_cuts_off_counts_as_cancelled(rule: Success) -> None:
    scene = Scene(function("a"), function("b", "a"), success=rule).start()
    scene.succeed("a")
    scene.cancel()
    scene.report("b", cmd.Abandoned())
    assert scene.ended == (Status.CANCELLED, None)


def test_a_cancel_with_compensation_undoes_although_the_rule_is_met() -> None:
    scene = Scene(function("a", compensate=function("")), function("b"), success=Success(at_least=1)).start()
    scene.succeed("a")
    scene.do(cmd.Cancel(at=scene.now, path="/", compensates=True))
    scene.report("b", cmd.Abandoned())
    scene.admit()
    scene.succeed("a/[undo]")
    assert scene.ended == (Status.CANCELLED, Outcome.COMPENSATED)


WEIRD: tuple[Json, ...] = (None, True, 0, 7, -1, 1.5, "", "x", [], [1], {}, {"a": 1}, "9" * 400, [[[]]], 2**53)
CONTROLS: dict[str, tuple[str, ...]] = {
    "wait": ("duration", "until", "signal", "deadline"),
    "set": ("n",),
    "fail": ("type", "message"),
    "aggregate": ("items", "operation", "field", "group_by"),
    "signal": ("signal", "execution", "data"),
    "approval": ("approvers", "message", "deadline", "escalation"),
    "workflow": ("workflow", "version", "detach"),
    "map": ("items", "max_concurrency", "batch_size"),
    "loop": ("items", "max_concurrency", "max_iterations"),
}
GOOD: dict[str, Json] = {
    "items": [{"a": 1}, {"a": "x"}, 3],
    "operation": "collect",
    "workflow": "child",
    "signal": "go",
    "execution": "ex_1",
    "message": "why",
    "duration": "1s",
}


@pytest.mark.parametrize("kind", CONTROLS)
def test_no_value_of_a_config_breaks_a_turn(kind: str) -> None:
    for key in CONTROLS[kind]:
        others = [name for name in CONTROLS[kind] if name in GOOD and name != key]
        others = [name for name in others if kind != "wait" or name == ("signal" if key == "deadline" else "")]
        for value in WEIRD:
            rendered = {key: "{{ input.value }}", **{name: GOOD[name] for name in others}}
            blocks = (Block(steps=(noop("x"),)),) if kind in {"map", "loop"} else ()
            scene = Scene(msgspec.structs.replace(config("s", kind, **rendered), blocks=blocks)).start(given={"value": value})
            error = scene.state.error
            assert error is None or kind == "fail" or error.type in {"ValidationError", "ExpressionError", "Timeout"}, (
                key,
                value,
                error,
            )


def test_items_are_bounded_by_name() -> None:
    items: list[Json] = [0] * 100_001
    scene = Scene(mapped("each", noop("x"), items="{{ input }}")).start(given=items)
    assert scene.state.error is not None
    assert "100,001 items, 100,000 are allowed" in scene.state.error.message


def test_a_sum_that_is_no_number_any_more_fails() -> None:
    for operation in ("sum", "average"):
        scene = Scene(config("s", "aggregate", items=[1e308, 1e308], operation=operation)).start()
        assert scene.state.error is not None
        assert "too large" in scene.state.error.message
