"""The workflows that a store keeps, as people see them: found by name or id, listed with what became of them. Reads only."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from taskengine.define.canonical import to_document
from taskengine.define.phrase import nearest, quoted
from taskengine.errors import DefinitionError, NotFoundError
from taskengine.model.ids import WORKFLOW
from taskengine.model.status import Status
from taskengine.model.value import decode
from taskengine.model.workflow import Workflow
from taskengine.ports.store import ExecutionFilter, Store, StoredWorkflow
from taskengine.wire.instant import iso_instant
from taskengine.wire.workflow import WireVersion, WireWorkflow

__all__ = ["Library", "document_of", "is_of", "workflow_of"]

_SHORTEST: Final = 4  # characters of an id that may stand for it
_MOST: Final = 10_000
# In a document these stand in the order in which people read them.
_ORDER: Final = ("name", "version", "description", "owner", "tags", "input", "variables", "limits", "steps", "output")
_STEP_ORDER: Final = ("id", "name", "type", "depends_on", "join", "when", "handles", "config")


class Library:
    """Views over the catalog of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, word: str, version: str = "") -> StoredWorkflow:
        """A version (empty: the latest) by its whole name, its id, or an unambiguous part of the id.

        Raises ``NotFoundError``: ``workflow_not_found`` with the nearest name, ``version_not_found``, or ``ambiguous_id``.
        """
        found = await self._store.workflow(word, "")
        if found is None:
            found = await self._by_part(word)
        if not version or version == found.version:
            return found
        wanted = await self._store.workflow(found.workflow_id, version)
        if wanted is None:
            known = [one.version for one in await self._store.versions(found.workflow_id)]
            meant = nearest(version, known)
            raise NotFoundError(
                "version_not_found",
                f"workflow {quoted(found.name)} has no version {quoted(version)}",
                hint=f"did you mean {meant}?" if meant else f"it has {', '.join(known[:8])}",
                candidates=known,
            )
        return wanted

    async def _by_part(self, word: str) -> StoredWorkflow:
        everything = await self._store.workflows(limit=_MOST)
        part = word.strip().removeprefix(WORKFLOW).upper()
        ids = [(one, one.workflow_id.removeprefix(WORKFLOW)) for one in everything] if len(part) >= _SHORTEST else []
        matching = [one for one, ulid in ids if ulid.startswith(part) or ulid.endswith(part)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            names = [one.name for one in matching]
            hint = f"write one of them: {', '.join(names[:8])}"
            raise NotFoundError("ambiguous_id", f"{quoted(word)} is part of several ids", hint=hint, candidates=names)
        names = [one.name for one in everything]
        raise NotFoundError(
            "workflow_not_found",
            f"there is no workflow {quoted(word)}",
            hint=_meant(word, names) or "task-engine workflow upload FILE keeps one",
            candidates=names[:8],
        )

    async def listed(self, *, limit: int) -> tuple[list[WireWorkflow], bool]:
        """The latest version of each, by name, and whether there are more; ``limit`` 0 lists all of them."""
        found = await self._store.workflows(limit=limit + 1 if limit else _MOST)
        shown = found[:limit] if limit else found
        return [await self._told(one) for one in shown], len(found) > len(shown)

    async def shown(self, stored: StoredWorkflow) -> WireWorkflow:
        """One version with its document, and how often its executions end well."""
        ended = {
            status: await self._store.count(ExecutionFilter(workflow_id=stored.workflow_id, statuses=(status.value,)))
            for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)
        }
        total = sum(ended.values())
        return msgspec.structs.replace(
            await self._told(stored),
            definition=document_of(stored),
            success_rate=round(ended[Status.COMPLETED] / total, 4) if total else None,
        )

    async def versions(self, stored: StoredWorkflow) -> list[WireVersion]:
        """Every version of the workflow, the latest first."""
        return [
            WireVersion(
                version=one.version,
                is_latest=place == 0,
                task_count=workflow_of(one).step_count,
                created_at=iso_instant(one.created_at),
            )
            for place, one in enumerate(await self._store.versions(stored.workflow_id))
        ]

    async def _told(self, stored: StoredWorkflow) -> WireWorkflow:
        workflow = workflow_of(stored)
        of_it = ExecutionFilter(workflow_id=stored.workflow_id)
        newest = await self._store.executions(of_it, limit=1)
        return WireWorkflow(
            id=stored.workflow_id,
            name=stored.name,
            description=workflow.description,
            version=stored.version,
            task_count=workflow.step_count,
            tags=list(workflow.tags),
            owner_id=workflow.owner or None,
            source=stored.source or None,
            variables=workflow.variables,
            execution_count=await self._store.count(of_it),
            last_executed_at=iso_instant(newest[0].created_at) if newest else None,
            last_execution_status=newest[0].status if newest else None,
            created_at=iso_instant(stored.created_at),
        )


def _meant(word: str, names: list[str]) -> str:
    """Which of the names was probably meant. The beginning of one is a hint and no more: what is run must be named."""
    begun = [name for name in names if word and name.startswith(word)]
    if len(begun) > 1:
        return f"did you mean one of these: {', '.join(begun[:8])}?"
    meant = begun[0] if begun else nearest(word, names)
    if meant:
        return f"did you mean {quoted(meant)}?"
    return f"there are: {', '.join(names[:8])}" if names else ""


def workflow_of(stored: StoredWorkflow) -> Workflow:
    """The workflow of a stored version. ``DefinitionError``: it cannot be read."""
    try:
        workflow = msgspec.json.decode(stored.document, type=Workflow)
    except msgspec.DecodeError as error:
        raise DefinitionError(
            "unreadable_workflow",
            f"the workflow {quoted(stored.name)} cannot be read: {error}",
            hint="it may come from a newer version: upgrade, or upload it again",
        ) from None
    return msgspec.structs.replace(workflow, version=stored.version)


def is_of(workflow: Workflow, stored: StoredWorkflow) -> bool:
    """Whether a workflow says the same as the stored version, its label aside. ``DefinitionError``: that one cannot be read."""
    known, asked = (
        msgspec.json.encode(msgspec.structs.replace(one, version=""), order="sorted") for one in (workflow_of(stored), workflow)
    )
    return known == asked


def document_of(stored: StoredWorkflow) -> dict[str, Any]:
    """The document that says the same as the stored version, in the order in which people write it."""
    data: Any = decode(to_document(workflow_of(stored)))
    data["steps"] = [_ordered(step, _STEP_ORDER) for step in data["steps"]]
    return _ordered(data, _ORDER)


def _ordered(entries: dict[str, Any], first: tuple[str, ...]) -> dict[str, Any]:
    known = {name: entries[name] for name in first if name in entries}
    return known | {name: value for name, value in entries.items() if name not in known}
