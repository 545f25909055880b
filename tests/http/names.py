"""A resolver with a table: what a name means, and what it means the next time."""

from __future__ import annotations

import socket
from collections.abc import Sequence

__all__ = ["Names"]


class Names:
    """Each lookup of a name takes the next of its answers."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found = self.answers[host]
        return found.pop(0) if len(found) > 1 else found[0]
