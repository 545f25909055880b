"""A disk that remembers: SQLite writes to real files, and each write, cut, sync, birth and removal of a file is recorded in order.

``RecordingDisk`` is an ``apsw`` VFS that passes everything on. ``Platter`` walks along the record and knows at each place what is
surely there if the power goes now, and what may be: unsynced writes can be lost, torn, scrambled or reordered. What was waiting
when a sync failed may never arrive, not even when the next sync succeeds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

import apsw
import msgspec

from taskengine.adapters.sqlite.connection import Connection
from taskengine.adapters.sqlite.files import renew_log
from taskengine.errors import StorageError
from tests.conformance.apsw_connection import ApswConnection

__all__ = ["Cut", "Image", "Op", "Platter", "RecordingDisk"]

_SECTOR: Final = 512
Image: TypeAlias = dict[str, bytes]
"""What is on the disk after a power cut: file names and contents."""


Fault: TypeAlias = Callable[[str, int], apsw.Error | None]


def no_fault(_: str, __: int) -> apsw.Error | None:
    """Nothing ever fails."""
    return None


# ── the record ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Op(msgspec.Struct, frozen=True, gc=False):
    pass


class Born(_Op, frozen=True):
    """A file came into being. Its name is on the disk when its directory is synced: with the first sync of a new log or journal."""

    file: int
    name: str
    syncs_directory: bool


class Removed(_Op, frozen=True):
    """A name went; ``is_synced``: the directory with it."""

    name: str
    is_synced: bool


class Written(_Op, frozen=True):
    """Bytes were handed to the system."""

    file: int
    offset: int
    data: bytes


class Shortened(_Op, frozen=True):
    """A file was cut to a size."""

    file: int
    size: int


class Synced(_Op, frozen=True):
    """What was handed over for the file before is on the disk; ``is_failed``: nobody knows, and it will not be tried again."""

    file: int
    is_failed: bool = False


Op: TypeAlias = Born | Removed | Written | Shortened | Synced


class RecordingDisk(apsw.VFS):
    """The system's disk with a record. It is a ``Connect``: everybody who works on the files must go by it.

    ``fault(kind, number)`` is asked before the ``number``-th "write" or "sync" (from 1) and may return an error to raise instead.
    ``on_failed_sync`` is called after a failed one was recorded.
    """

    _count: ClassVar[int] = 0

    def __init__(self, fault: Fault = no_fault) -> None:
        RecordingDisk._count += 1
        self.name = f"recording-{RecordingDisk._count}"
        super().__init__(self.name, "")
        self.ops: list[Op] = []
        self.faults = 0
        self.on_failed_sync: Callable[[], None] = lambda: None
        self._fault = fault
        self._numbers = {"write": 0, "sync": 0}
        self._files: dict[str, int] = {}
        self._born = 0

    @property
    def syncs(self) -> int:
        """How many syncs were asked for."""
        return self._numbers["sync"]

    def heir(self) -> RecordingDisk:
        """A disk that goes on with this one's record, for copies of the files as they are now: what a killed process leaves."""
        heir = RecordingDisk()
        heir.ops = list(self.ops)
        heir._files = dict(self._files)
        heir._born = self._born
        return heir

    def __call__(self, path: Path, *, is_reader: bool) -> Connection:
        """Connect by way of this disk."""
        return ApswConnection(path, vfs=self.name, is_reader=is_reader)

    def renew_log(self, database: Path) -> None:
        """What the store does with a log that it takes up, on the record: the store goes past SQLite there."""
        renew_log(database)
        log = database.with_name(f"{database.name}-wal")
        if not log.exists() or log.name not in self._files:
            return
        number = self._files[log.name]
        self.ops.append(Written(number, 0, log.read_bytes()))
        try:
            self.ask("sync", is_of_database=False)
        except apsw.Error as error:
            self.ops.append(Synced(number, is_failed=True))
            raise StorageError("disk_failed", f"the log cannot be written: {error}") from error
        self.ops.append(Synced(number))

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 -- apsw's name
        """Open a file; a new one is recorded. One without a name is SQLite's own scratch paper."""
        if name is None:
            return apsw.VFSFile("", name, flags)
        path = Path(name if isinstance(name, str) else name.filename())
        if path.name not in self._files or not path.exists():
            self._born += 1
            self._files[path.name] = self._born
            self.ops.append(Born(self._born, path.name, syncs_directory=not flags[0] & apsw.SQLITE_OPEN_MAIN_DB))
        return _File(self, name, flags, number=self._files[path.name])

    def xDelete(self, name: str, is_synced: bool) -> None:  # noqa: N802, FBT001 -- apsw's
        """Remove a file."""
        super().xDelete(name, is_synced)
        self._files.pop(Path(name).name, None)
        self.ops.append(Removed(Path(name).name, is_synced))

    def ask(self, kind: str, *, is_of_database: bool) -> None:
        """Count a write or a sync; raise what the fault says."""
        self._numbers[kind] += 1
        error: Any = self._fault(kind, self._numbers[kind])
        if error is not None:
            self.faults += 1
            error.is_of_database = is_of_database
            raise error


class _File(apsw.VFSFile):
    def __init__(self, disk: RecordingDisk, name: str | apsw.URIFilename, flags: list[int], *, number: int) -> None:
        super().__init__("", name, flags)
        self._disk = disk
        self._number = number
        self._is_database = not flags[0] & apsw.SQLITE_OPEN_WAL

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 -- apsw's name
        self._disk.ask("write", is_of_database=self._is_database)
        super().xWrite(data, offset)
        self._disk.ops.append(Written(self._number, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802 -- apsw's name
        super().xTruncate(size)
        self._disk.ops.append(Shortened(self._number, size))

    def xSync(self, flags: int) -> None:  # noqa: N802 -- apsw's name
        try:
            self._disk.ask("sync", is_of_database=self._is_database)
        except apsw.Error:
            self._disk.ops.append(Synced(self._number, is_failed=True))
            self._disk.on_failed_sync()
            raise
        super().xSync(flags)
        self._disk.ops.append(Synced(self._number))


# ── what a power cut leaves of it ────────────────────────────────────────────────────────────────────────────────────────


class Cut(Enum):
    """What becomes of the unsynced when the power goes."""

    LOST = "lost"  # all of it
    KEPT = "kept"  # nothing: everything arrived in time
    IN_ORDER = "in order"  # a beginning arrived, the last write of it torn
    SECTORS = "sectors"  # any sectors of any writes: reordered and torn
    PAGES = "pages"  # any whole writes
    SCRAMBLED = "scrambled"  # any sectors, and some hold what nobody wrote
    SHORTENED = "shortened"  # any sectors, and the file ends too early


class _Content:
    """One file: what is surely there, and what may be, in order. ``is_settled`` marks what a later sync has confirmed."""

    def __init__(self) -> None:
        self.sure = bytearray()
        self.open: list[tuple[Written | Shortened, bool, bool]] = []  # op, is_settled, is_doomed

    def sync(self, *, is_failed: bool) -> None:
        """What waits becomes settled, or doomed: it may be there or not from now on, and no later sync of the file helps."""
        self.open = [
            (op, is_settled or not (is_failed or is_doomed), is_doomed or (is_failed and not is_settled))
            for op, is_settled, is_doomed in self.open
        ]
        while self.open and self.open[0][1]:
            _apply(self.sure, self.open.pop(0)[0])

    def after(self, cut: Cut, rng: random.Random) -> bytes:
        """One of the contents that a power cut may leave."""
        content = bytearray(self.sure)
        arriving = rng.randrange(len(self.open) + 1)
        share = rng.choice((0.1, 0.5, 0.9))
        for number, (op, is_settled, is_doomed) in enumerate(self.open):
            if is_settled:
                _apply(content, op)
            elif is_doomed or cut in {Cut.SECTORS, Cut.SCRAMBLED, Cut.SHORTENED}:
                if cut is not Cut.LOST:
                    _apply_some(content, op, share=share, rng=rng, is_scrambled=cut is Cut.SCRAMBLED)
            elif cut is Cut.KEPT or (cut is Cut.IN_ORDER and number < arriving) or (cut is Cut.PAGES and rng.random() < share):
                _apply(content, op)
            elif cut is Cut.IN_ORDER and number == arriving and isinstance(op, Written):
                _apply(content, Written(op.file, op.offset, op.data[: rng.randrange(len(op.data) + 1)]))
        sure = self._sure_length()
        if cut is Cut.SHORTENED and len(content) > sure:
            del content[rng.randrange(sure, len(content)) :]
        return bytes(content)

    def _sure_length(self) -> int:
        length = len(self.sure)
        for op, is_settled, _ in self.open:
            if is_settled:
                length = op.size if isinstance(op, Shortened) else max(length, op.offset + len(op.data))
        return length


def _apply(content: bytearray, op: Written | Shortened) -> None:
    if isinstance(op, Shortened):
        del content[op.size :]
        return
    if len(content) < op.offset:
        content.extend(bytes(op.offset - len(content)))
    content[op.offset : op.offset + len(op.data)] = op.data


def _apply_some(content: bytearray, op: Written | Shortened, *, share: float, rng: random.Random, is_scrambled: bool) -> None:
    if isinstance(op, Shortened):
        if rng.random() < share:
            _apply(content, op)
        return
    for start, end in _sectors(op):
        data = op.data[start:end]
        if rng.random() < share:
            _apply(content, Written(op.file, op.offset + start, data))
        elif is_scrambled and rng.random() < share and content[op.offset + start : op.offset + end] != data:
            # A sector that is overwritten with what it holds already keeps it.
            _apply(content, Written(op.file, op.offset + start, rng.randbytes(end - start)))


def _sectors(op: Written) -> Iterator[tuple[int, int]]:
    """The parts of a write that lie in different sectors of the disk."""
    start, length = 0, len(op.data)
    while start < length:
        end = min(length, start + _SECTOR - (op.offset + start) % _SECTOR)
        yield start, end
        start = end


class Platter:
    """The disk at one place of a record. ``turn`` goes on to the next; ``after`` shows what a power cut here may leave."""

    def __init__(self) -> None:
        self._files: dict[int, _Content] = {}
        self._names: dict[str, int] = {}  # as they surely are
        self._pending: list[Born | Removed] = []
        self._unsynced: set[int] = set()  # files whose first sync takes the directory along

    def turn(self, op: Op) -> None:
        """One operation more."""
        match op:
            case Born(file=file, syncs_directory=syncs_directory):
                self._files[file] = _Content()
                self._pending.append(op)
                if syncs_directory:
                    self._unsynced.add(file)
            case Removed(is_synced=is_synced):
                self._pending.append(op)
                if is_synced:
                    self._sync_names()
            case Written(file=file) | Shortened(file=file):
                self._files[file].open.append((op, False, False))
            case Synced(file=file, is_failed=is_failed):
                self._files[file].sync(is_failed=is_failed)
                if file in self._unsynced and not is_failed:
                    self._sync_names()

    def after(self, cut: Cut, rng: random.Random) -> Image:
        """One of the images that a power cut may leave. A directory arrives in order, up to any place."""
        arrived = {Cut.LOST: 0, Cut.KEPT: len(self._pending)}.get(cut, rng.randrange(len(self._pending) + 1))
        names = dict(_with(self._names, self._pending[:arrived]))
        return {name: self._files[file].after(cut, rng) for name, file in names.items()}

    def _sync_names(self) -> None:
        self._names = dict(_with(self._names, self._pending))
        self._pending.clear()
        self._unsynced.clear()


def _with(names: Mapping[str, int], changes: Iterable[Born | Removed]) -> dict[str, int]:
    changed = dict(names)
    for change in changes:
        if isinstance(change, Born):
            changed[change.name] = change.file
        else:
            changed.pop(change.name, None)
    return changed
