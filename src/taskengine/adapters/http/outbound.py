"""The client, made when it is first needed: a program that calls nothing never imports the HTTP library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from taskengine.adapters.http.egress import Egress
from taskengine.ports.outbound import Answer, Call, EgressPolicy, Resolver

if TYPE_CHECKING:
    from taskengine.adapters.http.client import HttpClient

__all__ = ["LazyOutbound"]


class LazyOutbound:
    """An ``Outbound``. Raises ``bad_egress_policy`` at once for a policy that cannot be read."""

    def __init__(self, policy: EgressPolicy | None = None, *, resolver: Resolver | None = None) -> None:
        self._policy = policy if policy is not None else EgressPolicy()
        self._resolver = resolver
        self._client: HttpClient | None = None
        Egress(self._policy)

    async def call(self, call: Call, *, on_bytes: Callable[[], None] | None = None) -> Answer:
        """Make it, as the port promises."""
        client = self._client
        if client is None:
            # The import takes a tenth of a second, for which the loop need not stand still.
            await asyncio.to_thread(import_module, "taskengine.adapters.http.client")
            client = self._client = self._client or self._make()
        return await client.call(call, on_bytes=on_bytes)

    async def close(self) -> None:
        """Close the connections; a later call makes new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _make(self) -> HttpClient:
        from taskengine.adapters.http.client import HttpClient
        from taskengine.adapters.http.network import SystemResolver

        return HttpClient(self._policy, self._resolver if self._resolver is not None else SystemResolver())
