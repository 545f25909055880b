"""Faults happen as often as they are asked for, are counted, and break no promise of the store's contract."""

from __future__ import annotations

from collections import Counter

import pytest

from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.errors import StorageError
from taskengine.ports.store import CommitUnknownError
from taskengine.testing.conformance import NewStore, StoreConformance
from taskengine.testing.conformance.samples import birth
from taskengine.testing.simulation import STORE_FAULTS, Chance, Faults, FaultyStore


def faulty(database: MemoryDatabase, faults: Faults) -> FaultyStore:
    return FaultyStore(MemoryStore(database), faults, committed=lambda *_: None)


class TestFaultyStoreWithoutFaults(StoreConformance):
    """With no fault happening it is the store behind it."""

    @pytest.fixture
    def new_store(self) -> NewStore:
        database = MemoryDatabase()
        return lambda: faulty(database, Faults(Chance(1), {}, counts=Counter()))


async def opened(**rates: float) -> tuple[FaultyStore, MemoryStore]:
    """A store that was opened before its faults began, and the truth behind it."""
    database = MemoryDatabase()
    faults = Faults(Chance(1), {}, counts=Counter())
    store, truth = faulty(database, faults), MemoryStore(database)
    await store.open()
    await truth.open()
    faults.rates.update(rates)
    return store, truth


async def test_a_commit_that_was_done_and_not_answered_is_there() -> None:
    store, truth = await opened(commit_done=1.0)
    with pytest.raises(CommitUnknownError):
        await store.commit([birth("ex_1")])
    assert "ex_1" in await truth.heads(["ex_1"])


@pytest.mark.parametrize("kind", ["commit_lost", "disk_full", "store_busy"])
async def test_a_commit_that_was_lost_or_refused_is_not_there(kind: str) -> None:
    store, truth = await opened(**{kind: 1.0})
    with pytest.raises(StorageError) as raised:
        await store.commit([birth("ex_1")])
    assert isinstance(raised.value, CommitUnknownError) == (kind == "commit_lost")
    assert await truth.heads(["ex_1"]) == {}


def test_every_kind_is_counted_and_stops_when_it_is_told() -> None:
    counts: Counter[str] = Counter()
    faults = Faults(Chance(1), STORE_FAULTS, counts=counts)
    for _ in range(10_000):
        for kind in STORE_FAULTS:
            faults.strike(kind)
    assert set(counts) == set(STORE_FAULTS)
    before = counts.copy()
    faults.stop()
    assert not any(faults.strike(kind) for kind in STORE_FAULTS)
    assert counts == before
