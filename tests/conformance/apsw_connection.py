"""The product's SQL on another driver: ``apsw`` lets a test stand between SQLite and the disk."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from taskengine.adapters.sqlite.connection import Connection, Row, SqliteError, Value

__all__ = ["ApswConnection", "FailingDisk"]


class ApswConnection:
    """An ``apsw`` connection behind the store's seam."""

    def __init__(self, path: Path, *, vfs: str, is_reader: bool) -> None:
        flags = apsw.SQLITE_OPEN_READONLY if is_reader else apsw.SQLITE_OPEN_READWRITE
        with _translated():
            self._connection = apsw.Connection(str(path), flags=flags, vfs=vfs)

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def read(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
        with _translated():
            return list(self._connection.execute(sql, tuple(parameters)))

    def write(self, sql: str, parameters: Sequence[Value] = (), /) -> int:
        with _translated(is_commit=sql == "COMMIT"):
            self._connection.execute(sql, tuple(parameters))
        return self._connection.changes()

    def close(self) -> None:
        # SQLite closes whatever the disk says; apsw tells what the disk raised meanwhile.
        with suppress(apsw.Error):
            self._connection.close()


@contextmanager
def _translated(*, is_commit: bool = False) -> Generator[None]:
    try:
        yield
    except apsw.Error as error:
        # After a commit SQLite copies the log into the database, and what fails there fails nothing; apsw tells of it all the same.
        if not (is_commit and getattr(error, "is_of_database", False)):
            raise SqliteError(getattr(error, "extendedresult", 0) or getattr(error, "result", 0), str(error)) from error


class FailingDisk(apsw.VFS):
    """The system's disk, on which the ``fail_at``-th call named by ``kind`` ("write" or "sync") fails, and so many after it.

    It is a ``Connect``. Readers go by it too: apsw brings its own SQLite, and a second SQLite in one process would not see the
    first one's locks, and would take them away when it closes the file.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, "")
        self._name = name
        self.kind = "write"
        self.error: Callable[[], apsw.Error] = apsw.FullError
        self.fail_at = 0
        self.length = 1
        self.calls = 0
        self.failed: list[str] = []

    def __call__(self, path: Path, *, is_reader: bool) -> Connection:
        return ApswConnection(path, vfs=self._name, is_reader=is_reader)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 -- apsw's name
        return _File(self, name, flags)

    def see(self, kind: str, *, file: str) -> None:
        """Count the call, and fail it when its turn has come."""
        if kind != self.kind:
            return
        self.calls += 1
        if self.fail_at <= self.calls < self.fail_at + self.length:
            self.failed.append(f"{kind} {file}")
            error: Any = self.error()
            error.is_of_database = file == "database"
            raise error


class _File(apsw.VFSFile):
    def __init__(self, disk: FailingDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._file = "log" if flags[0] & apsw.SQLITE_OPEN_WAL else "database"

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 -- apsw's name
        self._disk.see("write", file=self._file)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 -- apsw's name
        self._disk.see("sync", file=self._file)
        super().xSync(flags)


def failure(kind: type[apsw.Error], code: int) -> Callable[[], apsw.Error]:
    """Makes errors that carry an extended result code."""

    def make() -> apsw.Error:
        error: Any = kind("made to fail")
        error.extendedresult = code
        return error

    return make
