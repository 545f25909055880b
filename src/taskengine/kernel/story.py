"""How a task came to be where it is, in words, and why it is not running. For people; told from the history and the state alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from taskengine.kernel.advance import fold
from taskengine.kernel.approval import approvers_of, is_asking
from taskengine.kernel.skips import skipped_because
from taskengine.kernel.state import Execution
from taskengine.kernel.task import Task
from taskengine.model import event as ev
from taskengine.model.status import Phase
from taskengine.model.value import Raw, decode

__all__ = ["FREE_SLOT", "NOT_TAKEN_UP", "Line", "refused_signals", "story", "waits_for", "why"]

FREE_SLOT: Final = "waits for a free slot"
NOT_TAKEN_UP: Final = "ready; no process has taken it up"  # instead of that, where no process lives
_SHOWN: Final = 5  # dependencies that are named


class Line(msgspec.Struct, frozen=True, gc=False):
    """One sentence of a story."""

    seq: int
    at: int
    text: str


def story(state: Execution, history: Iterable[ev.Event], path: str) -> list[Line]:
    """Every event that concerns the task at ``path`` (``/`` tells the execution's own), oldest first."""
    number = state.number_of(path)
    events = list(history)
    told: list[Line] = []
    for seq, event in enumerate(events, 1):
        text = _tell(event, number, path)
        if isinstance(event, ev.TaskStarted) and event.task == number and state.steps[number].step.type == "approval":
            text = "asks for a decision"
        if isinstance(event, ev.TaskSkipped) and event.task == number and event.reason is ev.SkipReason.JOIN:
            text = f"skipped: {skipped_because(_state_then(state, events, seq=seq), number)}"
        elif isinstance(event, ev.TaskStarted) and event.task == number and number in state.groups:
            text = "begins"
        elif isinstance(event, ev.ChildrenRegistered) and event.task == number:
            text = f"opens {_opened(state, event)}"
        if text:
            told.append(Line(seq, event.at, text))
    return told


def _state_then(state: Execution, events: list[ev.Event], *, seq: int) -> Execution:
    """A state in which dependencies have ended as they had after event ``seq``: without a later round they still have."""
    if not any(isinstance(event, ev.ExecutionRetried) for event in events[seq:]):
        return state
    return fold(state.execution_id, state.plan, events[:seq])


def why(state: Execution, path: str) -> str:
    """Why a task is where it is now: the same questions, in the same order, that admission asks."""
    number = state.number_of(path)
    if number and state.phase[number] == Phase.SKIPPED:
        return f"skipped: {skipped_because(state, number)}"
    if number and state.phase[number] >= Phase.COMPLETED:
        return _ended(state, number)
    if state.is_finished:
        cut_off = "never began: " if state.phase[number] <= Phase.READY else "cut off by the end: "
        return f"{cut_off if number else ''}the execution is {state.status}" + (f" ({state.outcome})" if state.outcome else "")
    if state.is_cancelling:
        return "the execution is being cancelled"
    if state.is_paused and state.phase[number] != Phase.RUNNING:
        return "the execution is paused"
    if number == 0:
        return "what was done is being undone" if state.saga is not None else f"the execution is {state.status}"
    if state.is_held(number) and state.phase[number] != Phase.RUNNING:
        return f"{state.path_of(state.held_by(number))} is paused"
    return waits_for(state, number)


def _ended(state: Execution, number: int) -> str:
    task = state.live.get(number)
    error = f": {task.error.type} {task.error.message}".rstrip() if task is not None and task.error else ""
    return f"has ended, {state.status_of(number)}{error}"


def waits_for(state: Execution, number: int) -> str:
    """What keeps an open task from going on, were nothing paused."""
    task = state.live.get(number) or Task()
    match Phase(state.phase[number]):
        case Phase.PENDING if number >= state.undo_from:
            return "waits until what came after it is undone"
        case Phase.PENDING:
            return _dependencies(state, number)
        case Phase.READY if number in state.suspects:
            return "lost with its process more than once: runs alone, after everything else"
        case Phase.READY:
            bound = state.plan.workflow.limits.max_concurrency
            is_bound = bound is not None and state.counts[Phase.RUNNING] >= bound
            return f"max_concurrency {bound} of the workflow is reached" if is_bound else FREE_SLOT
        case Phase.RUNNING:
            return f"attempt {task.attempt} " + ("was asked to stop" if task.is_cancelling else "is running")
        case Phase.RETRYING:
            return "waits for its next attempt after: " + (task.error.message or task.error.type if task.error else "an error")
        case Phase.EXPANDED:
            return _at_work(state, number)
        case _:
            return _waiting(state, number, task)


def _waiting(state: Execution, number: int, task: Task) -> str:
    if is_asking(state, number):
        return f"waits for the decision of {', '.join(approvers_of(state, number)) or 'anybody'}"
    if task.is_stuck:
        return "its attempt was lost and the step is not idempotent: retry or cancel it"
    if task.child:
        return f"waits for the execution {task.child}"
    if not task.signal:
        return "waits for its time"
    refused = refused_signals(state, number)
    told = f"; its filter has refused {refused}: {state.steps[number].step.config['filter']}" if refused else ""
    return f"waits for signal {task.signal}{told}"


def refused_signals(state: Execution, number: int) -> int:
    """How many signals of the name that a step waits for are kept because its filter did not take them."""
    task = state.live.get(number)
    if task is None or state.steps[number].filter is None or number not in state.listeners.get(task.signal, ()):
        return 0
    return len(state.signals.get(task.signal, ()))


def _at_work(state: Execution, number: int) -> str:
    group = state.groups.get(number)
    if group is None:
        return f"{state.scopes[number].left} of its steps have not ended"
    total = "" if group.total is None else f"/{group.total}"
    counts = ((group.failed, "failed"), (group.cancelled, "cancelled"), (group.running, "running"))
    return ", ".join([f"{group.completed}{total} done", *(f"{count} {word}" for count, word in counts if count)])


def _dependencies(state: Execution, number: int) -> str:
    step, base = state.steps[number], state.scopes[number].base
    waits = [state.steps[base + one].id for one in step.dependencies if state.phase[base + one] < Phase.COMPLETED]
    return f"waits for {', '.join(waits[:_SHOWN])}{' …' if len(waits) > _SHOWN else ''} (join {step.join})"


def _tell(event: ev.Event, number: int, path: str) -> str:
    match event:
        case ev.SubtreePaused() | ev.SubtreeResumed() | ev.SubtreeCancelled():
            if event.path not in {"/", path}:
                return ""
            what = {"SubtreePaused": "paused", "SubtreeResumed": "resumed"}.get(type(event).__name__, "cancel asked for")
            undoing = ", with compensation" if isinstance(event, ev.SubtreeCancelled) and event.compensates else ""
            return f"{event.path} {what}{undoing}" + _by(event.by, event.reason)
        case ev.ExecutionRetried() if number in event.tasks or number == 0:
            whole = "" if event.path != "/" or number == 0 else ", with the whole execution"
            return f"a new round{whole}" + _by(event.by, event.reason)
        case ev.ExecutionStarted() if number == 0:
            return "started" + _by(event.by, "")
        case ev.ExecutionForked(tasks=tasks):
            if number == 0:
                return f"forked from {event.origin}, beginning with {event.path}"
            taken = next((one for one in tasks if one.task == number), None)
            return "" if taken is None else f"taken over from {event.origin}, {taken.status}"
        case ev.SignalReceived() if number == 0:
            return f"signal {event.name} received" + _by(event.by, "")
        case _ if number == 0 and not hasattr(event, "task"):
            return _tell_saga(event) or _words(type(event).__name__.removeprefix("Execution"))
        case _ if getattr(event, "task", -1) == number and number:
            return _tell_control(event) or _tell_task(event)
        case _:
            return ""


def _tell_saga(event: ev.Event) -> str:
    match event:
        case ev.CompensationStarted():
            return f"what was done is undone, {len(event.tasks)} steps" + (f", after {event.error.message}" if event.error else "")
        case ev.CompensationCompleted():
            return "everything was undone"
        case ev.CompensationFailed():
            return f"{len(event.tasks)} steps could not be undone"
        case _:
            return ""


def _tell_task(event: ev.Event) -> str:
    match event:
        case ev.TaskScheduled():
            return f"attempt {event.attempt} began" + (", alone, as a suspect" if event.is_suspect else "")
        case ev.TaskFailed():
            return f"failed for good: {event.error.type} {event.error.message}".rstrip()
        case ev.TaskRetryScheduled():
            if event.is_new_round:
                return "a new round" + _by(event.by, "")
            error = f"{event.error.type} {event.error.message}" if event.error else "failed"
            return f"attempt {event.attempt} ended: {error}; again in {(event.due_at - event.at) / 1000:g} s"
        case ev.TaskTimedOut():
            return f"the {event.kind} timeout passed"
        case ev.TaskSkipped():
            return "skipped" + (_by(event.by, event.note) if event.reason is ev.SkipReason.PERSON else ": its condition is false")
        case ev.TaskAttemptLost():
            return f"attempt {event.attempt} was " + ("lost with its process" if event.is_counted else "given back")
        case ev.TaskProgressReported():
            return f"attempt {event.attempt} is alive" + _said(event.progress)
        case ev.TaskStarted():
            return f"waits for signal {event.signal}" if event.signal else "begins" if event.input else "waits"
        case _:
            return _words(type(event).__name__.removeprefix("Task"))


def _tell_control(event: ev.Event) -> str:
    """What only steps have that the kernel performs itself."""
    match event:
        case ev.GroupClosed():
            return "opens no more"
        case ev.ApprovalDecided():
            return ("approved" if event.is_approved else "rejected") + _by(event.by, event.comment)
        case ev.ApprovalEscalated():
            return f"nobody has decided in time: {', '.join(event.to)} may decide too"
        case ev.TimerSet(kind=ev.TimerKind.ESCALATION):
            return "escalation set"
        case _:
            return ""


def _opened(state: Execution, event: ev.ChildrenRegistered) -> str:
    """The branches or the case by name; items and iterations by their places."""
    last, blocks = event.index + event.count - 1, state.steps[event.task].blocks
    if len(blocks) > 1 or any(block.name for block in blocks):
        named = [blocks[index].name or f"[{index}]" for index in range(event.index, last + 1)]
        return ", ".join(named[:_SHOWN]) + (f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else "")
    return f"[{event.index}]" + (f" to [{last}]" if event.count > 1 else "")


def _said(progress: Raw) -> str:
    """`` and says 40%, 12 of 30 rows``: what people can read of a progress."""
    told = decode(progress) if progress else None
    if not isinstance(told, dict):
        return ""
    fraction, message = told.get("fraction"), told.get("message")
    parts = [f"{100 * fraction:.0f}%"] if isinstance(fraction, (int, float)) else []
    parts += [message] if isinstance(message, str) else []
    return f" and says {', '.join(parts)}" if parts else ""


def _words(name: str) -> str:
    return "".join(f" {char.lower()}" if char.isupper() else char for char in name).strip()


def _by(by: str, reason: str) -> str:
    return (f" by {by}" if by else "") + (f": {reason}" if reason else "")
