"""When a step may start: a table of its join over how its dependencies have ended so far."""

from __future__ import annotations

from enum import Enum
from typing import Final

from taskengine.model.status import Phase
from taskengine.model.workflow import Join

__all__ = ["OK", "SKIPPED", "UNHAPPY", "Verdict", "kind_of", "verdict"]

OK: Final = 0
UNHAPPY: Final = 1  # failed or cancelled
SKIPPED: Final = 2

_KINDS: Final = {Phase.COMPLETED: OK, Phase.FAILED: UNHAPPY, Phase.CANCELLED: UNHAPPY, Phase.SKIPPED: SKIPPED}


class Verdict(Enum):
    """What the dependencies say about a step."""

    WAIT = "wait"
    START = "start"
    SKIP = "skip"


def kind_of(phase: int) -> int:
    """How a terminal phase counts in a join."""
    return _KINDS[Phase(phase)]


def verdict(join: Join, left: int, tally: tuple[int, int, int] | list[int]) -> Verdict:
    """Judge: ``left`` dependencies have not ended, ``tally`` says how the others did (ok, unhappy, skipped).

    A cancelled dependency counts as a failed one, but nothing can handle it.
    """
    ok, unhappy, skipped = tally
    match join:
        case Join.ALL_SUCCESS:
            starts, never = left == 0, unhappy + skipped > 0
        case Join.ALL_DONE:
            starts, never = left == 0, False
        case Join.ANY_SUCCESS:
            starts, never = ok > 0, left == 0
        case Join.ANY_FAILED:
            starts, never = unhappy > 0, left == 0
        case Join.NONE_FAILED:
            starts, never = left == 0, unhappy > 0
    if join in {Join.ANY_SUCCESS, Join.ANY_FAILED}:
        return Verdict.START if starts else Verdict.SKIP if never else Verdict.WAIT
    return Verdict.SKIP if never else Verdict.START if starts else Verdict.WAIT
