"""The store: what must survive. Five narrow ports over one database, implemented together by one adapter.

The law of a commit: the events of an append, its execution's summary row, its task rows, deduplication marks, snapshot, inbox
answers and messages are written in one transaction or not at all. Safety rests on two conditions checked inside that transaction:
the summary's ``seq`` is ``expected_seq`` (0: the execution does not exist yet) and its ``token`` is ``expected_token``. Ownership
only decides who tries. Errors of every method: ``StorageError`` when the store is busy, full, closed or unreachable (then nothing
was written); ``CommitUnknownError`` from ``commit`` alone, when it cannot say whether it took place (the caller re-reads
``heads``).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol

import msgspec

from taskengine.errors import StorageError
from taskengine.model.value import Instant

__all__ = [
    "Append",
    "Catalog",
    "CommitUnknownError",
    "ExecutionFilter",
    "Head",
    "Inbox",
    "InboxAnswer",
    "Journal",
    "LogLine",
    "Logs",
    "Mark",
    "Message",
    "Outgoing",
    "Ownership",
    "Store",
    "Stored",
    "StoredEvent",
    "StoredWorkflow",
    "Summary",
    "TaskRow",
    "Verdict",
    "Views",
]


class CommitUnknownError(StorageError):
    """The commit may or may not have taken place."""

    code = "TE6300"


class _Row(msgspec.Struct, frozen=True, gc=False):
    pass


class Summary(_Row, frozen=True):
    """One row an execution: what lists show, and the two numbers that fence it. Replaced as a whole by each append."""

    execution_id: str
    workflow_id: str
    workflow_version: str
    status: str
    outcome: str
    seq: int
    token: int
    owner: str  # node id, empty when nobody owns it (parked or finished)
    wake_at: Instant | None  # only while nobody owns it: when somebody must
    priority: int
    business_key: str  # given at birth, the same in every later row
    created_at: Instant
    updated_at: Instant
    finished_at: Instant | None
    total: int
    completed: int
    failed: int
    parent_id: str = ""  # the execution that started it; the same in every row


class TaskRow(_Row, frozen=True):
    """One row for each time a task reached a terminal status; ``seq`` is the event that holds its output or error."""

    execution_id: str
    task: int
    path: str
    status: str
    outcome: str
    attempt: int
    started_at: Instant | None
    finished_at: Instant
    seq: int


class Mark(_Row, frozen=True):
    """A deduplication mark: the key can be written once; whoever comes second is told the first one's answer."""

    key: str
    answer: bytes
    created_at: Instant


class InboxAnswer(_Row, frozen=True):
    """Takes message ``message_id`` out of the inbox and leaves the answer for its sender."""

    message_id: int
    answer: bytes


class Outgoing(_Row, frozen=True):
    """A message that an append leaves in the inbox, as ``Inbox.send`` would. Its execution need not exist."""

    execution_id: str
    body: bytes
    created_at: Instant


class Append(_Row, frozen=True):
    """What one execution adds in one commit. Events are encoded; the first gets number ``expected_seq + 1``."""

    summary: Summary  # as it is afterwards: summary.seq == expected_seq + len(events)
    expected_seq: int
    expected_token: int
    events: Sequence[bytes]
    tasks: Sequence[TaskRow] = ()
    marks: Sequence[Mark] = ()
    answers: Sequence[InboxAnswer] = ()
    snapshot: bytes | None = None  # of the state at summary.seq
    messages: Sequence[Outgoing] = ()  # for other executions


class Verdict(Enum):
    """How an append ended."""

    COMMITTED = "committed"
    CONFLICT = "conflict"  # seq or token was not as expected (someone else owns it now), or a message it answers has an answer
    DUPLICATE = "duplicate"  # no conflict, but one of its marks was there already, in the store or earlier in the batch


class Head(_Row, frozen=True):
    """Where an execution's stream ends, and its last event."""

    seq: int
    token: int
    owner: str
    last_event: bytes


class Stored(_Row, frozen=True):
    """An execution as read back: its row, the newest snapshot with its seq (0: none), and every event after that."""

    summary: Summary
    snapshot_seq: int
    snapshot: bytes | None
    events: Sequence[bytes]


class Journal(Protocol):
    """Appends and reads of whole executions."""

    async def commit(self, batch: Sequence[Append]) -> list[Verdict]:
        """Write all appends that hold their conditions in ONE transaction; verdicts in the order given.

        An append that conflicts or repeats a mark is left out whole and does not hinder the others. Durable before it returns.
        Two appends of one batch never name the same execution. Messages are numbered in the order of the batch and, within an
        append, in its order; they are there when the batch is, so that none of it can answer them.
        """
        ...

    async def load(self, execution_ids: Sequence[str]) -> list[Stored]:
        """Read executions, each in one consistent view; unknown ids are left out. Any order."""
        ...

    async def heads(self, execution_ids: Sequence[str]) -> dict[str, Head]:
        """The ends of the streams, for resolving an unknown commit; unknown ids are left out."""
        ...

    async def answer_of(self, mark: str) -> bytes | None:
        """The answer that a mark holds."""
        ...


class Ownership(Protocol):
    """Which node tries. A node holds an operating-system lock for life; a lock that can be taken is a dead owner."""

    async def join(self, node_id: str, *, now: Instant) -> None:
        """Register this node and take its lock; it is released when the process ends, however it ends, or the store is closed.

        ``StorageError("node_exists")`` when a living node has that id. Idempotent.
        """
        ...

    async def leave(self, node_id: str, *, now: Instant) -> None:
        """Give every open execution of the node back (no owner, ``wake_at`` = now) and forget the node.

        Idempotent; does nothing for a node that did not join through this store.
        """
        ...

    async def dead_nodes(self, node_id: str) -> list[str]:
        """Other registered nodes whose lock can be taken. Never names a living one."""
        ...

    async def seize(self, dead_node: str, *, by: str, limit: int) -> list[str]:
        """Move up to ``limit`` open executions of a dead node to ``by``, each with ``token + 1``; return their ids, lowest first.

        When none is left the dead node is forgotten. Two seizers never get the same execution; a living node loses none.
        """
        ...

    async def release(self, execution_ids: Sequence[str], *, by: str, now: Instant) -> None:
        """Give these open executions back, where ``by`` owns them (no owner, ``wake_at`` = now). Idempotent."""
        ...

    async def due(self, *, now: Instant, limit: int) -> tuple[list[str], Instant | None]:
        """Unowned executions with ``wake_at <= now``, by time and id, and the earliest ``wake_at`` still to come."""
        ...

    async def other_nodes(self, node_id: str) -> int:
        """How many other nodes are registered, alive or dead."""
        ...

    async def changed(self) -> bool:
        """Whether another store object wrote to the database since the last call (the first: since ``open``).

        Cheap: asked many times a second. It may say yes once too often, never no wrongly.
        """
        ...


class Message(_Row, frozen=True):
    """A command on its way to the node that owns the execution."""

    message_id: int
    execution_id: str
    body: bytes


class Inbox(Protocol):
    """Commands for executions that another node owns. Taken out by an append's ``answers``, in the same commit as their effect."""

    async def send(self, execution_id: str, body: bytes, *, now: Instant) -> int:
        """Leave a command, durably; returns the message's id."""
        ...

    async def pending(self, node_id: str, *, after: int, limit: int) -> list[Message]:
        """Unanswered messages with an id above ``after``, in order of id, for executions that the node or nobody owns.

        An execution that does not exist is owned by nobody.
        """
        ...

    async def reply(self, answers: Sequence[InboxAnswer]) -> None:
        """Answer messages that changed nothing (refused ones). Answering twice keeps the first answer."""
        ...

    async def answer(self, message_id: int) -> bytes | None:
        """The answer, once there is one."""
        ...


class StoredWorkflow(_Row, frozen=True):
    """A version of a workflow. ``document`` is its canonical JSON, ``source`` where functions named by file are looked for."""

    workflow_id: str
    name: str
    version: str
    document: bytes
    source: str
    created_at: Instant


class Catalog(Protocol):
    """Workflow versions: immutable once written."""

    async def put_workflow(self, workflow: StoredWorkflow) -> StoredWorkflow:
        """Keep a version and return it as stored.

        Same name, label and document: the one already there is returned. Same name and label, other document:
        ``ConflictError("version_exists")``. Empty label: the same as the newest when the document equals it, else the next integer.
        All versions of a name share one ``workflow_id`` (the first one's).
        """
        ...

    async def workflow(self, workflow_id: str, version: str) -> StoredWorkflow | None:
        """One version by id or name; an empty version means the latest.

        That is the highest by dotted numbers (labels that are no numbers come below), then by time.
        """
        ...

    async def workflows(self, *, limit: int) -> list[StoredWorkflow]:
        """The latest version of each, by name."""
        ...

    async def versions(self, workflow_id: str) -> list[StoredWorkflow]:
        """Every version of one workflow, by id or name, the latest first; none when there is no such workflow."""
        ...


class ExecutionFilter(_Row, frozen=True):
    """Which executions a list shows; empty fields do not restrict. ``id_part``: an id's beginning or end."""

    workflow_id: str = ""
    statuses: tuple[str, ...] = ()
    id_part: str = ""
    business_key: str = ""
    is_root: bool | None = None  # whether nobody but people and programs started it
    is_open: bool | None = None
    owners: tuple[str, ...] = ()


class StoredEvent(_Row, frozen=True):
    """One event as stored."""

    seq: int
    body: bytes


class Views(Protocol):
    """Reads for people. They see what is committed and may be a moment behind."""

    async def executions(self, wanted: ExecutionFilter, *, limit: int, before: str = "") -> list[Summary]:
        """Newest first; ``before``: only ids below this one (the cursor)."""
        ...

    async def count(self, wanted: ExecutionFilter) -> int:
        """How many there are."""
        ...

    async def events(self, execution_id: str, *, after: int, limit: int) -> list[StoredEvent]:
        """Events with ``seq > after`` in order."""
        ...

    async def tasks(self, execution_id: str) -> list[TaskRow]:
        """Task rows in the order they were written."""
        ...


class LogLine(_Row, frozen=True):
    """One line that the work of an attempt left. ``log_id`` is the store's: 0 before it is written, rising afterwards."""

    execution_id: str
    task: int
    attempt: int
    at: Instant
    level: str  # debug, info, warning, error
    source: str  # who said it: stdout, stderr, a logger's name, the engine
    message: str
    log_id: int = 0


class Logs(Protocol):
    """Lines beside the journal, in batches of their own: never in the way of a commit, and not durable with one."""

    async def write_logs(self, lines: Sequence[LogLine]) -> None:
        """Keep lines in this order. All of them or none."""
        ...

    async def logs(self, execution_id: str, *, task: int | None, after: int, limit: int) -> list[LogLine]:
        """Lines of an execution (of one task when given) with a ``log_id`` above ``after``, in order."""
        ...


class Store(Journal, Ownership, Inbox, Catalog, Views, Logs, Protocol):
    """All of it over one database."""

    async def open(self) -> None:
        """Connect and migrate forward. ``StorageError``: not ours, too new, on a network file system, or not accessible."""
        ...

    async def close(self) -> None:
        """Let go of everything. Idempotent. What was not committed is gone."""
        ...
