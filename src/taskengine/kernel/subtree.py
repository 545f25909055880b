"""What a pause, a resume, a cancel or a time-out does to everything at and below a task. Part of evolve.

Each is one event for the whole subtree; its fold costs O(what is open there). What is registered later asks ``Execution.is_held``.
"""

from __future__ import annotations

from collections.abc import Iterator

from taskengine.kernel import graph, listening, post
from taskengine.kernel.fold_group import look_at
from taskengine.kernel.state import Execution
from taskengine.model.effect import Effect, Halt
from taskengine.model.status import Phase

__all__ = ["ask_to_stop", "hold", "let_go", "open_below", "sweep", "sweeper_of"]


def open_below(state: Execution, number: int) -> list[int]:
    """The tasks at or below one that have not ended, parents first; with attempts in scopes that a cancel has closed already."""
    found: dict[int, None] = {}
    stack = [number]
    phase, scopes = state.phase, state.scopes
    while stack:
        one = stack.pop()
        if phase[one] >= Phase.COMPLETED:
            continue
        found[one] = None
        if one in state.sweeps:
            found.update((number, None) for number, task in state.live.items() if task.swept_by == one)
        scope = scopes[one]
        if scope.base == one:
            stack.extend(range(one + scope.block.size, one, -1))
        elif phase[one] == Phase.EXPANDED:
            stack.extend(reversed(state.groups[one].bases))
    return list(found)


def sweeper_of(state: Execution, number: int) -> int:
    """The group at or around a task that is being cancelled; -1: there is none."""
    while state.sweeps and number > 0:
        if number in state.sweeps:
            return number
        scope = state.scopes[number]
        number = scope.base if number != scope.base else scope.container
    return -1


def hold(state: Execution, number: int, effects: list[Effect]) -> None:
    """A pause: out of the queues, clocks stand still, nothing listens, nothing is opened."""
    below = open_below(state, number)
    told = [one for one in below if one in state.children and not (state.is_paused or state.is_held(one))]
    state.paused.add(number)
    for one in below:
        state.ready.discard(one)
        state.suspects.discard(one)
        state.unjudged.pop(one, None)
        state.spreading.pop(one, None)
        task = state.live.get(one)
        if task is not None and task.signal:
            listening.stop_listening(state, one, task.signal)
        state.timers.freeze(one, state.own_time(state.at))
    for one in told:
        post.pause(state, one, effects)
    listening.pauses_changed(state)


def let_go(state: Execution, number: int, effects: list[Effect]) -> None:
    """End the hold on a task: its clocks go on, and it is looked at again. What another pause holds stays held."""
    if number not in state.paused:
        return
    state.paused.discard(number)
    for one in (*open_below(state, number), *_undoing_below(state, number)):
        if state.is_held(one):
            continue
        state.timers.thaw(one, state.own_time(state.at))
        if state.phase[one] == Phase.READY:
            graph.enqueue(state, one)
        elif one in state.groups and state.phase[one] == Phase.EXPANDED:
            look_at(state, one)
        task = state.live.get(one)
        if task is not None and task.signal:
            listening.listen(state, one, task.signal)
        if one in state.children and not state.is_paused:
            post.resume(state, one, effects)
    listening.pauses_changed(state)


def _undoing_below(state: Execution, number: int) -> Iterator[int]:
    """What undoes a task at or below one, and has been made ready."""
    if state.saga is not None and number < state.undo_from:
        for one in state.saga.undoes.values():
            if Phase.PENDING < state.phase[one] < Phase.COMPLETED and number in state.at_or_above(one):
                yield one


def ask_to_stop(state: Execution, number: int, effects: list[Effect]) -> None:
    """A cancel of a group: what runs is asked to stop, all else below it is over. The group ends when the last attempt has."""
    _let_go_of_all(state, number, effects)
    _close_scope(state, number)
    running = 0
    for one in open_below(state, number)[1:]:
        task = state.live.get(one)
        if task is None or not (task.is_launched or task.child):
            _end(state, one)
            continue
        running += 1
        task.swept_by = number
        if task.child:
            post.stop(state, one, task, effects)
        elif not task.is_cancelling:
            task.is_cancelling = True
            effects.append(Halt(one, task.attempt, is_final=False))
    state.sweeps[number] = running


def sweep(state: Execution, number: int, effects: list[Effect]) -> None:
    """A group ends from outside: all that is open below it is over, and what runs is stopped and not waited for."""
    _let_go_of_all(state, number, effects)
    _close_scope(state, number)
    for one in open_below(state, number)[1:]:
        task = state.live.get(one)
        if task is not None and task.is_launched:
            effects.append(Halt(one, task.attempt, is_final=True))
        elif task is not None and task.child and number == 0 and state.undoes and not task.is_cancelling:
            post.stop(state, one, task, effects)
        elif task is not None and task.child:
            post.terminate(state, task, effects)
        _end(state, one)
    state.sweeps.pop(number, None)


def _let_go_of_all(state: Execution, number: int, effects: list[Effect]) -> None:
    if state.paused:
        for one in open_below(state, number):
            let_go(state, one, effects)


def _end(state: Execution, number: int) -> None:
    graph.leave_queues(state, number)
    state.timers.drop_all(number)
    state.spreading.pop(number, None)
    state.sweeps.pop(number, None)
    state.children.pop(number, None)
    task = state.live.get(number)
    if task is not None:
        if task.signal:
            listening.stop_listening(state, number, task.signal)
        task.stand_down()
        task.error = None
    _close_scope(state, number)
    scope = state.scopes[number]
    if scope.base == number:
        state.groups[scope.container].cancelled += 1
    graph.enter(state, number, Phase.CANCELLED)


def _close_scope(state: Execution, number: int) -> None:
    """A scope that was cut off counts nothing any more; one all of whose steps have ended keeps its counts."""
    state.spreading.pop(number, None)
    scope = state.scopes[number]
    if scope.base != number:
        return
    state.closing.pop(number, None)
    if scope.left:
        scope.is_swept, scope.failures, scope.flaws = True, None, 0
        for one in range(number + 1, number + 1 + scope.block.size):
            state.tally.pop(one, None)
