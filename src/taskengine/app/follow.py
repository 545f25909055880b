"""An execution watched while it goes on, wherever it runs: its committed events, folded as they come. Reads only.

Whoever shows progress asks ``read`` as often as it likes to show something; between two calls nothing is kept but the state.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from taskengine.kernel.advance import fold
from taskengine.kernel.state import Execution
from taskengine.model.codec import decode_event
from taskengine.model.event import CompensationStarted, Event
from taskengine.model.status import SETTLED, Phase
from taskengine.model.value import Instant
from taskengine.ports.store import Views

__all__ = ["Change", "Follower", "Past", "cut_off", "past"]

_PAGE: Final = 2_000


class Past(NamedTuple):
    """What is known of a task's work so far: the last attempt, and when the task began and ended, as far as it has."""

    attempt: int
    started_at: Instant | None
    ended_at: Instant | None


class Change(msgspec.Struct, frozen=True, gc=False):
    """One event, the task that it is about (0 is the execution), and when that task began."""

    seq: int
    event: Event
    task: int
    started_at: Instant | None


class Follower:
    """``state`` is the execution as far as it was read."""

    def __init__(self, views: Views, state: Execution) -> None:
        self._views = views
        self.state = state
        self._ended: dict[int, Past] = {}
        self._cut_off_at: Instant | None = None

    async def read(self) -> list[Change]:
        """What was committed since the last call, at most a page of it, oldest first. Raises ``StorageError``."""
        state = self.state
        page = await self._views.events(state.execution_id, after=state.seq, limit=_PAGE)
        return [self._fold(stored.seq, decode_event(stored.body)) for stored in page]

    def _fold(self, seq: int, event: Event) -> Change:
        state = self.state
        number = getattr(event, "task", 0)
        live = state.live.get(number)
        started_at = live.started_at if live is not None else state.started_at if number == 0 else None
        fold(state.execution_id, state.plan, (event,), state=state)
        self._cut_off_at = cut_off((event,)) or self._cut_off_at
        if number and Phase(state.phase[number]) in SETTLED:
            self._ended[number] = Past(getattr(event, "attempt", 0), started_at, event.at)
        return Change(seq, event, number, started_at)

    def past(self, number: int) -> Past:
        """What is known of a task's work."""
        return past(self.state, number, ended=self._ended.get(number), cut_off_at=self._cut_off_at)


def past(state: Execution, number: int, *, ended: Past | None, cut_off_at: Instant | None = None) -> Past:
    """What is known of a task: how it ended, else what it is at. Undoing, or the execution's end, ends what was open."""
    if ended is not None and Phase(state.phase[number]) in SETTLED:
        return ended
    live = state.live.get(number)
    if live is None:
        return Past(0, None, None)
    return Past(live.attempt, live.started_at, state.finished_at if cut_off_at is None or number >= state.undo_from else cut_off_at)


def cut_off(history: Iterable[Event]) -> Instant | None:
    """When the undoing began that has cut off what was still open."""
    return max((event.at for event in history if isinstance(event, CompensationStarted)), default=None)
