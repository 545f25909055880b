"""Facts about one task, applied. Part of evolve; only its table calls these."""

from __future__ import annotations

from taskengine.kernel import fold_group, graph, listening, outputs, post, saga, subtree
from taskengine.kernel.join import OK, UNHAPPY
from taskengine.kernel.reopen import reopen_task
from taskengine.kernel.scope import Scope
from taskengine.kernel.state import Execution
from taskengine.kernel.task import Task
from taskengine.kernel.timing import Clock
from taskengine.model import event as ev
from taskengine.model.effect import Effect, Halt, Launch, Release
from taskengine.model.status import Outcome, Phase
from taskengine.model.value import Instant, TaskError

__all__ = [
    "attempt_lost",
    "cancelled",
    "completed",
    "failed",
    "progressed",
    "quarantined",
    "retry_scheduled",
    "scheduled",
    "started",
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
    step = state.steps[number]
    if step.has_clocks:
        state.timers.drop(number, Clock.QUEUE)
        _start_clocks(state, number, event.at)
    effects.append(Launch(number, event.attempt, event.is_suspect))


def _start_clocks(state: Execution, number: int, at: Instant) -> None:
    """That of the attempt, and with the first one that of them all."""
    step = state.steps[number].step
    if step.timeout_ms is not None:
        graph.start_clock(state, number, Clock.ATTEMPT, at + step.timeout_ms)
    if step.total_timeout_ms is not None and not state.timers.has(number, Clock.TOTAL):
        graph.start_clock(state, number, Clock.TOTAL, at + step.total_timeout_ms)


def _start_only_clock(state: Execution, number: int, at: Instant) -> None:
    """Of what is not tried again: the shorter bound holds for all of it."""
    step = state.steps[number].step
    limits = [limit for limit in (step.timeout_ms, step.total_timeout_ms) if limit is not None]
    if limits:
        graph.start_clock(state, number, Clock.TOTAL, at + min(limits))


def started(state: Execution, event: ev.TaskStarted, effects: list[Effect]) -> None:
    """A step that the kernel performs waits, or its blocks are at work."""
    number = event.task
    step = state.steps[number]
    graph.leave_queues(state, number)
    graph.enter(state, number, Phase.EXPANDED if step.blocks else Phase.WAITING)
    task = _live(state, number)
    task.attempt = event.attempt
    if task.started_at is None:
        task.started_at = event.at
    if event.input:
        task.input = event.input
    if step.has_clocks:
        (_start_clocks if event.child else _start_only_clock)(state, number, event.at)
    if step.blocks:
        graph.note_order(state, number)
        fold_group.begun(state, number, task.input, event.case)
    if event.child:
        task.used += 1
        task.child = state.children[number] = event.child
        post.start(state, event, effects)
    task.signal = event.signal
    if event.signal:
        listening.listen(state, number, event.signal)


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
        if task.signal or task.child or task.swept_by >= 0:
            _stop_waiting(state, number, task, taken=event.signal)
    step, scope = state.steps[number], state.scopes[number]
    if step.has_clocks or step.is_control:
        state.timers.drop_all(number)
    graph.enter(state, number, Phase.COMPLETED)
    if number == scope.base:
        fold_group.child_completed(state, scope, event)
        return
    if number >= state.undo_from:
        saga.ended(state, number, had_begun=True)
        return
    state.tally.pop(number, None)
    outputs.keep(state, number, scope, event.output)
    outputs.let_go(state, step, scope.base)
    graph.settle_dependents(state, number, OK)
    if step.is_special:
        _completed_specially(state, number, scope, event)


def _completed_specially(state: Execution, number: int, scope: Scope, event: ev.TaskCompleted) -> None:
    """It can be undone, handles failures, has blocks, or may have ended before what it depends on."""
    step = state.steps[number]
    graph.note_order(state, number)
    if step.compensation is not None:
        state.undoable.append(number)
    if step.step.handles:
        graph.handle(state, number, [scope.base + local for local in step.dependencies])
    if step.blocks:
        scope.flaws += event.outcome is not None
        fold_group.completed(state, number)


def _stop_waiting(state: Execution, number: int, task: Task, *, taken: int) -> None:
    """Nobody waits for it any more, and it waits for nothing."""
    if task.swept_by >= 0:
        state.sweeps[task.swept_by] -= 1
    if task.child:
        del state.children[number]
    if task.signal:
        listening.stop_listening(state, number, task.signal)
        listening.taken(state, task.signal, taken)


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
        task.is_overdue = task.is_launched or bool(task.child)  # it is told to stop and not waited for
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
    if state.phase[number] == Phase.EXPANDED:
        subtree.sweep(state, number, effects)
    task = _live(state, number)
    _leave(state, number, task, effects)
    graph.leave_queues(state, number)
    state.timers.drop_all(number)
    had_begun = state.phase[number] != Phase.PENDING
    task.attempt = attempt
    task.error = error
    task.outcome = outcome
    graph.enter(state, number, phase)
    scope = state.scopes[number]
    if number == scope.base:
        fold_group.child_ended(state, scope, is_failed=phase == Phase.FAILED)
        return
    if number >= state.undo_from:
        saga.ended(state, number, had_begun=had_begun)
        return
    graph.note_order(state, number)
    graph.count_failure(state, number, 1)
    graph.settle_dependents(state, number, UNHAPPY)


# ── between two attempts ─────────────────────────────────────────────────────────────────────────────────────────────


def retry_scheduled(state: Execution, event: ev.TaskRetryScheduled, effects: list[Effect]) -> None:
    """Wait for the next attempt; or, asked for by a person, begin a new round."""
    number = event.task
    if event.is_new_round:
        state.timers.drop_all(number)
        if state.phase[number] >= Phase.COMPLETED:
            reopen_task(state, number)
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
    if state.steps[number].step.is_idempotent:
        graph.make_ready(state, number)
    else:
        task.is_stuck = True
        graph.enter(state, number, Phase.WAITING)


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
    if task.swept_by >= 0:
        state.sweeps[task.swept_by] -= 1
    if task.child:
        post.left(state, number, task, effects)
    if task.signal:
        listening.stop_listening(state, number, task.signal)
    task.stand_down()
