"""Reads for people on SQLite: lists, counts, histories. Called in the reader's lane, never in the way of a commit."""

from __future__ import annotations

from taskengine.adapters.sqlite import statements as sql
from taskengine.adapters.sqlite.connection import Connection, Value
from taskengine.ports.store import ExecutionFilter, StoredEvent, Summary, TaskRow

__all__ = ["count", "events", "executions", "tasks"]


def executions(connection: Connection, wanted: ExecutionFilter, *, limit: int, before: str) -> list[Summary]:
    """Newest first, below the cursor."""
    where, values = _conditions(wanted, before=before)
    return [Summary(*row) for row in connection.read(f"{sql.EXECUTIONS} {where} {sql.NEWEST_FIRST}", (*values, limit))]


def count(connection: Connection, wanted: ExecutionFilter) -> int:
    """How many there are."""
    where, values = _conditions(wanted, before="")
    number: int = connection.read(f"{sql.COUNT_EXECUTIONS} {where}", values)[0][0]
    return number


def events(connection: Connection, execution_id: str, *, after: int, limit: int) -> list[StoredEvent]:
    """A part of a history, in order."""
    return [StoredEvent(*row) for row in connection.read(sql.EVENTS, (execution_id, after, limit))]


def tasks(connection: Connection, execution_id: str) -> list[TaskRow]:
    """Task rows in the order they were written."""
    return [TaskRow(*row) for row in connection.read(sql.TASKS, (execution_id,))]


def _conditions(wanted: ExecutionFilter, *, before: str) -> tuple[str, list[Value]]:
    """A WHERE clause of bound values; empty fields add nothing."""
    parts: list[tuple[str, tuple[Value, ...]]] = []
    if wanted.workflow_id:
        parts.append((sql.OF_WORKFLOW, (wanted.workflow_id,)))
    if wanted.business_key:
        parts.append((sql.OF_BUSINESS_KEY, (wanted.business_key,)))
    if wanted.is_root is not None:
        parts.append((sql.IS_ROOT if wanted.is_root else sql.IS_CHILD, ()))
    if wanted.statuses:
        parts.append((sql.one_of("status", len(wanted.statuses)), wanted.statuses))
    if wanted.owners:
        parts.append((sql.one_of("owner", len(wanted.owners)), wanted.owners))
    if wanted.is_open is not None:
        parts.append((sql.IS_OPEN if wanted.is_open else sql.IS_FINISHED, ()))
    if wanted.id_part:
        parts.append((sql.ID_PART, (wanted.id_part,) * 4))
    if before:
        parts.append((sql.BELOW, (before,)))
    where = f"WHERE {' AND '.join(text for text, _ in parts)}" if parts else ""
    return where, [value for _, values in parts for value in values]
