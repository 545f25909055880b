"""Apply one fact to the state and say how what the world owes has changed. Never refuses, never asks why.

One function for each event type, found in the table ``APPLY``. No expression is evaluated and no clock is read: everything that
was decided stands in the event. Replaying a history through here is all that recovery is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from taskengine.kernel import fold_clock as clock
from taskengine.kernel import fold_execution as execution
from taskengine.kernel import fold_fork as fork
from taskengine.kernel import fold_group as group
from taskengine.kernel import fold_task as task
from taskengine.kernel import saga
from taskengine.kernel.fold_skip import skipped
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.effect import Effect, WakeAt

__all__ = ["APPLY", "apply", "evolve"]

APPLY: Final[dict[type, Callable[[Execution, Any, list[Effect]], None]]] = {
    ev.ExecutionStarted: execution.started,
    ev.ExecutionForked: fork.forked,
    ev.ExecutionCompleted: execution.completed,
    ev.ExecutionFailed: execution.failed,
    ev.ExecutionCancelled: execution.cancelled,
    ev.ExecutionTerminated: execution.terminated,
    ev.ExecutionTimedOut: execution.timed_out,
    ev.ExecutionRetried: execution.retried,
    ev.SubtreePaused: execution.paused,
    ev.SubtreeResumed: execution.resumed,
    ev.SubtreeCancelled: execution.cancelling,
    ev.SignalReceived: execution.signalled,
    ev.TaskScheduled: task.scheduled,
    ev.TaskStarted: task.started,
    ev.TaskProgressReported: task.progressed,
    ev.TaskCompleted: task.completed,
    ev.TaskFailed: task.failed,
    ev.TaskQuarantined: task.quarantined,
    ev.TaskCancelled: task.cancelled,
    ev.TaskSkipped: skipped,
    ev.TaskRetryScheduled: task.retry_scheduled,
    ev.TaskAttemptLost: task.attempt_lost,
    ev.TaskTimedOut: clock.timed_out,
    ev.TimerSet: clock.timer_set,
    ev.TimerFired: clock.timer_fired,
    ev.TimerCancelled: clock.timer_cancelled,
    ev.ChildrenRegistered: group.registered,
    ev.GroupClosed: group.closed,
    ev.VariablesSet: execution.variables_set,
    ev.SignalSent: execution.signal_sent,
    ev.CompensationStarted: saga.begun,
    ev.CompensationCompleted: execution.nothing,
    ev.CompensationFailed: saga.failed,
    ev.ApprovalDecided: execution.nothing,
    ev.ApprovalEscalated: clock.escalated,
}


def evolve(state: Execution, event: ev.Event) -> list[Effect]:
    """Fold one event into the state; returns the changes of what is owed, in order."""
    effects: list[Effect] = []
    apply(state, event, effects)
    return effects


def apply(state: Execution, event: ev.Event, effects: list[Effect]) -> None:
    """Fold one event and add the changes of what is owed to ``effects``."""
    state.seq += 1
    state.at = event.at
    APPLY[type(event)](state, event, effects)
    if state.timers.due or state.wake_at != state.expires_at:
        due_at = state.due_at()
        if due_at != state.wake_at:
            state.wake_at = due_at
            effects.append(WakeAt(due_at))
