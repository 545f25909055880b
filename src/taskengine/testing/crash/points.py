"""Crash points: each statement that a store's writer executes has a number; the process can be killed just before or after one.

Give ``SqliteStore`` a ``CrashPoints`` as its ``connect``. Without a point it is a trace of what the build in hand really executes;
with one it is the end of the process. Nothing of the store is changed.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from taskengine.adapters.sqlite.connection import Connect, Connection, Row, Value, connect
from taskengine.adapters.sqlite.statements import DATA_VERSION

__all__ = ["CrashPoints", "Point"]

_ROWS: Final = re.compile(r"VALUES \(.*?\)(, \(.*?\))* ?")
_BLANK: Final = re.compile(r"\s+")
_KIND_LENGTH: Final = 80


class Point(msgspec.Struct, frozen=True):
    """Before the writer's statement ``number`` (from 0), or after it."""

    number: int
    is_after: bool


class CrashPoints:
    """A ``Connect`` whose writers are counted together, over several stores too. Readers pass.

    The look at ``PRAGMA data_version`` is not counted: how often it happens depends on time alone.
    """

    def __init__(self, at: Point | None = None, *, inner: Connect = connect) -> None:
        self._at = at
        self._inner = inner
        self._numbers = count()
        self.statements: list[str] = []  # the kind of each, in order

    def __call__(self, path: Path, *, is_reader: bool) -> Connection:
        """Open a connection."""
        connection = self._inner(path, is_reader=is_reader)
        return connection if is_reader else _Counted(connection, self)

    def enter(self, sql: str) -> int:
        """The number of a statement about to be executed; dies when it is the point."""
        if sql == DATA_VERSION:
            return -1
        number = next(self._numbers)
        self.statements.append(kind_of(sql))
        self._pass(Point(number, is_after=False))
        return number

    def leave(self, number: int) -> None:
        """The statement has been executed, and its caller does not know yet."""
        self._pass(Point(number, is_after=True))

    def _pass(self, point: Point) -> None:
        if point == self._at:
            os.kill(os.getpid(), signal.SIGKILL)


def kind_of(sql: str) -> str:
    """A statement without its values and its line breaks, shortened: the same for any number of rows."""
    return _BLANK.sub(" ", _ROWS.sub("", sql)).strip()[:_KIND_LENGTH]


class _Counted:
    def __init__(self, inner: Connection, points: CrashPoints) -> None:
        self._inner = inner
        self._points = points

    @property
    def in_transaction(self) -> bool:
        return self._inner.in_transaction

    def read(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
        number = self._points.enter(sql)
        rows = self._inner.read(sql, parameters)
        self._points.leave(number)
        return rows

    def write(self, sql: str, parameters: Sequence[Value] = (), /) -> int:
        number = self._points.enter(sql)
        changed = self._inner.write(sql, parameters)
        self._points.leave(number)
        return changed

    def close(self) -> None:
        self._inner.close()
