"""Functions in processes of their own: what they get and say, that they can be killed, and that their deaths are named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskengine import Engine, RetryPolicy, Step, Workflow
from taskengine.errors import NotFoundError
from taskengine.model.status import Status
from tests.process.scene import PATIENCE_S, apart, outcome, running, said, until

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


async def test_a_function_beside_the_document_is_found(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("def total(items):\n    return sum(items)\n")
    assert (await outcome(apart("shop:total", items=[1, 2]), source=str(tmp_path))).output == 3
