"""What performs the steps of one engine: its functions, its children, its calls to the outside. Loaded when an engine is made."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from taskengine.adapters.function import FunctionExecutor, FunctionRegistry
from taskengine.app.apart import Apart
from taskengine.app.executors import Executors
from taskengine.app.outgoing import Outgoing
from taskengine.app.telling import SignalExecutor, Tell
from taskengine.errors import NotFoundError
from taskengine.runtime.environment import Environment
from taskengine.runtime.settings import NodeSettings

if TYPE_CHECKING:
    from taskengine.ports.outbound import EgressPolicy, Outbound

__all__ = ["Performing"]


class Performing:
    """The executors by step type, and what they share. The arguments are those of ``Engine``."""

    def __init__(
        self,
        settings: NodeSettings,
        environment: Environment,
        *,
        functions: Mapping[str, Callable[..., Any]],
        services: Mapping[str, Any] | None,
        egress: EgressPolicy | None,
        outbound: Outbound | None,
        builtins: Sequence[str],
        tell: Tell,
    ) -> None:
        self.registry = FunctionRegistry()
        for name, function in functions.items():
            self.registry.register(name, function)
        self._apart = Apart(settings)
        self._outgoing = Outgoing(egress, outbound=outbound, variables=os.environ)
        self._functions = FunctionExecutor(
            self.registry,
            services=services,
            apart=self._apart.functions,
            max_payload=settings.max_payload,
            max_nesting=settings.max_nesting,
        )
        self.executors = Executors(
            {
                "function": lambda: self._functions,
                "http": lambda: self._outgoing.executor(settings, now=environment.now),
                "script": self._apart.scripts,
                "signal": lambda: SignalExecutor(tell),
            }
        )
        self._add_builtins(builtins)

    def _add_builtins(self, names: Sequence[str]) -> None:
        """Functions that reach beyond the engine exist only when they are asked for."""
        makers = {"http_request": self._outgoing.http_request, "shell_command": self._apart.shell_command}
        for name in names:
            if name not in makers:
                raise NotFoundError("builtin_not_found", f'no function "{name}" is built in', hint=f"known: {', '.join(makers)}")
            self.registry.register(name, makers[name]())

    async def close(self) -> None:
        """Let threads go, end children, close connections. What is needed after it is made anew."""
        self._functions.close()
        await self._apart.close()
        await self._outgoing.close()
