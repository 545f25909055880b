"""Functions as the bodies of blocks and as compensations: what they are given, and what follows what."""

from __future__ import annotations

from typing import Any

from taskengine import (
    Engine,
    Step,
    condition,
    error_of,
    fail,
    loop,
    map_over,
    noop,
    parallel,
    set_variables,
    status_of,
    step,
    sub_workflow,
    task,
    wait,
    workflow,
)
from taskengine.define import load_text
from taskengine.define.declared import called_by
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import OnFailure, Success
from tests.define.tracing import double, note, steps_of, traced

# ── what undoes a step ───────────────────────────────────────────────────────────────────────────────────────────────

UNDONE: list[Any] = []


@task(register_as="cancel", retry=3, timeout="1m")
def cancel(booking: str, what: str, fee: int = 0) -> None:
    UNDONE.append([booking, what, fee])


@task(register_as="book", compensate=cancel)
def book(what: str, fee: int = 1) -> str:
    return f"{what}-7"


def test_a_compensation_gets_what_the_step_was_given_and_what_it_gave() -> None:
    def trip(place: str) -> None:
        book(place)
        book.with_options(id="car", compensate=lambda ticket: cancel.with_options(retry=1)(f"no {ticket}", "car"))("car", fee=5)

    found = traced(trip)
    text = """
name: w
on_failure: compensate
input: {type: object, properties: {place: {type: string}}, required: [place], additionalProperties: false}
steps:
  - id: book
    type: function
    config: {function: book, params: {what: "{{ input.place }}"}}
    compensate:
      type: function
      config: {function: cancel, params: {booking: "{{ steps.book.output }}", what: "{{ input.place }}", fee: 1}}
      retry: {max_attempts: 3}
      timeout: 1m
  - id: car
    type: function
    config: {function: book, params: {what: car, fee: 5}}
    compensate:
      type: function
      config: {function: cancel, params: {booking: "no {{ steps.car.output }}", what: car}}
      timeout: 1m
"""
    assert found == load_text(text, file="w").require()
    assert traced(trip, on_failure="fail").on_failure is OnFailure.FAIL


def test_what_a_workflow_did_is_undone_in_maps_and_beside_them() -> None:
    def trip(places: list[str]) -> None:
        booked = map_over(places, book, max_concurrency=1, compensate=lambda tickets: note(tickets))  # noqa: PLW0108 -- a compensation
        rested = noop(
            after=booked, compensate=lambda: step("function", {"function": "cancel", "params": {"booking": "x", "what": "y"}})
        )
        fail(type="NoCar", message="no car is free", after=rested)

    UNDONE.clear()
    with Engine(":memory:") as engine:
        result = engine.execute_workflow(workflow(name="w")(trip), params={"places": ["a", "b"]}).result(timeout=20)
    assert (result.status, result.outcome) == (Status.FAILED, Outcome.COMPENSATED)
    assert UNDONE[0] == ["x", "y", 0]
    assert sorted(UNDONE[1:]) == [["a-7", "a", 1], ["b-7", "b", 1]]


# ── what follows what ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_step_follows_what_is_read_inside_of_it() -> None:
    def reading(x: int) -> None:
        first, second, third = double(x), double(x), double(x)
        fourth = double(x)
        condition((first > 1, lambda: parallel(a=lambda: note(second), b=lambda: note("b", after=third))))
        loop(lambda: note("c"), until=lambda: fourth > 1, max_iterations=2)
        map_over([1], lambda item: [note(item), fourth], success={"when": "children.failed < steps.double.output"})

    steps = steps_of(reading)
    assert steps["condition"].depends_on == ("double", "double_2", "double_3")
    assert steps["parallel"].depends_on == ()
    assert steps["loop"].depends_on == ("double_4",)


def test_a_step_follows_what_its_filter_and_its_compensation_read() -> None:
    def reading(x: int) -> None:
        first, second = double(x), double(x)
        wait(signal="go", filter=lambda event: event.x == first, deadline="1h")
        noop(compensate=lambda: note(second))

    steps = steps_of(reading)
    assert steps["wait"].depends_on == ("double",)
    assert steps["noop"].depends_on == ("double_2",)


def test_ids_are_numbered_through_the_whole_workflow() -> None:
    def many() -> None:
        parallel([lambda: note("a"), lambda: note("b")])
        parallel({"left": lambda: note.with_options(id="same")("c"), "when": lambda: note.with_options(id="same")("d")})
        note("e")

    found = traced(many)
    assert [one.id for one in found.every_step()] == ["parallel", "note", "note_2", "parallel_2", "same", "same", "note_3"]
    assert [block.name for block in found.steps[1].blocks] == ["left", "when"]


def test_a_variable_is_not_set_behind_what_may_fail_and_is_set_before_what_a_loop_asks() -> None:
    def counting(count: int = 0) -> None:
        note.with_options(on_error="continue")(count)
        after_it = note.with_options(join="all_done")(count)
        note([after_it, count])
        set_variables({"count": 1})
        loop(noop, until=count > 0, max_iterations=3)
        parallel(only=lambda: [noop(), count])

    steps = steps_of(counting)
    assert {name: steps[name].depends_on for name in ("set", "loop", "parallel")} == {
        "set": (),
        "loop": ("set",),
        "parallel": ("set",),
    }


def test_steps_that_read_and_set_a_variable_keep_the_order_of_the_program() -> None:
    def counting(count: int = 0) -> None:
        note(count)
        note(count, when=count > 3)
        set_variables({"count": 1})
        note(count)
        loop(lambda: set_variables({"count": count + 1}), until=count > 5, max_iterations=9)
        kept = set_variables({"count": 9}, when=count > 1)
        note(count, after=kept)
        note.with_options(join="any_success")(count, after=kept)
        set_variables({"count": 3}, after=kept)
        condition((count > 1, lambda: set_variables({"count": 4})))
        note(count)

    steps = steps_of(counting)
    assert {name: one.depends_on for name, one in steps.items() if one.depends_on} == {
        "set": ("note",),  # and not what may have been skipped
        "note_3": ("set",),
        "loop": ("note_3",),
        "set_3": ("loop",),
        "note_4": ("set_3",),
        "note_5": ("set_3",),
        "set_4": ("set_3",),
        "condition": ("set_4",),
        "note_6": ("condition",),
    }
    with Engine(":memory:") as engine:
        assert engine.execute_workflow(workflow(name="w")(counting)).result(timeout=20).status is Status.COMPLETED


def test_a_rescuer_reads_how_a_step_ended() -> None:
    def rescued(number: int) -> Any:
        failed = fail(type="TooMuch", message=f"{number} is too much")
        saved = note.with_options(join="any_failed", handles=["TooMuch"])([error_of(failed).message, status_of(failed)])
        return [saved, status_of(failed)]

    with Engine(":memory:") as engine:
        result = engine.execute_workflow(workflow(name="w")(rescued), params={"number": 3}).result(timeout=20)
    assert (result.status, result.output) == (Status.COMPLETED, [["3 is too much", "failed"], "failed"])
    assert steps_of(rescued)["note"].depends_on == ("fail",)


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_body_is_given_what_its_parameters_ask_for() -> None:
    @task(register_as="named")
    def named(*, limit: int = 3) -> None: ...

    @task(register_as="priced")
    def priced(row: Any, tax: float = 0.2, index: int = 0) -> None: ...

    @task(register_as="taxed")
    def taxed(ctx: Any, item: Any, tax: float = 0.2) -> None: ...

    @task(register_as="engine")
    def engine_gives(item: Any, index: int) -> None: ...

    def many() -> None:
        map_over([1], priced)
        map_over([1], lambda index, row: priced(row, index=index))
        map_over([1], lambda: engine_gives())  # noqa: PLW0108 -- a body without parameters
        map_over([1], lambda: condition((True, lambda: engine_gives())))  # noqa: PLW0108 -- likewise
        map_over([1], named)
        map_over([1], taxed)

    steps = steps_of(many)
    assert steps["priced"].config["params"] == {"row": "{{ item }}", "index": "{{ index }}"}
    assert steps["priced_2"].config["params"] == {"row": "{{ item }}", "index": "{{ index }}"}
    assert "params" not in steps["engine_gives"].config
    assert "params" not in steps["engine_gives_2"].config
    assert "params" not in steps["named"].config
    assert steps["taxed"].config["params"] == {"item": "{{ item }}"}


def test_a_body_gives_what_its_function_returns() -> None:
    def each(item: Any) -> Any:
        first = double(item)
        note(first)
        return first

    def chosen(item: Any) -> Any:
        return condition((item > 1, lambda: [note("a"), item][1:]), success=lambda children: children.completed >= item)

    def many() -> None:
        map_over([1], each)
        map_over([1], lambda item: note(item))  # noqa: PLW0108 -- a body
        map_over([1], chosen)
        parallel([noop], success={"when": double(2) > 3}, compensate=note)

    found = traced(many)
    assert [one.blocks[0].output for one in found.steps[:3]] == ["{{ steps.double.output }}", None, None]
    chosen_step = found.steps[2].blocks[0].steps[0]
    assert chosen_step.blocks[0].output == ["{{ item }}"]
    assert chosen_step.success == Success(when="children.completed >= item")
    last = found.steps[-1]
    assert last.depends_on == ("double_2",)
    assert last.success == Success(when="steps.double_2.output > 3")
    assert last.compensate is not None
    assert last.compensate.config["params"] == {"text": "{{ steps.parallel.output }}"}


def test_the_item_of_a_map_is_seen_in_a_loop_and_a_map_inside_of_it() -> None:
    def asking(rows: list[Any]) -> Any:
        def each(row: Any, index: int) -> Any:
            asked = loop(lambda: note(row.name), until=lambda name: name == row.name, max_iterations=2)
            double(index)
            return map_over([1], lambda one: note([asked, index, one]))

        return map_over(rows, each)

    found = traced(asking)
    item, around, other, inner = found.steps[0].blocks[0].steps
    assert other.depends_on == ()
    assert item == Step(id="item", type="noop", output_mapping={"index": "{{ index }}", "item": "{{ item }}"})
    assert (around.depends_on, inner.depends_on) == (("item",), ("item", "loop"))
    assert around.config["until"] == "output == steps.item.output.item.name"
    with Engine(":memory:") as engine:
        result = engine.execute_workflow(workflow(name="w")(asking), params={"rows": [{"name": "a"}, {"name": "b"}]}).result(
            timeout=20
        )
    assert result.output == [[["a", 0, 1]], [["b", 1, 1]]]


def test_a_workflow_called_by_another_is_an_execution_of_its_own() -> None:
    @workflow(name="daily report")
    def report(day: int, length: int = 2) -> Any:
        return double(day)

    @workflow(name="week")
    def week(days: list[int]) -> Any:
        return map_over(days, lambda day: report(day, after=noop()))

    step = [*week.workflow.every_step()][-1]
    assert (step.type, step.config, step.input_mapping) == ("workflow", {"workflow": "daily report"}, {"day": "{{ item }}"})
    with Engine(":memory:") as engine:
        assert engine.execute_workflow(week, params={"days": [1, 2]}).result(timeout=20).output == [2, 4]
    assert report(4) == 8


def test_workflows_that_call_each_other_are_deployed_together() -> None:
    @workflow
    def ping(left: int) -> Any:
        return sub_workflow(pong, {"left": left - 1}, when=left > 0)

    @workflow
    def pong(left: int) -> Any:
        return parallel(again=lambda: ping(left, when=left > 0), left=lambda: double(left))

    assert called_by(ping.declared()) == [pong.declared()]
    with Engine(":memory:") as engine:
        output = engine.execute_workflow(ping, params={"left": 3}).result(timeout=20).output
    assert output == {"left": 4, "again": {"left": 2, "again": {"left": 0, "again": None}}}
