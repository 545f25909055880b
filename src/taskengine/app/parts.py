"""A started engine's parts, put together.

Imported when an engine starts: a program that only declares workflows does not pay for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from taskengine.ports.executor import Executor
from taskengine.ports.secrets import Secrets
from taskengine.ports.store import Store
from taskengine.runtime.catalog import PlanCatalog
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

    __slots__ = ("catalog", "node", "operations", "services")

    def __init__(
        self, store: Store, environment: Environment, *, executors: Mapping[str, Executor], settings: NodeSettings, secrets: Secrets
    ) -> None:
        self.node = Node(store, environment, executors=executors, settings=settings, secrets=secrets)
        self.catalog = PlanCatalog(store, executors, secrets=secrets)
        residency = Residency(self.node, self.catalog)
        inbox = InboxService(self.node, residency)
        self.operations = Operations(self.node, residency, forward=inbox.forward)
        self.services = Services(self.node, residency, operations=self.operations, inbox=inbox)
