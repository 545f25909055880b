"""The log book: lines that attempts leave, gathered and written beside the journal.

Never in the way of a commit: it waits until the group commit is idle or a bound has passed, writes batches, and keeps trying while
the store is in trouble. What does not fit is counted and said; nothing here raises into the work.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from taskengine.errors import StorageError
from taskengine.ports.store import LogLine, Logs
from taskengine.runtime.settings import NodeSettings

__all__ = ["LogBook"]

_BATCH: Final = 1_000
_PATIENCE: Final = 4  # so often it makes way for the journal before it writes all the same
_TROUBLE_PAUSE_S: Final = 1.0
_log: Final = logging.getLogger("taskengine.logs")


class LogBook:
    """One for a node. ``is_journal_idle``: whether a write now would be in nobody's way."""

    def __init__(self, store: Logs, *, settings: NodeSettings, is_journal_idle: Callable[[], bool]) -> None:
        self._store = store
        self._settings = settings
        self._is_journal_idle = is_journal_idle
        self._lines: deque[LogLine] = deque()
        self._dropped = 0
        self._wake = asyncio.Event()
        self._is_closing = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def add(self, line: LogLine) -> None:
        """Take a line; it is written soon."""
        if len(self._lines) >= self._settings.log_buffer:
            self._dropped += 1
            return
        self._lines.append(line)
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="taskengine-logs")
        self._wake.set()

    async def close(self) -> None:
        """Write what is left and stop; while the store is in trouble, after one try."""
        if self._writer is not None:
            self._is_closing.set()
            self._wake.set()
            await asyncio.wait((self._writer,))

    async def _write(self) -> None:
        while self._lines or not self._is_closing.is_set():
            await self._wake.wait()
            for _ in range(_PATIENCE):
                await self._pause(self._settings.log_flush_ms / 1000)
                if self._is_journal_idle():
                    break
            self._wake.clear()
            while self._lines:
                batch = self._next()
                try:
                    await self._store.write_logs(batch)
                except StorageError as error:
                    self._lines.extendleft(reversed(batch))
                    _log.warning("logs.failed", extra={"lines": len(self._lines), "error": error.name})
                    if self._is_closing.is_set():
                        return
                    await self._pause(_TROUBLE_PAUSE_S)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_closing.wait()

    def _next(self) -> list[LogLine]:
        batch = [self._lines.popleft() for _ in range(min(_BATCH, len(self._lines)))]
        if self._dropped:
            last = batch[-1]
            message = f"{self._dropped} lines were dropped: more came than could be written"
            batch.append(LogLine(last.execution_id, last.task, last.attempt, last.at, "warning", "engine", message))
            self._dropped = 0
        return batch
