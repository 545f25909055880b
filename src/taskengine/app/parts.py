"""A started engine's parts, put together.

Imported when an engine starts: a program that only declares workflows does not pay for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taskengine.app.intake import Intake
from taskengine.model.effect import StartChild
from taskengine.model.value import Raw, decode
from taskengine.ports.executor import Executor
from taskengine.ports.secrets import Secrets
from taskengine.ports.store import Store
from taskengine.runtime.catalog import KnownWorkflow, PlanCatalog
from taskengine.runtime.environment import Environment
from taskengine.runtime.inbox import InboxService
from taskengine.runtime.node import Node
from taskengine.runtime.operations import Operations
from taskengine.runtime.residency import Residency
from taskengine.runtime.services import Services
from taskengine.runtime.settings import NodeSettings

__all__ = ["Parts"]


class Parts:
    """One node with everything around it. The store is open, nothing runs before ``services.start``."""

    __slots__ = ("catalog", "intake", "node", "operations", "services")

    def __init__(
        self, store: Store, environment: Environment, *, executors: Mapping[str, Executor], settings: NodeSettings, secrets: Secrets
    ) -> None:
        self.node = Node(store, environment, executors=executors, settings=settings, secrets=secrets)
        self.intake = Intake(settings)
        self.catalog = PlanCatalog(store, executors, secrets=secrets)
        residency = Residency(self.node, self.catalog)
        inbox = InboxService(self.node, residency)
        self.operations = Operations(self.node, residency, forward=inbox.forward, take_in=self._take_in)
        self.services = Services(self.node, residency, operations=self.operations, inbox=inbox)

    async def _take_in(self, start: StartChild) -> tuple[KnownWorkflow, Raw, Mapping[str, Raw], dict[str, str]]:
        """A child is taken in as any other execution is."""
        known = await self.catalog.known(start.workflow, start.version)
        self.catalog.must_be_performable(known)
        params: Any = decode(start.input) if start.input else None
        given = self.intake.input_of(known, params)
        variables = self.intake.variables_of(known.plan.workflow, params, given=None)
        return known, given, variables, await self.catalog.pins(known.plan)
