"""Which version of a workflow a step starts that does not say which: the latest one when its own execution began."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, Step, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.model.status import Status
from taskengine.model.workflow import Block
from taskengine.ports.store import ExecutionFilter, StoredWorkflow


def child(version: str, *, name: str = "child") -> Workflow:
    """Waits to be told to go on, then says which version it is; it fails when it is told a word."""
    steps = (
        Step(id="w", type="wait", config={"signal": "go"}),
        Step(id="stop", type="fail", config={"message": "no"}, depends_on=("w",), when="steps.w.output == 'stop'"),
    )
    return Workflow(name=name, version=version, steps=steps, output=version)


def calls(workflow: str = "child", *, step: str = "sub", depends_on: tuple[str, ...] = (), **config: Any) -> Step:
    return Step(id=step, type="workflow", config={"workflow": workflow, **config}, depends_on=depends_on)


def parent(*steps: Step, name: str = "parent", version: str = "1") -> Workflow:
    return Workflow(name=name, version=version, steps=steps, output={one.id: f"{{{{ steps.{one.id}.output }}}}" for one in steps})


def each(kind: str, *steps: Step) -> Step:
    return Step(id="each", type=kind, config={"items": [1, 2, 3], "max_concurrency": 1}, blocks=(Block(steps=steps),))


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryStore(MemoryDatabase()) if request.param == "memory" else tmp_path / "engine.db"


class World:
    """An engine, and the children that have begun there."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.told: set[str] = set()

    async def rows(self, name: str = "child") -> list[Any]:
        found = await self.engine.store.executions(ExecutionFilter(), limit=100)
        return [row for row in reversed(found) if (await self._name(row.workflow_id)) == name]

    async def _name(self, workflow_id: str) -> str:
        stored = await self.engine.store.workflow(workflow_id, "")
        assert stored is not None
        return stored.name

    async def versions(self, name: str = "child") -> list[str]:
        return [row.workflow_version for row in await self.rows(name)]

    async def begun(self, name: str = "child") -> str:
        """The next child, as soon as it is there."""
        async with asyncio.timeout(10):
            while True:
                fresh = [row.execution_id for row in await self.rows(name) if row.execution_id not in self.told]
                if fresh:
                    return fresh[0]
                await asyncio.sleep(0)

    async def tell(self, word: str = "go", *, name: str = "child") -> str:
        """Tell the next child to end; which one it was."""
        execution_id = await self.begun(name)
        self.told.add(execution_id)
        await self.engine.signal(execution_id, "go", data=word)
        return execution_id


@pytest.mark.parametrize("kind", ["map", "loop"])
async def test_all_children_of_a_map_have_the_version_that_the_first_one_has(store: Any, kind: str) -> None:
    async with Engine(store) as engine:
        world = World(engine)
        await engine.deploy(child("1"))
        execution = await engine.execute_workflow(parent(each(kind, calls())))
        for version in ("2", "3", "4"):
            await world.begun()
            await engine.deploy(child(version))
            await world.tell()
        assert (await execution.result(timeout=10)).output == {"each": ["1", "1", "1"]}
        assert await world.versions() == ["1", "1", "1"]
        await engine.execute_workflow("parent")
        await world.begun()
        assert await world.versions() == ["1", "1", "1", "4"]


async def test_a_new_round_in_another_process_runs_the_version_of_the_start(store: Any) -> None:
    async with Engine(store) as engine:
        await engine.deploy(child("1"))
        execution = await engine.execute_workflow(parent(calls()))
        await World(engine).tell("stop")
        assert (await execution.result(timeout=10)).status is Status.FAILED
        await engine.deploy(child("2"))
    async with Engine(store) as engine:
        world = World(engine)
        world.told.update(row.execution_id for row in await world.rows())
        await engine.retry_instance(execution.id)
        await world.tell()
        assert (await engine.wait_for_instance(execution.id, timeout=10)).output == {"sub": "1"}
        assert await world.versions() == ["1", "1"]


async def test_a_fork_keeps_the_versions_of_its_origin_unless_it_runs_another_version_itself(store: Any) -> None:
    async with Engine(store) as engine:
        world = World(engine)
        await engine.deploy(child("1"))
        origin = await engine.execute_workflow(parent(calls()))
        await world.tell()
        assert (await origin.result(timeout=10)).output == {"sub": "1"}
        await engine.deploy(child("2"))
        forks = [await engine.fork(origin.id, "/"), await engine.fork(origin.id, "/sub/", version="latest")]
        await engine.deploy(parent(calls(), version="2"))
        forks += [await engine.fork(forks[0].id, "/sub/"), await engine.fork(origin.id, "/sub/", version="latest")]
        for _ in forks:
            await world.tell()
        assert [(await fork.result(timeout=10)).output for fork in forks] == [{"sub": version} for version in ("1", "1", "1", "2")]


async def test_what_undoes_has_the_version_of_the_start(store: Any) -> None:
    undone = Step(id="done", type="noop", compensate=Step(id="", type="workflow", config={"workflow": "child"}))
    async with Engine(store) as engine:
        world = World(engine)
        await engine.deploy(child("1"))
        execution = await engine.execute_workflow(
            parent(undone, Step(id="w", type="wait", config={"signal": "never"}, depends_on=("done",)))
        )
        await engine.deploy(child("2"))
        await engine.cancel_instance(execution.id, compensate=True)
        await world.tell()
        assert (await execution.result(timeout=10)).status is Status.CANCELLED
        assert await world.versions() == ["1"]


async def test_a_child_that_goes_on_starts_what_was_the_latest_when_it_began(store: Any) -> None:
    async with Engine(store) as engine:
        world = World(engine)
        await engine.deploy(child("1"))
        middle = parent(Step(id="w", type="wait", config={"signal": "go"}), calls(depends_on=("w",)), name="middle")
        await engine.deploy(middle)
        execution = await engine.execute_workflow(parent(each("map", calls("middle"))))
        for version in ("2", "3", "4"):
            await world.begun("middle")
            await engine.deploy(child(version))
            await world.tell(name="middle")
            await world.tell()
        await execution.result(timeout=10)
        assert await world.versions() == ["1", "2", "3"]


async def test_what_is_not_there_yet_and_what_a_template_names_is_the_latest_when_it_begins(
    store: Any,
) -> None:
    first = Step(id="w", type="wait", config={"signal": "go"})
    async with Engine(store) as engine:
        world = World(engine)
        await engine.deploy(child("1", name="known"))
        named = calls("{{ 'known' }}", step="named", depends_on=("w",))
        execution = await engine.execute_workflow(parent(first, named, calls("late", depends_on=("w",))))
        for name in ("known", "late"):
            await engine.deploy(child("2", name=name))
        await engine.signal(execution.id, "go")
        assert [await world.tell(name=name) for name in ("known", "late")]
        assert (await execution.result(timeout=10)).output == {"w": None, "named": "2", "sub": "2"}


async def test_a_version_that_is_named_and_a_workflow_that_is_named_by_its_id(store: Any) -> None:
    async with Engine(store) as engine:
        world = World(engine)
        stored = await engine.deploy(child("1"))
        first = Step(id="w", type="wait", config={"signal": "go"})
        by_id = calls(stored.workflow_id, step="by_id", depends_on=("w",))
        execution = await engine.execute_workflow(parent(first, by_id, calls(version="2", depends_on=("w",))))
        await engine.deploy(child("2"))
        await engine.signal(execution.id, "go")
        await world.tell()
        await world.tell()
        assert (await execution.result(timeout=10)).output == {"w": None, "by_id": "1", "sub": "2"}


class Counting(MemoryStore):
    """Notes whose latest version is looked up."""

    def __init__(self) -> None:
        super().__init__(MemoryDatabase())
        self.looked_up: list[str] = []

    async def workflow(self, workflow_id: str, version: str) -> StoredWorkflow | None:
        self.looked_up += [] if version else [workflow_id]
        return await super().workflow(workflow_id, version)


async def test_only_workflows_that_start_others_look_for_versions_and_many_starts_look_once() -> None:
    counting = Counting()
    async with Engine(counting) as engine:
        world = World(engine)
        await engine.deploy(child("1"))
        plain = await engine.deploy(parent(Step(id="a", type="noop"), calls(version="1", depends_on=("a",)), name="plain"))
        starting = await engine.deploy(parent(calls(detach=True), calls(step="again", detach=True)))
        counting.looked_up.clear()
        begun = [await engine.execute_workflow(plain), *await engine.begin_many(plain, [{}, {}])]
        assert counting.looked_up == []
        begun += await engine.begin_many(starting, [{}, {}, {}])
        assert counting.looked_up == ["child"]
        for _ in range(len(begun[:3]) + 2 * len(begun[3:])):
            await world.tell()
        assert {(await execution.result(timeout=10)).status for execution in begun} == {Status.COMPLETED}
