"""A new round: what failed or was cancelled begins again, with all that did not happen because of it and the groups around it.

Asked for by a person and rare: where a group has to be opened again, phases are set and the indexes made anew, O(size).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from taskengine.kernel import graph
from taskengine.kernel.join import LEFT, UNHAPPY
from taskengine.kernel.rebuild import Order, rebuild
from taskengine.kernel.state import Execution
from taskengine.kernel.timing import Clock
from taskengine.model.status import Phase

__all__ = ["reopen", "reopen_finished", "reopen_task"]

_UNHAPPY = frozenset({Phase.FAILED, Phase.CANCELLED})


def reopen(state: Execution, tasks: Iterable[int]) -> None:
    """Let failed or cancelled tasks of an execution that goes on through their joins again."""
    order = Order.of(state)
    for number in _chosen(state, tasks):
        _begin_again(state, number)
    rebuild(state, order)


def reopen_task(state: Execution, number: int) -> None:
    """One task, while everything around it goes on: O(what was skipped because of it)."""
    base = state.scopes[number].base
    chosen = {number: None}
    queue = [number]
    for one in queue:
        for local in state.steps[one].dependents:
            dependent = base + local
            if _is_skipped(state, dependent) and dependent not in chosen:
                chosen[dependent] = None
                queue.append(dependent)
    touched = dict.fromkeys(chosen)
    for one in queue:
        touched.update(dict.fromkeys(_take_back(state, one)))
    for one in sorted(touched):
        graph.judge_join(state, one)


def _take_back(state: Execution, number: int) -> Iterator[int]:
    """Take back what a task's end told the others; these are to be judged again."""
    task = state.live.get(number)
    kind = graph.ended_as(state, number)
    if kind == UNHAPPY and not (task and task.is_handled):
        graph.count_failure(state, number, -1)
    graph.enter(state, number, Phase.PENDING)
    graph.note_reopened(state, number)
    if task is not None:
        task.begin_round()
    steps, phase, base = state.steps, state.phase, state.scopes[number].base
    for local in steps[number].dependents:
        dependent = base + local
        if phase[dependent] != Phase.COMPLETED and len(steps[dependent].dependencies) > 1:
            tally = state.tally[dependent]
            tally[kind] -= 1
            tally[LEFT] += 1
            if tally[LEFT] == len(steps[dependent].dependencies):
                del state.tally[dependent]
        if phase[dependent] == Phase.READY and not (dependent in state.live and state.live[dependent].attempt):
            graph.leave_queues(state, dependent)
            state.timers.drop(dependent, Clock.QUEUE)
            graph.enter(state, dependent, Phase.PENDING)
        if phase[dependent] == Phase.PENDING:
            state.skips.pop(dependent, None)
            yield dependent


def reopen_finished(state: Execution, tasks: Iterable[int], *, opens_rest: bool) -> None:
    """The same for an execution that has ended; what was cut off by its end is open again, or cancelled from now on.

    The caller makes the indexes anew.
    """
    chosen = _chosen(state, tasks)
    for number in chosen:
        _begin_again(state, number)
    phase = state.phase
    for number in range(1, len(phase)):
        if number in chosen or phase[number] >= Phase.COMPLETED:
            continue
        if number in state.live:
            state.live[number].begin_round()
        if opens_rest:
            phase[number] = Phase.EXPANDED if phase[number] == Phase.EXPANDED else Phase.PENDING
        else:
            phase[number] = Phase.CANCELLED
            if state.scopes[number].base == number:
                state.scopes[number].is_swept = True
    state.sweeps.clear()


def _chosen(state: Execution, tasks: Iterable[int]) -> dict[int, None]:
    """The tasks, what did not happen because of them, and upwards the groups that ended or were cut off with them."""
    chosen = dict.fromkeys(tasks)
    queue = list(chosen)
    for number in queue:
        scope = state.scopes[number]
        around: list[int] = []
        if number == scope.base:
            around.append(scope.container)
        else:
            around += [scope.base + local for local in state.steps[number].dependents]
            around = [one for one in around if _did_not_happen(state, one)]
            if scope.base and (state.phase[scope.base] in _UNHAPPY or state.is_finished):
                around.append(scope.base)
        for one in around:
            if one not in chosen and state.phase[one] != Phase.COMPLETED:
                chosen[one] = None
                queue.append(one)
    return chosen


def _did_not_happen(state: Execution, number: int) -> bool:
    task = state.live.get(number)
    is_begun = task is not None and task.attempt > 0
    return _is_skipped(state, number) or (state.is_finished and state.phase[number] <= Phase.READY and not is_begun)


def _is_skipped(state: Execution, number: int) -> bool:
    """Whether it was skipped by itself, so that it is open again when what came before it is."""
    return state.phase[number] == Phase.SKIPPED and number not in state.skipped_by_person


def _begin_again(state: Execution, number: int) -> None:
    """A container or a scope goes on where it stood, anything else goes through its join."""
    scope = state.scopes[number]
    if number == scope.base:
        scope.is_swept = False
        state.phase[number] = Phase.EXPANDED
    elif number in state.groups:
        state.groups[number].is_closed = False
        state.phase[number] = Phase.EXPANDED
    else:
        state.phase[number] = Phase.PENDING
    if number != scope.base:
        graph.note_reopened(state, number)
    if number in state.live:
        state.live[number].begin_round()
