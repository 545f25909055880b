"""An engine's whole life on a recording disk that may fail: the scenario is played, and everything said is noted with its moment.

Afterwards the power can go at any moment of that life. The law: every acknowledgement of before is there, every effect of before
was committed before it took place, every history is whole; and an engine that comes next brings everything to its end.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from taskengine import Engine, TaskContext
from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.sqlite import SqliteSettings, SqliteStore
from taskengine.adapters.sqlite.connection import Connect, connect
from taskengine.adapters.sqlite.files import renew_log
from taskengine.runtime.settings import NodeSettings
from tests.durability.acknowledged import Acknowledged
from tests.durability.cuts import Lying
from tests.durability.disk import Cut, Fault, Image, Op, Platter, RecordingDisk, no_fault
from tests.durability.histories import histories, premature_effects, problems
from tests.durability.scenario import CONTROL, Gate, functions, insist, play

__all__ = ["Life", "Moment", "examine", "finish", "images", "live", "live_on"]

_NAME: Final = "work.db"
_NODE: Final = NodeSettings(together_poll_ms=5, alone_poll_ms=5, snapshot_every=3, park_snapshot_after=2)
_STORE: Final = SqliteSettings(log_pages=40, cache_kib=64, ballast_bytes=0)


class Life(msgspec.Struct, frozen=True):
    """What the disk did, and what was said and done when it had done so many operations."""

    ops: Sequence[Op]
    said: Sequence[tuple[int, str, str, object]]  # at, kind, key, answer
    effects: Sequence[tuple[int, str, str, int]]  # at, execution, path, attempt
    faults: int

    def acknowledged(self, at: int) -> Acknowledged:
        """What had been said by then."""
        return Acknowledged({(kind, key): answer for when, kind, key, answer in self.said if when <= at})


class Moment(msgspec.Struct, frozen=True):
    """A power cut, and what it leaves."""

    at: int
    cut: Cut
    image: Image


@asynccontextmanager
async def _nodes(
    path: Path, by: Connect, *, gate: Gate, effects: Callable[[TaskContext], None], renewing: Callable[[Path], None] = renew_log
) -> AsyncGenerator[tuple[Engine, Engine]]:
    """The engine and a node that sends it commands, without threads for the store. Both begin again until the disk lets them."""

    def store() -> SqliteStore:
        return SqliteStore(path, lanes=InlineLane, settings=_STORE, connect=by, renew_log=renewing)

    engine = Engine(store(), functions=functions(effects, gate), settings=_NODE)
    control = Engine(store(), settings=CONTROL)
    try:
        await insist(engine.start)
        await insist(control.start)
        yield engine, control
    finally:
        await control.stop()
        await engine.stop()


async def live(directory: Path, *, fault: Fault = no_fault) -> Life:
    """Play the scenario to its end, however often the disk fails; nothing may be wrong then."""
    return await _live(directory, RecordingDisk(fault))


async def live_on(first: Path, second: Path, *, fault: Fault) -> Life:
    """Two lives in one record: the process of the first is killed when a sync fails, and another one goes on with its files.

    What waited for the failed sync is still what every process sees, and may never be on the disk.
    """
    disk = RecordingDisk(fault)
    heirs: list[RecordingDisk] = []

    def die() -> None:
        for path in first.glob(f"{_NAME}*"):
            if not path.name.endswith(("-shm", ".lock")):  # memory shared by the living, and locks of the living
                shutil.copyfile(path, second / path.name)
        heirs.append(disk.heir())

    disk.on_failed_sync = die
    before = await _live(first, disk)
    return await _live(second, heirs[0], before=before) if heirs else before


async def _live(directory: Path, disk: RecordingDisk, *, before: Life | None = None) -> Life:
    begin = len(disk.ops)
    said = [one for one in before.said if one[0] <= begin] if before is not None else []
    effects = [one for one in before.effects if one[0] <= begin] if before is not None else []

    def say(kind: str, key: str, answer: object) -> None:
        said.append((len(disk.ops), kind, key, answer))

    def note(ctx: TaskContext) -> None:
        effects.append((len(disk.ops), ctx.execution_id, ctx.path, ctx.attempt))

    gate = Gate(is_open=before is not None)
    async with _nodes(directory / _NAME, disk, gate=gate, effects=note, renewing=disk.renew_log) as (engine, control):
        await play(engine, control, gate=gate, said=say, known={key for _, _, key, _ in said})
        found = await histories(engine.store)
    life = Life(disk.ops, said, effects, disk.faults)
    told = life.acknowledged(len(disk.ops))
    wrong = [problem for history in found for problem in problems(history)]
    wrong += [*told.missing(found), *told.unlike(told)]
    assert not wrong, wrong
    return life


def images(life: Life, *, count: int, rng: Random) -> Iterator[Moment]:
    """Power cuts spread over the life: one at its end, the others anywhere."""
    moments = {len(life.ops), *rng.sample(range(len(life.ops)), count - 1)}
    platter = Platter()
    for at in range(len(life.ops) + 1):
        if at:
            platter.turn(life.ops[at - 1])
        if at in moments:
            cut = rng.choice(tuple(Cut))
            yield Moment(at, cut, platter.after(cut, rng))


def put(image: Image, directory: Path) -> Path:
    """Make an image real, in place of the one before."""
    for path in directory.iterdir():
        path.unlink()
    for name, content in image.items():
        (directory / name).write_bytes(content)
    return directory / _NAME


async def examine(life: Life, moment: Moment, directory: Path) -> list[str]:
    """What is wrong with what a power cut left."""
    store = SqliteStore(put(moment.image, directory), lanes=InlineLane, settings=_STORE, connect=Lying(connect, "OFF"))
    await store.open()
    try:
        found = await histories(store)
    finally:
        await store.close()
    done = [(execution_id, path, attempt) for when, execution_id, path, attempt in life.effects if when <= moment.at]
    wrong = [problem for history in found for problem in problems(history)]
    wrong += life.acknowledged(moment.at).missing(found)
    wrong += premature_effects(found, done)
    return wrong


async def finish(life: Life, moment: Moment, directory: Path) -> list[str]:
    """What is wrong when the scenario's client goes on after the power cut and plays it to its end."""
    told = life.acknowledged(moment.at)
    answers: dict[tuple[str, str], object] = {}

    def hear(kind: str, key: str, answer: object) -> None:
        answers[kind, key] = answer

    gate = Gate(is_open=True)
    path = put(moment.image, directory)
    async with _nodes(path, Lying(connect, "OFF"), gate=gate, effects=lambda _: None) as (engine, control):
        await play(engine, control, gate=gate, said=hear, known=told.keys)
        found = await histories(engine.store)
    again = Acknowledged({**told.answers, **answers})
    wrong = [problem for history in found for problem in problems(history)]
    wrong += [*again.missing(found), *again.unlike(told)]
    return wrong
