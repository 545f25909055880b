"""Everything that a document can say, said by a function with ``@workflow``: the same model as the document's and the builder's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from taskengine import (
    Engine,
    TaskBuilder,
    Workflow,
    WorkflowBuilder,
    aggregate,
    approval,
    case,
    condition,
    fail,
    loop,
    map_over,
    noop,
    parallel,
    send_signal,
    set_variables,
    step,
    sub_workflow,
    wait,
    workflow,
)
from taskengine.define import load_text
from taskengine.model.status import Status
from tests.define.tracing import double, note, traced

Said = Callable[[WorkflowBuilder], object]


def call(name: str, function: str = "note", **params: Any) -> TaskBuilder:
    return TaskBuilder(name).with_job_function(function, params)


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


def asking(number: int) -> Any:
    came = wait(signal="go", filter=lambda event: event.order == number, deadline="2h")
    form = {"type": "object"}
    escalation = {"after": "1d", "to": ["bob"]}
    said = approval(approvers=["ann"], message=f"{number}?", form=form, deadline="2d", escalation=escalation, id="ok")
    child = sub_workflow("child", {"day": came.day}, version="1", detach=True, join="all_done", after=said)
    sent = send_signal("done", execution=child.execution_id, data={"n": number}, on_error="continue")
    step("http", {"method": "GET", "url": f"https://example.org/{number}"}, idempotent=False, when="false")
    called = sub_workflow("other", {"day": came.day}, after=sent, timeout="1h")
    return {"day": came.day, "by": said.by, "child": child.execution_id, "called": called}


def asking_built(b: WorkflowBuilder) -> None:
    b.wait("wait", signal="go", filter="event.order == input.number", deadline="2h")
    escalation = {"after": "1d", "to": ["bob"]}
    message = "{{ input.number }}?"
    b.approval("ok", approvers=["ann"], message=message, form={"type": "object"}, deadline="2d", escalation=escalation)
    inputs = {"day": "{{ steps.wait.output.day }}"}
    b.sub_workflow("child", "child", version="1", inputs=inputs, detach=True).with_join("all_done").with_dependencies("ok", "wait")
    execution = "{{ steps.child.output.execution_id }}"
    sent = b.send_signal("signal", "done", execution=execution, data={"n": "{{ input.number }}"})
    sent.with_on_error("continue").with_dependencies("child")
    http = {"method": "GET", "url": "https://example.org/{{ input.number }}"}
    b.with_task(TaskBuilder("http").with_type("http", http).with_idempotent(is_idempotent=False).with_condition("false"))
    b.sub_workflow("other", "other", inputs=inputs).with_timeout("1h").with_dependencies("signal", "wait")
    output = {"day": "{{ steps.wait.output.day }}", "by": "{{ steps.ok.output.by }}", "child": execution}
    b.with_output({**output, "called": "{{ steps.other.output }}"})


ASKING = """
  - {id: wait, type: wait, config: {signal: go, filter: event.order == input.number, deadline: 2h}}
  - id: ok
    type: approval
    config:
      {approvers: [ann], message: "{{ input.number }}?", form: {type: object}, deadline: 2d, escalation: {after: 1d, to: [bob]}}
  - id: child
    type: workflow
    depends_on: [ok, wait]
    join: all_done
    config: {workflow: child, version: "1", detach: true}
    input_mapping: {day: "{{ steps.wait.output.day }}"}
  - id: signal
    type: signal
    depends_on: [child]
    on_error: continue
    config: {signal: done, execution: "{{ steps.child.output.execution_id }}", data: {n: "{{ input.number }}"}}
  - id: http
    type: http
    when: "false"
    idempotent: false
    config: {method: GET, url: "https://example.org/{{ input.number }}"}
  - id: other
    type: workflow
    depends_on: [signal, wait]
    timeout: 1h
    config: {workflow: other}
    input_mapping: {day: "{{ steps.wait.output.day }}"}
output:
  day: "{{ steps.wait.output.day }}"
  by: "{{ steps.ok.output.by }}"
  child: "{{ steps.child.output.execution_id }}"
  called: "{{ steps.other.output }}"
"""
CHILDREN = """
name: child
version: "1"
steps: [{id: heard, type: wait, config: {signal: done, deadline: 1h}}]
output: ["{{ input.day }}", "{{ steps.heard.output.n }}"]
---
name: other
steps: [{id: a, type: noop}]
output: "{{ input.day }}"
"""


async def test_steps_that_wait_for_others_are_one_model_and_do_the_same() -> None:
    found = document(ASKING)
    builder = WorkflowBuilder("w").with_input(found.input_schema or {})
    asking_built(builder)
    declared = workflow(name="w")(asking)
    assert declared.workflow == found
    assert builder.build().workflow == found
    for said in (declared, builder, found):
        async with Engine(":memory:") as engine:
            for text in CHILDREN.split("---"):
                await engine.deploy(load_text(text, file="child.yaml").require())
            execution = await engine.execute_workflow(said, params={"number": 3})
            await engine.signal(execution.id, "go", data={"order": 4, "day": "not this one"})
            await engine.signal(execution.id, "go", data={"order": 3, "day": "Monday"})
            await engine.decide(execution.id, "/ok/", by="ann")
            result = await execution.result(timeout=20)
            child = await engine.wait_for_instance(result.output["child"], timeout=20)
        assert (result.status, child.status, child.output) == (Status.COMPLETED, Status.COMPLETED, ["Monday", 3])
        assert result.output == {"day": "Monday", "by": "ann", "child": result.output["child"], "called": "Monday"}


def test_the_whole_workflow_is_said_by_the_decorator() -> None:
    def whole(number: int) -> None:
        noop(id="a")

    said = traced(
        whole, success={"when": "children.failed < 1"}, on_failure="fail", business_key="{{ input.number }}", is_template=True
    )
    head = "success: {when: children.failed < 1}\nbusiness_key: '{{ input.number }}'\nis_template: true\n"
    assert said == document("\n  - {id: a, type: noop}", head=head)
