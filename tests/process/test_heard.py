"""What is heard of work: its lines with their levels, and that it is not silent. Its losses it must ask to be forgiven."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from taskengine import Engine, Step, Workflow
from taskengine.adapters.process.heard import Heard
from taskengine.model.codec import decode_event
from taskengine.model.status import Status
from taskengine.ports.executor import Attempt, Executor
from taskengine.runtime.residency import whole_history
from tests.process.scene import PATIENCE_S, apart, said, script

pytestmark = pytest.mark.processes

HERE = "tests.process.functions"
SHELL = Step(id="a", type="function", config={"function": "shell_command", "params": {"command": "echo said"}})


class Falls:
    """The first attempts are lost, as when their process dies."""

    def __init__(self, inner: Executor) -> None:
        self._inner = inner

    def missing(self, step: Step, source: str) -> str:
        return self._inner.missing(step, source)

    def begin(self, attempt: Attempt) -> None:
        if attempt.number <= 2:
            raise RuntimeError("it fell")
        self._inner.begin(attempt)


def around(executors: Mapping[str, Executor]) -> Mapping[str, Executor]:
    return {name: Falls(executors[name]) for name in executors}


@pytest.mark.parametrize(
    ("workflow", "forgives"),
    [
        pytest.param(script("print('said')"), False, id="script"),
        pytest.param(Workflow(name="shell", steps=(SHELL,)), False, id="shell_command"),
        pytest.param(apart(f"{HERE}:beat"), True, id="heartbeat"),
        pytest.param(apart(f"{HERE}:tell", left=1, right=2), True, id="progress"),
    ],
)
async def test_what_work_prints_forgives_no_losses(workflow: Workflow, forgives: bool) -> None:  # noqa: FBT001
    async with Engine(":memory:", around=around, builtins=("shell_command",)) as engine:
        execution = await engine.execute_workflow(workflow)
        assert (await execution.result(timeout=PATIENCE_S)).status is Status.COMPLETED
        history = [type(decode_event(body)).__name__ for body in await whole_history(engine.store, execution.id)]
    assert history.count("TaskAttemptLost") == 2
    assert history.count("TaskProgressReported") == forgives


TWO = Step(
    id="a", type="function", config={"function": "shell_command", "params": {"command": "echo one; echo two >&2", "shell": True}}
)


@pytest.mark.parametrize(
    "workflow",
    [
        pytest.param(script("import sys\nprint('one')\nprint('two', end='', file=sys.stderr)"), id="script"),
        pytest.param(Workflow(name="shell", steps=(TWO,)), id="shell_command"),
        pytest.param(apart(f"{HERE}:write_through_python"), id="function"),
    ],
)
async def test_what_comes_on_stderr_is_a_warning(workflow: Workflow, tmp_path: Path) -> None:
    async with Engine(tmp_path / "e.db", builtins=("shell_command",)) as engine:
        execution = await engine.execute_workflow(workflow)
        assert (await execution.result(timeout=PATIENCE_S)).status is Status.COMPLETED
    async with Engine(tmp_path / "e.db") as engine:  # all lines are written when the first one has stopped
        lines = await engine.logs(execution.id)
    assert sorted((one.source, one.level, one.message) for one in lines) == [
        ("stderr", "warning", "two"),
        ("stdout", "info", "one"),
    ]


async def test_what_a_function_writes_past_python_is_heard_too(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with Engine(":memory:", around=around) as engine:
        execution = await engine.execute_workflow(apart(f"{HERE}:write_past_python", gate=str(tmp_path / "gate")))
        await said(engine, execution.id, {("stdout", "one"), ("stderr", "two")})
        (tmp_path / "gate").write_text("through")
        assert (await execution.result(timeout=PATIENCE_S)).status is Status.COMPLETED
        levels = {one.source: one.level for one in await engine.logs(execution.id)}
        assert (levels["stdout"], levels["stderr"]) == ("info", "warning")
        history = [type(decode_event(body)).__name__ for body in await whole_history(engine.store, execution.id)]
        assert "TaskProgressReported" not in history


class Ears:
    """Of an attempt, only what is heard."""

    def __init__(self) -> None:
        self.heard_of = 0
        self.lines: list[str] = []

    def heard(self) -> None:
        self.heard_of += 1

    def log(self, message: str, **_of: str) -> None:
        self.lines.append(message)


def test_every_piece_of_output_is_heard_also_when_it_is_no_line_yet() -> None:
    ears = Ears()
    streams = Heard(cast("Attempt", ears))
    for piece in (b"10 %", b"\r20 %", b"\n"):
        streams.take(piece, False)  # noqa: FBT003 -- as its caller does
    assert (ears.heard_of, ears.lines) == (3, ["10 %\r20 %"])
