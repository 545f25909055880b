"""What a function may tell about its attempt, and what is made of its parameters."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pydantic
import pytest

from taskengine import Engine, NodeSettings, RetryPolicy, Step, TaskContext, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.errors import NotFoundError
from taskengine.model.codec import decode_event
from taskengine.model.event import TaskProgressReported, TaskTimedOut, TimeoutKind
from taskengine.model.status import Status
from taskengine.ports.context import current_task
from taskengine.ports.store import LogLine
from taskengine.runtime.residency import whole_history
from taskengine.runtime.resident import Result

AGAIN = RetryPolicy(max_attempts=3, initial_interval_ms=1)


def one_step(function: str = "work", *, params: Mapping[str, Any] | None = None, **fields: Any) -> Workflow:
    config = {"function": function, "params": dict(params or {})}
    return Workflow(
        name="one", steps=(Step(id="only", type="function", config=config, **fields),), output="{{ steps.only.output }}"
    )


class Known(dict[str, str]):
    """Secrets of a test."""

    def where(self, name: str) -> str:
        return f"say {name}"


async def ran(
    workflow: Workflow, *, given: Mapping[str, Any] | None = None, settings: NodeSettings | None = None, **parts: Any
) -> tuple[Result, list[LogLine], list[Any]]:
    """How it ended, what was logged, and its history; ``parts``: functions by name, and services and secrets."""
    services, secrets = parts.pop("services", None), parts.pop("secrets", None)
    database = MemoryDatabase()
    async with Engine(MemoryStore(database), functions=parts, services=services, secrets=secrets, settings=settings) as engine:
        execution = await engine.execute_workflow(workflow, params=dict(given or {}))
        result = await execution.result(timeout=20)
    async with Engine(MemoryStore(database)) as engine:  # what was logged is written when the first one has stopped
        history = [decode_event(body) for body in await whole_history(engine.store, execution.id)]
        return result, await engine.store.logs(execution.id, task=None, after=0, limit=100_000), history


# ── parameters ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Color(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    color: Color


class Shape(msgspec.Struct):
    points: list[Point]


class Order(pydantic.BaseModel):
    amount: int
    at: dt.datetime


async def test_parameters_are_made_of_the_type_that_they_are_annotated_with() -> None:
    def work(shape: Shape, order: Order, orders: list[Order], day: dt.date, plain: list[int], nothing: Order | None = None) -> Any:
        assert isinstance(shape.points[0], Point)
        assert shape.points[0].color is Color.RED
        assert isinstance(order, Order)
        assert [one.amount for one in orders] == [2]
        assert nothing is None
        return {"order": order, "shape": shape, "later": day + dt.timedelta(days=1), "plain": plain}

    params = {
        "shape": {"points": [{"x": 1, "color": "red"}]},
        "order": {"amount": "1", "at": "2026-01-01T00:00:00Z"},
        "orders": [{"amount": 2, "at": "2026-01-01T00:00:00Z"}],
        "day": "2026-01-31",
        "plain": [1, "two"],
    }
    result, _, _ = await ran(one_step(params=params), work=work)
    assert result.output == {
        "order": {"amount": 1, "at": "2026-01-01T00:00:00Z"},
        "shape": {"points": [{"x": 1, "color": "red"}]},
        "later": "2026-02-01",
        "plain": [1, "two"],
    }


@pytest.mark.parametrize("params", [{"order": {"amount": "many"}}, {"order": 3}, {"day": "tomorrow"}])
async def test_a_parameter_that_does_not_fit_its_type_is_a_validation_error_of_the_attempt(params: dict[str, Any]) -> None:
    def work(order: Order | None = None, day: dt.date | None = None) -> None:
        raise AssertionError("called")

    result, _, _ = await ran(one_step(params=params), work=work)
    assert result.error is not None
    assert (result.status, result.error.type) == (Status.FAILED, "ValidationError")
    assert f"parameter {next(iter(params))}: " in result.error.message


@dataclass(frozen=True)
class Margin:
    at_most: float
    unit: str = "EUR"


@dataclass
class Rule:
    margin: Margin
    others: dict[str, Margin]
    name: str = "default"
    tags: list[str] = field(default_factory=list[str])


class Rules(msgspec.Struct):
    rules: list[Rule | None]


MARGIN: dict[str, Any] = {"at_most": 1}


async def test_defaults_of_a_dataclass_are_in_the_result_that_it_becomes() -> None:
    def work(rules: Rules, rule: Rule) -> Any:
        assert rule == Rule(Margin(1), {})
        return {"rules": rules, "rule": rule}

    given = {"margin": MARGIN, "others": {"b": MARGIN}}
    result, _, _ = await ran(
        one_step(params={"rules": {"rules": [given, None]}, "rule": {"margin": MARGIN, "others": {}}}), work=work
    )
    margin = {"at_most": 1.0, "unit": "EUR"}
    rule = {"margin": margin, "others": {}, "name": "default", "tags": []}
    assert result.output == {"rules": {"rules": [{**rule, "others": {"b": margin}}, None]}, "rule": rule}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"rule": {"margin": MARGIN, "others": {}, "nmae": "x"}}, "Rule has no field `nmae`, did you mean `name`?"),
        (
            {"rule": {"margin": MARGIN, "others": {"b": {**MARGIN, "currency": "CHF"}}}},
            "Margin has no field `currency` - at `$.others['b']`",
        ),
        (
            {"rules": {"rules": [None, {"margin": {**MARGIN, "x": 1}, "others": {}}]}},
            "Margin has no field `x` - at `$.rules[1].margin`",
        ),
    ],
    ids=["top", "in a dict", "in a list of a struct"],
)
async def test_a_field_that_a_dataclass_does_not_have_is_named_and_refused(params: dict[str, Any], said: str) -> None:
    def work(rule: Rule | None = None, rules: Rules | None = None) -> None:
        raise AssertionError("called")

    result, _, _ = await ran(one_step(params=params), work=work)
    assert result.error is not None
    assert (result.status, result.error.type) == (Status.FAILED, "ValidationError")
    assert f"parameter {next(iter(params))}: {said}" in result.error.message


async def test_a_service_goes_to_the_parameter_of_its_name_unless_the_step_gives_one() -> None:
    def work(database: Any, other: Any, ctx: TaskContext) -> Any:
        return [database is service, other, ctx.params]

    service = object()
    result, _, _ = await ran(one_step(params={"other": 1}), work=work, services={"database": service, "other": service, "no": 1})
    assert result.output == [True, 1, {"other": 1}]


# ── progress and heartbeats ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("is_async", [True, False])
async def test_progress_is_in_the_history_and_the_next_attempt_goes_on_from_there(is_async: bool) -> None:  # noqa: FBT001
    def work(ctx: TaskContext) -> Any:
        done = ctx.last_progress or 0
        if done < 2:
            ctx.progress(done / 2, "a row", data=done + 1)
            raise ValueError("once more")
        return done

    async def work_async(ctx: TaskContext) -> Any:
        return work(ctx)

    result, _, history = await ran(one_step(retry=AGAIN), work=work_async if is_async else work)
    assert result.output == 2
    told = [event.progress for event in history if isinstance(event, TaskProgressReported)]
    assert [msgspec.json.decode(one) for one in told] == [
        {"fraction": 0.0, "message": "a row", "data": 1},
        {"fraction": 0.5, "message": "a row", "data": 2},
    ]


async def test_progress_is_written_down_once_in_a_while_and_the_latest_counts() -> None:
    async def work(ctx: TaskContext) -> None:
        for number in range(1_000):
            ctx.progress(number / 1_000)
        await asyncio.sleep(0.1)

    _, _, history = await ran(one_step(), work=work, settings=NodeSettings(progress_interval_ms=30))
    told = [msgspec.json.decode(event.progress)["fraction"] for event in history if isinstance(event, TaskProgressReported)]
    assert told == [0.0, 0.999]


@pytest.mark.parametrize("ends", ["well", "badly"])
async def test_the_last_progress_is_written_down_with_the_end_of_the_attempt(ends: str) -> None:
    async def work(ctx: TaskContext) -> Any:
        if ctx.last_progress is not None:
            return ctx.last_progress
        for number in range(5):
            ctx.progress(number / 4, data=number)
        if ends == "badly":
            raise ValueError("once more")
        return 4

    result, _, history = await ran(one_step(retry=AGAIN), work=work)
    assert result.output == 4
    told = [msgspec.json.decode(event.progress)["fraction"] for event in history if isinstance(event, TaskProgressReported)]
    assert told == [0.0, 1.0]
    kinds = [type(event).__name__ for event in history]
    last = len(kinds) - kinds[::-1].index("TaskProgressReported")
    assert kinds[last] == ("TaskCompleted" if ends == "well" else "TaskRetryScheduled")


async def test_progress_that_is_written_down_already_is_not_written_again_at_the_end() -> None:
    async def work(ctx: TaskContext) -> None:
        for _ in range(3):
            ctx.progress(0.5)

    _, _, history = await ran(one_step(), work=work)
    assert [type(event).__name__ for event in history].count("TaskProgressReported") == 1


async def test_a_graceful_stop_writes_the_last_progress_down_for_the_next_attempt() -> None:
    database, began = MemoryDatabase(), asyncio.Event()

    async def work(ctx: TaskContext) -> Any:
        if ctx.attempt == 1:
            for number in range(5):
                ctx.progress(data=number)
            began.set()
            await asyncio.Event().wait()
        return ctx.last_progress

    async with Engine(MemoryStore(database), functions={"work": work}, settings=NodeSettings(stop_grace_ms=0)) as engine:
        execution = await engine.execute_workflow(one_step())
        await began.wait()
    async with Engine(MemoryStore(database), functions={"work": work}) as engine:
        assert (await engine.wait_for_instance(execution.id, timeout=20)).output == 4


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
async def test_progress_is_a_share(fraction: float) -> None:
    def work(ctx: TaskContext) -> None:
        ctx.progress(fraction)

    result, _, _ = await ran(one_step(), work=work)
    assert result.error is not None
    assert (result.error.type, "between 0 and 1" in result.error.message) == ("ValueError", True)


async def test_a_silent_attempt_is_ended_by_its_heartbeat_and_made_again() -> None:
    async def work(ctx: TaskContext) -> int:
        if ctx.attempt == 1:
            await asyncio.Event().wait()
        return ctx.attempt

    result, _, history = await ran(one_step(heartbeat_ms=30, retry=AGAIN), work=work)
    assert result.output == 2
    assert [event.kind for event in history if isinstance(event, TaskTimedOut)] == [TimeoutKind.HEARTBEAT]


@pytest.mark.parametrize("sign", [TaskContext.heartbeat, TaskContext.heard])
async def test_an_attempt_that_beats_lives_longer_than_its_heartbeat(sign: Callable[[TaskContext], None]) -> None:
    async def work(ctx: TaskContext) -> int:
        for _ in range(20):
            await asyncio.sleep(0.02)
            sign(ctx)
        return ctx.attempt

    result, _, history = await ran(one_step(heartbeat_ms=300), work=work)
    assert result.output == 1
    assert not [event for event in history if isinstance(event, TaskProgressReported | TaskTimedOut)]


# ── logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def deep() -> None:
    logging.getLogger("deep.inside").warning("%s rows", 3)
    task = current_task()
    assert task is not None
    task.log("seen", level="debug")


@pytest.mark.parametrize("is_async", [True, False])
async def test_what_is_logged_anywhere_below_a_function_is_in_the_log_of_its_task(is_async: bool) -> None:  # noqa: FBT001
    def work(ctx: TaskContext) -> None:
        deep()
        ctx.log("done")

    async def work_async(ctx: TaskContext) -> None:
        await asyncio.sleep(0)
        work(ctx)

    _, lines, _ = await ran(one_step(), work=work_async if is_async else work)
    assert [(line.level, line.source, line.message) for line in lines] == [
        ("warning", "deep.inside", "3 rows"),
        ("debug", "function", "seen"),
        ("info", "function", "done"),
    ]
    assert {(line.task, line.attempt) for line in lines} == {(1, 1)}


async def test_the_root_logger_is_left_as_it_was_found() -> None:
    before = list(logging.getLogger().handlers)
    await ran(one_step(), work=lambda: None)
    assert logging.getLogger().handlers == before


async def test_a_record_that_cannot_be_formatted_says_so() -> None:
    def work() -> None:
        record = logging.LogRecord("bad", logging.WARNING, "file", 1, "%d rows", ("three",), None)
        (ours,) = [one for one in logging.getLogger().handlers if type(one).__module__.startswith("taskengine")]
        ours.handle(record)  # pytest's own one would raise

    result, lines, _ = await ran(one_step(), work=work)
    assert result.status is Status.COMPLETED
    assert "cannot be formatted" in lines[0].message


async def test_lines_are_cut_and_the_log_of_an_attempt_ends() -> None:
    def work(ctx: TaskContext) -> None:
        ctx.log("x" * 1_000)
        for _ in range(20):
            ctx.log("y")

    _, lines, _ = await ran(one_step(), work=work, settings=NodeSettings(log_line=100, log_lines=10))
    assert lines[0].message == "x" * 100 + " … (1000 characters)"
    assert len(lines) == 11
    assert "at most 10 lines" in lines[-1].message


async def test_more_lines_than_can_be_kept_are_counted() -> None:
    async def work(ctx: TaskContext) -> None:
        for number in range(50):
            ctx.log(str(number))

    _, lines, _ = await ran(one_step(), work=work, settings=NodeSettings(log_buffer=20))
    assert len(lines) == 21
    assert lines[-1].message == "30 lines were dropped: more came than could be written"


def fails_inside() -> None:
    raise ValueError("no such row")


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_failure_leaves_the_traceback_of_the_users_frames_in_the_log(is_async: bool) -> None:  # noqa: FBT001
    async def work_async() -> None:
        fails_inside()

    _, lines, _ = await ran(one_step(), work=work_async if is_async else fails_inside)
    (line,) = lines
    assert (line.level, line.source) == ("error", "traceback")
    assert "fails_inside" in line.message
    assert "taskengine/adapters" not in line.message


async def test_a_late_result_is_dropped_and_the_log_says_so() -> None:
    gate, finished = threading.Event(), threading.Event()

    def work() -> int:
        gate.wait(20)
        finished.set()
        return 1

    database = MemoryDatabase()
    async with Engine(MemoryStore(database), functions={"work": work}) as engine:
        execution = await engine.execute_workflow(one_step(timeout_ms=20))
        result = await execution.result(timeout=20)
        gate.set()
        await asyncio.to_thread(finished.wait, 20)
        while engine.node.attempts:
            await asyncio.sleep(0.005)
    lines = await _stored(database, execution.id)
    assert (result.status, [line.message for line in lines]) == (
        Status.FAILED,
        ["came too late and was dropped: attempt 1 succeeded"],
    )


async def _stored(database: MemoryDatabase, execution_id: str) -> list[LogLine]:
    async with Engine(MemoryStore(database)) as engine:
        return await engine.store.logs(execution_id, task=None, after=0, limit=100)


async def test_logs_are_read_through_the_engine_by_step(tmp_path: Any) -> None:
    def work(ctx: TaskContext) -> None:
        ctx.log(ctx.step_id)

    steps = tuple(Step(id=name, type="function", config={"function": "work"}) for name in ("a", "b"))
    path = tmp_path / "logs.db"
    async with Engine(path, functions={"work": work}) as engine:
        execution = await engine.execute_workflow(Workflow(name="two", steps=steps))
        await execution.result(timeout=20)
    async with Engine(path) as engine:
        assert sorted(line.message for line in await engine.logs(execution.id)) == ["a", "b"]
        assert [line.message for line in await engine.logs(execution.id, step_id="b")] == ["b"]
        with pytest.raises(NotFoundError):
            await engine.logs(execution.id, step_id="c")


# ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

TOKEN = 'hid"den\\with\nlines'
SECRET = one_step(params={"auth": "Bearer {{ secrets.token }}"}, retry=AGAIN)


async def test_a_secret_reaches_the_function_and_is_written_down_nowhere() -> None:
    seen: list[str] = []

    def work(auth: str, ctx: TaskContext) -> Any:
        seen.append(auth)
        ctx.log(f"sent {auth}")
        logging.getLogger(f"client.{auth}").warning("sent")
        ctx.progress(0.5, data={"auth": auth})
        if ctx.attempt == 1:
            raise ValueError(f"refused: {auth}")
        return {"auth": auth, auth: [auth, 1]}

    result, lines, history = await ran(SECRET, work=work, secrets=Known(token=TOKEN))
    assert seen == [f"Bearer {TOKEN}"] * 2
    assert result.output == {"auth": "Bearer [secret]", "Bearer [secret]": ["Bearer [secret]", 1]}
    written = repr([msgspec.json.encode(event) for event in history]) + repr(lines) + repr(result)
    assert "hid" not in written
    assert "lines" not in written
    assert "[secret]" in lines[0].message
    assert (lines[1].source, lines[1].message) == ("client.Bearer [secret]", "sent")


async def test_a_start_without_its_secret_is_refused_and_says_where_to_put_it() -> None:
    with pytest.raises(NotFoundError) as refused:
        await ran(SECRET, work=lambda auth: auth, secrets=Known())
    assert (refused.value.name, refused.value.hint) == ("secret_not_found", "say token")


async def test_a_secret_that_is_gone_when_the_attempt_begins_fails_it() -> None:
    secrets = Known(token=TOKEN)

    def first() -> None:
        del secrets["token"]

    later = Step(id="b", type="function", depends_on=("a",), config={"function": "second", "params": {"x": "{{ secrets.token }}"}})
    workflow = Workflow(name="two", steps=(Step(id="a", type="function", config={"function": "first"}), later))
    result, _, _ = await ran(workflow, first=first, second=lambda x: x, secrets=secrets)
    assert result.error is not None
    assert (result.error.type, "say token" in result.error.message) == ("SecretNotFound", True)


async def test_a_source_of_secrets_that_raises_fails_the_attempt_and_not_the_execution() -> None:
    class Breaking(Known):
        asked = 0

        def get(self, name: str, default: str | None = None, /) -> str | None:
            self.asked += 1
            if self.asked == 2:  # the first time is the check at the start
                raise OSError(f"{TOKEN} is locked")
            return super().get(name, default)

    again, once = (one_step(params={"auth": "{{ secrets.token }}"}, retry=retry) for retry in (AGAIN, RetryPolicy()))
    result, _, _ = await ran(again, work=lambda auth: auth[:3], secrets=Breaking(token=TOKEN))
    assert (result.status, result.output) == ("completed", TOKEN[:3])
    result, _, _ = await ran(once, work=str, secrets=Breaking(token=TOKEN))
    assert result.error is not None
    assert (result.error.type, TOKEN in result.error.message) == ("SecretUnavailable", False)
