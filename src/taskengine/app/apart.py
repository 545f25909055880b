"""What an engine has for work in child processes: one kit for all of them, made when the first child is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from taskengine.ports.executor import Executor
from taskengine.runtime.settings import NodeSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from taskengine.adapters.function.process import ProcessFunctions
    from taskengine.adapters.process.children import Children

__all__ = ["Apart"]


class Apart:
    """The children of one node and those who have some."""

    def __init__(self, settings: NodeSettings) -> None:
        self._settings = settings
        self._made: Children | None = None
        self._functions: ProcessFunctions | None = None

    @property
    def _children(self) -> Children:
        if self._made is None:
            from taskengine.adapters.process.children import Children

            self._made = Children()
        return self._made

    def scripts(self) -> Executor:
        """What performs ``script`` steps."""
        from taskengine.adapters.script import ScriptExecutor

        return ScriptExecutor(self._children, max_payload=self._settings.max_payload, max_nesting=self._settings.max_nesting)

    def functions(self) -> ProcessFunctions:
        """What performs function steps with ``run_in: process``."""
        if self._functions is None:
            from taskengine.adapters.function.process import ProcessFunctions

            self._functions = ProcessFunctions(
                self._children, max_payload=self._settings.max_payload, max_nesting=self._settings.max_nesting
            )
        return self._functions

    def shell_command(self) -> Callable[..., Awaitable[dict[str, Any]]]:
        """The function of this name."""
        from taskengine.adapters.function.shell import shell_command_over

        return shell_command_over(self._children)

    async def close(self) -> None:
        """End every child; none is left when this returns."""
        if self._functions is not None:
            self._functions.close()
        if self._made is not None:
            await self._made.close()
