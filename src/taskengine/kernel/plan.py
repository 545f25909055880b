"""A workflow compiled for running: steps numbered, dependencies as numbers, expressions parsed, and who reads whose output.

Made once per workflow version and shared by all its executions; nothing here changes afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from taskengine.errors import DefinitionError, NotFoundError
from taskengine.expr import Expression, Template, expression, template
from taskengine.model.secret import has_mark
from taskengine.model.value import ABSENT, Raw, encode, raw
from taskengine.model.workflow import CONTROL_STEPS, UNRENDERED, Join, OnError, RetryPolicy, Step, Workflow

__all__ = ["Plan", "Reading", "StepPlan", "compile_plan"]

_NO_INPUT: Final = template({})


class Reading(msgspec.Struct, frozen=True):
    """What an expression reads: the first words of its names, and the tasks behind ``steps``."""

    roots: frozenset[str] = frozenset()
    tasks: tuple[int, ...] = ()
    secrets: tuple[str, ...] = ()


class StepPlan(msgspec.Struct, frozen=True):
    """One step, ready to be judged and performed."""

    number: int
    id: str
    path: str
    step: Step
    dependencies: tuple[int, ...]
    dependents: tuple[int, ...]
    join: Join
    is_plain: bool  # one dependency at most and the join all_success: it needs no counting
    when: Expression | None
    when_reads: Reading
    input: Template
    input_reads: Reading
    has_constant_input: bool
    constant_input: Raw  # what ``input`` gives when it holds no expression, else ABSENT
    output: Template | None
    output_reads: Reading
    reads: tuple[int, ...]  # tasks whose output this one may read while it lives
    is_control: bool
    priority: int | None  # None: the execution's
    retry: RetryPolicy
    fails_execution: bool
    has_clocks: bool


class Plan:
    """A compiled workflow. ``steps[0]`` stands for the execution itself and is never performed."""

    __slots__ = ("by_id", "by_path", "output", "output_reads", "readers", "roots", "steps", "workflow")

    def __init__(self, workflow: Workflow) -> None:
        by_id = _numbers(workflow)
        dependents: list[list[int]] = [[] for _ in range(len(by_id) + 1)]
        for number, step in enumerate(workflow.steps, 1):
            for dependency in dict.fromkeys(step.depends_on):
                if dependency not in by_id:
                    raise DefinitionError(
                        "unknown_dependency", f'step "{step.id}" depends on "{dependency}", which does not exist', step=step.id
                    )
                dependents[by_id[dependency]].append(number)
        self.workflow = workflow
        self.by_id: dict[str, int] = by_id
        self.steps: tuple[StepPlan, ...] = tuple(
            _plan(number, step, by_id, tuple(dependents[number]))
            for number, step in enumerate((Step(id="", type="noop"), *workflow.steps))
        )
        self.by_path: dict[str, int] = {one.path: one.number for one in self.steps}
        self.roots: tuple[int, ...] = tuple(one.number for one in self.steps[1:] if not one.dependencies)
        self.output: Template | None = None if workflow.output is None else template(workflow.output)
        self.output_reads: Reading = _reading(self.output, by_id, range(1, len(self.steps)))
        _must_hide_secrets("output", self.output_reads)
        readers: list[list[int]] = [[] for _ in self.steps]
        for reader in self.steps:
            for number in reader.reads:
                readers[number].append(reader.number)
        self.readers: tuple[tuple[int, ...], ...] = tuple(tuple(numbers) for numbers in readers)

    @property
    def size(self) -> int:
        """How many tasks an execution has at its start."""
        return len(self.steps) - 1

    def number_of(self, path: str) -> int:
        """The task at a path such as ``/load/``; 0 for ``/``. Raises ``NotFoundError``."""
        number = self.by_path.get(path)
        if number is None:
            raise NotFoundError("unknown_path", f"there is no task {path} in this execution", hint="paths look like / or /load/")
        return number


def compile_plan(workflow: Workflow) -> Plan:
    """Compile, refusing what cannot run: duplicate ids, unknown dependencies, cycles, expressions that do not parse.

    Raises ``DefinitionError``, and ``ExpressionError`` or ``LimitError`` from the expressions.
    """
    plan = Plan(workflow)
    left = [len(step.dependencies) for step in plan.steps]
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


def _numbers(workflow: Workflow) -> dict[str, int]:
    by_id: dict[str, int] = {}
    for number, step in enumerate(workflow.steps, 1):
        if step.id in by_id:
            raise DefinitionError("duplicate_step", f'there are two steps "{step.id}"', step=step.id)
        by_id[step.id] = number
    return by_id


def _plan(number: int, step: Step, by_id: dict[str, int], dependents: tuple[int, ...]) -> StepPlan:
    dependencies = tuple(by_id[name] for name in dict.fromkeys(step.depends_on))
    when = expression(step.when) if step.when is not None else None
    value = _input_of(step)
    inputs = template(value) if value else _NO_INPUT
    output = template(step.output_mapping, extra_roots=("output",)) if step.output_mapping else None
    is_control = step.type in CONTROL_STEPS
    when_reads = _reading(when, by_id, dependencies)
    input_reads = _reading(inputs, by_id, dependencies)
    output_reads = _reading(output, by_id, dependencies)
    _must_be_bare(step, inputs)
    if "secrets" in input_reads.roots:
        _must_hold_no_mark(step, value)
    _must_hide_secrets(f"{step.id}.when", when_reads)
    _must_hide_secrets(f"{step.id}.output_mapping", output_reads)
    reads = {*when_reads.tasks, *input_reads.tasks, *output_reads.tasks}
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
        is_plain=len(dependencies) <= 1 and step.join is Join.ALL_SUCCESS,
        when=when,
        when_reads=when_reads,
        input=inputs,
        input_reads=input_reads,
        has_constant_input=inputs.is_constant,
        constant_input=raw(inputs.render(b"{}")) if inputs.is_constant and value else ABSENT,
        output=output,
        output_reads=output_reads,
        reads=tuple(sorted(reads - {number})),
        is_control=is_control,
        priority=step.priority,
        retry=step.retry,
        fails_execution=step.on_error is OnError.FAIL,
        has_clocks=any(limit is not None for limit in (step.timeout_ms, step.total_timeout_ms, step.queue_timeout_ms)),
    )


def _input_of(step: Step) -> dict[str, Any]:
    if step.type in CONTROL_STEPS:
        return step.config
    params = {**step.config.get("params", {}), **step.input_mapping}
    if step.type == "function":
        return params
    kept = UNRENDERED.get(step.type, frozenset())
    return {**{key: value for key, value in step.config.items() if key not in kept}, "params": params}


def _must_hold_no_mark(step: Step, value: dict[str, Any]) -> None:
    """The character that begins a secret's mark is nobody else's."""
    if has_mark(encode(value)):
        raise DefinitionError(
            "secret_forged",
            f'step "{step.id}" holds the control character U+0002 in its config or input_mapping',
            hint="it stands for secrets inside the engine; leave it out",
            step=step.id,
        )


def _must_be_bare(step: Step, inputs: Template) -> None:
    """A secret is put in after rendering: nothing can be made of it, and it must be known which one is meant."""
    used = [name for name in inputs.names if name.partition(".")[0] == "secrets"]
    wrong = [name for name in used if name.count(".") != 1 or name in inputs.computed_names]
    if wrong or (used and step.type in CONTROL_STEPS):
        raise DefinitionError(
            "secret_computed",
            f'step "{step.id}" makes something of a secret; a secret can only be put into a text as it is',
            hint="write {{ secrets.name }} with nothing else between the braces",
            step=step.id,
        )


def _must_hide_secrets(place: str, reads: Reading) -> None:
    if "secrets" in reads.roots:
        raise DefinitionError("secret_exposed", f"{place} reads a secret", hint="only the config and input_mapping of a step may")


def _reading(source: Expression | Template | None, by_id: dict[str, int], otherwise: Iterable[int]) -> Reading:
    """What it reads; ``otherwise`` are the tasks behind a ``steps`` whose id cannot be seen in the text."""
    if source is None:
        return Reading()
    roots: set[str] = set()
    tasks: set[int] = set()
    secrets: set[str] = set()
    for name in source.names:
        parts = name.split(".")
        roots.add(parts[0])
        if parts[0] == "steps":
            if len(parts) > 1 and parts[1] in by_id:
                tasks.add(by_id[parts[1]])
            else:
                tasks.update(otherwise)
        if parts[0] == "secrets":
            secrets.update(parts[1:2])
    return Reading(frozenset(roots), tuple(sorted(tasks)), tuple(sorted(secrets)))
