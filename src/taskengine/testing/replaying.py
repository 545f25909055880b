"""Would the present code, and the present workflow, have written a recorded history? The first event that differs is named.

Two questions. Does the history fold to the state that it folded to when it was recorded? And does the kernel, given what came from
outside (starts, signals, controls, results, the passing of time), decide the same again, event by event? It performs nothing: no
function is called, no clock is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from taskengine.define.declared import Declares
from taskengine.errors import CommandRefusedError, TaskEngineError
from taskengine.kernel import invariant
from taskengine.kernel.advance import advance, fold
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.decide import decide
from taskengine.kernel.state import Execution
from taskengine.kernel.story import why
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.codec import encode_event
from taskengine.model.status import Phase, Status
from taskengine.model.workflow import Workflow
from taskengine.testing.documents import workflow_of
from taskengine.testing.history import History
from taskengine.testing.recording import Recording, final_state, read_recording, state_hash

__all__ = ["ReplayError", "histories", "replay"]

_SHOWN: Final = 300  # characters of an event
_NAMED: Final = 5  # steps in a message
_BROKEN: Final = (AssertionError, KeyError, IndexError, TypeError, ValueError)


class ReplayError(AssertionError):
    """The present code or workflow does not agree with a recorded history; ``seq`` is the first event that shows it."""

    def __init__(self, message: str, *, seq: int) -> None:
        super().__init__(message)
        self.seq = seq


def histories(folder: str | Path) -> list[Path]:
    """The recorded histories in a folder, for ``pytest.mark.parametrize``. ``FileNotFoundError`` when there are none."""
    found = sorted(Path(folder).rglob("*.jsonl"))
    if not found:
        raise FileNotFoundError(f"there is no recorded history (*.jsonl) in {folder}")
    return found


def replay(file: str | Path, workflow: Workflow | Declares | str | Path | None = None, *, folds_only: bool = False) -> History:
    """Replay a file that ``History.record`` wrote, with this workflow or document (none: the one that was recorded).

    Raises ``ReplayError`` naming the first event that would be refused or differ, and what reads the file and the workflow raises.
    ``folds_only``: do not decide again, only fold what was decided then.

    >>> import tempfile
    >>> from taskengine import Step, Workflow
    >>> from taskengine.testing import virtual_engine
    >>> def patient(days):
    ...     return Workflow(name="patient", steps=(Step(id="pause", type="wait", config={"duration": f"{days}d"}),))
    >>> with tempfile.TemporaryDirectory() as folder, virtual_engine() as engine:
    ...     file = engine.run(patient(30)).history.record(f"{folder}/patient.jsonl")
    ...     print(replay(file, patient(30)).status)
    ...     try:
    ...         replay(file, patient(14))
    ...     except ReplayError as error:
    ...         print("event", error.seq, "would be another")
    completed
    event 3 would be another
    """
    recording = read_recording(file)
    present = _present(workflow, recording)
    _fold_again(recording)
    if not folds_only:
        _decide_again(recording, present)
    return History(recording.execution_id, workflow=present, events=recording.events)


def _present(workflow: Workflow | Declares | str | Path | None, recording: Recording) -> Workflow:
    if workflow is None:
        return recording.workflow
    # In the order of the stored form: rendered parameters have the order of what they were rendered from.
    stored = msgspec.json.encode(workflow_of(workflow), order="sorted")
    return msgspec.structs.replace(msgspec.json.decode(stored, type=Workflow), version=recording.workflow.version)


def _fold_again(recording: Recording) -> None:
    """The history means what it meant."""
    state = Execution(recording.execution_id, compile_plan(recording.workflow))
    for seq, event in enumerate(recording.events, 1):
        try:
            fold(recording.execution_id, state.plan, (event,), state=state)
            invariant.check(state)
        except _BROKEN as error:
            raise _differs(recording, seq, what=f"it cannot be folded any more: {error!r}") from error
    final = final_state(state)
    if state_hash(final) != recording.sha256:
        seq = len(recording.events)
        different = [f"{name}: {old} → {new}" for name, old, new in _differences(recording.final, final)]
        raise _differs(recording, seq, what="it folds to another state than when it was recorded:\n  " + "\n  ".join(different))


def _differences(old: Any, new: Any, *, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        known = cast("dict[str, Any]", old)
        found = cast("dict[str, Any]", new)
        for key in sorted(known.keys() | found.keys()):
            yield from _differences(known.get(key), found.get(key), name=f"{name}.{key}".lstrip("."))
    elif old != new:
        yield name or "the hash", old, new


def _decide_again(recording: Recording, workflow: Workflow) -> None:
    """Let the kernel decide everything anew, from what came from outside."""
    try:
        state = Execution(recording.execution_id, compile_plan(workflow))
    except TaskEngineError as error:
        raise _differs(recording, 1, what=f"the workflow cannot be run any more: {error.message}") from error
    events = recording.events
    while state.seq < len(events):
        following = events[state.seq :]
        seq = state.seq + 1
        try:
            decided = _turn(state, following)
        except TaskEngineError as error:
            raise _differs(recording, seq, what=f"it would be refused: {error.message}") from error
        except _BROKEN as error:
            raise _differs(recording, seq, what=f"it has no place in the workflow any more: {error!r}") from error
        if not decided:
            raise _differs(recording, seq, what=f"instead nothing would happen: {_rest(state)}")
        for offset, event in enumerate(decided):
            if offset >= len(following):
                raise _differs(recording, len(events), what=f"this would follow it: {_shown(event)}")
            if event != following[offset]:
                raise _differs(recording, seq + offset, what=f"instead there would be {_shown(event)}")


def _turn(state: Execution, following: Sequence[ev.Event]) -> Sequence[ev.Event]:
    """What the kernel writes down for whatever it was that caused the first of these events."""
    first = following[0]
    if _is_mapped(state, first):
        # A mapping made the output from a result that no event holds: what is written is taken as it is.
        fold(state.execution_id, state.plan, (first,), state=state)
        return [first, *_advanced(state, cmd.Tick(at=first.at))]
    causes = tuple(_causes(state, following))
    for command in causes:
        with suppress(CommandRefusedError):
            decided = decide(state, command, first.at)
            if decided and list(decided) == list(following[: len(decided)]):
                return _advanced(state, command)
    # Time alone; else it is not what the likeliest cause would lead to now.
    return _advanced(state, cmd.Tick(at=first.at)) or _advanced(state, causes[0])


def _advanced(state: Execution, command: cmd.Command) -> Sequence[ev.Event]:
    """What a command leads to; a turn that was cut before anything was found goes on."""
    turn = advance(state, command)
    while turn.is_cut and not turn.events:
        turn = advance(state, cmd.Tick(at=command.at))
    return turn.events


def _is_mapped(state: Execution, event: ev.Event) -> bool:
    """Whether an output mapping came between the result of a running attempt and this event."""
    is_made = isinstance(event, ev.TaskCompleted) or (isinstance(event, ev.TaskFailed) and event.error.type == "ExpressionError")
    number, attempt = _place(event)
    if not is_made or state.steps[number].output is None:
        return False
    live = state.live.get(number)
    return live is not None and (live.is_launched or bool(live.child)) and live.attempt == attempt


def _place(event: ev.Event) -> tuple[int, int]:
    """The task and the attempt that an event is about; zeros for the execution's own."""
    return getattr(event, "task", 0), getattr(event, "attempt", 0)


def _causes(state: Execution, following: Sequence[ev.Event]) -> Iterator[cmd.Command]:
    """The commands that may have caused the first of these events, the likeliest first."""
    first, at = following[0], following[0].at
    match first:
        case ev.ExecutionStarted():
            yield _beginning(first, following[1:])
        case ev.SignalReceived():
            yield cmd.Signal(at=at, name=first.name, data=first.data, by=first.by)
        case ev.VariablesSet(task=0):
            yield cmd.SetVariables(at=at, values=first.values, by=first.by)
        case ev.SubtreePaused():
            yield cmd.Pause(at=at, path=first.path, by=first.by, reason=first.reason)
        case ev.SubtreeResumed():
            yield cmd.Resume(at=at, path=first.path, by=first.by, reason=first.reason)
        case ev.SubtreeCancelled():
            yield cmd.Cancel(at=at, path=first.path, by=first.by, reason=first.reason, compensates=first.compensates)
        case ev.ExecutionTerminated():
            yield cmd.Terminate(at=at, by=first.by, reason=first.reason)
        case ev.ExecutionRetried():
            yield from _skip(state, following)
            yield cmd.Retry(at=at, path=first.path, by=first.by, reason=first.reason)
        case _:
            yield from _skip(state, following)
            yield from _causes_from_others(state, first)
            yield from _causes_at_a_task(state, following)
            yield cmd.Tick(at=at)


def _beginning(started: ev.ExecutionStarted, following: Sequence[ev.Event]) -> cmd.Start:
    """A start, or a fork when that is what comes second."""
    said = {name: getattr(started, name) for name in started.__struct_fields__}
    if following and isinstance(following[0], ev.ExecutionForked):
        forked = following[0]
        return cmd.Fork(**said, origin=forked.origin, path=forked.path, tasks=forked.tasks)
    return cmd.Start(**said)


def _skip(state: Execution, following: Sequence[ev.Event]) -> Iterator[cmd.Skip]:
    """A person goes on without a task, perhaps after opening it again."""
    for event in following[:2]:
        if isinstance(event, ev.TaskSkipped) and event.reason is ev.SkipReason.PERSON:
            yield cmd.Skip(at=event.at, path=state.path_of(event.task), by=event.by, reason=event.note)


def _causes_from_others(state: Execution, first: ev.Event) -> Iterator[cmd.Command]:
    """A person's decision, or the end of an execution that the task has started."""
    at, (number, attempt) = first.at, _place(first)
    task = state.live.get(number)
    child = task.child if task is not None else ""
    ended = cmd.ChildEnded(at=at, task=number, attempt=attempt, child=child, status=Status.CANCELLED)
    match first:
        case ev.ApprovalDecided(is_approved=is_approved, by=by, comment=comment, data=data):
            path = state.path_of(number)
            yield cmd.Decide(at=at, path=path, is_approved=is_approved, by=by, comment=comment, data=data)
        case ev.TaskCompleted(output=output) if child:
            yield msgspec.structs.replace(ended, status=Status.COMPLETED, output=output)
        case ev.TaskFailed(error=error) | ev.TaskRetryScheduled(error=error) if child and error is not None:
            told = msgspec.structs.replace(error, message=error.message.removeprefix(f"{child}: "))
            yield msgspec.structs.replace(ended, status=Status.FAILED, error=told)
        case ev.TaskCancelled() if child:
            yield ended
        case _:
            pass


def _causes_at_a_task(state: Execution, following: Sequence[ev.Event]) -> Iterator[cmd.Command]:
    first, at = following[0], following[0].at
    number, attempt = _place(first)
    path = state.path_of(number)
    match first:
        case ev.TaskScheduled():
            yield cmd.Admit(at=at, slots=not first.is_suspect, suspect_slots=first.is_suspect)
        case ev.TaskRetryScheduled() if first.is_new_round:
            yield cmd.Retry(at=at, path=path, by=first.by)
        case ev.TaskFailed(attempt=0):  # an input that cannot be made is found when a slot is given
            yield cmd.Admit(at=at, slots=1)
        case ev.TaskRetryScheduled() | ev.TaskFailed() if first.error is not None:
            yield cmd.Report(at=at, task=number, attempt=attempt, end=cmd.Failed(first.error))
        case ev.TaskCompleted():
            yield cmd.Report(at=at, task=number, attempt=attempt, end=cmd.Succeeded(first.output))
        case ev.TaskAttemptLost():
            yield _lost_together(state, following, is_counted=first.is_counted)
        case ev.TaskCancelled() | ev.TimerCancelled():
            by = next((one.by for one in following if isinstance(one, ev.TaskCancelled)), "")
            yield _lost_together(state, following, is_counted=True)
            yield _lost_together(state, following, is_counted=False)
            yield cmd.Report(at=at, task=number, attempt=attempt, end=cmd.Abandoned())
            yield cmd.Terminate(at=at, path=path, by=by)
        case ev.TaskTimedOut(kind=ev.TimeoutKind.HEARTBEAT):
            yield cmd.Silent(at=at, task=number, attempt=attempt)
        case ev.TaskProgressReported():
            yield cmd.Progress(at=at, task=number, attempt=attempt, progress=first.progress)
        case _:
            pass


def _lost_together(state: Execution, following: Sequence[ev.Event], *, is_counted: bool) -> cmd.Lost:
    """The attempts that a process took with it: those that had been asked to stop were over with that."""

    def is_one(event: ev.Event) -> bool:
        if isinstance(event, ev.TaskCancelled):
            task = state.live.get(event.task)
            return task is not None and task.is_cancelling and event.outcome is None
        return isinstance(event, ev.TaskQuarantined) or (isinstance(event, ev.TaskAttemptLost) and event.is_counted == is_counted)

    at = following[0].at
    lost = takewhile(lambda event: event.at == at and is_one(event), following)
    attempts = tuple(_place(event) for event in lost if not isinstance(event, ev.TaskQuarantined))
    return cmd.Lost(at=at, attempts=attempts, is_counted=is_counted)


def _differs(recording: Recording, seq: int, *, what: str) -> ReplayError:
    event = recording.events[seq - 1]
    place = f"{recording.path}:{seq + 1}"  # the first line is no event
    return ReplayError(f"{place}: event {seq} is {_shown(event)}\n{what}", seq=seq)


def _rest(state: Execution) -> str:
    """Where the open steps stand."""
    numbers = [number for number in range(1, len(state.steps)) if Phase.PENDING < state.phase[number] < Phase.COMPLETED]
    begun = [state.path_of(number) for number in numbers]
    return "; ".join(f"{path} {why(state, path)}" for path in begun[:_NAMED]) or "no step is open"


def _shown(event: ev.Event) -> str:
    text = encode_event(event).decode()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"
