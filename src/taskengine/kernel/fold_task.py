"""Facts about one task, applied. Part of evolve; only its table calls these."""

from __future__ import annotations

from taskengine.kernel import graph
from taskengine.kernel.join import OK, SKIPPED, UNHAPPY
from taskengine.kernel.plan import StepPlan
from taskengine.kernel.state import Execution, Task
from taskengine.kernel.timing import Clock
from taskengine.model import event as ev
from taskengine.model.effect import Effect, Halt, Launch, Release
from taskengine.model.status import Outcome, Phase
from taskengine.model.value import NONE, Raw, TaskError

__all__ = [
    "attempt_lost",
    "cancelled",
    "completed",
    "failed",
    "progressed",
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


# ── a beginning ──────────────────────────────────────────────────────────────────────────────────────────────────────


def scheduled(state: Execution, event: ev.TaskScheduled, effects: list[Effect]) -> None:
    """The attempt is owed; its clocks begin."""
    number = event.task
    (state.suspects if event.is_suspect else state.ready).discard(number)
    if state.unjudged:  # its condition was found true before a crash
        state.unjudged.pop(number, None)
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
    """A step that the kernel performs waits."""
    number = event.task
    graph.leave_queues(state, number)
    graph.enter(state, number, Phase.WAITING)
    task = _live(state, number)
    task.attempt = event.attempt
    if task.started_at is None:
        task.started_at = event.at
    task.signal = event.signal
    if event.signal:
        graph.listen(state, number, event.signal)


def progressed(state: Execution, event: ev.TaskProgressReported, _: list[Effect]) -> None:
    """What makes headway is no poison: earlier losses count no more."""
    task = state.live[event.task]
    task.losses = task.suspect_losses = 0
    if event.progress:
        task.progress = event.progress


# ── an end ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def completed(state: Execution, event: ev.TaskCompleted, effects: list[Effect]) -> None:
    """Forget the task but for its phase and an output that somebody may read; tell its dependents."""
    number = event.task
    if state.phase[number] == Phase.READY:  # a control step that ended at once
        graph.leave_queues(state, number)
    task = state.live.pop(number, None)
    if task is not None:
        if task.is_launched:
            effects.append(Release(number, task.attempt))
        if task.signal:
            graph.stop_listening(state, number, task.signal)
            _take_signal(state, task.signal)
    step = state.plan.steps[number]
    if step.has_clocks or step.is_control:
        state.timers.drop_all(number)
    graph.enter(state, number, Phase.COMPLETED)
    if state.tally:
        state.tally.pop(number, None)
    _keep_output(state, number, event.output)
    _let_go_of_outputs(state, step)
    graph.settle_dependents(state, number, OK)
    if step.step.handles:
        graph.handle(state, number, step.dependencies)


def _keep_output(state: Execution, number: int, output: Raw) -> None:
    """Keep it while somebody may read it: steps that have not completed, or the execution's own output at its end."""
    plan, phase = state.plan, state.phase
    unread = 1 if number in plan.output_reads.tasks else 0
    for reader in plan.readers[number]:
        if phase[reader] != Phase.COMPLETED:
            unread += 1
    if unread:
        state.outputs[number] = output or NONE
        state.unread[number] = unread


def _let_go_of_outputs(state: Execution, step: StepPlan) -> None:
    """What a completed step has read it will not read again; an output that nobody else waits for is forgotten."""
    unread = state.unread
    for number in step.reads:
        left = unread.get(number, 0)
        if left > 1:
            unread[number] = left - 1
        elif left:
            del unread[number], state.outputs[number]


def _take_signal(state: Execution, name: str) -> None:
    queue = state.signals[name]
    queue.popleft()
    state.signal_count -= 1
    if not queue:
        del state.signals[name]
        state.matchable.pop(name, None)


def failed(state: Execution, event: ev.TaskFailed, effects: list[Effect]) -> None:
    """Keep the error; tell the dependents."""
    _end_unhappily(state, event.task, Phase.FAILED, effects, attempt=event.attempt, error=event.error, outcome=event.outcome)


def quarantined(state: Execution, event: ev.TaskQuarantined, effects: list[Effect]) -> None:
    """As failed, by its outcome visible as what it is."""
    error = TaskError(type="Quarantined", message="its process died again and again while it ran alone")
    outcome = Outcome.QUARANTINED
    _end_unhappily(state, event.task, Phase.FAILED, effects, attempt=event.attempt, error=error, outcome=outcome)


def cancelled(state: Execution, event: ev.TaskCancelled, effects: list[Effect]) -> None:
    """As failed, but without an error, and nothing can handle it."""
    task = state.live.get(event.task)
    if task is not None and event.outcome is Outcome.TERMINATED:
        task.is_overdue = task.is_launched  # it is told to stop and not waited for
    _end_unhappily(state, event.task, Phase.CANCELLED, effects, attempt=event.attempt, error=None, outcome=event.outcome)


def _end_unhappily(
    state: Execution,
    number: int,
    phase: Phase,
    effects: list[Effect],
    *,
    attempt: int,
    error: TaskError | None,
    outcome: Outcome | None,
) -> None:
    task = _live(state, number)
    _leave(state, number, task, effects)
    graph.leave_queues(state, number)
    state.timers.drop_all(number)
    task.attempt = attempt
    task.error = error
    task.outcome = outcome
    graph.enter(state, number, phase)
    graph.count_failure(state, number, 1)
    graph.settle_dependents(state, number, UNHAPPY)


def skipped(state: Execution, event: ev.TaskSkipped, _: list[Effect]) -> None:
    """Tell the dependents; a skipped task is forgotten but for its phase and the number of its attempts."""
    number = event.task
    task = state.live.get(number)
    if task is not None and task.attempt == 0:
        del state.live[number]  # else its attempts are remembered, so that none is numbered twice
    graph.leave_queues(state, number)
    state.timers.drop_all(number)
    graph.enter(state, number, Phase.SKIPPED)
    graph.settle_dependents(state, number, SKIPPED)


# ── between two attempts ─────────────────────────────────────────────────────────────────────────────────────────────


def retry_scheduled(state: Execution, event: ev.TaskRetryScheduled, effects: list[Effect]) -> None:
    """Wait for the next attempt; or, asked for by a person, begin a new round."""
    number = event.task
    if event.is_new_round:
        state.timers.drop_all(number)
        if state.phase[number] in {Phase.FAILED, Phase.CANCELLED}:
            graph.reopen(state, number)
        else:  # it waited for its next attempt, or for a person after a lost one
            state.live[number].begin_round()
            graph.make_ready(state, number)
        return
    task = state.live[number]
    _leave(state, number, task, effects)
    task.error = event.error
    state.timers.drop(number, Clock.ATTEMPT)
    graph.enter(state, number, Phase.RETRYING)
    graph.start_clock(state, number, Clock.RETRY, event.due_at)


def attempt_lost(state: Execution, event: ev.TaskAttemptLost, effects: list[Effect]) -> None:
    """Ready again, and after the second loss as a suspect; one that is not idempotent waits for a person."""
    number = event.task
    task = state.live[number]
    was_suspect = task.is_suspect
    _leave(state, number, task, effects)
    state.timers.drop(number, Clock.ATTEMPT)
    task.used -= 1
    if event.is_counted:
        task.losses += 1
        task.suspect_losses += was_suspect
    if state.plan.steps[number].step.is_idempotent:
        graph.make_ready(state, number)
    else:
        task.is_stuck = True
        graph.enter(state, number, Phase.WAITING)


# ── clocks ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def timed_out(state: Execution, event: ev.TaskTimedOut, _: list[Effect]) -> None:
    """An attempt whose time has run out will be stopped and not waited for."""
    task = state.live.get(event.task)
    if task is not None:
        task.is_overdue = task.is_launched


def timer_set(state: Execution, event: ev.TimerSet, _: list[Effect]) -> None:
    """A wait's clock begins."""
    graph.start_clock(state, event.task, Clock.WAIT, event.due_at)


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


# ── the attempt's record ─────────────────────────────────────────────────────────────────────────────────────────────


def _live(state: Execution, number: int) -> Task:
    task = state.live.get(number)
    if task is None:
        task = state.live[number] = Task()
    return task


def _leave(state: Execution, number: int, task: Task, effects: list[Effect]) -> None:
    """The attempt is over, however it ended; one that ran out of time or was terminated has still to be stopped."""
    if task.is_launched:
        effects.append(Halt(number, task.attempt, is_final=True) if task.is_overdue else Release(number, task.attempt))
    if task.signal:
        graph.stop_listening(state, number, task.signal)
    task.stand_down()
