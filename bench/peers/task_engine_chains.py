"""Ours, embedded as the peers are: the plain asyncio loop, the interpreter's own switch interval, SQLite with WAL and FULL.

``python -m bench.peers.task_engine_chains measure DATABASE IN_FLIGHT SECONDS`` prints figures as JSON;
``begin DATABASE`` starts chains and waits to be killed; ``finish DATABASE SECONDS`` waits for them and prints how many ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

from bench.peers.loop import SLOW_S, UNFINISHED, Wait, closed_loop, count, say
from bench.workloads import chain, charge
from taskengine import Engine, NodeSettings, __version__
from taskengine.adapters.sqlite import SqliteStore

WIDE = NodeSettings(concurrency=2_000)


async def slow_charge(order_id: str, amount: int) -> dict[str, Any]:
    await asyncio.sleep(SLOW_S)
    return await charge(order_id, amount)


async def measure(path: Path, in_flight: int, seconds: float) -> None:
    async with Engine(path, functions={"charge": charge}, settings=WIDE) as engine:
        stored = await engine.deploy(chain(10))

        async def begin_chain() -> Wait:
            execution = await engine.execute_workflow(stored, params={"n": 1})

            async def wait() -> None:
                result = await execution.result()
                assert result.status == "completed", result

            return wait

        def steps_kept() -> int:
            return count(path, "SELECT count(*) FROM task WHERE status = 'completed'")

        found = await closed_loop(begin_chain, in_flight=in_flight, seconds=seconds, steps_kept=steps_kept)
        assert isinstance(engine.store, SqliteStore)
        journal_mode, synchronous = await engine.store.durability()
        say(**found, version=__version__, journal_mode=journal_mode, synchronous=synchronous)
        os._exit(0)  # what is still in flight is not waited for


async def begin(path: Path) -> None:
    async with Engine(path, functions={"charge": slow_charge}, settings=WIDE) as engine:
        stored = await engine.deploy(chain(10))
        for _ in range(UNFINISHED):
            await engine.execute_workflow(stored)
        say(started=UNFINISHED)
        await asyncio.sleep(60)


async def finish(path: Path, seconds: float) -> None:
    done = 0
    async with Engine(path, functions={"charge": slow_charge}, settings=WIDE):
        end = time.monotonic() + seconds
        while done < UNFINISHED and time.monotonic() < end:
            await asyncio.sleep(0.05)
            done = count(path, "SELECT count(*) FROM execution WHERE status = 'completed'")
    say(finished=done)


def main(arguments: list[str]) -> None:
    match arguments:
        case ["measure", path, in_flight, seconds]:
            asyncio.run(measure(Path(path), int(in_flight), float(seconds)))
        case ["begin", path]:
            asyncio.run(begin(Path(path)))
        case ["finish", path, seconds]:
            asyncio.run(finish(Path(path), float(seconds)))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
