"""Bits of the database's file flip while nobody looks: whatever the store then says, it says by name."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.sqlite import SqliteStore
from taskengine.errors import StorageError
from taskengine.ports.store import ExecutionFilter
from taskengine.testing.conformance.samples import append, birth, mark, summary, task_row, workflow
from tests.amounts import amount
from tests.durability.cuts import SETTINGS

_FILES = amount(test=300, nightly=10_000)
_NAMES = [f"ex_{number:02}" for number in range(20)]


def _store(path: Path) -> SqliteStore:
    return SqliteStore(path, lanes=InlineLane, settings=SETTINGS)


async def _fill(path: Path) -> None:
    store = _store(path)
    await store.open()
    await store.put_workflow(workflow("orders"))
    for turn in range(5):
        tasks = {"tasks": [task_row("ex_00", turn)], "marks": [mark(f"key {turn}")], "snapshot": b"x" * 200}
        await store.commit(
            [
                *(birth(name, events=3, owner="", wake_at=1) for name in _NAMES[4 * turn + 1 : 4 * turn + 5]),
                append(summary("ex_00", seq=turn + 1), expected_seq=turn, **tasks),
            ]
        )
    await store.send("ex_00", b"go", now=1)
    await store.close()


async def _use(store: SqliteStore) -> None:
    """Open, read everything, and write a little."""
    await store.open()
    try:
        await store.join("node_1", now=1)
        await store.load(_NAMES)
        await store.heads(_NAMES)
        await store.executions(ExecutionFilter(), limit=100)
        await store.events("ex_00", after=0, limit=100)
        await store.tasks("ex_00")
        await store.answer_of("key 1")
        await store.pending("node_1", after=0, limit=10)
        await store.due(now=10, limit=10)
        await store.workflow("orders", "")
        await store.commit([birth("ex_new")])
    finally:
        await store.close()


def _damage(directory: Path, rng: random.Random) -> Path:
    """A copy of the sound database with some bits flipped, half of them where the header and the schema are."""
    for left in directory.glob("damaged.db*"):
        left.unlink()
    content = bytearray((directory / "sound.db").read_bytes())
    for _ in range(rng.choice((1, 4, 64))):
        place = rng.randrange(4096 if rng.random() < 0.5 else len(content))
        content[place] ^= 1 << rng.randrange(8)
    damaged = directory / "damaged.db"
    damaged.write_bytes(content)
    return damaged


@pytest.mark.timeout(amount(test=120, nightly=3_600))
async def test_a_damaged_file_is_refused_by_name_or_still_serves(tmp_path: Path) -> None:
    await _fill(tmp_path / "sound.db")
    seen: Counter[str] = Counter()
    for seed in range(_FILES):
        damaged = _damage(tmp_path, random.Random(seed))
        try:
            await _use(_store(damaged))
        except StorageError as error:
            seen[error.name] += 1
        else:
            seen["served"] += 1
    print(f"\ndamaged files: {dict(seen)}")
    assert seen["served"]
    assert seen["database_corrupt"]
    assert sum(seen.values()) == _FILES
