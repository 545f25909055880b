"""Claims about a history: each holds when it is so, and fails with the story when it is not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from taskengine.errors import NotFoundError
from taskengine.testing import History, HistoryError, virtual_engine
from tests.testing.workflows import FUNCTIONS, ORDER, PATIENT, call, flow, wait

pytest_plugins = ["pytester"]


@pytest.fixture(scope="module")
def history() -> History:
    """Fetch (3 attempts), then again; never skipped; bad failed and handled; clean after it."""
    with virtual_engine(functions=FUNCTIONS) as engine:
        engine.step("fetch").fails(2, error=ConnectionError("no route"))
        return engine.run(ORDER, params={"x": 4}).history


@pytest.fixture(scope="module")
def failure() -> History:
    """An execution that failed: second never ran."""
    with virtual_engine(functions=FUNCTIONS) as engine:
        return engine.run(flow(call("first", "broken"), call("second", "double", "first", params={"x": 1}))).history


HOLDS: dict[str, Callable[[History], object]] = {
    "the execution has completed": lambda history: history.completed(),
    "steps have completed": lambda history: history.completed("fetch", "again", "clean"),
    "a step has failed": lambda history: history.failed("bad"),
    "a step has failed with an error": lambda history: history.failed("bad", error="ValueError"),
    "a step has failed with a base of its error": lambda history: history.failed("bad", error="Exception"),
    "a step was skipped": lambda history: history.skipped("never"),
    "a step never ran": lambda history: history.never_ran("never"),
    "a step ran": lambda history: history.ran("again"),
    "a step ran so often": lambda history: history.ran("fetch", times=3),
    "steps came in an order": lambda history: history.order("fetch", "bad", "clean"),
    "it ended partial": lambda history: history.ended("completed", outcome=None),
}
FAILS: dict[str, tuple[Callable[[History], object], str]] = {
    "the execution has not failed": (lambda history: history.failed(), "should be failed, it is completed"),
    "the execution was not cancelled": (lambda history: history.cancelled(), "should be cancelled, it is completed"),
    "the outcome is another": (lambda history: history.ended("completed", outcome="timed_out"), "its outcome should be timed_out"),
    "one of the steps has not completed": (
        lambda history: history.completed("fetch", "bad"),
        "bad should be completed, it is failed: ValueError it is broken",
    ),
    "a skipped step has not completed": (lambda history: history.completed("never"), "never should be completed, it is skipped"),
    "a step has not failed": (lambda history: history.failed("again"), "again should be failed, it is completed"),
    "the error is another": (lambda history: history.failed("bad", error="KeyError"), "with KeyError, it failed with ValueError"),
    "a step was not skipped": (lambda history: history.skipped("again"), "again should be skipped"),
    "a step was not cancelled": (lambda history: history.cancelled("again"), "again should be cancelled"),
    "a step ran": (lambda history: history.never_ran("never", "again"), "again should never have run, it ran 1 time"),
    "a failed step ran, too": (lambda history: history.never_ran("bad"), "bad should never have run"),
    "a step did not run": (lambda history: history.ran("never"), "never should have run, it ran 0 times"),
    "a step ran more often": (lambda history: history.ran("fetch", times=2), "should have run 2 times, it ran 3 times"),
    "a step ran less often": (lambda history: history.ran("fetch", times=4), "should have run 4 times, it ran 3 times"),
    "the order is the other": (lambda history: history.order("again", "fetch"), "again should have ended before fetch began"),
    "one of an order never began": (lambda history: history.order("fetch", "never"), "it never began"),
    "there is no output of a failed step": (lambda history: history.output_of("bad"), "bad should be completed"),
}


@pytest.mark.parametrize("claim", HOLDS.values(), ids=HOLDS)
def test_what_is_so_is_accepted(history: History, claim: Callable[[History], object]) -> None:
    claim(history)


@pytest.mark.parametrize(("claim", "message"), FAILS.values(), ids=FAILS)
def test_what_is_not_so_is_refused_with_the_story(history: History, claim: Callable[[History], object], message: str) -> None:
    with pytest.raises(HistoryError) as caught:
        claim(history)
    text = str(caught.value)
    assert message in text.splitlines()[0]
    assert "again in 2 s" in text
    assert "attempt 3 began" in text
    assert "skipped: its condition is false" in text


def test_an_execution_that_failed_has_not_completed(failure: History) -> None:
    failure.failed(error="ValueError")
    failure.never_ran("second")
    failure.skipped("second")
    for claim in (
        failure.completed,
        lambda: failure.failed(error="KeyError"),
        lambda: failure.ran("second"),
        lambda: failure.order("first", "second"),
    ):
        with pytest.raises(HistoryError, match=r"first +failed for good: ValueError it is broken"):
            claim()


def test_steps_that_overlap_have_no_order() -> None:
    naps = (call("long", "slowly", params={"hours": 2}), call("short", "slowly", params={"hours": 1}))
    with virtual_engine(functions=FUNCTIONS) as engine:
        found = engine.run(flow(*naps)).history
    for order in (("long", "short"), ("short", "long")):
        with pytest.raises(HistoryError, match="should have ended before"):
            found.order(*order)


def test_an_execution_that_goes_on_has_not_ended() -> None:
    with virtual_engine() as engine:
        found = engine.execute_workflow(flow(wait("month", duration="30d"))).history()
    for claim in (found.completed, found.failed, found.cancelled, lambda: found.order("month", "month")):
        with pytest.raises(HistoryError):
            claim()
    assert found.status == "waiting"


@pytest.mark.parametrize(
    "method", ["completed", "failed", "skipped", "cancelled", "never_ran", "ran", "attempts", "output_of", "took"]
)
def test_a_step_that_does_not_exist_is_no_claim_that_holds(history: History, method: str) -> None:
    with pytest.raises(NotFoundError, match='no step "fetsh"') as caught:
        getattr(history, method)("fetsh")
    assert caught.value.hint == 'did you mean "fetch"?'
    with pytest.raises(NotFoundError):
        history.order("fetch", "agian")


@pytest.mark.parametrize("method", ["skipped", "never_ran", "order"])
def test_a_claim_about_nothing_is_refused(history: History, method: str) -> None:
    with pytest.raises(TypeError):
        getattr(history, method)()


def test_what_there_is_to_tell(history: History) -> None:
    assert history.attempts("fetch") == 3
    assert history.attempts("never") == 0
    assert history.steps == ["fetch", "again", "bad", "clean"]
    assert (history.output, history.output_of("fetch"), history.input_of("again")) == (16, 8, {"x": 8})
    assert history.error("again") is None
    error = history.error("bad")
    assert error is not None
    assert (error.type, error.message) == ("ValueError", "it is broken")
    assert history.took("fetch") == timedelta(seconds=3)
    assert history.took() == timedelta(hours=2, seconds=3)
    assert history.took("never") == timedelta()
    assert len(history.of("fetch")) == 0
    assert "no route" in history.story("fetch")
    assert "skipped" not in history.story("fetch")


def test_a_comparison_of_attempts_that_fails_shows_them(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from taskengine import Step, Workflow
        from taskengine.testing import virtual_engine

        def test_it():
            step = Step(id="only", type="function", config={"function": "f"})
            with virtual_engine(functions={"f": lambda: 1}) as engine:
                history = engine.run(Workflow(name="w", steps=(step,))).history
            assert history.attempts("only") == 2

        def test_claim():
            step = Step(id="only", type="function", config={"function": "f"})
            with virtual_engine(functions={"f": lambda: 1}) as engine:
                engine.run(Workflow(name="w", steps=(step,))).history.never_ran("only")
        """
    )
    result = pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:asyncio", "-p", "no:cacheprovider")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*1 (only: attempt 1 began; completed) == 2*"])
    result.stdout.fnmatch_lines(["*only should never have run, it ran 1 time*", "*only*attempt 1 began*"])


def test_a_long_story_is_told_by_its_beginning_and_its_end() -> None:
    with virtual_engine() as engine:
        engine.step("only").raises(OSError("again"))
        policy = PATIENT.__class__(max_attempts=100, max_interval_ms=1_000, jitter=0.0)
        found = engine.run(flow(call("only", "missing", retry=policy))).history
    lines = found.story().splitlines()
    assert len(lines) == 121
    assert "lines more" in lines[60]
    assert "started" in lines[0]
    assert "failed" in lines[-1]


def test_a_history_that_was_not_finished_can_be_looked_at_on_a_database(tmp_path: Path) -> None:
    with virtual_engine(tmp_path / "work.db", functions=FUNCTIONS) as engine:
        execution = engine.execute_workflow(flow(call("nap", "slowly", params={"hours": 2})))
        execution.history().ran("nap")
        assert repr(execution.history()).startswith(f"History({execution.id} of flow: running")
