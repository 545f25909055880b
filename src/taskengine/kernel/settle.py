"""What follows by itself from where things stand: skips, waits, taken signals, clocks that ran out, the end.

``settle`` gives the next events and changes nothing but the queue of judged tasks (an index); ``advance`` folds them and asks again
until there are none. Everything found here is found in O(1): evolve keeps the places to look at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import truth
from taskengine.kernel import graph
from taskengine.kernel.attempt import attempt_timed_out, completion, expression_failure
from taskengine.kernel.context import context
from taskengine.kernel.state import Execution
from taskengine.kernel.timing import Clock
from taskengine.model import event as ev
from taskengine.model.duration import parse_duration_ms, parse_instant
from taskengine.model.status import Outcome, Phase
from taskengine.model.value import ABSENT, Instant, TaskError, raw

__all__ = ["settle"]

_TIMEOUTS: Final = {
    Clock.ATTEMPT: ev.TimeoutKind.ATTEMPT,
    Clock.TOTAL: ev.TimeoutKind.TOTAL,
    Clock.QUEUE: ev.TimeoutKind.QUEUE,
    Clock.WAIT: ev.TimeoutKind.WAIT,
}
_WAITS_FOR: Final = ("duration", "until", "signal")


def settle(state: Execution, at: Instant) -> Sequence[ev.Event]:
    """The next events that need no command; empty when the state is at rest."""
    if state.status_at_end is not None or not state.seq:
        return ()
    is_due = state.wake_at is not None and at >= state.wake_at
    if is_due and state.expires_at is not None and at >= state.expires_at:
        return (_cancelled(state, at) if state.is_cancelling else ev.ExecutionTimedOut(at=at),)
    if state.pause_started_at is None and not state.is_cancelling and (state.skips or state.unjudged or state.matchable):
        following = _go_on(state, at)
        if following:
            return following
    if is_due:
        return _elapse(state, at)
    counts = state.counts
    if counts[Phase.RUNNING]:
        return ()
    if state.is_cancelling:
        return (_cancelled(state, at),)
    if counts[Phase.PENDING] or counts[Phase.READY] or counts[Phase.WAITING] or counts[Phase.RETRYING]:
        return ()
    return _finish(state, at)


def _cancelled(state: Execution, at: Instant) -> ev.Event:
    return ev.ExecutionCancelled(at=at, reason=state.cancel_reason)


def _go_on(state: Execution, at: Instant) -> Sequence[ev.Event]:
    if state.skips:
        return [ev.TaskSkipped(at=at, task=number, reason=ev.SkipReason.JOIN) for number in state.skips]
    while state.unjudged:
        judged = _judge(state, next(iter(state.unjudged)), at)
        if judged:
            return judged
    return _take_signal(state, next(iter(state.matchable)), at) if state.matchable else ()


# ── conditions, and steps that the kernel performs ───────────────────────────────────────────────────────────────────


def _judge(state: Execution, number: int, at: Instant) -> Sequence[ev.Event]:
    """A step whose dependencies are fine: its condition, and a control step's own work. Empty: it now waits for a slot."""
    step = state.plan.steps[number]
    task = state.live.get(number)
    last_attempt = task.attempt if task is not None else 0
    if step.when is not None and last_attempt == 0:
        try:
            is_wanted = truth(step.when, context(state, step.when_reads))
        except (ExpressionError, LimitError) as error:
            return expression_failure(number, 0, at, f"when: {error}")
        if not is_wanted:
            return (ev.TaskSkipped(at=at, task=number, reason=ev.SkipReason.WHEN),)
    if not step.is_control:
        del state.unjudged[number]
        graph.admit_later(state, step)
        return ()
    if step.step.type == "noop":
        return completion(state, number, last_attempt + 1, at)
    return _begin_wait(state, number, last_attempt + 1, at)


def _begin_wait(state: Execution, number: int, attempt: int, at: Instant) -> Sequence[ev.Event]:
    step = state.plan.steps[number]
    try:
        config: Any = step.input.render(context(state, step.input_reads))
        signal, due_at = _awaited(config, at)
    except (ExpressionError, LimitError) as error:
        return expression_failure(number, attempt, at, f"config: {error}")
    except ValueError as error:
        failure = TaskError(type="ValidationError", message=f"config: {error}")
        return (ev.TaskFailed(at=at, task=number, attempt=attempt, error=failure),)
    started = ev.TaskStarted(at=at, task=number, attempt=attempt, signal=signal)
    return (started,) if due_at is None else (started, ev.TimerSet(at=at, task=number, due_at=due_at))


def _awaited(config: Mapping[str, Any], at: Instant) -> tuple[str, Instant | None]:
    """The signal that a wait waits for, and until when. Raises ``ValueError``."""
    given = [key for key in _WAITS_FOR if key in config]
    if len(given) != 1:
        raise ValueError(f"a wait has one of {', '.join(_WAITS_FOR)}, this one has {' and '.join(given) or 'none'}")
    if given == ["duration"]:
        return "", at + parse_duration_ms(config["duration"])
    if given == ["until"]:
        return "", parse_instant(config["until"])
    signal = config["signal"]
    if not isinstance(signal, str) or not signal:
        raise ValueError(f"the name of a signal is text, not {signal!r}")
    return signal, at + parse_duration_ms(config["deadline"]) if "deadline" in config else None


def _take_signal(state: Execution, name: str, at: Instant) -> Sequence[ev.Event]:
    """The oldest signal of a name goes to the step that has waited for it longest; held steps do not listen."""
    number = next(iter(state.listeners[name]))
    ended = completion(state, number, state.live[number].attempt, at, output=state.signals[name][0])
    if state.timers.has(number, Clock.WAIT):
        return (ev.TimerCancelled(at=at, task=number), *ended)
    return ended


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _elapse(state: Execution, at: Instant) -> Sequence[ev.Event]:
    """The first clock, which has run out, and what follows from it."""
    first = state.timers.first()
    assert first is not None, "wake_at is a task's"
    _, number, clock = first
    task = state.live.get(number)
    attempt = task.attempt if task is not None else 0
    if clock is Clock.RETRY:
        return (ev.TimerFired(at=at, task=number),)
    if clock is Clock.WAIT and task is not None and not task.signal:
        return (ev.TimerFired(at=at, task=number), *completion(state, number, attempt, at))
    kind = _TIMEOUTS[clock]
    if clock is Clock.ATTEMPT:
        return attempt_timed_out(state, number, at, kind)
    timed_out = ev.TaskTimedOut(at=at, task=number, attempt=attempt, kind=kind)
    if task is not None and task.is_cancelling:
        return (timed_out, ev.TaskCancelled(at=at, task=number, attempt=attempt))
    error = TaskError(type="Timeout", message=f"the {kind} timeout passed")
    return (timed_out, ev.TaskFailed(at=at, task=number, attempt=attempt, error=error, outcome=Outcome.TIMED_OUT))


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _finish(state: Execution, at: Instant) -> Sequence[ev.Event]:
    """Every task has ended."""
    if state.failures:
        first = min(state.failures)
        task = state.live[first]
        assert task.error is not None
        message = f"{state.plan.steps[first].path} {task.error.message}".rstrip()
        error = TaskError(type=task.error.type, message=message, bases=task.error.bases)
        return (ev.ExecutionFailed(at=at, error=error, outcome=task.outcome),)
    output = ABSENT
    if state.plan.output is not None:
        try:
            output = raw(state.plan.output.render(context(state, state.plan.output_reads)))
        except (ExpressionError, LimitError) as error:
            return (ev.ExecutionFailed(at=at, error=TaskError(type="ExpressionError", message=f"output: {error}")),)
    return (ev.ExecutionCompleted(at=at, output=output, outcome=Outcome.PARTIAL if state.flaws else None),)
