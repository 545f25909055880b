"""What the specifics of SQLite are tested with: the product's connection, watched or made to fail from outside."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.sqlite import SqliteSettings, SqliteStore
from taskengine.adapters.sqlite.connection import Connection, Row, SqliteError, Value, connect

__all__ = ["Seam", "Watched", "inline"]

Hook = Callable[[Connection, str], None]


class Watched:
    """A connection that shows each statement to a hook before it runs; the hook may raise instead of SQLite."""

    def __init__(self, inner: Connection, hook: Hook) -> None:
        self.inner = inner
        self._hook = hook

    @property
    def in_transaction(self) -> bool:
        return self.inner.in_transaction

    def read(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
        self._hook(self.inner, sql)
        return self.inner.read(sql, parameters)

    def write(self, sql: str, parameters: Sequence[Value] = (), /) -> int:
        self._hook(self.inner, sql)
        return self.inner.write(sql, parameters)

    def close(self) -> None:
        self.inner.close()


class Seam:
    """A ``Connect`` whose writers are watched. ``statements`` are what they ran, ``opened`` how many there were."""

    def __init__(self, hook: Hook | None = None) -> None:
        self.hook = hook
        self.statements: list[str] = []
        self.opened = 0

    def __call__(self, path: Path, *, is_reader: bool) -> Connection:
        connection = connect(path, is_reader=is_reader)
        if is_reader:
            return connection
        self.opened += 1
        return Watched(connection, self._see)

    def _see(self, inner: Connection, sql: str) -> None:
        self.statements.append(sql)
        if self.hook is not None:
            self.hook(inner, sql)

    def fail(self, word: str, code: int, *, times: int = 1, is_after: bool = False) -> None:
        """The next ``times`` statements with this word fail; ``is_after``: they do take place first."""
        left = times

        def hook(inner: Connection, sql: str) -> None:
            nonlocal left
            if word in sql and left:
                left -= 1
                if is_after:
                    inner.write(sql)
                elif code != sqlite3.SQLITE_BUSY and inner.in_transaction:
                    inner.write("ROLLBACK")  # as SQLite itself does after such an error at COMMIT
                raise SqliteError(code, "made to fail")

        self.hook = hook


def inline(path: Path, seam: Seam | None = None, **settings: int | str) -> SqliteStore:
    """A store without threads."""
    return SqliteStore(path, lanes=InlineLane, settings=SqliteSettings(**settings), connect=seam or connect)  # pyright: ignore[reportArgumentType]
