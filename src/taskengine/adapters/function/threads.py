"""Daemon threads for functions that block.

Made when needed, kept, never joined: a function that hangs must not keep the process alive.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

__all__ = ["Threads"]

Work = Callable[[], None]


class Threads:
    """As many threads as pieces of work at the same time; the caller bounds that number by its slots."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._queue: SimpleQueue[Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._made = 0

    def run(self, work: Work) -> None:
        """Run it in a thread of its own, soon. ``work`` must not raise."""
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
            else:
                self._made += 1
                threading.Thread(target=self._serve, args=(self._queue,), name=f"{self._name}-{self._made}", daemon=True).start()
            self._queue.put(work)

    def close(self) -> None:
        """Let idle threads go; busy ones go when they are done. What is run from here on gets threads of its own."""
        with self._lock:
            for _ in range(self._made):
                self._queue.put(None)
            self._queue = SimpleQueue()
            self._made = self._idle = 0

    def _serve(self, queue: SimpleQueue[Work | None]) -> None:
        while (work := queue.get()) is not None:
            work()
            del work  # or the last call's arguments would live until the next one
            with self._lock:
                self._idle += queue is self._queue
