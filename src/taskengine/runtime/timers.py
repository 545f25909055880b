"""When executions in memory want to be woken: one heap and one timer of the loop for all of them. Never early.

The loop's clock runs evenly; the wall clock may jump. A wake-up that finds its instant not yet reached waits again.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Final

from taskengine.model.value import Instant
from taskengine.runtime.environment import Environment

__all__ = ["WakeTimers"]

_AT_ONCE: Final = 200  # wake-ups in one turn of the loop


class WakeTimers:
    """``wake(execution_id)`` is called in the loop once for each instant set that is still the latest one set."""

    def __init__(self, environment: Environment, wake: Callable[[str], None], *, longest_sleep_ms: int) -> None:
        self._environment = environment
        self._wake = wake
        self._longest_sleep_ms = longest_sleep_ms
        self._due: dict[str, Instant] = {}
        self._heap: list[tuple[Instant, str]] = []
        self._handle: asyncio.TimerHandle | None = None
        self._armed_at: Instant | None = None
        self.is_closed = False

    def set(self, execution_id: str, at: Instant) -> None:
        """Wake this execution at an instant; replaces the one set before."""
        self._due[execution_id] = at
        heapq.heappush(self._heap, (at, execution_id))
        if len(self._heap) > 256 and len(self._heap) > 4 * len(self._due):  # noqa: PLR2004 -- stale entries
            self._heap = [(due, key) for key, due in self._due.items()]
            heapq.heapify(self._heap)
        self._arm()

    def drop(self, execution_id: str) -> None:
        """Do not wake it."""
        self._due.pop(execution_id, None)

    def close(self) -> None:
        """Wake nobody any more."""
        self.is_closed = True
        if self._handle is not None:
            self._handle.cancel()

    def _arm(self) -> None:
        heap = self._heap
        while heap and self._due.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        if not heap or self.is_closed:
            return
        at = heap[0][0]
        if self._armed_at is not None and self._armed_at <= at:
            return
        if self._handle is not None:
            self._handle.cancel()
        self._armed_at = at
        delay = min(max(0, at - self._environment.now()), self._longest_sleep_ms) / 1000
        self._handle = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._handle = self._armed_at = None
        now = self._environment.now()
        heap = self._heap
        woken = 0
        while heap and woken < _AT_ONCE:
            at, execution_id = heap[0]
            if self._due.get(execution_id) != at:
                heapq.heappop(heap)
                continue
            if at > now:
                break
            heapq.heappop(heap)
            del self._due[execution_id]
            self._wake(execution_id)
            woken += 1
        self._arm()
