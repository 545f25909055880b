"""Other processes for the tests of the stores: ``python -m tests.conformance.children <what> <path> ...``.

A child says what it has done on its standard output, a line each, and waits for lines on its standard input.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

from taskengine.errors import StorageError
from taskengine.ports.store import Verdict
from taskengine.testing.conformance.samples import birth, opened
from tests.conformance.seams import Seam, inline


def say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def open_once(path: str) -> None:
    """Open, write, close."""

    async def run() -> None:
        async with opened(lambda: inline(Path(path))) as store:
            assert await store.commit([birth(f"ex_{os.getpid()}")]) == [Verdict.COMMITTED]

    asyncio.run(run())


def kill_migrations(directory: str) -> None:
    """For each statement of a first opening: a process that kills itself there. Says how each ended, until one opens whole."""
    for number in count():
        child = os.fork()
        if child == 0:
            asyncio.run(_open_until(Path(directory) / f"{number}.db", number))
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            (Path(directory) / f"{number}.db").unlink()
            return
        say(code)


async def _open_until(path: Path, number: int) -> None:
    seam = Seam()

    def kill(inner: object, sql: str) -> None:
        if len(seam.statements) > number:
            os.kill(os.getpid(), signal.SIGKILL)

    seam.hook = kill
    async with opened(lambda: inline(path, seam)):
        pass


def hold(path: str) -> None:
    """Hold the write lock most of the time, until killed or left behind by whoever started it."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA busy_timeout = 60000")
    pause = asyncio.new_event_loop()
    parent = os.getppid()
    say("holding")
    while os.getppid() == parent:
        database.execute("BEGIN IMMEDIATE")
        pause.run_until_complete(asyncio.sleep(0.02))
        database.execute("ROLLBACK")
        pause.run_until_complete(asyncio.sleep(0.005))


def live(path: str, node_id: str) -> None:
    """Join, give birth to three executions, wait to be killed."""

    async def run() -> None:
        store = inline(Path(path))
        await store.open()
        await store.join(node_id, now=1)
        await store.commit([birth(f"ex_{number}", owner=node_id) for number in range(3)])
        say("alive")
        sys.stdin.readline()

    asyncio.run(run())


def fill(path: str, limit: str) -> None:
    """Commit until files may not grow any further, say how far it got, go on when they may, say how that went."""

    async def run() -> None:
        store = inline(Path(path), log_pages=100_000)
        await store.open()
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
        acknowledged: list[str] = []
        try:
            for number in count():
                assert await store.commit([birth(f"ex_{number:05}", events=8)]) == [Verdict.COMMITTED]
                acknowledged.append(f"ex_{number:05}")
        except StorageError as error:
            say(error.name)
        say(len(acknowledged))
        say(len(await store.heads(acknowledged)))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert await store.commit([birth(f"ex_{len(acknowledged):05}", events=8)]) == [Verdict.COMMITTED]
        await store.close()
        say("closed")

    asyncio.run(run())


CHILDREN: dict[str, Callable[..., None]] = {
    "open": open_once,
    "kill-migrations": kill_migrations,
    "hold": hold,
    "live": live,
    "fill": fill,
}

if __name__ == "__main__":
    CHILDREN[sys.argv[1]](*sys.argv[2:])
