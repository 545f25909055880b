"""What follows by itself from where things stand: skips, waits, taken signals, clocks that ran out, the end.

``settle`` gives the next events and changes nothing but indexes of what was judged; ``advance`` folds them and asks again
until there are none. Everything found here is found in O(1): evolve keeps the places to look at. Only filters of signals may have
to be asked many times; how often in one turn, the effort bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import truth
from taskengine.kernel import graph, groups, saga
from taskengine.kernel.approval import escalated
from taskengine.kernel.attempt import attempt_timed_out, completion, expression_failure
from taskengine.kernel.begin import begin
from taskengine.kernel.context import context
from taskengine.kernel.sieve import Effort
from taskengine.kernel.state import Execution
from taskengine.kernel.taking import take_signal
from taskengine.kernel.timing import Clock
from taskengine.model import event as ev
from taskengine.model.status import Outcome, Phase
from taskengine.model.value import ABSENT, Instant, TaskError, raw
from taskengine.model.workflow import OnFailure

__all__ = ["settle"]

_SHOWN: Final = 8  # compensations that are named
_TIMEOUTS: Final = {
    Clock.ATTEMPT: ev.TimeoutKind.ATTEMPT,
    Clock.TOTAL: ev.TimeoutKind.TOTAL,
    Clock.QUEUE: ev.TimeoutKind.QUEUE,
    Clock.WAIT: ev.TimeoutKind.WAIT,
}


def settle(state: Execution, at: Instant, effort: Effort) -> Sequence[ev.Event]:
    """The next events that need no command; empty when the state is at rest, or the effort is spent."""
    if state.status_at_end is not None or not state.seq:
        return ()
    is_due = state.wake_at is not None and at >= state.wake_at
    if is_due and state.expires_at is not None and at >= state.expires_at:
        return (_cancelled(state, at) if state.is_cancelling else _undone_first(state, ev.ExecutionTimedOut(at=at)),)
    if not state.is_cancelling and (
        state.unjudged
        or state.skips
        or state.closing
        or state.spreading
        or state.matchable
        or state.sweeps
        or state.saga is not None
    ):
        following = _go_on(state, at, effort)
        if following or effort.is_spent:
            return following  # what waits to be judged came before the clock ran out
    if is_due:
        return _elapse(state, at)
    if state.is_cancelling and not state.counts[Phase.RUNNING] and not state.children:
        return (_cancelled(state, at),)
    return ()


def _cancelled(state: Execution, at: Instant) -> ev.Event:
    if state.is_met:
        return _completed(state, at, Outcome.PARTIAL)
    if state.undoes and state.undoable:
        return ev.CompensationStarted(at=at, tasks=tuple(reversed(state.undoable)))
    stuck = saga.stuck(state) if state.undoes else []
    if stuck:
        error = TaskError(type=saga.NOT_UNDONE, message=f"not undone: {groups.blame(state, stuck[0]).message}")
        return ev.ExecutionFailed(at=at, error=error)
    return ev.ExecutionCancelled(at=at, reason=state.cancel_reason)


def _go_on(state: Execution, at: Instant, effort: Effort) -> Sequence[ev.Event]:
    """What ends comes first; a pause holds back what begins."""
    if state.closing:
        base = next(iter(state.closing))
        return _finish(state, at) if base == 0 else groups.closed_scope(state, base, at)
    swept = next((number for number, left in state.sweeps.items() if not left), 0) if state.sweeps else 0
    if swept:
        task = state.live.get(swept)
        return (ev.TaskCancelled(at=at, task=swept, attempt=task.attempt if task is not None else 0),)
    if state.saga is not None and not state.saga.open:
        return _undone(state, at)
    return () if state.pause_started_at is not None else _begin(state, at, effort)


def _begin(state: Execution, at: Instant, effort: Effort) -> Sequence[ev.Event]:
    if state.skips:
        return [ev.TaskSkipped(at=at, task=number, reason=ev.SkipReason.JOIN) for number in state.skips]
    while state.unjudged and state.read_left > 0:
        judged = _judge(state, next(iter(state.unjudged)), at)
        if judged:
            return judged
    while state.spreading:
        spread = groups.spread(state, next(iter(state.spreading)), at)
        if spread:
            return spread
    while state.matchable and not effort.is_spent:
        taken = take_signal(state, next(iter(state.matchable)), at, effort)
        if taken:
            return taken
    return ()


# ── conditions, and steps that the kernel performs ───────────────────────────────────────────────────────────────────


def _judge(state: Execution, number: int, at: Instant) -> Sequence[ev.Event]:
    """A step whose dependencies are fine: its condition, and a control step's own work. Empty: it now waits for a slot."""
    step = state.steps[number]
    task = state.live.get(number)
    last_attempt = task.attempt if task is not None else 0
    if step.when is not None and last_attempt == 0:
        try:
            is_wanted = truth(step.when, context(state, step.when_reads, state.scopes[number]))
        except (ExpressionError, LimitError) as error:
            return expression_failure(number, 0, at, f"when: {error}")
        if not is_wanted:
            return (ev.TaskSkipped(at=at, task=number, reason=ev.SkipReason.WHEN),)
    if not step.is_control:
        del state.unjudged[number]
        graph.admit_later(state, number)
        return ()
    return begin(state, number, last_attempt + 1, at)


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
    if clock is Clock.ESCALATE:
        return escalated(state, number, at)
    if clock is Clock.WAIT and task is not None and not task.signal and state.steps[number].step.type == "wait":
        return (ev.TimerFired(at=at, task=number), *completion(state, number, attempt, at))
    kind = _TIMEOUTS[clock]
    if clock is Clock.ATTEMPT:
        return attempt_timed_out(state, number, at, kind)
    timed_out = ev.TaskTimedOut(at=at, task=number, attempt=attempt, kind=kind)
    if (task is not None and task.is_cancelling) or number in state.sweeps:
        return (timed_out, ev.TaskCancelled(at=at, task=number, attempt=attempt))
    is_asking = kind is ev.TimeoutKind.WAIT and state.steps[number].step.type == "approval"
    what = "nobody decided before the deadline" if is_asking else f"the {kind} timeout passed"
    error = TaskError(type="Timeout", message=what)
    return (timed_out, ev.TaskFailed(at=at, task=number, attempt=attempt, error=error, outcome=Outcome.TIMED_OUT))


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _finish(state: Execution, at: Instant) -> Sequence[ev.Event]:
    """Every task has ended."""
    return (_undone_first(state, _ended(state, at)),)


def _ended(state: Execution, at: Instant) -> ev.Event:
    root = state.root
    rule = state.plan.success
    try:
        is_met = (
            not root.failures if rule is None or rule.is_strict else groups.holds(state, rule, groups.ends_of_steps(state), root)
        )
    except (ExpressionError, LimitError) as error:
        return ev.ExecutionFailed(at=at, error=TaskError(type="ExpressionError", message=f"success: {error}"))
    if is_met:
        return _completed(state, at, Outcome.PARTIAL if root.failures or root.flaws else None)
    if root.failures:
        first = min(root.failures)
        return ev.ExecutionFailed(at=at, error=groups.blame(state, first), outcome=state.live[first].outcome)
    return ev.ExecutionFailed(at=at, error=TaskError(type="SuccessRuleBroken", message="too few steps completed"))


def _completed(state: Execution, at: Instant, outcome: Outcome | None) -> ev.Event:
    output = ABSENT
    if state.plan.output is not None:
        try:
            output = raw(state.plan.output.render(context(state, state.plan.output_reads, state.root)))
        except (ExpressionError, LimitError) as error:
            return ev.ExecutionFailed(at=at, error=TaskError(type="ExpressionError", message=f"output: {error}"))
    return ev.ExecutionCompleted(at=at, output=output, outcome=outcome)


def _undone_first(state: Execution, end: ev.Event) -> ev.Event:
    """A failure, or what has to be undone before it, when the workflow wants that."""
    if state.plan.workflow.on_failure is not OnFailure.COMPENSATE or not state.undoable:
        return end
    match end:
        case ev.ExecutionFailed(error=error, outcome=outcome):
            pass
        case ev.ExecutionTimedOut():
            error, outcome = TaskError(type="Timeout", message="the execution's timeout passed"), Outcome.TIMED_OUT
        case _:
            return end
    return ev.CompensationStarted(at=end.at, tasks=tuple(reversed(state.undoable)), error=error, outcome=outcome)


def _undone(state: Execution, at: Instant) -> Sequence[ev.Event]:
    """No compensation is at work any more: everything was undone, or some of it cannot be."""
    assert state.saga is not None
    why = state.saga.error
    left = tuple(number for number in state.saga.undoes.values() if state.phase[number] not in saga.UNDONE)
    stuck = saga.stuck(state)
    if not (left or stuck):
        end: ev.Event = ev.ExecutionCancelled(at=at, reason=state.cancel_reason, outcome=Outcome.COMPENSATED)
        if why is not None:
            end = ev.ExecutionFailed(at=at, error=why, outcome=Outcome.COMPENSATED)
        return (ev.CompensationCompleted(at=at), end)
    what = f"not undone: {_not_undone(state, (*left, *stuck))}"
    error = why if why is not None else TaskError(type=saga.NOT_UNDONE)
    told = msgspec.structs.replace(error, message=f"{error.message}; {what}" if error.message else what)
    return (ev.CompensationFailed(at=at, tasks=left), ev.ExecutionFailed(at=at, error=told, outcome=state.saga.outcome))


def _not_undone(state: Execution, left: Sequence[int]) -> str:
    """What could not be undone and why, then what was not because of that."""
    tried = [number for number in left if number in state.live and state.live[number].error is not None]
    shown = [groups.blame(state, number).message for number in tried]
    shown += [state.path_of(number) for number in left if number not in tried]
    return "; ".join(shown[:_SHOWN]) + (f"; and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")
