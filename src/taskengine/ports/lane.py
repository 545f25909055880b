"""A lane: where blocking work runs, one piece after the other, off the event loop.

In a simulation it runs inline at a virtual delay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

__all__ = ["Lane", "LaneFactory"]

P = ParamSpec("P")
T = TypeVar("T")


class Lane(Protocol):
    """One worker; calls run in the order they were made."""

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it and return what it returns or raise what it raises. A caller that is cancelled does not stop it."""
        ...

    def close(self) -> None:
        """Finish what was begun and end the worker. Idempotent."""
        ...


LaneFactory = Callable[[str], Lane]
