"""What is remembered. One class per type, past tense, frozen; the history of an execution is a gap-free list of these.

An event's place in the stream is its sequence number and is not part of it. ``task`` is the task's number in the execution
(node 0 is the execution, steps follow in the order of the document), ``attempt`` counts from 1 over all rounds of retries.
Stored form: JSON, ``{"type": …, "at": …, …}``, defaults left out. A type is never removed and a field never changes its meaning.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from taskengine.model.status import Outcome, Status
from taskengine.model.value import ABSENT, Instant, Parent, Raw, TaskError

__all__ = [
    "EVENT_TYPES",
    "ApprovalDecided",
    "ApprovalEscalated",
    "ChildrenRegistered",
    "CompensationCompleted",
    "CompensationFailed",
    "CompensationStarted",
    "Event",
    "ExecutionCancelled",
    "ExecutionCompleted",
    "ExecutionFailed",
    "ExecutionForked",
    "ExecutionRetried",
    "ExecutionStarted",
    "ExecutionTerminated",
    "ExecutionTimedOut",
    "GroupClosed",
    "SignalReceived",
    "SignalSent",
    "SkipReason",
    "SubtreeCancelled",
    "SubtreePaused",
    "SubtreeResumed",
    "TakenOver",
    "TaskAttemptLost",
    "TaskCancelled",
    "TaskCompleted",
    "TaskFailed",
    "TaskProgressReported",
    "TaskQuarantined",
    "TaskRetryScheduled",
    "TaskScheduled",
    "TaskSkipped",
    "TaskStarted",
    "TaskTimedOut",
    "TimeoutKind",
    "TimerCancelled",
    "TimerFired",
    "TimerKind",
    "TimerSet",
    "VariablesSet",
]


class SkipReason(StrEnum):
    """Why a step did not happen."""

    JOIN = "join"
    WHEN = "when"
    PERSON = "person"


class TimeoutKind(StrEnum):
    """Which of a task's clocks ran out."""

    ATTEMPT = "attempt"
    TOTAL = "total"
    QUEUE = "queue"
    WAIT = "wait"
    HEARTBEAT = "heartbeat"


class TimerKind(StrEnum):
    """What a waiting step's timer is for."""

    WAIT = "wait"
    ESCALATION = "escalation"


class _Fact(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="type", omit_defaults=True):
    at: Instant


class ExecutionStarted(_Fact, frozen=True, kw_only=True):
    """Number 1 of every history. ``seed`` feeds every random choice that the kernel makes later (jitter).

    ``pins``: the version of each workflow that steps start by name without saying which.
    """

    workflow_id: str
    workflow_version: str
    seed: int
    input: Raw
    variables: dict[str, Raw] = {}
    priority: int | None = None
    business_key: str = ""
    by: str = ""
    parent: Parent | None = None
    pins: dict[str, str] = {}


class TakenOver(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """A task that a fork does not perform: it has ended in the origin. ``status``: completed, failed or skipped."""

    task: int
    status: Status
    output: Raw = ABSENT
    error: TaskError | None = None
    outcome: Outcome | None = None
    is_handled: bool = False
    skipped_by: tuple[str, str] | None = None  # the person who went on without it, and why


class ExecutionForked(_Fact, frozen=True, kw_only=True):
    """Number 2 of a fork's history: it begins from the step at ``path``, with what ``tasks`` gave in the execution ``origin``."""

    origin: str
    path: str
    tasks: tuple[TakenOver, ...] = ()


class ExecutionCompleted(_Fact, frozen=True, kw_only=True):
    """Every task has ended and nothing unhandled failed."""

    output: Raw = ABSENT
    outcome: Outcome | None = None


class ExecutionFailed(_Fact, frozen=True, kw_only=True):
    """Every task has ended, at least one failed unhandled; or the output could not be made."""

    error: TaskError
    outcome: Outcome | None = None


class ExecutionCancelled(_Fact, frozen=True, kw_only=True):
    """After a cancel, the last running task has ended, or the execution's timeout passed."""

    reason: str = ""
    outcome: Outcome | None = None


class ExecutionTerminated(_Fact, frozen=True, kw_only=True):
    """Ended at once by command; running attempts are told to stop and their results are dropped."""

    by: str = ""
    reason: str = ""


class ExecutionTimedOut(_Fact, frozen=True, kw_only=True):
    """The execution's own timeout passed. It counts through pauses."""


class ExecutionRetried(_Fact, frozen=True, kw_only=True):
    """A person lets the named tasks begin a new round; what was skipped because of them is open again.

    ``path`` is what was asked for: after a cancel or timeout, ``/`` opens everything, one task leaves the others cancelled.
    """

    path: str = "/"
    tasks: tuple[int, ...]
    by: str = ""
    reason: str = ""


class SubtreePaused(_Fact, frozen=True, kw_only=True):
    """From here on nothing new starts at or below ``path``."""

    path: str
    by: str = ""
    reason: str = ""
    is_inherited: bool = False  # by the execution that started this one


class SubtreeResumed(_Fact, frozen=True, kw_only=True):
    """The pause of exactly this path has ended; its clocks go on where they stood."""

    path: str
    by: str = ""
    reason: str = ""
    is_inherited: bool = False  # by the execution that started this one


class SubtreeCancelled(_Fact, frozen=True, kw_only=True):
    """Nothing at or below ``path`` starts any more; running attempts are asked to stop.

    ``is_met``: what had completed before it satisfies the workflow's success rule. ``compensates``: then undo what was done.
    """

    path: str
    by: str = ""
    reason: str = ""
    is_met: bool = False
    compensates: bool = False


class CompensationStarted(_Fact, frozen=True, kw_only=True):
    """From here on what was done is undone, in reverse order. ``tasks`` are the completed ones that say how, last one first.

    Each gets a task of its own, numbered on from the last one. ``error`` and ``outcome`` are what it came to; without an error it
    was cancelled.
    """

    tasks: tuple[int, ...]
    error: TaskError | None = None
    outcome: Outcome | None = None


class CompensationCompleted(_Fact, frozen=True, kw_only=True):
    """Everything has been undone."""


class CompensationFailed(_Fact, frozen=True, kw_only=True):
    """What could be undone has been; ``tasks`` have not. A retry goes on with them."""

    tasks: tuple[int, ...]


class SignalReceived(_Fact, frozen=True, kw_only=True):
    """A message from outside. It waits in order until a step that waits for its name takes it."""

    name: str
    data: Raw
    by: str = ""


class TaskScheduled(_Fact, frozen=True, kw_only=True):
    """A slot is held and attempt n is spent. ``input`` stands in a round's first attempt and serves the later ones."""

    task: int
    attempt: int
    input: Raw = ABSENT
    is_suspect: bool = False


class TaskStarted(_Fact, frozen=True, kw_only=True):
    """A step that the kernel performs itself has begun to wait, or its blocks are at work.

    ``input`` is the rendered config of a container, an approval or a sub-workflow, ``case`` the place of the block that a
    condition takes (-1: none holds), ``child`` the execution that a sub-workflow starts.
    """

    task: int
    attempt: int
    signal: str = ""
    input: Raw = ABSENT
    case: int = -1
    child: str = ""


class TaskProgressReported(_Fact, frozen=True, kw_only=True):
    """The attempt is alive, and how far it has come: earlier losses of the task count no more.

    ``progress`` is ``{fraction?, message?, data?}``, absent for a mere sign of life; the next attempt can read it.
    """

    task: int
    attempt: int
    progress: Raw = ABSENT


class TaskCompleted(_Fact, frozen=True, kw_only=True):
    """The attempt's result was taken. ``output`` is what later steps see; ``signal`` the place in its queue of the one taken.

    ``outcome`` of a container or a part of it: partial, when something in it did not go well.
    """

    task: int
    attempt: int
    output: Raw = ABSENT
    outcome: Outcome | None = None
    signal: int = 0


class ChildrenRegistered(_Fact, frozen=True, kw_only=True):
    """A container opens ``count`` parts (branches, a case, items, an iteration), from ``index`` on.

    Their tasks are numbered on from ``first``, each part's own node before its steps.
    """

    task: int
    first: int
    index: int
    count: int = 1


class GroupClosed(_Fact, frozen=True, kw_only=True):
    """A loop opens no further iteration."""

    task: int


class SignalSent(_Fact, frozen=True, kw_only=True):
    """A step has sent a signal to another execution."""

    task: int
    execution_id: str
    name: str
    data: Raw = ABSENT


class VariablesSet(_Fact, frozen=True, kw_only=True):
    """Variables have new values from here on; ``task`` is the step that set them, 0 for a person."""

    values: dict[str, Raw]
    task: int = 0
    by: str = ""


class TaskFailed(_Fact, frozen=True, kw_only=True):
    """The task has failed for good: no further attempt follows by itself."""

    task: int
    attempt: int
    error: TaskError
    outcome: Outcome | None = None


class TaskRetryScheduled(_Fact, frozen=True, kw_only=True):
    """The attempt failed and another follows at ``due_at``; or a person asked for a new round (``is_new_round``)."""

    task: int
    attempt: int
    due_at: Instant
    error: TaskError | None = None
    is_new_round: bool = False
    by: str = ""


class TaskAttemptLost(_Fact, frozen=True, kw_only=True):
    """The attempt died with its process, or was given back by a graceful stop (not counted)."""

    task: int
    attempt: int
    is_counted: bool = True


class TaskTimedOut(_Fact, frozen=True, kw_only=True):
    """One of the task's clocks ran out; what follows from it is the next event."""

    task: int
    attempt: int
    kind: TimeoutKind


class TaskSkipped(_Fact, frozen=True, kw_only=True):
    """The step will not happen: its join cannot hold any more, its condition is false, or a person goes on without it.

    ``by`` and ``note`` are the person's. Joins then see it as if it had been done.
    """

    task: int
    reason: SkipReason
    by: str = ""
    note: str = ""


class TaskCancelled(_Fact, frozen=True, kw_only=True):
    """The task ended because a cancel or terminate reached it."""

    task: int
    attempt: int
    by: str = ""
    outcome: Outcome | None = None


class TaskQuarantined(_Fact, frozen=True, kw_only=True):
    """Running alone it took its process down too often; failed until a person retries it."""

    task: int
    attempt: int


class TimerSet(_Fact, frozen=True, kw_only=True):
    """A waiting step is to be woken at ``due_at`` (later by as long as it is paused)."""

    task: int
    due_at: Instant
    kind: TimerKind = TimerKind.WAIT


class TimerFired(_Fact, frozen=True, kw_only=True):
    """A waiting step's or a retry's time has come."""

    task: int


class TimerCancelled(_Fact, frozen=True, kw_only=True):
    """A waiting step ended before its timers."""

    task: int


class ApprovalDecided(_Fact, frozen=True, kw_only=True):
    """A person has approved or rejected; the step's own end is the next event. ``data`` fits the step's form."""

    task: int
    attempt: int
    is_approved: bool
    by: str = ""
    comment: str = ""
    data: Raw = ABSENT


class ApprovalEscalated(_Fact, frozen=True, kw_only=True):
    """Nobody has decided in time: from here on these may decide too."""

    task: int
    to: tuple[str, ...]


Event: TypeAlias = (
    ExecutionStarted
    | ExecutionCompleted
    | ExecutionFailed
    | ExecutionCancelled
    | ExecutionTerminated
    | ExecutionTimedOut
    | ExecutionRetried
    | SubtreePaused
    | SubtreeResumed
    | SubtreeCancelled
    | SignalReceived
    | TaskScheduled
    | TaskStarted
    | TaskProgressReported
    | TaskCompleted
    | TaskFailed
    | TaskRetryScheduled
    | TaskAttemptLost
    | TaskTimedOut
    | TaskSkipped
    | TaskCancelled
    | TaskQuarantined
    | TimerSet
    | TimerFired
    | TimerCancelled
    | ChildrenRegistered
    | GroupClosed
    | VariablesSet
    | SignalSent
    | CompensationStarted
    | CompensationCompleted
    | CompensationFailed
    | ApprovalDecided
    | ApprovalEscalated
    | ExecutionForked
)
EVENT_TYPES: tuple[type, ...] = Event.__args__
