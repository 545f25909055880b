"""DBOS Transact on SQLite, as it sets itself up: a workflow of ten steps, each a decorated coroutine, in this one process.

``python -m bench.peers.dbos_chains measure DATABASE IN_FLIGHT SECONDS [wal]`` prints figures as JSON (``wal``: the file is put into
WAL before DBOS opens it, which is not what it does by itself); ``begin`` and ``finish`` as in ``task_engine_chains``.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig

from bench.peers.loop import SLOW_S, STEPS, UNFINISHED, Wait, closed_loop, count, say, settings


@DBOS.step()
async def charge(order_id: str, amount: int) -> dict[str, Any]:
    return {"charge_id": f"ch_{order_id}", "ok": True, "n": amount}


@DBOS.step()
async def slow_charge(order_id: str, amount: int) -> dict[str, Any]:
    await asyncio.sleep(SLOW_S)
    return {"charge_id": f"ch_{order_id}", "ok": True, "n": amount}


@DBOS.workflow()
async def chain(length: int) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for index in range(length):
        given = await charge("o-1", index)
    return given


@DBOS.workflow()
async def slow_chain(length: int) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for index in range(length):
        given = await slow_charge("o-1", index)
    return given


def launch(path: Path) -> DBOS:
    config = DBOSConfig(
        name="bench", system_database_url=f"sqlite:///{path}", log_level="ERROR", application_version="1", run_admin_server=False
    )
    dbos = DBOS(config=config)
    DBOS.launch()
    return dbos


def read_back(dbos: DBOS) -> dict[str, str]:
    """From a connection of the very engine that writes the steps."""
    raw = dbos._sys_db.engine.raw_connection()  # noqa: SLF001 -- no public way to ask
    try:
        connection = raw.driver_connection
        assert isinstance(connection, sqlite3.Connection)
        return settings(connection)
    finally:
        raw.close()


async def begin_chain() -> Wait:
    handle = await DBOS.start_workflow_async(chain, STEPS)

    async def wait() -> None:
        answer = await handle.get_result()
        assert answer["n"] == STEPS - 1, answer

    return wait


async def measure(path: Path, in_flight: int, seconds: float) -> None:
    dbos = launch(path)

    def steps_kept() -> int:
        return count(path, "SELECT count(*) FROM operation_outputs")

    found = await closed_loop(begin_chain, in_flight=in_flight, seconds=seconds, steps_kept=steps_kept)
    say(**found, version=version("dbos"), **read_back(dbos))
    os._exit(0)  # what is still in flight is not waited for


async def begin(path: Path) -> None:
    launch(path)
    for _ in range(UNFINISHED):
        await DBOS.start_workflow_async(slow_chain, STEPS)
    say(started=UNFINISHED)
    await asyncio.sleep(60)


async def finish(path: Path, seconds: float) -> None:
    launch(path)
    end = time.monotonic() + seconds
    done = 0
    while done < UNFINISHED and time.monotonic() < end:
        await asyncio.sleep(0.05)
        done = count(path, "SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS'")
    say(finished=done)


def main(arguments: list[str]) -> None:
    match arguments:
        case ["measure", path, in_flight, seconds, *options]:
            if options == ["wal"]:
                sqlite3.connect(path).execute("PRAGMA journal_mode=WAL")
            asyncio.run(measure(Path(path), int(in_flight), float(seconds)))
        case ["begin", path]:
            asyncio.run(begin(Path(path)))
        case ["finish", path, seconds]:
            asyncio.run(finish(Path(path), float(seconds)))
        case _:
            raise SystemExit(__doc__)
    sys.stdout.flush()
    os._exit(0)  # its background threads would hold the process for seconds; nothing is measured any more


if __name__ == "__main__":
    main(sys.argv[1:])
