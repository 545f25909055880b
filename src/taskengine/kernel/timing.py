"""The clocks of one execution's tasks. They run in the execution's own time, which stands still while all of it is paused.

Evolve keeps them: ``due`` is the truth, the heap finds its earliest entry and forgets stale ones (amortised O(log n)).
"""

from __future__ import annotations

import heapq
from enum import IntEnum
from typing import Final

from taskengine.model.value import Instant

__all__ = ["Clock", "Timers"]

_STALE_ENTRIES: Final = 64  # so many are not worth a tidying


class Clock(IntEnum):
    """What runs out for a task."""

    ATTEMPT = 0
    TOTAL = 1
    QUEUE = 2
    WAIT = 3
    RETRY = 4
    ESCALATE = 5


class Timers:
    """Due instants by (task, clock), in the execution's own time, and what is left of the clocks of paused tasks."""

    __slots__ = ("_heap", "due", "frozen")

    def __init__(self) -> None:
        self.due: dict[tuple[int, int], Instant] = {}
        self.frozen: dict[tuple[int, int], int] = {}
        self._heap: list[tuple[Instant, int, int]] = []

    def set(self, task: int, clock: Clock, due: Instant) -> None:
        """Start a clock, or move it."""
        self.due[(task, clock)] = due
        heapq.heappush(self._heap, (due, task, clock))
        if len(self._heap) > _STALE_ENTRIES + 4 * len(self.due):
            self._heap = [(at, *key) for key, at in self.due.items()]
            heapq.heapify(self._heap)

    def drop(self, task: int, clock: Clock) -> None:
        """Stop a clock, if it runs."""
        self.due.pop((task, clock), None)
        self.frozen.pop((task, clock), None)

    def drop_all(self, task: int) -> None:
        """Stop every clock of a task."""
        if self.due or self.frozen:
            for clock in Clock:
                self.drop(task, clock)

    def has(self, task: int, clock: Clock) -> bool:
        """Whether the clock runs or is frozen."""
        return (task, clock) in self.due or (task, clock) in self.frozen

    def freeze(self, task: int, now: Instant) -> None:
        """Let a task's clocks stand still; ``now`` in the execution's own time."""
        for clock in Clock:
            due = self.due.pop((task, clock), None)
            if due is not None:
                self.frozen[(task, clock)] = due - now

    def thaw(self, task: int, now: Instant) -> None:
        """Let them go on where they stood."""
        for clock in Clock:
            left = self.frozen.pop((task, clock), None)
            if left is not None:
                self.set(task, clock, now + left)

    def first(self) -> tuple[Instant, int, Clock] | None:
        """The earliest due instant; of equal ones the first task's."""
        heap = self._heap
        while heap:
            due, task, clock = heap[0]
            if self.due.get((task, clock)) == due:
                return due, task, Clock(clock)
            heapq.heappop(heap)
        return None

    def clear(self) -> None:
        """Stop everything: the execution has ended."""
        self.due.clear()
        self.frozen.clear()
        self._heap.clear()
