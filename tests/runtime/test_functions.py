"""The function executor: binding, endings, threads that cannot be killed, names found by path."""

from __future__ import annotations

import asyncio
import gc
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from taskengine import Engine, NodeSettings, Step, TaskContext, Workflow
from taskengine.adapters.function import FunctionExecutor, FunctionRegistry
from taskengine.define import load_text
from taskengine.errors import NotFoundError
from taskengine.model.command import AttemptEnd
from taskengine.model.status import Status
from taskengine.model.value import Raw
from taskengine.model.workflow import Block
from taskengine.ports.executor import Stop


def one(function: str, **params: Any) -> Workflow:
    step = Step(id="a", type="function", config={"function": function, "params": params})
    return Workflow(name="one", steps=(step,), output="{{ steps.a.output }}")


async def outcome(workflow: Workflow, **functions: Any) -> Any:
    async with Engine(":memory:", functions=functions) as engine:
        return await (await engine.execute_workflow(workflow)).result(timeout=10)


async def test_the_context_tells_what_is_the_same_over_attempts() -> None:
    def look(ctx: TaskContext, word: str) -> dict[str, Any]:
        return {
            "key": ctx.idempotency_key.removeprefix(ctx.execution_id),
            "id": ctx.task_id.removeprefix("task_" + ctx.execution_id.removeprefix("ex_")),
            "where": [ctx.step_id, ctx.path, ctx.attempt, ctx.params, ctx.is_cancelled],
        }

    result = await outcome(one("look", word="hey"), look=look)
    assert result.output == {"key": "/a/", "id": "_1", "where": ["a", "/a/", 1, {"word": "hey"}, False]}


async def test_a_parameter_named_after_a_dependency_gets_its_output() -> None:
    workflow = Workflow(
        name="named",
        steps=(
            Step(id="left", type="function", config={"function": "give", "params": {"value": 1}}),
            Step(id="right", type="function", config={"function": "give", "params": {"value": 2}}),
            Step(
                id="sum",
                type="function",
                config={"function": "join", "params": {"right": 40}},
                depends_on=("left", "right"),
            ),
        ),
        output="{{ steps.sum.output }}",
    )
    result = await outcome(workflow, give=lambda value: value, join=lambda left, right: [left, right])
    assert result.output == [1, 40]  # what params say comes first


async def test_only_dependencies_may_be_asked_for() -> None:
    async def ask(ctx: TaskContext) -> Any:
        return ctx.get_upstream_result("other")

    result = await outcome(one("ask"), ask=ask)
    assert (result.status, result.error and result.error.type) == (Status.FAILED, "NotFoundError")


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (object, "ValidationError"),
        (lambda: float("nan"), "ValidationError"),
        (lambda unexpected: unexpected, "TypeError"),
        (lambda: (_ for _ in ()).throw(KeyError("k")), "KeyError"),
        (lambda: (_ for _ in ()).throw(SystemExit(3)), "SystemExit"),
    ],
)
async def test_whatever_a_function_does_ends_the_attempt_by_name(function: Any, kind: str | None) -> None:
    result = await outcome(one("f"), f=function)
    assert (result.error and result.error.type) == kind


class PanicError(BaseException):
    """What a library may raise that no ``except Exception`` gets."""


@pytest.mark.parametrize(
    "error", [PanicError("a panic"), GeneratorExit("a panic"), BaseExceptionGroup("a panic", [PanicError()]), SystemExit("a panic")]
)
@pytest.mark.parametrize("is_async", [True, False])
async def test_what_no_except_exception_gets_is_a_failure_with_its_frames(error: BaseException, *, is_async: bool) -> None:
    def panics() -> None:
        raise error

    async def panics_after_a_while() -> None:
        await asyncio.sleep(0)
        raise error

    async with Engine(":memory:", functions={"f": panics_after_a_while if is_async else panics}) as engine:
        free = engine.node.admission.free
        result = await (await engine.execute_workflow(one("f"))).result(timeout=10)
        assert result.error
        assert (result.error.type, "a panic" in result.error.message) == (type(error).__name__, True)
        assert engine.node.admission.free == free
        while not (lines := await engine.logs(result.execution_id)):
            await asyncio.sleep(0)
        assert (lines[0].source, "in panics" in lines[0].message) == ("traceback", True)


@dataclass
class Panicking:
    """It cannot be made."""

    number: int

    def __post_init__(self) -> None:
        raise PanicError("a panic")


async def test_what_no_except_exception_gets_while_a_parameter_is_made_is_a_failure_too() -> None:
    def take(value: Panicking) -> int:
        return value.number

    result = await outcome(one("take", value={"number": 1}), take=take)
    assert result.error.type == "PanicError"


def test_an_interrupt_in_an_async_function_still_stops_the_process() -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    async def run() -> None:
        async with Engine(":memory:", functions={"f": interrupted}, settings=NodeSettings(stop_grace_ms=1)) as engine:
            await (await engine.execute_workflow(one("f"))).result(timeout=10)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(run())


class Lost:
    """An attempt whose loop is thrown away."""

    step = one("f").steps[0]
    source = ""
    input = Raw(b"{}")

    def __init__(self) -> None:
        self.told: list[object] = []

    def on_stop(self, stop: Stop) -> None:
        """Nobody stops it."""

    def log(self, message: str, **_: str) -> None:
        self.told.append(message)

    def end(self, end: AttemptEnd) -> None:
        self.told.append(end)

    def free(self) -> None:
        self.told.append("free")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_async_function_that_is_thrown_away_with_its_loop_reports_nothing() -> None:
    left: list[str] = []

    async def waits() -> None:
        try:
            await loop.create_future()
        finally:
            left.append("left")

    async def begins() -> None:
        registry = FunctionRegistry()
        registry.register("f", waits)
        FunctionExecutor(registry).begin(cast("Any", attempt))
        await asyncio.sleep(0)

    attempt, loop = Lost(), asyncio.new_event_loop()
    loop.run_until_complete(begins())
    loop.close()
    gc.collect()
    assert (left, attempt.told) == (["left"], [])


async def test_a_result_above_the_payload_limit_is_named() -> None:
    async with Engine(":memory:", functions={"big": lambda: "x" * 2_000}, settings=NodeSettings(max_payload=1_000)) as engine:
        result = await (await engine.execute_workflow(one("big"))).result(timeout=10)
    assert result.error is not None
    assert result.error.type == "PayloadTooLarge"


async def test_a_thread_that_does_not_stop_keeps_its_slot_and_its_late_result_is_dropped() -> None:
    release, entered = threading.Event(), threading.Event()

    def stuck() -> str:
        entered.set()
        release.wait()
        return "late"

    async with Engine(":memory:", functions={"stuck": stuck}, settings=NodeSettings(concurrency=3)) as engine:
        execution = await engine.execute_workflow(one("stuck"))
        await asyncio.to_thread(entered.wait)
        await engine.cancel_instance(execution.id)
        result = await execution.result(timeout=10)
        assert (result.status, engine.node.admission.free) == (Status.CANCELLED, 2)
        release.set()
        while engine.node.attempts:
            await asyncio.sleep(0)
        assert engine.node.admission.free == 3


def test_a_function_is_found_beside_the_document_before_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("def dumps(): return 'mine'\nclass Box:\n    @staticmethod\n    def inner(): return 1\n")
    registry = FunctionRegistry()
    assert registry.find("json:dumps", str(tmp_path)).call() == "mine"
    assert registry.find("json:Box.inner", str(tmp_path)).call() == 1
    assert registry.find("json:dumps").call({}) == "{}"


@pytest.mark.parametrize("name", ["nothing_here:f", "json:nothing", "broken:f", "value:f", "exits:f", "stops:f"])
def test_what_cannot_be_found_says_why(name: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def f(:")
    (tmp_path / "value.py").write_text("f = 3")
    (tmp_path / "exits.py").write_text("import sys\ndef f(): pass\nsys.exit(0)")
    (tmp_path / "stops.py").write_text("def f(): pass\nraise GeneratorExit")
    with pytest.raises(NotFoundError, match=name):
        FunctionRegistry().find(name, str(tmp_path))


ITERATED = """
name: iterated
steps:
  - id: each
    type: map
    config: {items: [a, b]}
    steps:
      - {id: load, type: function, config: {function: look}}
      - id: again
        type: loop
        depends_on: [load]
        config: {until: "index == 2"}
        steps: [{id: count, type: function, config: {function: count}}]
        output: "{{ steps.count.output }}"
    output: "{{ [steps.load.output, steps.again.output] }}"
output: "{{ steps.each.output }}"
"""


async def test_inside_a_map_or_a_loop_item_and_index_are_parameters_and_the_path_is_the_key() -> None:
    def look(item: str, index: int, ctx: TaskContext) -> list[Any]:
        return [item, index, ctx.path, ctx.idempotency_key.removeprefix(ctx.execution_id)]

    result = await outcome(load_text(ITERATED, file="w.yaml").require(), look=look, count=lambda index: index)
    assert result.output == [
        [["a", 0, "/each/[0]/load/", "/each/[0]/load/"], 1],
        [["b", 1, "/each/[1]/load/", "/each/[1]/load/"], 1],
    ]


async def test_a_dependency_or_a_parameter_comes_before_the_item() -> None:
    steps = (
        Step(id="item", type="function", config={"function": "give"}),
        Step(id="join", type="function", depends_on=("item",), config={"function": "join", "params": {"index": 7}}),
    )
    each = Step(id="each", type="map", config={"items": [1]}, blocks=(Block(steps=steps),))
    workflow = Workflow(name="named", steps=(each,), output="{{ steps.each.output[0] }}")
    result = await outcome(workflow, give=lambda: "given", join=lambda item, index: [item, index])
    assert result.output == ["given", 7]
