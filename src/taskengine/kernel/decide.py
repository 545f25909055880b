"""What should be written down for a command. May refuse, by name; changes nothing.

One function for each command type, found in the table ``DECIDE``. What follows by itself from the events given here
(skips, waits, timeouts, the end of the execution) is not decided here but in ``kernel.settle``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from taskengine.errors import CommandRefusedError, ExpressionError, LimitError, NotFoundError
from taskengine.kernel.attempt import after_failure, ends_cancelled, lost, scheduled
from taskengine.kernel.context import context
from taskengine.kernel.state import Execution
from taskengine.kernel.timing import Clock
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.status import Outcome, Phase
from taskengine.model.value import Instant, TaskError, raw

__all__ = ["SIGNAL_LIMIT", "decide"]

SIGNAL_LIMIT: Final = 10_000
_ENDED: Final = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED})


def decide(state: Execution, command: cmd.Command, at: Instant) -> Sequence[ev.Event]:
    """The events that a command causes at ``at``.

    Raises ``CommandRefusedError`` (not allowed now), ``NotFoundError`` (no such path), ``LimitError`` (too many waiting signals).
    """
    if state.seq == 0 and not isinstance(command, cmd.Start):
        raise CommandRefusedError("not_started", "the execution has not been started")
    return _DECIDE[type(command)](state, command, at)


def _start(state: Execution, command: cmd.Start, at: Instant) -> Sequence[ev.Event]:
    if state.seq:
        raise CommandRefusedError("already_started", f"execution {state.execution_id} has been started before")
    return [
        ev.ExecutionStarted(
            at=at,
            workflow_id=command.workflow_id,
            workflow_version=command.workflow_version,
            seed=command.seed,
            input=command.input,
            variables=command.variables,
            priority=command.priority,
            business_key=command.business_key,
            by=command.by,
        )
    ]


def _signal(state: Execution, command: cmd.Signal, at: Instant) -> Sequence[ev.Event]:
    _must_be_open(state, "signal")
    if state.signal_count >= SIGNAL_LIMIT:
        raise LimitError(
            "signal_queue_full",
            f"{SIGNAL_LIMIT} signals are waiting already",
            hint="let the workflow take some of them first",
            limit=SIGNAL_LIMIT,
            actual=state.signal_count,
        )
    return [ev.SignalReceived(at=at, name=command.name, data=command.data, by=command.by)]


def _pause(state: Execution, command: cmd.Pause, at: Instant) -> Sequence[ev.Event]:
    _must_be_open(state, "pause")
    number = _number(state, command.path)
    if state.is_paused if number == 0 else command.path in state.paused:
        raise CommandRefusedError("already_paused", f"{command.path} is paused already")
    if state.is_cancelling:
        raise CommandRefusedError("already_cancelling", "the execution is being cancelled")
    _must_be_open_task(state, number, "pause")
    return [ev.SubtreePaused(at=at, path=command.path, by=command.by, reason=command.reason)]


def _resume(state: Execution, command: cmd.Resume, at: Instant) -> Sequence[ev.Event]:
    _must_be_open(state, "resume")
    number = _number(state, command.path)
    if not (state.is_paused if number == 0 else command.path in state.paused):
        hint = "the whole execution is paused: resume /" if state.is_paused else ""
        raise CommandRefusedError("not_paused", f"{command.path} is not paused", hint=hint)
    return [ev.SubtreeResumed(at=at, path=command.path, by=command.by, reason=command.reason)]


def _cancel(state: Execution, command: cmd.Cancel, at: Instant) -> Sequence[ev.Event]:
    _must_be_open(state, "cancel")
    number = _number(state, command.path)
    event = ev.SubtreeCancelled(at=at, path=command.path, by=command.by, reason=command.reason)
    if number == 0:
        if state.is_cancelling:
            raise CommandRefusedError("already_cancelling", "the execution is being cancelled")
        return [event]
    _must_be_open_task(state, number, "cancel")
    if state.phase[number] == Phase.RUNNING:
        if state.live[number].is_cancelling:
            raise CommandRefusedError("already_cancelling", f"{command.path} is being cancelled")
        return [event]
    return [event, *_cancel_now(state, number, at, by=command.by, outcome=None)]


def _terminate(state: Execution, command: cmd.Terminate, at: Instant) -> Sequence[ev.Event]:
    _must_be_open(state, "terminate")
    number = _number(state, command.path)
    if number == 0:
        return [ev.ExecutionTerminated(at=at, by=command.by, reason=command.reason)]
    _must_be_open_task(state, number, "terminate")
    return _cancel_now(state, number, at, by=command.by, outcome=Outcome.TERMINATED)


def _cancel_now(state: Execution, number: int, at: Instant, *, by: str, outcome: Outcome | None) -> list[ev.Event]:
    task = state.live.get(number)
    cancelled = ev.TaskCancelled(at=at, task=number, attempt=task.attempt if task else 0, by=by, outcome=outcome)
    if state.timers.has(number, Clock.WAIT):
        return [ev.TimerCancelled(at=at, task=number), cancelled]
    return [cancelled]


def _retry(state: Execution, command: cmd.Retry, at: Instant) -> Sequence[ev.Event]:
    number = _number(state, command.path)
    if not state.is_finished:
        if number == 0:
            raise CommandRefusedError(
                "execution_not_finished", "the execution is still going on", hint="retry one task by its path, e.g. /load/"
            )
        return [_retry_task(state, number, at, command.by)]
    again = (Phase.FAILED, Phase.CANCELLED, Phase.RUNNING, Phase.WAITING, Phase.RETRYING)
    if number:
        tasks = (number,) if state.phase[number] in again else ()
    else:
        tasks = tuple(step.number for step in state.plan.steps[1:] if state.phase[step.number] in again)
    if not tasks and (number or not state.is_swept):
        raise CommandRefusedError("nothing_to_retry", "nothing here has failed or was cancelled")
    return [ev.ExecutionRetried(at=at, tasks=tasks, by=command.by, reason=command.reason)]


def _retry_task(state: Execution, number: int, at: Instant, by: str) -> ev.Event:
    phase = state.phase[number]
    task = state.live.get(number)
    is_stuck = task is not None and task.is_stuck
    if phase not in {Phase.FAILED, Phase.CANCELLED, Phase.RETRYING} and not is_stuck:
        raise CommandRefusedError("task_not_failed", f"{state.plan.steps[number].path} is {state.status_of(number)}")
    if state.is_cancelling:
        raise CommandRefusedError("already_cancelling", "the execution is being cancelled")
    attempt = task.attempt if task is not None else 0
    return ev.TaskRetryScheduled(at=at, task=number, attempt=attempt, due_at=at, is_new_round=True, by=by)


def _report(state: Execution, command: cmd.Report, at: Instant) -> Sequence[ev.Event]:
    number, attempt = command.task, command.attempt
    task = state.live.get(number)
    if state.is_finished or task is None or not task.is_launched or task.attempt != attempt:
        raise CommandRefusedError("stale_attempt", f"attempt {attempt} of task {number} is not running any more")
    match command.end:
        case cmd.Succeeded(output=output):
            mapping = state.plan.steps[number].output
            if mapping is not None:
                try:
                    output = raw(mapping.render(context(state, mapping.names, (), output=output)))
                except (ExpressionError, LimitError) as error:
                    failure = TaskError(type="ExpressionError", message=f"output_mapping: {error}")
                    return after_failure(state, number, failure, at, is_retryable=False)
            return (ev.TaskCompleted(at=at, task=number, attempt=attempt, output=output),)
        case cmd.Failed(error=error):
            if ends_cancelled(state, task):
                return (ev.TaskCancelled(at=at, task=number, attempt=attempt),)
            return after_failure(state, number, error, at)
        case cmd.Abandoned():
            if ends_cancelled(state, task):
                return (ev.TaskCancelled(at=at, task=number, attempt=attempt),)
            return lost(state, number, at, is_counted=False)


def _lost(state: Execution, command: cmd.Lost, at: Instant) -> Sequence[ev.Event]:
    events: list[ev.Event] = []
    for number, attempt in command.attempts:
        task = state.live.get(number)
        if state.is_finished or task is None or not task.is_launched or task.attempt != attempt:
            continue  # it has ended in the meantime
        if ends_cancelled(state, task):
            events.append(ev.TaskCancelled(at=at, task=number, attempt=attempt))
        else:
            events.extend(lost(state, number, at, is_counted=command.is_counted))
    return events


def _tick(_state: Execution, _command: cmd.Tick, _at: Instant) -> Sequence[ev.Event]:
    return ()  # what is due is found when the state settles


def _admit(state: Execution, command: cmd.Admit, at: Instant) -> Sequence[ev.Event]:
    """The next task to begin, if there is one and a slot for it. ``advance`` asks again until there is none."""
    if state.is_finished or state.is_paused or state.is_cancelling:
        return ()
    bound = state.plan.workflow.limits.max_concurrency
    if bound is not None and state.counts[Phase.RUNNING] >= bound:
        return ()
    first = state.ready.first() if command.slots > 0 else None
    if first is not None:
        return scheduled(state, first[1], at, is_suspect=False)
    suspect = state.suspects.first() if command.suspect_slots > 0 else None
    return scheduled(state, suspect[1], at, is_suspect=True) if suspect is not None else ()


def _must_be_open(state: Execution, what: str) -> None:
    if state.is_finished:
        raise CommandRefusedError(
            "execution_already_finished", f"cannot {what} an execution that is {state.status}", status=str(state.status)
        )


def _must_be_open_task(state: Execution, number: int, what: str) -> None:
    if number and state.phase[number] in _ENDED:
        path, status = state.plan.steps[number].path, state.status_of(number)
        raise CommandRefusedError("task_already_finished", f"cannot {what} {path}: it is {status}", status=str(status))


def _number(state: Execution, path: str) -> int:
    number = state.plan.by_path.get(path)
    if number is None:
        raise NotFoundError("unknown_path", f"there is no task {path} in this execution", hint="paths look like / or /load/")
    return number


_DECIDE: Final[dict[type, Callable[[Execution, Any, Instant], Sequence[ev.Event]]]] = {
    cmd.Start: _start,
    cmd.Signal: _signal,
    cmd.Pause: _pause,
    cmd.Resume: _resume,
    cmd.Cancel: _cancel,
    cmd.Terminate: _terminate,
    cmd.Retry: _retry,
    cmd.Report: _report,
    cmd.Lost: _lost,
    cmd.Tick: _tick,
    cmd.Admit: _admit,
}
