"""What happens to one attempt: how it begins, what follows its failure, what follows its loss. Decisions only; nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence

from taskengine.errors import ExpressionError, LimitError
from taskengine.kernel.context import context
from taskengine.kernel.retry import delay_ms, may_retry
from taskengine.kernel.state import SUSPECT_LOSSES, Execution, Task
from taskengine.model import event as ev
from taskengine.model.status import Outcome
from taskengine.model.value import ABSENT, Instant, TaskError, raw

__all__ = ["after_failure", "ends_cancelled", "lost", "scheduled"]


def scheduled(state: Execution, number: int, at: Instant, *, is_suspect: bool) -> Sequence[ev.Event]:
    """Begin the next attempt; the first one's input is rendered here, and a task whose input cannot be made fails."""
    step = state.plan.steps[number]
    task = state.live.get(number)
    if task is not None and task.attempt > 0:
        return (ev.TaskScheduled(at=at, task=number, attempt=task.attempt + 1, is_suspect=is_suspect),)
    given = step.constant_input
    if not step.input.is_constant:
        try:
            given = raw(step.input.render(context(state, step.input.names, step.reads)))
        except (ExpressionError, LimitError) as error:
            failure = TaskError(type="ExpressionError", message=f"input: {error}")
            return (ev.TaskFailed(at=at, task=number, attempt=0, error=failure),)
        return (ev.TaskScheduled(at=at, task=number, attempt=1, input=given, is_suspect=is_suspect),)
    # a constant input stands in the workflow's version; it need not be written again
    return (ev.TaskScheduled(at=at, task=number, attempt=1, input=ABSENT, is_suspect=is_suspect),)


def after_failure(
    state: Execution, number: int, error: TaskError, at: Instant, *, is_retryable: bool = True, outcome: Outcome | None = None
) -> Sequence[ev.Event]:
    """Another attempt by the retry policy, or the end of the task."""
    task = state.live[number]
    step = state.plan.steps[number]
    if is_retryable and may_retry(step.retry, task.used, error):
        due_at = at + delay_ms(step.retry, task.used, seed=state.seed, task=number)
        return (ev.TaskRetryScheduled(at=at, task=number, attempt=task.attempt, due_at=due_at, error=error),)
    return (ev.TaskFailed(at=at, task=number, attempt=task.attempt, error=error, outcome=outcome),)


def lost(state: Execution, number: int, at: Instant, *, is_counted: bool) -> Sequence[ev.Event]:
    """An attempt is gone without a result. Losing it too often while it ran alone is quarantine."""
    task = state.live[number]
    event = ev.TaskAttemptLost(at=at, task=number, attempt=task.attempt, is_counted=is_counted)
    if is_counted and task.is_suspect and task.suspect_losses + 1 >= SUSPECT_LOSSES:
        return (event, ev.TaskQuarantined(at=at, task=number, attempt=task.attempt))
    return (event,)


def ends_cancelled(state: Execution, task: Task) -> bool:
    """Whether this attempt was asked to stop by a cancel."""
    return task.is_cancelling or state.is_cancelling
