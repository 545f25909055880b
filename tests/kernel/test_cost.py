"""What an event costs grows neither with the workflow nor with what has happened. Work is counted, not timed: function calls."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterable
from types import FrameType

import pytest

from taskengine.kernel.advance import advance
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.snapshot import dump
from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model.event import ChildrenRegistered, Event, TaskScheduled
from taskengine.model.value import NONE, raw
from taskengine.model.workflow import Block, Join, Step, Workflow
from tests.kernel.scene import ID, function, mapped, noop, wait

SMALL, LARGE = 1_000, 10_000
RATIO = 1.2
DONE = cmd.Succeeded(raw({"rows": 1}))


def calls(work: Callable[[], object]) -> int:
    """How many functions are called, Python's and C's, while this is done."""
    counted = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal counted
        if event in {"call", "c_call"}:
            counted += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counted


def execution(*steps: Step, output: object = None) -> Execution:
    """Started, nothing admitted."""
    state = Execution(ID, compile_plan(Workflow(name="w", steps=steps, output=output)))
    advance(state, cmd.Start(at=0, workflow_id="", workflow_version="", seed=0, input=NONE))
    return state


def chain(size: int) -> list[Step]:
    """One after the other."""
    return [function(f"s{number}", *([f"s{number - 1}"] if number else [])) for number in range(size)]


def fan(size: int) -> list[Step]:
    """One, then all the others beside each other, then one that waits for them all."""
    names = [f"s{number}" for number in range(size)]
    return [function("first"), *(function(name, "first") for name in names), function("last", *names)]


def run(state: Execution, slots: int) -> None:
    """From wherever it is to its end."""
    advance(state, cmd.Admit(at=0, slots=slots))
    while not state.is_finished:
        for number in [number for number, task in state.live.items() if task.is_launched]:
            advance(state, cmd.Report(at=0, task=number, attempt=state.live[number].attempt, end=DONE))
            advance(state, cmd.Admit(at=0, slots=slots))


def per_step(graph: Callable[[int], list[Step]], size: int, *, slots: int) -> float:
    """Calls for each step of a whole execution, its start left out."""
    state = execution(*graph(size))
    return calls(lambda: run(state, slots)) / size


def must_not_grow(graph: Callable[[int], list[Step]], *, slots: int, small: int = SMALL, large: int = LARGE) -> float:
    """Ten times the steps, the same calls for each; how many that are."""
    few, many = per_step(graph, small, slots=slots), per_step(graph, large, slots=slots)
    print(f"\ncalls per step: {few:.1f} with {small} steps, {many:.1f} with {large}")
    assert many <= RATIO * few
    return many


def test_a_step_of_a_long_chain_costs_what_a_step_of_a_short_one_costs() -> None:
    assert must_not_grow(chain, slots=1) < 100


def test_the_last_steps_of_a_chain_cost_what_the_first_ones_cost() -> None:
    state = execution(*chain(LARGE))
    advance(state, cmd.Admit(at=0, slots=1))

    def steps(first: int) -> None:
        for number in range(first, first + 100):
            advance(state, cmd.Report(at=0, task=number, attempt=1, end=DONE))
            advance(state, cmd.Admit(at=0, slots=1))

    first = calls(lambda: steps(1))
    for number in range(101, LARGE - 200):
        advance(state, cmd.Report(at=0, task=number, attempt=1, end=DONE))
        advance(state, cmd.Admit(at=0, slots=1))
    last = calls(lambda: steps(LARGE - 200))
    assert last <= RATIO * first


@pytest.mark.parametrize("slots", [4, 2 * LARGE])
def test_a_fan_out_and_its_join_cost_linear(slots: int) -> None:
    must_not_grow(fan, slots=slots)


def mixed(size: int) -> list[Step]:
    """Conditions, noops and the other joins."""
    names = [f"s{number}" for number in range(size)]
    return [
        function("first"),
        *(noop(name, "first", join=Join.ALL_DONE, when='steps.first.status == "completed"') for name in names),
        noop("any", *names, join=Join.ANY_SUCCESS),
        noop("all", *names, join=Join.NONE_FAILED),
    ]


def test_conditions_noops_and_other_joins_cost_linear() -> None:
    must_not_grow(mixed, slots=1, small=SMALL // 4, large=LARGE // 4)


def test_pausing_resuming_signalling_and_ticking_cost_the_same_whatever_is_ready() -> None:
    def control(size: int) -> int:
        state = execution(
            *(function(f"s{number}", timeout_ms=60_000) for number in range(size)), wait("w", config={"signal": "go"})
        )
        advance(state, cmd.Admit(at=0, slots=size // 2))
        commands = (
            cmd.Pause(at=0),
            cmd.Signal(at=1, name="nobody", data=NONE),
            cmd.Resume(at=2),
            cmd.Pause(at=3, path="/s1/"),
            cmd.Tick(at=4),
            cmd.Resume(at=5, path="/s1/"),
            cmd.Cancel(at=6, path=f"/s{size - 1}/"),
        )
        return calls(lambda: [advance(state, command) for command in commands])

    assert control(LARGE) <= RATIO * control(SMALL)


def test_losing_and_retrying_cost_the_same_whatever_is_ready() -> None:
    def again(size: int) -> int:
        state = execution(*(function(f"s{number}") for number in range(size)))
        advance(state, cmd.Admit(at=0, slots=1))
        commands = (
            cmd.Lost(at=0, attempts=((1, 1),)),
            cmd.Admit(at=0, slots=1),
            cmd.Terminate(at=0, path="/s0/"),
            cmd.Retry(at=0, path="/s0/"),
        )
        return calls(lambda: [advance(state, command) for command in commands])

    assert again(LARGE) <= RATIO * again(SMALL)


def test_what_has_completed_keeps_one_byte_and_nothing_in_any_index() -> None:
    state = execution(*fan(LARGE), output="{{ steps.last.output }}")
    run(state, 100)
    kept = {
        name: len(getattr(state, name))
        for name in ("live", "tally", "skips", "unjudged", "closing", "spreading", "ready", "suspects")
    }
    assert kept == dict.fromkeys(kept, 0)
    assert (len(state.outputs), len(state.unread)) == (1, 1)
    assert len(state.phase) == LARGE + 3
    assert len(dump(state)) < 2 * LARGE


# ── maps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def run_map(size: int, *, window: int | None = None) -> Execution:
    """A map over so many items, a single step for each; nothing admitted."""
    config = {} if window is None else {"max_concurrency": window}
    state = execution(mapped("each", function("a"), items=list(range(size)), config=config))
    while advance(state, cmd.Tick(at=0)).is_cut:
        pass
    return state


def per_iteration(size: int, *, window: int | None) -> float:
    """Calls for each iteration of a whole map, what its start opened left out."""
    state = run_map(size, window=window)

    def answer() -> None:
        attempts = deque(launched(advance(state, cmd.Admit(at=0, slots=50)).events))
        while not state.is_finished:
            number, attempt = attempts.popleft()
            advance(state, cmd.Report(at=0, task=number, attempt=attempt, end=DONE))
            attempts += launched(advance(state, cmd.Admit(at=0, slots=50)).events)

    return calls(answer) / size


def launched(events: Iterable[Event]) -> list[tuple[int, int]]:
    """The attempts that begin."""
    return [(event.task, event.attempt) for event in events if isinstance(event, TaskScheduled)]


@pytest.mark.parametrize("window", [None, 10])
def test_an_iteration_of_a_large_map_costs_what_one_of_a_small_map_costs(window: int | None) -> None:
    few, many = per_iteration(SMALL, window=window), per_iteration(LARGE, window=window)
    print(f"\ncalls per iteration: {few:.1f} of {SMALL}, {many:.1f} of {LARGE}")
    assert many <= RATIO * few
    assert many < 200


def test_what_has_completed_in_a_map_keeps_less_than_400_bytes_an_iteration() -> None:
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        state = run_map(SMALL, window=10)
        while not state.is_finished:
            for number, attempt in launched(advance(state, cmd.Admit(at=0, slots=50)).events):
                advance(state, cmd.Report(at=0, task=number, attempt=attempt, end=cmd.Succeeded(raw("x" * 2_000))))
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    kept = (after - before) / SMALL
    print(f"\n{kept:.0f} bytes for each completed iteration")
    assert (len(state.live), len(state.outputs), len(state.unread), len(state.tally)) == (0, 0, 0, 0)
    assert kept < 400


AGAIN = Step(
    id="again",
    type="loop",
    config={"while": "index < 20 and input.n == 1", "max_iterations": 100},
    blocks=(Block(steps=(Step(id="n", type="noop"),)),),
)
ASKED = tuple(Step(id=f"s{place}", type="function", when="input.n == 1") for place in range(20))


@pytest.mark.parametrize(("steps", "kind"), [((AGAIN,), ChildrenRegistered), (ASKED, TaskScheduled)])
def test_a_turn_ends_when_its_expressions_have_read_much_and_the_rest_follows(steps: tuple[Step, ...], kind: type[Event]) -> None:
    state = Execution("ex_1", compile_plan(Workflow(name="wide", steps=steps)))
    given = raw({"n": 1, "blob": "x" * 1_000_000})
    turns = [advance(state, cmd.Start(at=0, workflow_id="", workflow_version="", seed=0, input=given), slots=100)]
    while turns[-1].is_cut:
        turns.append(advance(state, cmd.Tick(at=0), slots=100))
        assert len(turns) < 100
    assert len(turns) >= 4
    assert sum(isinstance(event, kind) for turn in turns for event in turn.events) == 20


def test_what_was_not_judged_because_much_was_read_is_judged_in_the_next_turn_also_without_slots() -> None:
    state = Execution("ex_1", compile_plan(Workflow(name="wide", steps=ASKED)))
    given = raw({"n": 1, "blob": "x" * 1_000_000})
    turn = advance(state, cmd.Start(at=0, workflow_id="", workflow_version="", seed=0, input=given))
    assert 0 < len(state.ready.members) < 20
    while turn.is_cut:
        turn = advance(state, cmd.Tick(at=0))
    assert len(state.ready.members) == 20
