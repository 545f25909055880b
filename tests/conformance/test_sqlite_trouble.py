"""Trouble: locks held by others, a full disk, a disk that fails, a commit that nobody can vouch for."""

# ruff: noqa: ASYNC220, ASYNC221 -- the test's loop has nothing else to do

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from taskengine.adapters.lanes import InlineLane, ThreadLane
from taskengine.adapters.sqlite import SqliteSettings, SqliteStore, journal
from taskengine.adapters.sqlite.connection import Connection, SqliteError, connect
from taskengine.adapters.sqlite.failures import explain
from taskengine.adapters.sqlite.files import Ballast, free_bytes
from taskengine.errors import ConflictError, StorageError
from taskengine.ports.store import CommitUnknownError, Verdict
from taskengine.testing.conformance.samples import append, birth, follow, mark, opened, summary, workflow
from tests.conformance.seams import Seam, Watched, inline

COMMITTED, CONFLICT = [Verdict.COMMITTED], [Verdict.CONFLICT]


# ── busy ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_lock_that_is_not_let_go_is_store_busy_and_nothing_is_written(tmp_path: Path) -> None:
    async with opened(lambda: inline(tmp_path / "store.db", busy_timeout_ms=120)) as store:
        holder = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        for refused in (store.commit([birth("ex_1")]), store.send("ex_1", b"go", now=1), store.join("node_a", now=1)):
            with pytest.raises(StorageError) as busy:
                await refused
            assert busy.value.name == "store_busy"
        holder.execute("ROLLBACK")
        holder.close()
        assert await store.load(["ex_1"]) == []
        assert await store.pending("node_a", after=0, limit=1) == []
        assert await store.commit([birth("ex_1")]) == COMMITTED


async def test_reading_does_not_wait_for_whoever_writes(tmp_path: Path) -> None:
    async with opened(lambda: inline(tmp_path / "store.db", busy_timeout_ms=1)) as store:
        await store.commit([birth("ex_1")])
        holder = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert len(await store.load(["ex_1"])) == 1
        holder.close()


async def test_a_lane_is_free_between_two_attempts_for_a_lock(tmp_path: Path) -> None:
    """Whoever waits for a lock gives way to whoever needs none."""
    async with opened(lambda: SqliteStore(tmp_path / "store.db", lanes=ThreadLane)) as store:
        holder = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store.commit([birth("ex_1")]))
        assert await store.dead_nodes("node_a") == []
        assert not waiting.done()
        holder.execute("ROLLBACK")
        holder.close()
        assert await waiting == COMMITTED


@pytest.mark.processes
async def test_commits_get_through_a_storm_of_locks(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(lambda: SqliteStore(path, lanes=ThreadLane, settings=SqliteSettings(busy_timeout_ms=30_000))) as store:
        child = [sys.executable, "-m", "tests.conformance.children", "hold", str(path)]
        with subprocess.Popen(child, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            holder.stdout.readline()
            try:
                for number in range(20):
                    assert await store.commit([birth(f"ex_{number}")]) == COMMITTED
            finally:
                holder.kill()
        assert len(await store.heads([f"ex_{number}" for number in range(20)])) == 20


async def test_a_busy_commit_is_made_again_as_a_whole(tmp_path: Path) -> None:
    seam = Seam()
    async with opened(lambda: inline(tmp_path / "store.db", seam)) as store:
        seam.fail("COMMIT", sqlite3.SQLITE_BUSY, times=3)
        assert await store.commit([birth("ex_1"), birth("ex_2")]) == COMMITTED * 2
        assert seam.statements.count("BEGIN IMMEDIATE") >= 4
        assert len(await store.load(["ex_1", "ex_2"])) == 2


# ── a full disk ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def page_limit(pages: int) -> Callable[[Connection, str], None]:
    """Lets the database grow to so many pages; SQLite answers beyond them as it does on a full disk."""

    def hook(inner: Connection, sql: str) -> None:
        if sql == "BEGIN IMMEDIATE":
            inner.read(f"PRAGMA max_page_count = {pages}")

    return hook


async def test_a_full_disk_refuses_whole_batches_and_work_goes_on_when_there_is_room(tmp_path: Path) -> None:
    seam = Seam()
    async with opened(lambda: inline(tmp_path / "store.db", seam)) as store:
        seam.hook = page_limit(80)
        acknowledged: list[str] = []

        async def fill() -> None:
            for number in range(1_000):
                names = [f"ex_{number}_{part}" for part in range(3)]
                assert await store.commit([birth(name, events=5) for name in names]) == COMMITTED * 3
                acknowledged.extend(names)

        with pytest.raises(StorageError) as full:
            await fill()
        assert full.value.name == "disk_full"
        assert len(acknowledged) >= 9
        assert set(await store.heads(acknowledged)) == set(acknowledged)
        assert await store.heads([f"ex_{len(acknowledged) // 3}_{part}" for part in range(3)]) == {}
        seam.hook = page_limit(100_000)
        assert await store.commit([birth("ex_after", events=500)]) == COMMITTED
        (stored,) = await store.load(["ex_after"])
        assert len(stored.events) == 500


async def test_the_ballast_is_let_go_on_a_full_disk_and_held_again_when_there_is_room(tmp_path: Path) -> None:
    seam = Seam()
    ballast = tmp_path / "store.db-ballast"
    async with opened(lambda: inline(tmp_path / "store.db", seam, ballast_bytes=200_000)) as store:
        assert (ballast.stat().st_size, ballast.stat().st_blocks * 512 >= 200_000) == (200_000, True)
        seam.hook = page_limit(1)
        with pytest.raises(StorageError):
            await store.commit([birth("ex_1", events=1_000)])
        assert not ballast.exists()
        seam.hook = page_limit(100_000)
        await store.commit([birth("ex_1")])
        assert ballast.stat().st_size == 200_000


def test_a_ballast_is_not_held_where_it_would_starve_others(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "store.db", size=free_bytes(tmp_path))
    ballast.release()
    ballast.restore()
    assert ballast.is_released
    assert list(tmp_path.iterdir()) == []


def test_a_ballast_of_nothing_is_no_file(tmp_path: Path) -> None:
    Ballast(tmp_path / "store.db", size=0).reserve()
    assert list(tmp_path.iterdir()) == []


def test_a_ballast_that_finds_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    Ballast(tmp_path / "store.db", size=1 << 62).reserve()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.processes
@pytest.mark.parametrize("limit", [150_000, 400_000, 1_000_000])
async def test_files_that_may_not_grow_lose_nothing_that_was_acknowledged(tmp_path: Path, limit: int) -> None:
    """A child whose files may have only so many bytes: the log cannot grow, and every commit before that is there."""
    child = [sys.executable, "-m", "tests.conformance.children", "fill", str(tmp_path / "store.db"), str(limit)]
    done = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True)
    name, acknowledged, found, end = done.stdout.split()
    assert (name, found, end) == ("disk_full", acknowledged, "closed")
    names = [f"ex_{number:05}" for number in range(int(acknowledged) + 1)]
    async with opened(lambda: inline(tmp_path / "store.db")) as store:
        assert [len(stored.events) for stored in await store.load(names)] == [8] * len(names)
        assert set(await store.heads(names)) == set(names)


# ── a failing disk ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_after", [True, False])
async def test_a_commit_that_nobody_can_vouch_for_is_unknown_and_told_by_the_heads(tmp_path: Path, *, is_after: bool) -> None:
    seam = Seam()
    async with opened(lambda: inline(tmp_path / "store.db", seam)) as store:
        seam.fail("COMMIT", sqlite3.SQLITE_IOERR_FSYNC, is_after=is_after)
        with pytest.raises(CommitUnknownError) as unknown:
            await store.commit([birth("ex_1"), birth("ex_2")])
        assert unknown.value.name == "commit_unknown"
        assert set(await store.heads(["ex_1", "ex_2"])) == ({"ex_1", "ex_2"} if is_after else set())
        assert await store.commit([birth("ex_3")]) == COMMITTED
        assert seam.opened == 2


@pytest.mark.parametrize("word", ["BEGIN", "INSERT INTO execution", "INSERT INTO event"])
@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_CORRUPT])
async def test_a_connection_that_failed_is_not_used_again(tmp_path: Path, word: str, code: int) -> None:
    seam = Seam()
    async with opened(lambda: inline(tmp_path / "store.db", seam)) as store:
        await store.commit([birth("ex_0")])
        seam.fail(word, code)
        with pytest.raises(StorageError) as failed:
            await store.commit([birth("ex_1")])
        assert not isinstance(failed.value, CommitUnknownError)
        assert failed.value.facts == {"sqlite_code": code}
        assert await store.heads(["ex_1"]) == {}
        assert await store.commit([birth("ex_1")]) == COMMITTED
        assert seam.opened == 2


async def test_a_connection_that_cannot_even_roll_back_is_not_used_again(tmp_path: Path) -> None:
    seam = Seam()

    def hook(inner: Connection, sql: str) -> None:
        if "INSERT INTO event" in sql or sql == "ROLLBACK":
            raise SqliteError(sqlite3.SQLITE_FULL, "made to fail")

    async with opened(lambda: inline(tmp_path / "store.db", seam)) as store:
        seam.hook = hook
        with pytest.raises(StorageError) as full:
            await store.commit([birth("ex_1")])
        assert full.value.name == "disk_full"
        seam.hook = None
        assert await store.commit([birth("ex_1")]) == COMMITTED
        assert seam.opened == 2


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (sqlite3.SQLITE_BUSY, "store_busy"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "store_busy"),
        (sqlite3.SQLITE_LOCKED, "store_busy"),
        (sqlite3.SQLITE_FULL, "disk_full"),
        (sqlite3.SQLITE_IOERR_WRITE, "disk_full"),
        (sqlite3.SQLITE_IOERR_READ, "disk_failed"),
        (sqlite3.SQLITE_IOERR_FSYNC, "disk_failed"),
        (sqlite3.SQLITE_CORRUPT, "database_corrupt"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "database_corrupt"),
        (sqlite3.SQLITE_NOTADB, "not_a_database"),
        (sqlite3.SQLITE_READONLY, "database_read_only"),
        (sqlite3.SQLITE_CANTOPEN, "database_not_accessible"),
        (sqlite3.SQLITE_NOMEM, "database_failed"),
    ],
)
def test_what_sqlite_answers_has_a_name(code: int, name: str) -> None:
    assert explain(SqliteError(code, "said so")).name == name


# ── the last lines of safety ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_number_that_a_stream_has_already_is_a_conflict_of_that_append(tmp_path: Path) -> None:
    """Even when the row of the execution was damaged and says otherwise, no event is written over or beside another."""
    async with opened(lambda: inline(tmp_path / "store.db")) as store:
        first = birth("ex_1", events=2)
        await store.commit([first])
        with sqlite3.connect(tmp_path / "store.db") as damage:
            damage.execute("UPDATE execution SET seq = 1")
        damage.close()
        late = append(summary("ex_1", seq=2), expected_seq=1)
        assert await store.commit([late, birth("ex_2")]) == [Verdict.CONFLICT, Verdict.COMMITTED]
        assert [stored.seq for stored in await store.events("ex_1", after=0, limit=10)] == [1, 2]


async def test_a_refusal_in_the_middle_of_a_transaction_leaves_none_open(tmp_path: Path) -> None:
    async with opened(lambda: inline(tmp_path / "store.db")) as store:
        await store.put_workflow(workflow("orders", version="1"))
        with pytest.raises(ConflictError):
            await store.put_workflow(workflow("orders", version="1", document=b"[]"))
        with pytest.raises(UnicodeEncodeError):
            await store.commit([birth("ex_1"), birth("ex_2", business_key="\ud800")])
        assert await store.load(["ex_1", "ex_2"]) == []
        assert await store.commit([append(summary("ex_1", seq=1), expected_seq=0, marks=[mark("key")])]) == COMMITTED


async def test_a_row_changed_by_another_process_between_two_steps_is_a_conflict(tmp_path: Path) -> None:
    """The bet is lost against another writer: the statement itself compares seq, token and owner."""
    async with opened(lambda: inline(tmp_path / "store.db")) as store:
        first = birth("ex_1")
        await store.commit([first])
        for change in ("seq = 7", "token = 7"):
            with sqlite3.connect(tmp_path / "store.db") as other:
                before = other.execute("SELECT * FROM execution").fetchall()
                other.execute(f"UPDATE execution SET {change}")
            assert await store.commit([follow(first.summary)]) == CONFLICT
            with other:
                other.execute(f"UPDATE execution SET {change.partition(' ')[0]} = 1")
                assert other.execute("SELECT * FROM execution").fetchall() == before
            other.close()
        assert await store.commit([follow(first.summary)]) == COMMITTED


async def test_an_execution_that_grows_while_it_is_read_is_read_as_it_was(tmp_path: Path) -> None:
    """Another process commits between any two statements of a read: row, snapshot and events still belong together."""
    first = birth("ex_1", events=2)
    rows = [first.summary]
    writer: list[Connection] = []

    def grow(inner: Connection, sql: str) -> None:
        if "FROM" in sql:
            step = append(summary("ex_1", seq=rows[-1].seq + 2), expected_seq=rows[-1].seq, snapshot=b"%d" % rows[-1].seq)
            assert journal.commit(writer[0], [step]) == COMMITTED
            rows.append(step.summary)

    def growing(path: Path, *, is_reader: bool) -> Connection:
        connection = connect(path, is_reader=is_reader)
        return Watched(connection, grow) if is_reader else connection

    async with opened(lambda: SqliteStore(tmp_path / "store.db", lanes=InlineLane, connect=growing)) as store:
        await store.commit([first])
        writer.append(connect(tmp_path / "store.db", is_reader=False))
        for _ in range(5):
            (stored,) = await store.load(["ex_1"])
            assert stored.summary in rows
            assert stored.snapshot_seq + len(stored.events) == stored.summary.seq
        writer[0].close()
    assert len(rows) > 5
