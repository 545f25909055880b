"""Executions and tasks on the wire. Plain shapes; whoever composes them from a store is in ``app``.

Names are those of the REST interface. What is not there is null, what a list does not look up is left out; durations stand twice,
for people and for programs.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from taskengine.model.duration import format_duration
from taskengine.model.value import Instant
from taskengine.wire.instant import iso_instant

__all__ = [
    "Progress",
    "Question",
    "WireComparison",
    "WireDifference",
    "WireExecution",
    "WireExplanation",
    "WireLine",
    "WireLogLine",
    "WirePart",
    "WireReason",
    "WireTask",
    "WireTaskDetail",
    "span",
]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How many steps there are, and how many of them are where. A container is a step, what it opens (items, branches) is none."""

    total: int
    completed: int
    failed: int
    running: int | UnsetType = UNSET
    waiting: int | UnsetType = UNSET  # for a signal, a time, a person, another execution, or the next attempt
    pending: int | UnsetType = UNSET  # has not begun
    cancelled: int | UnsetType = UNSET
    skipped: int | UnsetType = UNSET


class WireExecution(msgspec.Struct, frozen=True, kw_only=True):
    """One execution. ``version`` grows with each event, ``status`` is the engine's word and ``state`` the one for people.

    ``duration`` is the time from start to end on the clock: pauses, waits and times without a process are in it.
    """

    id: str
    workflow_id: str
    workflow_name: str
    workflow_version: str
    kind: str = "graph"
    status: str
    state: str
    outcome: str | None
    version: int
    progress: Progress
    priority: int
    business_key: str | None
    parent_execution_id: str | None  # which started it
    created_at: str
    started_at: str | None
    finished_at: str | None
    duration: str | None
    duration_ms: int | None
    input: Any = UNSET  # JSON
    output: Any = UNSET  # JSON
    error_code: str | UnsetType | None = UNSET
    error_message: str | UnsetType | None = UNSET
    forked_from: str | UnsetType = UNSET  # the execution that it is a fork of
    forked_at: str | UnsetType = UNSET  # ... and the step that it began from
    as_of: str | UnsetType = UNSET  # while it goes on elsewhere: the instant up to which this is known


class WireTask(msgspec.Struct, frozen=True, kw_only=True):
    """One task of an execution."""

    id: str
    trace_id: str
    parent_id: str
    path: str
    depth: int
    step_id: str
    name: str
    type: str
    status: str
    state: str
    outcome: str | None
    attempt: int
    idempotency_key: str
    started_at: str | None
    finished_at: str | None
    duration: str | None
    duration_ms: int | None
    progress: Any  # JSON: {fraction?, message?, data?} as last reported by what runs, null without
    error_code: str | None
    error_msg: str | None


class WireLine(msgspec.Struct, frozen=True):
    """One sentence of a task's story."""

    seq: int
    at: str
    text: str


class WireLogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line that an attempt left."""

    log_id: int
    at: str
    trace_id: str
    task_id: str
    step_id: str
    path: str
    attempt: int
    level: str
    source: str
    message: str


class WirePart(msgspec.Struct, frozen=True, kw_only=True):
    """A block at work: a branch, the case that was taken, an item's or an iteration's steps. ``name`` is its part of the path."""

    name: str
    status: str
    outcome: str | None
    error_code: str | None
    error_msg: str | None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a task asks people. ``form``: the JSON Schema of the data that comes with a decision; no ``approvers``: anybody."""

    message: str
    form: Any  # JSON
    approvers: list[str]


class WireTaskDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A task with what it was given, what it gave, how it came to be where it is and why it is there."""

    task: WireTask
    inputs: Any  # JSON
    output: Any  # JSON
    why: str
    story: list[WireLine]
    asks: Question | None = None
    parts: list[WirePart] = []  # of a container: what it has opened


class WireDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One thing of two executions. ``where`` is the first place inside of it at which they part; there stand ``a`` and ``b``."""

    path: str
    what: str
    where: str
    a: Any  # JSON
    b: Any  # JSON
    is_in_a: bool  # else there is nothing at that place
    is_in_b: bool
    is_same: bool


class WireComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two executions, by their ids, and what is different. ``is_same`` does not ask how long anything took."""

    a: str
    b: str
    is_same: bool
    differences: list[WireDifference]


class WireReason(msgspec.Struct, frozen=True, kw_only=True):
    """Why one task is not further. ``kind`` is a word of a closed set, ``text`` says it to people."""

    task_id: str
    path: str
    step_id: str
    status: str
    # function_not_found, cancelling, paused, dependencies, suspect, slot, running, retry, stuck, approval, children, execution,
    # signal, timer
    kind: str
    text: str
    until: str | None  # when time alone moves it
    waits_for: list[str]  # steps that have not ended
    asks: Question | None = None


class WireExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why an execution is where it is, who is there to go on with it, and what moves it."""

    id: str
    workflow_name: str
    status: str
    at: str  # when it was so
    why: str
    attended: str
    reasons: list[WireReason]
    next: list[str]


def span(started_at: Instant | None, finished_at: Instant | None) -> tuple[str | None, str | None, str | None, int | None]:
    """Both instants, and what lies between them, as the shapes have it."""
    started = None if started_at is None else iso_instant(started_at)
    finished = None if finished_at is None else iso_instant(finished_at)
    if started_at is None or finished_at is None:
        return started, finished, None, None
    duration_ms = max(0, finished_at - started_at)
    return started, finished, format_duration(duration_ms), duration_ms
