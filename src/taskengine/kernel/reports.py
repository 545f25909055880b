"""What the shell tells of attempts and of the executions that others wait for, and what follows. Decisions only."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from taskengine.errors import CommandRefusedError
from taskengine.kernel.attempt import after_failure, attempt_timed_out, completion, lost
from taskengine.kernel.saga import NOT_UNDONE
from taskengine.kernel.state import Execution
from taskengine.kernel.task import Task
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.status import Status
from taskengine.model.value import ABSENT, NONE, Instant, TaskError

__all__ = ["child_ended", "given_up", "progressed", "reported", "silent"]


def reported(state: Execution, command: cmd.Report, at: Instant) -> Sequence[ev.Event]:
    """How an attempt has ended. Raises ``CommandRefusedError`` for one that is not waited for any more."""
    number, attempt = command.task, command.attempt
    task = _running(state, number, attempt)
    match command.end:
        case cmd.Succeeded(output=output):
            return completion(state, number, attempt, at, output=output)
        case cmd.Failed(error=error):
            if task.is_cancelling:
                return (ev.TaskCancelled(at=at, task=number, attempt=attempt),)
            return after_failure(state, number, error, at)
        case cmd.Abandoned():
            return lost(state, number, at, is_counted=False)


def child_ended(state: Execution, command: cmd.ChildEnded, at: Instant) -> Sequence[ev.Event]:
    """How the execution that a task waits for has ended. Raises ``CommandRefusedError`` for one that is not waited for any more."""
    number, attempt = command.task, command.attempt
    task = state.live.get(number)
    if task is None or task.child != command.child or task.attempt != attempt:
        raise CommandRefusedError("stale_attempt", f"task {number} does not wait for {command.child} any more")
    if command.status is Status.COMPLETED:
        return completion(state, number, attempt, at, output=command.output or NONE)
    error = command.error or TaskError(type="Cancelled", message="it was cancelled")
    error = msgspec.structs.replace(error, message=f"{command.child}: {error.message}")
    if task.is_cancelling and error.type == NOT_UNDONE:
        return (ev.TaskFailed(at=at, task=number, attempt=attempt, error=error),)
    if task.is_cancelling:
        return (ev.TaskCancelled(at=at, task=number, attempt=attempt),)
    return after_failure(state, number, error, at)


def progressed(state: Execution, command: cmd.Progress, at: Instant) -> Sequence[ev.Event]:
    """How far an attempt is. Raises ``CommandRefusedError`` for one that is not waited for any more."""
    number, attempt = command.task, command.attempt
    task = _running(state, number, attempt)
    if not command.progress and not task.losses:
        return ()  # a sign of life that changes nothing
    return (ev.TaskProgressReported(at=at, task=number, attempt=attempt, progress=command.progress or ABSENT),)


def silent(state: Execution, command: cmd.Silent, at: Instant) -> Sequence[ev.Event]:
    """Nothing was heard of an attempt for too long. Raises ``CommandRefusedError`` for one that is not waited for any more."""
    _running(state, command.task, command.attempt)
    return attempt_timed_out(state, command.task, at, ev.TimeoutKind.HEARTBEAT)


def _running(state: Execution, number: int, attempt: int) -> Task:
    task = state.live.get(number)
    if task is None or not task.is_launched or task.attempt != attempt:
        raise CommandRefusedError("stale_attempt", f"attempt {attempt} of task {number} is not running any more")
    return task


def given_up(state: Execution, command: cmd.Lost, at: Instant) -> Sequence[ev.Event]:
    """Attempts that died with their process, or were given back."""
    events: list[ev.Event] = []
    for number, attempt in dict.fromkeys(command.attempts):
        task = state.live.get(number)
        if task is not None and task.is_launched and task.attempt == attempt:  # else it has ended in the meantime
            events.extend(lost(state, number, at, is_counted=command.is_counted))
    return events
