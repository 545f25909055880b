"""The engine as a program embeds it, on the memory store and on SQLite: what callers are promised."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from taskengine import Engine, NodeSettings, RetryPolicy, Step, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.errors import CommandRefusedError, ConflictError, NotFoundError, OverloadedError, StorageError
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import Block
from taskengine.runtime.residency import whole_history


async def double(number: int) -> int:
    return 2 * number


def add(left: int, right: int) -> int:
    return left + right


def function(step_id: str, name: str, *depends_on: str, **params: Any) -> Step:
    return Step(id=step_id, type="function", config={"function": name, "params": params}, depends_on=depends_on)


SUM = Workflow(
    name="sum",
    steps=(
        function("a", "double", number="{{ input.number }}"),
        function("b", "double", "a", number="{{ steps.a.output }}"),
        function("c", "add", "a", "b", left="{{ steps.a.output }}", right="{{ steps.b.output }}"),
    ),
    output={"sum": "{{ steps.c.output }}"},
)
WAITING = Workflow(name="waiting", steps=(Step(id="go", type="wait", config={"signal": "go"}),), output="{{ steps.go.output }}")


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryStore(MemoryDatabase()) if request.param == "memory" else tmp_path / "engine.db"


def make(store: Any, *, settings: NodeSettings | None = None, **functions: Callable[..., Any]) -> Engine:
    return Engine(store, functions={"double": double, "add": add, **functions}, settings=settings)


async def types_of(engine: Engine, execution_id: str) -> list[str]:
    from taskengine.model.codec import type_of

    return [type_of(body) for body in await whole_history(engine.store, execution_id)]


async def test_async_and_plain_functions_pass_values_of_their_type(store: Any) -> None:
    async with make(store) as engine:
        result = await (await engine.execute_workflow(SUM, params={"number": 3})).result(timeout=10)
        assert (result.status, result.output) == (Status.COMPLETED, {"sum": 18})


async def test_a_chain_writes_its_completion_and_the_next_start_in_one_append(store: Any) -> None:
    async with make(store) as engine:
        execution = await engine.execute_workflow(SUM, params={"number": 1})
        await execution.result(timeout=10)
        commits = engine.node.commit.commits
        assert commits <= 4, f"three steps in a row took {commits} commits"
        assert await types_of(engine, execution.id) == [
            "ExecutionStarted",
            *["TaskScheduled", "TaskCompleted"] * 3,
            "ExecutionCompleted",
        ]


async def test_an_idempotency_key_gives_the_earlier_execution(store: Any) -> None:
    async with make(store) as engine:
        started = await asyncio.gather(
            *(engine.execute_workflow(SUM, params={"number": n}, idempotency_key="order-7") for n in range(5))
        )
        again = await engine.execute_workflow(SUM, params={"number": 9}, idempotency_key="order-7")
        assert len({one.id for one in (*started, again)}) == 1
        assert (await again.result(timeout=10)).status is Status.COMPLETED


async def test_a_repeated_signal_id_is_taken_once(store: Any) -> None:
    two = Workflow(
        name="two",
        steps=(
            Step(id="first", type="wait", config={"signal": "go"}),
            Step(id="second", type="wait", config={"signal": "go"}, depends_on=("first",)),
        ),
        output=["{{ steps.first.output }}", "{{ steps.second.output }}"],
    )
    async with make(store) as engine:
        execution = await engine.execute_workflow(two)
        for _ in range(3):
            await engine.signal(execution.id, "go", data=1, signal_id="same")
        await engine.signal(execution.id, "go", data=2, signal_id="other")
        assert (await execution.result(timeout=10)).output == [1, 2]


async def test_what_is_paused_starts_nothing_until_it_is_resumed(store: Any) -> None:
    gate = asyncio.Event()

    async def gated(number: int) -> int:
        await gate.wait()
        return number

    workflow = Workflow(name="gated", steps=(function("a", "gated", number=1), function("b", "double", "a", number=2)))
    async with make(store, gated=gated) as engine:
        execution = await engine.execute_workflow(workflow)
        await engine.pause_instance(execution.id, by="ada", reason="look")
        gate.set()
        while "TaskCompleted" not in await types_of(engine, execution.id):
            await asyncio.sleep(0)
        assert (await types_of(engine, execution.id)).count("TaskScheduled") == 1
        with pytest.raises(CommandRefusedError, match="paused already"):
            await engine.pause_instance(execution.id)
        await engine.resume_instance(execution.id)
        assert (await execution.result(timeout=10)).status is Status.COMPLETED


async def test_cancel_stops_an_async_function_and_ends_cancelled(store: Any) -> None:
    stopped: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("yes")

    workflow = Workflow(name="forever", steps=(function("a", "forever"), function("b", "double", "a", number=1)))
    async with make(store, forever=forever) as engine:
        execution = await engine.execute_workflow(workflow)
        while not engine.node.attempts:
            await asyncio.sleep(0)
        await engine.cancel_instance(execution.id)
        result = await execution.result(timeout=10)
        assert (result.status, result.outcome, stopped) == (Status.CANCELLED, None, ["yes"])
        assert not engine.node.attempts
        assert engine.node.admission.free == engine.node.admission.slots


async def test_terminate_ends_at_once_and_frees_the_slot(store: Any) -> None:
    async def stubborn() -> str:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "I end when I like"

    async with make(store, stubborn=stubborn) as engine:
        execution = await engine.execute_workflow(Workflow(name="s", steps=(function("a", "stubborn"),)))
        while not engine.node.attempts:
            await asyncio.sleep(0)
        await engine.terminate_instance(execution.id)
        result = await execution.result(timeout=10)
        assert (result.status, result.outcome) == (Status.CANCELLED, Outcome.TERMINATED)


async def test_a_failed_execution_is_retried_by_a_person_with_its_first_input(store: Any) -> None:
    seen: list[int] = []

    async def fails_once(number: int) -> int:
        seen.append(number)
        if len(seen) == 1:
            raise LookupError("not yet")
        return number

    steps = (function("a", "fails_once", number="{{ input.n }}"), function("b", "double", "a", number=4))
    workflow = Workflow(name="again", steps=steps)
    async with make(store, fails_once=fails_once) as engine:
        execution = await engine.execute_workflow(workflow, params={"n": 5})
        failed = await execution.result(timeout=10)
        assert (failed.status, failed.error and failed.error.type) == (Status.FAILED, "LookupError")
        await engine.retry_instance(execution.id, by="ada")
        assert (await execution.result(timeout=10)).status is Status.COMPLETED
        assert seen == [5, 5]


async def test_retries_follow_the_policy_and_name_the_last_error(store: Any) -> None:
    calls: list[int] = []

    async def broken() -> None:
        calls.append(1)
        raise ConnectionResetError("gone")

    policy = RetryPolicy(max_attempts=3, initial_interval_ms=1)
    steps = (Step(id="a", type="function", config={"function": "broken"}, retry=policy),)
    async with make(store, broken=broken) as engine:
        result = await (await engine.execute_workflow(Workflow(name="r", steps=steps))).result(timeout=10)
        assert len(calls) == 3
        assert result.error is not None
        assert result.error.type == "ConnectionResetError"
        assert "ConnectionError" in result.error.bases


async def test_an_attempt_timeout_cancels_the_function(store: Any) -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    steps = (Step(id="a", type="function", config={"function": "slow"}, timeout_ms=20),)
    async with make(store, slow=slow) as engine:
        result = await (await engine.execute_workflow(Workflow(name="t", steps=steps))).result(timeout=10)
        assert (result.status, result.outcome, result.error and result.error.type) == (Status.FAILED, Outcome.TIMED_OUT, "Timeout")


async def test_unknown_things_are_named(store: Any) -> None:
    async with make(store) as engine:
        with pytest.raises(NotFoundError, match='no workflow "nothing"'):
            await engine.execute_workflow("nothing")
        with pytest.raises(NotFoundError, match="no execution ex_0"):
            await engine.cancel_instance("ex_0")
        with pytest.raises(NotFoundError, match='did you mean "double"'):
            await engine.execute_workflow(Workflow(name="x", steps=(function("a", "duoble"),)))
        execution = await engine.execute_workflow(WAITING)
        with pytest.raises(NotFoundError, match="no task /gone/"):
            await engine.pause_instance(execution.id, path="/gone/")


async def test_the_same_label_with_other_content_is_a_conflict(store: Any) -> None:
    async with make(store) as engine:
        await engine.deploy(Workflow(name="v", version="1", steps=(function("a", "double", number=1),)))
        await engine.deploy(Workflow(name="v", version="1", steps=(function("a", "double", number=1),)))
        with pytest.raises(ConflictError) as refused:
            await engine.deploy(Workflow(name="v", version="1", steps=(function("a", "double", number=2),)))
        assert refused.value.name == "version_exists"


async def test_starts_beyond_the_bound_are_refused_and_accepted_ones_finish(store: Any) -> None:
    settings = NodeSettings(max_residents=3)
    async with make(store, settings=settings) as engine:
        waiting = [await engine.execute_workflow(WAITING) for _ in range(3)]
        with pytest.raises(OverloadedError, match="3 allowed"):
            await engine.execute_workflow(WAITING)
        for one in waiting:
            await engine.signal(one.id, "go", data="x")
            assert (await one.result(timeout=10)).output == "x"
        assert await engine.execute_workflow(WAITING)


async def test_a_graceful_stop_gives_attempts_back_and_the_next_engine_goes_on(tmp_path: Path) -> None:
    async def hangs(number: int) -> int:
        await asyncio.Event().wait()
        return number

    workflow = Workflow(name="handed-on", steps=(function("a", "work", number=21),), output="{{ steps.a.output }}")
    path = tmp_path / "engine.db"
    async with make(path, work=hangs, settings=NodeSettings(stop_grace_ms=0)) as first:
        execution = await first.execute_workflow(workflow)
        while not first.node.attempts:
            await asyncio.sleep(0)
    async with make(path, work=double) as second:
        result = await second.wait_for_instance(execution.id, timeout=10)
        assert result.output == 42
        history = await types_of(second, execution.id)
        assert history == [
            "ExecutionStarted",
            *["TaskScheduled", "TaskAttemptLost"],
            *["TaskScheduled", "TaskCompleted"],
            "ExecutionCompleted",
        ]


async def test_parked_executions_leave_memory_and_come_back_for_their_signal(store: Any) -> None:
    settings = NodeSettings(cache=0, park_snapshot_after=1)
    async with make(store, settings=settings) as engine:
        waiting = [await engine.execute_workflow(WAITING) for _ in range(20)]
        while engine.node.residents:
            await asyncio.sleep(0)
        for index, one in enumerate(waiting):
            await engine.signal(one.id, "go", data=index)
        assert [(await one.result(timeout=10)).output for one in waiting] == list(range(20))


async def test_an_engine_without_the_functions_leaves_an_execution_for_one_that_has_them(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    workflow = Workflow(
        name="elsewhere",
        steps=(Step(id="go", type="wait", config={"signal": "go"}), function("a", "special", "go", number=2)),
        output="{{ steps.a.output }}",
    )
    async with make(path, special=double) as able:
        execution = await able.execute_workflow(workflow)
    async with make(path) as unable, make(path, special=double) as able:
        with pytest.raises(NotFoundError, match="special"):
            await unable.execute_workflow("elsewhere")
        await able.signal(execution.id, "go")
        assert (await able.wait_for_instance(execution.id, timeout=10)).output == 4


def test_the_synchronous_form_needs_no_loop(tmp_path: Path) -> None:
    with make(tmp_path / "engine.db") as engine:
        execution = engine.execute_workflow(SUM, params={"number": 2})
        assert execution.result(timeout=10).output == {"sum": 12}
        with pytest.raises(NotFoundError):
            engine.cancel_instance("ex_nothing")


def of(function: str, **params: str) -> Step:
    return Step(id="" if params else "inner", type="function", config={"function": function, "params": params})


@pytest.mark.parametrize(
    ("inner", "refusal"),
    [
        (of("nowhere"), "function_not_found"),
        (msgspec.structs.replace(of("shell_command"), compensate=of("nowhere", x="")), "function_not_found"),
        (msgspec.structs.replace(of("shell_command"), compensate=of("shell_command", x="{{ secrets.lost }}")), "secret_not_found"),
    ],
    ids=["a function", "a compensation", "a secret of a compensation"],
)
async def test_what_steps_inside_of_others_need_is_looked_for_before_anything_starts(inner: Step, refusal: str) -> None:
    outer = Step(id="each", type="map", config={"items": [1]}, blocks=(Block(steps=(inner,)),))
    async with Engine(":memory:", builtins=("shell_command",)) as engine:
        with pytest.raises(NotFoundError) as refused:
            await engine.execute_workflow(Workflow(name="deep", steps=(outer,)))
    assert refused.value.name == refusal


async def test_built_in_functions_exist_only_when_they_are_named(tmp_path: Path) -> None:
    step = Step(id="say", type="function", config={"function": "shell_command", "params": {"command": ["echo", "hello"]}})
    workflow = Workflow(name="say", steps=(step,), output="{{ steps.say.output.stdout }}")
    async with Engine(tmp_path / "a.db", builtins=("shell_command",)) as engine:
        result = await (await engine.execute_workflow(workflow)).result(timeout=20)
    assert result.output == "hello\n"
    async with Engine(tmp_path / "b.db") as engine:
        with pytest.raises(NotFoundError) as refused:
            await engine.execute_workflow(workflow)
    assert refused.value.name == "function_not_found"
    with pytest.raises(NotFoundError) as unknown:
        Engine(":memory:", builtins=("rm",))
    assert unknown.value.name == "builtin_not_found"


async def test_a_start_that_fails_leaves_the_store_closed() -> None:
    class Unjoinable(MemoryStore):
        async def join(self, node_id: str, *, now: int) -> None:
            raise ConflictError("no", "not here")

    store = Unjoinable(MemoryDatabase())
    with pytest.raises(ConflictError):
        await Engine(store).start()
    with pytest.raises(StorageError):
        await store.workflows(limit=1)
