"""What this machine allows: a raw commit, and the smallest program with the costs that an engine cannot avoid (``proto_real``).

proto_real pays, for each step: pydantic in and out, a registry lookup, a ready queue and a dispatcher, an asyncio task with a
timeout and a context variable, a Started event (not waited for), a Completed event (waited for), and an upsert of the workflow's
row, with a group commit inside the loop. It has no fence, no recovery, no timers, no admission by priority, no task rows: a
ceiling, not a rival.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pydantic

from bench.files import fresh
from taskengine.adapters.sqlite import statements as sql
from taskengine.adapters.sqlite.schema import migrations

__all__ = ["Proto", "raw_commit_seconds", "raw_start_seconds"]

_BODY = b"x" * 300
_encode = msgspec.json.Encoder().encode
_current: contextvars.ContextVar[tuple[int, int]] = contextvars.ContextVar("current")


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(fresh(path), isolation_level=None, check_same_thread=False)
    for statement in (
        "PRAGMA journal_mode=WAL",
        "PRAGMA synchronous=FULL",
        "PRAGMA cache_size=-65536",
        "PRAGMA wal_autocheckpoint=4000",
        "CREATE TABLE event (event_id INTEGER PRIMARY KEY, execution INTEGER, seq INTEGER, type TEXT, body BLOB)",
        "CREATE UNIQUE INDEX event_seq ON event (execution, seq)",
        "CREATE TABLE execution (execution INTEGER PRIMARY KEY, status TEXT, at REAL)",
    ):
        connection.execute(statement)
    return connection


def raw_commit_seconds(path: Path, count: int) -> list[float]:
    """One row, one transaction, log and unique index, FULL: each one's duration."""
    connection = _open(path)
    durations: list[float] = []
    for number in range(count):
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO event (execution, seq, type, body) VALUES (?, ?, ?, ?)", (number % 200, number, "E", _BODY))
        connection.execute("COMMIT")
        durations.append(time.perf_counter() - began)
    connection.close()
    return durations


def raw_start_seconds(path: Path, count: int) -> list[float]:
    """The rows of one accepted start (its event and its summary) with the product's schema and SQL, a transaction each."""
    connection = sqlite3.connect(fresh(path), isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
        connection.execute(f"PRAGMA {pragma}")
    for _, statements in migrations():
        for statement in statements:
            connection.execute(statement)
    ((summary, _),) = sql.STEP_SUMMARY.pieces(1)
    ((event, _),) = sql.INSERT_EVENTS.pieces(1)
    body = b"x" * 160
    durations: list[float] = []
    for number in range(count):
        name = f"ex_{number:026d}"
        row = (name, "wf_1", "1", "running", "", 1, 1, "node_1", None, 5, "", 1, 1, None, 1, 0, 0, "", 0, 0)
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(summary, row)
        connection.execute(event, (name, 1, body))
        connection.execute("COMMIT")
        durations.append(time.perf_counter() - began)
    connection.close()
    return durations


class _In(pydantic.BaseModel):
    order_id: str
    amount: int
    currency: str = "EUR"


class _Out(pydantic.BaseModel):
    charge_id: str
    ok: bool
    n: int


class _Event(msgspec.Struct):
    execution: int
    seq: int
    type: str
    step: str
    attempt: int
    at: float
    output: dict[str, Any]
    trace: str


async def _charge(given: _In) -> _Out:
    return _Out(charge_id="ch_123", ok=True, n=given.amount)


_REGISTRY = {"charge": (_charge, _In, _Out)}
_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736" * 4


class Proto:
    """The prototype: ``run(in_flight, budget)`` gives steps per second of closed-loop chains of ten."""

    def __init__(self, path: Path, slots: int) -> None:
        self._connection = _open(path)
        self._rows: list[tuple[int, int, str, bytes]] = []
        self._waiters: list[asyncio.Future[None]] = []
        self._is_scheduled = False
        self._queue: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
        self._slots = asyncio.Semaphore(slots)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ids = 0
        self.commits = 0

    async def run(self, in_flight: int, budget_s: float) -> float:
        """Steps per second."""
        loop = asyncio.get_running_loop()
        dispatcher = loop.create_task(self._dispatch())
        done = 0
        began = time.perf_counter()

        async def caller() -> None:
            nonlocal done
            while time.perf_counter() - began < budget_s:
                await self._workflow(10)
                done += 10

        await asyncio.gather(*(caller() for _ in range(in_flight)))
        elapsed = time.perf_counter() - began
        dispatcher.cancel()
        self._connection.close()
        return done / elapsed

    async def _workflow(self, steps: int) -> None:
        self._ids += 1
        number = self._ids
        await self._append(self._event(number, 0, "Started", 0))
        for index in range(steps):
            future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
            self._queue.put_nowait((number, index + 1, "charge", {"order_id": "o-1", "amount": index}, future))
            await future
        await self._append(self._event(number, 2 * steps + 3, "Completed", 0))

    async def _dispatch(self) -> None:
        while True:
            job = await self._queue.get()
            await self._slots.acquire()
            task = asyncio.create_task(self._step(*job))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _step(self, number: int, seq: int, name: str, payload: dict[str, Any], future: asyncio.Future[Any]) -> None:
        try:
            function, given, result = _REGISTRY[name]
            self._post(self._event(number, seq * 2, "StepStarted", seq))
            _current.set((number, seq))
            async with asyncio.timeout(30):
                answer = await function(given.model_validate(payload))
            output = result.model_validate(answer).model_dump()
            await self._append(self._event(number, seq * 2 + 1, "StepCompleted", seq))
            future.set_result(output)
        finally:
            self._slots.release()

    @staticmethod
    def _event(number: int, seq: int, kind: str, step: int) -> tuple[int, int, str, bytes]:
        output = {"charge_id": "ch_1234567890", "amount": 1999, "ok": True}
        return number, seq, kind, _encode(_Event(number, seq, kind, f"step_{step}", 1, time.time(), output, _TRACE))

    def _post(self, row: tuple[int, int, str, bytes]) -> None:
        self._rows.append(row)
        if not self._is_scheduled:
            self._is_scheduled = True
            loop = asyncio.get_running_loop()
            loop.call_soon(lambda: loop.call_soon(self._flush))

    def _append(self, row: tuple[int, int, str, bytes]) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(future)
        self._post(row)
        return future

    def _flush(self) -> None:
        self._is_scheduled = False
        rows, self._rows = self._rows, []
        waiters, self._waiters = self._waiters, []
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO event (execution, seq, type, body) VALUES (?, ?, ?, ?)", rows)
        connection.executemany(
            """INSERT INTO execution VALUES (?, ?, ?)
            ON CONFLICT (execution) DO UPDATE SET status = excluded.status, at = excluded.at""",
            list({row[0]: (row[0], row[2], 1.0) for row in rows}.values()),
        )
        connection.execute("COMMIT")
        self.commits += 1
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def main(arguments: list[str]) -> None:
    """``python -m bench.floor raw_commit|raw_start|proto DATABASE [in_flight]`` prints figures as JSON."""
    name, path = arguments[0], Path(arguments[1])
    if name == "proto":
        in_flight = int(arguments[2])
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            print(json.dumps({"steps_s": runner.run(_proto(path, in_flight))}))
        return
    durations = sorted((raw_commit_seconds if name == "raw_commit" else raw_start_seconds)(path, 1_000))
    middle = statistics.median(durations)
    print(json.dumps({"p50_us": middle * 1e6, "p99_us": durations[990] * 1e6, "per_s": len(durations) / sum(durations)}))


async def _proto(path: Path, in_flight: int) -> float:
    return await Proto(path, in_flight).run(in_flight, 2.0)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 -- where there is one
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main(sys.argv[1:])
