"""What the tests of child processes share: looking at /proc, waiting for what must come, one workflow of one step."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from taskengine import Engine, Step, Workflow
from taskengine.runtime.resident import Result

PATIENCE_S = 30  # of a busy machine; nothing here is measured


def running(mark: str) -> list[int]:
    """Processes whose command line or environment holds the mark. One that has ended and waits to be reaped holds nothing."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if mark.encode() in text:
                found.append(int(entry.name))
    return found


def parent_of(pid: int) -> int:
    """The process above it."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def until(condition: Any, what: str) -> None:
    """Come back when it holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what


async def said(engine: Engine, execution_id: str, lines: set[tuple[str, str]]) -> None:
    """The task's log has these lines (source, message), or will soon."""
    async with asyncio.timeout(PATIENCE_S):
        while not lines <= {(line.source, line.message) for line in await engine.logs(execution_id)}:
            await asyncio.sleep(0.01)


def script(code: str, *, step: dict[str, Any] | None = None, **config: Any) -> Workflow:
    """One script step; its output is the workflow's."""
    given = {"inline": code, **config}
    return Workflow(name="one", steps=(Step(id="a", type="script", config=given, **(step or {})),), output="{{ steps.a.output }}")


def apart(function: str, *, step: dict[str, Any] | None = None, **params: Any) -> Workflow:
    """One function in a process of its own."""
    config = {"function": function, "run_in": "process", "params": params}
    return Workflow(
        name="one", steps=(Step(id="a", type="function", config=config, **(step or {})),), output="{{ steps.a.output }}"
    )


async def outcome(workflow: Workflow, *, source: str = "", **engine: Any) -> Result:
    """Its result in an engine that lives no longer."""
    async with Engine(":memory:", **engine) as node:
        if source:
            await node.deploy(workflow, source=source)
            return await (await node.execute_workflow(workflow.name)).result(timeout=PATIENCE_S)
        return await (await node.execute_workflow(workflow)).result(timeout=PATIENCE_S)
