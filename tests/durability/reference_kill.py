"""Reference workflows in a process that is killed with -9 beside a chosen commit; another process goes on, and tells the end.

Both do what people do meanwhile, the second one again, as a client that was not told what came of it.
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
from taskengine.kernel.invariant import broken
from taskengine.ports.store import Append, Store, Verdict
from taskengine.testing.crash import Say, fork
from taskengine.testing.documents import read_document
from taskengine.testing.family import without_ids
from tests.durability.finals import finals
from tests.durability.leaping import LEAPING, LeapingEnvironment, settle
from tests.durability.references import PARAMS, PARTS, REFERENCES, document, histories_of, perform
from tests.durability.undone import undo_problems

__all__ = ["Killed", "Told"]

_LIMIT_S: Final = 30
_HOUR_MS: Final = 3_600_000


class Killed(msgspec.Struct, frozen=True):
    """Beside which commit the process dies; 0: it does not."""

    name: str
    commit: int
    is_after: bool


class Told(msgspec.Struct, frozen=True):
    """How it ended: all that can be seen of all executions, what was done how often, and what is wrong.

    ``hours``: how far the clock had leapt; more: a wait began anew, less: one was too short.
    """

    cycle: Killed
    is_killed: bool
    commits: int
    status: str
    finals: dict[str, Any]
    done: dict[str, int]
    hours: int
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


async def _play(directory: Path, cycle: Killed) -> Told:
    """The whole of it; the same in each life."""
    notes, mended = directory / "done", directory / "mended"
    mended.touch()

    def do(ctx: TaskContext, what: Any, gives: Any = None, *, fails: int = 0, until: str = "") -> Any:
        with notes.open("a") as file:
            file.write(f"{what}\n")
        if ctx.attempt <= fails or (until and until not in mended.read_text().splitlines()):
            raise ValueError(f"{what} does not work")
        return what if gives is None else gives

    def mend(what: str) -> None:
        with mended.open("a") as file:
            file.write(f"{what}\n")

    reference = REFERENCES[cycle.name]
    environment = LeapingEnvironment(directory / "leapt")
    store = _Mortal(SqliteStore(directory / "work.db", lanes=ThreadLane), cycle)
    async with Engine(cast("Store", store), functions={"do": do}, environment=environment, settings=LEAPING) as engine:
        for part in PARTS:
            await engine.deploy(read_document(part)[0])
        execution = await engine.execute_workflow(read_document(document(cycle.name))[0], params=PARAMS, idempotency_key="once")
        await perform(engine, execution.id, reference.deeds, settle=lambda: settle(engine, environment), mend=mend)
        result = await execution.result(timeout=_LIMIT_S)
        histories = await histories_of(engine)
    told = without_ids(finals(histories), histories)
    done = Counter(notes.read_text().splitlines()) if notes.exists() else {}
    return Told(
        cycle=cycle,
        is_killed=False,
        commits=store.commits,
        status=result.status.value,
        finals=told,
        done=dict(done),
        hours=round(environment.ahead_ms / _HOUR_MS),
        wrong=[line for history in histories.values() for line in (*broken(history.state), *undo_problems(history))],
    )


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
