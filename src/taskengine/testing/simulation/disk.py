"""Where simulated nodes keep their data: the memory store, or the real SQLite adapter on a real file, with faults inside its SQL.

A disk makes one store for each node and one for the auditor, who reads behind everybody's back and takes no time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.adapters.sqlite import SqliteSettings, SqliteStore
from taskengine.adapters.sqlite.connection import Connection, Row, SqliteError, Value, connect
from taskengine.ports.lane import LaneFactory
from taskengine.ports.store import Store
from taskengine.testing.simulation.environment import NodeDied
from taskengine.testing.simulation.failures import SimulationError
from taskengine.testing.simulation.faults import Faults

__all__ = ["STATEMENT_FAULTS", "Disk", "MemoryDisk", "SqliteDisk", "at_once"]

T = TypeVar("T")

# What one SQL statement may meet.
STATEMENT_FAULTS: Final = {
    "statement_full": 0.001,  # SQLITE_FULL instead of a write
    "statement_failed": 0.001,  # SQLITE_IOERR instead of a statement
    "commit_failed": 0.003,  # an error from COMMIT, which did not take place
    "commit_failed_late": 0.01,  # an error from the COMMIT of a journal's transaction, which did
    "died_before_statement": 0.0002,  # the process is killed
    "died_after_statement": 0.0002,
}


class Disk(Protocol):
    """One database."""

    def store(self, lanes: LaneFactory, faults: Faults, *, die: Callable[[], None]) -> Store:
        """A store for a node. ``die`` kills the node, from inside of one of its statements."""
        ...

    def auditor(self) -> Store:
        """A store without faults whose calls take no time."""
        ...


class MemoryDisk:
    """The oracle of all stores: it has no statements, so none of them fails."""

    def __init__(self) -> None:
        self.database = MemoryDatabase()

    def store(self, lanes: LaneFactory, faults: Faults, *, die: Callable[[], None]) -> Store:
        """A store on the shared dictionaries."""
        return MemoryStore(self.database)

    def auditor(self) -> Store:
        """Another one."""
        return MemoryStore(self.database)


class SqliteDisk:
    """A file. ``path`` should lie on a file system in memory: nothing here is about what a power cut leaves."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def store(self, lanes: LaneFactory, faults: Faults, *, die: Callable[[], None]) -> Store:
        """The product's adapter with statements that may fail."""

        def connect_faulty(path: Path, *, is_reader: bool) -> Connection:
            return _FaultyConnection(connect(path, is_reader=is_reader), faults, die=die)

        return SqliteStore(self._path, lanes=lanes, settings=_SETTINGS, connect=connect_faulty, file_system=lambda _: "simulated")

    def auditor(self) -> Store:
        """The product's adapter, as it is."""
        return SqliteStore(self._path, lanes=InlineLane, settings=_SETTINGS, file_system=lambda _: "simulated")


_SETTINGS: Final = SqliteSettings(ballast_bytes=0, cache_kib=2_048)


class _FaultyConnection:
    """A connection some of whose statements fail, or take the process with them."""

    def __init__(self, inner: Connection, faults: Faults, *, die: Callable[[], None]) -> None:
        self._inner = inner
        self._faults = faults
        self._die = die
        self._has_events = False
        self._is_dead = False  # or closed

    @property
    def in_transaction(self) -> bool:
        return not self._is_dead and self._inner.in_transaction

    def read(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
        return self._perform(sql, lambda: self._inner.read(sql, parameters), is_write=False)

    def write(self, sql: str, parameters: Sequence[Value] = (), /) -> int:
        if sql.startswith("BEGIN"):
            self._has_events = False
        elif sql.startswith("INSERT INTO event"):
            self._has_events = True
        return self._perform(sql, lambda: self._inner.write(sql, parameters), is_write=sql.startswith(("INSERT", "UPDATE")))

    def close(self) -> None:
        self._is_dead = True
        self._inner.close()

    def _perform(self, sql: str, statement: Callable[[], T], *, is_write: bool) -> T:
        strike = self._faults.strike
        if self._is_dead:
            raise NodeDied
        if sql == "ROLLBACK" or sql.startswith("PRAGMA"):
            return statement()
        if strike("died_before_statement"):
            self._kill()
        if is_write and strike("statement_full"):
            raise SqliteError(sqlite3.SQLITE_FULL, "a simulated disk is full")
        if strike("statement_failed") or (sql == "COMMIT" and strike("commit_failed")):
            raise SqliteError(sqlite3.SQLITE_IOERR, "a simulated disk fails")
        result = statement()
        if strike("died_after_statement"):
            self._kill()
        if sql == "COMMIT" and self._has_events and strike("commit_failed_late"):
            raise SqliteError(sqlite3.SQLITE_IOERR_FSYNC, "a simulated disk fails too late")
        return result

    def _kill(self) -> None:
        self._is_dead = True
        self._die()
        raise NodeDied


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    work.close()
    raise SimulationError("real_world", "a call that should take no time waits for something")
