"""The log that a process takes up from one that died is written again before anything is built on it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.sqlite import SqliteStore
from taskengine.adapters.sqlite.files import renew_log
from taskengine.errors import StorageError

_NOW = 1_795_000_000_000
_LONG_AGO_NS = 1_000_000_000


def _store(path: Path, renewed: list[Path]) -> SqliteStore:
    return SqliteStore(path, lanes=InlineLane, renew_log=renewed.append)


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
