"""What follows by itself from where things stand: skips, waits, taken signals, clocks that ran out, the end.

``settle`` gives the next events and changes nothing but the queue of judged tasks (an index); ``advance`` folds them and asks again
until there are none. Everything found here is found in O(1): evolve keeps the places to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import truth
from taskengine.kernel import graph
from taskengine.kernel.attempt import after_failure
from taskengine.kernel.context import context
from taskengine.kernel.state import Execution
from taskengine.kernel.timing import Clock
from taskengine.model import event as ev
from taskengine.model.duration import parse_duration_ms, parse_instant
from taskengine.model.status import Outcome, Phase
from taskengine.model.value import ABSENT, NONE, Instant, TaskError, raw

__all__ = ["settle"]

_TIMEOUTS: Final = {
    Clock.ATTEMPT: ev.TimeoutKind.ATTEMPT,
    Clock.TOTAL: ev.TimeoutKind.TOTAL,
    Clock.QUEUE: ev.TimeoutKind.QUEUE,
    Clock.WAIT: ev.TimeoutKind.WAIT,
}


def settle(state: Execution, at: Instant) -> Sequence[ev.Event]:
    """The next events that need no command; empty when the state is at rest."""
    if state.is_finished or state.seq == 0:
        return ()
    timeout_ms = state.plan.workflow.limits.timeout_ms
    if timeout_ms is not None and state.started_at is not None and at >= state.started_at + timeout_ms:
        return (ev.ExecutionTimedOut(at=at),)
    if state.is_cancelling:
        return () if state.counts[Phase.RUNNING] else (ev.ExecutionCancelled(at=at, reason=state.cancel_reason),)
    if not state.is_paused:
        if state.skips:
            return [ev.TaskSkipped(at=at, task=number, reason=ev.SkipReason.JOIN) for number in state.skips]
        while state.unjudged:
            judged = _judge(state, next(iter(state.unjudged)), at)
            if judged:
                return judged
        if state.matchable:
            return _take_signal(state, next(iter(state.matchable)), at)
        if state.timers.due:
            first = state.timers.first()
            if first is not None and first[0] <= state.own_time(at):
                return _elapse(state, first[1], first[2], at)
    return () if state.open_count else _finish(state, at)


def _judge(state: Execution, number: int, at: Instant) -> Sequence[ev.Event]:
    """A step whose dependencies are fine: its condition, and a control step's own work. Empty: it now waits for a slot."""
    step = state.plan.steps[number]
    task = state.live.get(number)
    if step.when is not None and (task is None or task.attempt == 0):
        try:
            is_wanted = truth(step.when, context(state, step.when.names, step.when_reads))
        except (ExpressionError, LimitError) as error:
            failure = TaskError(type="ExpressionError", message=f"when: {error}")
            return (ev.TaskFailed(at=at, task=number, attempt=0, error=failure),)
        if not is_wanted:
            return (ev.TaskSkipped(at=at, task=number, reason=ev.SkipReason.WHEN),)
    if not step.is_control:
        state.unjudged.pop(number, None)
        graph.admit_later(state, step)
        return ()
    attempt = task.attempt + 1 if task is not None else 1
    if step.step.type == "noop":
        return (ev.TaskCompleted(at=at, task=number, attempt=attempt),)
    try:
        return _begin_wait(state, number, attempt, at)
    except (ExpressionError, LimitError, ValueError) as error:
        failure = TaskError(type="ValidationError", message=f"config: {error}")
        return (ev.TaskFailed(at=at, task=number, attempt=attempt, error=failure),)


def _begin_wait(state: Execution, number: int, attempt: int, at: Instant) -> Sequence[ev.Event]:
    step = state.plan.steps[number]
    config: Any = step.input.render(context(state, step.input.names, step.reads))
    signal = config.get("signal", "")
    due_at: Instant | None = None
    if "duration" in config:
        due_at = at + parse_duration_ms(config["duration"])
    elif "until" in config:
        due_at = parse_instant(config["until"])
    elif "deadline" in config:
        due_at = at + parse_duration_ms(config["deadline"])
    started = ev.TaskStarted(at=at, task=number, attempt=attempt, signal=signal)
    return (started,) if due_at is None else (started, ev.TimerSet(at=at, task=number, due_at=due_at))


def _take_signal(state: Execution, name: str, at: Instant) -> Sequence[ev.Event]:
    """The oldest signal of a name goes to the step that has waited for it longest; held steps do not listen."""
    number = next(iter(state.listeners[name]))
    completed = ev.TaskCompleted(at=at, task=number, attempt=state.live[number].attempt, output=state.signals[name][0])
    if state.timers.has(number, Clock.WAIT):
        return (ev.TimerCancelled(at=at, task=number), completed)
    return (completed,)


def _elapse(state: Execution, number: int, clock: Clock, at: Instant) -> Sequence[ev.Event]:
    """A clock has run out."""
    task = state.live.get(number)
    attempt = task.attempt if task is not None else 0
    if clock is Clock.RETRY:
        return (ev.TimerFired(at=at, task=number),)
    if clock is Clock.WAIT and task is not None and not task.signal:
        return (ev.TimerFired(at=at, task=number), ev.TaskCompleted(at=at, task=number, attempt=attempt))
    timed_out = ev.TaskTimedOut(at=at, task=number, attempt=attempt, kind=_TIMEOUTS[clock])
    error = TaskError(type="Timeout", message=f"the {_TIMEOUTS[clock]} timeout passed")
    if clock is Clock.ATTEMPT:
        if task is not None and task.is_cancelling:
            return (timed_out, ev.TaskCancelled(at=at, task=number, attempt=attempt))
        return (timed_out, *after_failure(state, number, error, at, outcome=Outcome.TIMED_OUT))
    return (timed_out, ev.TaskFailed(at=at, task=number, attempt=attempt, error=error, outcome=Outcome.TIMED_OUT))


def _finish(state: Execution, at: Instant) -> Sequence[ev.Event]:
    """Every task has ended."""
    if state.unhandled:
        first = min(state.failures)
        task = state.live[first]
        assert task.error is not None
        error = TaskError(
            type=task.error.type, message=f"{state.plan.steps[first].path} {task.error.message}", bases=task.error.bases
        )
        return (ev.ExecutionFailed(at=at, error=error, outcome=task.outcome),)
    output = ABSENT
    if state.plan.output is not None:
        names = state.plan.output.names
        try:
            output = raw(state.plan.output.render(context(state, names, sorted(state.plan.output_reads)))) or NONE
        except (ExpressionError, LimitError) as error:
            return (ev.ExecutionFailed(at=at, error=TaskError(type="ExpressionError", message=f"output: {error}")),)
    return (ev.ExecutionCompleted(at=at, output=output, outcome=Outcome.PARTIAL if state.flaws else None),)
