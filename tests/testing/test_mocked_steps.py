"""Steps that a test plays itself: what they give, how they fail, how long they take, and what they were called with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from taskengine import Step, TaskContext
from taskengine.errors import ConflictError, NotFoundError
from taskengine.testing import HistoryError, virtual_engine
from tests.testing.workflows import FUNCTIONS, ORDER, PATIENT, call, flow, wait


def test_a_mocked_step_gives_what_was_said_and_the_function_is_not_called() -> None:
    called: list[int] = []
    with virtual_engine(functions={**FUNCTIONS, "double": called.append}) as engine:
        engine.step("fetch").returns(5)
        engine.step("again").returns({"rows": [1, 2]})
        ended = engine.run(ORDER, params={"x": 1})
        assert ended.output == {"rows": [1, 2]}
        assert called == []


def test_a_mocked_function_need_not_exist() -> None:
    with virtual_engine() as engine:
        with pytest.raises(NotFoundError, match="double"):
            engine.run(ORDER, params={"x": 1})
        engine.function("double").returns(7)
        engine.function("broken").raises(ValueError("as said"))
        engine.function("slowly").returns(None)
        ended = engine.run(ORDER, params={"x": 1})
        ended.history.completed("fetch", "again", "clean")
        ended.history.failed("bad", error="ValueError")
        assert [one.step for one in engine.function("double").calls] == ["fetch", "again"]


def test_what_is_said_of_a_step_comes_before_what_is_said_of_its_function() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.function("double").returns(1)
        engine.step("again").returns(2)
        ended = engine.run(ORDER, params={"x": 1})
        assert (ended.history.output_of("fetch"), ended.history.output_of("again")) == (1, 2)


def test_a_step_fails_so_often_and_then_does_what_it_does() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("fetch").fails(2, error=ConnectionError("no route"))
        ended = engine.run(ORDER, params={"x": 4})
        assert ended.output == 16
        ended.history.ran("fetch", times=3)
        # 1 s, then 2 s: the retry policy's own pauses.
        assert ended.history.took("fetch") == timedelta(seconds=3)
        assert [one.attempt for one in engine.step("fetch").calls] == [1, 2, 3]


def test_failures_come_before_what_is_returned() -> None:
    with virtual_engine() as engine:
        engine.step("only").fails(1).returns("in the end")
        ended = engine.run(flow(call("only", "missing", retry=PATIENT), output="{{ steps.only.output }}"))
        assert ended.output == "in the end"
        ended.history.ran("only", times=2)


def test_an_error_is_the_one_that_was_said() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("fetch").raises(TimeoutError("too late"))
        ended = engine.run(ORDER, params={"x": 1})
        ended.history.failed(error="TimeoutError")
        ended.history.failed("fetch", error="OSError")  # a base of it
        assert ended.error is not None
        assert "too late" in ended.error.message
        ended.history.ran("fetch", times=4)


def test_a_step_takes_virtual_time() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("fetch").takes(hours=2)
        engine.step("again").takes(timedelta(days=1)).returns(0)
        ended = engine.run(ORDER, params={"x": 4})
        assert ended.history.took("fetch") == timedelta(hours=2)
        assert ended.history.took("again") == timedelta(days=1)
        assert ended.history.output_of("fetch") == 8


def test_a_step_that_takes_too_long_is_timed_out() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("only").takes(minutes=1)
        ended = engine.run(flow(call("only", "double", params={"x": 1}, timeout_ms=30_000)))
        ended.history.failed("only", error="Timeout")
        assert engine.performed == {}


def test_a_step_that_takes_time_can_be_cancelled() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("only").takes(days=1)
        execution = engine.execute_workflow(flow(call("only", "double", params={"x": 1})))
        execution.cancel()
        execution.result().history.cancelled("only")


def test_a_step_may_call_another_function_with_the_real_parameters() -> None:
    seen: list[Any] = []

    def instead(ctx: TaskContext, x: int, fetch: int) -> int:
        seen.append((x, fetch, ctx.step_id, ctx.attempt))
        return x + 1

    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("again").does(instead)
        assert engine.run(ORDER, params={"x": 4}).output == 9
        assert seen == [(8, 8, "again", 1)]


def test_calls_are_noted_without_changing_them() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        fetch = engine.step("fetch")
        ended = engine.run(ORDER, params={"x": 4})
        (only,) = fetch.calls
        assert (only.params, only.attempt, only.execution_id) == ({"x": 4}, 1, ended.id)
        assert only.at == engine.clock.now - ended.history.took()
        assert ended.output == 16


def test_a_step_type_that_nothing_performs_can_be_mocked() -> None:
    step = Step(id="http", type="http", config={"url": "https://example.org/", "method": "GET"})
    with virtual_engine() as engine:
        engine.step("http").returns({"status_code": 200})
        assert engine.run(flow(step, output="{{ steps.http.output.status_code }}")).output == 200


@pytest.mark.parametrize(
    "say", [lambda engine: engine.step("fetsh"), lambda engine: engine.function("dubble")], ids=["step", "function"]
)
def test_a_name_that_no_workflow_has_is_an_error_with_the_one_that_was_meant(say: Any) -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        say(engine).returns(1)
        with pytest.raises(NotFoundError) as caught:
            engine.run(ORDER, params={"x": 1})
        assert caught.value.hint in {'did you mean "fetch"?', 'did you mean "double"?'}
        engine.deploy(flow(call("fetsh", "dubble")))


def test_a_name_that_is_wrong_to_the_end_fails_the_test() -> None:
    def act() -> None:
        with virtual_engine(functions=FUNCTIONS) as engine:
            engine.run(ORDER, params={"x": 1})
            engine.step("fetsh").returns(1)

    with pytest.raises(NotFoundError, match="fetsh"):
        act()


def test_a_step_of_the_kernels_own_cannot_be_mocked() -> None:
    def act() -> None:
        with virtual_engine() as engine:
            engine.step("month").returns(1)
            engine.run(flow(wait("month", duration="30d")))

    with pytest.raises(ConflictError, match="is a wait"):
        act()


def test_a_value_that_json_cannot_hold_fails_the_step_as_a_functions_would() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("only").returns(object())
        ended = engine.run(flow(call("only", "double", params={"x": 1})))
        with pytest.raises(HistoryError):
            ended.history.completed("only")
        ended.history.failed("only", error="ValidationError")


def test_a_secret_that_only_mocked_steps_use_is_not_asked_for() -> None:
    sealed = {"x": "{{ secrets.of_nobody }}"}
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("one").returns(1)
        engine.run(flow(call("one", "double", params=sealed))).history.completed("one")
    both = flow(call("one", "double", params=sealed), call("two", "double", params=sealed))
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("one").returns(1)
        with pytest.raises(NotFoundError, match="of_nobody"):
            engine.run(both)
        engine.step("two").returns(2)
        engine.run(both).history.completed("one", "two")
