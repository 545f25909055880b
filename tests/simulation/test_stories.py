"""Single stories that random worlds tell too rarely: each arranges one misfortune by hand, on the memory store in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import pytest

from taskengine import NodeSettings, TaskContext
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.app.engine import Engine
from taskengine.errors import CommandRefusedError, StorageError
from taskengine.model import event as ev
from taskengine.model.codec import decode_event
from taskengine.model.workflow import OnError, Step, Workflow
from taskengine.ports.lane import LaneFactory
from taskengine.ports.store import Append, CommitUnknownError, Head, Message, Store, StoredWorkflow, Verdict
from taskengine.runtime.resident import Result
from taskengine.testing.simulation import Chance, Faults, MemoryDisk, SimNode, UniformPicker, World
from taskengine.testing.simulation.audit import Record

T = TypeVar("T")

SETTINGS = NodeSettings(alone_poll_ms=100, together_poll_ms=100)
SECOND = Step(id="work", type="function", config={"function": "work", "params": {"seconds": 1}})
ENDLESS = {"function": "work", "params": {"seconds": 1_000_000}}
PATIENT, PATIENT_TOO, PATIENT_THREE = (Step(id=name, type="wait", config={"signal": "go"}) for name in ("one", "two", "three"))


class MoodyStore(MemoryStore):
    """Does as it is told, once: what is in ``moods`` happens at the next call that it concerns."""

    def __init__(self, database: MemoryDatabase, moods: set[str]) -> None:
        super().__init__(database)
        self._moods = moods

    def _has(self, mood: str) -> bool:
        is_in_it = mood in self._moods
        self._moods.discard(mood)
        return is_in_it

    async def commit(self, batch: Sequence[Append]) -> list[Verdict]:
        if self._has("slow"):
            await asyncio.sleep(1)
        if self._has("lose"):
            raise CommitUnknownError("commit_unknown", "nothing arrived")
        if self._has("refuse"):
            return [Verdict.CONFLICT] * len(batch)
        verdicts = await super().commit(batch)
        if self._has("forget_to_answer"):
            raise CommitUnknownError("commit_unknown", "the answer got lost")
        return verdicts

    async def heads(self, execution_ids: Sequence[str]) -> dict[str, Head]:
        if "heads_down" in self._moods:
            raise StorageError("database_not_accessible", "the connection is broken")
        return await super().heads(execution_ids)

    async def workflow(self, workflow_id: str, version: str) -> StoredWorkflow | None:
        while f"slow to find {workflow_id}" in self._moods:
            await asyncio.sleep(0.01)
        return await super().workflow(workflow_id, version)

    async def pending(self, node_id: str, *, after: int, limit: int) -> list[Message]:
        if "deaf" in self._moods:
            raise StorageError("store_busy", "somebody else writes")
        if self._has("pending_fails"):
            raise StorageError("store_busy", "somebody else writes")
        return await super().pending(node_id, after=after, limit=limit)


class MoodyDisk(MemoryDisk):
    """``moods[0]`` are those of the first node's store, and so on."""

    def __init__(self) -> None:
        super().__init__()
        self.moods: list[set[str]] = []

    def store(self, lanes: LaneFactory, faults: Faults, *, die: Callable[[], None]) -> Store:
        self.moods.append(set())
        return MoodyStore(self.database, self.moods[-1])


class Stage:
    """A world without faults of its own, for one story."""

    def __init__(self) -> None:
        chance = Chance(1)
        self.disk = MoodyDisk()
        self.world = World(chance, self.disk, picker=UniformPicker(chance.fork("order")), functions=self._functions, faults=0.0)

    def _functions(self, node: SimNode) -> Mapping[str, Callable[..., Any]]:
        async def work(ctx: TaskContext, seconds: float) -> str:
            self.world.called(node, ctx.execution_id, task=int(ctx.task_id.rpartition("_")[2]), attempt=ctx.attempt)
            try:
                await asyncio.sleep(seconds)
            finally:
                node.running -= 1
            return "done"

        return {"work": work}

    def play(self, story: Callable[[], Awaitable[T]]) -> T:
        """Tell it; every promise that the audit knows holds meanwhile."""

        async def told() -> T:
            return await story()

        return self.world.loop.run(told())

    async def node(self, settings: NodeSettings = SETTINGS) -> SimNode:
        return await self.world.start(settings)

    async def ask(self, node: SimNode, work: Callable[[Engine], Awaitable[T]], *, timeout_s: float = 60.0) -> T:
        return await self.world.call(node, work, timeout_s=timeout_s)

    async def start(self, node: SimNode, *steps: Step) -> str:
        async def begin(engine: Engine) -> str:
            return (await engine.execute_workflow(Workflow(name="story", steps=steps))).id

        return await self.ask(node, begin)

    async def signal(self, node: SimNode, execution_id: str, tag: str) -> None:
        async def send(engine: Engine) -> None:
            await engine.signal(execution_id, "go", by=tag)

        await self.ask(node, send)
        self.world.audit.acknowledged("signal", tag, execution_id=execution_id)

    async def result(self, node: SimNode, execution_id: str) -> Result:
        async def wait(engine: Engine) -> Result:
            return await engine.wait_for_instance(execution_id)

        return await self.ask(node, wait)

    def count(self, name: str) -> int:
        return self.world.audit.event_counts[name]


def test_a_waiter_is_told_although_the_look_at_what_others_wrote_failed_once() -> None:
    stage = Stage()

    async def story() -> str:
        owner, other = await stage.node(), await stage.node()
        execution_id = await stage.start(owner, SECOND)
        waiting = asyncio.create_task(stage.result(other, execution_id))
        await asyncio.sleep(0.8)
        stage.disk.moods[1].add("pending_fails")
        return (await waiting).status

    assert stage.play(story) == "completed"
    assert stage.disk.moods[1] == set()


def test_an_owner_whose_append_was_refused_reads_the_execution_again_and_goes_on() -> None:
    stage = Stage()

    async def story() -> str:
        node = await stage.node()
        execution_id = await stage.start(node, SECOND)
        stage.disk.moods[0].add("refuse")
        return (await stage.result(node, execution_id)).status

    assert stage.play(story) == "completed"
    assert stage.count("TaskAttemptLost") == 1


def test_what_runs_for_a_state_that_is_dropped_is_stopped() -> None:
    stage = Stage()

    async def story() -> int:
        node = await stage.node()
        endless = Step(id="endless", type="function", config=ENDLESS, timeout_ms=3_000, on_error=OnError.CONTINUE)
        execution_id = await stage.start(node, SECOND, endless)
        stage.disk.moods[0].add("refuse")
        assert (await stage.result(node, execution_id)).status == "completed"
        return node.running

    assert stage.play(story) == 0
    assert stage.count("TaskAttemptLost") == 2


def test_a_step_that_had_its_condition_judged_before_a_crash_runs_after_it() -> None:
    stage = Stage()

    async def story() -> str:
        first = await stage.node(NodeSettings(concurrency=1))
        await stage.start(first, SECOND)
        waits_for_a_slot = await stage.start(first, msgspec.structs.replace(SECOND, when="true"))
        stage.world.crash(first)
        second = await stage.node()
        return (await stage.result(second, waits_for_a_slot)).status

    assert stage.play(story) == "completed"


def test_an_execution_is_parked_also_when_its_last_attempt_had_to_be_stopped() -> None:
    stage = Stage()

    async def story() -> tuple[str, str]:
        node = await stage.node()
        endless = Step(id="endless", type="function", config=ENDLESS, timeout_ms=1_000, on_error=OnError.CONTINUE)
        execution_id = await stage.start(node, PATIENT, endless)
        await asyncio.sleep(0.5)
        before = stage.world.audit.records[execution_id].summary.owner
        await asyncio.sleep(1.5)
        stage.world.audit.look()
        return before, stage.world.audit.records[execution_id].summary.owner

    before, after = stage.play(story)
    assert before.startswith("node_")
    assert after == ""


def test_a_node_that_begins_no_attempts_keeps_nothing_that_it_seized() -> None:
    stage = Stage()

    async def story() -> str:
        runner = await stage.node(NodeSettings(concurrency=1, together_poll_ms=5_000))
        control = await stage.node(msgspec.structs.replace(SETTINGS, can_run=False))
        await stage.start(runner, SECOND)
        execution_id = await stage.start(runner, SECOND)  # waits for a slot: nothing of it is lost
        stage.world.crash(runner)
        with pytest.raises(CommandRefusedError):
            await stage.ask(control, lambda engine: engine.resume_instance(execution_id))
        await stage.node()
        await asyncio.sleep(30)
        return stage.world.audit.records[execution_id].state.status

    assert stage.play(story) == "completed"


def test_a_node_that_seizes_what_it_remembers_from_before_reads_it_again() -> None:
    stage = Stage()

    async def story() -> str:
        first, second = await stage.node(), await stage.node()
        after = Step(id="after", type="function", config=SECOND.config, depends_on=("one",))
        execution_id = await stage.start(first, PATIENT, after)
        await stage.signal(second, execution_id, "go on")
        stage.world.crash(second)
        assert execution_id in first.engine.node.residents
        await asyncio.sleep(30)  # nobody asks for it: a node that does would look at the store
        return stage.world.audit.records[execution_id].state.status

    assert stage.play(story) == "completed"


def test_a_commit_whose_answer_got_lost_is_found_under_what_another_node_wrote_on_top_of_it() -> None:
    stage = Stage()

    async def story() -> None:
        first, second = await stage.node(), await stage.node()
        execution_id = await stage.start(first, PATIENT, PATIENT_TOO, PATIENT_THREE)
        stage.disk.moods[0].update({"forget_to_answer", "heads_down"})
        told = asyncio.create_task(stage.signal(first, execution_id, "one"))
        while stage.world.audit.times("signal", "one") == 0:
            await asyncio.sleep(0.01)
            stage.world.audit.look()
        await stage.signal(second, execution_id, "two")
        stage.disk.moods[0].discard("heads_down")
        await told

    stage.play(story)
    assert stage.count("SignalReceived") == 2


def test_two_nodes_that_do_the_same_in_the_same_moment_perform_it_once() -> None:
    stage = Stage()

    async def story() -> str:
        first, second = await stage.node(), await stage.node()
        first.environment.skew_ms = second.environment.skew_ms = 0
        later = Step(id="later", type="wait", config={"duration": "5s"})
        execution_id = await stage.start(first, later, msgspec.structs.replace(SECOND, depends_on=("later",)))
        with pytest.raises(CommandRefusedError):
            await stage.ask(second, lambda engine: engine.resume_instance(execution_id))
        assert execution_id in first.engine.node.residents
        assert execution_id in second.engine.node.residents
        stage.disk.moods[0].update({"lose", "heads_down"})
        await asyncio.sleep(10)
        assert "lose" not in stage.disk.moods[0]
        stage.disk.moods[0].discard("heads_down")
        await asyncio.sleep(10)
        return stage.world.audit.records[execution_id].state.status

    assert stage.play(story) == "completed"
    assert stage.count("TaskScheduled") == 1


def test_whoever_waits_for_an_engine_that_stops_is_told_so() -> None:
    stage = Stage()

    async def story() -> str:
        node = await stage.node()
        execution_id = await stage.start(node, PATIENT)
        waiting = asyncio.create_task(stage.result(node, execution_id))
        await asyncio.sleep(0.5)
        await stage.world.stop(node)
        try:
            await waiting
        except StorageError as error:
            return error.name
        return "a result"

    assert stage.play(story) == "engine_stopped"


@pytest.mark.parametrize("moods", [(), ("slow",)], ids=["performed", "still on its way to the store"])
def test_a_graceful_stop_gives_attempts_back_uncounted(moods: tuple[str, ...]) -> None:
    stage = Stage()

    async def story() -> str:
        first = await stage.node(NodeSettings(stop_grace_ms=0))
        stage.disk.moods[0].update(moods)
        starting = asyncio.create_task(stage.start(first, SECOND))
        await asyncio.sleep(0.5)
        await stage.world.stop(first)
        second = await stage.node()
        return (await stage.result(second, await starting)).status

    assert stage.play(story) == "completed"
    [record] = stage.world.audit.records.values()
    assert stage.count("TaskAttemptLost") == 1
    assert any(b'"is_counted":false' in body for body in record.bodies)


CALLS = Step(id="sub", type="workflow", config={"workflow": "called"})


async def deploy(stage: Stage, node: SimNode, *steps: Step) -> None:
    """The workflow that ``CALLS`` starts."""

    async def keep(engine: Engine) -> None:
        await engine.deploy(Workflow(name="called", steps=steps))

    await stage.ask(node, keep)


def child(stage: Stage) -> Record:
    """The execution that another one has started."""
    return next(record for record in stage.world.audit.records.values() if record.state.parent is not None)


async def born(stage: Stage) -> Record:
    while not any(record.state.parent is not None for record in stage.world.audit.records.values()):
        await asyncio.sleep(0.01)
    return child(stage)


def test_a_pause_through_another_node_is_true_when_the_child_has_it_too() -> None:
    stage = Stage()

    def hears_nothing_for_a_while(record: Record, event: ev.Event) -> None:
        if isinstance(event, ev.SubtreePaused) and record.state.parent is None:
            stage.disk.moods[0].add("deaf")
            asyncio.get_running_loop().call_later(2, stage.disk.moods[0].discard, "deaf")

    stage.world.audit.on_event = hears_nothing_for_a_while

    async def story() -> bool:
        owner, other = await stage.node(), await stage.node()
        long = Step(id="long", type="function", config={"function": "work", "params": {"seconds": 60}})
        await deploy(stage, owner, long)
        execution_id = await stage.start(owner, CALLS, long)
        record = await born(stage)
        await stage.ask(other, lambda engine: engine.pause_instance(execution_id, by="somebody"))
        return record.state.is_paused

    assert stage.play(story)
    assert stage.disk.moods[0] == set()


def test_a_pause_is_true_when_the_childs_own_child_has_it_too() -> None:
    stage = Stage()

    def hears_nothing_for_a_while(record: Record, event: ev.Event) -> None:
        parent = record.state.parent
        if isinstance(event, ev.SubtreePaused) and parent is not None and parent.depth == 1:
            stage.disk.moods[0].add("deaf")
            asyncio.get_running_loop().call_later(2, stage.disk.moods[0].discard, "deaf")

    stage.world.audit.on_event = hears_nothing_for_a_while

    async def story() -> list[bool]:
        node = await stage.node()
        await deploy(stage, node, PATIENT)
        middle = Workflow(name="middle", steps=(CALLS,))
        await stage.ask(node, lambda engine: engine.deploy(middle))
        execution_id = await stage.start(node, msgspec.structs.replace(CALLS, config={"workflow": "middle"}))
        while len(stage.world.audit.records) < 3:
            await asyncio.sleep(0.01)
        await stage.ask(node, lambda engine: engine.pause_instance(execution_id))
        return [record.state.is_paused for record in stage.world.audit.records.values()]

    assert stage.play(story) == [True] * 3


def test_a_letter_that_has_to_wait_keeps_those_behind_it() -> None:
    stage = Stage()

    async def story() -> bool:
        node = await stage.node()
        await deploy(stage, node, PATIENT)
        stage.disk.moods[0].add("heads_down")  # the child cannot begin
        execution_id = await stage.start(node, CALLS)
        pausing = asyncio.create_task(stage.ask(node, lambda engine: engine.pause_instance(execution_id)))
        await asyncio.sleep(0.3)
        stage.disk.moods[0].discard("heads_down")
        await pausing
        return child(stage).state.is_paused

    assert stage.play(story)


def test_controls_of_a_child_are_applied_in_the_order_in_which_its_parent_was_told() -> None:
    stage = Stage()

    async def story() -> list[str]:
        node = await stage.node()
        await deploy(stage, node, PATIENT)
        execution_id = await stage.start(node, CALLS)
        record = await born(stage)
        stage.disk.moods[0].add("deaf")
        asked = []
        for what in ("pause_instance", "resume_instance", "pause_instance"):
            asked.append(asyncio.create_task(stage.ask(node, lambda engine, what=what: getattr(engine, what)(execution_id))))
            await asyncio.sleep(0.1)
        assert not any(one.done() for one in asked)
        stage.disk.moods[0].discard("deaf")
        await asyncio.gather(*asked)
        return [type(decode_event(body)).__name__ for body in record.bodies][-3:]

    assert stage.play(story) == ["SubtreePaused", "SubtreeResumed", "SubtreePaused"]


def test_a_child_that_another_node_began_in_the_same_moment_is_left_as_it_is() -> None:
    stage = Stage()

    async def story() -> str:
        first, second = await stage.node(), await stage.node()
        await deploy(stage, second, PATIENT, msgspec.structs.replace(SECOND, depends_on=("one",)))
        stage.disk.moods[0].add("slow to find called")
        stage.disk.moods[1].add("deaf")
        execution_id = await stage.start(second, CALLS)
        await asyncio.sleep(0.5)  # the first one has begun to begin it
        stage.disk.moods[1].discard("deaf")
        record = await born(stage)
        await stage.signal(first, record.execution_id, "go on")
        stage.disk.moods[0].discard("slow to find called")
        return (await stage.result(second, execution_id)).status

    assert stage.play(story) == "completed"
    assert stage.count("TaskAttemptLost") == 0


def test_a_person_cannot_let_a_child_go_on_that_is_held_with_its_parent() -> None:
    stage = Stage()

    async def story() -> bool:
        node = await stage.node()
        await deploy(stage, node, PATIENT)
        execution_id = await stage.start(node, CALLS)
        record = await born(stage)
        await stage.ask(node, lambda engine: engine.pause_instance(execution_id, path="/sub/"))
        with pytest.raises(CommandRefusedError):
            await stage.ask(node, lambda engine: engine.resume_instance(record.execution_id))
        await stage.ask(node, lambda engine: engine.pause_instance(execution_id))
        await stage.ask(node, lambda engine: engine.resume_instance(execution_id, path="/sub/"))
        return record.state.is_paused

    assert stage.play(story)
