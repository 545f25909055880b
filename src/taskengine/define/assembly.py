"""From tasks as their builders left them to steps: names become ids, block by block, and defaults are applied.

A dependency is looked for in its own block; what is read may stand in the blocks around it too.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from typing import Any, Final

import msgspec

from taskengine.define.phrase import listed, nearest, quoted
from taskengine.define.task_builder import BuiltBlock, BuiltTask
from taskengine.errors import DefinitionError
from taskengine.model.workflow import CONTROL_STEPS, Block, RetryPolicy, Step, Success

__all__ = ["Defaults", "assembled", "bounded", "every_task", "ids_of", "named_by_id"]

_NAMED: Final = re.compile(r"""\bsteps\[\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*\]""")
_EXPRESSIONS: Final = frozenset({"while", "until", "filter"})  # of a config: expressions, not templates


class Defaults(msgspec.Struct, frozen=True):
    """What holds for every task that says nothing else."""

    timeout_ms: int | None = None
    retry: RetryPolicy | None = None


def assembled(tasks: Iterable[BuiltTask], defaults: Defaults, *, around: Mapping[str, str] | None = None) -> tuple[Step, ...]:
    """The steps of a block. ``around``: ids by name of the blocks around it. Raises ``DefinitionError``."""
    own = tuple(tasks)
    ids = ids_of(own)
    return tuple(_step(task, ids, seen={**(around or {}), **ids}, defaults=defaults) for task in own)


def every_task(tasks: Iterable[BuiltTask]) -> Iterable[BuiltTask]:
    """Every task, those inside of others behind them."""
    for task in tasks:
        yield task
        for block in task.blocks:
            yield from every_task(block.tasks)


def _step(task: BuiltTask, ids: Mapping[str, str], *, seen: Mapping[str, str], defaults: Defaults) -> Step:
    step = task.step
    known = list(ids)
    changes = _by_ids(step, seen)
    changes["depends_on"] = tuple(_resolved(name, ids, known=known, of=task.name) for name in step.depends_on)
    if step.compensate is not None:
        undo = msgspec.structs.replace(step.compensate, **_by_ids(step.compensate, seen))
        changes["compensate"] = bounded(undo, defaults, said=task.said_of_undoing)
    if task.blocks:
        changes["blocks"] = tuple(_block(block, seen, defaults=defaults) for block in task.blocks)
    if step.success is not None and step.success.when is not None:
        changes["success"] = Success(when=named_by_id(step.success.when, seen, is_text=True))
    return bounded(msgspec.structs.replace(step, **changes), defaults, said=task.said)


def bounded(step: Step, defaults: Defaults, *, said: Container[str]) -> Step:
    """The step with the defaults for what was not said. Control steps make no attempts, so the defaults are not for them."""
    if step.type in CONTROL_STEPS:
        return step
    changes = {
        name: value for name in ("timeout_ms", "retry") if (value := getattr(defaults, name)) is not None and name not in said
    }
    return msgspec.structs.replace(step, **changes)


def _by_ids(step: Step, seen: Mapping[str, str]) -> dict[str, Any]:
    config = {key: named_by_id(value, seen, is_text=key in _EXPRESSIONS) for key, value in step.config.items()}
    changes: dict[str, Any] = {"config": config}
    for attribute in ("input_mapping", "output_mapping", "when"):
        changes[attribute] = named_by_id(getattr(step, attribute), seen, is_text=attribute == "when")
    return changes


def _block(block: BuiltBlock, seen: Mapping[str, str], *, defaults: Defaults) -> Block:
    inside = {**seen, **ids_of(block.tasks)}
    return Block(
        name=block.name,
        when=named_by_id(block.when, seen, is_text=True),
        steps=assembled(block.tasks, defaults, around=seen),
        output=named_by_id(block.output, inside),
    )


def ids_of(tasks: Iterable[BuiltTask]) -> dict[str, str]:
    """Id by id and by name. Raises ``DefinitionError("duplicate_step_id")``."""
    ids: dict[str, str] = {}
    names: dict[str, str] = {}
    for task in tasks:
        step_id = task.step.id
        if step_id in ids:
            other = next(name for name, known in names.items() if known == step_id)
            both = f"the task {quoted(task.name)} is there twice"
            if other != task.name:
                both = f"the tasks {quoted(other)} and {quoted(task.name)} have the same id {quoted(step_id)}"
            raise DefinitionError(
                "duplicate_step_id", both, hint=f"give one of them another: TaskBuilder(…, id={step_id + '_2'!r})"
            )
        ids[step_id] = step_id
        names.setdefault(task.name, step_id)
    return {**names, **ids}


def _resolved(name: str, ids: Mapping[str, str], *, known: list[str], of: str) -> str:
    if name in ids:
        return ids[name]
    meant = nearest(name, known)
    hint = f"did you mean {quoted(meant)}?" if meant else f"known tasks: {listed(known)}"
    raise DefinitionError("unknown_dependency", f"task {quoted(of)} depends on {quoted(name)}, which does not exist", hint=hint)


def named_by_id(value: Any, ids: Mapping[str, str], *, is_text: bool = False) -> Any:
    """The value with steps that are named as ``steps["the name"]`` named by id, in conditions and templates."""
    if isinstance(value, str):
        return _NAMED.sub(lambda match: _dotted(match, ids), value) if is_text or "{{" in value else value
    if isinstance(value, dict):
        return {key: named_by_id(item, ids) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [named_by_id(item, ids) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def _dotted(match: re.Match[str], ids: Mapping[str, str]) -> str:
    name = match.group(1)[1:-1]
    return f"steps.{ids[name]}" if name in ids else match.group(0)
