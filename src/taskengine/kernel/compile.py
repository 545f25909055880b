"""From a workflow to its plan: blocks inside out, names resolved to numbers, expressions parsed. Refuses what cannot run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from taskengine.errors import DefinitionError
from taskengine.expr import Expression, Template, expression, template
from taskengine.kernel.plan import BlockPlan, Plan, Reading, StepPlan, SuccessPlan
from taskengine.kernel.sealed import must_be_bare, must_hide_secrets, must_hold_no_mark
from taskengine.kernel.sift import filter_plan
from taskengine.model.value import ABSENT, raw
from taskengine.model.workflow import CONTROL_STEPS, UNRENDERED, Block, Join, OnError, Step, Success, Workflow, is_control

__all__ = ["compile_plan"]

_NO_INPUT: Final = template({})
_REPEATED: Final = frozenset({"map", "loop"})
_POSTING: Final = frozenset({"workflow", "signal"})
_NODE: Final = Step(id="", type="noop")
_IMPATIENT: Final = frozenset({Join.ANY_SUCCESS, Join.ANY_FAILED})  # what may end before all that it depends on


class _Around(msgspec.Struct, frozen=True):
    """The names that a block sees: its own steps, then those of the blocks around it; ``read`` notes which of these are read."""

    by_id: dict[str, int]
    outer: _Around | None
    read: list[set[int]]  # nearest block around first
    undo_reads: set[int]  # its own steps that compensations read


def compile_plan(workflow: Workflow) -> Plan:
    """Compile, refusing what cannot run: duplicate ids, unknown dependencies, cycles, expressions that do not parse.

    Raises ``DefinitionError``, and ``ExpressionError`` or ``LimitError`` from the expressions.
    """
    plan = Plan()
    around = _Around(_numbers(workflow.steps), None, [], set())
    _fill(plan, workflow.steps, around, output=workflow.output, is_root=True)
    plan.workflow = workflow
    plan.by_path = {one.path: one.number for one in plan.steps}
    plan.success = _success(workflow.success, around)
    plan.posts = _posts(workflow.steps)
    plan.called = _called(plan)
    key = template(workflow.business_key) if "{{" in workflow.business_key else None
    plan.business_key, plan.business_key_reads = key, _reading(key, around, ())
    must_hide_secrets("business_key", plan.business_key_reads)
    return plan


def _posts(steps: Sequence[Step]) -> bool:
    for step in steps:
        undo = () if step.compensate is None else (step.compensate,)
        if step.type in _POSTING or _posts(undo) or any(_posts(block.steps) for block in step.blocks):
            return True
    return False


def _called(plan: Plan) -> tuple[str, ...]:
    configs = [one.step.config for one in plan.every_step() if one.step.type == "workflow"]
    named = [template(config.get("workflow", "")) for config in configs if not config.get("version")]
    names = [name.render(b"{}") for name in named if name.is_constant]
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


# ── blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _fill(block: BlockPlan, steps: Sequence[Step], around: _Around, *, output: Any, is_root: bool = False) -> None:
    by_id = around.by_id
    dependents: list[list[int]] = [[] for _ in range(len(by_id) + 1)]
    for number, step in enumerate(steps, 1):
        for dependency in dict.fromkeys(step.depends_on):
            if dependency not in by_id:
                raise DefinitionError(
                    "unknown_dependency", f'step "{step.id}" depends on "{dependency}", which does not exist', step=step.id
                )
            dependents[by_id[dependency]].append(number)
    block.by_id = by_id
    block.steps = tuple(
        _step(number, step, around, tuple(dependents[number]), is_root=is_root) for number, step in enumerate((_NODE, *steps))
    )
    block.roots = tuple(one.number for one in block.steps[1:] if not one.dependencies)
    block.sinks = tuple(one.number for one in block.steps[1:] if not one.dependents)
    block.output = None if output is None else template(output)
    block.output_reads = _reading(block.output, around, range(1, len(block.steps)))
    must_hide_secrets("output", block.output_reads)
    readers: list[list[int]] = [[] for _ in block.steps]
    for reader in block.steps:
        for number in reader.reads:
            readers[number].append(reader.number)
    block.readers = tuple(tuple(numbers) for numbers in readers)
    block.name, block.when, block.when_reads = "", None, Reading()
    block.repeat, block.repeat_reads, block.stops_when, block.is_repeated = None, Reading(), False, False
    block.outer = ()
    block.has_undo = any(one.compensation is not None or any(inner.has_undo for inner in one.blocks) for one in block.steps)
    block.undo_reads = frozenset(around.undo_reads)
    block.kept = block.undo_reads.union(block.output_reads.tasks)
    _must_have_no_cycle(block)


def _block(step: Step, block: Block, outside: _Around) -> BlockPlan:
    """A container's block; its names go outwards as far as blocks go."""
    depth, beyond = 1, outside
    while beyond.outer is not None:
        depth, beyond = depth + 1, beyond.outer
    around = _Around(_numbers(block.steps), outside, [set() for _ in range(depth)], set())
    plan = BlockPlan()
    _fill(plan, block.steps, around, output=block.output)
    plan.name = block.name or ("else" if step.type == "condition" and block.when is None else "")
    plan.is_repeated = step.type in _REPEATED
    if block.when is not None:
        plan.when = expression(block.when)
        plan.when_reads = _reading(plan.when, outside, [outside.by_id[name] for name in step.depends_on])
        must_hide_secrets(f"{step.id}.when", plan.when_reads)
    for word in ("while", "until") if step.type == "loop" else ():
        if word in step.config:
            plan.repeat = expression(step.config[word], extra_roots=("output",))
            plan.repeat_reads = _reading(plan.repeat, around, ())
            plan.stops_when = word == "until"
            must_hide_secrets(f"{step.id}.{word}", plan.repeat_reads)
    plan.kept = plan.kept.union(plan.repeat_reads.tasks, plan.sinks if plan.output is None else ())
    plan.outer = tuple(frozenset(numbers) for numbers in around.read)
    for up, numbers in enumerate(around.read[1:]):
        outside.read[up].update(numbers)
    return plan


def _must_have_no_cycle(block: BlockPlan) -> None:
    left = [len(step.dependencies) for step in block.steps]
    queue = list(block.roots)
    for number in queue:
        for dependent in block.steps[number].dependents:
            left[dependent] -= 1
            if left[dependent] == 0:
                queue.append(dependent)
    if len(queue) != block.size:
        stuck = next(step.id for step in block.steps[1:] if left[step.number] > 0)
        raise DefinitionError("cycle", f'step "{stuck}" is part of a cycle or depends on one', step=stuck)


def _numbers(steps: Sequence[Step]) -> dict[str, int]:
    by_id: dict[str, int] = {}
    for number, step in enumerate(steps, 1):
        if step.id in by_id:
            raise DefinitionError("duplicate_step", f'there are two steps "{step.id}"', step=step.id)
        by_id[step.id] = number
    return by_id


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _step(number: int, step: Step, around: _Around, dependents: tuple[int, ...], *, is_root: bool) -> StepPlan:
    dependencies = tuple(around.by_id[name] for name in dict.fromkeys(step.depends_on))
    when = expression(step.when) if step.when is not None else None
    value = _input_of(step)
    inputs = template(value) if value else _NO_INPUT
    output = template(step.output_mapping, extra_roots=("output",)) if step.output_mapping else None
    sieve = expression(step.config["filter"]) if step.type == "wait" and "filter" in step.config else None
    is_kernels_own = is_control(step)
    when_reads = _reading(when, around, dependencies)
    input_reads = _reading(inputs, around, dependencies)
    output_reads = _reading(output, around, dependencies)
    sieve_reads = _reading(sieve, around, dependencies)
    must_be_bare(step, inputs)
    if "secrets" in input_reads.roots:
        must_hold_no_mark(step, value)
    for place, reading in (("when", when_reads), ("output_mapping", output_reads), ("filter", sieve_reads)):
        must_hide_secrets(f"{step.id}.{place}", reading)
    success = _success(step.success, around)
    blocks = tuple(_block(step, block, around) for block in step.blocks)
    undo = None if step.compensate is None else _compensation(number, step, around, is_root=is_root)
    reads = {*when_reads.tasks, *input_reads.tasks, *output_reads.tasks, *sieve_reads.tasks}
    if success is not None:
        reads.update(success.when_reads.tasks)
    for block in blocks:
        reads.update(block.when_reads.tasks, block.outer[0])
    if not is_kernels_own:
        reads.update(dependencies)  # a function may ask for its dependencies' results
    limits = (step.timeout_ms, step.total_timeout_ms, step.queue_timeout_ms)
    return StepPlan(
        number=number,
        id=step.id,
        path=_path(step, is_root=is_root),
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
        is_control=is_kernels_own,
        priority=step.priority,
        retry=step.retry,
        fails_execution=step.on_error is OnError.FAIL,
        has_clocks=any(limit is not None for limit in limits),
        blocks=blocks,
        success=success,
        filter=sieve,
        filter_reads=sieve_reads,
        filter_plan=filter_plan(sieve),
        compensation=undo,
        is_special=bool(step.handles or blocks or undo is not None or step.join in _IMPATIENT),
    )


def _path(step: Step, *, is_root: bool) -> str:
    if not step.id:
        return "/" if is_root else ""
    return f"/{step.id}/" if is_root else f"{step.id}/"


def _compensation(number: int, step: Step, around: _Around, *, is_root: bool) -> StepPlan:
    """What undoes a step stands where the step stands, and reads what it gave."""
    assert step.compensate is not None
    undo = _step(number, msgspec.structs.replace(step.compensate, id=step.id), around, (), is_root=is_root)
    for reading in (undo.input_reads, undo.output_reads):
        around.undo_reads.update(reading.tasks)
        for up, one in reading.outer:
            here = around
            for _ in range(up):
                assert here.outer is not None
                here = here.outer
            here.undo_reads.add(one)
    return undo


def _success(rule: Success | None, around: _Around) -> SuccessPlan | None:
    if rule is None:
        return None
    when = None if rule.when is None else expression(rule.when, extra_roots=("children",))
    reads = _reading(when, around, ())
    must_hide_secrets("success", reads)
    return SuccessPlan(rule.at_least, rule.percent, when, reads)


def _input_of(step: Step) -> dict[str, Any]:
    kept = UNRENDERED.get(step.type, frozenset())
    config = {key: value for key, value in step.config.items() if key not in kept}
    if step.type == "workflow":
        return {**config, "input": step.input_mapping}
    if step.type in CONTROL_STEPS:
        return config
    params = {**step.config.get("params", {}), **step.input_mapping}
    if step.type == "function":
        return params
    return {**config, "params": params}


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _reading(source: Expression | Template | None, around: _Around, otherwise: Iterable[int]) -> Reading:
    """What it reads; ``otherwise`` are the tasks behind a ``steps`` whose id cannot be seen in the text."""
    if source is None:
        return Reading()
    roots: set[str] = set()
    tasks: set[int] = set()
    secrets: set[str] = set()
    outer: set[tuple[int, int]] = set()
    for name in source.names:
        parts = name.split(".")
        roots.add(parts[0])
        if parts[0] == "steps":
            found = _found(parts[1], around) if len(parts) > 1 else None
            if found is None:
                tasks.update(otherwise)
            elif found[0] == 0:
                tasks.add(found[1])
            else:
                outer.add(found)
        if parts[0] == "secrets":
            secrets.update(parts[1:2])
    return Reading(frozenset(roots), tuple(sorted(tasks)), tuple(sorted(secrets)), tuple(sorted(outer)))


def _found(step_id: str, around: _Around) -> tuple[int, int] | None:
    """The step of that id, nearest block first; what is found further out is noted as read from inside."""
    up = 0
    here: _Around | None = around
    while here is not None:
        if step_id in here.by_id:
            number = here.by_id[step_id]
            if up:
                around.read[up - 1].add(number)
            return up, number
        up, here = up + 1, here.outer
    return None
