"""Three processes on one file, killed at random for as long as work comes in, and a client that holds them to every word."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import msgspec
import pytest

from tests.amounts import amount
from tests.durability.program import answers
from tests.durability.several import Orders, Report

_SECONDS = amount(test=10, nightly=60)
_LIMIT_S = _SECONDS + 120
_PROMPT_MS = 2_000  # generous: a loaded machine stalls for longer than the half second that is promised


@pytest.mark.processes
@pytest.mark.timeout(_LIMIT_S + 10)
def test_three_processes_killed_at_random_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    orders = Orders(str(tmp_path), float(_SECONDS), seed=1)
    (line,) = answers("tests.durability.several", orders, limit_s=_LIMIT_S)
    report = msgspec.convert(line, Report)
    print(f"\n{_SECONDS} s on three processes: {report.counts}")
    print(f"pause from another process: n={len(report.pause_ms)}, {_spread(report.pause_ms)}")
    print(f"from a kill to the first attempt declared lost: n={len(report.takeover_ms)}, {_spread(report.takeover_ms)}")
    assert report.problems == []
    for seen in ("kills", "start", "result", "pause", "resume", "cancel", "signal", "TaskAttemptLost", "TaskRetryScheduled"):
        assert report.counts.get(seen), f"nothing was seen of {seen}"
    assert median(report.takeover_ms) < _PROMPT_MS
    assert sorted(report.pause_ms)[len(report.pause_ms) * 95 // 100] < _PROMPT_MS


def _spread(numbers: list[float] | list[int]) -> str:
    return f"median {median(numbers):.0f} ms, longest {max(numbers):.0f} ms" if numbers else "nothing"
