"""What one execution, one function or one broken call does to the others: nothing."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, NodeSettings, Step, Workflow
from taskengine.adapters.function.threads import Threads
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.adapters.sqlite.locks import NodeLocks
from taskengine.errors import (
    CommandRefusedError,
    DefinitionError,
    ExpressionError,
    LimitError,
    NotFoundError,
    StorageError,
    ValidationError,
)
from taskengine.model.status import Status
from taskengine.model.workflow import Limits, RetryPolicy

GOOD = Workflow(name="good", steps=(Step(id="a", type="function", config={"function": "good"}),))
BAD = Workflow(name="bad", steps=(Step(id="a", type="function", config={"function": "bad"}),))
WAITING = Workflow(name="waiting", steps=(Step(id="go", type="wait", config={"signal": "go"}),))


def make(store: Any = ":memory:", *, settings: NodeSettings | None = None, bad: Callable[..., Any] | None = None) -> Engine:
    return Engine(store, functions={"good": lambda: 1, **({"bad": bad} if bad else {})}, settings=settings)


async def assert_works(engine: Engine) -> None:
    result = await (await engine.execute_workflow(GOOD)).result(timeout=10)
    assert result.status is Status.COMPLETED


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


def raise_what_json_cannot_hold() -> None:
    raise ValueError("the file " + os.fsdecode(b"\xff.csv"))


def raise_what_cannot_be_told() -> None:
    raise MuteError


async def let_a_cancellation_through() -> None:
    raise asyncio.CancelledError


async def leave_the_program() -> None:
    sys.exit(3)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        pytest.param(raise_what_json_cannot_hold, "ValueError", id="text that JSON cannot hold"),
        pytest.param(raise_what_cannot_be_told, "MuteError", id="an error without a text"),
        pytest.param(let_a_cancellation_through, "CancelledError", id="a cancellation that nobody asked for"),
        pytest.param(leave_the_program, "SystemExit", id="exit in the loop"),
    ],
)
async def test_whatever_a_function_raises_is_its_own_failure(bad: Any, kind: str) -> None:
    async with make(bad=bad) as engine:
        result = await (await engine.execute_workflow(BAD)).result(timeout=10)
        assert result.error is not None
        assert (result.status, result.error.type) == (Status.FAILED, kind)
        await assert_works(engine)
        assert engine.node.admission.free == engine.node.admission.slots


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


async def test_what_is_nested_too_deep_to_be_read_back_is_refused_before_it_is_written() -> None:
    async with make(settings=NodeSettings(max_nesting=8), bad=lambda: nested(9)) as engine:
        result = await (await engine.execute_workflow(BAD)).result(timeout=10)
        assert result.error is not None
        assert result.error.type == "PayloadTooDeep"
        with pytest.raises(LimitError, match="nested deeper than 8"):
            await engine.execute_workflow(GOOD, params={"value": nested(8)})
        assert (await engine.execute_workflow(GOOD, params={"value": ["[" * 100, nested(6)]})).id  # brackets in a text nest nothing


async def test_an_input_above_the_payload_limit_is_refused() -> None:
    async with make(settings=NodeSettings(max_payload=100)) as engine:
        with pytest.raises(LimitError, match="100 are allowed"):
            await engine.execute_workflow(GOOD, params={"text": "x" * 100})


async def test_a_call_that_cannot_be_written_down_leaves_nothing_behind() -> None:
    async with make() as engine:
        with pytest.raises(ValidationError, match="lone surrogate"):
            await engine.execute_workflow(GOOD, business_key="\ud800")
        with pytest.raises(CommandRefusedError, match="0 to 9"):
            await engine.execute_workflow(GOOD, priority=1 << 63)
        waiting = await engine.execute_workflow(WAITING)
        with pytest.raises(ValidationError, match="lone surrogate"):
            await engine.pause_instance(waiting.id, reason="\ud800")
        await engine.signal(waiting.id, "go")
        assert (await waiting.result(timeout=10)).status is Status.COMPLETED
        await assert_works(engine)
        assert not engine.node.residents


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(Workflow(name="good", steps=(Step(id="a", type="noop", when="1 +"),)), id="expression"),
        pytest.param(Workflow(name="good", steps=(Step(id="a", type="noop", depends_on=("a",)),)), id="cycle"),
        pytest.param(Workflow(name="good", limits=Limits(max_concurrency=0)), id="no room"),
        pytest.param(Workflow(name="good", limits=Limits(priority=10)), id="priority"),
        pytest.param(Workflow(name="good", steps=(Step(id="a", type="noop", timeout_ms=-1),)), id="time"),
        pytest.param(Workflow(name="good", steps=(Step(id="a", type="noop", retry=RetryPolicy(max_attempts=0)),)), id="attempts"),
    ],
)
async def test_a_workflow_that_cannot_run_does_not_become_the_latest_version(broken: Workflow) -> None:
    async with make() as engine:
        await engine.deploy(GOOD)
        with pytest.raises((DefinitionError, ExpressionError)):
            await engine.deploy(broken)
        assert (await engine.execute_workflow("good")).id


async def test_a_step_without_a_function_is_named() -> None:
    async with make() as engine:
        with pytest.raises(DefinitionError, match='needs the key "function"'):
            await engine.execute_workflow(Workflow(name="none", steps=(Step(id="a", type="function"),)))


async def test_a_refusal_is_never_from_a_state_that_another_node_has_changed() -> None:
    database = MemoryDatabase()
    async with make(MemoryStore(database)) as here, make(MemoryStore(database)) as there:
        waiting = await here.execute_workflow(WAITING)
        await there.pause_instance(waiting.id)
        await here.resume_instance(waiting.id)
        await there.pause_instance(waiting.id)
        with pytest.raises(CommandRefusedError, match="paused already"):
            await here.pause_instance(waiting.id)


async def test_only_a_whole_id_is_an_execution() -> None:
    async with make() as engine:
        first, _ = await engine.execute_workflow(WAITING), await engine.execute_workflow(WAITING)
        assert (await engine.get_instance(first.id)).execution_id == first.id
        for part in ("", "ex_", first.id[:-1], first.id[3:]):
            with pytest.raises(NotFoundError):
                await engine.get_instance(part)


async def test_a_stop_that_is_cancelled_holds_nothing_any_more(tmp_path: Path) -> None:
    started = asyncio.Event()

    async def bad() -> None:
        started.set()
        await asyncio.Event().wait()

    engine = make(tmp_path / "engine.db", bad=bad)
    await engine.start()
    await engine.execute_workflow(BAD)
    await started.wait()
    stopping = asyncio.ensure_future(engine.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    with pytest.raises(StorageError, match="not open"):
        await engine.store.heads(())


def test_a_lock_that_cannot_be_looked_at_is_an_error_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        NodeLocks(tmp_path / ("x" * 250)).take("node_a")


def test_a_forked_child_does_not_keep_its_dead_parent_alive(tmp_path: Path) -> None:
    locks, others = NodeLocks(tmp_path / "engine.db"), NodeLocks(tmp_path / "engine.db")
    locks.take("node_a")
    is_ready, may_end = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(is_ready[1], b"1")
        os.read(may_end[0], 1)
        os._exit(0)
    try:
        os.read(is_ready[0], 1)
        assert not others.is_dead("node_a")  # the child let go of its copy only
        locks.close()  # what the parent's death does
        assert others.is_dead("node_a")
    finally:
        os.write(may_end[1], b"1")
        os.waitpid(child, 0)
        for end in (*is_ready, *may_end):
            os.close(end)


def test_work_after_a_restart_waits_for_no_thread_from_before() -> None:
    threads, gate = Threads("test"), threading.Event()
    hangs, done = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        gate.wait()

    threads.run(hang)
    assert hangs.wait(10)
    threads.close()
    threads.run(done.set)
    try:
        assert done.wait(10)
    finally:
        gate.set()
        threads.close()
