"""What the store asks of a connection, and the standard library's answer.

The seam is small on purpose: a test runs the product's own SQL on another driver (a simulated disk, a counted statement, a failing
one) by giving the store another ``Connect``. Owns the pragmas and the proof that they took; knows no table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec

from taskengine.errors import StorageError

__all__ = [
    "Connect",
    "Connection",
    "Row",
    "SqliteError",
    "SqliteSettings",
    "Value",
    "connect",
    "prepare",
    "roll_back",
    "transaction",
]

Value: TypeAlias = str | int | bytes | None
Row: TypeAlias = tuple[Any, ...]

_STATEMENTS_KEPT: Final = 512  # prepared statements a connection keeps: every hot statement in every size
_READER_CACHE_KIB: Final = 8_192
_BUSY_SLICE_MS: Final = 50  # how long SQLite itself polls a lock before the store takes a breath and begins again
_LOG_SIZE_LIMIT: Final = 67_108_864  # a log that grew beyond this is cut when it starts anew


class SqliteError(Exception):
    """What SQLite answered. ``code`` is the extended result code; its low byte is the primary one."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Connection(Protocol):
    """One connection in autocommit: transactions begin and end by statements. Every failure is a ``SqliteError``."""

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def read(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
        """Run a statement and return its rows."""
        ...

    def write(self, sql: str, parameters: Sequence[Value] = (), /) -> int:
        """Run a statement and return how many rows it changed (without meaning for one that changes no rows)."""
        ...

    def close(self) -> None:
        """Let go of the file. An open transaction is rolled back."""
        ...


class Connect(Protocol):
    """Opens a connection for use in one thread at a time. ``is_reader``: it must be unable to write."""

    def __call__(self, path: Path, *, is_reader: bool) -> Connection:
        """Raise ``SqliteError`` when the file cannot be opened."""
        ...


class SqliteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a store is opened. ``relaxed`` durability loses acknowledged work when power is lost; nothing else does."""

    durability: Literal["full", "relaxed"] = "full"
    busy_timeout_ms: int = 5_000
    cache_kib: int = 16_384  # the page cache of the connection that writes
    log_pages: int = 4_000  # the write-ahead log is copied into the database when it has this many pages
    ballast_bytes: int = 1_048_576  # reserved beside the database, let go when the disk is full; 0: none


class StandardConnection:
    """The ``sqlite3`` module behind the seam."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._connection.in_transaction

    def read(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
        """Run a statement and return its rows."""
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _failure(error) from error

    def write(self, sql: str, parameters: Sequence[Value] = (), /) -> int:
        """Run a statement and return how many rows it changed."""
        try:
            return self._connection.execute(sql, parameters).rowcount
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _failure(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


def connect(path: Path, *, is_reader: bool) -> Connection:
    """Open the file with the ``sqlite3`` module. The file must exist."""
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={'ro' if is_reader else 'rw'}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,  # the lane is the one thread; who closes it may be another
            cached_statements=_STATEMENTS_KEPT,
        )
    except sqlite3.Error as error:
        raise _failure(error) from error
    return StandardConnection(connection)


def _failure(error: sqlite3.Error | UnicodeDecodeError) -> SqliteError:
    if isinstance(error, UnicodeDecodeError):  # SQLite named something in a damaged file, and the driver could not read the name
        return SqliteError(sqlite3.SQLITE_CORRUPT, str(error))
    return SqliteError(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE), str(error))


def prepare(connection: Connection, settings: SqliteSettings, *, is_reader: bool) -> None:
    """Set the pragmas and read them back. ``StorageError("durability_refused")`` when the file did not get what was asked for."""
    synchronous = {"full": "FULL", "relaxed": "NORMAL"}[settings.durability]
    connection.write(f"PRAGMA busy_timeout = {_BUSY_SLICE_MS}")
    if is_reader:
        connection.write(f"PRAGMA cache_size = -{min(settings.cache_kib, _READER_CACHE_KIB)}")
        connection.write("PRAGMA query_only = ON")
        return
    mode = connection.read("PRAGMA journal_mode = WAL")[0][0]
    connection.write(f"PRAGMA synchronous = {synchronous}")
    connection.write(f"PRAGMA cache_size = -{settings.cache_kib}")
    connection.write(f"PRAGMA wal_autocheckpoint = {settings.log_pages}")
    connection.write(f"PRAGMA journal_size_limit = {_LOG_SIZE_LIMIT}")
    connection.write("PRAGMA foreign_keys = ON")
    level = connection.read("PRAGMA synchronous")[0][0]
    if mode != "wal" or level < {"full": 2, "relaxed": 1}[settings.durability]:
        raise StorageError(
            "durability_refused",
            f"the database answered journal_mode={mode} and synchronous={level}, asked for wal and {synchronous}",
            hint="put the database on a local file system",
            journal_mode=mode,
            synchronous=level,
        )


@contextmanager
def transaction(connection: Connection) -> Generator[None]:
    """All or nothing: what is written inside is committed at the end, or rolled back when anything raises."""
    connection.write("BEGIN IMMEDIATE")
    try:
        yield
        connection.write("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: Connection) -> None:
    """End the transaction, if SQLite did not do so itself. A connection that cannot even do this is thrown away by its session."""
    if connection.in_transaction:
        with suppress(SqliteError):
            connection.write("ROLLBACK")
