"""Recorded histories: what is written can be read back, replays alike, and is refused by name where code or workflow changed."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from taskengine import Engine, OnError, RetryPolicy, Step, Workflow
from taskengine.errors import NotFoundError, StorageError, UnknownEventError
from taskengine.testing import History, ReplayError, histories, history_of, record, replay, virtual_engine
from tests.amounts import amount
from tests.kernel.graphs import workflow as random_workflow
from tests.kernel.nested_play import play_fork, play_nested, step_of
from tests.kernel.play import play
from tests.kernel.seen import Seen
from tests.testing.workflows import FUNCTIONS, ORDER, call, wait

RANDOM_HISTORIES = amount(test=25, nightly=2_000)
ID = "ex_00000000000000000000000000"


@pytest.fixture(scope="module")
def history() -> History:
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("fetch").fails(2, error=ConnectionError("no route"))
        return engine.run(ORDER, params={"x": 4}).history


@pytest.fixture
def file(history: History, tmp_path: Path) -> Path:
    return history.record(tmp_path / "order.jsonl")


def changed(*steps: Step, workflow: Workflow = ORDER) -> Workflow:
    """The workflow with these steps in the place of those of the same id; others are added."""
    by_id = {step.id: step for step in (*workflow.steps, *steps)}
    return msgspec.structs.replace(workflow, steps=tuple(by_id.values()))


def step(step_id: str) -> Step:
    return next(one for one in ORDER.steps if one.id == step_id)


def test_a_history_agrees_with_the_code_and_the_workflow_that_wrote_it(file: Path, history: History) -> None:
    again = replay(file)
    assert again.story() == history.story()
    again.ran("fetch", times=3)
    assert replay(file, ORDER).output == 16


def test_the_same_history_gives_the_same_bytes(file: Path, history: History, tmp_path: Path) -> None:
    assert record(history, tmp_path / "deeper" / "again.jsonl").read_bytes() == file.read_bytes()
    assert len(file.read_text(encoding="utf-8").splitlines()) == len(history.events) + 2


def test_changes_that_decide_nothing_else_are_accepted(file: Path) -> None:
    replay(file, msgspec.structs.replace(ORDER, description="described", owner="Ada"))
    replay(file, changed(msgspec.structs.replace(step("again"), name="Again", timeout_ms=60_000)))


CHANGES: dict[str, tuple[Workflow, str, str]] = {
    "a step is added": (changed(call("more", "double")), "/more/ waits for a free slot", "ExecutionCompleted"),
    "a step waits": (changed(wait("again", "fetch", duration="1h")), "TaskStarted", "TaskSkipped"),
    "a condition became true": (
        changed(msgspec.structs.replace(step("never"), when="true")),
        "/never/ waits for a free slot",
        "TaskSkipped",
    ),
    "there are fewer attempts": (
        changed(msgspec.structs.replace(step("fetch"), retry=RetryPolicy(max_attempts=2, initial_interval_ms=1_000, jitter=0.0))),
        "TaskFailed",
        "TaskRetryScheduled",
    ),
    "the pause is longer": (
        changed(msgspec.structs.replace(step("fetch"), retry=RetryPolicy(max_attempts=4, initial_interval_ms=1_500, jitter=0.0))),
        "TaskRetryScheduled",
        "TaskRetryScheduled",
    ),
    "parameters are others": (changed(call("again", "double", "fetch", params={"x": 1})), "TaskScheduled", "TaskScheduled"),
    "the output is another": (
        msgspec.structs.replace(ORDER, output="{{ steps.fetch.output }}"),
        "ExecutionCompleted",
        "ExecutionCompleted",
    ),
    "a failure fails the execution": (
        changed(msgspec.structs.replace(step("clean"), handles=()), msgspec.structs.replace(step("bad"), on_error=OnError.FAIL)),
        "ExecutionFailed",
        "ExecutionCompleted",
    ),
}


@pytest.mark.parametrize(("workflow", "now", "then"), CHANGES.values(), ids=CHANGES)
def test_a_workflow_that_would_decide_otherwise_is_refused_at_the_first_event(
    file: Path, workflow: Workflow, now: str, then: str
) -> None:
    with pytest.raises(ReplayError) as caught:
        replay(file, workflow)
    message = str(caught.value)
    assert f"order.jsonl:{caught.value.seq + 1}: event {caught.value.seq} is " in message
    recorded = file.read_text(encoding="utf-8").splitlines()[caught.value.seq]
    assert f'"type":"{then}"' in recorded
    assert then in message
    assert now in message.splitlines()[1]


def test_a_step_that_is_gone_is_named(file: Path) -> None:
    shorter = msgspec.structs.replace(ORDER, steps=tuple(one for one in ORDER.steps if one.id not in {"bad", "clean"}))
    with pytest.raises(ReplayError, match=r"order\.jsonl:\d+: event \d+ is"):
        replay(file, shorter)


def test_a_result_of_an_attempt_that_was_not_running_would_be_refused(file: Path, history: History, tmp_path: Path) -> None:
    events = list(history.events)
    done = next(index for index, event in enumerate(events) if type(event).__name__ == "TaskCompleted")
    twice = [*events[: done + 1], events[done], *events[done + 1 :]]
    forged = tmp_path / "forged.jsonl"
    lines = file.read_bytes().splitlines()
    forged.write_bytes(b"\n".join([lines[0], *(msgspec.json.encode(event) for event in twice), lines[-1]]))
    with pytest.raises(ReplayError) as caught:
        replay(forged)
    assert caught.value.seq == done + 2


def rewritten(file: Path, change: Callable[[list[bytes]], object]) -> Path:
    lines = file.read_bytes().splitlines()
    change(lines)
    file.write_bytes(b"\n".join(lines))
    return file


def test_a_history_that_folds_to_another_state_says_what_differs(file: Path) -> None:
    def change(lines: list[bytes]) -> None:
        lines[-1] = lines[-1].replace(b'"output":16', b'"output":17')
        foot = msgspec.json.decode(lines[-1])
        foot["sha256"] = "0" * 64
        lines[-1] = msgspec.json.encode(foot)

    with pytest.raises(ReplayError, match="output: 17 → 16"):
        replay(rewritten(file, change))


def test_an_event_that_was_changed_afterwards_is_found(file: Path) -> None:
    def change(lines: list[bytes]) -> None:
        place = next(index for index, line in enumerate(lines) if b"TaskCompleted" in line)
        lines[place] = lines[place].replace(b'"output":8', b'"output":9')

    with pytest.raises(ReplayError):
        replay(rewritten(file, change))


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda lines: lines.clear(), StorageError, "no recorded history"),
        (lambda lines: lines.pop(0), StorageError, "no recorded history"),
        (lambda lines: lines.pop(), StorageError, "no recorded history"),
        (lambda lines: lines.pop(1), StorageError, r"order\.jsonl:2: a history begins"),
        (lambda lines: lines.__setitem__(3, b"{}"), StorageError, r"order\.jsonl:4"),
        (
            lambda lines: lines.__setitem__(3, b'{"type":"TaskTeleported","at":1}'),
            UnknownEventError,
            r"order\.jsonl:4.*TaskTeleported",
        ),
        (lambda lines: lines.__setitem__(0, lines[0].replace(b'"form":1', b'"form":9')), StorageError, "form 9"),
    ],
    ids=["empty", "no_head", "no_foot", "no_start", "no_event", "unknown_event", "newer_form"],
)
def test_a_damaged_file_is_an_error_with_its_line(
    file: Path, change: Callable[[list[bytes]], object], kind: type, message: str
) -> None:
    with pytest.raises(kind, match=message):
        replay(rewritten(file, change))


def test_an_execution_that_goes_on_can_be_recorded(tmp_path: Path) -> None:
    with virtual_engine() as engine:
        found = engine.execute_workflow(Workflow(name="w", steps=(wait("month", duration="30d"),))).history()
    again = replay(found.record(tmp_path / "waiting.jsonl"))
    assert again.status == "waiting"


def test_an_output_mapping_is_taken_as_it_was_written(tmp_path: Path) -> None:
    mapped = call("only", "double", params={"x": 2}, output_mapping={"twice": "{{ output }}"})
    wrong = call("wrong", "double", "only", params={"x": 2}, output_mapping={"twice": "{{ output.nothing.here }}"})
    with virtual_engine(functions=FUNCTIONS) as engine:
        found = engine.run(Workflow(name="w", steps=(mapped, wrong))).history
    found.failed("wrong", error="ExpressionError")
    assert replay(found.record(tmp_path / "mapped.jsonl")).output_of("only") == {"twice": 4}


def test_a_history_is_taken_from_a_database_and_nothing_there_goes_on(tmp_path: Path) -> None:
    with Engine(tmp_path / "work.db", functions=FUNCTIONS) as engine:
        done = engine.execute_workflow(ORDER, params={"x": 200})
        waiting = engine.execute_workflow(Workflow(name="w", steps=(wait("ok", signal="approved"),)))
        engine.cancel_instance(done.id)
        done.result()
        engine.get_instance(waiting.id)
    found = history_of(tmp_path / "work.db", waiting.id[-6:])
    assert found.execution_id == waiting.id
    assert found.status == "waiting"
    assert history_of(tmp_path / "work.db").execution_id == waiting.id  # the latest
    assert replay(history_of(tmp_path / "work.db", done.id).record(tmp_path / "done.jsonl"), ORDER).status == "cancelled"
    with pytest.raises(NotFoundError, match="no database"):
        history_of(tmp_path / "nothing.db")
    assert not (tmp_path / "nothing.db").exists()
    with pytest.raises(NotFoundError, match="no execution"):
        history_of(tmp_path / "work.db", "ex_00000000000000000000000000")


def test_new_values_of_variables_are_replayed(tmp_path: Path) -> None:
    seen = call("seen", "double", "ok", params={"x": "{{ variables.size }}"})
    with virtual_engine(functions=FUNCTIONS) as engine:
        workflow = Workflow(name="w", variables={"size": 1}, steps=(wait("ok", signal="approved"), seen))
        execution = engine.execute_workflow(workflow)
        execution.set_variables(size=21)
        execution.signal("approved")
        found = execution.result().history
    assert replay(found.record(tmp_path / "set.jsonl")).output_of("seen") == 42


def test_a_folder_without_histories_is_an_error(tmp_path: Path, file: Path) -> None:
    assert histories(file.parent) == [file]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        histories(tmp_path / "empty")


def test_the_kernel_decides_every_random_history_again(tmp_path: Path) -> None:
    kinds: set[str] = set()
    for seed in range(RANDOM_HISTORIES):
        draw = random.Random(seed)
        graph = [draw.randrange(2**16) for _ in range(400)]
        steps = [[draw.randrange(2**16) for _ in range(6)] for _ in range(draw.randrange(20, 120))]
        machine = play(graph, steps, random_workflow, Seen())
        found = History(ID, workflow=machine.plan.workflow, events=machine.history)
        again = replay(record(found, tmp_path / f"{seed}.jsonl"))
        assert again.state.seq == len(machine.history)
        kinds.update(type(event).__name__ for event in machine.history)
    assert len(kinds) >= 20, kinds


def test_the_kernel_decides_every_random_history_of_nested_blocks_again(tmp_path: Path) -> None:
    kinds: set[str] = set()
    for seed in range(RANDOM_HISTORIES):
        draw = random.Random(seed)
        graph = [draw.randrange(2**16) for _ in range(400)]
        steps = [[draw.randrange(2**16) for _ in range(6)] for _ in range(draw.randrange(20, 120))]
        machine = play_nested(graph, steps, Seen(), is_tame=seed % 2 == 0)
        if seed % 3 == 0:
            machine = play_fork(machine, step_of(machine), steps, Seen(), is_tame=seed % 2 == 0)
        found = History(ID, workflow=machine.plan.workflow, events=machine.history)
        again = replay(record(found, tmp_path / f"{seed}.jsonl"))
        assert again.state.seq == len(machine.history)
        kinds.update(type(event).__name__ for event in machine.history)
    assert {"ChildrenRegistered", "GroupClosed", "VariablesSet", "ExecutionRetried", "ExecutionForked"} <= kinds
    assert {"ApprovalDecided", "CompensationStarted", "CompensationCompleted", "SignalSent"} <= kinds
