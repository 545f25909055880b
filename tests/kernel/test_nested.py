"""Containers in containers, under everything that can happen to an execution: random workflows, random orders, crashes, control.

Tame examples end as an interpreter says that knows nothing of events; of wild ones every promise is watched. A failing example is
made small and told as the workflow, the commands and the numbers that reproduce it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from taskengine.model import event as ev
from taskengine.model.status import STATUS_OF, Phase
from taskengine.model.value import Json, TaskError, decode, encode
from tests.amounts import amount
from tests.kernel.nested import INPUT, tame, wild
from tests.kernel.nested_oracle import CHILD, End, Interpreter, bare
from tests.kernel.nested_play import NestedMachine, answer, document, gave, play_fork, play_nested, step_of
from tests.kernel.seen import Seen
from tests.kernel.shrink import Graph, Shrinker, Steps
from tests.kernel.tape import Tape

TAME = amount(test=300, nightly=10_000)
WILD = amount(test=500, nightly=10_000)


def example(seed: int, longest: int) -> tuple[Graph, Steps]:
    """The numbers behind a seed."""
    draw = random.Random(seed)
    graph = [draw.randrange(2**16) for _ in range(400)]
    return graph, [[draw.randrange(2**16) for _ in range(6)] for _ in range(draw.randrange(20, longest))]


def must_be_as_told(machine: NestedMachine) -> None:
    """The interpreter's end and the kernel's."""
    state = machine.live
    told = Interpreter(machine.workflow, INPUT, lambda path, used: answer(path, used, machine.salt))
    end = told.run()
    numbers = {state.path_of(number): number for number in range(1, len(state.phase))}
    numbers = {path: number for path, number in numbers.items() if number < state.undo_from}
    assert sorted(numbers) == sorted(told.ends)
    outputs = {path: named(output) for path, output in gave(machine).items()}
    for path, wanted in told.ends.items():
        number = numbers[path]
        task = state.live.get(number)
        error = task.error if task is not None else None
        assert STATUS_OF[state.phase[number]].value == wanted.status, path
        assert outputs.get(path) == (wanted.output if wanted.status == "completed" else None), path
        assert same(error, wanted.error), (path, error, wanted.error)
        assert (task is not None and task.is_handled) == wanted.is_handled, path
    assert given(machine) == {path: value for path, value in told.inputs.items() if value}
    assert (named(decode(state.output)) if state.output else None) == named(end.output)
    if state.saga is None:
        assert (state.status_at_end, state.outcome) == (end.status, end.outcome)
        assert same(state.error, end.error), (state.error, end.error)
    else:
        must_be_undone(machine, end)


def must_be_undone(machine: NestedMachine, end: End) -> None:
    """After a failure: what each completed step says of its undoing has been tried, and given what the step gave."""
    state = machine.live
    assert (state.status_at_end, end.status) == ("failed", "failed")
    assert state.error is not None
    assert end.error is not None
    assert (state.error.type, named(state.error.message)[: len(end.error.message)]) == (end.error.type, end.error.message)
    outputs = gave(machine)
    for event in machine.history:
        if isinstance(event, ev.TaskScheduled) and event.task >= state.undo_from and event.input:
            path = state.path_of(event.task).removesuffix("[undo]/")
            told: Any = decode(event.input)
            assert told.get("gave", outputs[path]) == outputs[path]
    assert all(state.phase[number] != Phase.PENDING for number in range(state.undo_from, len(state.phase)))


def same(error: TaskError | None, wanted: TaskError | None) -> bool:
    """Whether an error is the one that was told; of what is wrong with items only the beginning is."""
    if error is None or wanted is None:
        return error is wanted
    error = msgspec.structs.replace(error, message=named(error.message))
    if "items is a list" in wanted.message:
        return error.type == wanted.type and "items is a list" in error.message
    return bare(error) == bare(wanted)


def named(value: Any) -> Any:
    """A value in which all children have the same name; their own ones are made of the time."""
    return decode(msgspec.Raw(re.sub(rb"ex_(?!0{26})[0-9A-Z]{26}", CHILD.encode(), encode(value))))


def given(machine: NestedMachine) -> dict[str, Json]:
    """What work was given, from the first attempts."""
    found: dict[str, Json] = {}
    for event in machine.history:
        if not isinstance(event, ev.TaskScheduled | ev.TaskStarted) or event.attempt != 1 or event.task >= machine.live.undo_from:
            continue
        value = event.input or (machine.live.steps[event.task].constant_input if isinstance(event, ev.TaskScheduled) else None)
        if isinstance(event, ev.TaskScheduled) and value:
            found[machine.live.path_of(event.task)] = named(decode(value))
        elif isinstance(event, ev.TaskStarted) and event.child:
            found[machine.live.path_of(event.task)] = named(decode(event.input))["input"]
    return {path: value for path, value in found.items() if value}


def tamely(graph: Sequence[int], steps: Sequence[Sequence[int]], seen: Seen, told: list[str] | None = None) -> NestedMachine:
    machine = play_nested(graph, steps, seen, is_tame=True, told=told)
    must_be_as_told(machine)
    if machine.salt % 3 == 2:
        must_end_alike(play_fork(machine, step_of(machine), steps, seen, is_tame=True, told=told), machine)
    return machine


def must_end_alike(fork: NestedMachine, origin: NestedMachine) -> None:
    """Where every attempt is answered alike, a fork comes to what it was forked from."""
    assert fork.live.status_at_end == origin.live.status_at_end
    for step in origin.plan.steps[1:]:
        ends = [machine.live.status_of(machine.live.number_of(step.path)) for machine in (fork, origin)]
        assert ends[0] == ends[1], step.path
    outputs = [{path: named(value) for path, value in gave(machine).items()} for machine in (fork, origin)]
    for path, value in outputs[0].items():
        assert "[undo]" in path or value == outputs[1][path], path


def wildly(graph: Sequence[int], steps: Sequence[Sequence[int]], seen: Seen, told: list[str] | None = None) -> NestedMachine:
    machine = play_nested(graph, steps, seen, is_tame=False, told=told)
    if machine.salt % 3 == 2:
        play_fork(machine, step_of(machine), steps[:80], seen, is_tame=False, told=told)
    return machine


def small(seed: int, longest: int, plays: Callable[..., object]) -> str:
    """The failure of a seed as small as it gets."""
    graph, steps = Shrinker(lambda graph, steps: plays(graph, steps, Seen()), *example(seed, longest)).run()
    told: list[str] = []
    try:
        plays(graph, steps, Seen(), told)
    except Exception as error:  # noqa: BLE001 whatever it is, it is told
        told.append(f"{type(error).__name__}: {error}")
    tape = Tape(graph)
    tape.number()
    return "\n".join([f"seed {seed}", document((tame if plays is tamely else wild)(tape)), *told, f"{graph = }", f"{steps = }"])


@pytest.mark.timeout(7_200)
def test_nested_workflows_end_as_an_interpreter_says_whatever_the_order() -> None:
    seen = Seen()
    for seed in range(TAME):
        try:
            tamely(*example(seed, 150), seen)
        except Exception as error:
            raise AssertionError(small(seed, 150, tamely)) from error
    print(f"\n{seen.table()}")


@pytest.mark.timeout(7_200)
def test_every_promise_holds_for_nested_workflows_under_control() -> None:
    seen = Seen()
    for seed in range(WILD):
        try:
            wildly(*example(seed, 200), seen)
        except Exception as error:
            raise AssertionError(small(seed, 200, wildly)) from error
    seen.require(20, is_nested=True)
