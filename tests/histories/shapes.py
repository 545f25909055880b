"""Makes the recorded histories beside this file: ``python -m tests.histories.shapes`` adds those that are missing.

What is there is never written again: each file is what the version that made it wrote, and every later one must read it alike.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from taskengine import OnError, Step, Workflow
from taskengine.model.workflow import Block, Limits
from taskengine.testing import History, record, virtual_engine
from tests.kernel.graphs import workflow as random_workflow
from tests.kernel.nested_play import play_fork, play_nested, step_of
from tests.kernel.play import play
from tests.kernel.seen import Seen
from tests.testing.workflows import FUNCTIONS, ORDER, PATIENT, call, flow, wait

FOLDER = Path(__file__).parent
WEATHER = FOLDER.parents[1] / "examples" / "weather"
RANDOM_SEEDS = (3, 7, 11, 19, 23, 42, 116, 134)
NESTED_SEEDS = (5, 19, 23, 48, 97, 101, 115, 221, 232, 248, 290, 302)
FORK_SEEDS = (203, 311, 402)
LONGEST = 400  # events


def retries_and_joins() -> History:
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("fetch").fails(2, error=ConnectionError("no route"))
        return engine.run(ORDER, params={"x": 4}).history


def approval() -> History:
    steps = (wait("approval", signal="approved", deadline="7d"), call("book", "double", "approval", params={"x": 3}))
    with virtual_engine(functions=FUNCTIONS) as engine:
        execution = engine.execute_workflow(flow(*steps, name="approval"))
        engine.clock.advance(days=2)
        execution.signal("approved", {"by": "Ada"})
        return execution.result().history


def waits_still() -> History:
    with virtual_engine() as engine:
        execution = engine.execute_workflow(flow(wait("approval", signal="approved"), wait("month", duration="30d"), name="waits"))
        execution.signal("early", 1)
        execution.pause("/approval/")
        return execution.history()


def timeouts() -> History:
    slow = call("slow", "slowly", params={"hours": 9}, timeout_ms=3_600_000, retry=PATIENT, on_error=OnError.CONTINUE)
    with virtual_engine(functions=FUNCTIONS) as engine:
        work = Workflow(name="timeouts", steps=(slow, wait("ever", signal="ever")), limits=Limits(timeout_ms=86_400_000))
        return engine.run(work).history


def slow_children() -> History:
    """A child that is ended by its timeout and begun again, and waits that are found by what their signal must equal."""
    child = flow(wait("hour", duration="1h"), name="child")
    slow = Step(
        id="slow", type="workflow", config={"workflow": "child"}, timeout_ms=60_000, retry=PATIENT, on_error=OnError.CONTINUE
    )
    paid = wait("paid", signal="paid", filter="event.id == item")
    each = Step(id="each", type="map", config={"items": [1, 2, 3]}, blocks=(Block(steps=(paid,)),))
    with virtual_engine() as engine:
        engine.deploy(child)
        execution = engine.execute_workflow(flow(slow, each, name="parent"))
        for number in (7, 3, 1, 2):
            execution.signal("paid", {"id": number})
        return execution.result().history


def rounds() -> History:
    """Fails, is retried, paused, cancelled, retried again, terminated, and completes in the end."""
    steps = (call("first", "double", params={"x": 1}), call("nap", "slowly", "first", params={"hours": 5}))
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("first").fails(1, error=ValueError("not yet"))
        execution = engine.execute_workflow(flow(*steps, name="rounds"))
        execution.result()
        execution.retry()
        execution.pause()
        engine.clock.advance(hours=1)
        execution.resume()
        execution.cancel()
        execution.result()
        execution.retry()
        execution.terminate()
        execution.retry("/nap/")
        return execution.result(timeout=timedelta(days=2)).history


def mapped() -> History:
    step = call("only", "double", params={"x": 2}, output_mapping={"twice": "{{ output }}"})
    with virtual_engine(functions=FUNCTIONS) as engine:
        return engine.run(
            flow(step, Step(id="after", type="noop", depends_on=("only",)), name="mapped", output="{{ steps.only.output }}")
        ).history


def decisions() -> History:
    """Escalated, rejected, asked again and approved; a failed step and one that waits are skipped."""
    ask = {"approvers": ["ann"], "deadline": "3d", "escalation": {"after": "1d", "to": ["bob"]}, "form": {"required": ["n"]}}
    steps = (
        Step(id="ok", type="approval", config=ask),
        call("broken", "double", "ok", params={"x": 1}, retry=PATIENT),
        wait("never", "broken", signal="never"),
        call("last", "double", "never", params={"x": 2}),
    )
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("broken").raises(ValueError("no"))
        execution = engine.execute_workflow(flow(*steps, name="decisions"))
        engine.clock.advance(days=2)
        execution.reject("/ok/", by="bob", comment="not yet")
        execution.retry()
        execution.approve("/ok/", by="ann", data={"n": 1})
        execution.result()
        execution.skip("/broken/", by="ann", reason="not needed")
        execution.skip("/never/", by="ann")
        return execution.result().history


def undone() -> History:
    """What was done is undone, fails at it, and goes on when it is retried."""
    undo = call("", "double", params={"x": "{{ steps.first.output }}"})
    steps = (call("first", "double", params={"x": 1}, compensate=undo), wait("ever", "first", signal="ever"))
    with virtual_engine(functions=FUNCTIONS) as engine:
        execution = engine.execute_workflow(flow(*steps, name="undone"))
        execution.cancel(compensate=True)
        return execution.result().history


def pinned() -> History:
    """Versions of what steps start: one that is known at the start, one that is not there yet."""
    child = flow(call("one", "double", params={"x": 3}), name="child")
    each = Step(
        id="each",
        type="map",
        config={"items": [1, 2], "max_concurrency": 1},
        blocks=(Block(steps=(Step(id="sub", type="workflow", config={"workflow": "child"}),)),),
    )
    late = Step(id="late", type="workflow", config={"workflow": "late", "detach": True}, depends_on=("each",))
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.deploy(child)
        return engine.run(flow(each, late, name="pinned")).history


def weather() -> History:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), virtual_engine() as engine:
        shutil.copy(WEATHER / "data" / "seattle-weather-defects.csv", "weather.csv")
        return engine.run(WEATHER / "weather.yaml", params={"csv": "weather.csv", "workdir": "out"}).history


def by_chance(seed: int) -> History:
    """Whatever people, programs and accidents may do: losses, quarantine, signals, controls."""
    draw = random.Random(seed)
    graph = [draw.randrange(2**16) for _ in range(400)]
    steps = [[draw.randrange(2**16) for _ in range(6)] for _ in range(80)]
    machine = play(graph, steps, random_workflow, Seen())
    return History("ex_00000000000000000000000000", workflow=machine.plan.workflow, events=machine.history)


def nested_by_chance(seed: int) -> History:
    """The same for blocks in blocks."""
    draw = random.Random(seed)
    graph = [draw.randrange(2**16) for _ in range(400)]
    steps = [[draw.randrange(2**16) for _ in range(6)] for _ in range(100)]
    machine = play_nested(graph, steps, Seen(), is_tame=False)
    return History("ex_00000000000000000000000000", workflow=machine.plan.workflow, events=machine.history)


def fork_by_chance(seed: int) -> History:
    """A fork of one of these."""
    draw = random.Random(seed)
    graph = [draw.randrange(2**16) for _ in range(400)]
    steps = [[draw.randrange(2**16) for _ in range(6)] for _ in range(100)]
    origin = play_nested(graph, steps, Seen(), is_tame=False)
    machine = play_fork(origin, step_of(origin), steps[:40], Seen(), is_tame=False)
    return History("ex_00000000000000000000000000", workflow=machine.plan.workflow, events=machine.history)


SHAPES: dict[str, Callable[[], History]] = {
    shape.__name__.replace("_", "-"): shape
    for shape in (
        retries_and_joins,
        approval,
        waits_still,
        timeouts,
        slow_children,
        rounds,
        mapped,
        weather,
        decisions,
        undone,
        pinned,
    )
} | {f"by-chance-{seed}": lambda seed=seed: by_chance(seed) for seed in RANDOM_SEEDS}
SHAPES |= {f"nested-{seed}": lambda seed=seed: nested_by_chance(seed) for seed in NESTED_SEEDS}
SHAPES |= {f"fork-{seed}": lambda seed=seed: fork_by_chance(seed) for seed in FORK_SEEDS}


def main() -> None:
    for name, make in SHAPES.items():
        path = FOLDER / f"{name}.jsonl"
        if path.exists():
            continue
        history = make()
        if len(history.events) <= LONGEST:
            print(f"{record(history, path).name}: {len(history.events)} events, {history.status}")
        else:
            print(f"{path.name}: too long, {len(history.events)} events")


if __name__ == "__main__":
    main()
