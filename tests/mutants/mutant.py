"""A mutant: the product broken on purpose in one place, and the test that must notice."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Mutant"]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """``text`` stands exactly once in ``file`` (below ``src/taskengine``) and is replaced; ``test`` must be red then.

    ``test`` is the smallest one that kills it: a pytest node id, seconds at most. ``breaks`` says in words what is broken.
    """

    name: str
    breaks: str
    file: str
    text: str
    replacement: str
    test: str
