"""What the three programs share, so that they are measured alike. Only the standard library: it also runs where ours is not.

A closed loop: so many chains in flight, each that ends is followed by a new one. The clock starts when the first chain of every
caller has been accepted: starts of hundreds at once are another workload. When the time is over, the steps are counted whose
results came into the database meanwhile, read through a connection of our own; what is still in flight is cut off.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

__all__ = ["SLOW_S", "STEPS", "UNFINISHED", "Clock", "Wait", "closed_loop", "count", "say", "settings"]

Wait = Callable[[], Awaitable[None]]

STEPS = 10
UNFINISHED = 5  # chains in flight when the process is killed
SLOW_S = 0.1  # how long a step of theirs takes
SYNCHRONOUS = {0: "off", 1: "normal", 2: "full", 3: "extra"}


def say(**found: Any) -> None:
    """Answer the program that started this one."""
    print(json.dumps(found), flush=True)


def count(path: Path, question: str) -> int:
    """A number read from a database with a connection of our own."""
    connection = sqlite3.connect(path, timeout=30)
    try:
        return connection.execute(question).fetchone()[0]
    finally:
        connection.close()


def settings(connection: sqlite3.Connection) -> dict[str, str]:
    """The durability of a connection, asked of the connection itself."""
    (journal_mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    return {"journal_mode": journal_mode, "synchronous": SYNCHRONOUS[synchronous]}


class Clock:
    """The time of one measurement and the steps that were kept in it."""

    def __init__(self, steps_kept: Callable[[], int]) -> None:
        self._steps_kept = steps_kept
        self._before = steps_kept()
        self._wall = time.time()
        self._began = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self._began

    def figures(self, durations: list[float]) -> dict[str, Any]:
        """What every program answers; ``window`` is on the wall clock, to find the forced writes that fell into it."""
        elapsed, wall = self.elapsed, time.time()
        steps = self._steps_kept() - self._before
        return {
            "steps_s": steps / elapsed,
            "steps": steps,
            "chains": len(durations),
            "chain_p50_ms": statistics.median(durations) * 1e3 if durations else None,
            "window": [self._wall, wall],
        }


async def closed_loop(
    begin_chain: Callable[[], Awaitable[Wait]], *, in_flight: int, seconds: float, steps_kept: Callable[[], int]
) -> dict[str, Any]:
    """Chains one after another for so many callers; ``begin_chain`` answers when one is accepted, with how to wait for its end."""
    for _ in range(3):
        await (await begin_chain())()
    durations: list[float] = []
    accepted = 0
    all_accepted = asyncio.Event()

    async def caller() -> None:
        nonlocal accepted
        while True:
            began = time.perf_counter()
            wait = await begin_chain()
            accepted += 1
            if accepted >= in_flight:
                all_accepted.set()
            await wait()
            durations.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(caller()) for _ in range(in_flight)]
        await all_accepted.wait()
        clock = Clock(steps_kept)
        await asyncio.sleep(seconds)
        found = clock.figures(durations)
        for one in callers:
            one.cancel()
    return found
