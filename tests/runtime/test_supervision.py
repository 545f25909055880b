"""What must not end with one bad thing: the writer, the order of priorities, commands that cannot be obeyed just now."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, NodeSettings, Step, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.errors import StorageError
from taskengine.model.status import Status
from taskengine.ports.executor import Attempt, Executor
from taskengine.ports.store import Append, Verdict
from taskengine.runtime.resident import Resident


def one(name: str, **step: Any) -> Workflow:
    return Workflow(
        name=name, steps=(Step(id="a", type="function", config={"function": name}, **step),), output="{{ steps.a.output }}"
    )


class Picky(MemoryStore):
    """Breaks, and not by a StorageError, over every batch that holds a certain output."""

    async def commit(self, batch: Sequence[Append]) -> list[Verdict]:
        if any(b"poison" in event for append in batch for event in append.events):
            raise OverflowError("a number that no column takes")
        return await super().commit(batch)


async def test_an_append_that_breaks_the_store_is_left_out_and_the_others_are_written() -> None:
    calls: list[str] = []

    async def bad() -> str:
        calls.append("bad")
        return "poison" if len(calls) < 3 else "cured"

    async def good() -> str:
        return "good"

    async with Engine(Picky(MemoryDatabase()), functions={"bad": bad, "good": good}) as engine:
        poisoned = await engine.execute_workflow(one("bad"))
        others = [await engine.execute_workflow(one("good")) for _ in range(5)]
        assert [(await other.result(timeout=10)).output for other in others] == ["good"] * 5
        assert (await poisoned.result(timeout=10)).output == "cured"


class Broken(MemoryStore):
    """A bug in the writer's own work: what it returns fits nothing."""

    async def commit(self, batch: Sequence[Append]) -> list[Verdict]:
        return [*await super().commit(batch), Verdict.COMMITTED]


async def test_when_the_writer_itself_breaks_nobody_waits_for_ever_and_starts_are_refused() -> None:
    async def work() -> int:
        return 1

    async with Engine(Broken(MemoryDatabase()), functions={"work": work}) as engine:
        with pytest.raises(StorageError):
            await asyncio.wait_for(engine.execute_workflow(one("work")), 10)
        with pytest.raises(StorageError, match="can write no more"):
            await engine.execute_workflow(one("work"))


class Falls:
    """An executor that breaks its promise never to raise, so often."""

    def __init__(self, inner: Executor, times: int) -> None:
        self._inner = inner
        self.times = times

    def missing(self, step: Step, source: str) -> str:
        return self._inner.missing(step, source)

    def begin(self, attempt: Attempt) -> None:
        if attempt.step.id == "bad" and self.times:
            self.times -= 1
            raise RuntimeError("the executor fell")
        self._inner.begin(attempt)


async def test_an_attempt_that_cannot_be_begun_is_the_trouble_of_its_execution_alone() -> None:
    async def work() -> int:
        return 1

    def around(executors: Mapping[str, Executor]) -> Mapping[str, Executor]:
        return {**executors, "function": Falls(executors["function"], times=2)}

    steps = tuple(Step(id=name, type="function", config={"function": "work"}) for name in ("bad", "x", "y"))
    settings = NodeSettings(concurrency=3, alone_poll_ms=5)
    async with Engine(MemoryStore(MemoryDatabase()), functions={"work": work}, around=around, settings=settings) as engine:
        bad = await asyncio.wait_for(engine.execute_workflow(Workflow(name="bad", steps=steps)), 10)
        good = await asyncio.wait_for(engine.execute_workflow(one("work")), 10)
        assert (await good.result(timeout=10)).output == 1
        assert (await bad.result(timeout=10)).status is Status.COMPLETED  # read again, its attempt counted as lost
        assert (engine.node.admission.free, engine.node.admission.suspects_free) == (3, 1)
        assert not engine.node.attempts


async def test_when_what_follows_a_commit_breaks_everybody_of_the_batch_is_told_and_the_engine_stops() -> None:
    noop = Workflow(name="noop", steps=(Step(id="a", type="noop"),))
    loop = asyncio.get_running_loop()

    def fall(_: Resident) -> None:
        raise RuntimeError("a bug of ours")

    engine = Engine(MemoryStore(MemoryDatabase()), settings=NodeSettings(stop_grace_ms=600_000))
    await engine.start()
    await engine.deploy(noop)
    waits = Workflow(name="waits", steps=(Step(id="a", type="wait", config={"signal": "go"}),))
    waiting = await engine.execute_workflow(waits)
    engine.node.on_finished = fall
    starts = [loop.create_task(engine.execute_workflow("noop")) for _ in range(3)]  # one batch
    ended = await asyncio.wait_for(asyncio.gather(*starts, return_exceptions=True), 10)
    assert [getattr(one, "name", "told") for one in ended] == ["told", "engine_stopped", "engine_stopped"]
    for late in (engine.pause_instance(waiting.id), waiting.result()):
        with pytest.raises(StorageError, match="can write no more"):
            await asyncio.wait_for(late, 10)
    await asyncio.wait_for(engine.stop(), 10)


async def test_a_more_urgent_step_moves_its_execution_forward_in_the_line(tmp_path: Path) -> None:
    order: list[str] = []
    gate = asyncio.Event()

    async def note(name: str) -> None:
        order.append(name)
        if name == "first":
            await gate.wait()

    def step(step_id: str, *depends_on: str, priority: int, signal: bool = False) -> Step:
        if signal:
            return Step(id=step_id, type="wait", config={"signal": "go"})
        config = {"function": "note", "params": {"name": step_id}}
        return Step(id=step_id, type="function", config=config, depends_on=depends_on, priority=priority)

    late = Workflow(
        name="late", steps=(step("low", priority=0), step("wait", priority=5, signal=True), step("high", "wait", priority=9))
    )
    middle = Workflow(name="middle", steps=(step("mid", priority=5),))
    first = Workflow(name="first", steps=(step("first", priority=5),))
    async with Engine(tmp_path / "e.db", functions={"note": note}, settings=NodeSettings(concurrency=1)) as engine:
        started = [await engine.execute_workflow(workflow) for workflow in (first, late, middle)]
        await engine.signal(started[1].id, "go")
        gate.set()
        results = [await execution.result(timeout=10) for execution in started]
        assert {result.status for result in results} == {Status.COMPLETED}
        assert order == ["first", "high", "mid", "low"]
