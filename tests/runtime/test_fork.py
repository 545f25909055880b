"""A fork as a program asks for it: another execution that goes on from what one has done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, Step, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.errors import ConflictError, NotFoundError, ValidationError
from taskengine.model.status import Status

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
CALLS: list[str] = []


def one(n: int) -> int:
    CALLS.append("one")
    return n


def two(n: int, k: int) -> int:
    CALLS.append("two")
    if n < 0:
        raise ValueError(n)
    return n * k


def workflow(version: str, **options: Any) -> Workflow:
    given = {"n": "{{ steps.one.output + input.n }}", "k": "{{ variables.k }}"}
    return Workflow(
        name="sum",
        version=version,
        steps=(
            Step(id="one", type="function", config={"function": "one", "params": {"n": "{{ input.n }}"}}),
            Step(id="two", type="function", config={"function": "two", "params": given}, depends_on=("one",)),
        ),
        variables={"k": 10},
        input_schema=SCHEMA,
        output="{{ steps.two.output }}",
        **options,
    )


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    CALLS.clear()
    return MemoryStore(MemoryDatabase()) if request.param == "memory" else tmp_path / "engine.db"


def make(store: Any) -> Engine:
    return Engine(store, functions={"one": one, "two": two})


async def test_a_fork_does_only_what_comes_after_and_may_have_another_input(store: Any) -> None:
    async with make(store) as engine:
        origin = await engine.execute_workflow(workflow("1"), params={"n": 1}, business_key="order-7", priority=8)
        assert (await origin.result(timeout=10)).output == 20
        CALLS.clear()
        fork = await engine.fork(origin.id, "/two/")
        assert (await fork.result(timeout=10)).output == 20
        assert CALLS == ["two"]
        assert (await (await engine.fork(origin.id, "/two/", input={"n": 4})).result(timeout=10)).output == 50
        assert (await (await engine.fork(origin.id, "/two/", variables={"k": 2})).result(timeout=10)).output == 4
        assert (await (await engine.fork(fork.id, "/", input={"n": 3})).result(timeout=10)).output == 60
        row = await engine.get_instance(fork.id)
        assert (row.business_key, row.priority) == ("order-7", 8)
        assert (await engine.get_instance(origin.id)).status == "completed"


async def test_a_fork_of_what_failed_may_run_a_newer_version(store: Any) -> None:
    async with make(store) as engine:
        origin = await engine.execute_workflow(workflow("1"), params={"n": -1})
        assert (await origin.result(timeout=10)).status is Status.FAILED
        newer = workflow("2")
        repaired = Step(id="two", type="function", config={"function": "one", "params": {"n": 5}}, depends_on=("one",))
        await engine.deploy(Workflow(**{**_fields(newer), "steps": (newer.steps[0], repaired)}))
        for version in ("2", "latest"):
            fork = await engine.fork(origin.id, "/two/", version=version)
            assert (await fork.result(timeout=10)).output == 5
        with pytest.raises(NotFoundError, match='version "3"'):
            await engine.fork(origin.id, "/two/", version="3")


def _fields(workflow: Workflow) -> dict[str, Any]:
    return {name: getattr(workflow, name) for name in workflow.__struct_fields__}


async def test_what_does_not_fit_is_refused_before_anything_is_started(store: Any) -> None:
    async with make(store) as engine:
        origin = await engine.execute_workflow(workflow("1"), params={"n": 1})
        await origin.result(timeout=10)
        with pytest.raises(ValidationError):
            await engine.fork(origin.id, "/two/", input={"n": "three"})
        with pytest.raises(ConflictError, match="declares no variable"):
            await engine.fork(origin.id, "/two/", variables={"q": 2})
        with pytest.raises(NotFoundError):
            await engine.fork(origin.id, "/three/")
        with pytest.raises(NotFoundError):
            await engine.fork("ex_0", "/two/")
        assert await engine.store.count(_every()) == 1


def _every() -> Any:
    from taskengine.ports.store import ExecutionFilter

    return ExecutionFilter()


async def test_a_fork_that_is_asked_for_twice_is_one(store: Any) -> None:
    async with make(store) as engine:
        origin = await engine.execute_workflow(workflow("1"), params={"n": 1})
        await origin.result(timeout=10)
        first = await engine.fork(origin.id, "/two/", idempotency_key="once")
        again = await engine.fork(origin.id, "/two/", idempotency_key="once")
        assert first.id == again.id
        assert await engine.store.count(_every()) == 2


async def test_a_fork_survives_its_process_and_knows_where_it_comes_from(store: Any, tmp_path: Path) -> None:
    from taskengine.app.inspect import Inspector

    async with make(store) as engine:
        origin = await engine.execute_workflow(workflow("1"), params={"n": 1})
        await origin.result(timeout=10)
        fork = await engine.fork(origin.id, "/two/")
        await fork.result(timeout=10)
        inspector = Inspector(engine.store, engine.node.environment)
        view = (await inspector.whole(fork.id)).view
        assert (view.forked_from, view.forked_at) == (origin.id, "/two/")
        row = await inspector.find(fork.id)
        events = [event async for event in inspector.events(row, after=1, limit=1)]
        assert (events[0].type, events[0].step_id, events[0].data["origin"]) == ("ExecutionForked", "two", origin.id)
        assert events[0].data["tasks"] == [{"task": f"{fork.id.replace('ex_', 'task_')}_1", "status": "completed", "output": 1}]
        detail = await inspector.task(fork.id, "/one/")
        assert detail.output == 1


async def test_a_fork_has_the_variables_that_steps_have_made_which_it_takes_over(store: Any) -> None:
    made = Step(id="made", type="set", config={"a": 11, "b": 5})
    last = Step(id="last", type="set", config={"a": "{{ variables.a * 2 }}"}, depends_on=("made",))
    sets = Workflow(name="sets", steps=(made, last), output={"a": "{{ variables.a }}", "b": "{{ variables.b }}"})
    async with make(store) as engine:
        origin = await engine.execute_workflow(sets)
        assert (await origin.result(timeout=10)).output == {"a": 22, "b": 5}
        fork = await engine.fork(origin.id, "/last/")
        assert (await fork.result(timeout=10)).output == {"a": 22, "b": 5}


async def test_a_path_that_is_no_text_is_refused_by_name(store: Any) -> None:
    async with make(store) as engine:
        origin = await engine.execute_workflow(workflow("1"), params={"n": 1})
        for path in (None, 7):
            with pytest.raises(ValidationError, match="path must be text"):
                await engine.fork(origin.id, path)  # type: ignore[arg-type]
            with pytest.raises(ValidationError, match="path must be text"):
                await engine.decide(origin.id, path)  # type: ignore[arg-type]
