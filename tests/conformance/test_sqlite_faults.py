"""Every write and every sync of a run fails, one after the other: what the store said is what is on the disk.

Acknowledged: there, also for whoever recovers the files as a killed process left them. Refused: not there, not even then. Unknown:
either, and from the next answer of the heads on it stays so.
"""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.sqlite import SqliteSettings, SqliteStore
from taskengine.errors import StorageError
from taskengine.ports.store import Append, CommitUnknownError, Store, Verdict
from taskengine.testing.conformance.samples import append, birth, mark, opened, summary, task_row
from tests.amounts import amount
from tests.conformance.apsw_connection import FailingDisk, failure
from tests.conformance.seams import inline

ROUNDS = 8
FULL, QUOTA, FSYNC = (
    failure(apsw.FullError, apsw.SQLITE_FULL),
    failure(apsw.IOError, apsw.SQLITE_IOERR_WRITE),
    failure(apsw.IOError, apsw.SQLITE_IOERR_FSYNC),
)


def batch(turn: int) -> list[Append]:
    """Two executions that grow a little with each turn, and one that is born in it."""
    growing = [
        append(
            summary(name, seq=3 * turn + 3),
            expected_seq=3 * turn,
            tasks=[task_row(name, turn)],
            marks=[mark(f"{name} {turn}")],
            snapshot=b"x" * 500 * turn if turn % 3 == 2 else None,
        )
        for name in ("ex_1", "ex_2")
    ]
    return [*growing, birth(f"ex_born_{turn:02}", events=4, owner="", wake_at=turn)]


class Story:
    """A run of the store on a failing disk, and what it said about each batch."""

    def __init__(self, directory: Path, disk: FailingDisk) -> None:
        self.path = directory / "store.db"
        self.disk = disk
        self.acknowledged = 0
        self.said: list[str] = []

    def store(self) -> SqliteStore:
        # A small log, so that copying it into the database fails too.
        settings = SqliteSettings(log_pages=30, cache_kib=64)
        return SqliteStore(self.path, lanes=InlineLane, settings=settings, connect=self.disk)

    async def tell(self) -> None:
        store = self.store()
        while True:
            try:
                await store.open()
                break
            except StorageError as error:
                self.said.append(f"open {error.name}")
        try:
            while self.acknowledged < ROUNDS:
                await self._commit(store)
        finally:
            await store.close()

    async def _commit(self, store: SqliteStore) -> None:
        turn = self.acknowledged
        born = f"ex_born_{turn:02}"
        try:
            assert await store.commit(batch(turn)) == [Verdict.COMMITTED] * 3
        except CommitUnknownError as error:
            self.said.append(error.name)
            is_there = born in await store.heads([born])
        except StorageError as error:
            self.said.append(error.name)
            is_there = False
            await self._check(store, turns=turn)
        else:
            is_there = True
        if is_there:
            self.acknowledged += 1
            await self._check(store, turns=turn + 1)

    async def _check(self, store: SqliteStore, *, turns: int) -> None:
        """Exactly so many batches are there: for the store itself, and after a crash at this moment."""
        await check(store, turns)
        if self.disk.failed and len(self.said) < 3:
            crashed = self.path.with_name(f"crashed-{turns}.db")
            for suffix in ("", "-wal"):
                shutil.copyfile(f"{self.path}{suffix}", f"{crashed}{suffix}")
            async with opened(lambda: inline(crashed, ballast_bytes=0)) as recovered:
                await check(recovered, turns)
            crashed.unlink()


async def check(store: Store, turns: int) -> None:
    expected = {"ex_1": 3 * turns, "ex_2": 3 * turns} | {f"ex_born_{turn:02}": 4 for turn in range(turns)}
    found = await store.load(["ex_1", "ex_2", *(f"ex_born_{turn:02}" for turn in range(ROUNDS))])
    assert {stored.summary.execution_id: stored.summary.seq for stored in found} == {k: n for k, n in expected.items() if n}
    for stored in found:
        assert stored.snapshot_seq + len(stored.events) == stored.summary.seq
    assert [await store.answer_of(f"ex_1 {turn}") is not None for turn in range(ROUNDS)] == [n < turns for n in range(ROUNDS)]
    assert len(await store.tasks("ex_1")) == turns


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FailingDisk]:
    made = FailingDisk(f"failing-{tmp_path.name}")
    yield made
    made.unregister()


@pytest.mark.parametrize(
    ("kind", "error", "length", "name"),
    [
        ("write", FULL, 1, "disk_full"),
        ("write", FULL, 4, "disk_full"),
        ("write", QUOTA, 1, "disk_full"),
        ("sync", FSYNC, 1, "commit_unknown"),
    ],
    ids=["full", "full for a while", "quota", "fsync"],
)
async def test_whatever_call_fails_the_store_says_what_is_on_the_disk(
    tmp_path: Path, disk: FailingDisk, *, kind: str, error: Callable[[], apsw.Error], length: int, name: str
) -> None:
    disk.kind, disk.error, disk.length = kind, error, length
    seen: Counter[str] = Counter()
    for fail_at in itertools.count(1, amount(test=7, nightly=1)):
        directory = tmp_path / str(fail_at)
        directory.mkdir()
        disk.calls, disk.fail_at, disk.failed = 0, fail_at, []
        story = Story(directory, disk)
        await story.tell()
        seen.update([*story.said, *disk.failed])
        shutil.rmtree(directory)
        if not disk.failed:
            break
    print(dict(seen))
    assert {f"{kind} log", f"{kind} database", name} <= set(seen)
