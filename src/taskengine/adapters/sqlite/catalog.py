"""The catalog on SQLite: versions of workflows, immutable once written. How labels compare is decided in ``adapters.labels``."""

from __future__ import annotations

import msgspec

from taskengine.adapters.labels import latest, next_label, rank
from taskengine.adapters.sqlite import statements as sql
from taskengine.adapters.sqlite.connection import Connection, transaction
from taskengine.errors import ConflictError
from taskengine.ports.store import StoredWorkflow

__all__ = ["put_workflow", "versions", "workflow", "workflows"]


def put_workflow(connection: Connection, given: StoredWorkflow) -> StoredWorkflow:
    """Keep a version, or find the one that is there already; looked up and written under one lock."""
    with transaction(connection):
        newest = _read(connection, given.name, version="")
        there = _read(connection, given.name, version=given.version) if given.version else newest
        if there is not None and there.document == given.document:
            return there
        if there is not None and given.version:
            raise ConflictError(
                "version_exists",
                f"workflow {given.name!r} has a version {given.version!r} with another document",
                hint="give the changed document a new version, or leave the version out",
            )
        stored = msgspec.structs.replace(
            given,
            version=given.version or next_label(newest.version if newest else None),
            workflow_id=newest.workflow_id if newest else given.workflow_id,
        )
        connection.write(sql.ADD_WORKFLOW, msgspec.structs.astuple(stored))
        return stored


def workflow(connection: Connection, workflow_id: str, *, version: str) -> StoredWorkflow | None:
    """One version by id or name."""
    names = connection.read(sql.NAME_OF_WORKFLOW, (workflow_id,))
    return _read(connection, names[0][0], version=version) if names else None


def workflows(connection: Connection, *, limit: int) -> list[StoredWorkflow]:
    """The latest version of each, by name."""
    names = [name for (name,) in connection.read(sql.WORKFLOW_NAMES, (limit,))]
    return [found for name in names if (found := _read(connection, name, version="")) is not None]


def versions(connection: Connection, workflow_id: str) -> list[StoredWorkflow]:
    """Every version of one workflow, the latest first."""
    names = connection.read(sql.NAME_OF_WORKFLOW, (workflow_id,))
    found = [StoredWorkflow(*row) for row in connection.read(sql.WHOLE_VERSIONS, names[0])] if names else []
    return sorted(found, key=lambda one: rank(one.version, one.created_at), reverse=True)


def _read(connection: Connection, name: str, *, version: str) -> StoredWorkflow | None:
    label = version or latest((label, created_at) for label, created_at in connection.read(sql.VERSIONS, (name,)))
    rows = connection.read(sql.READ_WORKFLOW, (name, label))
    return StoredWorkflow(*rows[0]) if rows else None
