"""Facts about a whole execution or a subtree, applied. Part of evolve; only its table calls these."""

from __future__ import annotations

from collections import deque

from taskengine.kernel import graph
from taskengine.kernel.rebuild import rebuild
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.effect import Effect, Halt
from taskengine.model.status import Outcome, Phase, Status
from taskengine.model.value import ABSENT, TaskError

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
    state.started_at = event.at
    state.seed = event.seed
    state.input = event.input
    state.variables = event.variables
    state.business_key = event.business_key
    if event.priority is not None:
        state.priority = event.priority
    for number in state.plan.roots:
        graph.judge_join(state, number)


def _end(state: Execution, event: ev.Event, effects: list[Effect], status: Status, outcome: Outcome | None) -> None:
    state.status_at_end = status
    state.outcome = outcome
    state.finished_at = event.at
    state.timers.clear()
    for number, task in state.live.items():
        if task.is_launched:
            task.is_launched = False
            effects.append(Halt(number, task.attempt, is_final=True))


def completed(state: Execution, event: ev.ExecutionCompleted, effects: list[Effect]) -> None:
    state.output = event.output
    _end(state, event, effects, Status.COMPLETED, event.outcome)


def failed(state: Execution, event: ev.ExecutionFailed, effects: list[Effect]) -> None:
    state.error = event.error
    _end(state, event, effects, Status.FAILED, event.outcome)


def cancelled(state: Execution, event: ev.ExecutionCancelled, effects: list[Effect]) -> None:
    state.is_swept = True
    _end(state, event, effects, Status.CANCELLED, None)


def terminated(state: Execution, event: ev.ExecutionTerminated, effects: list[Effect]) -> None:
    state.is_swept = True
    _end(state, event, effects, Status.CANCELLED, Outcome.TERMINATED)


def timed_out(state: Execution, event: ev.ExecutionTimedOut, effects: list[Effect]) -> None:
    state.is_swept = True
    state.error = TaskError(type="Timeout", message="the execution's timeout passed")
    _end(state, event, effects, Status.FAILED, Outcome.TIMED_OUT)


def retried(state: Execution, event: ev.ExecutionRetried, _: list[Effect]) -> None:
    state.status_at_end = state.outcome = state.error = state.finished_at = None
    state.is_swept = state.is_cancelling = False
    state.output = ABSENT
    state.paused.clear()
    state.pause_started_at = None
    phase = state.phase
    queue = list(event.tasks)
    for number in queue:
        task = state.live.get(number)
        phase[number] = Phase.READY if task is not None and task.attempt > 0 else Phase.PENDING
        if task is not None:
            task.begin_round()
        for dependent in state.plan.steps[number].dependents:
            if phase[dependent] == Phase.SKIPPED:
                phase[dependent] = Phase.PENDING
                queue.append(dependent)
    rebuild(state)


def paused(state: Execution, event: ev.SubtreePaused, _: list[Effect]) -> None:
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
    if event.path == "/":
        assert state.pause_started_at is not None
        state.paused_ms += event.at - state.pause_started_at
        state.pause_started_at = None
        return
    number = state.plan.by_path[event.path]
    state.paused.discard(event.path)
    state.timers.thaw(number, state.own_time(event.at))
    if state.phase[number] == Phase.READY:
        graph.enqueue(state, number)
    task = state.live.get(number)
    if task is not None and task.signal:
        graph.listen(state, number, task.signal)


def cancelling(state: Execution, event: ev.SubtreeCancelled, effects: list[Effect]) -> None:
    if event.path == "/":
        state.is_cancelling = True
        state.cancel_reason = event.reason
        stopping = list(state.live)
    else:
        stopping = [state.plan.by_path[event.path]]
    for number in stopping:
        task = state.live.get(number)
        if task is not None and task.is_launched and not task.is_cancelling:
            task.is_cancelling = True
            effects.append(Halt(number, task.attempt, is_final=False))


def signalled(state: Execution, event: ev.SignalReceived, _: list[Effect]) -> None:
    queue = state.signals.get(event.name)
    if queue is None:
        queue = state.signals[event.name] = deque()
    queue.append(event.data)
    state.signal_count += 1
    if event.name in state.listeners:
        state.matchable[event.name] = None
