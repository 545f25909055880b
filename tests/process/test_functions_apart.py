"""Functions in processes of their own: what they get and say, that they can be killed, and that their deaths are named."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from taskengine import Engine, RetryPolicy, Step, Workflow
from taskengine.adapters.function import call as wire
from taskengine.adapters.function.call import Address, Call
from taskengine.adapters.function.process import ProcessFunctions
from taskengine.adapters.function.registry import Function
from taskengine.adapters.function.worker import RemoteAttempt, Worker
from taskengine.adapters.process.frames import Order, frame
from taskengine.errors import NotFoundError
from taskengine.model.status import Status
from taskengine.model.value import Raw
from tests.process import functions
from tests.process.scene import PATIENCE_S, apart, outcome, running, said, until

if TYPE_CHECKING:
    from taskengine.adapters.process.children import Children

pytestmark = pytest.mark.processes

HERE = "tests.process.functions"


async def test_a_function_apart_gets_its_context_and_says_what_it_does() -> None:
    async with Engine(":memory:") as engine:
        execution = await engine.execute_workflow(apart(f"{HERE}:tell", left=1, right=2))
        result = await execution.result(timeout=PATIENCE_S)
        assert result.output["sum"] == 3
        assert result.output["pid"] != os.getpid()
        assert result.output["where"] == ["a", "/a/", 1, "/a/"]
        assert result.output["last"] == {"at": 1}
        await said(engine, execution.id, {("stdout", "said"), ("shop", "logged 1")})


async def test_it_gets_results_of_dependencies_and_values_of_its_types() -> None:
    workflow = Workflow(
        name="two",
        steps=(
            Step(id="before", type="function", config={"function": f"{HERE}:give", "run_in": "process"}),
            Step(
                id="a",
                type="function",
                config={"function": f"{HERE}:take", "run_in": "process", "params": {"order": {"amount": 5}}},
                depends_on=("before",),
            ),
        ),
        output="{{ steps.a.output }}",
    )
    assert (await outcome(workflow)).output == [5, "given"]


async def test_one_process_performs_one_attempt_after_the_other() -> None:
    async with Engine(":memory:") as engine:
        pids: set[int] = set()
        for _ in range(3):
            execution = await engine.execute_workflow(apart(f"{HERE}:tell", left=1, right=2))
            pids.add((await execution.result(timeout=PATIENCE_S)).output["pid"])
    assert len(pids) == 1
    assert not Path(f"/proc/{pids.pop()}").exists()  # noqa: ASYNC240 -- nothing else runs


@pytest.mark.parametrize(
    ("function", "kind", "words"),
    [
        ("break_down", "ProcessDied", "killed by SIGSEGV"),
        ("leave", "ProcessDied", "exit code 3"),
        ("fail", "LookupError", "no such thing"),
    ],
)
async def test_how_a_function_breaks_is_named_and_the_engine_goes_on(function: str, kind: str, words: str) -> None:
    async with Engine(":memory:") as engine:
        result = await (await engine.execute_workflow(apart(f"{HERE}:{function}"))).result(timeout=PATIENCE_S)
        assert result.error is not None
        assert result.error.type == kind
        assert words in result.error.message
        after = await engine.execute_workflow(apart(f"{HERE}:give"))
        assert (await after.result(timeout=PATIENCE_S)).output == "given"


async def test_a_killed_process_is_a_failed_attempt_that_the_policy_repeats() -> None:
    policy = RetryPolicy(max_attempts=3, initial_interval_ms=1, max_interval_ms=1)
    assert (await outcome(apart(f"{HERE}:fall_twice", step={"retry": policy}))).output == 3


async def test_a_cancelled_function_runs_its_finally_and_is_gone_with_all_it_started(tmp_path: Path) -> None:
    mark = f"MARK={tmp_path}"
    async with Engine(":memory:") as engine:
        execution = await engine.execute_workflow(apart(f"{HERE}:hang", mark=str(tmp_path), folder=str(tmp_path)))
        await until((tmp_path / "began").exists, "it begins")
        assert running(mark) != []
        await engine.cancel_instance(execution.id)
        assert (await execution.result(timeout=PATIENCE_S)).status is Status.CANCELLED
        await until(lambda: running(mark) == [], "all of it ends")
    assert (tmp_path / "cleaned").exists()


async def test_a_function_that_takes_too_long_is_gone(tmp_path: Path) -> None:
    workflow = apart(f"{HERE}:hang", mark=str(tmp_path), folder=str(tmp_path), step={"timeout_ms": 1_500})
    result = await outcome(workflow)
    assert result.error is not None
    assert result.error.type == "Timeout"
    assert running(f"MARK={tmp_path}") == []


@pytest.mark.parametrize("kind", ["lambda", "closure"])
async def test_what_cannot_be_imported_is_refused_by_name(kind: str) -> None:
    def inner() -> int:
        return 1

    function = inner if kind == "closure" else lambda: 1
    async with Engine(":memory:", functions={"f": function}) as engine:
        with pytest.raises(NotFoundError, match="is defined inside of a function, and run_in: process needs one at the top"):
            await engine.execute_workflow(apart("f"))


async def test_a_function_apart_inherits_no_variable_of_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TASK_ENGINE_SECRET_TOKEN", "TASK_ENGINE_SECRET_KEY_FILE", "TASK_ENGINE_SECRETS", "TASK_ENGINE_DB", "SHOP"):
        monkeypatch.setenv(name, "x")
    found = (await outcome(apart(f"{HERE}:variables"))).output
    assert [name for name in found if name.startswith(("TASK_ENGINE_SECRET", "TASK_ENGINE_DB", "SHOP"))] == [
        "SHOP",
        "TASK_ENGINE_DB",
    ]


class Silent:
    """Stands in for the processes: the test answers in their place, and none of them ever says how it ended."""

    def __init__(self) -> None:
        self.channels: list[socket.socket] = []
        self.killed = 0

    def begin(self, _order: Order, *, channel: socket.socket, **_callbacks: Any) -> Silent:
        channel.settimeout(0)
        self.channels.append(channel)
        return self

    def kill(self) -> None:
        self.killed += 1


class Over(RemoteAttempt):
    """An attempt that says when it is over."""

    def __init__(self) -> None:
        self.is_over = asyncio.Event()
        call = Call(
            function=Address(module=HERE, qualname="give"),
            execution_id="ex_1",
            source="",
            step=Step(id="a", type="function", config={"function": "give"}),
            path="/a/",
            idempotency_key="ex_1/a/",
            number=1,
            task=1,
            input=Raw(b"{}"),
            search=[],
            log_level=0,
            max_payload=1_000,
            max_nesting=64,
        )
        super().__init__(call, cast("Worker", None))

    def free(self) -> None:
        self.is_over.set()


@pytest.mark.parametrize("last", [b"", b"\xff" * 8])
async def test_a_process_that_closed_its_socket_or_speaks_nonsense_is_given_nothing_more(last: bytes) -> None:
    loop, processes = asyncio.get_running_loop(), Silent()
    ours = ProcessFunctions(cast("Children", processes), max_payload=1_000, max_nesting=64)
    for _ in range(2):  # the second one is given to the process of the first
        attempt = Over()
        ours.begin(attempt, Function("give", functions.give))
        (channel,) = processes.channels
        await loop.sock_recv(channel, 65_536)
        await loop.sock_sendall(channel, frame(wire.END, msgspec.json.encode(wire.Told())))
        await attempt.is_over.wait()
    if last:
        await loop.sock_sendall(channel, last)
    else:
        channel.close()
    await until(lambda: processes.killed, "it is heard")
    ours.begin(Over(), Function("give", functions.give))
    assert len(processes.channels) == 2
    for one in processes.channels:
        one.close()
    await until(lambda: processes.killed >= 2, "both are heard")


async def test_a_function_beside_the_document_is_found(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("def total(items):\n    return sum(items)\n")
    assert (await outcome(apart("shop:total", items=[1, 2]), source=str(tmp_path))).output == 3
