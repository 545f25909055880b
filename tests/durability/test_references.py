"""Every reference workflow, with a crash at every event: what comes of it is what comes of it without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from taskengine.kernel.invariant import broken
from taskengine.testing.explorer import CrashPoint, Exploration, explore_crashes
from taskengine.testing.history import History
from tests.amounts import amount, suite
from tests.durability.finals import finals
from tests.durability.program import answers
from tests.durability.reference_kill import Killed, Told
from tests.durability.references import PARAMS, PARTS, REFERENCES, Work, document
from tests.durability.undone import undo_problems

_EVERY: Final = amount(test=7, nightly=1)
_SOME: Final = ("saga_diamond", "sub_in_map", "map_of_loops", "pause_family", "approval_escalated", "wait_duration")
_KILLED: Final = _SOME if suite() == "test" else tuple(REFERENCES)
_KILLS: Final = amount(test=5, nightly=1_000)
_TRIES: Final = 5


class Exploring:
    """One reference workflow: its world, and what is wrong in a run of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.work = Work()
        self.plain: Counter[str] | None = None  # what the undisturbed run does
        self.written = 0  # events in all streams of the undisturbed run
        self.offered = 0  # events beside which a crash was possible
        self.wrong: list[str] = []  # in the undisturbed run

    def explore(self, *, every: int, first: int = 0, sqlite_in: Any = None) -> Exploration:
        reference = REFERENCES[self.name]

        def some(points: Sequence[CrashPoint]) -> Sequence[CrashPoint]:
            self.offered = sum(len(point.events) for point in points if not point.is_after)
            return points[first % min(every, len(points)) :: every]

        return explore_crashes(
            document(self.name),
            PARAMS,
            functions={"do": self.work.do},
            reset=self.work.reset,
            effects=lambda: sorted(self.work.done),
            workflows=PARTS,
            act=self.work.act(reference.deeds),
            examine=self.examine,
            choose=some,
            status=reference.status,
            sqlite_in=sqlite_in,
        )

    def examine(self, histories: Mapping[str, History]) -> dict[str, Any]:
        wrong = [f"{name}: {line}" for name, history in histories.items() for line in broken(history.state)]
        wrong += [line for history in histories.values() for line in undo_problems(history)]
        if self.plain is None:
            self.plain, self.wrong = Counter(self.work.done), wrong
            self.written = sum(len(history.events) for history in histories.values())
        lost = 1  # one crash; no attempt is lost in it twice
        for what, times in self.work.done.items():
            if times > self.plain[what] + lost:
                wrong.append(f"{what} was done {times} times, undisturbed {self.plain[what]}")
        return {"finals": finals(histories), "wrong": wrong}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_crash_at_any_event_changes_nothing(name: str) -> None:
    exploring = Exploring(name)
    found = exploring.explore(every=_EVERY, first=list(REFERENCES).index(name))
    assert found.points
    assert exploring.offered == exploring.written, "there is an event that no crash was next to"
    assert exploring.wrong == []


def test_there_are_references_enough() -> None:
    assert len(REFERENCES) >= 40


def _ask(directory: Path, cycles: Sequence[Killed]) -> list[Told]:
    directory.mkdir()
    lines = answers("tests.durability.reference_kill", [str(directory), cycles], limit_s=amount(test=100, nightly=3_000))
    return [msgspec.convert(line, Told) for line in lines]


@pytest.mark.processes
@pytest.mark.timeout(amount(test=120, nightly=3_600))
def test_a_kill_beside_a_commit_changes_nothing(tmp_path: Path) -> None:
    plain = {one.cycle.name: one for one in _ask(tmp_path / "plain", [Killed(name, 0, is_after=False) for name in _KILLED])}
    assert [(one.status, one.wrong) for one in plain.values()] == [(REFERENCES[name].status, []) for name in _KILLED]
    cycles: list[Killed] = []
    for name, one in plain.items():
        points = [Killed(name, commit, is_after=is_after) for commit in range(1, one.commits + 1) for is_after in (False, True)]
        cycles += points[:: max(1, len(points) // _KILLS)][:_KILLS]
    told: list[Told] = []
    left = cycles
    for number in range(_TRIES):
        heard = _ask(tmp_path / f"killed-{number}", left)
        told += heard
        left = [one.cycle for one in heard if not one.is_killed]  # a batch held more than in the undisturbed run
        if not left:
            break
    print(f"\n{len(_KILLED)} workflows, killed at {len(cycles) - len(left)} of {len(cycles)} points")
    assert len(left) <= len(_KILLED)
    for one in told:
        undisturbed = plain[one.cycle.name]
        assert (one.status, one.finals, one.wrong) == (undisturbed.status, undisturbed.finals, []), one.cycle
        assert one.hours == undisturbed.hours, f"{one.cycle}: a wait was too short, or began anew"
        assert set(one.done) == set(undisturbed.done), one.cycle
        assert all(times <= undisturbed.done[what] + one.is_killed for what, times in one.done.items()), one
