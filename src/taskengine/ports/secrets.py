"""Where secrets come from."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Secrets"]


class Secrets(Protocol):
    """Values by name. Asked when an attempt begins, each time anew, so that a changed secret is used by the next attempt."""

    def get(self, name: str) -> str | None:
        """The value, or ``None`` when there is none of that name. Quick: it is called in the event loop."""
        ...

    def where(self, name: str) -> str:
        """Where a person has to put it, for a hint."""
        ...
