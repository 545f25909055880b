"""What a person may have again, or go on without: which tasks that names, and when it is refused. Decisions only."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote
from typing import Any, Final

from taskengine.errors import CommandRefusedError
from taskengine.kernel.saga import UNDONE
from taskengine.kernel.state import Execution
from taskengine.kernel.subtree import sweeper_of
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.status import Outcome, Phase, Status
from taskengine.model.value import Instant

__all__ = ["must_not_be_cancelling", "refuse_cancelling", "retried", "skipped"]

_SHOWN: Final = 5  # compensations that are named


def retried(state: Execution, command: cmd.Retry, at: Instant) -> Sequence[ev.Event]:
    """What a person wants again: all that failed or was cut off at or below a path. Raises ``CommandRefusedError``."""
    number = state.number_of(command.path)
    if not state.is_finished:
        if number == 0:
            raise CommandRefusedError(
                "execution_not_finished", "the execution is still going on", hint="retry one task by its path, e.g. /load/"
            )
        return _retry_part(state, number, at, command)
    if state.saga is not None:
        return _undone_again(state, number, at, command)
    _must_not_be_over(state, number, command.path)
    tasks = [one for one in _beginnable(state, number) if number or not _is_done_with(state, one)]
    if not tasks and not (number == 0 and state.is_swept):
        raise CommandRefusedError("nothing_to_retry", _nothing_of(state, number))
    return (ev.ExecutionRetried(at=at, path=command.path, tasks=tuple(tasks), by=command.by, reason=command.reason),)


def _nothing_of(state: Execution, number: int) -> str:
    """Why there is nothing to retry; of an execution that failed and has nothing to begin again, where else that was."""
    if number or state.status is not Status.FAILED or state.error is None:
        return "nothing here has failed or was cancelled"
    return f"no task has to be tried again: the execution itself failed, in what it makes of them ({state.error.type})"


def _undone_again(state: Execution, number: int, at: Instant, command: cmd.Retry) -> Sequence[ev.Event]:
    """After a compensation that failed, what was not undone, or one of it and what it stood before; nothing else begins again."""
    assert state.saga is not None
    left = [one for one in state.saga.undoes.values() if state.phase[one] not in UNDONE]
    tasks = left if number == 0 else [one for one in left if one == number or not _has_begun(state, one)]
    if not tasks or (number and number not in tasks):
        what = (
            "it has been compensated" if state.outcome is Outcome.COMPENSATED else f"{command.path} is no compensation that failed"
        )
        raise CommandRefusedError("nothing_to_retry", what, hint=_failed_undoes(state, left) or "start it anew, or fork it")
    if number and not _has_begun(state, number) and state.phase[number] == Phase.CANCELLED and _failed_undoes(state, left):
        what = f"{command.path} has not begun: first what came after it must be undone"
        raise CommandRefusedError("nothing_to_retry", what, hint=_failed_undoes(state, left))
    return (ev.ExecutionRetried(at=at, path=command.path, tasks=tuple(tasks), by=command.by, reason=command.reason),)


def _failed_undoes(state: Execution, left: Sequence[int]) -> str:
    """Which compensations failed, and how the first of them begins again; empty when none did."""
    failed = [state.path_of(one).strip("/") for one in left if state.phase[one] == Phase.FAILED]
    if not failed:
        return ""
    named = ", ".join(failed[:_SHOWN]) + (" …" if len(failed) > _SHOWN else "")
    return f"what failed is {named}: task-engine task retry {quote(f'{state.execution_id}/{failed[0]}')}"


def _has_begun(state: Execution, number: int) -> bool:
    return number in state.live and state.live[number].attempt > 0


def _beginnable(state: Execution, number: int) -> list[int]:
    """What may begin again at or below a task: of a group, what in it failed or was cut off, else the group itself."""
    if number and not _may_begin_again(state, number):
        return []
    scope = state.scopes[number]
    if number == scope.base:
        children: Sequence[int] = range(number + 1, number + 1 + scope.block.size)
    elif number in state.groups:
        children = state.groups[number].bases
    else:
        return [number]
    found = [one for child in children for one in _beginnable(state, child)]
    return found or ([number] if number and state.phase[number] >= Phase.COMPLETED else [])


def _may_begin_again(state: Execution, number: int) -> bool:
    phase = state.phase[number]
    return phase in {Phase.FAILED, Phase.CANCELLED} or phase < Phase.COMPLETED  # those that a cancel or a timeout cut off


def _is_done_with(state: Execution, number: int) -> bool:
    """Whether retrying everything leaves it alone: handled, or never begun, so that it is open without being named."""
    task = state.live.get(number)
    return state.phase[number] <= Phase.READY or (task is not None and task.is_handled)


def _retry_part(state: Execution, number: int, at: Instant, command: cmd.Retry) -> Sequence[ev.Event]:
    """A new round of one task, or of a group, while the execution goes on."""
    must_not_be_cancelling(state, number)
    phase = state.phase[number]
    task = state.live.get(number)
    is_stuck = task is not None and task.is_stuck
    if state.saga is not None and phase not in {Phase.RETRYING, Phase.WAITING}:
        raise CommandRefusedError(
            "compensating", "what was done is being undone", hint="retry what is not undone when that has ended"
        )
    _must_not_be_over(state, number, command.path)
    if phase not in {Phase.FAILED, Phase.CANCELLED, Phase.RETRYING, Phase.EXPANDED} and not is_stuck:
        raise CommandRefusedError("task_not_failed", f"{state.path_of(number)} is {state.status_of(number)}")
    if phase in {Phase.RETRYING, Phase.WAITING} or (number not in state.groups and _is_around_open(state, number)):
        attempt = task.attempt if task is not None else 0
        return (ev.TaskRetryScheduled(at=at, task=number, attempt=attempt, due_at=at, is_new_round=True, by=command.by),)
    ended = [one for one in _beginnable(state, number) if state.phase[one] in {Phase.FAILED, Phase.CANCELLED}]
    tasks = [one for one in ended if sweeper_of(state, one) < 0]  # what is being cancelled inside goes on ending
    if not tasks:
        raise CommandRefusedError("nothing_to_retry", f"nothing below {command.path} has failed or was cancelled")
    return (ev.ExecutionRetried(at=at, path=command.path, tasks=tuple(tasks), by=command.by, reason=command.reason),)


# ── going on without it ──────────────────────────────────────────────────────────────────────────────────────────────


def skipped(state: Execution, command: cmd.Skip, at: Instant) -> Sequence[ev.Event]:
    """Go on as if a task had been done. One that has ended begins anew and is skipped at once. Raises ``CommandRefusedError``."""
    number = state.number_of(command.path)
    _must_be_skippable(state, number, command.path)
    task = state.live.get(number)
    attempt = task.attempt if task is not None else 0
    skip = ev.TaskSkipped(at=at, task=number, reason=ev.SkipReason.PERSON, by=command.by, note=command.reason)
    if number >= state.undo_from:
        return (skip,) if not state.is_finished else (*_undone_again(state, number, at, cmd.Retry(**_asked(command))), skip)
    if state.phase[number] < Phase.COMPLETED and not state.is_finished:
        return (skip,)
    if not state.is_finished and _is_around_open(state, number):
        round_ = ev.TaskRetryScheduled(at=at, task=number, attempt=attempt, due_at=at, is_new_round=True, by=command.by)
        return (round_, skip)
    return (ev.ExecutionRetried(at=at, path=command.path, tasks=(number,), by=command.by, reason=command.reason), skip)


def _asked(command: cmd.Skip) -> dict[str, Any]:
    return {"at": command.at, "path": command.path, "by": command.by, "reason": command.reason}


def _must_be_failing(state: Execution, number: int, path: str) -> None:
    """What undoes a step may be skipped when it was tried and has failed: a person has undone it, or does without."""
    phase = state.phase[number]
    if phase in UNDONE:
        raise CommandRefusedError("task_already_finished", f"cannot skip {path}: it is {state.status_of(number)}")
    if not _has_begun(state, number):
        raise CommandRefusedError("task_not_failed", f"{path} has not begun yet", hint="only what was tried can be skipped")
    if phase == Phase.RUNNING or number in state.children:
        raise CommandRefusedError("task_running", f"{path} is running", hint="wait for its end")


def _must_be_skippable(state: Execution, number: int, path: str) -> None:
    if number >= state.undo_from:
        _must_be_failing(state, number, path)
        return
    if number == state.scopes[number].base:
        what = "an execution" if number == 0 else "a block at work"
        raise CommandRefusedError("not_a_step", f"{path} is {what}: only a step can be skipped")
    if state.saga is not None:
        raise CommandRefusedError("compensating", "what was done is being undone, or has been", hint="start it anew, or fork it")
    phase = state.phase[number]
    if phase in {Phase.COMPLETED, Phase.SKIPPED}:
        status = state.status_of(number)
        raise CommandRefusedError("task_already_finished", f"cannot skip {path}: it is {status}", status=str(status))
    if not state.is_finished:
        must_not_be_cancelling(state, number)
        if phase in {Phase.RUNNING, Phase.EXPANDED} or number in state.children:
            raise CommandRefusedError("task_running", f"{path} is running", hint="cancel it first")
    _must_not_be_over(state, number, path)


def _must_not_be_over(state: Execution, number: int, path: str) -> None:
    """Of a group that has completed or was skipped nothing begins again: what failed in it was good enough, or is not wanted."""
    is_done = number > 0 and state.phase[number] == Phase.COMPLETED
    while number > 0:
        scope = state.scopes[number]
        number = scope.base if number != scope.base else scope.container
        if number > 0 and state.phase[number] == Phase.COMPLETED and is_done:
            raise CommandRefusedError("task_not_failed", f"{path} is completed, and {state.path_of(number)} with it")
        if number > 0 and state.phase[number] == Phase.COMPLETED:
            raise CommandRefusedError("group_completed", f"{state.path_of(number)} has completed without {path}")
        if number in state.skipped_by_person:
            raise CommandRefusedError("group_skipped", f"{state.path_of(number)} was skipped, and {path} with it")


def _is_around_open(state: Execution, number: int) -> bool:
    """Whether the scope of a task goes on, so that nothing but the task has to be opened again."""
    scope = state.scopes[number]
    return number != scope.base and not scope.is_swept and (scope.base == 0 or state.phase[scope.base] == Phase.EXPANDED)


def must_not_be_cancelling(state: Execution, number: int) -> None:
    """Raise ``CommandRefusedError``: it, or something around it, is being cancelled."""
    if state.is_cancelling:
        refuse_cancelling("the execution")
    sweeper = sweeper_of(state, number)
    if sweeper > 0:
        refuse_cancelling(state.path_of(sweeper))


def refuse_cancelling(what: str) -> None:
    """Raise ``CommandRefusedError``."""
    raise CommandRefusedError("already_cancelling", f"{what} is being cancelled")
