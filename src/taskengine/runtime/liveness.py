"""Signs of life of one attempt: the heartbeat that its step asks for, and progress that is not written down too often.

The clock is the loop's and runs while the attempt does, also through a pause: the work goes on, so it must be heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from taskengine.model.value import ABSENT, Raw

__all__ = ["Signs"]

_EARLY_S: Final = 0.001


class Signs:
    """``silent()`` is called when nothing was heard for ``heartbeat_ms``; ``report(progress)`` with what is to be written down."""

    __slots__ = (
        "_heard_at",
        "_heartbeat_s",
        "_interval_s",
        "_loop",
        "_pending",
        "_report",
        "_silent",
        "_timer",
        "_watch",
        "_written",
        "_written_at",
    )

    def __init__(
        self, *, heartbeat_ms: int | None, interval_ms: int, silent: Callable[[], None], report: Callable[[Raw], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._heartbeat_s = None if heartbeat_ms is None else heartbeat_ms / 1000
        self._interval_s = interval_ms / 1000
        self._silent = silent
        self._report = report
        self._heard_at = self._loop.time()
        self._written_at: float | None = None
        self._written: Raw = ABSENT
        self._pending: Raw = ABSENT
        self._timer: asyncio.TimerHandle | None = None  # for progress that waits
        self._watch: asyncio.TimerHandle | None = None  # for silence
        if self._heartbeat_s is not None:
            self._watch = self._loop.call_later(self._heartbeat_s, self._look)

    def heard(self) -> None:
        """It is alive."""
        self._heard_at = self._loop.time()

    def progress(self, progress: Raw) -> None:
        """It is alive and says so much; written now, or when the interval has passed if nothing newer came."""
        now = self._heard_at = self._loop.time()
        self._pending = progress
        if self._timer is None:
            wait = 0.0 if self._written_at is None else self._written_at + self._interval_s - now
            if wait <= 0:
                self._write()
            else:
                self._timer = self._loop.call_later(wait, self._write)

    def write_last(self) -> None:
        """Nothing newer comes, or nobody will be there to hear it: what waits is written now, unless it is known already."""
        if self._pending and self._pending != self._written:
            if self._timer is not None:
                self._timer.cancel()
            self._write()

    def close(self) -> None:
        """Nothing more is of interest."""
        for timer in (self._timer, self._watch):
            if timer is not None:
                timer.cancel()
        self._timer = self._watch = None
        self._pending = ABSENT

    def _write(self) -> None:
        progress, self._pending = self._pending, ABSENT
        self._timer = None
        self._written_at = self._loop.time()
        if progress:
            self._written = progress
            self._report(progress)

    def _look(self) -> None:
        assert self._heartbeat_s is not None
        left = self._heard_at + self._heartbeat_s - self._loop.time()
        if left > _EARLY_S:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self._watch = None
            self._silent()
