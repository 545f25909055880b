"""Progress for a pipe: one line for each change, append-only, no control codes. ``key=value`` pairs after the instant."""

from __future__ import annotations

import sys
from typing import Final, Protocol

from taskengine.app.follow import Change, Follower
from taskengine.app.tree import failed_itself, is_scope, label_of
from taskengine.cli.output import paired
from taskengine.cli.rows import told
from taskengine.kernel.approval import approvers_of, is_asking
from taskengine.model import event as ev
from taskengine.model.duration import format_duration
from taskengine.model.status import Outcome
from taskengine.model.value import Instant, TaskError
from taskengine.wire.instant import iso_instant

__all__ = ["Lines", "Silence", "View", "line_of"]

_ENDS: Final[dict[type, str]] = {
    ev.TaskCompleted: "completed",
    ev.TaskFailed: "failed",
    ev.TaskQuarantined: "failed",
    ev.TaskCancelled: "cancelled",
    ev.TaskSkipped: "skipped",
    ev.ExecutionCompleted: "completed",
    ev.ExecutionFailed: "failed",
    ev.ExecutionTimedOut: "failed",
    ev.ExecutionCancelled: "cancelled",
    ev.ExecutionTerminated: "cancelled",
}
# What these events mean by themselves; the others say it.
_OUTCOMES: Final[dict[type, Outcome]] = {
    ev.ExecutionTimedOut: Outcome.TIMED_OUT,
    ev.ExecutionTerminated: Outcome.TERMINATED,
    ev.TaskQuarantined: Outcome.QUARANTINED,
}


class View(Protocol):
    """Shows how an execution goes on."""

    def show(self, follower: Follower, changes: list[Change], *, now: Instant) -> None:
        """Called several times a second, with what has happened since."""
        ...

    def close(self) -> None:
        """Leave the terminal as it should be. Idempotent."""
        ...


class Silence:
    """Shows nothing."""

    def show(self, follower: Follower, changes: list[Change], *, now: Instant) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Lines:
    """Writes to stderr. A reader who goes away stops the lines, not the execution."""

    def __init__(self, *, after: int) -> None:
        self._after = after  # what happened before this process is old news
        self._is_broken = False

    def show(self, follower: Follower, changes: list[Change], *, now: Instant) -> None:
        """One line for each change that people care for."""
        lines = [line for change in changes if change.seq > self._after and (line := line_of(follower, change))]
        if lines and not self._is_broken:
            try:
                sys.stderr.write("".join(f"{line}\n" for line in lines))
                sys.stderr.flush()
            except BrokenPipeError:
                self._is_broken = True

    def close(self) -> None:
        """Nothing to tidy."""


def line_of(follower: Follower, change: Change) -> str:
    """The line of one change; empty for what only the engine cares for."""
    event, state = change.event, follower.state
    fields = _task_fields(event, is_container=change.task in state.groups) or _execution_fields(event) or _saga_fields(event)
    if type(event) in _ENDS:
        fields = _end_fields(change)
    elif isinstance(event, ev.TaskStarted) and is_asking(state, event.task):
        fields["approvers"] = ", ".join(approvers_of(state, event.task)) or "anybody"
    if not fields or (is_scope(state, change.task) and not failed_itself(state, change.task)):
        return ""
    if isinstance(event, ev.ExecutionStarted):
        fields["workflow"] = state.plan.workflow.name
    error: TaskError | None = getattr(event, "error", None)
    if error is not None:
        fields["error"] = f"{error.type}: {error.message}".rstrip(": ")
    subject = {"step": label_of(state, change.task)} if change.task else {"execution": state.execution_id}
    return f"{iso_instant(event.at)} {paired({**subject, **fields})}"


def _end_fields(change: Change) -> dict[str, object]:
    event = change.event
    outcome = _OUTCOMES.get(type(event)) or getattr(event, "outcome", None)
    fields = {"status": _ENDS[type(event)], "outcome": outcome, **_span(change)}
    return fields | {"by": event.by, "reason": event.note} if isinstance(event, ev.TaskSkipped) else fields


def _task_fields(event: ev.Event, *, is_container: bool) -> dict[str, object]:
    match event:
        case ev.TaskScheduled():
            return {"status": "running", "attempt": event.attempt}
        case ev.TaskProgressReported() if event.progress:
            return {"progress": told(event.progress)}
        case ev.TaskStarted():
            return {"status": "running"} if is_container else {"status": "waiting", "signal": event.signal}
        case ev.ApprovalDecided():
            decision = "approved" if event.is_approved else "rejected"
            return {"decision": decision, "by": event.by, "comment": event.comment}
        case ev.ApprovalEscalated():
            return {"escalated_to": ", ".join(event.to)}
        case ev.TaskRetryScheduled():
            retry_in = format_duration(max(0, event.due_at - event.at))
            return {"status": "waiting", "attempt": event.attempt, "retry_in": retry_in, "by": event.by}
        case ev.TaskAttemptLost():
            lost = "with its process" if event.is_counted else "given back"
            return {"status": "pending", "attempt": event.attempt, "lost": lost}
        case _:
            return {}


def _execution_fields(event: ev.Event) -> dict[str, object]:
    match event:
        case ev.ExecutionStarted():
            return {"status": "running", "version": event.workflow_version, "by": event.by}
        case ev.SubtreePaused():
            return {"control": "paused", "path": event.path, "by": event.by, "reason": event.reason}
        case ev.SubtreeResumed():
            return {"control": "resumed", "path": event.path, "by": event.by, "reason": event.reason}
        case ev.SubtreeCancelled():
            told: dict[str, object] = {"control": "cancelling", "path": event.path, "by": event.by, "reason": event.reason}
            return told | {"compensate": "yes"} if event.compensates else told
        case ev.ExecutionRetried():
            return {"control": "retried", "by": event.by, "reason": event.reason}
        case ev.VariablesSet(task=0):
            return {"control": "variables set", "names": ",".join(event.values), "by": event.by}
        case ev.SignalReceived():
            return {"signal": event.name, "by": event.by}
        case _:
            return {}


def _saga_fields(event: ev.Event) -> dict[str, object]:
    match event:
        case ev.CompensationStarted():
            return {"compensation": "started", "steps": len(event.tasks)}
        case ev.CompensationCompleted():
            return {"compensation": "completed"}
        case ev.CompensationFailed():
            return {"compensation": "failed", "steps": len(event.tasks)}
        case _:
            return {}


def _span(change: Change) -> dict[str, object]:
    attempt = getattr(change.event, "attempt", 0)
    told: dict[str, object] = {"attempt": attempt} if attempt > 1 else {}
    if change.started_at is not None:
        told["dur"] = format_duration(change.event.at - change.started_at)
    return told
