"""What must not end with one bad thing: the writer, the order of priorities, commands that cannot be obeyed just now."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, NodeSettings, Step, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.errors import StorageError
from taskengine.model.status import Status
from taskengine.ports.store import Append, Verdict


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
