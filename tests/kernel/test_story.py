"""What people are told: a task's story in words, and why it is not running."""

from __future__ import annotations

import pytest

from taskengine.errors import NotFoundError
from taskengine.model import command as cmd
from taskengine.model.value import TaskError
from taskengine.model.workflow import Join, RetryPolicy
from tests.kernel.scene import Scene, condition, function, mapped, noop, parallel, wait

TWICE = RetryPolicy(max_attempts=2, initial_interval_ms=1_500, jitter=0.0)


def test_the_story_of_a_task_tells_everything_that_happened_to_it_oldest_first() -> None:
    scene = (
        Scene(function("a", retry=TWICE, timeout_ms=5_000), function("b"))
        .start()
        .fail("a", error=TaskError(type="HttpError", message="503"))
    )
    scene.at(1.5).admit()
    scene.lose("a")
    scene.do(cmd.Pause(at=scene.now, path="/a/", by="ann", reason="too hot"))
    scene.resume("/a/")
    scene.admit()
    scene.at(6.5)
    scene.do(cmd.Retry(at=scene.now, path="/a/", by="bob"))
    scene.admit()
    scene.succeed("a")
    assert scene.story("/a/") == [
        "attempt 1 began",
        "attempt 1 ended: HttpError 503; again in 1.5 s",
        "timer fired",
        "attempt 2 began",
        "attempt 2 was lost with its process",
        "/a/ paused by ann: too hot",
        "/a/ resumed",
        "attempt 3 began",
        "the attempt timeout passed",
        "failed for good: Timeout the attempt timeout passed",
        "a new round by bob",
        "attempt 4 began",
        "completed",
    ]


def test_the_story_of_the_execution_is_its_own_events() -> None:
    scene = Scene(function("a"), timeout_ms=60_000).start(by="ann")
    scene.signal("go")
    scene.pause()
    scene.resume()
    scene.fail("a")
    scene.retry()
    scene.cancel(reason="enough")
    assert scene.story("/") == [
        "started by ann",
        "signal go received",
        "/ paused",
        "/ resumed",
        "failed",
        "a new round",
        "/ cancel asked for: enough",
        "cancelled",
    ]


def test_stories_of_waits_skips_and_cancelled_tasks() -> None:
    steps = (
        wait("w", config={"signal": "go", "deadline": "1m"}),
        noop("b", "w"),
        function("c", when="false"),
        function("d", is_idempotent=False),
        function("e"),
    )
    scene = Scene(*steps).start()
    scene.lose("d", is_counted=False)
    scene.terminate("/e/")
    scene.cancel("/w/")
    assert scene.story("/w/") == ["waits for signal go", "timer set", "/w/ cancel asked for", "timer cancelled", "cancelled"]
    assert scene.story("/b/") == ["skipped: w was cancelled"]
    assert scene.story("/c/") == ["skipped: its condition is false"]
    assert scene.story("/d/") == ["attempt 1 began", "attempt 1 was given back"]
    assert scene.story("/e/") == ["attempt 1 began", "cancelled"]


def test_a_skip_names_what_caused_it_also_after_a_new_round() -> None:
    scene = Scene(function("fetch"), noop("load", "fetch"), noop("report", "load")).start().fail("fetch")
    assert scene.story("/load/") == ["skipped: fetch failed"]
    assert scene.story("/report/") == ["skipped: load was skipped"]
    assert scene.why("/load/") == "skipped: fetch failed"
    scene.retry()
    scene.admit()
    scene.succeed("fetch")
    assert scene.story("/load/") == ["skipped: fetch failed", "completed"]


def test_why_a_task_does_not_run_in_the_order_in_which_admission_asks() -> None:
    steps = (
        function("a", retry=TWICE),
        function("b", "a"),
        function("c"),
        wait("signal", config={"signal": "go"}),
        wait("time", config={"duration": "1h"}),
        function("stuck", is_idempotent=False),
        function("held"),
    )
    scene = Scene(*steps, max_concurrency=3).start()
    assert scene.why("/a/") == "attempt 1 is running"
    assert scene.why("/b/") == "waits for a (join all_success)"
    assert scene.why("/signal/") == "waits for signal go"
    assert scene.why("/time/") == "waits for its time"
    assert scene.why("/held/") == "max_concurrency 3 of the workflow is reached"
    scene.lose("stuck")
    assert scene.why("/stuck/") == "its attempt was lost and the step is not idempotent: retry or cancel it"
    assert scene.why("/held/") == "waits for a free slot"
    scene.pause("/held/")
    assert scene.why("/held/") == "/held/ is paused"
    scene.fail("a")
    assert scene.why("/a/") == "waits for its next attempt after: no"
    scene.cancel("/c/")
    assert scene.why("/c/") == "attempt 1 was asked to stop"
    assert scene.why("/") == "the execution is running"
    scene.pause()
    assert scene.why("/b/") == "the execution is paused"
    scene.cancel()
    assert scene.why("/b/") == "the execution is being cancelled"
    scene.terminate()
    assert scene.why("/b/") == "never began: the execution is cancelled (terminated)"


def test_why_of_suspects_and_of_tasks_that_have_ended() -> None:
    scene = Scene(function("a"), function("b"), noop("c"), function("d", "b"), function("e")).start()
    for _ in range(2):
        scene.lose("a")
        scene.admit()
    assert scene.why("/a/") == "lost with its process more than once: runs alone, after everything else"
    scene.fail("b")
    assert scene.why("/b/") == "has ended, failed: Boom no"
    assert scene.why("/c/") == "has ended, completed"
    assert scene.why("/d/") == "skipped: b failed"


def test_a_step_with_very_many_dependencies_names_the_first_few() -> None:
    names = [f"s{n}" for n in range(9)]
    scene = Scene(*(function(name) for name in names), noop("end", *names, join=Join.ALL_DONE)).start().succeed("s0")
    assert scene.why("/end/") == "waits for s1, s2, s3, s4, s5 … (join all_done)"


def test_a_path_that_is_not_there_has_no_story() -> None:
    scene = Scene(function("a")).start()
    for tell in (scene.story, scene.why):
        with pytest.raises(NotFoundError):
            tell("/nowhere/")


def test_a_container_tells_what_it_opens_by_name() -> None:
    scene = Scene(
        parallel("side", branches={"left": (noop("l"),), "right": (noop("r"),)}),
        condition("check", cases={"input > 10": (noop("big"),), "": (noop("small"),)}),
        mapped("each", noop("a"), items=[1, 2, 3]),
    ).start(given=1)
    opened = [[line for line in scene.story(path) if line.startswith("opens")] for path in ("/side/", "/check/", "/each/")]
    assert opened == [["opens left, right"], ["opens else"], ["opens [0] to [2]"]]


def test_a_path_that_is_not_there_is_answered_with_those_that_end_so() -> None:
    scene = Scene(mapped("each", noop("a"), items=[1, 2, 3, 4])).start()
    with pytest.raises(NotFoundError) as caught:
        scene.why("/a/")
    assert caught.value.hint == "did you mean /each/[0]/a/ or /each/[1]/a/ or /each/[2]/a/?"
    with pytest.raises(NotFoundError) as caught:
        scene.why("/absent/")
    assert caught.value.hint == "paths look like / or /load/ or /each/[3]/load/"


def test_a_wait_says_which_filter_has_refused_how_many_signals() -> None:
    scene = Scene(wait("letter", config={"signal": "letter", "filter": "event == 7"})).start()
    scene.signal("letter", 8)
    scene.signal("letter", 9)
    assert scene.why("/letter/") == "waits for signal letter; its filter has refused 2: event == 7"
