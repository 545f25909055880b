"""Workflow versions compiled once, and whether this node has what their steps need."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

import msgspec

from taskengine.errors import DefinitionError, NotFoundError
from taskengine.kernel.plan import Plan, compile_plan
from taskengine.model.workflow import CONTROL_STEPS, Workflow
from taskengine.ports.executor import Executor
from taskengine.ports.store import Catalog, StoredWorkflow

__all__ = ["KnownWorkflow", "PlanCatalog"]

_KEPT: Final = 256


class KnownWorkflow(msgspec.Struct, frozen=True):
    """A stored version and its plan."""

    stored: StoredWorkflow
    plan: Plan


class PlanCatalog:
    """Reads versions through the port and keeps the plans of those used last."""

    def __init__(self, catalog: Catalog, executors: Mapping[str, Executor]) -> None:
        self._catalog = catalog
        self._executors = executors
        self._known: OrderedDict[tuple[str, str], KnownWorkflow] = OrderedDict()
        self._sources: dict[str, str] = {}  # by name: where this node looks for functions, whatever was stored

    def look_in(self, name: str, source: str) -> None:
        """Look for the functions of a workflow here from now on: its document may have been moved since it was stored."""
        self._sources[name] = source
        for key in [key for key, known in self._known.items() if known.stored.name == name]:
            del self._known[key]

    async def known(self, workflow_id: str, version: str) -> KnownWorkflow:
        """A version by id or name (empty version: the latest). ``NotFoundError``: there is none."""
        found = self._known.get((workflow_id, version))
        if found is not None:
            self._known.move_to_end((workflow_id, version))
            return found
        stored = await self._catalog.workflow(workflow_id, version)
        if stored is None:
            label = f" version {version}" if version else ""
            raise NotFoundError("workflow_not_found", f"there is no workflow {workflow_id}{label}")
        return self.keep(stored)

    def keep(self, stored: StoredWorkflow) -> KnownWorkflow:
        """Compile a stored version and remember it. ``DefinitionError``: it cannot be read or run."""
        key = (stored.workflow_id, stored.version)
        found = self._known.get(key)
        if found is None:
            try:
                workflow = msgspec.json.decode(stored.document, type=Workflow)
            except msgspec.DecodeError as error:
                raise DefinitionError("unreadable_workflow", f"{stored.name} {stored.version} cannot be read: {error}") from error
            workflow = msgspec.structs.replace(workflow, version=stored.version)
            stored = msgspec.structs.replace(stored, source=self._sources.get(stored.name, stored.source))
            found = KnownWorkflow(stored, compile_plan(workflow))
            self._known[key] = found
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found

    def must_be_performable(self, known: KnownWorkflow) -> None:
        """``NotFoundError`` naming the first step that this node cannot perform."""
        for step in known.plan.workflow.steps:
            if step.type in CONTROL_STEPS:
                continue
            executor = self._executors.get(step.type)
            if executor is None:
                raise NotFoundError("unknown_step_type", f'step "{step.id}" has type "{step.type}", which nothing here performs')
            lacking = executor.missing(step, known.stored.source)
            if lacking:
                raise NotFoundError("function_not_found", f'step "{step.id}": {lacking}', step=step.id)
