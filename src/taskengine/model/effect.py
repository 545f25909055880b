"""What the world owes an execution, as changes: evolve returns them, the shell performs them after the commit, twice does no harm.

Their sum is ``kernel.outstanding``: a ``Launch`` stays owed until a ``Release`` or a final ``Halt`` of the same attempt (one
that is not final takes its place), a ``WakeAt`` until the next one.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from taskengine.model.value import Instant

__all__ = ["Effect", "Halt", "Launch", "Release", "WakeAt"]


class _Effect(msgspec.Struct, frozen=True, gc=False, tag=True, tag_field="type"):
    pass


class Launch(_Effect, frozen=True):
    """Perform this attempt and report its end."""

    task: int
    attempt: int
    is_suspect: bool = False


class Release(_Effect, frozen=True):
    """The attempt has ended; nothing more is owed for it."""

    task: int
    attempt: int


class Halt(_Effect, frozen=True):
    """Stop this attempt; ``is_final``: its end is of no interest any more, else report it."""

    task: int
    attempt: int
    is_final: bool


class WakeAt(_Effect, frozen=True):
    """Send a Tick at this instant; ``None``: not needed any more."""

    at: Instant | None


Effect: TypeAlias = Launch | Release | Halt | WakeAt
