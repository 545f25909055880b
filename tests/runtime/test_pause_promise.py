"""What a pause promises: from its acknowledgement on nothing begins at or below its path, also what is registered later.

Random times and paths in virtual time; a map whose iterations start sub-workflows with a map of their own, three executions deep.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest

from taskengine import Step, TaskContext, Workflow
from taskengine.errors import CommandRefusedError
from taskengine.model.status import Phase, Status
from taskengine.model.workflow import Block
from taskengine.testing import virtual_engine
from tests.amounts import amount

PATHS = ("/", "/each/", "/each/[0]/", "/each/[1]/", "/each/[1]/sub/", "/each/[2]/", "/each/[2]/again/", "/last/")


def work(step_id: str, *depends_on: str, at: str) -> Step:
    """A step that notes, and takes its time."""
    return Step(id=step_id, type="function", depends_on=depends_on, config={"function": "work", "params": {"at": at}})


def within(step_id: str, kind: str, *steps: Step, depends_on: tuple[str, ...] = (), **config: object) -> Step:
    """A map or a loop."""
    return Step(id=step_id, type=kind, depends_on=depends_on, config=config, blocks=(Block(steps=steps),))


def calling(workflow: str, *depends_on: str, at: str) -> Step:
    """A step that starts another execution, which is told where it stands."""
    return Step(
        id="sub", type="workflow", depends_on=depends_on, config={"workflow": workflow, "detach": False}, input_mapping={"at": at}
    )


INNER = Workflow(
    name="inner",
    steps=(within("cells", "map", work("a", at="{{ input.at }}cells/[{{ index }}]/a/"), items=[1, 2], max_concurrency=1),),
)
MIDDLE = Workflow(
    name="middle",
    steps=(work("m", at="{{ input.at }}m/"), calling("inner", "m", at="{{ input.at }}sub/")),
)
OUTER = Workflow(
    name="outer",
    steps=(
        within(
            "each",
            "map",
            work("first", at="/each/[{{ index }}]/first/"),
            calling("middle", "first", at="/each/[{{ index }}]/sub/"),
            within("again", "loop", work("b", at="/each/[{{ item }}]/again/b/"), depends_on=("first",), items="{{ [item, item] }}"),
            items=[0, 1, 2],
            max_concurrency=2,
        ),
        work("last", "each", at="/last/"),
    ),
)


@pytest.mark.parametrize("part", range(4))
def test_nothing_begins_below_an_acknowledged_pause_also_in_executions_started_from_there(part: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(part, amount(test=200, nightly=5_000), 4):
        seen.update(_one(random.Random(seed)))
    assert seen["held back"] >= amount(test=5, nightly=100), seen
    assert seen["went on elsewhere"], seen


def _one(dice: random.Random) -> list[str]:
    began: list[str] = []

    async def perform(ctx: TaskContext, at: str) -> None:
        began.append(at)
        await asyncio.sleep(dice.choice((0.01, 0.1, 0.5)))

    with virtual_engine(functions={"work": perform}) as engine:
        engine.deploy(INNER)
        engine.deploy(MIDDLE)
        execution = engine.execute_workflow(OUTER)
        engine.clock.advance(timedelta(seconds=dice.uniform(0, 2.5)))
        state = execution.history().state
        open_ones = [path for path in PATHS if (number := state.find(path)) and state.phase[number] < Phase.COMPLETED]
        if state.is_finished:
            return ["over"]
        path = dice.choice(["/", *open_ones])
        execution.pause(path)
        before = len(began)
        engine.clock.advance(timedelta(seconds=dice.choice((0.3, 60))))
        meanwhile = began[before:]
        assert [at for at in meanwhile if at.startswith(path)] == [], path
        with suppress(CommandRefusedError):  # all that was left was running already, and has ended
            execution.resume(path)
        assert execution.result().status is Status.COMPLETED
    held = any(at.startswith(path) for at in began[before + len(meanwhile) :])
    assert Counter(Counter(began).values()).keys() <= {1, 2}, "the body of a loop stands twice at one place"
    return ["held back"] * held + ["went on elsewhere"] * bool(meanwhile)
