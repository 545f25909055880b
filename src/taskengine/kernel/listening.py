"""Who listens for which signal, and what makes somebody look again. Part of evolve: nothing is judged here.

Where all who listen for a name take whatever comes, the order in which they wait is all there is to know. The first one with a
filter begins a *sieve* for the name, which lasts while anybody listens or any signal of that name waits.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator

from taskengine.kernel.context import tasks_read
from taskengine.kernel.sieve import Sieve
from taskengine.kernel.state import Execution
from taskengine.model.status import Phase
from taskengine.model.value import Raw

__all__ = ["arrived", "changed", "listen", "pauses_changed", "stop_listening", "taken"]


def listen(state: Execution, number: int, signal: str) -> None:
    """A waiting step listens for a signal, unless it is held."""
    if state.is_held(number):
        return
    listeners = state.listeners.get(signal)
    if listeners is None:
        listeners = state.listeners[signal] = OrderedDict()  # a dict would search for its first entry after many have left
    listeners[number] = None
    if signal in state.signals:
        state.matchable[signal] = None
    sieve = state.sieves.get(signal)
    if sieve is None and state.steps[number].filter is not None:
        sieve = state.sieves[signal] = Sieve()
        for data in state.signals.get(signal, ()):
            sieve.arrive(data)
        for other in listeners:
            sieve.listen(other, state.steps[other].filter_plan.paths)
    elif sieve is not None:
        sieve.listen(number, state.steps[number].filter_plan.paths)
    for what in _watches(state, number):
        state.watched.setdefault(what, {})[number] = None


def stop_listening(state: Execution, number: int, signal: str) -> None:
    """It ended, or is held."""
    listeners = state.listeners.get(signal)
    if listeners is None or number not in listeners:
        return
    del listeners[number]
    if not listeners:
        del state.listeners[signal]
        state.matchable.pop(signal, None)
    sieve = state.sieves.get(signal)
    if sieve is not None:
        sieve.leave(number)
        _end_if_over(state, signal)
    if state.watched:
        _stop_watching(state, number)


def arrived(state: Execution, name: str, data: Raw) -> None:
    """A signal waits in order until a step takes it."""
    queue = state.signals.get(name)
    if queue is None:
        queue = state.signals[name] = deque()
    queue.append(data)
    state.signal_count += 1
    if name in state.listeners:
        state.matchable[name] = None
    if name in state.sieves:
        state.sieves[name].arrive(data)


def taken(state: Execution, name: str, place: int) -> None:
    """The signal at a place of its queue was taken."""
    queue = state.signals[name]
    del queue[place]
    state.signal_count -= 1
    if not queue:
        del state.signals[name]
        state.matchable.pop(name, None)
    if name in state.sieves:
        state.sieves[name].take(place)
        _end_if_over(state, name)


def _end_if_over(state: Execution, name: str) -> None:
    if name not in state.listeners and name not in state.signals:
        del state.sieves[name]


# ── what filters read ────────────────────────────────────────────────────────────────────────────────────────────────


def changed(state: Execution, what: Iterable[int | str]) -> None:
    """Tasks or variables have changed: filters that read them see every signal anew."""
    for one in what:
        for number in state.watched.get(one, ()):
            name = state.live[number].signal
            state.sieves[name].look_again(number)
            if name in state.signals:
                state.matchable[name] = None


def pauses_changed(state: Execution) -> None:
    """Tasks may read otherwise, because they are held or not."""
    if state.watched:
        changed(state, [what for what in state.watched if isinstance(what, int)])


def _watches(state: Execution, number: int) -> Iterator[int | str]:
    """What a filter reads that may still change: variables, and tasks that have not completed."""
    step = state.steps[number]
    if step.filter is None:
        return
    yield from step.filter_plan.variables
    for task in tasks_read(step.filter_reads, state.scopes[number]):
        if state.phase[task] != Phase.COMPLETED:
            yield task


def _stop_watching(state: Execution, number: int) -> None:
    step = state.steps[number]
    if step.filter is None:
        return
    read: list[int | str] = [*step.filter_plan.variables, *tasks_read(step.filter_reads, state.scopes[number])]
    for what in read:
        watching = state.watched.get(what)
        if watching is not None:
            watching.pop(number, None)
            if not watching:
                del state.watched[what]
