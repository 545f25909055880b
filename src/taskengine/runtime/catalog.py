"""Workflow versions compiled once, and whether this node has what their steps need."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from taskengine.define.phrase import quoted
from taskengine.errors import DefinitionError, NotFoundError
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.plan import Plan
from taskengine.model.duration import MAX_DURATION_MS
from taskengine.model.workflow import Workflow
from taskengine.ports.executor import Executor
from taskengine.ports.secrets import Secrets
from taskengine.ports.store import Catalog, StoredWorkflow

if TYPE_CHECKING:
    from taskengine.define.validator import InputSchema

__all__ = ["KnownWorkflow", "PlanCatalog"]

_KEPT: Final = 256
_LARGEST_PRIORITY: Final = 9
_LARGEST_COUNT: Final = 1_000_000


class KnownWorkflow(msgspec.Struct, frozen=True):
    """A stored version, its plan, and what it accepts as input: anything where its document does not say."""

    stored: StoredWorkflow
    plan: Plan
    accepts: InputSchema | None = None


class PlanCatalog:
    """Reads versions through the port and keeps the plans of those used last."""

    def __init__(self, catalog: Catalog, executors: Mapping[str, Executor], *, secrets: Secrets | None = None) -> None:
        self._catalog = catalog
        self._executors = executors
        self._secrets = secrets
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
            label = f" version {quoted(version)}" if version else ""
            hint = "task-engine workflow upload FILE keeps one"
            raise NotFoundError("workflow_not_found", f"there is no workflow {quoted(workflow_id)}{label}", hint=hint)
        return self.keep(stored)

    async def pins(self, plan: Plan) -> dict[str, str]:
        """The latest versions, now, of the workflows that its steps start without saying which; what is not there is left out."""
        found = [(name, await self._catalog.workflow(name, "")) for name in plan.called]
        return {name: stored.version for name, stored in found if stored is not None}

    def keep(self, stored: StoredWorkflow) -> KnownWorkflow:
        """Compile a stored version and remember it. ``DefinitionError``: it cannot be read or run."""
        key = (stored.workflow_id, stored.version)
        found = self._known.get(key)
        if found is None:
            workflow = _read(stored.name, stored.document)
            workflow = msgspec.structs.replace(workflow, version=stored.version)
            stored = msgspec.structs.replace(stored, source=self._sources.get(stored.name, stored.source))
            found = KnownWorkflow(stored, compile_plan(workflow), _accepts(workflow))
            self._known[key] = found
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found

    def must_compile(self, name: str, document: bytes) -> None:
        """Raise what ``keep`` would raise for this document, before anything is stored; and what would make it hang or break."""
        if not any(known.stored.document == document for known in self._known.values()):
            workflow = _read(name, document)
            _must_be_in_bounds(workflow)
            compile_plan(workflow)

    def must_be_performable(self, known: KnownWorkflow) -> None:
        """``NotFoundError`` naming the first step that this node cannot perform."""
        for planned in known.plan.every_step():
            step = planned.step
            if planned.is_control:
                continue
            executor = self._executors.get(step.type)
            if executor is None:
                raise NotFoundError("unknown_step_type", f'step "{step.id}" has type "{step.type}", which nothing here performs')
            lacking = executor.missing(step, known.stored.source)
            if lacking:
                name = "function_not_found" if step.type == "function" else "step_not_performable"
                raise NotFoundError(name, f'step "{step.id}": {lacking}', step=step.id)
            for name in planned.input_reads.secrets:
                self._must_have(name, step.id)

    def _must_have(self, name: str, step_id: str) -> None:
        if self._secrets is None or self._secrets.get(name) is None:
            hint = self._secrets.where(name) if self._secrets is not None else "give the engine a source of secrets"
            raise NotFoundError("secret_not_found", f'step "{step_id}" uses the secret {name}, which is not here', hint=hint)


def _accepts(workflow: Workflow) -> InputSchema | None:
    if not workflow.input_schema:
        return None
    from taskengine.define.validator import InputSchema  # noqa: PLC0415 -- many have none

    return InputSchema(workflow.input_schema)


def _read(name: str, document: bytes) -> Workflow:
    try:
        return msgspec.json.decode(document, type=Workflow)
    except msgspec.DecodeError as error:
        raise DefinitionError("unreadable_workflow", f"the workflow {name} cannot be read: {error}") from error


def _must_be_in_bounds(workflow: Workflow) -> None:
    """The numbers that a document could not have said: with them nothing would ever start, or nothing could be stored."""
    limits = workflow.limits
    _bound("limits.priority", limits.priority, low=0, high=_LARGEST_PRIORITY)
    _bound("limits.max_concurrency", limits.max_concurrency, low=1, high=_LARGEST_COUNT)
    _bound("limits.timeout_ms", limits.timeout_ms, low=1, high=MAX_DURATION_MS)
    for step in workflow.every_step():
        _bound(f"{step.id}.priority", step.priority, low=0, high=_LARGEST_PRIORITY)
        _bound(f"{step.id}.retry.max_attempts", step.retry.max_attempts, low=1, high=_LARGEST_COUNT)
        _bound(f"{step.id}.timeout_ms", step.timeout_ms, low=1, high=MAX_DURATION_MS)
        _bound(f"{step.id}.total_timeout_ms", step.total_timeout_ms, low=1, high=MAX_DURATION_MS)
        _bound(f"{step.id}.queue_timeout_ms", step.queue_timeout_ms, low=1, high=MAX_DURATION_MS)
        _bound(f"{step.id}.heartbeat_ms", step.heartbeat_ms, low=1, high=MAX_DURATION_MS)


def _bound(place: str, number: int | None, *, low: int, high: int) -> None:
    if number is not None and not low <= number <= high:
        raise DefinitionError("out_of_range", f"{place} is {number}, it must be from {low} to {high}")
