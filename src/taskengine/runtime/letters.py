"""What executions and nodes tell each other through the store: a command or a start, with the mark that makes it count once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from taskengine.model.command import Command, Signal
from taskengine.model.effect import Effect, Post, StartChild
from taskengine.model.ids import EXECUTION
from taskengine.model.value import Instant, encode
from taskengine.ports.store import Outgoing

__all__ = ["Letter", "is_between_executions", "kin_of", "outgoing", "read_letter", "unborn_mark"]


class Letter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message. ``mark`` is the same whichever way it goes."""

    command: Command | StartChild
    mark: str = ""


_FROM: Final = 2
read_letter: Final = msgspec.json.Decoder(Letter).decode


def unborn_mark(parent: str, child: str) -> str:
    """The mark of the letter that says that a child could not begin."""
    return f"command:{parent}:{child}:unborn"


def is_between_executions(mark: str) -> bool:
    """Whether one execution tells another: ``command:`` to whom ``:`` from whom ``:`` what."""
    parts = mark.split(":")
    return len(parts) > _FROM and parts[_FROM].startswith(EXECUTION)


def outgoing(effects: Iterable[Effect], now: Instant) -> list[Outgoing]:
    """The messages among the effects of a turn, as they are stored with its events."""
    posts = [effect for effect in effects if type(effect) is Post]
    return [Outgoing(post.execution_id, encode(Letter(post.letter, post.mark)), now) for post in posts]


def kin_of(effects: Iterable[Effect]) -> set[str]:
    """The executions that belong together with the one whose turn this was: children, and the parent when it is told something."""
    return {effect.execution_id for effect in effects if type(effect) is Post and not isinstance(effect.letter, Signal)}
