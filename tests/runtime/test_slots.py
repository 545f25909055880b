"""Slots of a node: as many attempts at once as it has, each paid once and given back, in turn between executions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from taskengine import Engine, Limits, NodeSettings, Step, Workflow


def chain(name: str, *, length: int = 3, priority: int = 0) -> Workflow:
    steps = [
        Step(
            id=f"{name}{place}",
            type="function",
            config={"function": "work", "params": {"name": f"{name}{place}"}},
            depends_on=(f"{name}{place - 1}",) if place else (),
        )
        for place in range(length)
    ]
    return Workflow(name=name, steps=tuple(steps), limits=Limits(priority=priority))


class Works:
    """Notes who works, in order; somebody has to let each of them go on."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.open: dict[str, asyncio.Future[None]] = {}
        self.most = 0

    async def work(self, name: str) -> str:
        self.order.append(name)
        done = self.open[name] = asyncio.get_running_loop().create_future()
        self.most = max(self.most, len(self.open))
        try:
            await done
        finally:
            del self.open[name]
        return name

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(10):
            while not self.open.keys() >= set(names):
                await asyncio.sleep(0)

    def end(self, name: str) -> None:
        self.open[name].set_result(None)


@pytest.fixture
def works() -> Works:
    return Works()


def engine_of(works: Works, slots: int) -> Engine:
    return Engine(":memory:", functions={"work": works.work}, settings=NodeSettings(concurrency=slots))


async def all_slots_are_back(engine: Engine, slots: int) -> None:
    async with asyncio.timeout(10):
        while engine.node.attempts:
            await asyncio.sleep(0)
    assert (engine.node.admission.free, engine.node.admission.suspects_free) == (slots, 1)


@pytest.mark.parametrize("slots", [1, 2, 5])
async def test_no_more_work_at_once_than_there_are_slots_and_all_come_back(works: Works, slots: int) -> None:
    async with engine_of(works, slots) as engine:
        executions = [await engine.execute_workflow(chain(name, length=4)) for name in "abcd"]
        results = asyncio.gather(*(one.result(timeout=10) for one in executions))
        while not results.done():
            for name in list(works.open)[::-1]:
                works.end(name)
            await asyncio.sleep(0)
        await results
        assert works.most == min(slots, 4)
        await all_slots_are_back(engine, slots)


async def test_who_has_waited_longer_comes_before_the_next_step_of_who_had_its_turn(works: Works) -> None:
    async with engine_of(works, 1) as engine:
        first = await engine.execute_workflow(chain("a"))
        await works.until("a0")
        second = await engine.execute_workflow(chain("b"))
        for name in ("a0", "b0", "a1", "b1", "a2", "b2"):
            await works.until(name)
            works.end(name)
        await asyncio.gather(first.result(timeout=10), second.result(timeout=10))
        assert works.order == ["a0", "b0", "a1", "b1", "a2", "b2"]


async def test_the_more_urgent_one_comes_first_and_keeps_its_turn(works: Works) -> None:
    async with engine_of(works, 1) as engine:
        slow = await engine.execute_workflow(chain("a"))
        await works.until("a0")
        urgent = await engine.execute_workflow(chain("u", priority=9))
        for name in ("a0", "u0", "u1", "u2", "a1", "a2"):
            await works.until(name)
            works.end(name)
        await asyncio.gather(slow.result(timeout=10), urgent.result(timeout=10))
        assert works.order == ["a0", "u0", "u1", "u2", "a1", "a2"]


async def test_the_bound_of_an_execution_holds_also_where_slots_are_free(works: Works) -> None:
    steps = tuple(Step(id=f"s{n}", type="function", config={"function": "work", "params": {"name": f"s{n}"}}) for n in range(6))
    async with engine_of(works, 50) as engine:
        execution = await engine.execute_workflow(Workflow(name="wide", steps=steps, limits=Limits(max_concurrency=2)))
        result = asyncio.ensure_future(execution.result(timeout=10))
        while not result.done():
            for name in list(works.open):
                works.end(name)
            await asyncio.sleep(0)
        assert works.most == 2
        await all_slots_are_back(engine, 50)


async def test_what_a_cancel_lets_go_comes_back(works: Works) -> None:
    async with engine_of(works, 3) as engine:
        execution = await engine.execute_workflow(chain("a"))
        await works.until("a0")
        await engine.cancel_instance(execution.id)
        result: Any = await execution.result(timeout=10)
        assert result.status == "cancelled"
        await all_slots_are_back(engine, 3)
