"""The power goes at any moment, and unsynced writes are lost, torn, scrambled or reordered: what was acknowledged is there.

The disk is simulated under the product's own SQL, on the SQLite that ``apsw`` brings; what it leaves is opened and read with the
product's own driver, the SQLite of Python's ``sqlite3``. They are different versions, which a database file has to bear anyway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.sqlite import SqliteSettings, SqliteStore
from taskengine.adapters.sqlite.connection import Connection, Row, Value, connect
from taskengine.errors import StorageError
from tests.amounts import amount
from tests.durability.cuts import Finding, cut_everywhere, record_operations
from tests.durability.disk import Cut

pytestmark = pytest.mark.timeout(amount(test=120, nightly=7_200))

_SHARES = range(10)
_CUTS = amount(test=3_000, nightly=100_000) // len(_SHARES)
_CUTS_OF_A_RECORD = 300
_OPERATIONS = 150


async def _cut(tmp_path: Path, *, seeds: Sequence[int], synchronous: str = "") -> tuple[list[Finding], Counter[str]]:
    """Record and cut for each seed. What breaks the law, and what was done and seen how often."""
    findings: list[Finding] = []
    counts: Counter[str] = Counter()
    images = tmp_path / "image"
    images.mkdir()
    for seed in seeds:
        directory = tmp_path / f"record-{seed}"
        directory.mkdir()
        record = await record_operations(directory, seed=seed, operations=_OPERATIONS, synchronous=synchronous)
        judge, found, ways = await cut_everywhere(record, images, cuts=_CUTS_OF_A_RECORD, seed=seed)
        findings += found
        counts.update({cut.value: count for cut, count in ways.items()})
        counts.update(type(op).__name__ for op in record.ops)
        counts.update({"images": judge.images, "commits": len(record.commits), "acknowledged": len(record.acknowledged)})
        counts.update(f"found {finding.kind}" for finding in found)
    return findings, counts


@pytest.mark.parametrize("share", _SHARES)
async def test_a_power_cut_anywhere_loses_nothing_acknowledged_and_leaves_nothing_half(tmp_path: Path, share: int) -> None:
    records = _CUTS // _CUTS_OF_A_RECORD
    findings, counts = await _cut(tmp_path, seeds=range(share * records, (share + 1) * records))
    print(f"\npower cuts: {records * _CUTS_OF_A_RECORD} cuts, {dict(sorted(counts.items()))}")
    assert findings == []
    assert counts["images"] > records * _CUTS_OF_A_RECORD // 2
    assert set(counts) >= {*(cut.value for cut in Cut), "Written", "Synced", "Shortened", "Born", "Removed"}


async def test_the_same_test_catches_synchronous_normal(tmp_path: Path) -> None:
    findings, counts = await _cut(tmp_path, seeds=[1], synchronous="NORMAL")
    print(f"\nsynchronous=NORMAL: {dict(sorted(counts.items()))}")
    assert {finding.kind for finding in findings} == {"lost"}, "acknowledged commits are gone, and nothing worse"


async def test_the_same_test_catches_synchronous_off(tmp_path: Path) -> None:
    findings, counts = await _cut(tmp_path, seeds=[1], synchronous="OFF")
    print(f"\nsynchronous=OFF: {dict(sorted(counts.items()))}")
    assert {finding.kind for finding in findings} == {"lost", "broken"}


class _Careless:
    """A connection that does not become as careful as it is told to, and says so."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner

    @property
    def in_transaction(self) -> bool:
        return self._inner.in_transaction

    def read(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
        return self._inner.read(sql, parameters)

    def write(self, sql: str, parameters: Sequence[Value] = (), /) -> int:
        return self._inner.write(sql.replace("synchronous = FULL", "synchronous = NORMAL"), parameters)

    def close(self) -> None:
        self._inner.close()


async def test_a_database_that_answers_to_be_less_careful_is_refused(tmp_path: Path) -> None:
    def by(path: Path, *, is_reader: bool) -> Connection:
        return _Careless(connect(path, is_reader=is_reader))

    store = SqliteStore(tmp_path / "store.db", lanes=InlineLane, connect=by)
    with pytest.raises(StorageError) as refused:
        await store.open()
    assert refused.value.name == "durability_refused"


async def test_relaxed_durability_has_to_be_asked_for(tmp_path: Path) -> None:
    careful = SqliteStore(tmp_path / "careful.db", lanes=InlineLane)
    relaxed = SqliteStore(tmp_path / "relaxed.db", lanes=InlineLane, settings=SqliteSettings(durability="relaxed"))
    for store, expected in ((careful, ("wal", "full")), (relaxed, ("wal", "normal"))):
        await store.open()
        assert await store.durability() == expected
        await store.close()
