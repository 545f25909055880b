"""Kill -9 before and after every statement that the build in hand executes, and at random times.

Nothing acknowledged is lost, nothing happens twice, and whoever comes next brings everything to its end.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from taskengine.testing.crash import Point
from tests.amounts import amount
from tests.durability.kill import Cycle, Report, Trace
from tests.durability.program import answers

pytestmark = pytest.mark.processes

_PROGRAM = "tests.durability.kill"
_CYCLES = amount(test=300, nightly=10_000)
_AT_RANDOM_TIMES = _CYCLES // 5
_MORE = 8  # times that a kind of statement is tried again that did not come
_LIMIT_S = amount(test=110, nightly=7_200)


def _trace(directory: Path) -> Trace:
    directory.mkdir()
    (line,) = answers(_PROGRAM, [str(directory), []], limit_s=_LIMIT_S)
    return msgspec.convert(line, Trace)


def _points(trace: Trace, count: int) -> list[Point]:
    """Every point as often as there is room; of what is left over first the first of each kind of statement, then others.

    The same points every time for the same trace: what fails can be repeated.
    """
    every = [
        Point(kind, occurrence, is_after)
        for kind, occurrences in Counter(trace.statements).items()
        for occurrence in range(occurrences)
        for is_after in (False, True)
    ]
    times, left = divmod(count, len(every))
    firsts = [point for point in every if point.occurrence == 0]
    others = [point for point in every if point.occurrence > 0]
    random.Random(1).shuffle(others)
    return every * times + [*firsts, *others][:left]


def _missed(kinds: set[str], reports: list[Report]) -> set[tuple[str, bool]]:
    """What nobody has died at yet, before it and after it."""
    hit = {(one.cycle.point.kind, one.cycle.point.is_after) for one in reports if one.cycle.point is not None and one.is_at_point}
    return {(kind, is_after) for kind in kinds for is_after in (False, True)} - hit


@pytest.mark.timeout(_LIMIT_S + 10)
def test_after_a_kill_at_any_statement_or_time_everything_acknowledged_is_there_once_and_ends_right(tmp_path: Path) -> None:
    traces = [_trace(tmp_path / f"trace-{number}") for number in range(3)]
    assert [trace.problems for trace in traces] == [[], [], []]
    points = _points(traces[0], _CYCLES - _AT_RANDOM_TIMES)
    cycles = [*(Cycle(point, 0) for point in points), *(Cycle(None, seed) for seed in range(_AT_RANDOM_TIMES))]
    reports = [msgspec.convert(line, Report) for line in answers(_PROGRAM, [str(tmp_path), cycles], limit_s=_LIMIT_S)]

    always = set[str].intersection(*(set(trace.statements) for trace in traces))  # some depend on who was faster
    for number in range(_MORE):  # and some of those that every trace has do not come in every run: these are tried again
        again = [Cycle(Point(kind, 0, is_after), 0) for kind, is_after in sorted(_missed(always, reports))]
        if again:
            folder = tmp_path / f"more-{number}"
            folder.mkdir()
            reports += [msgspec.convert(line, Report) for line in answers(_PROGRAM, [str(folder), again], limit_s=_LIMIT_S)]
    hit = [one.cycle.point for one in reports if one.cycle.point is not None and one.is_at_point]
    at_times = [one for one in reports if one.cycle.point is None]
    print(
        f"\nkill -9: {len(traces[0].statements)} statements of {len(set(traces[0].statements))} kinds traced; "
        f"{len(reports)} cycles, {len(hit)} killed at {len(set(hit))} points, "
        f"{sum(one.is_killed for one in at_times)} of {len(at_times)} at a random time; "
        f"{sum(one.acknowledged for one in reports)} acknowledgements checked"
    )
    assert [(one.cycle, one.problems) for one in reports if one.problems] == []
    assert len(reports) >= _CYCLES
    assert not _missed(always, reports), "every kind of statement must have been died at, before it and after it"
