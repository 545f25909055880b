"""What the world owes an execution, as changes: evolve returns them, the shell performs them after the commit, twice does no harm.

Their sum is ``kernel.outstanding``: a ``Launch`` stays owed until a ``Release`` or a final ``Halt`` of the same attempt (one
that is not final takes its place), a ``WakeAt`` until the next one.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from taskengine.model.command import Command
from taskengine.model.value import ABSENT, Instant, Parent, Raw

__all__ = ["Effect", "Halt", "Launch", "Post", "Release", "StartChild", "WakeAt"]


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


class StartChild(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag=True, tag_field="type", omit_defaults=True):
    """What a message to an execution that is not there yet says: begin it. The shell finds the workflow."""

    at: Instant
    workflow: str
    parent: Parent
    version: str = ""
    input: Raw = ABSENT
    seed: int = 0


class Post(_Effect, frozen=True):
    """Tell another execution. Written with the events that cause it, so that it is never owed; ``mark`` makes it count once."""

    execution_id: str
    letter: Command | StartChild
    mark: str


Effect: TypeAlias = Launch | Release | Halt | WakeAt | Post
