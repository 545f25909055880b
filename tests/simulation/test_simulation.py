"""The whole engine in simulated worlds: chaos, healing, and then every promise is looked at once more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest

from taskengine.model.event import EVENT_TYPES
from taskengine.testing.simulation import STATEMENT_FAULTS, STORE_FAULTS, SimulationError
from tests.amounts import amount
from tests.kernel.seen import REFUSALS
from tests.simulation.scenario import run
from tests.simulation.seeds import PAST, PAST_WHOLE

ROOT = Path(__file__).resolve().parents[2]
BATCH = 25
WORLD = ("crash", "stop", "pause", "clock_jump", "taken_away", "call_timed_out", "call_cancelled", "message", "start_failed")
VERDICTS = ("verdict committed", "verdict conflict", "verdict duplicate")
DEEDS = tuple(
    f"{deed} done"
    for deed in ("start", "signal", "pause", "resume", "cancel", "terminate", "retry", "skip", "set", "decide", "fork")
)
# A person cannot come by these: what starts twice, what never started, what an attempt says too late, 10,000 waiting signals.
UNSEEN = {"already_started", "not_started", "signal_queue_full", "stale_attempt"}
ALL_REFUSALS = tuple(f"refused {name}" for name in (*REFUSALS, "fork_inside_group", "invalid_input") if name not in UNSEEN)
FAMILIES = ("pause kept in others", "cancel kept in others", "fork took over", "undone", "child of an older version")
EVENTS = tuple(kind.__name__ for kind in EVENT_TYPES)
MUST_HAPPEN = (*STORE_FAULTS, *STATEMENT_FAULTS, *WORLD, *VERDICTS, *DEEDS, *ALL_REFUSALS, *FAMILIES, *EVENTS)


class Batch(NamedTuple):
    """What came of some seeds."""

    counts: Counter[str]
    broken: list[str]


def run_batch(seeds: list[tuple[int, bool]], *, is_whole: bool = False) -> Batch:
    """Run seeds in this process; a broken promise is a line that says how to see it again."""
    counts: Counter[str] = Counter()
    broken: list[str] = []
    for seed, is_strict in seeds:
        try:
            outcome = run(seed, is_strict=is_strict, is_whole=is_whole)
        except SimulationError as error:
            again = f"python -m tests.simulation.run {seed} --verbose{' --strict' if is_strict else ''}{' --whole' * is_whole}"
            broken.append(f"{error.name}: {error.message}\n    again: {again}")
        else:
            counts += outcome.events + outcome.counts
    return Batch(counts, broken)


@pytest.mark.timeout(amount(test=300, nightly=6 * 3_600))
def test_every_promise_holds_in_every_seed_and_everything_happens() -> None:
    # Every world twice: with settings of its own, and with a snapshot every three events, batch cap 1 and nothing kept in memory.
    plain = _batches(amount(test=25, nightly=2_500))
    whole = _batches(amount(test=60, nightly=5_000))
    total = Batch(Counter(), [])
    with ProcessPoolExecutor(amount(test=1, nightly=os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
        for batch in (*pool.map(run_batch, plain), *pool.map(partial(run_batch, is_whole=True), whole)):
            total = Batch(total.counts + batch.counts, total.broken + batch.broken)
    for name in sorted(total.counts):
        print(f"{total.counts[name]:9,} {name}")
    assert not total.broken, "\n".join(total.broken)
    at_least = amount(test=1, nightly=100)
    too_few = {name: total.counts[name] for name in MUST_HAPPEN if total.counts[name] < at_least}
    assert not too_few, f"what a suite does not see it does not prove: {too_few}"
    assert total.counts["pause kept"] >= 200


def _batches(seeds: int) -> list[list[tuple[int, bool]]]:
    both = [(seed, is_strict) for seed in range(seeds) for is_strict in (False, True)]
    return [both[start : start + BATCH] for start in range(0, len(both), BATCH)]


@pytest.mark.parametrize(("seed", "is_strict"), PAST)
def test_a_promise_that_was_broken_once_holds(seed: int, *, is_strict: bool) -> None:
    assert run_batch([(seed, is_strict)]).broken == []


@pytest.mark.parametrize(("seed", "is_strict"), PAST_WHOLE)
def test_a_promise_that_was_broken_once_holds_in_families(seed: int, *, is_strict: bool) -> None:
    assert run_batch([(seed, is_strict)], is_whole=True).broken == []


@pytest.mark.parametrize("seed", range(4))
def test_every_promise_holds_on_the_memory_store_too(seed: int) -> None:
    assert run(seed, in_memory=True).events["ExecutionStarted"] > 0
    assert run(seed, in_memory=True, is_whole=True).events["ExecutionStarted"] > 0


@pytest.mark.parametrize("is_strict", [False, True])
@pytest.mark.parametrize("seed", [1, 5])
def test_the_same_seed_is_the_same_run(seed: int, *, is_strict: bool) -> None:
    assert run(seed, is_strict=is_strict) == run(seed, is_strict=is_strict)
    assert run(seed, is_strict=is_strict, is_whole=True) == run(seed, is_strict=is_strict, is_whole=True)


def test_another_seed_is_another_run() -> None:
    assert run(1).fingerprint != run(5).fingerprint


def test_the_same_seed_is_the_same_run_in_a_process_that_hashes_otherwise() -> None:
    told: set[str] = set()
    for hash_seed in ("1", "2"):
        ended = subprocess.run(
            [sys.executable, "-m", "tests.simulation.run", "1", "5", "8", "--whole"],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        assert ended.stdout.count("steps") == 3
        told.add(ended.stdout)
    assert len(told) == 1
