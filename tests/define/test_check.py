"""The checks of a workflow that a program made, and the graph checks against a slow and simple judge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskengine.define import Finding, check, load_text, to_document
from taskengine.define.given import Doubts
from taskengine.define.graph import Graph
from taskengine.errors import DefinitionError
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.join import OK, SKIPPED, UNHAPPY, Verdict, verdict
from taskengine.model.workflow import Join, Limits, OnError, RetryPolicy, Step, Workflow
from tests.define.workflows import workflows

SMALL = Workflow(name="a", steps=(Step(id="a", type="noop"),))


def errors(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(finding.name, finding.path) for finding in findings if finding.severity == "error"]


def of_step(**attributes: Any) -> Workflow:
    """A workflow with one step, a noop unless said otherwise."""
    return Workflow(name="a", steps=(Step(**{"id": "a", "type": "noop", **attributes}),))


def test_a_sound_workflow_gives_nothing() -> None:
    assert check(SMALL) == ()


def test_findings_of_a_program_have_a_path_and_no_line() -> None:
    (finding,) = check(of_step(depends_on=("b",)))
    assert (finding.code, finding.name, finding.severity) == ("TE1204", "unknown_dependency", "error")
    assert (finding.path, finding.file, finding.line, finding.column) == ("steps[0].depends_on[0]", "", 0, 0)
    assert finding.message == 'step "a" depends on "b", which does not exist'


@pytest.mark.parametrize(
    ("kind", "word", "said"),
    [
        (Step, "timeout", "Step has no attribute 'timeout', did you mean 'timeout_ms'? It is a number of milliseconds."),
        (RetryPolicy, "max_interval", "RetryPolicy has no attribute 'max_interval', did you mean 'max_interval_ms'? "),
        (Step, "idempotent", "Step has no attribute 'idempotent', did you mean 'is_idempotent'?"),
        (Step, "depend_on", "Step has no attribute 'depend_on', did you mean 'depends_on'?"),
        (Limits, "shoes", "Limits has no attribute 'shoes'; it has timeout_ms, max_concurrency, priority"),
    ],
    ids=lambda one: one if isinstance(one, str) and " " not in one else "",
)
def test_an_attribute_that_there_is_not_is_answered_with_the_one_that_was_meant(kind: Any, word: str, said: str) -> None:
    with pytest.raises(TypeError) as raised:
        kind(**{"id": "a", "type": "noop", word: 1} if kind is Step else {word: 1})
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    ("workflow", "expected"),
    [
        (Workflow(name=""), [("bad_name", "name"), ("no_steps", "steps")]),
        (msgspec.structs.replace(SMALL, version="a b"), [("bad_version", "version")]),
        (msgspec.structs.replace(SMALL, limits=Limits(priority=10)), [("out_of_range", "limits.priority")]),
        (msgspec.structs.replace(SMALL, limits=Limits(timeout_ms=0)), [("out_of_range", "limits.timeout")]),
        (of_step(id="a b"), [("bad_step_id", "steps[0].id")]),
        (of_step(type="htp"), [("unknown_step_type", "steps[0].type")]),
        (of_step(type="webhook"), [("not_in_this_version", "steps[0].type")]),
        (of_step(priority=-1), [("out_of_range", "steps[0].priority")]),
        (of_step(timeout_ms=-5), [("out_of_range", "steps[0].timeout")]),
        (of_step(retry=RetryPolicy(max_attempts=0)), [("out_of_range", "steps[0].retry.max_attempts")]),
        (of_step(retry=RetryPolicy(backoff_coefficient=float("nan"))), [("out_of_range", "steps[0].retry.backoff_coefficient")]),
        (
            of_step(retry=RetryPolicy(initial_interval_ms=9_000_000)),
            [("retry_intervals_swapped", "steps[0].retry.initial_interval")],
        ),
        (of_step(when="1 +"), [("unexpected_end", "steps[0].when")]),
        (
            of_step(type="function", config={"function": "f", "params": {"a b": "{{ input. }}"}}),
            [("unexpected_end", 'steps[0].config.params["a b"]')],
        ),
    ],
)
def test_a_program_is_told_what_a_document_is_told(workflow: Workflow, expected: list[tuple[str, str]]) -> None:
    assert errors(check(workflow)) == expected


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (float("nan"), "variables.x"),
        (float("inf"), "variables.x"),
        (1 << 64, "variables.x"),
        ("\ud800", "variables.x"),
        ("a\0b", "variables.x"),
        ((1, 2), "variables.x"),
        ({1, 2}, "variables.x"),
        (b"bytes", "variables.x"),
        (object(), "variables.x"),
        ([0, {"y": object()}], "variables.x[1].y"),
        ({1: 2}, "variables.x"),
        ({"a\0": 2}, "variables.x"),
    ],
)
def test_a_value_that_no_document_can_hold_is_named_at_its_path(value: object, path: str) -> None:
    assert errors(check(msgspec.structs.replace(SMALL, variables={"x": value}))) == [("not_json", path)]


def test_a_value_nested_too_deep_or_in_itself_is_named() -> None:
    endless: list[Any] = []
    endless.append(endless)
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    assert [name for name, _ in errors(check(msgspec.structs.replace(SMALL, output=endless)))] == ["not_json"]
    assert [name for name, _ in errors(check(msgspec.structs.replace(SMALL, output=deep)))] == ["too_deep"]


@pytest.mark.parametrize(
    "workflow",
    [
        msgspec.structs.replace(SMALL, name=5),
        msgspec.structs.replace(SMALL, variables=[]),
        msgspec.structs.replace(SMALL, steps=(msgspec.structs.replace(SMALL.steps[0], depends_on="abc"),)),
        msgspec.structs.replace(SMALL, steps=(msgspec.structs.replace(SMALL.steps[0], timeout_ms="5"),)),
        msgspec.structs.replace(SMALL, steps=(msgspec.structs.replace(SMALL.steps[0], config="x"),)),
    ],
    ids=["name", "variables", "dependencies", "timeout", "config"],
)
def test_an_attribute_of_another_type_is_named_and_nothing_is_raised(workflow: Workflow) -> None:
    assert [name for name, _ in errors(check(workflow))] == ["wrong_type"]


def test_the_limit_on_steps_is_a_setting_that_the_finding_names() -> None:
    workflow = Workflow(name="a", steps=tuple(Step(id=f"s{number}", type="noop") for number in range(4)))
    assert check(workflow, max_steps=4) == ()
    (finding,) = check(workflow, max_steps=3)
    assert (finding.name, finding.path) == ("too_many_steps", "steps[3]")
    assert "3" in finding.message
    (finding,) = load_text(to_document(workflow), file="a.json", max_steps=3).findings
    assert finding.name == "too_many_steps"


def test_a_reference_is_a_step_of_the_builder_as_well() -> None:
    steps = (Step(id="a", type="noop"), Step(id="b", type="noop", when="steps.a.output == 1"))
    assert errors(check(Workflow(name="a", steps=steps))) == [("not_surely_before", "steps[1].when")]


@pytest.mark.parametrize(
    ("schema", "name", "expected"),
    [
        (None, "x", None),
        ({}, "x", None),
        ({"properties": {"day": {}}, "required": ["day"]}, "day", None),
        ({"properties": {"day": {}}}, "day", "optional_input"),
        ({"properties": {"day": {}}}, "x", "undeclared_input"),
        ({"properties": {"day": {}}, "additionalProperties": True}, "x", "undeclared_input"),
        ({"properties": {"day": {}}, "additionalProperties": False}, "x", "unknown_input"),
        ({"properties": {}, "additionalProperties": False}, "x", "unknown_input"),
        ({"properties": {"day": {}}, "additionalProperties": False, "patternProperties": {"x": {}}}, "x", None),
        ({"properties": {"day": {}}, "allOf": [{}]}, "x", None),
        ({"properties": []}, "x", "bad_schema"),
        ({"properties": {"day": {"default": 1}}}, "day", None),
    ],
)
def test_an_input_is_judged_by_its_schema(schema: dict[str, Any] | None, name: str, expected: str | None) -> None:
    workflow = msgspec.structs.replace(of_step(when=f"input.{name} == 1"), input_schema=schema)
    assert [finding.name for finding in check(workflow)] == ([expected] if expected else [])


@pytest.mark.parametrize(
    "expression",
    [
        "steps.a.output",
        'steps["a"].output',
        "steps['a']['output'].x",
        "[steps . a . output]",
        "{'k': steps.a.output}",
        "1 if steps.a.error == none else 2",
    ],
)
def test_a_step_is_found_however_it_is_spelled(expression: str) -> None:
    steps = (Step(id="a", type="noop"), Step(id="b", type="noop", when=f"{expression} == 1"))
    assert errors(check(Workflow(name="a", steps=steps))) == [("not_surely_before", "steps[1].when")]


def test_text_that_only_looks_like_a_reference_is_none() -> None:
    params = {"a": "steps.nowhere.output", "b": "{{ 'steps.nowhere.output' }}", "c": "{ {steps.nowhere} }"}
    assert check(of_step(type="function", config={"function": "f", "params": params})) == ()


@pytest.mark.parametrize(
    ("attributes", "limits", "is_told"),
    [
        ({}, Limits(), True),
        ({"queue_timeout_ms": 1}, Limits(), True),
        ({"timeout_ms": 1}, Limits(), False),
        ({"total_timeout_ms": 1}, Limits(), False),
        ({}, Limits(timeout_ms=1), False),
        ({"config": {"signal": "go", "deadline": 1}}, Limits(), False),
        ({"config": {"duration": 1}}, Limits(), False),
    ],
)
def test_a_wait_is_endless_when_nothing_bounds_it(attributes: dict[str, Any], limits: Limits, *, is_told: bool) -> None:
    workflow = msgspec.structs.replace(of_step(**{"type": "wait", "config": {"signal": "go"}, **attributes}), limits=limits)
    assert ("wait_without_timeout" in {finding.name for finding in check(workflow)}) is is_told


# ── graphs against a simple judge ────────────────────────────────────────────────────────────────────────────────────

graphs = st.integers(1, 7).flatmap(
    lambda size: st.tuples(
        st.lists(st.lists(st.integers(0, size - 1), max_size=3), min_size=size, max_size=size),
        st.lists(st.none() | st.integers(0, size - 1), min_size=size, max_size=size),
    )
)


def made(edges: list[list[int]], reads: Sequence[int | None]) -> Workflow:
    return Workflow(
        name="a",
        steps=tuple(
            Step(
                id=f"s{number}",
                type="noop",
                depends_on=tuple(f"s{other}" for other in dict.fromkeys(depends)),
                when=None if read is None else f"steps.s{read}.output == 1",
            )
            for number, (depends, read) in enumerate(zip(edges, reads, strict=True))
        ),
    )


def reached(edges: list[list[int]], start: int) -> set[int]:
    """Every step that a step depends on, near or far."""
    found: set[int] = set()
    ahead = list(edges[start])
    while ahead:
        other = ahead.pop()
        if other not in found:
            found.add(other)
            ahead += edges[other]
    return found


@given(graph=graphs)
def test_cycles_are_found_exactly_where_steps_reach_themselves(graph: tuple[list[list[int]], list[int | None]]) -> None:
    edges, reads = graph
    found = check(made(edges, reads))
    no_loops = [[other for other in depends if other != number] for number, depends in enumerate(edges)]
    on_cycles = {number for number in range(len(edges)) if number in reached(no_loops, number)}
    named = [finding.message.removeprefix("cycle: ").split(" → ") for finding in found if finding.name == "cycle"]
    assert bool(named) == bool(on_cycles)
    for cycle in named:
        numbers = [int(name.removeprefix("s")) for name in cycle]
        assert numbers[0] == numbers[-1]
        assert all(before in no_loops[after] for before, after in pairwise(numbers))
    # Every knot is named at least once.
    for number in on_cycles:
        knot = {other for other in on_cycles if other in reached(no_loops, number) and number in reached(no_loops, other)}
        assert any(f"s{other}" in cycle for other in knot for cycle in named)
    assert {finding.path for finding in found if finding.name == "self_dependency"} == {
        f"steps[{number}].depends_on[{list(dict.fromkeys(depends)).index(number)}]"
        for number, depends in enumerate(edges)
        if number in depends
    }


@given(graph=graphs)
def test_a_read_is_refused_exactly_when_the_step_is_no_ancestor(graph: tuple[list[list[int]], list[int | None]]) -> None:
    edges = [[other for other in depends if other < number] for number, depends in enumerate(graph[0])]
    found = {finding.path for finding in check(made(edges, graph[1])) if finding.name == "not_surely_before"}
    assert found == {
        f"steps[{number}].when" for number, read in enumerate(graph[1]) if read is not None and read not in reached(edges, number)
    }


@given(workflow=workflows())
def test_what_the_check_accepts_the_kernel_compiles(workflow: Workflow) -> None:
    if not errors(check(workflow)):
        assert compile_plan(workflow).size == len(workflow.steps)


@given(graph=graphs)
def test_a_graph_that_the_kernel_refuses_is_refused_by_the_check(graph: tuple[list[list[int]], list[int | None]]) -> None:
    workflow = made(*graph)
    try:
        compile_plan(workflow)
    except DefinitionError:
        assert errors(check(workflow))


# ── skips against every way an execution can go ──────────────────────────────────────────────────────────────────────

PLACES = {"completed": OK, "failed": UNHAPPY, "skipped": SKIPPED}


@st.composite
def forks(draw: st.DrawFn) -> Workflow:
    """Small graphs with conditions, every join, failures that are forgiven, handled, or fatal."""
    made: list[Step] = []
    for number in range(draw(st.integers(1, 4))):
        before = [f"s{other}" for other in range(number)]
        depends_on = tuple(draw(st.lists(st.sampled_from(before), max_size=2, unique=True))) if before else ()
        joins = list(Join) if depends_on else [Join.ALL_SUCCESS]
        made.append(
            Step(
                id=f"s{number}",
                type="noop",
                depends_on=depends_on,
                join=draw(st.sampled_from(joins)),
                when=draw(st.sampled_from([None, "input.x"])),
                handles=draw(st.sampled_from([(), ("Error",)])),
                on_error=draw(st.sampled_from(OnError)),
            )
        )
    return Workflow(name="a", steps=tuple(made))


def endings(workflow: Workflow) -> Iterator[dict[str, str]]:
    """Every way in which the steps of a completed execution can have ended, by the kernel's own judgement of joins."""
    for choices in product(("completed", "failed", "skipped"), repeat=len(workflow.steps)):
        ends = {step.id: choice for step, choice in zip(workflow.steps, choices, strict=True)}
        if all(_is_possible(step, ends) for step in workflow.steps) and not any(
            _is_fatal(step, workflow, ends) for step in workflow.steps
        ):
            yield ends


def _is_possible(step: Step, ends: dict[str, str]) -> bool:
    tally = [0, 0, 0, 0]
    for dependency in step.depends_on:
        tally[PLACES[ends[dependency]]] += 1
    if verdict(step.join, tally) is Verdict.SKIP:
        return ends[step.id] == "skipped"
    return ends[step.id] != "skipped" or step.when is not None


def _is_fatal(step: Step, workflow: Workflow, ends: dict[str, str]) -> bool:
    rescuers = [
        other for other in workflow.steps if step.id in other.depends_on and other.handles and ends[other.id] == "completed"
    ]
    is_handled = any(other.join in {Join.ANY_FAILED, Join.ALL_DONE} for other in rescuers)
    return ends[step.id] == "failed" and step.on_error is OnError.FAIL and not is_handled


@given(workflow=forks())
def test_a_step_that_can_be_skipped_is_known_to_be_skippable(workflow: Workflow) -> None:
    skippable = Graph(workflow, Doubts()).skippable()
    for ends in endings(workflow):
        for number, step in enumerate(workflow.steps):
            assert skippable[number] or ends[step.id] != "skipped"


@given(workflow=forks())
def test_a_skip_is_passed_on_wherever_it_is_said_to_be(workflow: Workflow) -> None:
    passed = Graph(workflow, Doubts()).passes_skip(range(len(workflow.steps)))
    for ends in endings(workflow):
        for number, step in enumerate(workflow.steps):
            for other, before in enumerate(workflow.steps):
                if passed[number] >> other & 1 and ends[before.id] == "skipped":
                    assert ends[step.id] == "skipped"


@pytest.mark.parametrize(
    ("join", "first", "expected"),
    [
        (Join.ALL_SUCCESS, {}, False),
        (Join.ALL_SUCCESS, {"when": "input.x"}, True),
        (Join.ALL_SUCCESS, {"on_error": OnError.CONTINUE}, True),
        (Join.ANY_SUCCESS, {}, False),
        (Join.ANY_SUCCESS, {"when": "input.x"}, True),
        (Join.ANY_FAILED, {}, True),
        (Join.NONE_FAILED, {"when": "input.x"}, False),
        (Join.NONE_FAILED, {"on_error": OnError.CONTINUE}, True),
        (Join.ALL_DONE, {"when": "input.x", "on_error": OnError.CONTINUE}, False),
    ],
)
def test_the_output_of_a_skippable_step_is_told_and_no_other(join: Join, first: dict[str, Any], *, expected: bool) -> None:
    steps = (Step(id="a", type="noop", **first), Step(id="b", type="noop", depends_on=("a",), join=join))
    findings = check(Workflow(name="a", steps=steps, output="{{ steps.b.output.rows }}"))
    assert [finding.name for finding in findings] == (["may_be_skipped"] if expected else [])


def test_a_failure_that_is_handled_skips_what_asked_for_success() -> None:
    steps = (
        Step(id="a", type="noop"),
        Step(id="b", type="noop", depends_on=("a",)),
        Step(id="rescue", type="noop", depends_on=("a",), join=Join.ANY_FAILED, handles=("Error",)),
    )
    findings = check(Workflow(name="a", steps=steps, output="{{ steps.b.output.rows }}"))
    assert [finding.name for finding in findings] == ["may_be_skipped"]
