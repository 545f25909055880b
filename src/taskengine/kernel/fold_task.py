"""Facts about one task, applied. Part of evolve; only its table calls these."""

from __future__ import annotations

from taskengine.kernel import graph
from taskengine.kernel.join import OK, SKIPPED, UNHAPPY
from taskengine.kernel.state import Execution, Task
from taskengine.kernel.timing import Clock
from taskengine.model import event as ev
from taskengine.model.effect import Effect, Halt, Launch, Release
from taskengine.model.status import Outcome, Phase
from taskengine.model.value import NONE, TaskError

__all__ = [
    "attempt_lost",
    "cancelled",
    "completed",
    "failed",
    "quarantined",
    "retry_scheduled",
    "scheduled",
    "skipped",
    "started",
    "timed_out",
    "timer_cancelled",
    "timer_fired",
    "timer_set",
]


def scheduled(state: Execution, event: ev.TaskScheduled, effects: list[Effect]) -> None:
    number = event.task
    graph.leave_queues(state, number)
    graph.enter(state, number, Phase.RUNNING)
    task = _live(state, number)
    if task.started_at is None:
        task.started_at = event.at
    task.attempt = event.attempt
    task.used += 1
    task.is_launched = True
    task.is_suspect = event.is_suspect
    if event.input:
        task.input = event.input
    step = state.plan.steps[number]
    if step.has_clocks:
        state.timers.drop(number, Clock.QUEUE)
        if step.step.timeout_ms is not None:
            graph.start_clock(state, number, Clock.ATTEMPT, event.at + step.step.timeout_ms)
        if step.step.total_timeout_ms is not None and not state.timers.has(number, Clock.TOTAL):
            graph.start_clock(state, number, Clock.TOTAL, event.at + step.step.total_timeout_ms)
    effects.append(Launch(number, event.attempt, event.is_suspect))


def started(state: Execution, event: ev.TaskStarted, _: list[Effect]) -> None:
    number = event.task
    graph.leave_queues(state, number)
    graph.enter(state, number, Phase.WAITING)
    task = _live(state, number)
    task.attempt = event.attempt
    task.started_at = event.at
    task.signal = event.signal
    if event.signal:
        graph.listen(state, number, event.signal)


def completed(state: Execution, event: ev.TaskCompleted, effects: list[Effect]) -> None:
    number = event.task
    task = state.live.pop(number, None)
    if task is None:  # a control step that ended at once
        graph.leave_queues(state, number)
    else:
        signal = task.signal
        _leave(state, number, task, effects)
        if signal:
            _take_signal(state, signal)
    if state.timers.due or state.timers.frozen:
        state.timers.drop_all(number)
    graph.enter(state, number, Phase.COMPLETED)
    plan = state.plan
    readers = plan.readers[number]
    if readers or number in plan.output_reads:
        unread = 1 if number in plan.output_reads else 0  # the execution's own output is made at its end
        for reader in readers:
            if state.phase[reader] != Phase.COMPLETED:
                unread += 1
        if unread:
            state.outputs[number] = event.output or NONE
            state.unread[number] = unread
    step = plan.steps[number]
    for read in step.reads:
        if read in state.unread:
            state.unread[read] -= 1
            if not state.unread[read]:
                del state.unread[read], state.outputs[read]
    graph.settle_dependents(state, number, OK)
    if step.step.handles:
        graph.handle(state, number, step.dependencies)


def _take_signal(state: Execution, name: str) -> None:
    queue = state.signals.get(name)
    if queue is None:  # a timer ended the wait, or there is none left
        return
    queue.popleft()
    state.signal_count -= 1
    if not queue:
        del state.signals[name]
        state.matchable.pop(name, None)


def _end_unhappily(
    state: Execution, number: int, phase: Phase, effects: list[Effect], *, attempt: int, error: TaskError | None, outcome: Outcome | None
) -> None:
    task = _live(state, number)
    _leave(state, number, task, effects)
    graph.leave_queues(state, number)
    state.timers.drop_all(number)
    task.attempt = attempt
    task.error = error
    task.outcome = outcome
    task.is_stuck = task.is_cancelling = False
    graph.enter(state, number, phase)
    graph.count_failure(state, number, 1)
    graph.settle_dependents(state, number, UNHAPPY)


def failed(state: Execution, event: ev.TaskFailed, effects: list[Effect]) -> None:
    _end_unhappily(
        state, event.task, Phase.FAILED, effects, attempt=event.attempt, error=event.error, outcome=event.outcome
    )


def quarantined(state: Execution, event: ev.TaskQuarantined, effects: list[Effect]) -> None:
    error = TaskError(type="Quarantined", message="its process died again and again while it ran alone")
    _end_unhappily(
        state, event.task, Phase.FAILED, effects, attempt=event.attempt, error=error, outcome=Outcome.QUARANTINED
    )


def cancelled(state: Execution, event: ev.TaskCancelled, effects: list[Effect]) -> None:
    task = state.live.get(event.task)
    if event.outcome is Outcome.TERMINATED and task is not None and task.is_launched:
        task.is_launched = False
        effects.append(Halt(event.task, task.attempt, is_final=True))
    _end_unhappily(
        state, event.task, Phase.CANCELLED, effects, attempt=event.attempt, error=None, outcome=event.outcome
    )


def skipped(state: Execution, event: ev.TaskSkipped, _: list[Effect]) -> None:
    graph.leave_queues(state, event.task)
    state.timers.drop_all(event.task)
    graph.enter(state, event.task, Phase.SKIPPED)
    graph.settle_dependents(state, event.task, SKIPPED)


def retry_scheduled(state: Execution, event: ev.TaskRetryScheduled, effects: list[Effect]) -> None:
    number = event.task
    if event.is_new_round:
        state.timers.drop_all(number)
        if state.phase[number] in {Phase.FAILED, Phase.CANCELLED}:
            graph.reopen(state, (number,))
        else:  # waiting for its next attempt, or for a person after a lost one
            state.live[number].begin_round()
            graph.enter(state, number, Phase.READY)
            graph.enqueue(state, number)
        return
    task = state.live[number]
    _leave(state, number, task, effects)
    task.error = event.error
    state.timers.drop(number, Clock.ATTEMPT)
    graph.enter(state, number, Phase.RETRYING)
    graph.start_clock(state, number, Clock.RETRY, event.due_at)


def attempt_lost(state: Execution, event: ev.TaskAttemptLost, effects: list[Effect]) -> None:
    number = event.task
    task = state.live[number]
    _leave(state, number, task, effects)
    state.timers.drop(number, Clock.ATTEMPT)
    task.used -= 1
    if event.is_counted:
        task.losses += 1
        task.suspect_losses += task.is_suspect
    if state.plan.steps[number].step.is_idempotent:
        graph.enter(state, number, Phase.READY)
        graph.enqueue(state, number)
    else:
        task.is_stuck = True
        graph.enter(state, number, Phase.WAITING)


def timed_out(state: Execution, event: ev.TaskTimedOut, effects: list[Effect]) -> None:
    task = state.live.get(event.task)
    if task is not None and task.is_launched:
        task.is_launched = False
        effects.append(Halt(event.task, task.attempt, is_final=True))


def timer_set(state: Execution, event: ev.TimerSet, _: list[Effect]) -> None:
    graph.start_clock(state, event.task, Clock.WAIT, event.due_at)


def timer_fired(state: Execution, event: ev.TimerFired, _: list[Effect]) -> None:
    number = event.task
    if state.phase[number] == Phase.RETRYING:
        state.timers.drop(number, Clock.RETRY)
        graph.enter(state, number, Phase.READY)
        graph.enqueue(state, number)
    else:
        state.timers.drop(number, Clock.WAIT)


def timer_cancelled(state: Execution, event: ev.TimerCancelled, _: list[Effect]) -> None:
    state.timers.drop(event.task, Clock.WAIT)


def _live(state: Execution, number: int) -> Task:
    task = state.live.get(number)
    if task is None:
        task = state.live[number] = Task()
    return task


def _leave(state: Execution, number: int, task: Task, effects: list[Effect]) -> None:
    """The attempt is over, however it ended."""
    if task.is_launched:
        task.is_launched = False
        effects.append(Release(number, task.attempt))
    if task.signal:
        graph.stop_listening(state, number, task.signal)
        task.signal = ""
