"""Children under each event loop that engines run on: uvloop's transports are none of asyncio's classes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from taskengine import Engine, Step, TaskContext, Workflow

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def apart(ctx: TaskContext) -> dict[str, Any]:
    ctx.log("from a process of its own")
    return {"attempt": ctx.attempt}


STEPS = (
    Step(id="script", type="script", config={"inline": "echo out; cat", "runtime": "sh", "params": {"x": 1}}),
    Step(id="function", type="function", config={"function": f"{__name__}:apart", "run_in": "process"}),
)
WORKFLOW = Workflow(
    name="children",
    steps=STEPS,
    output={"out": "{{ steps.script.output.stdout }}", "attempt": "{{ steps.function.output.attempt }}"},
)
FOREVER = Workflow(name="forever", steps=(Step(id="script", type="script", config={"inline": "sleep 1000", "runtime": "sh"}),))


@pytest.mark.parametrize("loop", list(LOOPS))
def test_children_work_under_every_loop(tmp_path: Path, loop: str) -> None:
    async def main() -> Any:
        async with Engine(tmp_path / "engine.db") as engine:
            return (await (await engine.execute_workflow(WORKFLOW)).result(timeout=60)).output

    assert _run(LOOPS[loop], main) == {"out": 'out\n{"x":1}', "attempt": 1}


@pytest.mark.parametrize("loop", list(LOOPS))
def test_a_stop_ends_a_child_that_would_run_on(tmp_path: Path, loop: str) -> None:
    async def main() -> None:
        async with Engine(tmp_path / "engine.db") as engine:
            await engine.execute_workflow(FOREVER)
            async with asyncio.timeout(60):
                while not engine.node.attempts:
                    await asyncio.sleep(0.01)
                await engine.stop()

    _run(LOOPS[loop], main)


def test_a_child_can_be_had_without_a_loop_of_ones_own(tmp_path: Path) -> None:
    with Engine(tmp_path / "engine.db") as engine:
        assert engine.execute_workflow(WORKFLOW).result(timeout=60).output["attempt"] == 1


def _run(loop: Callable[[], asyncio.AbstractEventLoop], main: Callable[[], Any]) -> Any:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main())
