"""Inputs, outputs, conditions: what steps are given, what later ones see, and how an expression that fails is told."""

from __future__ import annotations

from typing import Any

import pytest

from taskengine.errors import CommandRefusedError
from taskengine.kernel.advance import advance
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.codec import decode_event, encode_event
from taskengine.model.status import Status
from taskengine.model.value import ABSENT, NONE, Json, decode, raw
from taskengine.model.workflow import Join, OnError, RetryPolicy, Step, Workflow
from tests.kernel.scene import ID, Scene, function, noop


def given_to(scene: Scene, name: str) -> Json:
    """The input of a step's first attempt, as its event has it."""
    number = scene.plan.by_id[name]
    first = next(event for event in scene.history if isinstance(event, ev.TaskScheduled) and event.task == number)
    return decode(first.input) if first.input else None


def test_an_input_is_rendered_from_params_and_input_mapping_the_mapping_wins() -> None:
    step = function(
        "b",
        "a",
        config={"params": {"x": "{{ steps.a.output.x }}", "y": "param", "z": 1}},
        input_mapping={"y": "{{ input.y }} and {{ variables.n }}"},
    )
    scene = Scene(function("a"), step).start(given={"y": "mapped"}, variables={"n": 3}).succeed("a", output={"x": [1, None]})
    assert given_to(scene, "b") == {"x": [1, None], "y": "mapped and 3", "z": 1}


def test_a_constant_input_is_not_written_into_the_history() -> None:
    scene = Scene(function("a", config={"params": {"x": 1}})).start()
    assert scene.history[-1] == ev.TaskScheduled(at=0, task=1, attempt=1)
    assert decode(scene.plan.steps[1].constant_input) == {"x": 1}


def test_an_input_is_rendered_once_and_serves_all_attempts() -> None:
    step = function("a", config={"params": {"x": "{{ input.x }}"}}, retry=RetryPolicy(max_attempts=3, initial_interval_ms=0))
    scene = Scene(step).start(given={"x": 1}).fail("a")
    scene.lose("a")
    scene.admit()
    scheduled = [event for event in scene.history if isinstance(event, ev.TaskScheduled)]
    assert [bool(event.input) for event in scheduled] == [True, False, False]
    assert decode(scene.state.live[1].input) == {"x": 1}


def test_the_execution_itself_can_be_named() -> None:
    step = function(
        "a", config={"params": {"e": "{{ execution.id }}", "b": "{{ execution.business_key }}", "v": "{{ execution.version }}"}}
    )
    scene = Scene(step).start(business_key="order-7")
    assert given_to(scene, "a") == {"e": scene.state.execution_id, "b": "order-7", "v": "1"}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"config": {"params": {"x": "{{ input.missing }}"}}}, "input: "),
        ({"when": "input.missing"}, "when: "),
        ({"when": "input.number"}, "when: "),
    ],
)
def test_an_expression_that_fails_fails_its_task_by_name_and_is_not_retried(options: dict[str, Any], word: str) -> None:
    scene = Scene(function("a", retry=RetryPolicy(max_attempts=3), **options), function("b")).start(given={"number": 1})
    assert scene.phases() == ["failed", "running"]
    assert scene.error("a").type == "ExpressionError"
    assert scene.error("a").message.startswith(word)


def test_an_output_that_cannot_be_mapped_fails_the_task_and_is_not_retried() -> None:
    step = function("a", output_mapping={"x": "{{ output.x }}"}, retry=RetryPolicy(max_attempts=3))
    scene = Scene(step).start().succeed("a", output={})
    assert scene.types(scene.history)[-2:] == ["TaskFailed", "ExecutionFailed"]
    assert scene.error("a").message.startswith("output_mapping: ")


def test_an_output_mapping_may_read_other_steps() -> None:
    steps = (function("a"), function("b", "a", output_mapping={"sum": "{{ output + steps.a.output }}"}))
    scene = Scene(*steps, output="{{ steps.b.output }}").start().succeed("a", output=1).succeed("b", output=2)
    assert scene.output == {"sum": 3}


def test_the_output_of_the_execution_may_name_any_step() -> None:
    scene = Scene(function("a"), function("b", "a"), output={"a": "{{ steps.a.output }}", "n": "{{ input.n }}"}).start(
        given={"n": 5}
    )
    scene.succeed("a", output="first").succeed("b")
    assert scene.output == {"a": "first", "n": 5}


def test_an_execution_whose_output_cannot_be_made_fails_by_name() -> None:
    scene = Scene(function("a"), output="{{ steps.a.output.x }}").start().succeed("a", output={})
    assert scene.ended == (Status.FAILED, None)
    assert scene.state.error is not None
    assert scene.state.error.type == "ExpressionError"
    assert scene.state.error.message.startswith("output: ")


def test_the_output_of_a_skipped_step_is_none_and_that_of_a_failed_one_is_missing() -> None:
    steps = (
        function("skipped", when="false"),
        function("failed", on_error=OnError.CONTINUE),
        function("sees", "skipped", "failed", join=Join.ALL_DONE, config={"params": {"x": "{{ steps.skipped.output }}"}}),
        function("looks", "failed", join=Join.ALL_DONE, config={"params": {"x": "{{ steps.failed.output }}"}}),
        function("asks", "failed", join=Join.ALL_DONE, config={"params": {"x": "{{ steps.failed.error.type }}"}}),
    )
    scene = Scene(*steps).start().fail("failed")
    assert given_to(scene, "sees") == {"x": None}
    assert given_to(scene, "asks") == {"x": "Boom"}
    assert scene.error("looks").type == "ExpressionError"
    assert "steps.failed.output" in scene.error("looks").message


def test_statuses_can_be_asked_for() -> None:
    steps = (function("a"), noop("b", "a", join=Join.ALL_DONE, when='steps.a.status == "failed"'))
    assert Scene(*steps).start().fail("a").phases("b") == ["completed"]
    assert Scene(*steps).start().succeed("a").phases("b") == ["skipped"]


def test_a_step_cannot_read_its_own_output() -> None:
    scene = Scene(function("a", config={"params": {"x": "{{ steps.a.output }}"}})).start()
    assert scene.error("a").type == "ExpressionError"


def test_an_output_is_kept_while_somebody_may_read_it_and_not_longer() -> None:
    steps = (
        function("a"),
        function("b", "a"),
        function("c", "b", config={"params": {"x": "{{ steps.a.output }}"}}),
        function("d", "c"),
    )
    scene = Scene(*steps).start().succeed("a", output="a")
    assert scene.state.outputs == {1: raw("a")}
    scene.succeed("b", output="b")
    assert scene.state.outputs == {1: raw("a"), 2: raw("b")}
    scene.succeed("c", output="c")
    assert scene.state.outputs == {3: raw("c")}
    scene.succeed("d", output="d")
    assert scene.state.outputs == {}


def test_what_a_failed_step_has_read_is_kept_for_its_next_round() -> None:
    scene = Scene(function("a"), function("b", "a"), function("c", "a")).start().succeed("a", output="a").succeed("c").fail("b")
    assert scene.state.outputs == {1: raw("a")}
    scene.retry()
    scene.admit()
    scene.succeed("b")
    assert scene.state.outputs == {}


def test_a_completed_step_leaves_one_byte() -> None:
    scene = Scene(*(function(f"s{n}", *([f"s{n - 1}"] if n else [])) for n in range(30))).start()
    for n in range(30):
        scene.succeed(f"s{n}", output="x" * 100)
    state = scene.state
    assert (state.live, state.outputs, state.unread, state.tally, state.timers.due) == ({}, {}, {}, {}, {})
    assert len(state.phase) == 31


def test_payloads_that_are_nothing_at_all_are_stored_as_json() -> None:
    scene = Scene(function("a"), function("b", "a"))
    scene.do(cmd.Start(at=0, workflow_id="", workflow_version="", seed=0, input=ABSENT))
    scene.do(cmd.Signal(at=0, name="go", data=ABSENT))
    scene.admit()
    scene.report("a", cmd.Succeeded(raw(None)))
    scene.admit()
    scene.report("b", cmd.Succeeded(type(NONE)(b"")))
    assert [decode_event(encode_event(event)) for event in scene.history] == scene.history
    assert scene.state.input == NONE
    assert list(scene.state.signals["go"]) == [NONE]


def test_new_values_of_variables_are_for_what_begins_later_and_for_variables_that_there_are() -> None:
    step = function("b", "a", config={"params": {"n": "{{ variables.n }}"}})
    made = Step(id="c", type="set", config={"later": 1}, depends_on=("b",))
    scene = Scene(function("a"), step, made).start(variables={"n": 1})
    scene.do(cmd.SetVariables(at=0, values={"n": raw(2), "later": raw(0)}, by="ann"))
    with pytest.raises(CommandRefusedError, match="no variable m") as refused:
        scene.do(cmd.SetVariables(at=0, values={"m": raw(2)}))
    assert (refused.value.name, refused.value.hint) == ("unknown_variable", "it has later, n")
    scene.succeed("a")
    assert given_to(scene, "b") == {"n": 2}
    scene.succeed("b")
    with pytest.raises(CommandRefusedError, match="completed"):
        scene.do(cmd.SetVariables(at=0, values={"n": raw(3)}))


@pytest.mark.parametrize(("key", "made"), [("order-{{ input.id }}", "order-7"), ("{{ input.id }}", "7"), ("fixed", "fixed")])
def test_a_business_key_is_made_of_the_input(key: str, made: str) -> None:
    plan = compile_plan(Workflow(name="keyed", version="1", steps=(noop("a"),), business_key=key))
    state = Execution(ID, plan)
    advance(state, cmd.Start(at=0, workflow_id="wf_1", workflow_version="1", seed=7, input=raw({"id": 7})))
    assert state.business_key == made
    state = Execution(ID, plan)
    advance(state, cmd.Start(at=0, workflow_id="wf_1", workflow_version="1", seed=7, input=raw({"id": 7}), business_key="given"))
    assert state.business_key == "given"


def test_a_business_key_that_cannot_be_made_refuses_the_start() -> None:
    plan = compile_plan(Workflow(name="keyed", version="1", steps=(noop("a"),), business_key="{{ input.id }}"))
    with pytest.raises(CommandRefusedError) as refused:
        advance(Execution(ID, plan), cmd.Start(at=0, workflow_id="wf_1", workflow_version="1", seed=7, input=raw({})))
    assert refused.value.name == "bad_business_key"
