"""Everything the world still owes an execution: what recovery performs, and what the sum of all effects must equal."""

from __future__ import annotations

from collections.abc import Iterable

from taskengine.kernel.state import Execution
from taskengine.model.effect import Effect, Halt, Launch, Post, Release, WakeAt

__all__ = ["outstanding", "sum_of"]


def outstanding(state: Execution) -> set[Effect]:
    """Attempts that are to run or to stop, and the next instant at which time alone makes something happen."""
    owed: set[Effect] = set()
    for number, task in state.live.items():
        if task.is_launched:
            if task.is_cancelling:
                owed.add(Halt(number, task.attempt, is_final=False))
            else:
                owed.add(Launch(number, task.attempt, task.is_suspect))
    if state.wake_at is not None:
        owed.add(WakeAt(state.wake_at))
    return owed


def sum_of(effects: Iterable[Effect]) -> set[Effect]:
    """What remains when changes are added up in order."""
    attempts: dict[tuple[int, int], Effect] = {}
    wake: WakeAt | None = None
    for effect in effects:
        match effect:
            case Launch(task=task, attempt=attempt):
                attempts[(task, attempt)] = effect
            case Halt(task=task, attempt=attempt, is_final=is_final):
                if is_final:
                    attempts.pop((task, attempt), None)
                else:
                    attempts[(task, attempt)] = effect
            case Release(task=task, attempt=attempt):
                attempts.pop((task, attempt), None)
            case WakeAt(at=at):
                wake = effect if at is not None else None
            case Post():
                pass  # written with the events that cause it
    owed = set(attempts.values())
    if wake is not None:
        owed.add(wake)
    return owed
