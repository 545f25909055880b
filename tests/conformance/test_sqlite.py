"""The SQLite store keeps every promise of the port: with threads as in a node, and inline as in a simulation."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from taskengine.adapters.lanes import InlineLane, ThreadLane
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.adapters.sqlite import SqliteStore
from taskengine.testing.conformance import DifferentialMachine, NewStore, StoreConformance
from tests.amounts import amount

OPERATIONS = 20_000
SEEDS = 4

WRITES = ("commit", "join", "leave", "release", "reply", "crash")
READS = ("load", "heads", "answer_of", "dead_nodes", "due", "other_nodes", "changed", "pending", "answer", "workflow", "workflows")
VIEWS = ("executions", "count", "events", "tasks")
VERDICTS = ("Verdict.COMMITTED", "Verdict.CONFLICT", "Verdict.DUPLICATE", "error node_exists", "error version_exists")
# What a run must have met: every operation, every verdict and refusal, and something to find wherever something can be found.
SEEN = (*WRITES, *VERDICTS, *(f"{name} found" for name in ("seize", "send", "put_workflow", *READS, *VIEWS)))


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def new_store(self, tmp_path: Path) -> NewStore:
        return lambda: SqliteStore(tmp_path / "store.db", lanes=ThreadLane)


class TestInlineSqliteStore(StoreConformance):
    @pytest.fixture
    def new_store(self, tmp_path: Path) -> NewStore:
        return lambda: SqliteStore(tmp_path / "store.db", lanes=InlineLane)


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(SEEDS))
async def test_random_operations_give_the_oracles_answers(tmp_path: Path, seed: int) -> None:
    counts = await run(tmp_path, seed=seed, operations=amount(test=OPERATIONS, nightly=10 * OPERATIONS) // SEEDS)
    print(dict(sorted(counts.items())))
    rare = {name: counts[name] for name in SEEN if counts[name] < 10}
    assert not rare, rare


async def run(directory: Path, *, seed: int, operations: int) -> Counter[str]:
    database = MemoryDatabase()
    machine = DifferentialMachine(
        oracle=lambda: MemoryStore(database),
        subject=lambda: SqliteStore(directory / "store.db", lanes=InlineLane),
        choose=random.Random(seed).randrange,
    )
    return await machine.run(operations)
