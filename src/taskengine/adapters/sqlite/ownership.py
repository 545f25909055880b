"""Ownership on SQLite: a table of nodes, and beside it the locks that say which of them live. Called in the writer's lane."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from taskengine.adapters.sqlite import statements as sql
from taskengine.adapters.sqlite.connection import Connection, transaction
from taskengine.adapters.sqlite.locks import NodeLocks
from taskengine.errors import StorageError
from taskengine.model.value import Instant

__all__ = ["dead_nodes", "due", "join", "leave", "other_nodes", "release", "seize"]


def join(connection: Connection, locks: NodeLocks, *, node_id: str, now: Instant) -> None:
    """Lock first, then register: a registered node that lives is never without its lock.

    Both under the database's write lock, so that a lock file without a node can only be what a crash has left, and is removed.
    """
    with transaction(connection):
        if not locks.take(node_id):
            raise StorageError("node_exists", f"node {node_id} is alive elsewhere", hint="join with a new node id")
        connection.write(sql.ADD_NODE, (node_id, now))
        for orphan in locks.nodes() - {node for (node,) in connection.read(sql.OTHER_NODES, ("",))}:
            with locks.hold_dead(orphan) as is_dead:
                if is_dead:
                    locks.drop(orphan)


def leave(connection: Connection, locks: NodeLocks, *, node_id: str, now: Instant) -> None:
    """Give back and forget in one transaction, then let go of the lock."""
    if not locks.is_held(node_id):
        return
    with transaction(connection):
        connection.write(sql.GIVE_BACK, (node_id, now))
        connection.write(sql.FORGET_NODE, (node_id,))
    locks.drop(node_id)


def dead_nodes(connection: Connection, locks: NodeLocks, *, node_id: str) -> list[str]:
    """Registered nodes whose lock can be taken."""
    return [other for (other,) in connection.read(sql.OTHER_NODES, (node_id,)) if locks.is_dead(other)]


def seize(connection: Connection, locks: NodeLocks, *, dead_node: str, by: str, limit: int) -> list[str]:
    """Move executions while holding the dead node's lock, so that nobody else does and the node cannot come back meanwhile."""
    with locks.hold_dead(dead_node) as is_dead:
        if not is_dead:
            return []
        if not connection.read(sql.IS_NODE, (dead_node,)):
            locks.drop(dead_node)  # forgotten before; holding it has made its file again
            return []
        with transaction(connection):
            # One more than is taken tells whether any is left.
            owned = [execution_id for (execution_id,) in connection.read(sql.OWNED, (dead_node, limit + 1))]
            seized = owned[:limit]
            connection.write(sql.SEIZE, (msgspec.json.encode(seized).decode(), by))
            is_forgotten = len(owned) <= limit
            if is_forgotten:
                connection.write(sql.FORGET_NODE, (dead_node,))
        if is_forgotten:
            locks.drop(dead_node)
    return seized


def release(connection: Connection, execution_ids: Sequence[str], *, by: str, now: Instant) -> None:
    """Give some back: nobody owns them and they are due at once."""
    with transaction(connection):
        connection.write(sql.RELEASE, (by, msgspec.json.encode(list(execution_ids)).decode(), now))


def due(connection: Connection, *, now: Instant, limit: int) -> tuple[list[str], Instant | None]:
    """Parked executions whose time has come, and when the next one's comes."""
    come = [execution_id for (execution_id,) in connection.read(sql.DUE, (now, limit))]
    later = connection.read(sql.NEXT_WAKE, (now,))
    return come, later[0][0] if later else None


def other_nodes(connection: Connection, node_id: str) -> int:
    """How many are registered besides this one."""
    number: int = connection.read(sql.COUNT_OTHER_NODES, (node_id,))[0][0]
    return number
