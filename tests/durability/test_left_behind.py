"""What a death leaves behind is found by whoever comes next: lock files, messages that nobody read, a stop that must end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from taskengine import Engine, NodeSettings, Step, Workflow
from taskengine.adapters.lanes import InlineLane, ThreadLane
from taskengine.adapters.sqlite import SqliteStore
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.state import Execution
from taskengine.model.effect import StartChild
from taskengine.runtime.catalog import PlanCatalog
from taskengine.runtime.environment import Environment
from taskengine.runtime.inbox import InboxService
from taskengine.runtime.node import Node
from taskengine.runtime.operations import Operations
from taskengine.runtime.residency import Residency
from taskengine.runtime.resident import Resident
from taskengine.runtime.services import Services
from taskengine.testing.conformance.samples import birth
from tests.durability.scenario import CONTROL, Gate, functions

_NOW = 1_795_000_000_000


@asynccontextmanager
async def _opened(path: Path) -> AsyncGenerator[SqliteStore]:
    """A store that is closed at the end without leaving, as if its process had died."""
    store = SqliteStore(path, lanes=ThreadLane)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def _engine(path: Path) -> Engine:
    return Engine(path, functions=functions(lambda _: None, Gate(is_open=True)))


def _locks(path: Path) -> list[str]:
    return [one.name for one in path.parent.glob("*.lock")]


async def test_taking_over_a_dead_node_leaves_no_lock_file(tmp_path: Path) -> None:
    path = tmp_path / "work.db"
    async with _opened(path) as dead:
        await dead.join("node_dead", now=_NOW)
        await dead.commit([birth("ex_1", owner="node_dead")])
    async with _opened(path) as store:
        await store.join("node_heir", now=_NOW)
        assert await store.seize("node_dead", by="node_heir", limit=10) == ["ex_1"]
        assert await store.seize("node_dead", by="node_heir", limit=10) == []
        assert _locks(path) == ["work.db-node-node_heir.lock"]


async def test_a_lock_file_without_a_node_is_removed_by_the_next_one_who_joins(tmp_path: Path) -> None:
    path = tmp_path / "work.db"
    orphan = tmp_path / "work.db-node-node_killed_while_joining.lock"
    foreign = tmp_path / "work.db-node-of a user.lock"
    async with _opened(path) as store:
        orphan.touch()
        foreign.touch()
        await store.join("node_1", now=_NOW)
        assert sorted(_locks(path)) == ["work.db-node-node_1.lock", foreign.name]


async def test_a_node_that_joins_leaves_the_living_alone(tmp_path: Path) -> None:
    path = tmp_path / "work.db"
    async with _opened(path) as first, _opened(path) as second:
        await first.join("node_1", now=_NOW)
        await second.join("node_2", now=_NOW)
        assert await first.dead_nodes("node_1") == []
        assert await second.dead_nodes("node_2") == []
        assert len(_locks(path)) == 2


# The step ``hold`` keeps its node the owner; the answer reaches it through the inbox.
_OWNED = Workflow(
    name="owned",
    steps=(
        Step(id="hold", type="function", config={"function": "hold"}),
        Step(id="answer", type="wait", config={"signal": "approved"}),
    ),
    output="{{ steps.answer.output }}",
)
_DEAF = NodeSettings(together_poll_ms=3_600_000, alone_poll_ms=3_600_000, stop_grace_ms=0)  # looks once, when it starts


@asynccontextmanager
async def _signal_to_the_deaf(path: Path) -> AsyncGenerator[tuple[str, asyncio.Task[None]]]:
    """An execution whose owner has died without reading the signal that was sent to it, and the sender, who still waits."""
    gate = Gate(is_open=False)
    async with (
        Engine(path, functions=functions(lambda _: None, gate), settings=_DEAF) as deaf,
        Engine(path, settings=CONTROL) as other,
    ):
        execution = await deaf.execute_workflow(_OWNED)
        await gate.entered.wait()
        sender = asyncio.create_task(other.signal(execution.id, "approved", data="yes"))
        async with _opened(path) as watching:
            while not await watching.pending(deaf.node.node_id, after=0, limit=1):
                await asyncio.sleep(0)
        await deaf.store.close()
        yield execution.id, sender


async def test_what_was_sent_to_a_node_that_died_reaches_the_one_that_takes_over(tmp_path: Path) -> None:
    path = tmp_path / "work.db"
    async with _signal_to_the_deaf(path) as (execution_id, sender), _engine(path) as heir:
        assert (await heir.wait_for_instance(execution_id, timeout=10)).output == "yes"
        await sender


async def test_what_was_sent_is_applied_even_when_its_sender_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "work.db"
    async with _signal_to_the_deaf(path) as (execution_id, sender):
        sender.cancel()
    async with _engine(path) as heir:
        assert (await heir.wait_for_instance(execution_id, timeout=10)).output == "yes"


async def _no_child(start: StartChild) -> NoReturn:
    raise AssertionError(f"nobody starts {start}")


async def test_a_stop_ends_although_the_node_is_told_to_look_at_the_same_moment(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "work.db", lanes=InlineLane)
    await store.open()
    node = Node(store, Environment(InlineLane), executors={}, settings=NodeSettings())
    residency = Residency(node, PlanCatalog(store, {}))
    inbox = InboxService(node, residency)
    services = Services(
        node, residency, operations=Operations(node, residency, forward=inbox.forward, take_in=_no_child), inbox=inbox
    )
    await services.start()
    for _ in range(20):  # without threads that is enough for it to have looked and to wait
        await asyncio.sleep(0)
    state = Execution("ex_1", compile_plan(_OWNED))
    state.wake_at = _NOW
    residency.on_evicted(Resident(state, workflow_id="", source="", token=0, stored_owner="", created_at=_NOW))
    async with asyncio.timeout(10):
        await services.stop()
    await store.close()
