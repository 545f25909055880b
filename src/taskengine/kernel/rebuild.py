"""Make the indexes of a state anew from its facts: after a snapshot, and when something is begun again. O(size)."""

from __future__ import annotations

import msgspec

from taskengine.kernel import graph, saga
from taskengine.kernel.fold_group import look_at
from taskengine.kernel.queue import NOBODY, ReadyQueue
from taskengine.kernel.scope import Scope
from taskengine.kernel.state import Execution
from taskengine.model.status import Phase

__all__ = ["Order", "rebuild"]


class Order(msgspec.Struct, frozen=True):
    """What the facts do not tell of the indexes: who has waited longest, and which conditions have been found true."""

    listening: list[int]
    matchable: list[str]
    unjudged: list[int]
    skips: list[int]
    closing: list[int]
    spreading: list[int]

    @classmethod
    def of(cls, state: Execution) -> Order:
        """The order as it stands."""
        return cls(
            listening=[number for listeners in state.listeners.values() for number in listeners],
            matchable=list(state.matchable),
            unjudged=list(state.unjudged),
            skips=list(state.skips),
            closing=list(state.closing),
            spreading=list(state.spreading),
        )


def rebuild(state: Execution, order: Order | None = None, *, is_same: bool = False) -> None:
    """Recompute every index; facts are only changed where an index implies one (a pending task whose join has become clear).

    ``order``: keep it, as far as it is still about the same tasks; ``is_same``: the facts are the very same, so that what was
    looked at in vain need not be looked at again.
    """
    was_ready = {number for number in range(1, len(state.phase)) if state.phase[number] == Phase.READY}
    state.tally = {}
    state.counts, state.blocks = [0] * len(Phase), [0] * len(Phase)
    state.unread = {}
    state.ready, state.suspects = ReadyQueue(), NOBODY
    state.unjudged, state.skips = {}, {}
    state.listeners, state.matchable = {}, {}
    state.closing, state.spreading = {}, {}
    state.is_related = state.plan.posts or state.parent is not None
    state.children = {number: task.child for number, task in state.live.items() if task.child}
    state.signal_count = sum(len(queue) for queue in state.signals.values())
    _count(state)
    if not state.seq:
        return
    phases = state.phase
    for number in range(1, len(phases)):
        match phases[number]:
            case Phase.PENDING if number < state.undo_from:
                graph.judge_join(state, number)
            case Phase.READY:
                graph.enqueue(state, number)
            case Phase.WAITING if state.live[number].signal:
                graph.listen(state, number, state.live[number].signal)
            case Phase.EXPANDED if number in state.groups:
                look_at(state, number)
            case _:
                pass
    if state.saga is not None:
        saga.walk(state)
    if order is not None:
        _keep(state, order, was_ready)
    if order is not None and is_same:
        state.spreading = {number: state.spreading[number] for number in order.spreading}
        state.matchable = {name: state.matchable[name] for name in order.matchable}


# ── counters ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _count(state: Execution) -> None:
    phases = state.phase
    for phase in memoryview(phases)[1:]:
        state.counts[phase] += 1
    for scope in _scopes(state):
        if scope.base:
            state.blocks[phases[scope.base]] += 1
    for group in state.groups.values():
        group.completed = group.failed = group.cancelled = group.flaws = 0
    for scope in _scopes(state):
        scope.left, scope.failures, scope.flaws = 0, None, 0
    for number in range(min(len(phases), state.undo_from) - 1, 0, -1):  # what is inside comes after what is around it
        if phases[number] < Phase.COMPLETED:
            _count_open(state, number)
        else:
            _count_end(state, number)
    for scope in _scopes(state):
        is_open = phases[scope.base] == Phase.EXPANDED or (scope is state.root and state.saga is None)
        if not scope.left and not scope.is_swept and is_open and not state.is_finished:
            state.closing[scope.base] = None


def _scopes(state: Execution) -> list[Scope]:
    """Every scope: a task that is its scope's own node tells it."""
    return [scope for number, scope in enumerate(state.scopes) if scope.base == number]


def _count_open(state: Execution, number: int) -> None:
    scope = state.scopes[number]
    if number != scope.base:
        scope.left += 1


def _count_end(state: Execution, number: int) -> None:
    phases, steps, scope = state.phase, state.steps, state.scopes[number]
    if number == scope.base:
        _count_child(state, scope)
        return
    kind = graph.ended_as(state, number)
    if not scope.is_swept:
        for local in steps[number].dependents:
            dependent = scope.base + local
            if len(steps[dependent].dependencies) > 1 and phases[dependent] != Phase.COMPLETED:
                graph.count_end(state, dependent, kind)
        if phases[number] == Phase.CANCELLED or (phases[number] == Phase.FAILED and not state.live[number].is_handled):
            graph.count_failure(state, number, 1)
        if phases[number] == Phase.COMPLETED and number in state.groups:
            scope.flaws += state.groups[number].is_partial
    if number in state.outputs:
        block, base = scope.block, scope.base
        unread = sum(1 for reader in block.readers[number - base] if phases[base + reader] != Phase.COMPLETED)
        state.unread[number] = unread + (number - base in block.kept) if not _is_released(state, scope) else 1


def _is_released(state: Execution, scope: Scope) -> bool:
    if scope is state.root or state.phase[scope.container] == Phase.COMPLETED:
        return scope is not state.root
    is_last = state.groups[scope.container].bases[-1] == scope.base
    return state.phase[scope.base] == Phase.COMPLETED and (scope.block.repeat is None or not is_last)


def _count_child(state: Execution, scope: Scope) -> None:
    group = state.groups[scope.container]
    match state.phase[scope.base]:
        case Phase.COMPLETED:
            group.completed += 1
            group.flaws += scope.flaws > 0
        case Phase.FAILED:
            group.failed += 1
        case _:
            group.cancelled += 1


# ── order ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _keep(state: Execution, order: Order, was_ready: set[int]) -> None:
    state.listeners.clear()
    for number in order.listening:
        state.listeners.setdefault(state.live[number].signal, {})[number] = None
    for number in [one for one in state.unjudged if one in was_ready and one not in order.unjudged]:
        del state.unjudged[number]  # its condition has been found true
        graph.admit_later(state, number)
    state.unjudged = _ordered(state.unjudged, order.unjudged)
    state.skips = _ordered(state.skips, order.skips)
    state.closing = _ordered(state.closing, order.closing)


def _ordered(found: dict[int, None], order: list[int]) -> dict[int, None]:
    ordered = {number: None for number in order if number in found}
    ordered.update(found)
    return ordered
