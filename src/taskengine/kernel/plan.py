"""A workflow compiled for running: steps numbered, dependencies as numbers, expressions parsed, and who reads whose output.

Made once per workflow version and shared by all its executions; nothing here changes afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from taskengine.errors import DefinitionError
from taskengine.expr import Expression, Template, expression, template
from taskengine.model.value import ABSENT, Raw, raw
from taskengine.model.workflow import CONTROL_STEPS, Join, OnError, RetryPolicy, Step, Workflow

__all__ = ["Plan", "StepPlan", "compile_plan"]

_NO_INPUT: Final = template({})


class StepPlan(msgspec.Struct, frozen=True, gc=False):
    """One step, ready to be judged and performed."""

    number: int
    id: str
    path: str
    step: Step
    dependencies: tuple[int, ...]
    dependents: tuple[int, ...]
    join: Join
    when: Expression | None
    when_reads: tuple[int, ...]
    input: Template
    constant_input: Raw  # what ``input`` gives when it holds no expression, else ABSENT
    output: Template | None
    reads: tuple[int, ...]  # tasks whose output this one may read while it lives
    is_control: bool
    priority: int
    retry: RetryPolicy
    fails_execution: bool
    has_clocks: bool


class Plan:
    """A compiled workflow. ``steps[0]`` stands for the execution itself and is never performed."""

    __slots__ = ("by_id", "by_path", "in_degrees", "output", "output_reads", "readers", "roots", "steps", "workflow")

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        by_id = {step.id: number for number, step in enumerate(workflow.steps, 1)}
        self.by_id: dict[str, int] = by_id
        self.output: Template | None = None if workflow.output is None else template(workflow.output)
        self.output_reads: frozenset[int] = (
            frozenset(_steps_read(self.output.names, by_id, range(1, len(by_id) + 1))) if self.output else frozenset()
        )
        dependents: list[list[int]] = [[] for _ in range(len(by_id) + 1)]
        for number, step in enumerate(workflow.steps, 1):
            for dependency in dict.fromkeys(step.depends_on):
                if dependency not in by_id:
                    raise DefinitionError(
                        "unknown_dependency", f'step "{step.id}" depends on "{dependency}", which does not exist', step=step.id
                    )
                dependents[by_id[dependency]].append(number)
        root = Step(id="", type="noop")
        self.steps: tuple[StepPlan, ...] = (
            _plan(0, root, by_id, (), priority=workflow.limits.priority),
            *(
                _plan(number, step, by_id, tuple(dependents[number]), priority=workflow.limits.priority)
                for number, step in enumerate(workflow.steps, 1)
            ),
        )
        self.by_path: dict[str, int] = {step.path: step.number for step in self.steps}
        self.in_degrees: list[int] = [len(step.dependencies) for step in self.steps]
        self.roots: tuple[int, ...] = tuple(step.number for step in self.steps[1:] if not step.dependencies)
        readers: list[list[int]] = [[] for _ in self.steps]
        for step in self.steps:
            for number in step.reads:
                readers[number].append(step.number)
        self.readers: tuple[tuple[int, ...], ...] = tuple(tuple(numbers) for numbers in readers)

    @property
    def size(self) -> int:
        """How many tasks an execution has at its start."""
        return len(self.steps) - 1


def compile_plan(workflow: Workflow) -> Plan:
    """Compile, refusing what cannot run: unknown dependencies, cycles, expressions that do not parse."""
    plan = Plan(workflow)
    left = list(plan.in_degrees)
    queue = list(plan.roots)
    for number in queue:
        for dependent in plan.steps[number].dependents:
            left[dependent] -= 1
            if left[dependent] == 0:
                queue.append(dependent)
    if len(queue) != plan.size:
        stuck = next(step.id for step in plan.steps[1:] if left[step.number] > 0)
        raise DefinitionError("cycle", f'step "{stuck}" is part of a cycle or depends on one', step=stuck)
    return plan


def _plan(number: int, step: Step, by_id: dict[str, int], dependents: tuple[int, ...], *, priority: int) -> StepPlan:
    dependencies = tuple(by_id[name] for name in dict.fromkeys(step.depends_on))
    when = expression(step.when) if step.when is not None else None
    value = _input_of(step)
    inputs = template(value) if value else _NO_INPUT
    is_control = step.type in CONTROL_STEPS
    when_reads = _steps_read(when.names, by_id, dependencies) if when else ()
    reads = set(when_reads)
    reads.update(_steps_read(inputs.names, by_id, dependencies))
    if not is_control:
        reads.update(dependencies)  # a function may ask for its dependencies' results
    return StepPlan(
        number=number,
        id=step.id,
        path=f"/{step.id}/" if number else "/",
        step=step,
        dependencies=dependencies,
        dependents=dependents,
        join=step.join,
        when=when,
        when_reads=when_reads,
        input=inputs,
        constant_input=raw(inputs.render(b"{}")) if inputs.is_constant and value else ABSENT,
        output=template(step.output_mapping, extra_roots=("output",)) if step.output_mapping else None,
        reads=tuple(sorted(reads)),
        is_control=is_control,
        priority=priority if step.priority is None else step.priority,
        retry=step.retry,
        fails_execution=step.on_error is OnError.FAIL,
        has_clocks=any(limit is not None for limit in (step.timeout_ms, step.total_timeout_ms, step.queue_timeout_ms)),
    )


def _input_of(step: Step) -> dict[str, Any]:
    if step.type == "wait":
        return step.config
    return {**step.config.get("params", {}), **step.input_mapping}


def _steps_read(names: Iterable[str], by_id: dict[str, int], otherwise: Iterable[int]) -> tuple[int, ...]:
    """The tasks that ``steps.<id>`` in these names means; ``otherwise`` when the step cannot be seen statically."""
    found: set[int] = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != "steps":
            continue
        if len(parts) > 1 and parts[1] in by_id:
            found.add(by_id[parts[1]])
        else:
            found.update(otherwise)
    return tuple(sorted(found))
