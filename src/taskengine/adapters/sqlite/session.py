"""A session: one connection on one lane. Every call of the store to SQLite goes through here.

Opens the connection when it is needed, repeats what was only busy, names what failed, and throws the connection away after an error
that it may not survive.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec, TypeVar

from taskengine.adapters.sqlite.connection import Connection, SqliteError
from taskengine.adapters.sqlite.failures import explain, is_busy, is_full, is_harmless
from taskengine.ports.lane import Lane
from taskengine.ports.store import CommitUnknownError

__all__ = ["Session"]

P = ParamSpec("P")
T = TypeVar("T")

_FIRST_PAUSE_MS: Final = 2
_LONGEST_PAUSE_MS: Final = 32


class Session:
    """``run`` may be called by many at once; the lane takes one after the other."""

    def __init__(self, lane: Lane, connect: Callable[[], Connection], *, busy_timeout_ms: int, on_full: Callable[[], None]) -> None:
        self._lane = lane
        self._connect = connect
        self._busy_timeout_ms = busy_timeout_ms
        self._on_full = on_full
        self._connection: Connection | None = None

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection: not before the first call, and not after an error that it did not survive."""
        return self._connection is not None

    async def run(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work with the connection. It must leave nothing behind when it raises: it is done again when SQLite was busy."""
        try:
            return await self._lane.call(self._perform, work, *args, **kwargs)
        except SqliteError as error:
            if not is_busy(error):
                raise explain(error) from error
        return await self._insist(work, *args, **kwargs)

    async def _insist(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._busy_timeout_ms / 1_000
        pause_ms = _FIRST_PAUSE_MS
        while True:
            # Processes that wait for the same lock must not come back in step; their ids differ, and that is jitter enough.
            await asyncio.sleep((pause_ms + os.getpid() * pause_ms % 7) / 1_000)
            pause_ms = min(2 * pause_ms, _LONGEST_PAUSE_MS)
            try:
                return await self._lane.call(self._perform, work, *args, **kwargs)
            except SqliteError as error:
                if not is_busy(error) or loop.time() >= give_up_at:
                    raise explain(error) from error

    def _perform(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect()
        try:
            return work(connection, *args, **kwargs)
        except SqliteError as error:
            if connection.in_transaction or not is_harmless(error):
                self._discard()
            if is_full(error):
                self._on_full()
            raise
        except CommitUnknownError:
            self._discard()
            raise

    def _discard(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    async def close(self) -> None:
        """Let go of the connection and end the lane."""
        try:
            await self._lane.call(self._discard)
        finally:
            self._lane.close()
