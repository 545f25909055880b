"""Which waiting step takes which signal. Decisions only; what was judged in vain is noted in an index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import truth
from taskengine.kernel.approval import stopped_clocks
from taskengine.kernel.attempt import completion
from taskengine.kernel.bucket import Path
from taskengine.kernel.context import context
from taskengine.kernel.sieve import Effort
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.value import NONE, Instant, Json, Raw

__all__ = ["take_signal"]

_BYTES: Final = 4_096  # of what a filter reads, that count as much as a filter


def take_signal(state: Execution, name: str, at: Instant, effort: Effort) -> Sequence[ev.Event]:
    """Of the steps that listen for a name and want any of its signals, the one that has waited longest takes the oldest it wants.

    Held steps do not listen. Empty: nobody wants any of them, until another comes or listens; or the effort is spent.
    """
    sieve = state.sieves.get(name)
    if sieve is None:
        return _given(state, next(iter(state.listeners[name])), 0, at)
    found = sieve.find(_Filters(state, effort), effort)
    if found is not None:
        return _given(state, found[0], sieve.place_of(found[1]), at)
    if not effort.is_spent:
        del state.matchable[name]
    return ()


def _given(state: Execution, number: int, place: int, at: Instant) -> Sequence[ev.Event]:
    data = state.signals[state.live[number].signal][place]
    ended = completion(state, number, state.live[number].attempt, at, output=data, signal=place)
    return (*stopped_clocks(state, number, at), *ended)


class _Filters:
    """What the filters of an execution's steps say. One that can say nothing about a signal does not want it."""

    def __init__(self, state: Execution, effort: Effort) -> None:
        self._state = state
        self._effort = effort

    def paths(self, number: int) -> tuple[Path, ...]:
        """As the filter was written."""
        return self._state.steps[number].filter_plan.paths

    def keys(self, number: int) -> list[Json] | None:
        """Rendered for this step."""
        step = self._state.steps[number]
        if not step.filter_plan.keys:
            return []
        given = context(self._state, step.filter_reads, self._state.scopes[number])
        self._effort.spend(len(given) // _BYTES)
        try:
            return [key.evaluate(given) for key in step.filter_plan.keys]
        except (ExpressionError, LimitError):
            return None

    def wants(self, number: int, data: Raw) -> bool:
        """Whether the filter is true."""
        step = self._state.steps[number]
        self._effort.spend(1)
        if step.filter is None:
            return True
        try:
            given = context(self._state, step.filter_reads, self._state.scopes[number], event=data or NONE)
            self._effort.spend(len(given) // _BYTES)
            return truth(step.filter, given)
        except (ExpressionError, LimitError):
            return False
