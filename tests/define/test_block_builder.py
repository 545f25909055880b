"""Containers, steps of the engine's own and compensations, put together by a program: the same model as the document's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from taskengine import Engine, Step, TaskBuilder, WorkflowBuilder
from taskengine.define import load_text
from taskengine.define.block_builder import BlockBuilder, ConditionBuilder
from taskengine.errors import DefinitionError
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import OnFailure, Success


def call(name: str, function: str = "f", **params: Any) -> TaskBuilder:
    return TaskBuilder(name).with_job_function(function, params)


def condition(b: WorkflowBuilder) -> None:
    b.with_task(call("load"))
    check = b.condition("check").with_dependencies("load")
    check.case("steps.load.output > 1", call("big"), name="many").case("input.y", lambda block: block.with_output(1).noop("y"))
    check.otherwise(lambda block: block.with_tasks(call("small"), call("then").with_dependencies("small")))


def parallel(b: WorkflowBuilder) -> None:
    b.parallel("both").branch("left", call("a")).branch("right", call("b")).with_success("any").with_timeout("1h")


def mapped(b: WorkflowBuilder) -> None:
    each = b.map("each", items="{{ input.rows }}", max_concurrency=3, batch_size=2).with_success({"at_least": "80%"})
    each.do(lambda block: block.with_task(call("one", row="{{ item }}")).with_output("{{ steps.one.output }}"))


def looped(b: WorkflowBuilder) -> None:
    b.loop("poll", until="steps.ask.output.done", max_iterations=50).do(call("ask"), lambda block: block.wait("nap", duration="1s"))
    b.loop("more", while_="index < 3").do(call("again"))
    b.loop("all", items=[1, 2], max_concurrency=2).do(call("it"))


def controls(b: WorkflowBuilder) -> None:
    b.with_params(count=0)
    b.sub_workflow("sub", "other", version="1", inputs={"n": 1}).with_timeout("1h")
    b.approval("ok", approvers=["ann"], message="fine?", deadline="2d")
    b.set("count", count="{{ variables.count + 1 }}")
    b.wait("nap", signal="go", filter="event.order == input.order", deadline="2h")
    b.send_signal("tell", "done", business_key="{{ input.order }}", data=1)
    b.aggregate("sum", items="{{ input.rows }}", operation="sum", field="amount", group_by="city")
    b.fail("stop", type="OutOfStock", message="none left").with_condition("input.n == 0")
    b.noop("meet")


def saga(b: WorkflowBuilder) -> None:
    b.with_task(call("book").with_compensation("unbook", {"id": "{{ steps.book.output }}"}, retry=3, timeout="1m"))


def nested(b: WorkflowBuilder) -> None:
    def each(block: BlockBuilder) -> None:
        block.condition("check").case("item > 1", call("deep", n="{{ index }}"))
        block.with_task(call("after").with_dependencies("check"))

    b.map("each", items=[1, 2]).do(each)


SHAPES: list[Callable[[WorkflowBuilder], None]] = [condition, parallel, mapped, looped, controls, saga, nested]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_what_is_built_is_the_document_that_it_writes(shape: Callable[[WorkflowBuilder], None]) -> None:
    builder = WorkflowBuilder("w")
    shape(builder)
    workflow = builder.build().workflow
    for text in (builder.to_yaml(), builder.to_json()):
        assert load_text(text, file="w").require() == workflow


def test_the_words_are_those_of_the_language() -> None:
    builder = WorkflowBuilder("w")
    for shape in (condition, parallel, mapped, looped, saga):
        shape(builder)
    document = """
name: w
on_failure: compensate
steps:
  - {id: load, type: function, config: {function: f}}
  - id: check
    type: condition
    depends_on: [load]
    cases:
      - {when: steps.load.output > 1, name: many, steps: [{id: big, type: function, config: {function: f}}]}
      - {when: input.y, output: 1, steps: [{id: y, type: noop}]}
    else:
      - {id: small, type: function, config: {function: f}}
      - {id: then, type: function, config: {function: f}, depends_on: [small]}
  - id: both
    type: parallel
    success: any
    timeout: 1h
    branches:
      left: [{id: a, type: function, config: {function: f}}]
      right: [{id: b, type: function, config: {function: f}}]
  - id: each
    type: map
    success: {at_least: "80%"}
    config: {items: "{{ input.rows }}", max_concurrency: 3, batch_size: 2}
    steps: [{id: one, type: function, config: {function: f, params: {row: "{{ item }}"}}}]
    output: "{{ steps.one.output }}"
  - id: poll
    type: loop
    config: {until: steps.ask.output.done, max_iterations: 50}
    steps: [{id: ask, type: function, config: {function: f}}, {id: nap, type: wait, config: {duration: 1s}}]
  - {id: more, type: loop, config: {while: index < 3}, steps: [{id: again, type: function, config: {function: f}}]}
  - id: all
    type: loop
    config: {items: [1, 2], max_concurrency: 2}
    steps: [{id: it, type: function, config: {function: f}}]
  - id: book
    type: function
    config: {function: f}
    compensate:
      {type: function, config: {function: unbook, params: {id: "{{ steps.book.output }}"}}, retry: {max_attempts: 3}, timeout: 1m}
"""
    assert builder.build().workflow == load_text(document, file="w").require()


def test_names_in_any_letters_are_resolved_block_by_block() -> None:
    builder = WorkflowBuilder("w").with_task(call("load it"))
    each = builder.map("for each", items='{{ steps["load it"].output }}').with_dependencies("load it")
    each.do(
        lambda block: (
            block.with_tasks(call("get it"), call("use it", x='{{ steps["get it"].output }}').with_dependencies("get it"))
            .condition("is it")
            .with_dependencies("use it")
            .case('steps["use it"].output', call("get it again", y='{{ steps["load it"].output }}'))
        )
    )
    workflow = builder.with_output('{{ steps["for each"].output }}').build().workflow
    assert [step.id for step in workflow.every_step()] == ["load_it", "for_each", "get_it", "use_it", "is_it", "get_it_again"]
    again = [*workflow.every_step()][-1]
    assert again.config["params"] == {"y": "{{ steps.load_it.output }}"}
    assert workflow.steps[1].blocks[0].steps[2].blocks[0].when == "steps.use_it.output"


def test_defaults_reach_into_blocks_and_functions_are_found_there() -> None:
    def double(x: int) -> int:
        return 2 * x

    def undo(x: int) -> None:
        pass

    builder = WorkflowBuilder("w").with_defaults(timeout="5s", retry=2)
    inside = TaskBuilder("one").with_job_function(double, x="{{ item }}").with_compensation(undo, {"x": 1}, timeout="1s")
    builder.map("each", items=[1, 2, 3]).do(inside)
    built = builder.with_output("{{ steps.each.output }}").build()
    step = built.steps[0].blocks[0].steps[0]
    assert (step.timeout_ms, step.retry.max_attempts, built.steps[0].timeout_ms) == (5_000, 2, None)
    assert step.compensate is not None
    assert (step.compensate.timeout_ms, step.compensate.retry.max_attempts) == (1_000, 2)
    assert set(built.functions.values()) == {double, undo}
    with Engine(":memory:") as engine:
        assert engine.execute_workflow(built).result(timeout=10).output == [2, 4, 6]


def test_a_workflow_with_a_compensation_compensates_unless_it_says_otherwise() -> None:
    def made(on_failure: str = "") -> OnFailure:
        builder = WorkflowBuilder("w").with_task(call("book").with_compensation("unbook"))
        return (builder.with_on_failure(on_failure) if on_failure else builder).build().workflow.on_failure

    assert made() is made("compensate") is OnFailure.COMPENSATE
    assert made("fail") is OnFailure.FAIL
    assert WorkflowBuilder("w").with_task(call("book")).build().workflow.on_failure is OnFailure.FAIL


def test_a_workflow_has_a_success_rule_and_a_business_key() -> None:
    workflow = (
        WorkflowBuilder("w")
        .with_tasks(call("a"), call("b"))
        .with_success({"at_least": 1})
        .with_business_key("{{ input.id }}")
        .with_is_template()
        .build()
        .workflow
    )
    assert (workflow.success, workflow.business_key) == (Success(at_least=1), "{{ input.id }}")
    assert workflow.is_template
    assert WorkflowBuilder("w").with_task(call("a")).with_success(Success(percent=50.0)).build().workflow.success is not None


REFUSED: list[tuple[str, str, Callable[[], object]]] = [
    ("case_after_else", "never be looked at", lambda: ConditionBuilder("c").otherwise(call("a")).case("true", call("b"))),
    ("case_after_else", "two otherwise", lambda: ConditionBuilder("c").otherwise(call("a")).otherwise(call("b"))),
    ("two_bodies", "body already", lambda: WorkflowBuilder("w").map("m", items=[]).do(call("a")).do(call("b"))),
    ("unknown_choice", "success", lambda: WorkflowBuilder("w").parallel("p").with_success("most")),
    ("unknown_choice", "on_failure", lambda: WorkflowBuilder("w").with_on_failure("undo")),
    ("wrong_type", "expected a task", lambda: WorkflowBuilder("w").parallel("p").branch("a", 3)),  # type: ignore[arg-type]
    ("wrong_type", "condition", lambda: ConditionBuilder("c").case(3, call("a"))),  # type: ignore[arg-type]
    ("bad_function", "<lambda>", lambda: call("a").with_compensation(lambda: 1)),
    ("unknown_key", "retries", lambda: call("a").with_compensation("undo", retry={"retries": 3})),
]


@pytest.mark.parametrize(("name", "said", "build"), REFUSED, ids=[f"{number} {one[0]}" for number, one in enumerate(REFUSED)])
def test_what_makes_no_sense_is_refused_by_name(name: str, said: str, build: Callable[[], object]) -> None:
    with pytest.raises(DefinitionError) as caught:
        build()
    assert caught.value.name == name
    assert said in caught.value.message


def test_a_task_does_not_depend_on_what_is_in_another_block() -> None:
    builder = WorkflowBuilder("w")
    builder.parallel("both").branch("left", call("a")).branch("right", call("b").with_dependencies("a"))
    with pytest.raises(DefinitionError, match='"b" depends on "a"'):
        builder.build()


def test_a_step_as_data_may_hold_blocks_too() -> None:
    built = WorkflowBuilder("other")
    mapped(built)
    each = built.build().steps[0]
    assert WorkflowBuilder("w").with_tasks(Step(id="x", type="noop"), each).build().steps[1] == each


def test_a_saga_of_a_builder_is_undone() -> None:
    undone: list[Any] = []

    def book(what: str) -> str:
        return f"{what} booked"

    def unbook(what: str) -> None:
        undone.append(what)

    def pay() -> None:
        raise ValueError("no money")

    builder = WorkflowBuilder("trip")
    for name in ("hotel", "flight"):
        task = TaskBuilder(name).with_job_function(book, what=name)
        builder.with_task(task.with_compensation(unbook, {"what": f"{{{{ steps.{name}.output }}}}"}))
    builder.with_task(TaskBuilder("pay").with_job_function(pay).with_dependencies("hotel", "flight"))
    with Engine(":memory:") as engine:
        result = engine.execute_workflow(builder).result(timeout=10)
    assert (result.status, result.outcome) == (Status.FAILED, Outcome.COMPENSATED)
    assert sorted(undone) == ["flight booked", "hotel booked"]
