"""Faults, drawn from a seed and counted by kind, and a store that has them.

``FaultyStore`` breaks no promise of ``ports.store``: an error means that nothing was written, except ``CommitUnknownError``, after
which it may have been. Whatever an engine makes of that is what a simulation is there to show.
"""

# ruff: noqa: D102 -- the port says what each method promises

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

from taskengine.errors import StorageError
from taskengine.model.value import Instant
from taskengine.ports.store import (
    Append,
    CommitUnknownError,
    ExecutionFilter,
    Head,
    InboxAnswer,
    LogLine,
    Message,
    Store,
    Stored,
    StoredEvent,
    StoredWorkflow,
    Summary,
    TaskRow,
    Verdict,
)
from taskengine.testing.simulation.chance import Chance

__all__ = ["STORE_FAULTS", "Faults", "FaultyStore"]

T = TypeVar("T")

# What a store's call may meet; the numbers are how likely each is in one call when faults are at their usual rate.
STORE_FAULTS: Final[Mapping[str, float]] = {
    "store_busy": 0.01,
    "disk_full": 0.005,
    "store_slow": 0.02,
    "commit_lost": 0.02,  # of commits: the outcome is unknown, and it did not take place
    "commit_done": 0.03,  # of commits: the outcome is unknown, and it did
    "heads_down": 0.3,  # of unknown commits: nobody can say for a while
    "store_down": 0.001,  # every call fails for a while
}
_LONGEST_SLOW_S: Final = 1.0
_LONGEST_DOWN_S: Final = 3.0


class Faults:
    """Which faults there are, how often, and how many there were. ``stop`` ends them all: what follows must heal."""

    def __init__(self, chance: Chance, rates: Mapping[str, float], *, counts: Counter[str]) -> None:
        self.chance = chance
        self.rates = dict(rates)
        self.counts = counts
        self.is_on = True

    def strike(self, kind: str) -> bool:
        """Whether this fault happens here and now; it is counted when it does."""
        if not self.is_on or not self.chance.happens(self.rates.get(kind, 0.0)):
            return False
        self.counts[kind] += 1
        return True

    def stop(self) -> None:
        """No more faults."""
        self.is_on = False


class FaultyStore(Store):
    """A store behind which another one works. ``committed`` hears of every commit that the inner store answered."""

    def __init__(
        self,
        inner: Store,
        faults: Faults,
        *,
        committed: Callable[[Sequence[Append], Sequence[Verdict]], None],
    ) -> None:
        self._inner = inner
        self._faults = faults
        self._committed = committed
        self._down_until = 0.0
        self._heads_down_until = 0.0

    async def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        faults = self._faults
        loop = asyncio.get_running_loop()
        if faults.strike("store_slow"):
            await asyncio.sleep(faults.chance.random() * _LONGEST_SLOW_S)
        if faults.strike("store_down"):
            self._down_until = loop.time() + faults.chance.random() * _LONGEST_DOWN_S
        if faults.is_on and loop.time() < self._down_until:
            raise StorageError("database_not_accessible", "a simulated database is down")
        if faults.strike("store_busy"):
            raise StorageError("store_busy", "a simulated lock is held")
        return await work()

    async def _write(self, work: Callable[[], Awaitable[T]]) -> T:
        if self._faults.strike("disk_full"):
            raise StorageError("disk_full", "a simulated disk is full")
        return await self._call(work)

    async def open(self) -> None:
        await self._call(self._inner.open)

    async def close(self) -> None:
        await self._inner.close()

    # ── journal ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def commit(self, batch: Sequence[Append]) -> list[Verdict]:
        return await self._write(lambda: self._commit(batch))

    async def _commit(self, batch: Sequence[Append]) -> list[Verdict]:
        faults = self._faults
        is_lost = faults.strike("commit_lost")
        if not is_lost:
            verdicts = await self._inner.commit(batch)
            self._committed(batch, verdicts)
            if not faults.strike("commit_done"):
                return verdicts
        if faults.strike("heads_down"):
            self._heads_down_until = asyncio.get_running_loop().time() + faults.chance.random() * _LONGEST_DOWN_S
        raise CommitUnknownError("commit_unknown", "a simulated connection broke in the commit")

    async def load(self, execution_ids: Sequence[str]) -> list[Stored]:
        return await self._call(lambda: self._inner.load(execution_ids))

    async def heads(self, execution_ids: Sequence[str]) -> dict[str, Head]:
        if self._faults.is_on and asyncio.get_running_loop().time() < self._heads_down_until:
            raise StorageError("database_not_accessible", "a simulated connection is still broken")
        return await self._call(lambda: self._inner.heads(execution_ids))

    async def answer_of(self, mark: str) -> bytes | None:
        return await self._call(lambda: self._inner.answer_of(mark))

    # ── ownership ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def join(self, node_id: str, *, now: Instant) -> None:
        await self._write(lambda: self._inner.join(node_id, now=now))

    async def leave(self, node_id: str, *, now: Instant) -> None:
        await self._write(lambda: self._inner.leave(node_id, now=now))

    async def dead_nodes(self, node_id: str) -> list[str]:
        return await self._call(lambda: self._inner.dead_nodes(node_id))

    async def seize(self, dead_node: str, *, by: str, limit: int) -> list[str]:
        return await self._write(lambda: self._inner.seize(dead_node, by=by, limit=limit))

    async def release(self, execution_ids: Sequence[str], *, by: str, now: Instant) -> None:
        await self._write(lambda: self._inner.release(execution_ids, by=by, now=now))

    async def due(self, *, now: Instant, limit: int) -> tuple[list[str], Instant | None]:
        return await self._call(lambda: self._inner.due(now=now, limit=limit))

    async def other_nodes(self, node_id: str) -> int:
        return await self._call(lambda: self._inner.other_nodes(node_id))

    async def changed(self) -> bool:
        return await self._call(self._inner.changed)

    # ── inbox ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def send(self, execution_id: str, body: bytes, *, now: Instant) -> int:
        self._faults.counts["message"] += 1
        return await self._write(lambda: self._inner.send(execution_id, body, now=now))

    async def pending(self, node_id: str, *, after: int, limit: int) -> list[Message]:
        return await self._call(lambda: self._inner.pending(node_id, after=after, limit=limit))

    async def reply(self, answers: Sequence[InboxAnswer]) -> None:
        await self._write(lambda: self._inner.reply(answers))

    async def answer(self, message_id: int) -> bytes | None:
        return await self._call(lambda: self._inner.answer(message_id))

    # ── catalog ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def put_workflow(self, workflow: StoredWorkflow) -> StoredWorkflow:
        return await self._write(lambda: self._inner.put_workflow(workflow))

    async def workflow(self, workflow_id: str, version: str) -> StoredWorkflow | None:
        return await self._call(lambda: self._inner.workflow(workflow_id, version))

    async def workflows(self, *, limit: int) -> list[StoredWorkflow]:
        return await self._call(lambda: self._inner.workflows(limit=limit))

    async def versions(self, workflow_id: str) -> list[StoredWorkflow]:
        return await self._call(lambda: self._inner.versions(workflow_id))

    # ── views ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def executions(self, wanted: ExecutionFilter, *, limit: int, before: str = "") -> list[Summary]:
        return await self._call(lambda: self._inner.executions(wanted, limit=limit, before=before))

    async def count(self, wanted: ExecutionFilter) -> int:
        return await self._call(lambda: self._inner.count(wanted))

    async def events(self, execution_id: str, *, after: int, limit: int) -> list[StoredEvent]:
        return await self._call(lambda: self._inner.events(execution_id, after=after, limit=limit))

    async def tasks(self, execution_id: str) -> list[TaskRow]:
        return await self._call(lambda: self._inner.tasks(execution_id))

    # ── logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def write_logs(self, lines: Sequence[LogLine]) -> None:
        await self._write(lambda: self._inner.write_logs(lines))

    async def logs(self, execution_id: str, *, task: int | None, after: int, limit: int) -> list[LogLine]:
        return await self._call(lambda: self._inner.logs(execution_id, task=task, after=after, limit=limit))
