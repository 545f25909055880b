"""What a fork takes over from the execution that it comes from. Decisions only; they stand in the fork's second event.

A step of the root block is taken over when it has ended in the origin, is not the step that the fork begins from, does not come
after it, and everything that it depends on is taken over too. Steps are matched by their ids, so that the fork may run another
version. Containers are taken over as one task. What was undone, or is being undone, has to be done again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from taskengine.errors import CommandRefusedError, LimitError
from taskengine.kernel.plan import Plan
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.status import STATUS_OF, Phase
from taskengine.model.value import ABSENT, Raw

__all__ = ["MOST_TAKEN_BYTES", "Heritage", "heritage"]

MOST_TAKEN_BYTES: Final = 64 * 1024 * 1024  # of outputs, in the one event that holds them
_ENDED: Final = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.SKIPPED})


class Heritage(msgspec.Struct, frozen=True):
    """What a fork begins with: tasks by their numbers in its own plan, and the origin's variables."""

    tasks: tuple[ev.TakenOver, ...]
    variables: Mapping[str, Raw]


def heritage(origin: Execution, history: Iterable[ev.Event], plan: Plan, path: str) -> Heritage:
    """What a fork of ``origin`` from ``path`` on begins with; ``/`` takes nothing over. ``plan``: the version that the fork runs.

    ``history``: all of the origin's, whose state knows no more what nobody reads.
    Raises ``NotFoundError`` (no such step), ``CommandRefusedError("fork_inside_group")``, ``LimitError("fork_too_large")``.
    """
    events = list(history)
    number = _from(origin, plan, path)
    matched = _matched(origin, plan, without=_not_before(plan, number))
    outputs = _outputs(events, origin)
    tasks = tuple(_taken(origin, old, new, outputs.get(old, ABSENT)) for new, old in sorted(matched.items()))
    size = sum(len(task.output) for task in tasks)
    if size > MOST_TAKEN_BYTES:
        message = f"the steps before {path} gave {size} bytes, {MOST_TAKEN_BYTES} can be taken over"
        raise LimitError("fork_too_large", message, hint="fork from an earlier step", limit=MOST_TAKEN_BYTES, actual=size)
    return Heritage(tasks, _variables(events, origin, path, set(matched.values())))


def _from(origin: Execution, plan: Plan, path: str) -> int:
    """The step that the fork begins from, in the plan that it runs; 0: everything begins anew."""
    number = plan.by_path.get(path)
    if number is None:
        first = f"/{path.strip('/').split('/')[0]}/"
        inner = plan.by_path.get(first)
        if inner and first != path and (plan.steps[inner].blocks or origin.find(path)):
            raise CommandRefusedError(
                "fork_inside_group", f"{path} is inside {first}, which is taken over whole or not at all", hint=f"fork from {first}"
            )
    return plan.number_of(path)


def _not_before(plan: Plan, number: int) -> set[int]:
    """The step and all that comes after it; of everything: all there is."""
    if not number:
        return set(range(1, len(plan.steps)))
    found = {number}
    queue = [number]
    for one in queue:
        fresh = [dependent for dependent in plan.steps[one].dependents if dependent not in found]
        found.update(fresh)
        queue += fresh
    return found


def _matched(origin: Execution, plan: Plan, *, without: set[int]) -> dict[int, int]:
    """New number → the origin's, of what is taken over. Dependencies are looked at before what depends on them."""
    undone = _undone(origin)
    matched: dict[int, int] = {}
    missing = {number: len(step.dependencies) for number, step in enumerate(plan.steps)}
    queue = list(plan.roots)
    for number in queue:
        old = origin.plan.by_id.get(plan.steps[number].id, 0)
        if number in without or not old or old in undone or Phase(origin.phase[old]) not in _ENDED:
            continue
        matched[number] = old
        for dependent in plan.steps[number].dependents:
            missing[dependent] -= 1
            if not missing[dependent]:
                queue.append(dependent)
    return matched


def _undone(origin: Execution) -> set[int]:
    """Steps of the root block of which something was undone, or may have been."""
    if origin.saga is None:
        return set()
    found: set[int] = set()
    for original, undo in origin.saga.undoes.items():
        if origin.phase[undo] == Phase.PENDING or (origin.phase[undo] == Phase.CANCELLED and undo not in origin.live):
            continue
        number = original
        while origin.scopes[number].base:
            number = origin.scopes[number].container
        found.add(number)
    return found


def _outputs(events: Iterable[ev.Event], origin: Execution) -> dict[int, Raw]:
    """What each step of the root block gave last."""
    outputs: dict[int, Raw] = {}
    size = origin.plan.size
    for event in events:
        match event:
            case ev.TaskCompleted(task=task, output=output) if task <= size:
                outputs[task] = output
            case ev.ExecutionForked(tasks=tasks):
                outputs.update((taken.task, taken.output) for taken in tasks)
            case _:
                pass
    return outputs


def _taken(origin: Execution, old: int, new: int, output: Raw) -> ev.TakenOver:
    live = origin.live.get(old)
    phase = origin.phase[old]
    return ev.TakenOver(
        task=new,
        status=STATUS_OF[phase],
        output=output if phase == Phase.COMPLETED else ABSENT,
        error=live.error if live is not None and phase == Phase.FAILED else None,
        outcome=live.outcome if live is not None and phase == Phase.FAILED else None,
        is_handled=live is not None and live.is_handled,
        skipped_by=origin.skipped_by_person.get(old),
    )


def _variables(events: Iterable[ev.Event], origin: Execution, path: str, taken: set[int]) -> Mapping[str, Raw]:
    """As they were when the step began: what people set before that, and what the steps that are taken over have set."""
    variables: dict[str, Raw] = {}
    begun_from = origin.find(path)  # None: it is new, and has never begun
    has_begun = path == "/"
    for event in events:
        has_begun = has_begun or getattr(event, "task", None) == (begun_from or -1)
        match event:
            case ev.ExecutionStarted(variables=values):
                variables.update(values)
            case ev.VariablesSet(values=values, task=task):
                while task and origin.scopes[task].base:
                    task = origin.scopes[task].container
                if task in taken or not (task or has_begun):
                    variables.update(values)
            case _:
                pass
    return variables
