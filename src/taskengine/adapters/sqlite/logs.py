"""Logs on SQLite: lines beside the journal, a transaction a batch."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import astuple

from taskengine.adapters.sqlite import statements as sql
from taskengine.adapters.sqlite.connection import Connection, Value, transaction
from taskengine.ports.store import LogLine

__all__ = ["logs", "write_logs"]


def write_logs(connection: Connection, lines: Sequence[LogLine]) -> None:
    """Keep lines, in this order."""
    if not lines:
        return
    values: list[Value] = [value for line in lines for value in astuple(line)[:-1]]
    with transaction(connection):
        start = 0
        for text, rows in sql.INSERT_LOGS.pieces(len(lines)):
            end = start + rows * sql.INSERT_LOGS.width
            connection.write(text, values[start:end])
            start = end


def logs(connection: Connection, execution_id: str, *, task: int | None, after: int, limit: int) -> list[LogLine]:
    """Lines of an execution or of one of its tasks."""
    return [LogLine(*row) for row in connection.read(sql.LOGS, (execution_id, after, task, limit))]
