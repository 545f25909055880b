"""Facts about a whole execution or a subtree, applied. Part of evolve; only its table calls these."""

from __future__ import annotations

from collections.abc import Iterable

from taskengine.kernel import graph, listening, post, subtree
from taskengine.kernel.rebuild import rebuild
from taskengine.kernel.reopen import reopen, reopen_finished
from taskengine.kernel.state import BY_PERSON, INHERITED, Execution
from taskengine.kernel.task import Task
from taskengine.model import event as ev
from taskengine.model.effect import Effect, Halt
from taskengine.model.status import Outcome, Phase, Status
from taskengine.model.value import ABSENT, Instant, TaskError

__all__ = [
    "cancelled",
    "cancelling",
    "completed",
    "failed",
    "nothing",
    "paused",
    "resumed",
    "retried",
    "signal_sent",
    "signalled",
    "started",
    "terminated",
    "timed_out",
    "variables_set",
]


def started(state: Execution, event: ev.ExecutionStarted, _: list[Effect]) -> None:
    """Roots without dependencies are judged at once; the execution's timeout begins."""
    state.started_at = event.at
    state.seed = event.seed
    state.input = event.input
    state.variables = event.variables
    state.business_key = event.business_key
    state.pins = event.pins
    if event.parent is not None:
        state.parent = event.parent
        state.is_related = True
    if event.priority is not None:
        state.priority = event.priority
    _begin_timeout(state)
    for number in state.plan.roots:
        graph.judge_join(state, number)
    if not state.plan.size:
        state.closing[0] = None


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
    state.closing.clear()
    state.spreading.clear()
    state.sweeps.clear()
    for number, task in state.live.items():
        if task.is_launched:
            effects.append(Halt(number, task.attempt, is_final=True))
            task.stand_down()
        elif task.child:
            post.terminate(state, task, effects)
            task.stand_down()
    state.children.clear()
    post.tell_parent(state, status, effects)


def completed(state: Execution, event: ev.ExecutionCompleted, effects: list[Effect]) -> None:
    """Keep the output; nothing runs any more. After a cancel, what had not ended counts as cancelled."""
    state.output = event.output
    state.is_swept = state.is_cancelling
    _end(state, effects, Status.COMPLETED, event.outcome)


def failed(state: Execution, event: ev.ExecutionFailed, effects: list[Effect]) -> None:
    """Keep the error; nothing runs any more."""
    state.error = event.error
    _end(state, effects, Status.FAILED, event.outcome)


def cancelled(state: Execution, event: ev.ExecutionCancelled, effects: list[Effect]) -> None:
    """What had not ended counts as cancelled."""
    state.is_swept = True
    _end(state, effects, Status.CANCELLED, event.outcome)


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

    After a cancel, terminate or timeout, retrying ``/`` reopens everything; retrying a part leaves the rest cancelled.
    """
    if not state.is_finished:
        reopen(state, event.tasks)
        return
    if state.saga is not None:
        _undo_again(state, event.tasks)
        return
    reopen_finished(state, event.tasks, opens_rest=event.path == "/")
    state.status_at_end = state.outcome = state.error = state.finished_at = state.pause_started_at = None
    state.pauses = 0
    state.is_swept = state.is_cancelling = state.is_met = False
    state.cancel_reason = ""
    state.output = ABSENT
    state.paused.clear()
    _begin_timeout(state)
    rebuild(state)


def _undo_again(state: Execution, tasks: Iterable[int]) -> None:
    """Go on with compensations that had failed; others that were cut off stay so, and the steps themselves stay as they are."""
    for number in range(state.undo_from, len(state.phase)):
        if state.phase[number] < Phase.COMPLETED:
            state.phase[number] = Phase.CANCELLED
    for number in tasks:
        state.phase[number] = Phase.PENDING
        if number in state.live:
            state.live[number].begin_round()
    state.status_at_end = state.outcome = state.error = state.finished_at = state.pause_started_at = None
    state.pauses = 0
    state.is_swept = False
    state.paused.clear()
    rebuild(state)


# ── control of a subtree, signals ────────────────────────────────────────────────────────────────────────────────────


def paused(state: Execution, event: ev.SubtreePaused, effects: list[Effect]) -> None:
    """The whole execution's own time stands still, or one task is held: out of the queues, its clocks frozen."""
    if event.path == "/":
        was_paused = state.is_paused
        state.pauses |= INHERITED if event.is_inherited else BY_PERSON
        if was_paused:
            return
        state.pause_started_at = event.at
        for number in state.children:
            if not state.is_held(number):
                post.pause(state, number, effects)
        return
    subtree.hold(state, state.number_of(event.path), effects)


def resumed(state: Execution, event: ev.SubtreeResumed, effects: list[Effect]) -> None:
    """Time goes on, or the task is looked at again."""
    if event.path == "/":
        state.pauses &= ~(INHERITED if event.is_inherited else BY_PERSON)
        if state.pauses:
            return
        _end_pause(state, event.at)
        for number in state.children:
            if not state.is_held(number):
                post.resume(state, number, effects)
    else:
        subtree.let_go(state, state.number_of(event.path), effects)


def _end_pause(state: Execution, at: Instant) -> None:
    state.pauses = 0
    if state.pause_started_at is not None:
        state.paused_ms += at - state.pause_started_at
        state.pause_started_at = None


def cancelling(state: Execution, event: ev.SubtreeCancelled, effects: list[Effect]) -> None:
    """A cancel ends the pauses of what it cancels: attempts that do not obey are still bounded by their clocks."""
    number = state.number_of(event.path)
    if number == 0:
        _cancel_all(state, event, effects)
        return
    if state.phase[number] == Phase.EXPANDED:
        subtree.ask_to_stop(state, number, effects)
        return
    subtree.let_go(state, number, effects)
    task = state.live.get(number)
    if task is not None:
        _ask_to_stop(state, number, task, effects)


def _cancel_all(state: Execution, event: ev.SubtreeCancelled, effects: list[Effect]) -> None:
    state.is_cancelling = True
    state.is_met = event.is_met
    state.undoes = event.compensates
    state.cancel_reason = event.reason
    _end_pause(state, event.at)
    for number in sorted(state.paused):
        subtree.let_go(state, number, effects)
    for number, clock in tuple(state.timers.due):
        if state.phase[number] != Phase.RUNNING:
            state.timers.due.pop((number, clock))
    for number, task in state.live.items():
        _ask_to_stop(state, number, task, effects)


def _ask_to_stop(state: Execution, number: int, task: Task, effects: list[Effect]) -> None:
    if task.child:
        post.stop(state, number, task, effects)
    elif task.is_launched and not task.is_cancelling:
        task.is_cancelling = True
        effects.append(Halt(number, task.attempt, is_final=False))


def signalled(state: Execution, event: ev.SignalReceived, _: list[Effect]) -> None:
    """The signal waits in order until a step takes it."""
    listening.arrived(state, event.name, event.data)


def signal_sent(state: Execution, event: ev.SignalSent, effects: list[Effect]) -> None:
    """It is on its way with this commit."""
    post.signal(state, event, effects)


def nothing(_state: Execution, _event: ev.Event, _: list[Effect]) -> None:
    """Said for people; what it says is in the state already."""


def variables_set(state: Execution, event: ev.VariablesSet, _: list[Effect]) -> None:
    """What is rendered from now on sees the new values."""
    state.variables = {**state.variables, **event.values}
    if state.watched:
        listening.changed(state, (*event.values, ""))
