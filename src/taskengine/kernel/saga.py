"""Undoing what was done: the order in which compensations begin. Part of evolve.

The graph is walked backwards: a step is undone when all that came after it has been. A container is undone by its own compensation
first, then by those of its scopes, side by side, or one after the other where they ran one after the other. Steps that did not
complete, or say nothing of how they are undone, are undone at once. Garcia-Molina and Salem, Sagas (1987).

Where something ended otherwise than the graph has it (a join did not wait, a person had a step done again), the graph does not tell
what came after what: all in that block or container is undone in one *line*, strictly the last to complete first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from taskengine.kernel import graph, subtree
from taskengine.kernel.scope import Saga, Scope
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.effect import Effect
from taskengine.model.status import Phase

__all__ = ["NOT_UNDONE", "UNDONE", "begun", "ended", "enrol", "failed", "stuck", "walk"]

NOT_UNDONE: Final = "CompensationFailed"  # the type of an error
UNDONE: Final = frozenset({Phase.COMPLETED, Phase.SKIPPED})  # skipped: a person has undone it, or does without


def begun(state: Execution, event: ev.CompensationStarted, effects: list[Effect]) -> None:
    """Whatever is still open is over; each completed task that can be undone gets a task that undoes it."""
    paused = set(state.paused)
    state.undoes = True  # also in the executions that it has started
    subtree.sweep(state, 0, effects)
    root = state.root
    root.is_swept, root.failures, root.flaws = True, None, 0
    for number in range(1, 1 + root.block.size):
        state.tally.pop(number, None)
    state.is_cancelling = False
    state.expires_at = None
    state.closing.clear()
    state.saga = Saga(len(state.phase), event.tasks, event.error, event.outcome)
    enrol(state, state.saga)
    held = {number for original in event.tasks for number in state.at_or_above(original)}
    state.paused = paused & held  # what was paused stays so, also for what undoes it
    state.phase.extend(bytes(len(event.tasks)))
    state.counts[Phase.PENDING] += len(event.tasks)
    walk(state)


def enrol(state: Execution, saga: Saga) -> None:
    """The tasks that undo others stand where those stand."""
    steps = list(state.steps)
    state.undo_from = saga.first
    for number in saga.originals:
        undo = steps[number].compensation
        assert undo is not None, f"task {number} says nothing of how it is undone"
        saga.undoes[number] = len(steps)
        steps.append(undo)
        state.scopes.append(state.scopes[number])
    state.steps = steps


def failed(state: Execution, event: ev.CompensationFailed, _: list[Effect]) -> None:
    """Those that could not begin are given up."""
    for number in event.tasks:
        if state.phase[number] == Phase.PENDING:
            graph.enter(state, number, Phase.CANCELLED)


def ended(state: Execution, number: int, *, had_begun: bool) -> None:
    """A compensation has ended; what came before what it has undone is next. One that a person ends may not have begun."""
    saga = state.saga
    assert saga is not None
    saga.open -= had_begun
    original = saga.originals[number - saga.first]
    if state.phase[number] in UNDONE:
        line = saga.line_of.get(original)
        _proceed(state, saga, [original] if line is None else _next_in_line(state, saga, line))


def walk(state: Execution) -> None:
    """From the end of the graph backwards, as far as it goes: what may begin is made ready. Also makes the indexes anew."""
    saga = state.saga
    assert saga is not None
    saga.left, saga.scopes_left, saga.open = {}, {}, 0
    _form_lines(state, saga)
    for number in saga.undoes.values():
        saga.open += Phase.PENDING < state.phase[number] < Phase.COMPLETED
    _proceed(state, saga, _last(state, saga, state.root))


def _form_lines(state: Execution, saga: Saga) -> None:
    saga.lines, saga.line_of = {}, {}
    for original in reversed(saga.originals) if state.unordered else ():
        around = [one for one in _around(state, original) if one in state.unordered]
        if around:
            saga.line_of[original] = around[-1]
            saga.lines.setdefault(around[-1], []).append(original)


def _around(state: Execution, number: int) -> Iterator[int]:
    """The blocks and containers that a task stands in, outwards."""
    while number > 0:
        scope = state.scopes[number]
        yield scope.base
        number = max(scope.container, 0)
        if scope.base:
            yield number


def _next_in_line(state: Execution, saga: Saga, unit: int) -> list[int]:
    """The next of a line is undone; when there is none, what came before the block or the container."""
    line = saga.lines.get(unit, [])
    while line and state.phase[saga.undoes[line[-1]]] in UNDONE:
        line.pop()
    if line:
        undo = saga.undoes[line[-1]]
        if state.phase[undo] == Phase.PENDING:
            graph.make_ready(state, undo)
            saga.open += 1
        return []
    return [~unit] if state.scopes[unit].base == unit else _passed(state, saga, unit)


def _last(state: Execution, saga: Saga, scope: Scope) -> list[int]:
    """What is looked at first in a scope; of one without steps, its end (``~base``)."""
    if scope.base in state.unordered:
        return _next_in_line(state, saga, scope.base)
    return [scope.base + local for local in scope.block.sinks] or [~scope.base]


def _proceed(state: Execution, saga: Saga, stack: list[int]) -> None:
    """Each of these has nothing after it any more: undo it, or go on to what was before it. ``~base``: that scope is undone."""
    while stack:
        number = stack.pop()
        if number < 0:
            stack += _left_scope(state, saga, state.scopes[~number]) if ~number else []
            continue
        undo = saga.undoes.get(number)
        if undo is not None and state.phase[undo] not in UNDONE:
            if state.phase[undo] == Phase.PENDING:
                graph.make_ready(state, undo)
                saga.open += 1
        elif number in state.groups and number not in saga.scopes_left and state.groups[number].bases:
            stack += _enter(state, saga, number)
        else:
            stack += _passed(state, saga, number)


def _enter(state: Execution, saga: Saga, number: int) -> list[int]:
    """Undo what is inside a container: all its scopes, or the last one."""
    group = state.groups[number]
    saga.scopes_left[number] = group.opened
    if number in state.unordered:
        return _next_in_line(state, saga, number)
    following: list[int] = []
    for base in group.bases[-1:] if group.window == 1 else group.bases:
        following += _last(state, saga, state.scopes[base])
    return following


def _passed(state: Execution, saga: Saga, number: int) -> list[int]:
    """A step is undone: what it depended on may be next, and so may what is around it."""
    scope = state.scopes[number]
    following: list[int] = []
    for local in state.steps[number].dependencies:
        before = scope.base + local
        left = saga.left.get(before, len(state.steps[before].dependents)) - 1
        saga.left[before] = left
        if left == 0:
            following.append(before)
    left = saga.left[scope.base] = saga.left.get(scope.base, scope.block.size) - 1
    return [*following, ~scope.base] if left == 0 else following


def _left_scope(state: Execution, saga: Saga, scope: Scope) -> list[int]:
    """All of a scope is undone: the one before it is next, or what is before the container."""
    container = scope.container
    group = state.groups[container]
    saga.scopes_left[container] -= 1
    left = saga.scopes_left[container]
    if left == 0:
        return _passed(state, saga, container)
    return _last(state, saga, state.scopes[group.bases[left - 1]]) if group.window == 1 else []


def stuck(state: Execution) -> list[int]:
    """The steps whose own execution was to undo what it had done, and could not."""
    failed = [number for number, task in state.live.items() if task.error is not None and task.error.type == NOT_UNDONE]
    return [number for number in failed if state.steps[number].step.type == "workflow" and state.phase[number] == Phase.FAILED]
