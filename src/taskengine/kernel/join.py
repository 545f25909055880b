"""When a step may start: a table of its join over how its dependencies have ended so far. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from taskengine.model.workflow import Join

__all__ = ["LEFT", "OK", "SKIPPED", "UNHAPPY", "Verdict", "kind_of", "verdict"]

# The places of a tally: how many dependencies completed, failed or were cancelled, were skipped, and have not ended.
OK: Final = 0
UNHAPPY: Final = 1
SKIPPED: Final = 2
LEFT: Final = 3

_KIND_OF_PHASE: Final = (LEFT, LEFT, LEFT, LEFT, LEFT, LEFT, OK, UNHAPPY, UNHAPPY, SKIPPED)


class Verdict(Enum):
    """What the dependencies say about a step."""

    WAIT = "wait"
    START = "start"
    SKIP = "skip"


def kind_of(phase: int) -> int:
    """The place in a tally where a dependency in this phase is counted."""
    return _KIND_OF_PHASE[phase]


def verdict(join: Join, tally: Sequence[int]) -> Verdict:
    """Judge a tally. Once it says start or skip, further ends of dependencies do not change that.

    A cancelled dependency counts as a failed one, but nothing can handle it.
    """
    ok, unhappy, skipped, left = tally
    match join:
        case Join.ANY_SUCCESS | Join.ANY_FAILED:
            if ok if join is Join.ANY_SUCCESS else unhappy:
                return Verdict.START
            return Verdict.WAIT if left else Verdict.SKIP
        case Join.ALL_SUCCESS:
            is_spoilt = unhappy + skipped > 0
        case Join.NONE_FAILED:
            is_spoilt = unhappy > 0
        case Join.ALL_DONE:
            is_spoilt = False
    if is_spoilt:
        return Verdict.SKIP
    return Verdict.WAIT if left else Verdict.START
