"""An engine's life with a failing disk and a failing power supply."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw
import pytest

from tests.amounts import amount
from tests.conformance.apsw_connection import failure
from tests.durability.disk import Fault, Synced, Written
from tests.durability.lives import Life, examine, finish, images, live, live_on

pytestmark = pytest.mark.timeout(amount(test=120, nightly=7_200))

_LIVES = amount(test=20, nightly=1_000)  # at most; no more than there are writes or syncs
_CUTS = amount(test=300, nightly=5_000)
_FINISHED = amount(test=20, nightly=500)
_CUTS_OF_A_LIFE = 8
FULL, FSYNC = failure(apsw.FullError, apsw.SQLITE_FULL), failure(apsw.IOError, apsw.SQLITE_IOERR_FSYNC)


def _folder(directory: Path, name: str) -> Path:
    made = directory / name
    made.mkdir()
    return made


async def _count(directory: Path, kind: type) -> int:
    """How often a life on a sound disk does this."""
    life = await live(_folder(directory, "sound"))
    return sum(isinstance(op, kind) for op in life.ops)


async def _cut(life: Life, directory: Path, *, count: int, seed: int) -> list[str]:
    wrong: list[str] = []
    for moment in images(life, count=count, rng=random.Random(seed)):
        wrong += [f"cut after {moment.at}, {moment.cut}: {problem}" for problem in await examine(life, moment, directory)]
    return wrong


async def test_a_power_cut_at_any_moment_of_an_engines_life_loses_nothing_it_had_said(tmp_path: Path) -> None:
    life = await live(_folder(tmp_path, "life"))
    print(f"\na life: {len(life.ops)} operations of the disk, {len(life.said)} acknowledgements, {len(life.effects)} effects")
    assert await _cut(life, _folder(tmp_path, "image"), count=min(_CUTS, len(life.ops)), seed=1) == []


async def test_after_a_power_cut_the_next_engine_brings_everything_to_its_end(tmp_path: Path) -> None:
    life = await live(_folder(tmp_path, "life"))
    place = _folder(tmp_path, "image")
    for moment in images(life, count=min(_FINISHED, len(life.ops)), rng=random.Random(2)):
        assert (moment.at, await finish(life, moment, place)) == (moment.at, [])


async def test_a_sync_that_fails_once_acknowledges_nothing_that_a_power_cut_may_take(tmp_path: Path) -> None:
    """What waited when the sync failed may never reach the disk, though every later sync succeeds."""
    syncs = await _count(tmp_path, Synced)
    place = _folder(tmp_path, "image")
    lives = 0
    for number in _some(syncs):
        life = await live(_folder(tmp_path, f"life-{number}"), fault=_failing("sync", [number], FSYNC))
        lives += bool(life.faults)
        assert (number, await _cut(life, place, count=_CUTS_OF_A_LIFE, seed=number)) == (number, [])
    print(f"\nfailed syncs: {lives} lives, {syncs} syncs in one on a sound disk")
    assert lives


async def test_a_process_killed_after_a_failed_sync_leaves_a_log_that_the_next_one_does_not_build_on(tmp_path: Path) -> None:
    """The next process sees what waited for the failed sync, goes on from it, and then the power goes."""
    place = _folder(tmp_path, "image")
    lives = 0
    for number in _some(await _count(tmp_path, Synced)):
        first, second = _folder(tmp_path, f"first-{number}"), _folder(tmp_path, f"second-{number}")
        life = await live_on(first, second, fault=_failing("sync", [number], FSYNC))
        lives += any(isinstance(op, Synced) and op.is_failed for op in life.ops)
        assert (number, await _cut(life, place, count=4 * _CUTS_OF_A_LIFE, seed=number)) == (number, [])
    print(f"\nkilled after a failed sync: {lives} lives")
    assert lives


async def test_a_disk_that_is_full_for_a_while_loses_nothing_and_work_goes_on_when_there_is_room(tmp_path: Path) -> None:
    writes = await _count(tmp_path, Written)
    place = _folder(tmp_path, "image")
    refused: Counter[int] = Counter()
    for number in _some(writes):
        length = random.Random(number).choice((1, 2, 4))
        fault = _failing("write", range(number, number + length), FULL)
        life = await live(_folder(tmp_path, f"life-{number}"), fault=fault)
        refused[life.faults] += 1
        assert (number, await _cut(life, place, count=_CUTS_OF_A_LIFE, seed=number)) == (number, [])
    print(f"\nfull disks: {sum(refused.values())} lives, {writes} writes in one on a sound disk, refused writes: {dict(refused)}")
    assert refused.total() > refused[0]


def _some(numbers: int) -> list[int]:
    """Of so many calls from 1: all when there is time, otherwise evenly spread."""
    step = max(1, numbers // _LIVES)
    return list(range(1, numbers + 1, step))


def _failing(kind: str, numbers: Sequence[int], error: Callable[[], apsw.Error]) -> Fault:
    def fault(asked: str, number: int) -> apsw.Error | None:
        return error() if asked == kind and number in numbers else None

    return fault
