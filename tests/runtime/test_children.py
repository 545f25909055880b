"""Executions that start each other, on a node: through the store, over crashes, and control of all of them at once."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, NodeSettings, Step, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import Block, OnFailure
from taskengine.ports.store import ExecutionFilter, Summary

CHILD = Workflow(
    name="child",
    input_schema={"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
    steps=(Step(id="a", type="function", config={"function": "add", "params": {"x": "{{ input.x }}"}}),),
    output="{{ steps.a.output }}",
)
SLOW = Workflow(name="slow", steps=(Step(id="w", type="wait", config={"signal": "go"}),), output="{{ steps.w.output }}")


def calls(workflow: str, *, output: str | None = None, detach: bool = False, **mapping: str) -> Workflow:
    step = Step(id="sub", type="workflow", config={"workflow": workflow, "detach": detach}, input_mapping=dict(mapping))
    return Workflow(name=f"calls-{workflow}", steps=(step,), output=output)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryStore(MemoryDatabase()) if request.param == "memory" else tmp_path / "engine.db"


def add(x: int) -> dict[str, int]:
    if x == 0:
        raise ValueError("no")
    return {"y": x + 1}


def make(store: Any, **settings: Any) -> Engine:
    return Engine(store, functions={"add": add}, settings=NodeSettings(**settings))


async def rows(engine: Engine) -> list[Summary]:
    return await engine.store.executions(ExecutionFilter(), limit=100)


async def child_of(engine: Engine, parent: str) -> str:
    """The only other execution, once it is there."""
    async with asyncio.timeout(10):
        while True:
            others = [row.execution_id for row in await rows(engine) if row.execution_id != parent]
            if others:
                return others[0]
            await asyncio.sleep(0)


async def test_a_map_of_sub_workflows_gives_what_they_gave(store: Any) -> None:
    sub = Step(id="sub", type="workflow", config={"workflow": "child"}, input_mapping={"x": "{{ item }}"})
    each = Step(id="each", type="map", config={"items": "{{ input.xs }}"}, blocks=(Block(steps=(sub,)),))
    async with make(store) as engine:
        await engine.deploy(CHILD)
        parent = Workflow(name="parent", steps=(each,), output="{{ steps.each.output }}")
        result = await (await engine.execute_workflow(parent, params={"xs": [1, 2, 3]})).result(timeout=10)
        assert (result.status, result.output) == (Status.COMPLETED, [{"y": 2}, {"y": 3}, {"y": 4}])
        assert len(await rows(engine)) == 4


async def test_a_child_runs_where_only_its_parent_was_asked_for(store: Any) -> None:
    async with make(store, recovers=False) as engine:
        await engine.deploy(CHILD)
        execution = await engine.execute_workflow(calls("child", x="{{ 1 }}", output="{{ steps.sub.output.y }}"))
        assert (await execution.result(timeout=10)).output == 2


@pytest.mark.parametrize(
    ("workflow", "x", "said"),
    [("child", "{{ 0 }}", "no"), ("nothere", "{{ 1 }}", "workflow_not_found"), ("child", "{{ 'text' }}", "invalid_input")],
)
async def test_a_child_that_fails_or_cannot_begin_fails_its_step(store: Any, workflow: str, x: str, said: str) -> None:
    async with make(store) as engine:
        await engine.deploy(CHILD)
        result = await (await engine.execute_workflow(calls(workflow, x=x))).result(timeout=10)
        assert result.status is Status.FAILED
        assert result.error is not None
        assert said in result.error.message


async def test_a_workflow_that_calls_another_one_only_to_undo_something_is_undone(store: Any) -> None:
    undo = Step(id="", type="workflow", config={"workflow": "child"}, input_mapping={"x": 1})
    done = Step(id="done", type="function", config={"function": "add", "params": {"x": 1}}, compensate=undo)
    stop = Step(id="stop", type="fail", depends_on=("done",), config={"message": "no"})
    async with make(store) as engine:
        await engine.deploy(CHILD)
        workflow = Workflow(name="undoing", steps=(done, stop), on_failure=OnFailure.COMPENSATE)
        result = await (await engine.execute_workflow(workflow)).result(timeout=10)
        assert (result.status, result.outcome) == (Status.FAILED, Outcome.COMPENSATED)


async def test_a_detached_child_goes_its_own_way(store: Any) -> None:
    async with make(store) as engine:
        await engine.deploy(SLOW)
        workflow = calls("slow", detach=True, output="{{ steps.sub.output.execution_id }}")
        result = await (await engine.execute_workflow(workflow)).result(timeout=10)
        child = await child_of(engine, result.execution_id)
        assert result.output == child
        await engine.signal(child, "go", data="now")
        assert (await engine.wait_for_instance(child, timeout=10)).output == "now"


async def test_a_pause_is_acknowledged_when_every_stream_has_it_and_a_cancel_ends_them_all(store: Any) -> None:
    async with make(store) as engine:
        await engine.deploy(SLOW)
        middle = await engine.deploy(calls("slow"))
        execution = await engine.execute_workflow(calls(middle.name))
        await engine.pause_instance(execution.id)
        paused = await rows(engine)
        assert {row.status for row in paused} == {"paused"}
        await engine.resume_instance(execution.id)
        assert {row.status for row in await rows(engine)} == {"waiting"}
        await engine.cancel_instance(execution.id)
        assert (await execution.result(timeout=10)).status is Status.CANCELLED
        assert {row.status for row in await rows(engine)} == {"cancelled"}


async def test_a_terminate_reaches_the_child(store: Any) -> None:
    async with make(store) as engine:
        await engine.deploy(SLOW)
        execution = await engine.execute_workflow(calls("slow"))
        child = await child_of(engine, execution.id)
        await engine.terminate_instance(execution.id)
        result = await engine.wait_for_instance(child, timeout=10)
        assert (result.status, result.outcome) == (Status.CANCELLED, Outcome.TERMINATED)


async def test_a_child_for_which_there_is_no_room_begins_when_there_is(store: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "taskengine.inbox")
    gate = asyncio.Event()

    async def hold() -> None:
        await gate.wait()

    blocker = Workflow(name="blocker", steps=(Step(id="b", type="function", config={"function": "hold"}),))
    async with Engine(store, functions={"add": add, "hold": hold}, settings=NodeSettings(max_residents=2)) as engine:
        await engine.deploy(CHILD)
        other = await engine.execute_workflow(blocker)
        parent = await engine.execute_workflow(calls("child", x="{{ 1 }}", output="{{ steps.sub.output.y }}"))
        async with asyncio.timeout(10):
            while "message.kept" not in caplog.messages:  # it has been looked at, and there was no room
                await asyncio.sleep(0)
        gate.set()
        await other.result(timeout=10)
        assert (await parent.result(timeout=10)).output == 2


async def test_a_signal_step_reaches_another_execution(store: Any) -> None:
    tell = Step(id="tell", type="signal", config={"signal": "go", "execution": "{{ input.to }}", "data": {"n": 1}})
    async with make(store) as engine:
        waiting = await engine.execute_workflow(SLOW)
        await (await engine.execute_workflow(Workflow(name="tells", steps=(tell,)), params={"to": waiting.id})).result(timeout=10)
        assert (await waiting.result(timeout=10)).output == {"n": 1}


async def test_parent_and_child_go_on_in_another_process(tmp_path: Path) -> None:
    async with make(tmp_path / "engine.db") as engine:
        await engine.deploy(SLOW)
        execution = await engine.execute_workflow(calls("slow", output="{{ steps.sub.output }}"))
        child = await child_of(engine, execution.id)
    async with make(tmp_path / "engine.db") as engine:
        await engine.signal(child, "go", data=5)
        assert (await engine.wait_for_instance(execution.id, timeout=10)).output == 5
