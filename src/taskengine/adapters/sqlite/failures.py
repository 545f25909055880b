"""What SQLite's result codes mean to whoever runs the engine: one table from code to named error.

Source of the codes: https://sqlite.org/rescode.html.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from taskengine.adapters.sqlite.connection import SqliteError
from taskengine.errors import StorageError

__all__ = ["explain", "is_busy", "is_constraint", "is_full", "is_harmless"]

# A write that failed: the disk is full (FULL), or a quota or a limit on files says so by another error number (IOERR_WRITE).
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

_NAMES: Final[dict[int, tuple[str, str, str]]] = {
    sqlite3.SQLITE_BUSY: ("store_busy", "another process holds the database's write lock", "see which process has the file open"),
    sqlite3.SQLITE_FULL: ("disk_full", "the database could not be written", "free space on its disk; work goes on by itself"),
    sqlite3.SQLITE_IOERR: ("disk_failed", "the disk failed to read or write the database", "look at the system's log"),
    sqlite3.SQLITE_CORRUPT: ("database_corrupt", "the database is damaged", "restore a backup"),
    sqlite3.SQLITE_NOTADB: ("not_a_database", "the file is not a database of SQLite", "name another file"),
    sqlite3.SQLITE_READONLY: (
        "database_read_only",
        "the database may not be written",
        "change its permissions",
    ),
    sqlite3.SQLITE_CANTOPEN: ("database_not_accessible", "the database cannot be opened", "check the path and its permissions"),
    sqlite3.SQLITE_PERM: ("database_not_accessible", "the database cannot be opened", "check the path and its permissions"),
}


def explain(error: SqliteError) -> StorageError:
    """The error that leaves the store; ``facts`` carry ``sqlite_code``."""
    code = sqlite3.SQLITE_FULL if is_full(error) else sqlite3.SQLITE_BUSY if is_busy(error) else error.code & 0xFF
    name, message, hint = _NAMES.get(code, ("database_failed", "the database refused", ""))
    return StorageError(name, f"{message}: {error}", hint=hint, sqlite_code=error.code)


def is_busy(error: SqliteError) -> bool:
    """Somebody else holds a lock; the same call may succeed a moment later."""
    return error.code & 0xFF in _BUSY


def is_full(error: SqliteError) -> bool:
    """There was no room for a write."""
    return error.code in _FULL


def is_constraint(error: SqliteError) -> bool:
    """A row was refused by the schema."""
    return error.code & 0xFF == sqlite3.SQLITE_CONSTRAINT


def is_harmless(error: SqliteError) -> bool:
    """The connection may be used again. After anything else, a failed fsync above all, it may not."""
    return is_busy(error) or is_constraint(error) or error.code == sqlite3.SQLITE_FULL
