"""Whose database it is, and how old. Owns the numbered migrations: forward only, each in one transaction, killable anywhere.

``PRAGMA application_id`` says that the file is ours, ``PRAGMA user_version`` which migration it has; both change in the transaction
of the migration itself.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from taskengine.adapters.sqlite.connection import Connection, transaction
from taskengine.errors import StorageError

__all__ = ["APPLICATION_ID", "VERSION", "identify", "migrate", "migrations"]

APPLICATION_ID: Final = 0x7461_736B  # "task" in ASCII
VERSION: Final = 3  # of the last migration
_FILES: Final = Path(__file__).with_name("migrations")
_FILE_NAME: Final = re.compile(r"(\d{4})_\w+\.sql")


def identify(connection: Connection) -> int:
    """The database's version, 0 for an empty file. ``StorageError``: ``not_ours`` or ``database_newer``. Changes nothing."""
    is_empty = not connection.read("SELECT 1 FROM sqlite_schema LIMIT 1")
    version: int = connection.read("PRAGMA user_version")[0][0]
    # Last: another process may be making the file ours between two reads, and all three change at once.
    application_id = connection.read("PRAGMA application_id")[0][0]
    if application_id != APPLICATION_ID and not (is_empty and application_id == 0 and version == 0):
        raise StorageError(
            "not_ours",
            "the file is a database of another program",
            hint="name another file, or one that does not exist yet",
            application_id=application_id,
        )
    if version > VERSION:
        raise StorageError(
            "database_newer",
            f"the database has version {version}, this program knows {VERSION}",
            hint="upgrade this program, or restore the backup from before the upgrade",
            version=version,
        )
    return version


def migrate(connection: Connection) -> None:
    """Bring the database to ``VERSION``. Several processes may do so at once: each migration takes place once."""
    if identify(connection) == VERSION:
        return
    for number, statements in migrations():
        with transaction(connection):
            # Looked at again under the lock: another process may have been faster.
            if identify(connection) < number:
                for statement in statements:
                    connection.write(statement)
                connection.write(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.write(f"PRAGMA user_version = {number}")


def migrations() -> Iterator[tuple[int, list[str]]]:
    """Every migration in order: its number and its statements."""
    for file in sorted(_FILES.iterdir()):
        match = _FILE_NAME.fullmatch(file.name)
        if match:
            yield int(match[1]), split(file.read_text(encoding="utf-8"))


def split(script: str) -> list[str]:
    """The statements of a script; a semicolon inside a trigger or a string ends none."""
    statements: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        if not line.strip() or line.lstrip().startswith("--"):
            continue
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    if pending.strip():
        raise AssertionError(f"unfinished statement: {pending}")
    return statements
