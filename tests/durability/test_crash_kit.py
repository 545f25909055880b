"""The public kit for killing one's own engine: what a child said counts, and a point is where it says it is."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.sqlite import SqliteStore
from taskengine.testing.conformance.samples import birth
from taskengine.testing.crash import CrashPoints, Point, Say, fork

# The children here do next to nothing, so that threads of whoever runs the tests do no harm.
pytestmark = [pytest.mark.processes, pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")]

_EVENT = "INSERT INTO event (execution_id, seq, body)"


def test_what_a_child_said_is_heard_when_it_ends() -> None:
    def work(say: Say) -> None:
        say({"a": [1, None]})
        say("x" * 200_000)  # more than a pipe holds

    ended = fork(work, limit_s=20).end()
    assert (ended.said, ended.signal, ended.trouble) == ([{"a": [1, None]}, "x" * 200_000], 0, "")


def test_what_a_child_said_is_heard_when_it_is_killed() -> None:
    def work(say: Say) -> None:
        say("alive")
        signal.pause()

    child = fork(work, limit_s=20)
    assert child.listen()
    child.kill()
    ended = child.end()
    assert ended.is_killed
    assert ended.said == ["alive"]


def test_a_child_whose_work_raises_tells_where() -> None:
    def work(say: Say) -> None:
        say("begun")
        raise ValueError("broken")

    ended = fork(work, limit_s=20).end()
    assert ended.said == ["begun"]
    assert "ValueError: broken" in ended.trouble


def test_a_child_that_is_asked_to_end_may_do_so_in_its_own_way() -> None:
    def work(say: Say) -> None:
        told = Event()
        signal.signal(signal.SIGTERM, lambda *_: told.set())
        say("ready")
        told.wait()
        say("goodbye")

    child = fork(work, limit_s=20)
    child.listen()
    child.ask_to_end()
    ended = child.end()
    assert (ended.said, ended.signal) == (["ready", "goodbye"], 0)


def test_no_child_outlives_its_limit() -> None:
    ended = fork(lambda _: signal.pause(), limit_s=1).end()
    assert ended.signal == signal.SIGALRM


def test_listening_for_a_while_ends_with_the_while_or_with_the_child() -> None:
    lasting = fork(lambda _: signal.pause(), limit_s=20)
    assert lasting.listen_for(0.01, clock=time.monotonic)
    lasting.kill()
    assert not lasting.listen_for(20, clock=time.monotonic)
    assert lasting.end().is_killed


def _commit_twice(path: Path, connect: CrashPoints) -> None:
    async def commit() -> None:
        store = SqliteStore(path, lanes=InlineLane, connect=connect)
        await store.open()
        await store.commit([birth("ex_1")])
        await store.commit([birth("ex_2")])
        await store.close()

    asyncio.run(commit())


def _die(path: Path, point: Point) -> Callable[[Say], None]:
    return lambda say: _commit_twice(path, CrashPoints(point, last_word=lambda met: say([met.kind, met.occurrence, met.is_after])))


async def _there(path: Path) -> set[str]:
    store = SqliteStore(path, lanes=InlineLane)
    await store.open()
    try:
        return set(await store.heads(["ex_1", "ex_2"]))
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        (Point(_EVENT, 0, is_after=True), set()),
        (Point(_EVENT, 1, is_after=False), {"ex_1"}),
        (Point("COMMIT", 0, is_after=False), set()),
    ],
)
async def test_a_process_dies_at_its_point(tmp_path: Path, point: Point, expected: set[str]) -> None:
    ended = fork(_die(tmp_path / "store.db", point), limit_s=20).end()
    assert ended.is_killed
    assert ended.said == [[point.kind, point.occurrence, point.is_after]]
    assert await _there(tmp_path / "store.db") == expected


def test_without_a_point_the_statements_are_listed_by_kind(tmp_path: Path) -> None:
    points = CrashPoints()
    _commit_twice(tmp_path / "store.db", points)
    assert points.statements.count(_EVENT) == 2
    assert points.statements.count("COMMIT") == points.statements.count("BEGIN IMMEDIATE")
    assert not any("data_version" in kind or "?" * 2 in kind or "\n" in kind for kind in points.statements)
