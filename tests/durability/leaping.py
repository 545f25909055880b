"""The world's clock with leaps: where nothing goes on by itself but what waits for its time, that time comes at once.

Everything else is real: the loop, threads, files. To the engine it is a wall clock that was set forward. A file tells how far it is
ahead, so that a process that goes on after a killed one lives by the same clock.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from taskengine import Engine
from taskengine.adapters.lanes import ThreadLane
from taskengine.model.value import Instant
from taskengine.ports.store import ExecutionFilter, Summary
from taskengine.runtime.environment import Environment
from taskengine.runtime.settings import NodeSettings

__all__ = ["LEAPING", "LeapingEnvironment", "settle"]

LEAPING: Final = NodeSettings(longest_sleep_ms=10)  # a leap is noticed within this
_LOOK_S: Final = 0.005
_LOOKS: Final = 3  # that find nothing moving: a look is not one instant
_MOST: Final = 1_000  # executions of one store


class LeapingEnvironment(Environment):
    """The real world, but for the leaps of its clock."""

    def __init__(self, leapt: Path) -> None:
        super().__init__(ThreadLane)
        self._leapt = leapt
        self.ahead_ms = int(leapt.read_text()) if leapt.exists() else 0

    def now(self) -> Instant:
        """The instant by this clock."""
        return super().now() + self.ahead_ms

    def leap(self, to: Instant) -> None:
        """Set the clock forward; never back."""
        self.ahead_ms += max(0, to - self.now())
        self._leapt.write_text(str(self.ahead_ms))


async def settle(engine: Engine, environment: LeapingEnvironment) -> None:
    """Let all happen that happens by itself, however long it would take; what has not ended then waits for somebody."""
    seen, quiet = -1, 0
    while True:
        rows = await engine.store.executions(ExecutionFilter(), limit=_MOST)
        has_letters = bool(await engine.store.pending(engine.node.node_id, after=0, limit=1))
        written = sum(row.seq for row in rows)
        rows = [row for row in rows if row.finished_at is None]
        moves = has_letters or written != seen or any(_moves(engine, row, environment.now()) for row in rows)
        seen, quiet = written, 0 if moves else quiet + 1
        if quiet == _LOOKS:
            due = [at for row in rows if (at := _wakes_at(engine, row)) is not None]
            if not due:
                return
            environment.leap(min(due))
        await asyncio.sleep(_LOOK_S)


def _moves(engine: Engine, row: Summary, now: Instant) -> bool:
    """Whether an execution goes on without a leap: it is at work, due, or on its way into memory, perhaps from a dead process."""
    wakes_at = _wakes_at(engine, row)
    if wakes_at is not None and wakes_at <= now:
        return True
    resident = engine.node.residents.get(row.execution_id)
    if resident is None:
        return bool(row.owner)
    is_queued = resident.is_queued or resident.is_suspect_queued
    return bool(resident.pending is not None or resident.unsettled or resident.running or is_queued)


def _wakes_at(engine: Engine, row: Summary) -> Instant | None:
    resident = engine.node.residents.get(row.execution_id)
    return row.wake_at if resident is None else resident.state.wake_at
