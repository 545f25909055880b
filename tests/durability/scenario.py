"""A fixed small set of workflows and what a client does with them: the matter of every crash and power-cut test.

``play`` is written as a careful client: each thing it asks for has a key, it says aloud what was acknowledged, and it may be played
again from the beginning after a crash. It knows nothing of crashes itself. ``EXPECTED`` is worked out by hand, not by the engine.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from taskengine import Engine, TaskContext
from taskengine.errors import CommandRefusedError, ConflictError, StorageError
from taskengine.model.workflow import RetryPolicy, Step, Workflow
from taskengine.runtime.settings import NodeSettings

__all__ = ["CONTROL", "EXPECTED", "WORKFLOWS", "Effects", "Gate", "Said", "functions", "insist", "play"]

T = TypeVar("T")

_TIMEOUT_S: Final = 20.0
_TRIES: Final = 200
_PAUSE_S: Final = 0.01
CONTROL: Final = NodeSettings(can_run=False, together_poll_ms=5)
"""A node that only sends commands, and looks often for their answers."""

Said = Callable[[str, str, object], None]
"""Hears an acknowledgement: what was asked, by which key, and the answer."""


def _step(step_id: str, function: str, *depends_on: str, **changes: Any) -> Step:
    config = {"function": function, "params": changes.pop("params", {})}
    return Step(id=step_id, type="function", config=config, depends_on=depends_on, **changes)


WORKFLOWS: Final = {
    "fan": Workflow(
        name="fan",
        version="1",
        steps=(
            _step("split", "number", params={"value": 10}),
            *(_step(f"part_{n}", "times", "split", params={"factor": n}) for n in (1, 2, 3)),
            _step("join", "total", "part_1", "part_2", "part_3"),
        ),
        output="{{ steps.join.output }}",
    ),
    "chain": Workflow(
        name="chain",
        version="1",
        steps=(
            _step("one", "number", params={"value": "{{ input.start }}"}),
            _step("two", "plus_one", "one", params={"value": "{{ steps.one.output }}"}),
            _step("three", "plus_one", "two", params={"value": "{{ steps.two.output }}"}),
        ),
        output="{{ steps.three.output }}",
    ),
    "approval": Workflow(
        name="approval",
        version="1",
        steps=(
            _step("ask", "number", params={"value": 1}),
            Step(id="answer", type="wait", config={"signal": "approved"}, depends_on=("ask",)),
            _step("act", "plus_one", "answer", params={"value": "{{ steps.answer.output }}"}),
        ),
        output="{{ steps.act.output }}",
    ),
    "flaky": Workflow(
        name="flaky",
        version="1",
        steps=(
            _step("trip", "fails_first", retry=RetryPolicy(max_attempts=3, initial_interval_ms=1, jitter=0.0)),
            _step("go_on", "plus_one", "trip", params={"value": "{{ steps.trip.output }}"}),
        ),
        output="{{ steps.go_on.output }}",
    ),
    "held": Workflow(
        name="held",
        version="1",
        steps=(
            _step("hold", "hold"),
            _step("after", "plus_one", "hold", params={"value": "{{ steps.hold.output }}"}),
        ),
        output="{{ steps.after.output }}",
    ),
}

# Key of a start: its workflow, its input, its result.
_STARTS: Final[Mapping[str, tuple[str, dict[str, Any]]]] = {
    "fan": ("fan", {}),
    "chain_5": ("chain", {"start": 5}),
    "chain_7": ("chain", {"start": 7}),
    "approval": ("approval", {}),
    "flaky": ("flaky", {}),
    "held": ("held", {}),
}
EXPECTED: Final[Mapping[str, object]] = {
    "fan": 60,  # 10 · 1 + 10 · 2 + 10 · 3
    "chain_5": 7,
    "chain_7": 9,
    "approval": 42,  # the signal's 41 and one more
    "flaky": 8,  # 7 and one more
    "held": 4,  # 3 and one more
}


class Effects:
    """What the step functions did to the world outside: lines of one file, each appended whole by one system call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def __call__(self, ctx: TaskContext) -> None:
        os.write(self._descriptor, f"{ctx.execution_id} {ctx.path} {ctx.attempt}\n".encode())

    @staticmethod
    def read(path: Path) -> list[tuple[str, str, int]]:
        """Execution, path and attempt of each effect, in order."""
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        return [(execution_id, step, int(attempt)) for execution_id, step, attempt in lines]


class Gate:
    """Where step ``hold`` waits: it is open from the beginning, or until the client has paused its execution."""

    def __init__(self, *, is_open: bool) -> None:
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        if is_open:
            self.opened.set()


def functions(effects: Callable[[TaskContext], None], gate: Gate) -> dict[str, Callable[..., Any]]:
    """The step functions. Each leaves its effect first; some run in the loop, some in a thread."""

    async def number(ctx: TaskContext, value: int) -> int:
        effects(ctx)
        return value

    def times(ctx: TaskContext, split: int, factor: int) -> int:
        effects(ctx)
        return split * factor

    async def total(ctx: TaskContext, part_1: int, part_2: int, part_3: int) -> int:
        effects(ctx)
        return part_1 + part_2 + part_3

    async def plus_one(ctx: TaskContext, value: int) -> int:
        effects(ctx)
        return value + 1

    async def fails_first(ctx: TaskContext) -> int:
        effects(ctx)
        if ctx.attempt == 1:
            raise RuntimeError("the first attempt always fails")
        return 7

    async def hold(ctx: TaskContext) -> int:
        effects(ctx)
        gate.entered.set()
        await gate.opened.wait()
        return 3

    return {function.__name__: function for function in (number, times, total, plus_one, fails_first, hold)}


async def play(engine: Engine, control: Engine, *, gate: Gate, said: Said, known: Collection[str] = ()) -> None:
    """Start everything, signal, pause and resume through another node's inbox, wait for the results.

    May be played again after a crash: starts and signals have keys, and of ``known``, what was acknowledged before, nobody is
    paused or resumed a second time.
    """
    # One is asked for twice at the same moment: the second finds the first one's mark in its own batch.
    asked = [*_STARTS, "chain_7"]
    ids = dict(zip(asked, await asyncio.gather(*(_start(engine, key, said=said) for key in asked)), strict=True))
    async with asyncio.TaskGroup() as group:
        group.create_task(_approve(engine, ids["approval"], said=said))
        group.create_task(_hold(engine, control, execution_id=ids["held"], gate=gate, said=said, known=known))
        for key, execution_id in ids.items():
            group.create_task(_await_result(engine, key, execution_id=execution_id, said=said))


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again while the store refuses: it is full, or its disk failed, and what was asked did not happen or may be repeated."""
    for _ in range(_TRIES):
        try:
            return await ask()
        except StorageError:
            await asyncio.sleep(_PAUSE_S)
    return await ask()


async def _start(engine: Engine, key: str, *, said: Said) -> str:
    name, params = _STARTS[key]
    execution = await insist(lambda: engine.execute_workflow(WORKFLOWS[name], params=params, business_key=key, idempotency_key=key))
    said("start", key, execution.id)
    return execution.id


async def _approve(engine: Engine, execution_id: str, *, said: Said) -> None:
    if await _is_allowed(lambda: engine.signal(execution_id, "approved", data=41, by="approve", signal_id="approve")):
        said("signal", "approve", execution_id)


async def _hold(engine: Engine, control: Engine, *, execution_id: str, gate: Gate, said: Said, known: Collection[str]) -> None:
    """While a step runs on ``engine``, ``control`` has to ask it for the pause: the way through the inbox.

    With an open gate it is not known whether the step still runs, or whether a pause of before holds it: ``control`` asks at once.
    """
    if "pause" not in known:
        if not gate.opened.is_set():
            async with asyncio.timeout(_TIMEOUT_S):
                await gate.entered.wait()
        if await _is_allowed(lambda: control.pause_instance(execution_id, by="pause")):
            said("pause", "pause", execution_id)
    gate.opened.set()
    if "resume" not in known and await _is_allowed(lambda: control.resume_instance(execution_id, by="resume")):
        said("resume", "resume", execution_id)


async def _is_allowed(command: Callable[[], Awaitable[None]]) -> bool:
    """Whether it was obeyed. Refused: it was played before, and the execution has ended since."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            await insist(command)
    except (CommandRefusedError, ConflictError):
        return False
    return True


async def _await_result(engine: Engine, key: str, *, execution_id: str, said: Said) -> None:
    result = await insist(lambda: engine.wait_for_instance(execution_id, timeout=_TIMEOUT_S))
    said("result", key, [result.status.value, result.output])
