"""Crash points: each statement that a store's writer executes has a name; the process can be killed just before or after one.

Give ``SqliteStore`` a ``CrashPoints`` as its ``connect``. Without a point it is a trace of what the build in hand really executes;
with one it is the end of the process. Nothing of the store is changed.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

import msgspec

from taskengine.adapters.sqlite.connection import Connect, Connection, Row, Value, connect
from taskengine.adapters.sqlite.statements import DATA_VERSION

__all__ = ["CrashPoints", "Point"]

_ROWS: Final = re.compile(r"VALUES \(.*?\)(, \(.*?\))* ?")
_BLANK: Final = re.compile(r"\s+")
_KIND_LENGTH: Final = 80


class Point(msgspec.Struct, frozen=True):
    """Before or after the ``occurrence``-th statement of a kind (from 0) that the writers execute."""

    kind: str
    occurrence: int
    is_after: bool


class CrashPoints:
    """A ``Connect`` whose writers are watched together, over several stores too. Readers pass.

    The look at ``PRAGMA data_version`` is no point: how often it happens depends on time alone. ``last_word`` is called in the
    moment before the process dies, in the writer's thread.
    """

    def __init__(
        self, at: Point | None = None, *, inner: Connect = connect, last_word: Callable[[Point], object] = lambda _: None
    ) -> None:
        self._at = at
        self._inner = inner
        self._last_word = last_word
        self._counts: Counter[str] = Counter()
        self._lock = Lock()  # every store has a writer's thread of its own
        self.statements: list[str] = []  # the kind of each, in order

    def __call__(self, path: Path, *, is_reader: bool) -> Connection:
        """Open a connection."""
        connection = self._inner(path, is_reader=is_reader)
        return connection if is_reader else _Watched(connection, self)

    @contextmanager
    def around(self, sql: str) -> Generator[None]:
        """A statement is executed inside: the process dies before it or after it, when this is the point."""
        if sql == DATA_VERSION:
            yield
            return
        kind = kind_of(sql)
        with self._lock:
            occurrence = self._counts[kind]
            self._counts[kind] += 1
            self.statements.append(kind)
        self._pass(Point(kind, occurrence, is_after=False))
        yield
        self._pass(Point(kind, occurrence, is_after=True))

    def _pass(self, point: Point) -> None:
        if point == self._at:
            self._last_word(point)
            os.kill(os.getpid(), signal.SIGKILL)


def kind_of(sql: str) -> str:
    """A statement without its values and its line breaks, shortened: the same for any number of rows."""
    return _BLANK.sub(" ", _ROWS.sub("", sql)).strip()[:_KIND_LENGTH]


class _Watched:
    def __init__(self, inner: Connection, points: CrashPoints) -> None:
        self._inner = inner
        self._points = points

    @property
    def in_transaction(self) -> bool:
        return self._inner.in_transaction

    def read(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
        with self._points.around(sql):
            return self._inner.read(sql, parameters)

    def write(self, sql: str, parameters: Sequence[Value] = (), /) -> int:
        with self._points.around(sql):
            return self._inner.write(sql, parameters)

    def close(self) -> None:
        self._inner.close()
