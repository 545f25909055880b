"""Nodes as the command line needs them: one that goes on with its own executions only, and one that only carries commands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from taskengine import Engine, NodeSettings, Step, Workflow
from taskengine.adapters.lanes import ThreadLane
from taskengine.adapters.sqlite import SqliteStore
from taskengine.errors import ConflictError, NotFoundError
from taskengine.model.status import Status

OWN_ONLY = NodeSettings(recovers=False, stop_grace_ms=0)
CONTROL = NodeSettings(can_run=False)
PATIENCE_S = 60


async def stay() -> None:
    await asyncio.Event().wait()


async def end() -> str:
    return "done"


def workflow(*steps: Step) -> Workflow:
    return Workflow(name="small", steps=steps)


STAYING = workflow(Step(id="stay", type="function", config={"function": "stay"}))
WAITING = workflow(
    Step(id="hold", type="wait", config={"signal": "go"}),
    Step(id="after", type="function", config={"function": "end"}, depends_on=("hold",)),
)


@pytest.fixture
async def open_engine(tmp_path: Path) -> AsyncIterator[Callable[..., Engine]]:
    """Engines on one database, stopped at the end. What they perform: ``stay`` for ever, ``end`` at once."""
    opened: list[Engine] = []

    def make(settings: NodeSettings | None = None, *, does_end: bool = False) -> Engine:
        store = SqliteStore(tmp_path / "engine.db", lanes=ThreadLane)
        engine = Engine(store, functions={"stay": end if does_end else stay, "end": end}, settings=settings)
        opened.append(engine)
        return engine

    yield make
    for engine in reversed(opened):
        await engine.stop()


async def statuses(engine: Engine) -> dict[str, str]:
    from taskengine.ports.store import ExecutionFilter

    return {one.execution_id: one.status for one in await engine.store.executions(ExecutionFilter(), limit=100)}


async def test_a_node_that_recovers_nothing_leaves_what_was_given_back(open_engine: Callable[..., Engine]) -> None:
    first = open_engine(OWN_ONLY)
    await first.start()
    left = await first.execute_workflow(STAYING)
    await first.stop()

    second = open_engine(OWN_ONLY, does_end=True)
    await second.start()
    own = await second.execute_workflow(STAYING)
    assert (await own.result(timeout=PATIENCE_S)).status is Status.COMPLETED
    assert (await statuses(second))[left.id] != "completed"

    await second.adopt_instance(left.id)
    await second.adopt_instance(left.id)
    assert (await second.wait_for_instance(left.id, timeout=PATIENCE_S)).status is Status.COMPLETED


async def test_waiting_for_an_execution_that_nobody_owns_goes_on_with_it(open_engine: Callable[..., Engine]) -> None:
    first = open_engine(OWN_ONLY)
    await first.start()
    left = await first.execute_workflow(WAITING)
    await first.stop()
    second = open_engine(OWN_ONLY)
    await second.start()
    ended = asyncio.create_task(second.wait_for_instance(left.id))
    control = open_engine(CONTROL)
    await control.start()
    await control.signal(left.id, "go")
    async with asyncio.timeout(PATIENCE_S):
        assert (await ended).status is Status.COMPLETED


async def test_a_node_that_recovers_nothing_takes_no_message_for_what_is_not_its_own(open_engine: Callable[..., Engine]) -> None:
    first = open_engine(OWN_ONLY)
    await first.start()
    left = await first.execute_workflow(STAYING)
    await first.stop()
    second = open_engine(OWN_ONLY, does_end=True)
    await second.start()
    control = open_engine(CONTROL)
    await control.start()
    await control.pause_instance(left.id)
    await control.resume_instance(left.id)
    own = await second.execute_workflow(STAYING)
    assert (await own.result(timeout=PATIENCE_S)).status is Status.COMPLETED
    assert (await statuses(second))[left.id] != "completed"


async def test_a_living_owner_keeps_its_execution(open_engine: Callable[..., Engine]) -> None:
    first, second = open_engine(OWN_ONLY), open_engine(OWN_ONLY)
    await first.start()
    await second.start()
    running = await first.execute_workflow(STAYING)
    with pytest.raises(ConflictError) as refused:
        await second.adopt_instance(running.id)
    assert refused.value.name == "owned_elsewhere"
    with pytest.raises(NotFoundError):
        await second.adopt_instance("ex_" + "0" * 26)


@pytest.mark.parametrize("settings", [NodeSettings(), OWN_ONLY], ids=["recovers", "own-only"])
async def test_a_parked_execution_that_another_node_changed_is_read_again(
    open_engine: Callable[..., Engine], settings: NodeSettings
) -> None:
    engine, control = open_engine(settings), open_engine(CONTROL)
    await engine.start()
    await control.start()
    signalled, terminated = await engine.execute_workflow(WAITING), await engine.execute_workflow(WAITING)
    ends = [asyncio.create_task(engine.wait_for_instance(one.id)) for one in (signalled, terminated)]
    await control.signal(signalled.id, "go")
    await control.terminate_instance(terminated.id)
    async with asyncio.timeout(PATIENCE_S):
        assert [(await one).status for one in ends] == [Status.COMPLETED, Status.CANCELLED]
    assert (await engine.wait_for_instance(terminated.id, timeout=PATIENCE_S)).status is Status.CANCELLED
