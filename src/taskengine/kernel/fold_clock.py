"""Facts about a task's clocks, applied. Part of evolve; only its table calls these."""

from __future__ import annotations

from typing import Final

from taskengine.kernel import graph
from taskengine.kernel.state import Execution
from taskengine.kernel.timing import Clock
from taskengine.model import event as ev
from taskengine.model.effect import Effect
from taskengine.model.status import Phase

__all__ = ["escalated", "timed_out", "timer_cancelled", "timer_fired", "timer_set"]


_CLOCKS: Final = {ev.TimerKind.WAIT: Clock.WAIT, ev.TimerKind.ESCALATION: Clock.ESCALATE}


def timed_out(state: Execution, event: ev.TaskTimedOut, _: list[Effect]) -> None:
    """An attempt whose time has run out will be stopped and not waited for."""
    task = state.live.get(event.task)
    if task is not None:
        task.is_overdue = task.is_launched or bool(task.child)


def timer_set(state: Execution, event: ev.TimerSet, _: list[Effect]) -> None:
    """A wait's clock begins."""
    graph.start_clock(state, event.task, _CLOCKS[event.kind], event.due_at)


def timer_fired(state: Execution, event: ev.TimerFired, _: list[Effect]) -> None:
    """A retry's time has come, or a wait's."""
    number = event.task
    if state.phase[number] == Phase.RETRYING:
        state.timers.drop(number, Clock.RETRY)
        graph.make_ready(state, number)
    else:
        state.timers.drop(number, Clock.WAIT)


def timer_cancelled(state: Execution, event: ev.TimerCancelled, _: list[Effect]) -> None:
    """A wait ended before its time."""
    state.timers.drop(event.task, Clock.WAIT)
    state.timers.drop(event.task, Clock.ESCALATE)


def escalated(state: Execution, event: ev.ApprovalEscalated, _: list[Effect]) -> None:
    """More people may decide."""
    state.timers.drop(event.task, Clock.ESCALATE)
    state.live[event.task].escalated_to = event.to
