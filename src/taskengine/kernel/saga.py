"""Undoing what was done: the order in which compensations begin. Part of evolve.

The graph is walked backwards: a step is undone when all that came after it has been. Of two steps of which one depends on the
other, the one that ended last came after; that is not always the dependent one, which its join may have let begin before. A
container is undone by its own compensation first, then by those of its scopes, side by side, or, where they ran one after the
other, the last to end first. Steps that did not complete, or say nothing of how they are undone, are undone at once.
Garcia-Molina and Salem, Sagas (1987).
"""

from __future__ import annotations

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
    if state.phase[number] in UNDONE:
        _proceed(state, saga, [saga.originals[number - saga.first]])


def walk(state: Execution) -> None:
    """From the end of the graph backwards, as far as it goes: what may begin is made ready. Also makes the indexes anew."""
    saga = state.saga
    assert saga is not None
    saga.left, saga.scopes_left, saga.orders, saga.open = {}, {}, {}, 0
    for number in saga.undoes.values():
        saga.open += Phase.PENDING < state.phase[number] < Phase.COMPLETED
    _proceed(state, saga, _last(state, state.root))


def _last(state: Execution, scope: Scope) -> list[int]:
    """The steps of a scope that nothing came after."""
    if not state.overtaken:
        return [scope.base + local for local in scope.block.sinks]
    return [number for number in range(scope.base + 1, scope.base + 1 + scope.block.size) if not _after(state, number)]


def _after(state: Execution, number: int) -> int:
    """How many steps came after one."""
    step, base, overtaken = state.steps[number], state.scopes[number].base, state.overtaken
    if not overtaken:
        return len(step.dependents)
    late = sum((base + local, number) in overtaken for local in step.dependencies)
    return late + sum((number, base + local) not in overtaken for local in step.dependents)


def _before(state: Execution, number: int) -> list[int]:
    """The steps that one came after."""
    step, base, overtaken = state.steps[number], state.scopes[number].base, state.overtaken
    found = [base + local for local in step.dependencies]
    if not overtaken:
        return found
    early = [base + local for local in step.dependents]
    return [one for one in found if (one, number) not in overtaken] + [one for one in early if (number, one) in overtaken]


def _proceed(state: Execution, saga: Saga, stack: list[int]) -> None:
    """Each of these has nothing after it any more: undo it, or go on to what was before it."""
    while stack:
        number = stack.pop()
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
    order = saga.orders[number] = group.in_order
    following: list[int] = []
    for base in order[-1:] if group.window == 1 else order:
        scope = state.scopes[base]
        following += _last(state, scope) or _left_scope(state, saga, scope)
    return following


def _passed(state: Execution, saga: Saga, number: int) -> list[int]:
    """A step is undone: what it came after may be next, and so may what is around it."""
    scope = state.scopes[number]
    following: list[int] = []
    for before in _before(state, number):
        left = saga.left[before] = (saga.left[before] if before in saga.left else _after(state, before)) - 1
        if left == 0:
            following.append(before)
    left = saga.left[scope.base] = saga.left.get(scope.base, scope.block.size) - 1
    if left == 0 and scope.base:
        following += _left_scope(state, saga, scope)
    return following


def _left_scope(state: Execution, saga: Saga, scope: Scope) -> list[int]:
    """All of a scope is undone: the nearest one before it that has steps is next, or what is before the container."""
    container = scope.container
    group = state.groups[container]
    last: list[int] = []
    while not last:
        saga.scopes_left[container] -= 1
        left = saga.scopes_left[container]
        if left == 0:
            return _passed(state, saga, container)
        if group.window != 1:
            break
        last = _last(state, state.scopes[saga.orders[container][left - 1]])
    return last


def stuck(state: Execution) -> list[int]:
    """The steps whose own execution was to undo what it had done, and could not."""
    failed = [number for number, task in state.live.items() if task.error is not None and task.error.type == NOT_UNDONE]
    return [number for number in failed if state.steps[number].step.type == "workflow" and state.phase[number] == Phase.FAILED]
