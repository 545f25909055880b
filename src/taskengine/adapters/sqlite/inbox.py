"""The inbox on SQLite: messages with their answers. The journal answers those that an append answers, in its transaction."""

from __future__ import annotations

from collections.abc import Sequence

from taskengine.adapters.sqlite import statements as sql
from taskengine.adapters.sqlite.connection import Connection, transaction
from taskengine.model.value import Instant
from taskengine.ports.store import InboxAnswer, Message

__all__ = ["answer", "pending", "reply", "send"]


def send(connection: Connection, execution_id: str, *, body: bytes, now: Instant) -> int:
    """Leave a message, return its number."""
    with transaction(connection):
        message_id: int = connection.read(sql.SEND, (execution_id, body, now))[0][0]
    return message_id


def pending(connection: Connection, node_id: str, *, after: int, limit: int) -> list[Message]:
    """Unanswered messages for the node."""
    return [Message(*row) for row in connection.read(sql.PENDING, (node_id, after, limit))]


def reply(connection: Connection, answers: Sequence[InboxAnswer]) -> None:
    """Answer messages; an answer that is there stays."""
    with transaction(connection):
        for given in answers:
            connection.write(sql.ANSWER_MESSAGE, (given.message_id, given.answer))


def answer(connection: Connection, message_id: int) -> bytes | None:
    """The answer, once there is one."""
    rows = connection.read(sql.ANSWER, (message_id,))
    return rows[0][0] if rows else None
