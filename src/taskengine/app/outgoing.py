"""What an engine has for calls to the outside: one client for everything, made when it is first needed, under one policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from taskengine.model.value import Instant
from taskengine.ports.executor import Executor
from taskengine.runtime.settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from taskengine.ports.outbound import EgressPolicy, Outbound

__all__ = ["Outgoing", "policy_from"]

_LOOPBACK: Final = "loopback"


def policy_from(variables: Mapping[str, str]) -> EgressPolicy:
    """The policy of an environment: hosts, addresses and networks with commas between them; ``loopback`` is this machine."""
    from taskengine.ports.outbound import EGRESS_ALLOW, EgressPolicy

    entries = [entry.strip() for entry in variables.get(EGRESS_ALLOW, "").split(",") if entry.strip()]
    return EgressPolicy(
        allow=tuple(entry for entry in entries if entry.lower() != _LOOPBACK),
        allow_loopback=any(entry.lower() == _LOOPBACK for entry in entries),
    )


class Outgoing:
    """The client and those who use it. Without a ``policy`` the ``variables`` of the environment say what it is.

    ``outbound``: a client that somebody else made and closes.
    """

    def __init__(self, policy: EgressPolicy | None, *, outbound: Outbound | None, variables: Mapping[str, str]) -> None:
        self._policy = policy
        self._variables = variables
        self._given = outbound
        self._made: Outbound | None = None

    @property
    def outbound(self) -> Outbound:
        """The client. Raises ``bad_egress_policy``."""
        if self._given is not None:
            return self._given
        if self._made is None:
            from taskengine.adapters.http import LazyOutbound

            self._made = LazyOutbound(self._policy if self._policy is not None else policy_from(self._variables))
        return self._made

    def executor(self, settings: NodeSettings, *, now: Callable[[], Instant]) -> Executor:
        """What performs ``http`` steps."""
        from taskengine.adapters.http import HttpExecutor

        return HttpExecutor(self.outbound, now=now, max_payload=settings.max_payload, max_nesting=settings.max_nesting)

    def http_request(self) -> Callable[..., Awaitable[dict[str, Any]]]:
        """The function of this name."""
        from taskengine.adapters.http import http_request_over

        return http_request_over(self.outbound)

    async def close(self) -> None:
        """Close the connections; an engine that starts again makes new ones."""
        if self._made is not None:
            await self._made.close()
