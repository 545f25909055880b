"""What happens to one attempt: how it begins, what follows its end or its loss. Decisions only; nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence

from taskengine.errors import ExpressionError, LimitError
from taskengine.kernel.context import context
from taskengine.kernel.retry import delay_ms, may_retry
from taskengine.kernel.state import SUSPECT_LOSSES, Execution
from taskengine.model import event as ev
from taskengine.model.status import Outcome
from taskengine.model.value import ABSENT, NONE, Instant, Raw, TaskError, raw

__all__ = ["after_failure", "attempt_timed_out", "completion", "expression_failure", "lost", "scheduled"]


def scheduled(state: Execution, number: int, at: Instant, *, is_suspect: bool) -> Sequence[ev.Event]:
    """Begin the next attempt; the first one's input is rendered here, and a task whose input cannot be made fails."""
    step = state.steps[number]
    task = state.live.get(number)
    given = ABSENT  # a constant input stands in the workflow's version, a later attempt's in the first one's event
    attempt = 1
    if task is not None and task.attempt > 0:
        attempt = task.attempt + 1
    elif not step.has_constant_input:
        try:
            given = raw(step.input.render(context(state, step.input_reads, state.scopes[number])))
        except (ExpressionError, LimitError) as error:
            return expression_failure(number, 0, at, f"input: {error}")
    return (ev.TaskScheduled(at=at, task=number, attempt=attempt, input=given, is_suspect=is_suspect),)


def completion(
    state: Execution,
    number: int,
    attempt: int,
    at: Instant,
    *,
    output: Raw = ABSENT,
    outcome: Outcome | None = None,
    signal: int = 0,
) -> Sequence[ev.Event]:
    """The end of an attempt that went well: what later steps see is made here, and the task fails when that cannot be."""
    step = state.steps[number]
    if step.output is not None:
        try:
            output = raw(step.output.render(context(state, step.output_reads, state.scopes[number], output=output or NONE)))
        except (ExpressionError, LimitError) as error:
            return expression_failure(number, attempt, at, f"output_mapping: {error}")
    return (ev.TaskCompleted(at=at, task=number, attempt=attempt, output=output or ABSENT, outcome=outcome, signal=signal),)


def expression_failure(number: int, attempt: int, at: Instant, message: str) -> Sequence[ev.Event]:
    """An expression of the workflow failed: trying again would not help."""
    return (ev.TaskFailed(at=at, task=number, attempt=attempt, error=TaskError(type="ExpressionError", message=message)),)


def after_failure(
    state: Execution, number: int, error: TaskError, at: Instant, *, outcome: Outcome | None = None
) -> Sequence[ev.Event]:
    """Another attempt by the retry policy, or the end of the task."""
    task = state.live[number]
    policy = state.steps[number].retry
    if may_retry(policy, task.used, error):
        due_at = at + max(delay_ms(policy, task.used, seed=state.seed, task=number), error.retry_after_ms)
        return (ev.TaskRetryScheduled(at=at, task=number, attempt=task.attempt, due_at=due_at, error=error),)
    return (ev.TaskFailed(at=at, task=number, attempt=task.attempt, error=error, outcome=outcome),)


def attempt_timed_out(state: Execution, number: int, at: Instant, kind: ev.TimeoutKind) -> Sequence[ev.Event]:
    """The running attempt's time or patience has run out: it is stopped and not waited for, and another may follow."""
    task = state.live[number]
    timed_out = ev.TaskTimedOut(at=at, task=number, attempt=task.attempt, kind=kind)
    if task.is_cancelling:
        return (timed_out, ev.TaskCancelled(at=at, task=number, attempt=task.attempt))
    error = TaskError(type="Timeout", message=f"the {kind} timeout passed")
    return (timed_out, *after_failure(state, number, error, at, outcome=Outcome.TIMED_OUT))


def lost(state: Execution, number: int, at: Instant, *, is_counted: bool) -> Sequence[ev.Event]:
    """An attempt is gone without a result. Too often while it ran alone is quarantine; one that was to stop has stopped."""
    task = state.live[number]
    if task.is_cancelling:
        return (ev.TaskCancelled(at=at, task=number, attempt=task.attempt),)
    event = ev.TaskAttemptLost(at=at, task=number, attempt=task.attempt, is_counted=is_counted)
    if is_counted and task.is_suspect and task.suspect_losses + 1 >= SUSPECT_LOSSES:
        return (event, ev.TaskQuarantined(at=at, task=number, attempt=task.attempt))
    return (event,)
