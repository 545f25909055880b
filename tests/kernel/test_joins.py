"""When a step starts, waits or is skipped, by how its dependencies ended: every join, every combination."""

from __future__ import annotations

from itertools import product

import pytest

from taskengine.kernel.join import Verdict, verdict
from taskengine.model.status import Outcome, Status
from taskengine.model.value import TaskError
from taskengine.model.workflow import Join, OnError
from tests.kernel import oracle
from tests.kernel.scene import Scene, function, noop

# ok, unhappy (failed or cancelled), skipped, not ended yet → what each join says
TABLE = {
    # (ok, unhappy, skipped, left): all_success, all_done, any_success, any_failed, none_failed
    (2, 0, 0, 0): "start start start skip start",
    (1, 1, 0, 0): "skip start start start skip",
    (1, 0, 1, 0): "skip start start skip start",
    (0, 2, 0, 0): "skip start skip start skip",
    (0, 1, 1, 0): "skip start skip start skip",
    (0, 0, 2, 0): "skip start skip skip start",
    (1, 0, 0, 1): "wait wait start wait wait",
    (0, 1, 0, 1): "skip wait wait start skip",
    (0, 0, 1, 1): "skip wait wait wait wait",
    (0, 0, 0, 2): "wait wait wait wait wait",
    (0, 0, 0, 0): "start start skip skip start",
}


@pytest.mark.parametrize(("tally", "said"), TABLE.items())
def test_the_table_of_joins(tally: tuple[int, int, int, int], said: str) -> None:
    assert [verdict(join, tally).value for join in Join] == said.split()


def test_the_table_agrees_with_a_second_opinion_for_up_to_four_dependencies() -> None:
    ends = (None, "completed", "failed", "cancelled", "skipped")
    compared = 0
    for join in Join:
        for size in range(5):
            for combination in product(ends, repeat=size):
                ok, skipped, left = combination.count("completed"), combination.count("skipped"), combination.count(None)
                tally = (ok, size - ok - skipped - left, skipped, left)
                assert verdict(join, tally).value == oracle.said(join, combination), (join, combination)
                compared += 1
    assert compared == len(Join) * sum(len(ends) ** size for size in range(5))


def test_a_verdict_once_given_stands_however_the_rest_ends() -> None:
    for join, ok, unhappy, skipped, left in product(Join, range(3), range(3), range(3), range(1, 3)):
        said = verdict(join, (ok, unhappy, skipped, left))
        if said is not Verdict.WAIT:
            for more in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
                later = (ok + more[0], unhappy + more[1], skipped + more[2], left - 1)
                assert verdict(join, later) is said


@pytest.mark.parametrize("join", Join)
@pytest.mark.parametrize("a_fails", [False, True])
@pytest.mark.parametrize("b_fails", [False, True])
def test_a_step_with_two_dependencies_starts_or_is_skipped_as_its_join_says(*, join: Join, a_fails: bool, b_fails: bool) -> None:
    scene = Scene(function("a"), function("b"), function("c", "a", "b", join=join)).start()
    for name, fails in (("a", a_fails), ("b", b_fails)):
        if fails:
            scene.fail(name, admit=False)
        else:
            scene.succeed(name, admit=False)
    said = oracle.said(join, ["failed" if a_fails else "completed", "failed" if b_fails else "completed"])
    assert scene.phases("c") == [{"start": "ready", "skip": "skipped"}[said]]


def test_a_step_without_dependencies_starts_at_once() -> None:
    assert Scene(function("a"), noop("b")).start(admit=0).phases() == ["ready", "completed"]


def test_any_success_starts_with_the_first_that_completed_and_not_again() -> None:
    scene = Scene(function("a"), function("b"), function("c", "a", "b", join=Join.ANY_SUCCESS)).start()
    scene.fail("a")
    assert scene.phases("c") == ["pending"]
    scene.succeed("b")
    assert scene.phases("c") == ["running"]


def test_any_success_is_skipped_when_nothing_completed() -> None:
    scene = Scene(function("a"), function("b"), noop("c", "a", "b", join=Join.ANY_SUCCESS)).start()
    scene.fail("a", "b")
    assert scene.phases("c") == ["skipped"]


def test_skipping_spreads_along_all_success_and_stops_where_a_join_takes_it_as_fine() -> None:
    scene = Scene(
        function("a"),
        function("b", "a"),
        function("c", "b"),
        noop("done", "c", join=Join.ALL_DONE),
        noop("fine", "c", join=Join.NONE_FAILED),
        noop("never", "c", join=Join.ANY_SUCCESS),
    ).start()
    scene.fail("a")
    assert scene.phases() == ["failed", "skipped", "skipped", "completed", "completed", "skipped"]


def test_a_false_condition_skips_and_what_depends_on_it_is_skipped_on() -> None:
    scene = Scene(function("a", when="input.wanted"), function("b", "a")).start(given={"wanted": False})
    assert scene.phases() == ["skipped", "skipped"]
    assert scene.ended == (Status.COMPLETED, None)


def test_a_failure_is_handled_by_a_step_that_names_it_and_completes() -> None:
    scene = Scene(function("a"), function("rescue", "a", join=Join.ANY_FAILED, handles=("Boom",))).start()
    scene.fail("a")
    assert scene.state.root.failures == {1}
    scene.succeed("rescue")
    assert scene.ended == (Status.COMPLETED, None)


def test_handles_matches_bases_of_the_error_never_its_message() -> None:
    for error, expected in (
        (TaskError(type="Sub", bases=("Boom",)), Status.COMPLETED),
        (TaskError(type="Other", message="Boom"), Status.FAILED),
    ):
        scene = Scene(function("a"), noop("rescue", "a", join=Join.ALL_DONE, handles=("Boom",))).start()
        scene.fail("a", error=error)
        assert scene.ended[0] is expected


def test_a_join_that_is_not_made_for_failures_handles_nothing() -> None:
    steps = (function("a"), function("b"), noop("c", "a", "b", join=Join.ANY_SUCCESS, handles=("Boom",)))
    scene = Scene(*steps).start().succeed("a").fail("b")
    assert scene.phases("c") == ["completed"]
    assert scene.ended[0] is Status.FAILED


def test_a_failure_that_comes_after_its_rescuer_completed_is_handled_too() -> None:
    scene = Scene(function("a"), function("b"), noop("rescue", "a", "b", join=Join.ANY_FAILED, handles=("Boom",))).start()
    scene.fail("a")
    assert scene.phases("rescue") == ["completed"]
    scene.fail("b")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_rescuer_that_fails_itself_handles_nothing() -> None:
    scene = Scene(function("a"), function("rescue", "a", join=Join.ANY_FAILED, handles=("Boom",))).start()
    scene.fail("a").fail("rescue", error=TaskError(type="Worse"))
    assert scene.ended[0] is Status.FAILED
    assert scene.state.error is not None
    assert scene.state.error.message.startswith("/a/")


def test_on_error_continue_ends_partial_and_its_dependents_are_judged_by_their_joins() -> None:
    steps = (
        function("a", on_error=OnError.CONTINUE),
        noop("strict", "a"),
        noop("lenient", "a", join=Join.ALL_DONE),
    )
    scene = Scene(*steps).start().fail("a")
    assert scene.phases() == ["failed", "skipped", "completed"]
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)


def test_on_error_continue_that_is_handled_is_not_even_partial() -> None:
    steps = (function("a", on_error=OnError.CONTINUE), noop("rescue", "a", join=Join.ALL_DONE, handles=("Boom",)))
    assert Scene(*steps).start().fail("a").ended == (Status.COMPLETED, None)


def test_a_cancelled_dependency_counts_as_failed_but_nothing_handles_it() -> None:
    scene = Scene(function("a"), noop("rescue", "a", join=Join.ANY_FAILED, handles=("Boom", "Cancelled"))).start()
    scene.cancel("/a/")
    scene.fail("a")
    assert scene.phases() == ["cancelled", "completed"]
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)


def test_the_first_failure_in_document_order_names_the_executions_error() -> None:
    scene = Scene(function("a"), function("b")).start()
    scene.fail("b", error=TaskError(type="Late", message="b's", bases=("Base",))).fail("a")
    assert scene.state.error == TaskError(type="Boom", message="/a/ no")
