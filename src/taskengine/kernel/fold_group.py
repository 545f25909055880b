"""Facts about containers and the scopes they open, applied. Part of evolve.

A container's group says how many scopes may be open and how many have ended; ``spreading`` is where settle looks for more to do.
"""

from __future__ import annotations

from taskengine.kernel import graph, outputs
from taskengine.kernel.scope import Group, Scope, begun_group
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.effect import Effect
from taskengine.model.status import Phase
from taskengine.model.value import ABSENT, NONE, Raw

__all__ = ["begun", "child_completed", "child_ended", "closed", "completed", "look_at", "registered"]


def look_at(state: Execution, number: int) -> None:
    """A container may open a scope or end, unless it is held. The last to be looked at comes last, whatever was seen before."""
    if number not in state.sweeps and not state.is_held(number):
        state.spreading.pop(number, None)
        state.spreading[number] = None


def begun(state: Execution, number: int, given: Raw, case: int) -> None:
    """A container begins. A later round goes on with what it has opened."""
    state.groups[number] = begun_group(state.steps[number], given, case)
    look_at(state, number)


def registered(state: Execution, event: ev.ChildrenRegistered, _: list[Effect]) -> None:
    """Open scopes: their tasks take the next numbers, and those without dependencies are judged at once."""
    number = event.task
    group, step, up = state.groups[number], state.steps[number], state.scopes[number]
    if not isinstance(state.steps, list):
        state.steps = list(state.steps)
    is_one_body = len(step.blocks) == 1
    for index in range(event.index, event.index + event.count):
        if group.bases and step.blocks[0].repeat is not None and state.phase[group.bases[-1]] == Phase.COMPLETED:
            outputs.release(state, state.scopes[group.bases[-1]])
        block = step.blocks[0 if is_one_body else index]
        base = len(state.phase)
        scope = Scope(base, block, number, up, index, group.item_of(index), block.size)
        group.bases.append(base)
        size = block.size + 1
        state.steps.extend(block.steps)
        state.scopes.extend([scope] * size)
        state.phase.extend(bytes(size))
        state.phase[base] = Phase.EXPANDED
        state.counts[Phase.EXPANDED] += 1
        state.blocks[Phase.EXPANDED] += 1
        state.counts[Phase.PENDING] += block.size
        for local in block.roots:
            graph.judge_join(state, base + local)
        if not block.size:
            state.closing[base] = None
    look_at(state, number)


def closed(state: Execution, event: ev.GroupClosed, _: list[Effect]) -> None:
    """No further scope is opened."""
    state.groups[event.task].is_closed = True
    look_at(state, event.task)


def child_completed(state: Execution, scope: Scope, event: ev.TaskCompleted) -> None:
    """A scope has ended well: keep what it gave for the container, forget what only its own steps read."""
    state.closing.pop(scope.base, None)
    group = state.groups[scope.container]
    group.outputs[scope.index] = event.output or NONE
    group.completed += 1
    group.flaws += event.outcome is not None
    _note_end(state, group, scope)
    if scope.block.repeat is None:
        outputs.release(state, scope)
    look_at(state, scope.container)


def child_ended(state: Execution, scope: Scope, *, is_failed: bool) -> None:
    """A scope has failed or was cancelled."""
    state.closing.pop(scope.base, None)
    group = state.groups[scope.container]
    if is_failed:
        group.failed += 1
    else:
        group.cancelled += 1
    _note_end(state, group, scope)
    look_at(state, scope.container)


def _note_end(state: Execution, group: Group, scope: Scope) -> None:
    """A scope has ended; where one follows the other, perhaps after a later one had begun."""
    if group.window == 1 and scope.base != group.bases[-1] and scope.block.has_undo:
        state.unordered.add(scope.container)


def completed(state: Execution, number: int) -> None:
    """A container has completed: nothing of it will begin again. Its scopes stay, so that its tasks can be named."""
    group = state.groups[number]
    state.spreading.pop(number, None)
    for base in group.bases:
        scope = state.scopes[base]
        if not scope.block.has_undo:
            scope.item = ABSENT
        outputs.release(state, scope)
    group.limit, group.batch, group.items, group.outputs = 0, 1, None, {}
