"""Everything that a document can say, said by a function with ``@workflow``: the same model as the document's and the builder's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from taskengine import (
    Engine,
    TaskBuilder,
    WorkflowBuilder,
    aggregate,
    approval,
    case,
    condition,
    error_of,
    fail,
    loop,
    map_over,
    noop,
    parallel,
    send_signal,
    set_variables,
    status_of,
    step,
    sub_workflow,
    task,
    wait,
    workflow,
)
from taskengine.define import load_text
from taskengine.define.options import StepOptions
from taskengine.errors import DefinitionError
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import OnFailure, Step, Workflow

Said = Callable[[WorkflowBuilder], object]


@task(register_as="double")
def double(number: int) -> int:
    return 2 * number


@task(register_as="note")
def note(text: Any = "", **more: Any) -> Any:
    return text


def call(name: str, function: str = "note", **params: Any) -> TaskBuilder:
    return TaskBuilder(name).with_job_function(function, params)


def traced(function: Callable[..., object], **settings: Any) -> Workflow:
    return workflow(name="w", **settings)(function).workflow


def steps_of(function: Callable[..., object]) -> dict[str, Step]:
    return {one.id: one for one in traced(function).every_step() if one.id}


def refused(function: Callable[..., object], **settings: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        traced(function, **settings)
    return caught.value


# ── one model ────────────────────────────────────────────────────────────────────────────────────────────────────────
# Each shape: as a document, by the builder, as a function; with what a run of it gives.


def choosing(number: int) -> Any:
    doubled = double(number)
    return condition(
        case(doubled > 10, lambda: note("much"), name="many"),
        (doubled > 4, lambda: note("some")),
        otherwise=lambda: note(f"only {doubled}"),
        success="any",
        id="check",
    )


def choosing_built(b: WorkflowBuilder) -> None:
    b.with_task(call("double", "double", number="{{ input.number }}"))
    check = b.condition("check").with_dependencies("double").with_success("any")
    check.case("steps.double.output > 10", call("note", text="much"), name="many")
    check.case("steps.double.output > 4", call("note_2", text="some"))
    check.otherwise(call("note_3", text="only {{ steps.double.output }}"))
    b.with_output("{{ steps.check.output }}")


CHOOSING = """
  - {id: double, type: function, config: {function: double, params: {number: "{{ input.number }}"}}}
  - id: check
    type: condition
    success: any
    depends_on: [double]
    cases:
      - when: steps.double.output > 10
        name: many
        steps: [{id: note, type: function, config: {function: note, params: {text: much}}}]
      - {when: steps.double.output > 4, steps: [{id: note_2, type: function, config: {function: note, params: {text: some}}}]}
    else: [{id: note_3, type: function, config: {function: note, params: {text: "only {{ steps.double.output }}"}}}]
output: "{{ steps.check.output }}"
"""


def branching(number: int) -> Any:
    return parallel(
        left=lambda: double(number),
        right=lambda: note("r"),
        max_concurrency=1,
        success={"at_least": 1},
        timeout="1h",
        id="both",
    )


def branching_built(b: WorkflowBuilder) -> None:
    both = b.parallel("both").with_config(max_concurrency=1).with_success({"at_least": 1}).with_timeout("1h")
    both.branch("left", call("double", "double", number="{{ input.number }}")).branch("right", call("note", text="r"))
    b.with_output("{{ steps.both.output }}")


BRANCHING = """
  - id: both
    type: parallel
    success: {at_least: 1}
    timeout: 1h
    config: {max_concurrency: 1}
    branches:
      left: [{id: double, type: function, config: {function: double, params: {number: "{{ input.number }}"}}}]
      right: [{id: note, type: function, config: {function: note, params: {text: r}}}]
output: "{{ steps.both.output }}"
"""


def mapping(number: int) -> Any:
    def each(item: Any, index: int) -> Any:
        doubled = double(item, when=index > 0)
        note([doubled, index])
        return {"place": index, "doubled": doubled}

    return map_over([1, number], each, max_concurrency=3, success={"at_least": "80%"})


def mapping_built(b: WorkflowBuilder) -> None:
    each = b.map("map", items=[1, "{{ input.number }}"], max_concurrency=3).with_success({"at_least": "80%"})
    each.do(
        call("double", "double", number="{{ item }}").with_condition("index > 0"),
        call("note", text=["{{ steps.double.output }}", "{{ index }}"]).with_dependencies("double"),
        lambda block: block.with_output({"place": "{{ index }}", "doubled": "{{ steps.double.output }}"}),
    )
    b.with_output("{{ steps.map.output }}")


MAPPING = """
  - id: map
    type: map
    config: {items: [1, "{{ input.number }}"], max_concurrency: 3}
    success: {at_least: "80%"}
    steps:
      - {id: double, type: function, when: index > 0, config: {function: double, params: {number: "{{ item }}"}}}
      - id: note
        type: function
        depends_on: [double]
        config: {function: note, params: {text: ["{{ steps.double.output }}", "{{ index }}"]}}
    output: {place: "{{ index }}", doubled: "{{ steps.double.output }}"}
output: "{{ steps.map.output }}"
"""


def looping(number: int) -> Any:
    until = loop(lambda index: double(index), until=lambda doubled: doubled >= number, max_iterations=9)  # noqa: PLW0108 -- a body
    while_ = loop(lambda: note("again"), while_=lambda index: index < 2, id="more", max_iterations=9)
    items = loop(note, items=[1, 2], max_concurrency=2, id="all")
    return [until, while_, items]


def looping_built(b: WorkflowBuilder) -> None:
    b.loop("loop", until="output >= input.number", max_iterations=9).do(call("double", "double", number="{{ index }}"))
    b.loop("more", while_="index < 2", max_iterations=9).do(call("note", text="again"))
    b.loop("all", items=[1, 2], max_concurrency=2).do(call("note_2", text="{{ item }}"))
    b.with_output(["{{ steps.loop.output }}", "{{ steps.more.output }}", "{{ steps.all.output }}"])


LOOPING = """
  - id: loop
    type: loop
    config: {until: output >= input.number, max_iterations: 9}
    steps: [{id: double, type: function, config: {function: double, params: {number: "{{ index }}"}}}]
  - id: more
    type: loop
    config: {while: index < 2, max_iterations: 9}
    steps: [{id: note, type: function, config: {function: note, params: {text: again}}}]
  - id: all
    type: loop
    config: {items: [1, 2], max_concurrency: 2}
    steps: [{id: note_2, type: function, config: {function: note, params: {text: "{{ item }}"}}}]
output: ["{{ steps.loop.output }}", "{{ steps.more.output }}", "{{ steps.all.output }}"]
"""


def controls(number: int) -> Any:
    kept = set_variables({"count": 7}, id="keep")
    rested = wait(duration="1ms", after=kept)
    found = aggregate([{"city": "a", "n": number}], "sum", field="n", group_by="city", after=rested)
    fail(type="TooMuch", message=f"not {number}", when=number > 100, name="Too much")
    met = noop(after=[found, "keep"], output_mapping={"sum": found.a})
    said = step("function", {"function": "note", "params": {"text": met["sum"]}}, id="say", retry=2, tags=["x"])
    return [said, "{{ variables.count }}"]


def controls_built(b: WorkflowBuilder) -> None:
    b.set("keep", count=7)
    b.wait("wait", duration="1ms").with_dependencies("keep")
    items = [{"city": "a", "n": "{{ input.number }}"}]
    b.aggregate("aggregate", items=items, operation="sum", field="n", group_by="city").with_dependencies("wait")
    b.fail("Too much", type="TooMuch", message="not {{ input.number }}").with_condition("input.number > 100")
    b.noop("noop").with_dependencies("aggregate", "keep").with_output_mapping({"sum": "{{ steps.aggregate.output.a }}"})
    b.with_task(call("say", text="{{ steps.noop.output.sum }}").with_dependencies("noop").with_retry(2).with_tags("x"))
    b.with_output(["{{ steps.say.output }}", "{{ variables.count }}"])


CONTROLS = """
  - {id: keep, type: set, config: {count: 7}}
  - {id: wait, type: wait, depends_on: [keep], config: {duration: 1ms}}
  - id: aggregate
    type: aggregate
    depends_on: [wait]
    config: {items: [{city: a, n: "{{ input.number }}"}], operation: sum, field: n, group_by: city}
  - id: Too_much
    name: Too much
    type: fail
    when: input.number > 100
    config: {type: TooMuch, message: "not {{ input.number }}"}
  - {id: noop, type: noop, depends_on: [aggregate, keep], output_mapping: {sum: "{{ steps.aggregate.output.a }}"}}
  - id: say
    type: function
    depends_on: [noop]
    config: {function: note, params: {text: "{{ steps.noop.output.sum }}"}}
    retry: {max_attempts: 2}
    tags: [x]
output: ["{{ steps.say.output }}", "{{ variables.count }}"]
"""


def nested(number: int) -> Any:
    first = double(number)

    def row(numbers: Any) -> Any:
        return map_over(numbers, lambda one: cell(numbers, one), id="row")

    def cell(numbers: Any, one: Any) -> Any:
        return condition((one > first, lambda: note([numbers[0], one])), otherwise=lambda: double(one), id="cell")

    return map_over([[1, 2], [number, 9]], row, id="rows")


def nested_built(b: WorkflowBuilder) -> None:
    b.with_task(call("double", "double", number="{{ input.number }}"))

    def row(block: Any) -> None:
        block.noop("item").with_output_mapping({"item": "{{ item }}"})
        block.map("row", items="{{ item }}").with_dependencies("item").do(cell)

    def cell(block: Any) -> None:
        check = block.condition("cell").case(
            "item > steps.double.output", call("note", text=["{{ steps.item.output.item[0] }}", "{{ item }}"])
        )
        check.otherwise(call("double_2", "double", number="{{ item }}"))

    b.map("rows", items=[[1, 2], ["{{ input.number }}", 9]]).with_dependencies("double").do(row)
    b.with_output("{{ steps.rows.output }}")


NESTED = """
  - {id: double, type: function, config: {function: double, params: {number: "{{ input.number }}"}}}
  - id: rows
    type: map
    depends_on: [double]
    config: {items: [[1, 2], ["{{ input.number }}", 9]]}
    steps:
      - {id: item, type: noop, output_mapping: {item: "{{ item }}"}}
      - id: row
        type: map
        depends_on: [item]
        config: {items: "{{ item }}"}
        steps:
          - id: cell
            type: condition
            cases:
              - when: item > steps.double.output
                steps:
                  - id: note
                    type: function
                    config: {function: note, params: {text: ["{{ steps.item.output.item[0] }}", "{{ item }}"]}}
            else: [{id: double_2, type: function, config: {function: double, params: {number: "{{ item }}"}}}]
output: "{{ steps.rows.output }}"
"""

SHAPES: list[tuple[Callable[..., object], Said, str, Any]] = [
    (choosing, choosing_built, CHOOSING, "some"),
    (branching, branching_built, BRANCHING, {"left": 6, "right": "r"}),
    (mapping, mapping_built, MAPPING, [{"place": 0, "doubled": None}, {"place": 1, "doubled": 6}]),
    (looping, looping_built, LOOPING, [4, "again", [1, 2]]),
    (controls, controls_built, CONTROLS, [3, 7]),
    (nested, nested_built, NESTED, [[2, 4], [6, [3, 9]]]),
]
INPUT = "{type: object, properties: {number: {type: integer}}, required: [number], additionalProperties: false}"


def document(text: str, *, head: str = "") -> Workflow:
    return load_text(f"name: w\ninput: {INPUT}\n{head}steps:{text}", file="w.yaml").require()


@pytest.mark.parametrize(("function", "build", "text", "output"), SHAPES, ids=[one[0].__name__ for one in SHAPES])
def test_document_builder_and_function_are_one_model_and_do_the_same(
    function: Callable[..., object], build: Said, text: str, output: Any
) -> None:
    builder = WorkflowBuilder("w").with_input(document(text).input_schema or {})
    build(builder)
    declared = workflow(name="w")(function)
    assert declared.workflow == document(text)
    assert declared.workflow == builder.build().workflow
    for said in (declared, builder, document(text)):
        with Engine(":memory:", functions={"double": double, "note": note}) as engine:
            result = engine.execute_workflow(said, params={"number": 3}).result(timeout=20)
        assert (result.status, result.output) == (Status.COMPLETED, output)


@pytest.mark.parametrize("function", [one[0] for one in SHAPES], ids=lambda function: function.__name__)
def test_what_is_declared_is_the_document_that_it_writes(function: Callable[..., object]) -> None:
    declared = workflow(name="w")(function)
    for text in (declared.to_yaml(), declared.to_json()):
        assert load_text(text, file="w").require() == declared.workflow


def test_steps_that_wait_for_others_say_the_words_of_the_document() -> None:
    def asking(number: int) -> Any:
        came = wait(signal="go", filter=lambda event: event.order == number, deadline="2h")
        sent = sub_workflow("daily report", {"day": came.day}, version="1", detach=True, timeout="1h")
        send_signal("done", execution=sent.execution_id, data={"n": number})
        form = {"type": "object"}
        escalation = {"after": "1d", "to": ["bob"]}
        approval(
            approvers=["ann"], message=f"{number}?", form=form, deadline="2d", escalation=escalation, join="all_done", after=came
        )
        step("http", {"method": "GET", "url": "https://example.org/{{ input.number }}"}, on_error="continue", idempotent=False)

    assert traced(asking) == document("""
      - {id: wait, type: wait, config: {signal: go, filter: event.order == input.number, deadline: 2h}}
      - id: daily_report
        type: workflow
        depends_on: [wait]
        timeout: 1h
        config: {workflow: daily report, version: "1", detach: true}
        input_mapping: {day: "{{ steps.wait.output.day }}"}
      - id: signal
        type: signal
        depends_on: [daily_report]
        config: {signal: done, execution: "{{ steps.daily_report.output.execution_id }}", data: {n: "{{ input.number }}"}}
      - id: approval
        type: approval
        depends_on: [wait]
        join: all_done
        config:
          {approvers: [ann], message: "{{ input.number }}?", form: {type: object}, deadline: 2d, escalation: {after: 1d, to: [bob]}}
      - id: http
        type: http
        on_error: continue
        idempotent: false
        config: {method: GET, url: "https://example.org/{{ input.number }}"}
    """)


def test_the_whole_workflow_is_said_by_the_decorator() -> None:
    def whole(number: int) -> None:
        noop(id="a")

    said = traced(
        whole, success={"when": "children.failed < 1"}, on_failure="fail", business_key="{{ input.number }}", is_template=True
    )
    head = "success: {when: children.failed < 1}\nbusiness_key: '{{ input.number }}'\nis_template: true\n"
    assert said == document("\n  - {id: a, type: noop}", head=head)


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


def test_ids_are_numbered_through_the_whole_workflow() -> None:
    def many() -> None:
        parallel([lambda: note("a"), lambda: note("b")])
        parallel({"left": lambda: note.with_options(id="same")("c"), "when": lambda: note.with_options(id="same")("d")})
        note("e")

    found = traced(many)
    assert [one.id for one in found.every_step()] == ["parallel", "note", "note_2", "parallel_2", "same", "same", "note_3"]
    assert [block.name for block in found.steps[1].blocks] == ["left", "when"]


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

    @task(register_as="engine")
    def engine_gives(item: Any, index: int) -> None: ...

    def many() -> None:
        map_over([1], priced)
        map_over([1], lambda index, row: priced(row, index=index))
        map_over([1], lambda: engine_gives())  # noqa: PLW0108 -- a body without parameters
        map_over([1], named)

    steps = steps_of(many)
    assert steps["priced"].config["params"] == {"row": "{{ item }}", "index": "{{ index }}"}
    assert steps["priced_2"].config["params"] == {"row": "{{ item }}", "index": "{{ index }}"}
    assert "params" not in steps["engine_gives"].config
    assert "params" not in steps["named"].config


def test_the_item_of_a_map_is_seen_in_a_loop_and_a_map_inside_of_it() -> None:
    def asking(rows: list[Any]) -> Any:
        def each(row: Any, index: int) -> Any:
            asked = loop(lambda: note(row.name), until=lambda name: name == row.name, max_iterations=2)
            return map_over([1], lambda one: note([asked, index, one]))

        return map_over(rows, each)

    found = traced(asking)
    item, around, inner = found.steps[0].blocks[0].steps
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
        engine.deploy(report)
        assert engine.execute_workflow(week, params={"days": [1, 2]}).result(timeout=20).output == [2, 4]
    assert report(4) == 8


# ── what cannot be ───────────────────────────────────────────────────────────────────────────────────────────────────


def leaking_item() -> Any:
    kept: list[Any] = []
    map_over([1], lambda item: kept.append(item) or note(item))
    return note(kept[0])


def leaking_step() -> Any:
    kept: list[Any] = []
    parallel(left=lambda: kept.append(note("a")), right=lambda: noop())  # noqa: PLW0108 -- a body
    return note(kept[0])


def branching_on_item() -> Any:
    return map_over([1], lambda item: note("yes") if item > 1 else note("no"))


def hidden_by_join() -> Any:
    def each(item: Any) -> Any:
        first = noop()
        return map_over([1], lambda one: note([item, one]), join="any_success", after=first)

    return map_over([1], each)


def needing(text: Any, gave: Any, where: Any) -> Any:
    return note([text, gave, where])


async def async_body() -> None:
    """No body."""


def doubtful() -> None:
    set_variables({"count": 1}, when="input.x")
    note("{{ variables.count }}")


def forgotten(number: Any) -> Any:
    return 2 * number


def unlike(**given: Any) -> Any:
    return note.with_options(**given)("a")


BROKEN: list[tuple[str, str, str, Callable[..., object]]] = [
    ("placeholder_has_no_value", "'item > 1'", "condition(", branching_on_item),
    ("placeholder_has_no_value", "'steps.note.output'", "map_over(", lambda: list(note("a"))),
    ("name_not_available", 'step "note_2" reads the item of a map', "map_over() gave", leaking_item),
    ("inner_step", "steps[1].config.params.text", "steps.parallel.output", leaking_step),
    ("hidden_item", 'step "map_2"', "another join", hidden_by_join),
    (
        "wrong_type",
        "the body of map \"map\": expected a function, found Placeholder('steps.note.output')",
        "lambda",
        lambda: map_over([1], note("a")),
    ),
    ("wrong_type", 'case 0 of condition "condition": expected a function', "lambda", lambda: condition((True, 3))),  # type: ignore[arg-type]
    ("wrong_type", "case 1", "otherwise=", lambda: condition((True, noop), note)),  # type: ignore[arg-type]
    ("wrong_type", "3 values", "otherwise=", lambda: condition((True, noop, 3))),  # type: ignore[arg-type]
    ("wrong_type", "expected a condition", "when=", lambda: condition((3, noop))),  # type: ignore[arg-type]
    ("wrong_type", "expected functions by name", "parallel(left=", lambda: parallel(3)),  # type: ignore[arg-type]
    ("wrong_type", 'branch "left"', "lambda", lambda: parallel({"left": 3})),  # type: ignore[dict-item]
    ("unknown_key", "parallel() knows no", "every step knows", lambda: parallel(left=noop, right=3)),
    ("unknown_key", "timout", "timeout", lambda: noop(timout="1h")),  # type: ignore[call-arg]
    ("unknown_key", "count", "set_variables({", lambda: set_variables({}, count=1)),  # type: ignore[call-arg]
    ("wrong_type", "a mapping", "set_variables({", lambda: set_variables(3)),  # type: ignore[arg-type]
    ("unordered_variable", 'step "note" comes after "set"', "condition(", doubtful),
    ("empty_block", "the body of map", "is forgotten() a task?", lambda: map_over([1], forgotten)),
    ("empty_block", "otherwise of condition", "call a task in it", lambda: condition((True, noop), otherwise=lambda: None)),
    ("async_graph", "the body of loop", "without await", lambda: loop(async_body, until="true")),
    ("wrong_arguments", "no value for b", "item, index", lambda: map_over([1], lambda a, b: note([a, b]))),
    ("wrong_arguments", "the body of loop", "index", lambda: loop(lambda item: note(item), until="true")),  # noqa: PLW0108
    ("wrong_type", "until of loop", "in the body", lambda: loop(noop, until=lambda: note("a"))),
    ("one_way_to_loop", "found none", "until", lambda: loop(noop)),
    ("missing_key", "cases", "cases:", lambda: condition(otherwise=noop)),
    ("missing_key", "branches", "branches:", lambda: parallel()),  # noqa: PLW0108 -- so that it has a name
    ("bad_branch_name", "a b", "a_b", lambda: parallel({"a b": noop})),
    ("unknown_choice", "success", "", lambda: parallel(left=noop, success="most")),
    ("success_out_of_reach", "1 of 2", "at_least", lambda: parallel(left=noop, success={"at_least": 2})),
    ("out_of_range", "max_concurrency", "", lambda: map_over([1], noop, max_concurrency=0)),
    ("duplicate_step_id", '"x"', "leave the id out", lambda: [noop(id="x"), wait(duration="1s", id="x")]),
    ("id_used_around", '"x"', "another id", lambda: map_over([1], lambda: noop(id="x"), id="x")),
    ("unknown_dependency", "cannot come after", "of the same block", lambda: map_over([1], lambda item: noop(after=item))),
    ("wrong_type", "error_of(): expected what a step gave", "not of a part", lambda: note(error_of(note("a").part))),
    ("wrong_type", "status_of(): expected what a step gave", "not of a part", lambda: note(status_of("a"))),
    ("one_way_to_wait", "none of them", "duration", lambda: wait()),  # noqa: PLW0108
    ("missing_key", "message", "config:", lambda: fail(type="X")),
    ("unknown_choice", "operation", "average", lambda: aggregate([1], "mean")),
    ("unknown_step_type", "shel", "script", lambda: step("shell", {"command": "ls"})),
    ("wrong_type", "expected a workflow", "sub_workflow(", lambda: sub_workflow(3)),
    ("bad_compensation", "has no steps", "one piece of work", lambda: unlike(compensate=lambda: None)),
    ("bad_compensation", "has 2 steps", "one piece of work", lambda: unlike(compensate=lambda: [noop(), noop()])),
    ("bad_compensation", "cannot have when", "leave it out", lambda: unlike(compensate=lambda: noop(when=True))),
    ("bad_compensation", "a map step", "type: workflow", lambda: unlike(compensate=lambda: map_over([1], noop))),
    ("wrong_type", "the compensation of step", "lambda", lambda: unlike(compensate="undo")),
    ("wrong_arguments", "no value for where", "text", lambda: unlike(compensate=needing)),
]


@pytest.mark.parametrize(
    ("name", "said", "hint", "function"), BROKEN, ids=[f"{place} {one[0]}" for place, one in enumerate(BROKEN)]
)
def test_what_cannot_be_declared_is_refused_by_name_place_and_hint(
    name: str, said: str, hint: str, function: Callable[..., object]
) -> None:
    error = refused(function)
    assert error.name == name
    assert said in error.message
    assert hint in error.hint


def test_the_words_of_every_step_are_told() -> None:
    assert [word for word in StepOptions.__annotations__ if f"``{word}``" not in (step.__doc__ or "")] == []


def test_a_step_outside_of_a_workflow_is_refused() -> None:
    for call_it in (noop, lambda: map_over([1], note), lambda: wait(duration="1s")):
        with pytest.raises(DefinitionError, match="no workflow is being declared") as caught:
            call_it()
        assert caught.value.name == "not_declaring"
        assert "@workflow" in caught.value.hint
