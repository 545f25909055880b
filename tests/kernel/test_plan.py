"""A workflow is compiled once: what cannot run is refused by name, and who reads whose output is known before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from taskengine.errors import DefinitionError, TaskEngineError
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.plan import Plan
from taskengine.model.status import Phase, Status
from taskengine.model.workflow import Step, Workflow
from tests.kernel.scene import Scene, function, mapped, noop, parallel


def plan(*steps: Step, output: Any = None) -> Plan:
    """Compiled."""
    return compile_plan(Workflow(name="w", steps=steps, output=output))


@pytest.mark.parametrize(
    ("steps", "refusal"),
    [
        ((function("a", "b"),), "unknown_dependency"),
        ((function("a"), function("a")), "duplicate_step"),
        ((function("a", "b"), function("b", "a")), "cycle"),
        ((function("a", "a"),), "cycle"),
        ((function("x"), function("a", "c"), function("b", "a"), function("c", "b", "x")), "cycle"),
    ],
)
def test_what_cannot_run_is_refused_by_name(steps: tuple[Step, ...], refusal: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        plan(*steps)
    assert refused.value.name == refusal


@pytest.mark.parametrize(
    "step",
    [function("a", when="&&"), function("a", config={"params": {"x": "{{ ("}}), function("a", output_mapping={"x": "{{ item( }}"})],
)
def test_an_expression_that_does_not_parse_is_refused_before_anything_runs(step: Step) -> None:
    with pytest.raises(TaskEngineError):
        plan(step)


def test_steps_are_numbered_in_the_order_of_the_document_and_named_by_paths() -> None:
    compiled = plan(function("b", "a"), function("a"))
    assert [(step.number, step.path, step.dependencies) for step in compiled.steps] == [
        (0, "/", ()),
        (1, "/b/", (2,)),
        (2, "/a/", ()),
    ]
    assert compiled.steps[2].dependents == (1,)
    assert (compiled.roots, compiled.size) == ((2,), 2)


def test_a_dependency_that_is_named_twice_counts_once() -> None:
    compiled = plan(function("a"), function("b", "a", "a"))
    assert compiled.steps[2].dependencies == (1,)
    assert Scene(function("a"), function("b", "a", "a")).start().succeed("a").phases("b") == ["running"]


def test_who_reads_whose_output() -> None:
    compiled = plan(
        function("a"),
        function("b", "a"),
        noop("c", "b", when="steps.a.output"),
        function("d", "c", config={"params": {"x": "{{ steps[input.which].output }}"}}),
        noop("e", "d", output_mapping={"x": "{{ steps.b.output }}"}),
        output="{{ steps.d.output }}",
    )
    assert [step.reads for step in compiled.steps[1:]] == [(), (1,), (1,), (3,), (2,)]
    assert compiled.output_reads.tasks == (4,)


def calls(name: str, *, compensate: Step | None = None, **config: Any) -> Step:
    return Step(id=name, type="workflow", config=config, compensate=compensate)


def test_the_workflows_that_steps_start_by_name_are_known_wherever_they_stand() -> None:
    compiled = plan(
        calls("one", workflow="first", compensate=calls("", workflow="first-undo")),
        calls("two", workflow="second", version="1"),
        calls("three", workflow="third", version="{{ input.version }}"),
        calls("four", workflow="{{ input.which }}"),
        calls("five", workflow="first"),
        mapped("each", mapped("inner", calls("six", workflow="sixth", detach=True), items=[1]), items=[1]),
        function("seven", compensate=calls("", workflow="undo")),
        parallel("both", branches={"a": (function("done", compensate=calls("", workflow="deep-undo")),), "b": (function("c"),)}),
    )
    assert compiled.called == ("first", "first-undo", "sixth", "undo", "deep-undo")
    assert plan(function("a"), function("b")).called == ()


def test_an_execution_before_its_start_is_pending_and_idle() -> None:
    state = Scene(function("a")).state
    assert (state.status, state.is_idle, state.open_count) == (Status.PENDING, True, 1)


def test_statuses_of_an_execution_as_people_see_them() -> None:
    scene = Scene(function("a"), function("b", "a")).start(admit=0)
    assert scene.state.status is Status.RUNNING
    assert not scene.state.is_idle
    scene.admit()
    assert not scene.state.is_idle
    scene.pause()
    assert scene.state.status is Status.PAUSED
    assert not scene.state.is_idle
    scene.succeed("a")
    assert scene.state.is_idle
    scene.resume()
    assert not scene.state.is_idle
    scene.admit()
    scene.succeed("b")
    assert (scene.state.status, scene.state.is_idle, scene.state.open_count) == (Status.COMPLETED, True, 0)
    assert scene.state.counts[Phase.COMPLETED] == 2


def test_a_workflow_without_steps_completes_at_once() -> None:
    assert Scene(output={"n": "{{ input }}"}).start(given=7).output == {"n": 7}
