"""What should be written down for a command. May refuse, by name; changes nothing.

One function for each command type, found in the table ``DECIDE``. What follows by itself from the events given here
(skips, waits, timeouts, the end of the execution) is not decided here but in ``kernel.settle``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from shlex import quote
from typing import Any, Final

import msgspec

from taskengine.errors import CommandRefusedError, ExpressionError, LimitError
from taskengine.kernel.approval import decided, stopped_clocks
from taskengine.kernel.attempt import scheduled
from taskengine.kernel.groups import ends_of_steps, holds
from taskengine.kernel.reports import child_ended, given_up, progressed, reported, silent
from taskengine.kernel.rounds import must_not_be_cancelling, refuse_cancelling, retried, skipped
from taskengine.kernel.state import BY_PERSON, INHERITED, Execution
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.status import Outcome, Phase
from taskengine.model.value import NONE, Instant, encode

__all__ = ["DECIDE", "SIGNAL_LIMIT", "admitted", "decide"]

SIGNAL_LIMIT: Final = 10_000
_SHOWN: Final = 10  # variables that a message names


def decide(state: Execution, command: cmd.Command, at: Instant) -> Sequence[ev.Event]:
    """The events that a command causes at ``at``.

    Raises ``CommandRefusedError`` (not allowed now), ``NotFoundError`` (no such path), ``LimitError`` (too many waiting signals).
    """
    if state.seq == 0 and not isinstance(command, cmd.Start):
        raise CommandRefusedError("not_started", "the execution has not been started")
    return DECIDE[type(command)](state, command, at)


# ── from people ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _start(state: Execution, command: cmd.Start, at: Instant) -> Sequence[ev.Event]:
    if state.seq:
        raise CommandRefusedError("already_started", f"execution {state.execution_id} has been started before")
    return (
        ev.ExecutionStarted(
            at=at,
            workflow_id=command.workflow_id,
            workflow_version=command.workflow_version,
            seed=command.seed,
            input=command.input or NONE,
            variables=command.variables,
            priority=command.priority,
            business_key=_business_key(state, command),
            by=command.by,
            parent=command.parent,
            pins=command.pins,
        ),
    )


def _fork(state: Execution, command: cmd.Fork, at: Instant) -> Sequence[ev.Event]:
    return (
        *_start(state, command, at),
        ev.ExecutionForked(at=at, origin=command.origin, path=command.path, tasks=command.tasks),
    )


def _business_key(state: Execution, command: cmd.Start) -> str:
    """What was given, else what the workflow makes of the input and the variables."""
    plan = state.plan
    if command.business_key or plan.business_key is None:
        return command.business_key or plan.workflow.business_key
    try:
        value = plan.business_key.render(encode({"input": command.input or NONE, "variables": command.variables}))
    except (ExpressionError, LimitError) as error:
        raise CommandRefusedError("bad_business_key", f"the business key cannot be made: {error}") from error
    return value if isinstance(value, str) else encode(value).decode()


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
    return (ev.SignalReceived(at=at, name=command.name, data=command.data or NONE, by=command.by),)


def _pause(state: Execution, command: cmd.Pause, at: Instant) -> Sequence[ev.Event]:
    _must_be_open(state, "pause")
    number = state.number_of(command.path)
    must_not_be_cancelling(state, number)
    if number:
        _must_be_open_task(state, number, "pause")
    if number in state.paused if number else state.pauses & _holder(command):
        raise CommandRefusedError("already_paused", f"{command.path} is paused already")
    return (ev.SubtreePaused(at=at, path=command.path, by=command.by, reason=command.reason, is_inherited=command.is_inherited),)


def _resume(state: Execution, command: cmd.Resume, at: Instant) -> Sequence[ev.Event]:
    _must_be_open(state, "resume")
    number = state.number_of(command.path)
    if number not in state.paused if number else not state.pauses & _holder(command):
        raise CommandRefusedError("not_paused", f"{command.path} is not paused", hint=_who_pauses(state, number))
    return (ev.SubtreeResumed(at=at, path=command.path, by=command.by, reason=command.reason, is_inherited=command.is_inherited),)


def _holder(command: cmd.Pause | cmd.Resume) -> int:
    return INHERITED if command.is_inherited else BY_PERSON


def _who_pauses(state: Execution, number: int) -> str:
    if state.pauses & BY_PERSON and number:
        return f"the whole execution is paused: task-engine instance resume {state.execution_id}"
    if state.pauses & INHERITED and state.parent is not None:
        return f"it is held with {state.parent.execution_id}, which started it: resume that"
    if not state.paused:
        return ""
    held = state.held_by(number) or min(state.paused)
    others = f" and {len(state.paused) - 1} more" if len(state.paused) > 1 else ""
    path = state.path_of(held)
    return f"what is paused is {path}{others}: task-engine instance resume {state.execution_id} --task {quote(path.strip('/'))}"


def _cancel(state: Execution, command: cmd.Cancel, at: Instant) -> Sequence[ev.Event]:
    _must_be_open(state, "cancel")
    number = state.number_of(command.path)
    must_not_be_cancelling(state, number)
    if state.saga is not None:
        raise CommandRefusedError("compensating", "what was done is being undone", hint="terminate it to stop that")
    event = ev.SubtreeCancelled(at=at, path=command.path, by=command.by, reason=command.reason)
    if number == 0:
        is_met = not command.compensates and _is_met(state)  # whoever wants it undone does not want what there is
        return (msgspec.structs.replace(event, is_met=is_met, compensates=command.compensates),)
    if command.compensates:
        raise CommandRefusedError("compensates_all", "only a whole execution is cancelled with compensation", hint="cancel /")
    _must_be_open_task(state, number, "cancel")
    if state.phase[number] in {Phase.RUNNING, Phase.EXPANDED} or number in state.children:  # it ends when its last attempt does
        return (event,)
    return (event, *_cancel_now(state, number, at, by=command.by, outcome=None))


def _is_met(state: Execution) -> bool:
    """Whether the workflow has a success rule and what has completed so far is enough for it."""
    rule = state.plan.success
    if rule is None:
        return False
    try:
        return holds(state, rule, ends_of_steps(state), state.root)
    except (ExpressionError, LimitError):
        return False


def _terminate(state: Execution, command: cmd.Terminate, at: Instant) -> Sequence[ev.Event]:
    _must_be_open(state, "terminate")
    number = state.number_of(command.path)
    if number == 0:
        return (ev.ExecutionTerminated(at=at, by=command.by, reason=command.reason),)
    if state.phase[number] >= Phase.COMPLETED:
        _refuse_ended_task(state, number, "terminate")
    return _cancel_now(state, number, at, by=command.by, outcome=Outcome.TERMINATED)


def _cancel_now(state: Execution, number: int, at: Instant, *, by: str, outcome: Outcome | None) -> Sequence[ev.Event]:
    task = state.live.get(number)
    cancelled = ev.TaskCancelled(at=at, task=number, attempt=task.attempt if task else 0, by=by, outcome=outcome)
    return (*stopped_clocks(state, number, at), cancelled)


def _set_variables(state: Execution, command: cmd.SetVariables, at: Instant) -> Sequence[ev.Event]:
    _must_be_open(state, "change")
    known = dict.fromkeys(state.variables)
    known |= {name: None for one in state.plan.every_step() if one.step.type == "set" for name in one.step.config}
    for name in command.values:
        if name not in known:
            hint = f"it has {', '.join(sorted(known)[:_SHOWN])}" if known else "declare it under `variables`"
            raise CommandRefusedError("unknown_variable", f"the workflow has no variable {name}", hint=hint)
    return (ev.VariablesSet(at=at, values=command.values, by=command.by),)


def _must_be_open(state: Execution, what: str) -> None:
    if state.is_finished:
        raise CommandRefusedError(
            "execution_already_finished", f"cannot {what} an execution that is {state.status}", status=str(state.status)
        )


def _must_be_open_task(state: Execution, number: int, what: str) -> None:
    if state.phase[number] >= Phase.COMPLETED:
        _refuse_ended_task(state, number, what)
    task = state.live.get(number)
    if task is not None and task.is_cancelling:
        refuse_cancelling(state.path_of(number))


def _refuse_ended_task(state: Execution, number: int, what: str) -> None:
    path, status = state.path_of(number), state.status_of(number)
    raise CommandRefusedError("task_already_finished", f"cannot {what} {path}: it is {status}", status=str(status))


# ── from the shell ───────────────────────────────────────────────────────────────────────────────────────────────────


def _tick(_state: Execution, _command: cmd.Tick, _at: Instant) -> Sequence[ev.Event]:
    return ()  # what is due is found when the state settles


def _admit(state: Execution, command: cmd.Admit, at: Instant) -> Sequence[ev.Event]:
    return admitted(state, at, has_slot=command.slots > 0, has_suspect_slot=command.suspect_slots > 0)


def admitted(state: Execution, at: Instant, *, has_slot: bool, has_suspect_slot: bool) -> Sequence[ev.Event]:
    """The next task to begin, if there is one and a slot for it; suspects come after everything else."""
    if state.status_at_end is not None or state.pause_started_at is not None or state.is_cancelling:
        return ()
    bound = state.plan.workflow.limits.max_concurrency
    if bound is not None and state.counts[Phase.RUNNING] >= bound:
        return ()
    if has_slot:
        first = state.ready.first()
        if first is not None:
            return scheduled(state, first[1], at, is_suspect=False)
    if has_suspect_slot:
        suspect = state.suspects.first()
        if suspect is not None:
            return scheduled(state, suspect[1], at, is_suspect=True)
    return ()


DECIDE: Final[dict[type, Callable[[Execution, Any, Instant], Sequence[ev.Event]]]] = {
    cmd.Start: _start,
    cmd.Fork: _fork,
    cmd.Signal: _signal,
    cmd.Pause: _pause,
    cmd.Resume: _resume,
    cmd.Cancel: _cancel,
    cmd.Terminate: _terminate,
    cmd.Retry: retried,
    cmd.Skip: skipped,
    cmd.Decide: decided,
    cmd.SetVariables: _set_variables,
    cmd.Report: reported,
    cmd.ChildEnded: child_ended,
    cmd.Progress: progressed,
    cmd.Silent: silent,
    cmd.Lost: given_up,
    cmd.Tick: _tick,
    cmd.Admit: _admit,
}
