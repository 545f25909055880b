"""Pause, resume, cancel and retry interleaved with everything else in random order: after the acknowledgement nothing new starts.

A bystander keeps the acknowledged pauses and cancels and looks at each beginning (``nested_watch`` says what that is). Some graphs
hold blocks whose tasks are registered while the execution goes on: what is opened below a paused path waits like everything there.
"""

from __future__ import annotations

import random
from collections import Counter

from taskengine.errors import TaskEngineError
from taskengine.kernel.advance import advance
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model.value import NONE, TaskError
from taskengine.model.workflow import Join, RetryPolicy, Workflow
from tests.amounts import amount
from tests.kernel.nested_watch import Watch
from tests.kernel.scene import ID, condition, function, loop, mapped, noop, parallel, wait

AGAIN = RetryPolicy(max_attempts=3, initial_interval_ms=10, jitter=0.0)
GRAPHS = (
    (function("a", retry=AGAIN), function("b", "a"), noop("c", "a"), function("d", "b", "c")),
    (
        function("a"),
        function("b", retry=AGAIN),
        function("c", "a", "b", join=Join.ANY_SUCCESS),
        wait("d", config={"duration": 0.02}),
    ),
    (
        noop("a"),
        wait("b", "a", config={"signal": "go"}),
        function("c", "b"),
        function("d", "a", when="input == none"),
        noop("e", "d"),
    ),
    (function("a", timeout_ms=30, retry=AGAIN), function("b", "a", join=Join.ALL_DONE), noop("c", "b", join=Join.ALL_DONE)),
)
NESTED = (
    (mapped("m", function("x", retry=AGAIN), noop("y", "x"), items=[1, 2, 3], config={"max_concurrency": 2}), function("z", "m")),
    (
        parallel(
            "p",
            branches={
                "left": (loop("l", function("x"), config={"until": "index == 2", "max_iterations": 2}),),
                "right": (wait("w", config={"signal": "go"}), function("x", "w", retry=AGAIN)),
            },
        ),
    ),
    (
        mapped(
            "m",
            function("x"),
            condition("c", "x", cases={"index == 0": (function("y"),), "": (noop("y"), function("z", "y"))}),
            items=[1, 2],
        ),
        noop("n", "m", join=Join.ALL_DONE),
    ),
)
PLANS = tuple(compile_plan(Workflow(name="w", steps=steps)) for steps in (*GRAPHS, *NESTED))


def command(draw: random.Random, state: Execution, at: int) -> cmd.Command:
    """Anything, with control over the execution or one task in every second command."""
    paths = [state.path_of(number) for number in range(len(state.phase))]
    path = draw.choice(["/", "/", *paths])
    running = [(number, task.attempt) for number, task in state.live.items() if task.is_launched]
    if draw.random() < 0.5:
        kinds = (cmd.Pause, cmd.Pause, cmd.Pause, cmd.Resume, cmd.Resume, cmd.Resume, cmd.Cancel, cmd.Retry)
        return draw.choice(kinds)(at=at, path=path)
    if running and draw.random() < 0.5:
        number, attempt = draw.choice(running)
        end = draw.choice((cmd.Succeeded(NONE), cmd.Failed(TaskError(type="Boom")), cmd.Abandoned()))
        return cmd.Report(at=at, task=number, attempt=attempt, end=end)
    others = (
        cmd.Admit(at=at, slots=2, suspect_slots=1),
        cmd.Admit(at=at, slots=9, suspect_slots=1),
        cmd.Tick(at=at),
        cmd.Signal(at=at, name="go", data=NONE),
        cmd.Lost(at=at, attempts=tuple(running)),
    )
    return draw.choice(others)


def test_after_the_acknowledgement_of_a_pause_or_cancel_nothing_new_starts_there() -> None:
    interleavings = amount(test=10_000, nightly=500_000)
    seen: Counter[str] = Counter()
    for seed in range(interleavings):
        draw = random.Random(seed)
        state = Execution(ID, draw.choice(PLANS))
        bystander = Watch(state.plan.workflow)
        at = 0
        given: cmd.Command = cmd.Start(at=at, workflow_id="", workflow_version="", seed=seed, input=NONE)
        for _ in range(draw.randrange(6, 32)):
            try:
                turn = advance(state, given)
            except TaskEngineError as refusal:
                bystander.seen[refusal.name] += 1
            else:
                for event in turn.events:
                    bystander.see(event)
            at += draw.choice((0, 0, 1, 10, 50))
            given = command(draw, state, at)
        seen += bystander.seen
    print(f"\n{interleavings} interleavings: {', '.join(f'{name} {count}' for name, count in seen.most_common())}")
    for name in (
        "begun",
        "begun below",
        "ChildrenRegistered",
        "SubtreePaused",
        "SubtreeResumed",
        "SubtreeCancelled",
        "ExecutionRetried",
        "TaskRetryScheduled",
        "TimerFired",
    ):
        assert seen[name] >= 1_000, f"{name} was seen {seen[name]} times only"
