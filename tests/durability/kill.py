"""Kill -9 cycles: a process plays the scenario and is killed, another one comes and has to find everything that was acknowledged.

Run as a program it is the process that forks: everything imported, no thread, no loop. It prints a line of JSON for each cycle.
A cycle is a process too: it forks the victim, hears what the victim says until its death, and then forks the one that recovers.
"""

from __future__ import annotations

import asyncio
import random
import select
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from taskengine import Engine
from taskengine.adapters.lanes import ThreadLane
from taskengine.adapters.sqlite import SqliteStore
from taskengine.runtime.settings import NodeSettings
from taskengine.testing.crash import Child, CrashPoints, Ended, Point, Say, fork
from tests.durability.acknowledged import Acknowledged
from tests.durability.histories import History, effect_problems, histories, premature_effects, problems
from tests.durability.scenario import CONTROL, Effects, Gate, functions, play

__all__ = ["Cycle", "Report", "Trace", "trace", "warm"]

_LIMIT_S: Final = 60
_TAKEOVER_S: Final = 10
_AT_ONCE: Final = 4  # most of a cycle is waiting
_LONGEST_LIFE_S: Final = 0.2  # of a victim that is killed at a random time; undisturbed it needs less
SETTINGS: Final = NodeSettings(together_poll_ms=5, alone_poll_ms=5, snapshot_every=3, park_snapshot_after=2)


class Cycle(msgspec.Struct, frozen=True):
    """What one victim meets: a point, or without one a time. ``seed`` decides the time."""

    point: Point | None
    seed: int


class Report(msgspec.Struct, frozen=True):
    """What came of a cycle: whether the victim died, what it had been told before, and what does not hold."""

    cycle: Cycle
    is_killed: bool  # False: it was through before
    is_at_point: bool  # it reached the point and died there
    acknowledged: int
    problems: list[str]


class Trace(msgspec.Struct, frozen=True):
    """What an undisturbed scenario executes, and what is wrong with it."""

    statements: list[str]
    problems: list[str]


# ── who plays ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _play(directory: Path, points: CrashPoints, *, gate: Gate, said: Say, known: Iterable[str] = ()) -> list[History]:
    """The scenario from its beginning to its end on two nodes of this process; the histories at the end."""
    database = directory / "work.db"
    effects = Effects(directory / "effects")

    def store() -> SqliteStore:
        return SqliteStore(database, lanes=ThreadLane, connect=points)

    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(Engine(store(), functions=functions(effects, gate), settings=SETTINGS))
        control = await stack.enter_async_context(Engine(store(), settings=CONTROL))

        def say(kind: str, key: str, answer: object) -> None:
            said((kind, key, answer))

        await play(engine, control, gate=gate, said=say, known=tuple(known))
        return await histories(engine.store)


def _be_victim(directory: Path, point: Point | None, said: Say) -> None:
    points = CrashPoints(point, last_word=lambda _: said(("died", "", None)))
    asyncio.run(_play(directory, points, gate=Gate(is_open=False), said=said))


def _be_traced(directory: Path, said: Say) -> None:
    points = CrashPoints()
    found = asyncio.run(_play(directory, points, gate=Gate(is_open=False), said=lambda _: None))
    wrong = [problem for history in found for problem in problems(history)]
    said(Trace(points.statements, [*wrong, *effect_problems(found, Effects.read(directory / "effects")), *_locks(directory)]))


# ── who recovers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _recover(directory: Path, acknowledged: Acknowledged, said: Say) -> None:
    """Say every problem: of what the crash left, of the way to the end, and of the end."""
    for problem in asyncio.run(_recovering(directory, acknowledged)):
        said(problem)


async def _recovering(directory: Path, acknowledged: Acknowledged) -> list[str]:
    wrong = [f"after the crash: {problem}" for problem in await _examine_rest(directory, acknowledged)]
    answers: dict[tuple[str, str], object] = {}

    def hear(thing: tuple[str, str, object]) -> None:
        answers[thing[0], thing[1]] = thing[2]

    gate = Gate(is_open=True)
    found = await _play(directory, CrashPoints(), gate=gate, said=hear, known=acknowledged.keys)
    again = Acknowledged({**acknowledged.answers, **answers})
    wrong += [problem for history in found for problem in problems(history)]
    wrong += effect_problems(found, Effects.read(directory / "effects"))
    wrong += again.missing(found)
    wrong += again.unlike(acknowledged)
    await _stay_until_alone(directory)
    wrong += _locks(directory)
    return wrong


async def _examine_rest(directory: Path, acknowledged: Acknowledged) -> list[str]:
    """What the crash left, before anybody goes on with it."""
    store = SqliteStore(directory / "work.db", lanes=ThreadLane)
    await store.open()
    try:
        found = await histories(store)
    finally:
        await store.close()
    effects = directory / "effects"
    wrong = [problem for history in found for problem in problems(history)]
    wrong += premature_effects(found, Effects.read(effects) if effects.exists() else [])
    wrong += acknowledged.missing(found)
    return wrong


async def _stay_until_alone(directory: Path) -> None:
    """Take over whoever is registered: an heir with nothing to bring to its end may have gone before it had looked around."""
    store = SqliteStore(directory / "work.db", lanes=ThreadLane)
    await store.open()
    registered = await store.other_nodes("")
    await store.close()
    if not registered:
        return  # a file without a node would be removed by whoever joins: it is a problem of its own
    async with Engine(directory / "work.db", settings=SETTINGS) as engine, asyncio.timeout(_TAKEOVER_S):
        while await engine.store.other_nodes("") > 1:
            await asyncio.sleep(SETTINGS.together_poll_ms / 1000)


def _locks(directory: Path) -> list[str]:
    """Lock files that outlived their nodes."""
    return [f"{path.name} is left behind" for path in directory.glob("*.lock")]


# ── a cycle, and many of them ────────────────────────────────────────────────────────────────────────────────────────────


def _be_cycle(directory: Path, cycle: Cycle, said: Say) -> None:
    directory.mkdir()
    victim = fork(lambda say: _be_victim(directory, cycle.point, say), limit_s=_LIMIT_S)
    if cycle.point is None:
        victim.listen_for(random.Random(cycle.seed).uniform(0, _LONGEST_LIFE_S), clock=time.monotonic)
        victim.kill()
    ended = victim.end()
    acknowledged = Acknowledged({(kind, key): answer for kind, key, answer in ended.said if kind != "died"})
    is_at_point = any(kind == "died" for kind, _, _ in ended.said)
    heir = fork(lambda say: _recover(directory, acknowledged, say), limit_s=_LIMIT_S).end()
    wrong = [*_troubles(victim=ended, heir=heir), *map(str, heir.said)]
    said(Report(cycle, ended.is_killed, is_at_point=is_at_point, acknowledged=len(acknowledged.answers), problems=wrong))
    if not wrong:  # what is wrong stays, to be looked at
        shutil.rmtree(directory)


def _troubles(**ends: Ended) -> Iterator[str]:
    for who, ended in ends.items():
        if ended.trouble:
            yield f"the {who} failed: {ended.trouble}"
        if ended.signal and not (who == "victim" and ended.is_killed):
            yield f"the {who} died of signal {ended.signal}"


def trace(directory: Path) -> Trace:
    """Play the scenario undisturbed, in a child."""
    directory.mkdir()
    ended = fork(lambda say: _be_traced(directory, say), limit_s=_LIMIT_S).end()
    assert not ended.trouble, ended.trouble
    return msgspec.convert(ended.said[0], Trace)


def warm(directory: Path) -> None:
    """Import everything that a played scenario imports, so that no child has to."""
    directory.mkdir()

    def work(said: Say) -> None:
        asyncio.run(_play(directory, CrashPoints(), gate=Gate(is_open=True), said=lambda _: None))
        said([name for name in sys.modules if name != "__main__"])

    ended = fork(work, limit_s=_LIMIT_S).end()
    assert not ended.trouble, ended.trouble
    for name in ended.said[0]:
        import_module(name)


def run(directory: Path, cycles: Iterable[Cycle], report: Callable[[Report], None]) -> None:
    """Go through the cycles, a few at once."""
    warm(directory / "warm")
    waiting = enumerate(cycles)
    alive: list[Child] = []
    while True:
        for number, cycle in islice(waiting, _AT_ONCE - len(alive)):
            alive.append(_begin(directory / str(number), cycle))
        if not alive:
            return
        for child in select.select(alive, [], [])[0]:
            if not child.listen():
                alive.remove(child)
                ended = child.end()
                assert ended.said, ended
                report(msgspec.convert(ended.said[0], Report))


def _begin(directory: Path, cycle: Cycle) -> Child:
    return fork(lambda say: _be_cycle(directory, cycle, say), limit_s=3 * _LIMIT_S)


def main() -> None:
    """Read the directory and the cycles from standard input; none: trace."""
    place, cycles = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[str, list[Cycle]])
    directory = Path(place)

    def write(thing: Report | Trace) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(thing) + b"\n")
        sys.stdout.buffer.flush()

    if cycles:
        run(directory, cycles, write)
    else:
        write(trace(directory / "undisturbed"))


if __name__ == "__main__":
    main()
