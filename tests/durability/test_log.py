"""The log that a process takes up from one that died is written again before anything is built on it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import TypeVar

import apsw
import pytest

from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.sqlite import SqliteStore
from taskengine.adapters.sqlite.connection import connect
from taskengine.adapters.sqlite.files import renew_log
from taskengine.errors import StorageError
from taskengine.ports.store import CommitUnknownError, Verdict
from taskengine.testing.conformance.samples import birth, opened
from tests.conformance.apsw_connection import failure
from tests.durability.cuts import Lying
from tests.durability.disk import Cut, Fault, Platter, RecordingDisk

T = TypeVar("T")

FSYNC = failure(apsw.IOError, apsw.SQLITE_IOERR_FSYNC)
_NOW = 1_795_000_000_000
_LONG_AGO_NS = 1_000_000_000


def _store(path: Path, renewed: list[Path]) -> SqliteStore:
    return SqliteStore(path, lanes=InlineLane, connect=Lying(connect, "OFF"), renew_log=renewed.append)


async def test_whoever_is_alone_renews_the_log(tmp_path: Path) -> None:
    renewed: list[Path] = []
    store = _store(tmp_path / "store.db", renewed)
    await store.open()
    await store.close()
    assert renewed == [tmp_path / "store.db"]


async def test_beside_a_living_node_nobody_touches_the_log(tmp_path: Path) -> None:
    renewed: list[Path] = []
    living, other = _store(tmp_path / "store.db", []), _store(tmp_path / "store.db", renewed)
    await living.open()
    await living.join("node_living", now=_NOW)
    await other.open()
    assert renewed == []
    await other.close()
    await living.close()


async def test_beside_dead_nodes_one_is_alone(tmp_path: Path) -> None:
    renewed: list[Path] = []
    dead, store = _store(tmp_path / "store.db", []), _store(tmp_path / "store.db", renewed)
    await dead.open()
    await dead.join("node_dead", now=_NOW)
    await dead.close()
    await store.open()
    assert renewed == [tmp_path / "store.db"]
    await store.close()


@pytest.mark.parametrize("failures", [1, 2, 3])
@pytest.mark.parametrize("number", range(5, 10))
async def test_what_the_heads_say_after_an_unknown_commit_is_on_the_disk(tmp_path: Path, number: int, failures: int) -> None:
    """Syncs fail, several in a row, and no other connection is open that would remember how far the log was synced."""
    disk = RecordingDisk(_failing(range(number, number + failures)))
    store = SqliteStore(tmp_path / "store.db", lanes=InlineLane, connect=disk, renew_log=disk.renew_log)
    await _insist(store.open)
    there: set[str] = set()
    for turn in range(4):
        execution_id = f"ex_{turn}"
        if await _is_committed(store, execution_id):
            there.add(execution_id)
        for cut in (Cut.LOST, Cut.KEPT, Cut.SECTORS):
            image = _image(disk, cut, tmp_path / f"{turn}-{cut.name}")
            async with opened(lambda image=image: _store(image, [])) as recovered:
                assert set(await recovered.heads([f"ex_{one}" for one in range(4)])) >= there
    await store.close()


@pytest.mark.parametrize("writes", range(6))
async def test_a_store_that_had_to_connect_again_misses_no_news(tmp_path: Path, writes: int) -> None:
    """SQLite counts the changes for each connection on its own: equal numbers of two of them mean nothing."""
    fails_at: set[int] = set()
    disk = RecordingDisk(lambda kind, number: FSYNC() if kind == "sync" and number in fails_at else None)

    def new_store() -> SqliteStore:
        return SqliteStore(tmp_path / "store.db", lanes=InlineLane, connect=disk, renew_log=disk.renew_log)

    async with opened(new_store) as store, opened(new_store) as other:
        for number in range(writes):
            await other.commit([birth(f"ex_{number}")])
        await store.changed()
        fails_at.add(disk.syncs + 1)
        with pytest.raises(CommitUnknownError):
            await store.commit([birth("ex_unknown")])
        await other.commit([birth("ex_other")])
        assert await store.changed()


async def _is_committed(store: SqliteStore, execution_id: str) -> bool:
    """What the runtime does: when the outcome is unknown, the heads decide."""
    try:
        return await store.commit([birth(execution_id)]) == [Verdict.COMMITTED]
    except CommitUnknownError:
        return execution_id in await _insist(lambda: store.heads([execution_id]))
    except StorageError:
        return False


async def _insist(ask: Callable[[], Awaitable[T]]) -> T:
    for _ in range(20):
        with suppress(StorageError):
            return await ask()
    raise AssertionError("the disk has failed too often")


def _failing(numbers: range) -> Fault:
    return lambda kind, number: FSYNC() if kind == "sync" and number in numbers else None


def _image(disk: RecordingDisk, cut: Cut, directory: Path) -> Path:
    platter = Platter()
    for op in disk.ops:
        platter.turn(op)
    directory.mkdir()
    for name, content in platter.after(cut, Random(1)).items():
        (directory / name).write_bytes(content)
    return directory / "store.db"


def test_renewing_writes_every_byte_again_and_changes_none(tmp_path: Path) -> None:
    log = tmp_path / "store.db-wal"
    content = os.urandom(2_500_000)
    log.write_bytes(content)
    os.utime(log, ns=(_LONG_AGO_NS, _LONG_AGO_NS))
    renew_log(tmp_path / "store.db")
    assert log.read_bytes() == content
    assert log.stat().st_mtime_ns > _LONG_AGO_NS


def test_without_a_log_there_is_nothing_to_renew(tmp_path: Path) -> None:
    renew_log(tmp_path / "store.db")
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "store.db-wal").mkdir()
    with pytest.raises(StorageError) as refused:
        renew_log(tmp_path / "store.db")
    assert refused.value.name == "disk_failed"
