"""Facts about a whole execution or a subtree, applied. Part of evolve; only its table calls these."""

from __future__ import annotations

from collections import deque

from taskengine.kernel import graph
from taskengine.kernel.rebuild import rebuild
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.effect import Effect, Halt
from taskengine.model.status import Outcome, Phase, Status
from taskengine.model.value import ABSENT, Instant, TaskError

__all__ = [
    "cancelled",
    "cancelling",
    "completed",
    "failed",
    "paused",
    "resumed",
    "retried",
    "signalled",
    "started",
    "terminated",
    "timed_out",
]


def started(state: Execution, event: ev.ExecutionStarted, _: list[Effect]) -> None:
    """Roots without dependencies are judged at once; the execution's timeout begins."""
    state.started_at = event.at
    state.seed = event.seed
    state.input = event.input
    state.variables = event.variables
    state.business_key = event.business_key
    if event.priority is not None:
        state.priority = event.priority
    _begin_timeout(state)
    for number in state.plan.roots:
        graph.judge_join(state, number)


def _begin_timeout(state: Execution) -> None:
    timeout_ms = state.plan.workflow.limits.timeout_ms
    state.expires_at = None if timeout_ms is None else state.at + timeout_ms


# ── the end, and beginning again ─────────────────────────────────────────────────────────────────────────────────────


def _end(state: Execution, effects: list[Effect], status: Status, outcome: Outcome | None) -> None:
    state.status_at_end = status
    state.outcome = outcome
    state.finished_at = state.at
    state.expires_at = None
    state.timers.clear()
    for number, task in state.live.items():
        if task.is_launched:
            effects.append(Halt(number, task.attempt, is_final=True))
            task.stand_down()


def completed(state: Execution, event: ev.ExecutionCompleted, effects: list[Effect]) -> None:
    """Keep the output; nothing runs any more."""
    state.output = event.output
    _end(state, effects, Status.COMPLETED, event.outcome)


def failed(state: Execution, event: ev.ExecutionFailed, effects: list[Effect]) -> None:
    """Keep the error; nothing runs any more."""
    state.error = event.error
    _end(state, effects, Status.FAILED, event.outcome)


def cancelled(state: Execution, _: ev.ExecutionCancelled, effects: list[Effect]) -> None:
    """What had not ended counts as cancelled."""
    state.is_swept = True
    _end(state, effects, Status.CANCELLED, None)


def terminated(state: Execution, _: ev.ExecutionTerminated, effects: list[Effect]) -> None:
    """What had not ended counts as cancelled; what runs is told to stop."""
    state.is_swept = True
    _end(state, effects, Status.CANCELLED, Outcome.TERMINATED)


def timed_out(state: Execution, _: ev.ExecutionTimedOut, effects: list[Effect]) -> None:
    """What had not ended counts as cancelled; what runs is told to stop."""
    state.is_swept = True
    state.error = TaskError(type="Timeout", message="the execution's timeout passed")
    _end(state, effects, Status.FAILED, Outcome.TIMED_OUT)


def retried(state: Execution, event: ev.ExecutionRetried, _: list[Effect]) -> None:
    """Named tasks, and what did not happen because of them, go through their joins again.

    After a cancel, terminate or timeout, retrying ``/`` reopens everything; retrying one task leaves the others cancelled.
    """
    phase = state.phase
    reopened = dict.fromkeys(event.tasks)
    queue = list(event.tasks)
    for number in queue:
        for dependent in state.plan.steps[number].dependents:
            if dependent not in reopened and _did_not_happen(state, dependent):
                reopened[dependent] = None
                queue.append(dependent)
    rest = Phase.PENDING if event.path == "/" else Phase.CANCELLED
    for number in range(1, len(phase)):
        if number in reopened:
            phase[number] = Phase.PENDING
        elif phase[number] <= Phase.RETRYING:
            phase[number] = rest
        else:
            continue
        if number in state.live:
            state.live[number].begin_round()
    state.status_at_end = state.outcome = state.error = state.finished_at = state.pause_started_at = None
    state.is_swept = state.is_cancelling = False
    state.cancel_reason = ""
    state.output = ABSENT
    state.paused.clear()
    _begin_timeout(state)
    rebuild(state)


def _did_not_happen(state: Execution, number: int) -> bool:
    task = state.live.get(number)
    is_begun = task is not None and task.attempt > 0
    return state.phase[number] == Phase.SKIPPED or (state.phase[number] <= Phase.READY and not is_begun)


# ── control of a subtree, signals ────────────────────────────────────────────────────────────────────────────────────


def paused(state: Execution, event: ev.SubtreePaused, _: list[Effect]) -> None:
    """The whole execution's own time stands still, or one task is held: out of the queues, its clocks frozen."""
    if event.path == "/":
        state.pause_started_at = event.at
        return
    number = state.plan.by_path[event.path]
    state.paused.add(event.path)
    state.ready.discard(number)
    state.suspects.discard(number)
    state.unjudged.pop(number, None)
    task = state.live.get(number)
    if task is not None and task.signal:
        graph.stop_listening(state, number, task.signal)
    state.timers.freeze(number, state.own_time(event.at))


def resumed(state: Execution, event: ev.SubtreeResumed, _: list[Effect]) -> None:
    """Time goes on, or the task is looked at again."""
    if event.path == "/":
        _end_pause(state, event.at)
    else:
        _let_go(state, event.path)


def _end_pause(state: Execution, at: Instant) -> None:
    if state.pause_started_at is not None:
        state.paused_ms += at - state.pause_started_at
        state.pause_started_at = None


def _let_go(state: Execution, path: str) -> None:
    """End the hold on one task: its clocks go on, and it is looked at again."""
    if path not in state.paused:
        return
    number = state.plan.by_path[path]
    state.paused.discard(path)
    state.timers.thaw(number, state.own_time(state.at))
    if state.phase[number] == Phase.READY:
        graph.enqueue(state, number)
    task = state.live.get(number)
    if task is not None and task.signal:
        graph.listen(state, number, task.signal)


def cancelling(state: Execution, event: ev.SubtreeCancelled, effects: list[Effect]) -> None:
    """A cancel ends the pauses of what it cancels: attempts that do not obey are still bounded by their clocks."""
    if event.path == "/":
        state.is_cancelling = True
        state.cancel_reason = event.reason
        _end_pause(state, event.at)
        for path in sorted(state.paused):
            _let_go(state, path)
        for number, clock in tuple(state.timers.due):
            if state.phase[number] != Phase.RUNNING:
                state.timers.due.pop((number, clock))
        stopping = list(state.live)
    else:
        _let_go(state, event.path)
        stopping = [state.plan.by_path[event.path]]
    for number in stopping:
        task = state.live.get(number)
        if task is not None and task.is_launched and not task.is_cancelling:
            task.is_cancelling = True
            effects.append(Halt(number, task.attempt, is_final=False))


def signalled(state: Execution, event: ev.SignalReceived, _: list[Effect]) -> None:
    """The signal waits in order until a step takes it."""
    queue = state.signals.get(event.name)
    if queue is None:
        queue = state.signals[event.name] = deque()
    queue.append(event.data)
    state.signal_count += 1
    if event.name in state.listeners:
        state.matchable[event.name] = None
