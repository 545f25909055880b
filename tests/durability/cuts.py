"""Power cuts: what a store's commits did to the disk is recorded once, then the power goes at many places of the record.

The law that each image must obey: the database opens, it is whole, and what it holds is exactly what it held after some commit, and
not one earlier than the last that had returned. One record of some hundred operations gives thousands of images.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, TypeAlias

import apsw
import msgspec

from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.adapters.sqlite import SqliteSettings, SqliteStore
from taskengine.adapters.sqlite.connection import Connect, Connection, Row, Value, connect
from taskengine.errors import StorageError, TaskEngineError
from taskengine.ports.store import Append, Verdict
from taskengine.testing.conformance.operations import Operation, Operations
from tests.durability.disk import Cut, Image, Op, Platter, RecordingDisk

__all__ = ["Finding", "Judge", "Outcome", "Record", "cut_everywhere", "record_operations"]

Read: TypeAlias = Callable[[str], list[tuple[Any, ...]]]
_NAME: Final = "store.db"
_WRITES: Final = frozenset({"commit", "join", "leave", "seize", "send", "reply", "put_workflow"})
# A small log and a small cache: checkpoints, new beginnings of the log and spilled pages come often.
SETTINGS: Final = SqliteSettings(log_pages=12, cache_kib=64, ballast_bytes=0)


class Commit(msgspec.Struct, frozen=True):
    """A COMMIT of the writer: which operations of the disk it spans, and a digest of everything that is stored after it."""

    begin: int
    end: int
    digest: bytes


class Acknowledged(msgspec.Struct, frozen=True):
    """A call of the store that returned when the disk had done ``at`` operations, and how long the histories were then."""

    at: int
    seqs: dict[str, int]


class Record(msgspec.Struct, frozen=True):
    """What the disk did, what was committed, what was acknowledged."""

    ops: Sequence[Op]
    fresh: bytes  # the digest of a new database
    commits: Sequence[Commit]
    acknowledged: Sequence[Acknowledged]

    def bounds(self, at: int) -> tuple[int, int]:
        """How many commits had returned, and how many had begun, when the disk had done ``at`` operations."""
        returned = sum(commit.end <= at for commit in self.commits)
        return returned, max(returned, sum(commit.begin < at for commit in self.commits))


# ── record ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Recorder:
    """A ``Connect`` that notes each commit of the writers, and asks a connection of its own what is stored then."""

    def __init__(self, disk: RecordingDisk, path: Path, *, synchronous: str = "") -> None:
        self.disk = disk
        self.commits: list[Commit] = []
        self._path = path
        self._connect: Connect = Lying(disk, synchronous) if synchronous else disk

    def __call__(self, path: Path, *, is_reader: bool) -> Connection:
        connection = self._connect(path, is_reader=is_reader)
        return connection if is_reader else _Noting(connection, self)

    def committed(self, begin: int) -> None:
        self.commits.append(Commit(begin, len(self.disk.ops), self.digest()))

    def join(self, first: int) -> None:
        """What one call of the store does is one step, in however many transactions it did it: nothing in between may be seen."""
        commits = self.commits[first:]
        if commits:
            self.commits[first:] = [Commit(commits[0].begin, commits[-1].end, commits[-1].digest)]

    def digest(self) -> bytes:
        """By the same SQLite that writes: two of them in one process would take each other's locks."""
        with closing(apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)) as connection:
            return digest(lambda sql: list(connection.execute(sql)))


class _Passing:
    def __init__(self, inner: Connection) -> None:
        self.inner = inner

    @property
    def in_transaction(self) -> bool:
        return self.inner.in_transaction

    def read(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
        return self.inner.read(sql, parameters)

    def write(self, sql: str, parameters: Sequence[Value] = (), /) -> int:
        return self.inner.write(sql, parameters)

    def close(self) -> None:
        self.inner.close()


class _Noting(_Passing):
    def __init__(self, inner: Connection, recorder: Recorder) -> None:
        super().__init__(inner)
        self._recorder = recorder

    def write(self, sql: str, parameters: Sequence[Value] = (), /) -> int:
        begin = len(self._recorder.disk.ops)
        changed = self.inner.write(sql, parameters)
        if sql == "COMMIT":
            self._recorder.committed(begin)
        return changed


class Lying:
    """A ``Connect`` whose connections are as careful as ``synchronous`` says, and answer that they are fully so."""

    def __init__(self, inner: Connect, synchronous: str) -> None:
        self._inner = inner
        self._synchronous = synchronous

    def __call__(self, path: Path, *, is_reader: bool) -> Connection:
        return _Lying(self._inner(path, is_reader=is_reader), self._synchronous)


class _Lying(_Passing):
    def __init__(self, inner: Connection, synchronous: str) -> None:
        super().__init__(inner)
        self._synchronous = synchronous

    def read(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
        return [(2,)] if sql == "PRAGMA synchronous" else self.inner.read(sql, parameters)

    def write(self, sql: str, parameters: Sequence[Value] = (), /) -> int:
        if sql.startswith("PRAGMA synchronous ="):
            return self.inner.write(f"PRAGMA synchronous = {self._synchronous}")
        return self.inner.write(sql, parameters)


async def record_operations(directory: Path, *, seed: int, operations: int, synchronous: str = "") -> Record:
    """Random operations of a store on a recording disk, with its processes dying and coming back now and then.

    The memory store hears the same and says what is sensible to ask. ``synchronous``: set behind the store's back.
    """
    path = directory / _NAME
    recorder = Recorder(RecordingDisk(), path, synchronous=synchronous)
    return await Recording(path, recorder, random.Random(seed)).run(operations)


class Recording:
    """Two stores on one recording disk, beside two on the oracle's database."""

    def __init__(self, path: Path, recorder: Recorder, rng: random.Random) -> None:
        self._path = path
        self._recorder = recorder
        self._rng = rng
        self._memory = MemoryDatabase()
        self._seqs: dict[str, int] = {}
        self._acknowledged: list[Acknowledged] = []

    async def run(self, operations: int) -> Record:
        drawn = Operations(self._rng.randrange)
        stores = [await self._open()]
        # Whoever opens what is left of the birth of a database brings it to its end.
        fresh = self._recorder.commits[-1].digest
        self._recorder.commits = [msgspec.structs.replace(commit, digest=fresh) for commit in self._recorder.commits]
        stores.append(await self._open())
        for _ in range(operations):
            number = self._rng.randrange(len(stores))
            if self._rng.randrange(25) == 0:
                await self._close(stores.pop(number))
                stores.append(await self._open())
                continue
            oracle, store = stores[number]
            operation = await drawn.draw(oracle)
            if operation.method in _WRITES:
                drawn.learn(operation, await self._do(operation, oracle, store))
        while stores:
            await self._close(stores.pop())
        return Record(self._recorder.disk.ops, fresh, self._recorder.commits, self._acknowledged)

    async def _do(self, operation: Operation, oracle: MemoryStore, store: SqliteStore) -> Any:
        before = len(self._recorder.commits)
        expected, actual = await _outcome(operation, oracle), await _outcome(operation, store)
        assert expected == actual, f"{operation}: {actual}, not {expected}"
        self._recorder.join(before)
        if operation.method == "commit":
            appends: Sequence[Append] = operation.arguments[0]
            for append, verdict in zip(appends, actual, strict=True):
                if verdict is Verdict.COMMITTED:
                    self._seqs[append.summary.execution_id] = append.summary.seq
            self._acknowledged.append(Acknowledged(len(self._recorder.disk.ops), dict(self._seqs)))
        return actual

    async def _open(self) -> tuple[MemoryStore, SqliteStore]:
        pair = MemoryStore(self._memory), _store(self._path, self._recorder)
        for store in pair:
            await store.open()
        return pair

    async def _close(self, pair: tuple[MemoryStore, SqliteStore]) -> None:
        for store in pair:
            await store.close()


async def _outcome(operation: Operation, store: MemoryStore | SqliteStore) -> Any:
    try:
        return await getattr(store, operation.method)(*operation.arguments, **operation.named)
    except TaskEngineError as error:
        return error.name


def _store(path: Path, by: Connect) -> SqliteStore:
    return SqliteStore(path, lanes=InlineLane, settings=SETTINGS, connect=by)


def digest(read: Read) -> bytes:
    """A number for everything that is stored, table by table."""
    tables = sorted(name for (name,) in read("SELECT name FROM sqlite_schema WHERE type = 'table'"))
    found = hashlib.blake2b()
    for table in tables:
        found.update(repr((table, read(f"SELECT * FROM {table} ORDER BY 1, 2"))).encode())
    return found.digest()


# ── judge ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Outcome(msgspec.Struct, frozen=True):
    """What an image turned out to be: after which commits it may be, or what ails it; and how long its histories are."""

    states: frozenset[int] = frozenset()
    ailment: str = ""
    seqs: dict[str, int] = {}


class Finding(msgspec.Struct, frozen=True):
    """An image that breaks the law."""

    at: int
    cut: Cut
    kind: str  # "lost": it is as after an earlier commit than it should; "broken": it is as after none
    what: str


class Judge:
    """Judges images of one record. The same image is judged once."""

    def __init__(self, record: Record, directory: Path) -> None:
        self._record = record
        self._directory = directory
        self._known: dict[bytes, Outcome] = {}
        self._states: dict[bytes, set[int]] = {record.fresh: {0}}
        for number, commit in enumerate(record.commits, 1):
            self._states.setdefault(commit.digest, set()).add(number)

    @property
    def images(self) -> int:
        """How many different ones there were."""
        return len(self._known)

    async def judge(self, image: Image, *, at: int, cut: Cut) -> Finding | None:
        """Whether the image is one that a cut after ``at`` operations may leave."""
        key = _key(image)
        if key not in self._known:
            self._known[key] = await self._examine(image)
        outcome = self._known[key]
        if outcome.ailment:
            return Finding(at, cut, "broken", outcome.ailment)
        returned, begun = self._record.bounds(at)
        if not any(returned <= state <= begun for state in outcome.states):
            return Finding(at, cut, "lost", f"as after commit {sorted(outcome.states)}, {returned} had returned, {begun} had begun")
        for acknowledged in self._record.acknowledged:
            if acknowledged.at <= at and any(outcome.seqs.get(one, 0) < seq for one, seq in acknowledged.seqs.items()):
                return Finding(at, cut, "lost", "an acknowledged append is not there")
        return None

    async def _examine(self, image: Image) -> Outcome:
        """Open it as the product does, on the product's own driver, and look at all of it."""
        for path in self._directory.iterdir():
            path.unlink()
        for name, content in image.items():
            (self._directory / name).write_bytes(content)
        path = self._directory / _NAME
        store = _store(path, Lying(connect, "OFF"))  # nobody cuts the power a second time
        try:
            await store.open()
        except StorageError as error:
            return Outcome(ailment=f"does not open: {error.message}")
        try:
            with closing(sqlite3.connect(path)) as connection:
                return self._read(lambda sql: connection.execute(sql).fetchall())
        except sqlite3.DatabaseError as error:
            return Outcome(ailment=f"cannot be read: {error}")
        finally:
            await store.close()

    def _read(self, read: Read) -> Outcome:
        check = read("PRAGMA integrity_check")
        if check != [("ok",)]:
            return Outcome(ailment=f"integrity: {check}")
        torn = read(_TORN)
        if torn:
            return Outcome(ailment=f"row and history differ: {torn}")
        states = self._states.get(digest(read))
        if states is None:
            return Outcome(ailment="holds what it never held after a commit")
        return Outcome(frozenset(states), seqs=dict(read("SELECT execution_id, seq FROM execution")))


_TORN: Final = """
SELECT execution.execution_id FROM execution
LEFT JOIN (SELECT execution_id, count(*) AS events, max(seq) AS last FROM event GROUP BY execution_id) AS history
ON history.execution_id = execution.execution_id
WHERE coalesce(history.events, 0) <> execution.seq OR coalesce(history.last, 0) <> execution.seq"""


def _key(image: Image) -> bytes:
    found = hashlib.blake2b()
    for name, content in sorted(image.items()):
        found.update(f"{name} {len(content)} ".encode())
        found.update(content)
    return found.digest()


# ── cut ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def cut_everywhere(record: Record, directory: Path, *, cuts: int, seed: int) -> tuple[Judge, list[Finding], Counter[Cut]]:
    """Cut the power so many times, spread over the whole record, in every way; what breaks the law, and how often which way was."""
    judge = Judge(record, directory)
    findings: list[Finding] = []
    ways: Counter[Cut] = Counter()
    platter = Platter()
    rng = random.Random(seed)
    plan = _spread(len(record.ops) + 1, cuts, rng)
    for at, count in enumerate(plan):
        if at:
            platter.turn(record.ops[at - 1])
        for _ in range(count):
            cut = rng.choice(_WAYS)
            ways[cut] += 1
            found = await judge.judge(platter.after(cut, rng), at=at, cut=cut)
            if found is not None:
                findings.append(found)
    return judge, findings, ways


_WAYS: Final = tuple(Cut)


def _spread(places: int, cuts: int, rng: random.Random) -> Iterator[int]:
    """How many cuts at each place: evenly, and what does not go evenly by lot."""
    least, left = divmod(cuts, places)
    lucky = set(rng.sample(range(places), left))
    for place in range(places):
        yield least + (place in lucky)
