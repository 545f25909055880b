"""Executions that start each other, on a node: through the store, over crashes, and control of all of them at once."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, NodeSettings, Step, TaskContext, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.errors import CommandRefusedError
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import Block, OnFailure, RetryPolicy
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


HOLD = Step(id="hold", type="function", config={"function": "hold"})  # what runs keeps its execution here
LEAF = Workflow(name="leaf", steps=(HOLD,))


def held(workflow: str) -> Workflow:
    return Workflow(name=f"held-{workflow}", steps=(HOLD, Step(id="sub", type="workflow", config={"workflow": workflow})))


async def hold() -> None:
    await asyncio.Event().wait()


def holding(store: MemoryStore) -> Engine:
    return Engine(store, functions={"hold": hold}, settings=NodeSettings(stop_grace_ms=0))


def controlling(database: MemoryDatabase) -> Engine:
    return Engine(MemoryStore(database), settings=NodeSettings(can_run=False, together_poll_ms=5))


async def paused(engine: Engine, *executions: str) -> None:
    """Once their rows say so."""
    async with asyncio.timeout(10):
        while {(await engine.get_instance(one)).status for one in executions} != {"paused"}:
            await asyncio.sleep(0)


class Slow(MemoryStore):
    """Writes pauses of every execution but one only when it may."""

    def __init__(self, database: MemoryDatabase) -> None:
        super().__init__(database)
        self.may_write = asyncio.Event()
        self.at_once = ""

    async def commit(self, batch: Any) -> Any:
        paused = {append.summary.execution_id for append in batch if any(b"SubtreePaused" in event for event in append.events)}
        if paused - {self.at_once}:
            await self.may_write.wait()
        return await super().commit(batch)


async def test_a_pause_from_another_process_is_acknowledged_when_every_stream_has_it() -> None:
    database = MemoryDatabase()
    owners = Slow(database)
    async with holding(owners) as owner, controlling(database) as other:
        await owner.deploy(LEAF)
        middle = await owner.deploy(held("leaf"))
        execution = await owner.execute_workflow(held(middle.name))
        async with asyncio.timeout(10):
            while len(family := [row.execution_id for row in await rows(owner)]) < 3:
                await asyncio.sleep(0)
        owners.at_once = execution.id
        pausing = asyncio.create_task(other.pause_instance(execution.id, by="ann"))
        await paused(owner, execution.id)
        for _ in range(20):
            await asyncio.sleep(0.005)  # more than a poll of whoever waits for the answer
        assert not pausing.done()  # its children have not written it down
        owners.may_write.set()
        await asyncio.wait_for(pausing, 10)
        assert {(await owner.get_instance(one)).status for one in family} == {"paused"}
        await other.cancel_instance(execution.id)
        assert (await owner.wait_for_instance(execution.id, timeout=10)).status is Status.CANCELLED
        assert {row.status for row in await rows(owner)} == {"cancelled"}


async def test_a_pause_that_nobody_has_answered_is_answered_by_the_next_owner_and_counts_once() -> None:
    database = MemoryDatabase()
    owners = Slow(database)
    async with controlling(database) as other:
        async with holding(owners) as owner:
            await owner.deploy(LEAF)
            execution = await owner.execute_workflow(held("leaf"))
            child = await child_of(owner, execution.id)
            owners.at_once = execution.id
            pausing = asyncio.create_task(other.pause_instance(execution.id))
            await paused(other, execution.id)
            assert not pausing.done()
            owners.may_write.set()
        async with holding(MemoryStore(database)) as heir:
            await asyncio.wait_for(pausing, 10)
            assert {(await heir.get_instance(one)).status for one in (execution.id, child)} == {"paused"}
            for one in (execution.id, child):
                kinds = [stored.body for stored in await heir.store.events(one, after=0, limit=100)]
                assert sum(b'"SubtreePaused"' in body for body in kinds) == 1


def alone(store: Any) -> Engine:
    """A process that runs only what it was asked for, as `run --resume` does."""
    return make(store, recovers=False)


async def test_a_parent_that_is_resumed_hears_of_a_child_that_ended_without_it(store: Any) -> None:
    async with alone(store) as engine:
        await engine.deploy(SLOW)
        execution = await engine.execute_workflow(calls("slow", output="{{ steps.sub.output }}"))
        child = await child_of(engine, execution.id)
    async with make(store, can_run=False) as control:
        await control.signal(child, "go", data=7)
    async with alone(store) as engine:
        await engine.adopt_instance(execution.id)
        assert (await engine.wait_for_instance(execution.id, timeout=10)).output == 7


async def test_a_parent_that_was_retried_elsewhere_begins_its_new_child_where_it_is_resumed(store: Any) -> None:
    async with alone(store) as engine:
        await engine.deploy(CHILD)
        execution = await engine.execute_workflow(calls("child", x="{{ 0 }}"))
        assert (await execution.result(timeout=10)).status is Status.FAILED
    async with make(store, can_run=False) as control:
        await control.retry_instance(execution.id)
    async with alone(store) as engine:
        await engine.adopt_instance(execution.id)
        assert (await engine.wait_for_instance(execution.id, timeout=10)).status is Status.FAILED
        assert len(await rows(engine)) == 3


async def test_a_cancelled_parent_ends_where_it_is_resumed(store: Any) -> None:
    async with alone(store) as engine:
        await engine.deploy(SLOW)
        beside = Step(id="beside", type="workflow", config={"workflow": "slow", "detach": True})
        parent = calls("slow")
        execution = await engine.execute_workflow(Workflow(name="two", steps=(*parent.steps, beside)))
        async with asyncio.timeout(10):
            while len(await rows(engine)) < 3:
                await asyncio.sleep(0)
    async with make(store, can_run=False) as control:
        await control.cancel_instance(execution.id)
    async with alone(store) as engine:
        await engine.adopt_instance(execution.id)
        assert (await engine.wait_for_instance(execution.id, timeout=10)).status is Status.CANCELLED


async def test_a_resume_of_a_child_leaves_it_held_with_its_parent_and_a_persons_pause_stays(store: Any) -> None:
    async with make(store) as engine:
        await engine.deploy(SLOW)
        execution = await engine.execute_workflow(calls("slow"))
        child = await child_of(engine, execution.id)
        await engine.pause_instance(execution.id)
        with pytest.raises(CommandRefusedError, match="not paused") as refused:
            await engine.resume_instance(child)
        assert execution.id in refused.value.hint
        await engine.pause_instance(child, by="ann")
        await engine.resume_instance(execution.id)
        assert (await engine.get_instance(child)).status == "paused"
        await engine.resume_instance(child)
        await engine.signal(child, "go")
        assert (await engine.wait_for_instance(execution.id, timeout=10)).status is Status.COMPLETED


async def test_a_cancel_with_compensation_reaches_the_child(store: Any) -> None:
    undone: list[str] = []
    undo = Step(id="", type="function", config={"function": "undo", "params": {"what": "{{ steps.a.output.y }}"}})
    done = Step(id="a", type="function", config={"function": "add", "params": {"x": 1}}, compensate=undo)
    child = Workflow(name="does", steps=(done, Step(id="w", type="wait", config={"signal": "go"}, depends_on=("a",))))

    def undoing(what: int) -> None:
        undone.append(f"undone {what}")
        if len(undone) == 1 and is_broken:
            raise ValueError("nobody answers")

    for is_broken, ended in ((False, (Status.CANCELLED, None)), (True, (Status.FAILED, None))):
        undone.clear()
        async with Engine(store, functions={"add": add, "undo": undoing}) as engine:
            await engine.deploy(child)
            execution = await engine.execute_workflow(calls("does"))
            async with asyncio.timeout(10):
                while "waiting" not in {row.status for row in await rows(engine) if row.execution_id != execution.id}:
                    await asyncio.sleep(0)
            await engine.cancel_instance(execution.id, compensate=True)
            result = await engine.wait_for_instance(execution.id, timeout=10)
            assert (result.status, result.outcome, undone) == (*ended, ["undone 2"])
            if is_broken:
                assert result.error is not None
                assert (result.error.type, "nobody answers" in result.error.message) == ("CompensationFailed", True)


async def test_tasks_of_a_child_have_the_same_keys_when_its_step_is_tried_again() -> None:
    keys: list[str] = []

    def charge(ctx: TaskContext) -> None:
        keys.append(ctx.idempotency_key)
        if len(keys) < 3:
            raise ValueError("the answer is lost")

    child = Workflow(name="charges", steps=(Step(id="charge", type="function", config={"function": "charge"}),))
    again = RetryPolicy(max_attempts=2, initial_interval_ms=1, jitter=0.0)
    step = Step(id="sub", type="workflow", config={"workflow": "charges"}, retry=again)
    async with Engine(MemoryStore(MemoryDatabase()), functions={"charge": charge}) as engine:
        await engine.deploy(child)
        execution = await engine.execute_workflow(Workflow(name="buys", steps=(step,)))
        assert (await execution.result(timeout=10)).status is Status.FAILED
        await engine.retry_instance(execution.id)
        assert (await engine.wait_for_instance(execution.id, timeout=10)).status is Status.COMPLETED
    assert keys == [f"{execution.id}/sub/charge/"] * 3


async def test_a_detached_child_that_cannot_begin_is_told_in_the_log_of_its_step(store: Any) -> None:
    async with make(store) as engine:
        execution = await engine.execute_workflow(calls("nobody", detach=True))
        assert (await execution.result(timeout=10)).status is Status.COMPLETED
        async with asyncio.timeout(10):
            while not (lines := await engine.logs(execution.id, step_id="sub")):
                await asyncio.sleep(0.01)
        assert [(line.level, 'there is no workflow "nobody"' in line.message) for line in lines] == [("error", True)]
