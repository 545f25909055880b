"""Waits with filters on a node: judging them takes several turns of the loop, and none of it is forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, Step, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.model.workflow import Block
from taskengine.ports.store import ExecutionFilter, Summary

MANY = 5_000  # so many pairs are judged in ten turns
ANY_ORDER = "event.id + 0 == item"  # nothing to find it by
PAID = Step(id="paid", type="wait", config={"signal": "paid", "filter": ANY_ORDER})
ORDERS = Workflow(
    name="orders",
    steps=(
        Step(
            id="each",
            type="map",
            config={"items": list(range(MANY))},
            blocks=(Block(steps=(PAID,)),),
        ),
    ),
)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryStore(MemoryDatabase()) if request.param == "memory" else tmp_path / "engine.db"


async def row(engine: Engine) -> Summary:
    """The only execution."""
    (found,) = await engine.store.executions(ExecutionFilter(), limit=2)
    return found


async def parked(engine: Engine) -> Summary:
    """... once nobody owns it."""
    while True:
        found = await row(engine)
        if not found.owner:
            return found
        await asyncio.sleep(0)


async def test_an_execution_that_judges_for_several_turns_is_kept_and_parked_when_it_is_through(store: Any) -> None:
    async with Engine(store) as engine:
        execution = await engine.execute_workflow(ORDERS)
        await parked(engine)
        await engine.signal(execution.id, "paid", data={"id": -1})
        assert (await row(engine)).owner == engine.node.node_id  # the signal is written down, not all were asked
        before = await parked(engine)
        await engine.signal(execution.id, "paid", data={"id": MANY - 1})
        while (await row(engine)).completed == before.completed:
            await asyncio.sleep(0)
        await parked(engine)


async def test_the_loop_is_free_between_the_turns(store: Any) -> None:
    async with Engine(store) as engine:
        execution = await engine.execute_workflow(ORDERS)
        await parked(engine)
        state = engine.node.residents[execution.id].state
        signal = asyncio.ensure_future(engine.signal(execution.id, "paid", data={"id": -1}))
        while not state.matchable:
            await asyncio.sleep(0)
        rounds = 0
        while state.matchable:
            rounds += 1
            await asyncio.sleep(0)
        assert rounds >= MANY // 500
        await signal
