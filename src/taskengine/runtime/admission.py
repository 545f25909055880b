"""Who gets the next free slot: executions with ready tasks, most urgent first, then in turn. One extra slot is kept for suspects.

A slot is held from the event that schedules an attempt until its work has really ended, which may be later than the attempt itself
(a thread cannot be killed).
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count
from typing import Protocol

from taskengine.runtime.resident import Resident

__all__ = ["Admission", "Grant"]


class Grant(Protocol):
    """Gives an execution a turn with free slots and puts it in line again when something happened; returns how many it took."""

    def __call__(self, resident: Resident, *, slots: int = 0, suspect_slots: int = 0) -> tuple[int, int]:
        """Take none, some or all of them."""
        ...


class Admission:
    """The node's slots and who waits for them."""

    def __init__(self, slots: int, grant: Grant) -> None:
        self.slots = slots
        self.free = slots
        self.suspects_free = 1
        self._grant = grant
        self._order = count()
        self._waiting: list[tuple[int, int, Resident]] = []
        self._suspects: deque[Resident] = deque()
        self._is_serving = False
        self.is_closed = False

    @property
    def waiting(self) -> int:
        """How many executions wait for a slot."""
        return len(self._waiting) + len(self._suspects)

    @property
    def spare(self) -> int:
        """Slots that nobody waits for: a turn may take them at once, and pays with ``take``."""
        return 0 if self._waiting or self._is_serving or self.is_closed else self.free

    def take(self, slots: int) -> None:
        """So many of the spare ones are taken."""
        self.free -= slots

    def want(self, resident: Resident) -> None:
        """The execution may have something ready: it waits in line, once."""
        state = resident.state
        if not (state.ready.members or state.suspects.members) or self.is_closed or resident.is_dropped:
            return
        if state.is_finished or state.is_paused or state.is_cancelling:
            return
        first = state.ready.first()
        if first is not None and (not resident.is_queued or first[0] > resident.queued_priority):
            # Queued before with less urgent work, it stands in line twice; the place that comes second is passed over.
            resident.is_queued = True
            resident.queued_priority = first[0]
            heapq.heappush(self._waiting, (-first[0], next(self._order), resident))
        if state.suspects.members and not resident.is_suspect_queued:
            resident.is_suspect_queued = True
            self._suspects.append(resident)

    def serve(self) -> None:
        """Give free slots to those that wait. Everything happens now, in this turn of the loop."""
        if self._is_serving or self.is_closed:
            return
        self._is_serving = True
        try:
            while self.free > 0 and self._waiting:
                resident = heapq.heappop(self._waiting)[2]
                is_expected, resident.is_queued = resident.is_queued, False
                if is_expected and not resident.is_dropped:
                    taken, _ = self._grant(resident, slots=1 if self._waiting else self.free)
                    self.free -= taken
            while self.suspects_free > 0 and not self._waiting and self._suspects:
                resident = self._suspects.popleft()
                resident.is_suspect_queued = False
                if not resident.is_dropped:
                    _, taken = self._grant(resident, suspect_slots=1)
                    self.suspects_free -= taken
        finally:
            self._is_serving = False

    def release(self, *, is_suspect: bool) -> None:
        """A slot is free again; the caller serves when its turn is complete."""
        if is_suspect:
            self.suspects_free += 1
        else:
            self.free += 1
