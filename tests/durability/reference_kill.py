"""Reference workflows in a process that is killed with -9 beside a chosen commit; another process goes on, and tells the end.

Run as a program it is the process that forks: no thread, no loop. It reads the cycles and prints a line of JSON for each.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from taskengine import Engine, TaskContext
from taskengine.adapters.lanes import ThreadLane
from taskengine.adapters.sqlite import SqliteStore
from taskengine.ports.store import Append, ExecutionFilter, Store, Verdict
from taskengine.testing.crash import Say, fork
from taskengine.testing.documents import read_document
from taskengine.testing.family import named, without_ids
from taskengine.testing.history import read_history
from tests.durability.finals import finals
from tests.durability.references import PARAMS, PARTS, document
from tests.durability.undone import undo_problems

__all__ = ["Killed", "Told"]

_LIMIT_S: Final = 30


class Killed(msgspec.Struct, frozen=True):
    """Beside which commit the process dies; 0: it does not."""

    name: str
    commit: int
    is_after: bool


class Told(msgspec.Struct, frozen=True):
    """How it ended: all that can be seen of all executions, what was done how often, and what is wrong."""

    cycle: Killed
    is_killed: bool
    commits: int
    finals: dict[str, Any]
    done: dict[str, int]
    wrong: list[str]


class _Mortal:
    """A store beside one of whose commits the process dies; all else is the store's own."""

    def __init__(self, inner: Store, cycle: Killed) -> None:
        self._inner, self._cycle = inner, cycle
        self.commits = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def commit(self, batch: Sequence[Append]) -> list[Verdict]:
        if not any(append.events for append in batch):
            return await self._inner.commit(batch)
        self.commits += 1
        is_here = self.commits == self._cycle.commit
        if is_here and not self._cycle.is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        verdicts = await self._inner.commit(batch)
        if is_here:
            os.kill(os.getpid(), signal.SIGKILL)
        return verdicts


async def _rest(engine: Engine) -> None:
    """Until those that it has told something, or left alone, have ended too."""
    is_open = ExecutionFilter(is_open=True)
    while await engine.store.count(is_open) or await engine.store.pending(engine.node.node_id, after=0, limit=1):
        await asyncio.sleep(0.01)


async def _play(directory: Path, cycle: Killed) -> Told:
    """The whole of it; the same in each life."""
    notes = directory / "done"

    def do(ctx: TaskContext, what: Any, gives: Any = None, *, fails: int = 0, until: str = "") -> Any:
        with notes.open("a") as file:
            file.write(f"{what}\n")
        if ctx.attempt <= fails or until:
            raise ValueError(f"{what} does not work")
        return what if gives is None else gives

    store = _Mortal(SqliteStore(directory / "work.db", lanes=ThreadLane), cycle)
    async with Engine(cast("Store", store), functions={"do": do}) as engine:
        for part in PARTS:
            await engine.deploy(read_document(part)[0])
        execution = await engine.execute_workflow(read_document(document(cycle.name))[0], params=PARAMS, idempotency_key="once")
        await execution.result(timeout=_LIMIT_S)
        async with asyncio.timeout(_LIMIT_S):
            await _rest(engine)
        rows = await engine.store.executions(ExecutionFilter(), limit=100)
        histories = named([await read_history(engine.store, row.execution_id) for row in reversed(rows)])
    told = without_ids(finals(histories), histories)
    wrong = [line for history in histories.values() for line in undo_problems(history)]
    return Told(cycle, False, store.commits, told, dict(Counter(notes.read_text().splitlines())), wrong)  # noqa: FBT003 -- a field


def _cycle(directory: Path, cycle: Killed) -> Told:
    directory.mkdir()

    def live(one: Killed) -> Any:
        def work(said: Say) -> None:
            said(asyncio.run(_play(directory, one)))

        return fork(work, limit_s=_LIMIT_S).end()

    victim = live(cycle)
    heir = live(msgspec.structs.replace(cycle, commit=0)) if victim.is_killed else victim
    assert heir.said, heir
    told = msgspec.convert(heir.said[0], Told)
    return msgspec.structs.replace(told, cycle=cycle, is_killed=victim.is_killed)


def main() -> None:
    """Read the directory and the cycles from standard input."""
    place, cycles = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[str, list[Killed]])
    for number, cycle in enumerate(cycles):
        sys.stdout.buffer.write(msgspec.json.encode(_cycle(Path(place) / f"{cycle.name}-{number}", cycle)) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
