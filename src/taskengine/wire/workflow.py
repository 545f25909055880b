"""Workflows and their versions on the wire. Plain shapes with the REST interface's names; ``app.library`` composes them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

__all__ = ["WireVersion", "WireWorkflow"]


class WireWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """One workflow: its latest version (or the one asked for), and what became of its executions, over all versions."""

    id: str
    name: str
    description: str
    version: str
    kind: str = "graph"
    task_count: int
    tags: list[str]
    owner_id: str | None
    source: str | None  # where functions named by file are looked for
    variables: dict[str, Any]
    definition: Any = UNSET  # the document, as JSON; lists leave it out
    execution_count: int
    last_executed_at: str | None
    last_execution_status: str | None
    success_rate: float | UnsetType | None = UNSET  # of what has ended, 0 to 1; lists leave it out
    created_at: str  # of this version


class WireVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a workflow."""

    version: str
    is_latest: bool
    task_count: int
    created_at: str
