"""Where tasks stand in the tree of an execution, for whoever shows them: names, parents, order. Reads the kernel's state only."""

from __future__ import annotations

from typing import Final

from taskengine.kernel.state import Execution
from taskengine.model.status import Phase

__all__ = [
    "containers_of",
    "decides",
    "depth_of",
    "failed_itself",
    "is_partial",
    "is_scope",
    "label_of",
    "parent_of",
    "place_of",
    "step_id_of",
    "type_of",
    "undone_by",
]

# What a container opens, by the container's type: the type of a task that is a block at work and no step.
_PARTS: Final = {"parallel": "branch", "condition": "case", "map": "item", "loop": "iteration"}


def is_scope(state: Execution, number: int) -> bool:
    """Whether the task is a block at work: an iteration, a branch, a case."""
    return number > 0 and state.scopes[number].base == number


def type_of(state: Execution, number: int) -> str:
    """The type of its step; of a block at work what it is of its container: a branch, a case, an item, an iteration."""
    step = state.steps[state.scopes[number].container if is_scope(state, number) else number].step
    return _PARTS[step.type] if is_scope(state, number) else step.type


def undone_by(state: Execution, number: int) -> int:
    """The task that this one undoes; 0 when it undoes none."""
    saga = state.saga
    return saga.originals[number - state.undo_from] if saga is not None and number >= state.undo_from else 0


def parent_of(state: Execution, number: int) -> int:
    """The task that this one is below; 0 is the execution."""
    if original := undone_by(state, number):
        return original
    scope = state.scopes[number]
    return max(0, scope.container) if number == scope.base else scope.base


def containers_of(state: Execution, number: int) -> list[int]:
    """The containers around a task, the outermost first."""
    found: list[int] = []
    scope = state.scopes[number]
    while scope.up is not None:
        found.append(scope.container)
        scope = scope.up
    return found[::-1]


def depth_of(state: Execution, number: int) -> int:
    """How many tasks are above it; a step of the workflow has one, the execution."""
    depth = 0
    while number:
        number = parent_of(state, number)
        depth += 1
    return depth


def place_of(state: Execution, number: int) -> tuple[int, ...]:
    """A key that sorts tasks as a tree is read: each before those below it, iterations in order, steps as in the document."""
    if original := undone_by(state, number):
        return (*place_of(state, original), number)
    scope = state.scopes[number]
    if scope.up is None:
        return (number,)
    above = (*place_of(state, scope.container), scope.index, scope.base)
    return above if number == scope.base else (*above, number)


def step_id_of(state: Execution, number: int) -> str:
    """The id of its step; of a block at work, that of the container."""
    return state.steps[state.scopes[number].container if is_scope(state, number) else number].id


def label_of(state: Execution, number: int) -> str:
    """How people name it in a command: ``load``, ``each/[3]/load``."""
    return state.path_of(number).strip("/")


def failed_itself(state: Execution, number: int) -> bool:
    """Whether it failed, and not only because something below it did."""
    if state.phase[number] != Phase.FAILED:
        return False
    if is_scope(state, number):
        return not state.scopes[number].failures
    group = state.groups.get(number)
    return group is None or all(state.phase[base] != Phase.FAILED for base in group.bases)


def decides(state: Execution, number: int) -> bool:
    """Whether its failure is one that what is around it failed with, up to the execution: neither handled nor tolerated."""
    if undone_by(state, number):
        return True
    while state.phase[number] == Phase.FAILED:
        scope, live = state.scopes[number], state.live.get(number)
        if number == scope.base:
            number = scope.container
        elif (live is not None and live.is_handled) or not state.steps[number].fails_execution:
            return False
        elif scope.up is None:
            return True
        else:
            number = scope.base
    return False


def is_partial(state: Execution, number: int) -> bool:
    """Whether it completed although something inside of it did not go well."""
    if state.phase[number] != Phase.COMPLETED:
        return False
    if is_scope(state, number):
        return state.scopes[number].flaws > 0
    return number in state.groups and state.groups[number].is_partial
