"""An execution in memory, and what of it waits for the next commit. Only ``runtime.node`` assigns to these."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from taskengine.kernel.state import Execution
from taskengine.model.effect import Effect
from taskengine.model.status import Outcome, Status
from taskengine.model.value import ABSENT, Instant, Raw, TaskError, decode
from taskengine.ports.store import InboxAnswer, Mark, Outgoing, TaskRow, Verdict

if TYPE_CHECKING:
    from taskengine.runtime.attempt import RunningAttempt

__all__ = ["Pending", "Resident", "Result"]


class Result(msgspec.Struct, frozen=True, gc=False):
    """How an execution ended."""

    execution_id: str
    status: Status
    outcome: Outcome | None
    raw_output: Raw = ABSENT
    error: TaskError | None = None

    def __repr__(self) -> str:
        error = None if self.error is None else f"{self.error.type}: {self.error.message}"
        outcome = None if self.outcome is None else self.outcome.value
        said = {"outcome": outcome, "output": self.output, "error": error}
        told = "".join(f", {name}={value!r}" for name, value in said.items() if value is not None)
        return f"Result({self.execution_id!r}, {self.status.value}{told})"

    @property
    def output(self) -> Any:
        """The execution's output as Python data; ``None`` when it has none."""
        return decode(self.raw_output) if self.raw_output else None


class Resident:
    """A live state with its place in the store: the token it is fenced by, and whether the store says that it is ours."""

    __slots__ = (
        "began",
        "created_at",
        "execution_id",
        "is_dropped",
        "is_queued",
        "is_suspect_queued",
        "pending",
        "queued_priority",
        "running",
        "snapshot_seq",
        "source",
        "state",
        "stored_owner",
        "token",
        "unsettled",
        "wake_at",
        "workflow_id",
    )

    def __init__(
        self, state: Execution, *, workflow_id: str, source: str, token: int, stored_owner: str, created_at: Instant
    ) -> None:
        self.state = state
        self.execution_id = state.execution_id
        self.workflow_id = workflow_id
        self.source = source
        self.token = token
        self.stored_owner = stored_owner
        self.created_at = created_at
        self.began = {number: task.started_at for number, task in state.live.items() if task.started_at is not None}
        self.snapshot_seq = state.seq
        self.pending: Pending | None = None  # in the open batch
        self.unsettled = 0  # batches on their way to the store
        self.running: dict[int, RunningAttempt] = {}
        self.wake_at: Instant | None = None  # what the node's timers know
        self.is_queued = False  # waits for a slot
        self.queued_priority = 0  # ... and how urgently
        self.is_suspect_queued = False
        self.is_dropped = False  # lost to somebody else, or to a failed commit: everything still coming is ignored

    @property
    def is_at_rest(self) -> bool:
        """Whether the store has all of it, nobody owns its row, and nothing is under way: it may leave memory."""
        is_busy = self.pending is not None or self.unsettled or self.running or self.is_queued or self.is_suspect_queued
        return not is_busy and not self.stored_owner

    def result(self) -> Result:
        """The result of a finished execution."""
        state = self.state
        assert state.status_at_end is not None
        return Result(self.execution_id, state.status_at_end, state.outcome, state.output, state.error)


class Pending:
    """What one execution adds in the open batch: several turns of it may ride together."""

    __slots__ = (
        "answers",
        "effects",
        "events",
        "expected_seq",
        "expected_token",
        "marks",
        "messages",
        "resident",
        "tasks",
        "waiters",
    )

    def __init__(self, resident: Resident, expected_seq: int) -> None:
        self.resident = resident
        self.expected_seq = expected_seq
        self.expected_token = 0  # known when the batch is closed
        self.events: list[bytes] = []
        self.tasks: list[TaskRow] = []
        self.marks: Sequence[Mark] = ()
        self.answers: list[InboxAnswer] = []
        self.messages: list[Outgoing] = []  # beside events only: by these it is known what became of an unknown commit
        self.effects: list[Effect] = []
        self.waiters: list[asyncio.Future[Verdict]] = []
