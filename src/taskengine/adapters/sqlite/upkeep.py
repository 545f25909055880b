"""Upkeep of a database file while others use it: is it whole, a copy of it, and away with what ended long ago.

Each opens the file for itself and lets go of it at the end; none of them waits for the engine's own connections. A copy is taken in
one read transaction, so it is one moment; what is pruned goes in small transactions, so that nobody waits long.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from taskengine.adapters.sqlite import statements as sql
from taskengine.adapters.sqlite.connection import Connection, SqliteError, SqliteSettings, connect, prepare, transaction
from taskengine.adapters.sqlite.schema import identify
from taskengine.errors import StorageError
from taskengine.model.value import Instant

__all__ = ["copy_to", "count_prunable", "damage", "journal_mode", "prune"]

_MODE: Final = 0o600
_AT_A_TIME: Final = 200  # executions in one transaction of a prune
_EVERYTHING: Final = 1 << 60
_SETTINGS: Final = SqliteSettings()
_HINTS: Final = {
    sqlite3.SQLITE_CORRUPT: "restore a backup",
    sqlite3.SQLITE_NOTADB: "name another file with --db; this one is no database",
}


def damage(path: Path) -> list[str]:
    """What SQLite finds wrong with the file, a line each; nothing when it is whole. Reads all of it."""
    with _opened(path, is_reader=True) as connection:
        found = [str(line) for (line,) in connection.read(sql.INTEGRITY)]
    return [] if found == ["ok"] else found


def journal_mode(path: Path) -> str:
    """How the file is written: ``wal`` when it is ours."""
    with _opened(path, is_reader=True) as connection:
        return str(connection.read(sql.JOURNAL_MODE)[0][0])


def copy_to(path: Path, target: Path) -> int:
    """Copy the database as it is at one moment to a new file, while others read and write; the bytes that the copy has.

    The copy is written beside its name, checked, synced and renamed: under its name there is a whole one or none.
    """
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
        with (
            closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(part)) as copy,
        ):
            source.backup(copy)  # all pages in one step: one read transaction
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, nothing beside it
        wrong = damage(part)
        if wrong:
            raise StorageError(
                "backup_damaged", f"the copy is not whole: {wrong[0]}", hint="task-engine db check looks at the original"
            )
        _sync(part)
        part.replace(target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise StorageError(
            "backup_failed", f"{path} cannot be copied: {error}", hint="task-engine doctor looks at both places"
        ) from error
    except OSError as error:
        raise StorageError(
            "backup_failed", f"{target} cannot be written: {error.strerror}", hint="is there room, and may this user write there?"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def count_prunable(path: Path, *, before: Instant) -> int:
    """How many executions ended before an instant and may go."""
    with _opened(path, is_reader=True) as connection:
        number: int = connection.read(sql.COUNT_PRUNABLE, (before, _EVERYTHING))[0][0]
    return number


def prune(path: Path, *, before: Instant) -> int:
    """Forget executions that ended before an instant, with everything that is kept of them; how many.

    One that begins again meanwhile (a retry) is judged inside the transaction: it goes whole, or stays whole.
    """
    gone = 0
    with _opened(path, is_reader=False) as connection:
        while True:
            with transaction(connection):
                found = [one for (one,) in connection.read(sql.PRUNABLE, (before, _AT_A_TIME))]
                ids = msgspec.json.encode(found).decode()
                for statement in sql.PRUNE if found else ():
                    connection.write(statement, (ids,))
            gone += len(found)
            if len(found) < _AT_A_TIME:
                return gone


@contextmanager
def _opened(path: Path, *, is_reader: bool) -> Generator[Connection]:
    """A connection of its own, whose troubles are storage errors."""
    try:
        connection = connect(path, is_reader=is_reader)
        try:
            identify(connection)
            prepare(connection, _SETTINGS, is_reader=is_reader)
            connection.write(f"PRAGMA busy_timeout = {_SETTINGS.busy_timeout_ms}")
            yield connection
        finally:
            connection.close()
    except SqliteError as error:
        hint = _HINTS.get(error.code & 0xFF, "task-engine doctor looks at the file and its place")
        raise StorageError("database_not_accessible", f"{path}: {error}", hint=hint) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
