"""What the suite writes: appends with everything spelled out that a test does not care about."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import msgspec

from taskengine.ports.store import Append, InboxAnswer, Mark, Outgoing, Store, StoredWorkflow, Summary, TaskRow

__all__ = ["NewStore", "append", "birth", "event", "follow", "mark", "opened", "outgoing", "summary", "task_row", "workflow"]

NewStore: TypeAlias = Callable[[], Store]
"""Makes one more store object on the test's database, as another process would have it."""

_NOW: Final = 1_795_000_000_000


@asynccontextmanager
async def opened(new_store: NewStore) -> AsyncGenerator[Store]:
    """A store object that is open inside the block; at its end it is closed without leaving, as if its process had died."""
    store = new_store()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def summary(execution_id: str, *, seq: int, **changes: Any) -> Summary:
    """A row of a running execution that ``node_a`` owns."""
    row = Summary(
        execution_id=execution_id,
        workflow_id="wf_1",
        workflow_version="1",
        status="running",
        outcome="",
        seq=seq,
        token=1,
        owner="node_a",
        wake_at=None,
        priority=5,
        business_key="",
        created_at=_NOW,
        updated_at=_NOW + seq,
        finished_at=None,
        total=10,
        completed=seq,
        failed=0,
    )
    return msgspec.structs.replace(row, **changes)


def append(
    row: Summary,
    *,
    expected_seq: int,
    expected_token: int = 1,
    tasks: Sequence[TaskRow] = (),
    marks: Sequence[Mark] = (),
    answers: Sequence[InboxAnswer] = (),
    snapshot: bytes | None = None,
    messages: Sequence[Outgoing] = (),
) -> Append:
    """An append that leads from ``expected_seq`` to the row, with one event for each number between."""
    return Append(
        summary=row,
        expected_seq=expected_seq,
        expected_token=expected_token,
        events=[event(row.execution_id, seq) for seq in range(expected_seq + 1, row.seq + 1)],
        tasks=tasks,
        marks=marks,
        answers=answers,
        snapshot=snapshot,
        messages=messages,
    )


def birth(execution_id: str, *, events: int = 1, **changes: Any) -> Append:
    """The first append of an execution; ``changes`` are of its row."""
    return append(summary(execution_id, seq=events, **changes), expected_seq=0)


def follow(row: Summary, *, events: int = 1, **changes: Any) -> Append:
    """The next append after the one that left ``row``; ``changes`` are of the row afterwards."""
    after = msgspec.structs.replace(row, seq=row.seq + events, **changes)
    return append(after, expected_seq=row.seq, expected_token=row.token)


def event(execution_id: str, seq: int) -> bytes:
    """The body that ``append`` gives to an event: not text, and different everywhere."""
    return b"\x00\xff" + f"{execution_id}:{seq}".encode()


def task_row(execution_id: str, number: int) -> TaskRow:
    """A completed task."""
    return TaskRow(
        execution_id=execution_id,
        task=number,
        path=f"/each/[{number}]/load/",
        status="completed",
        outcome="",
        attempt=1,
        started_at=_NOW,
        finished_at=_NOW + number,
        seq=1,
    )


def mark(key: str, answer: bytes = b"{}") -> Mark:
    """A deduplication mark."""
    return Mark(key=key, answer=answer, created_at=_NOW)


def outgoing(execution_id: str, body: bytes) -> Outgoing:
    """A message that an append leaves."""
    return Outgoing(execution_id=execution_id, body=body, created_at=_NOW)


def workflow(name: str, *, version: str = "", document: bytes = b"{}", **changes: Any) -> StoredWorkflow:
    """A version of a workflow, with an id made of its name."""
    row = StoredWorkflow(workflow_id=f"wf_{name}", name=name, version=version, document=document, source="flows/", created_at=_NOW)
    return msgspec.structs.replace(row, **changes)
