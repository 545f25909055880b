"""Who begins when a slot is free: the most urgent first, then in the order of the document, within max_concurrency."""

from __future__ import annotations

from taskengine.kernel.queue import ReadyQueue
from taskengine.model.workflow import RetryPolicy
from tests.kernel.scene import Scene, function, noop, wait


def test_without_priorities_steps_begin_in_the_order_of_the_document() -> None:
    scene = Scene(*(function(name) for name in "cab")).start(admit=0)
    assert scene.admit(2) == ["c", "a"]
    assert scene.admit(2) == ["b"]


def test_the_most_urgent_begins_first() -> None:
    scene = Scene(function("a", priority=1), function("b"), function("c", priority=9), function("d", priority=5)).start(admit=0)
    assert scene.admit() == ["c", "b", "d", "a"]


def test_steps_without_a_priority_have_the_one_the_execution_was_started_with() -> None:
    scene = Scene(function("a", priority=6), function("b")).start(admit=0, priority=8)
    assert scene.admit() == ["b", "a"]
    scene = Scene(function("a", priority=6), function("b")).start(admit=0)
    assert scene.admit() == ["a", "b"]


def test_an_urgent_step_that_becomes_ready_later_overtakes() -> None:
    scene = Scene(function("a"), function("b"), function("c"), function("urgent", "a", priority=9)).start(admit=1)
    scene.succeed("a", admit=False)
    assert scene.admit() == ["urgent", "b", "c"]


def test_no_more_begin_than_there_are_slots() -> None:
    scene = Scene(*(function(name) for name in "abc")).start(admit=0)
    assert [len(scene.admit(slots)) for slots in (0, 1, 1, 5)] == [0, 1, 1, 1]


def test_max_concurrency_bounds_running_attempts_and_waits_take_no_slot() -> None:
    steps = (*(function(name) for name in "abcd"), wait("w", config={"signal": "go"}), noop("n"))
    scene = Scene(*steps, max_concurrency=2).start()
    assert scene.phases() == ["running", "running", "ready", "ready", "waiting", "completed"]
    assert scene.admit() == []
    scene.succeed("b")
    assert scene.phases("a", "b", "c", "d") == ["running", "completed", "running", "ready"]


def test_max_concurrency_bounds_suspects_too() -> None:
    scene = Scene(function("a"), function("b"), max_concurrency=1).start()
    scene.lose("a")
    scene.admit()
    scene.lose("a")
    assert scene.admit() == ["b"]
    assert scene.admit(0, suspect_slots=1) == []
    scene.succeed("b")
    assert scene.admit(0, suspect_slots=1) == ["a"]


def test_an_attempt_that_waits_for_its_interval_holds_no_slot() -> None:
    steps = (function("a", retry=RetryPolicy(max_attempts=2)), function("b"))
    scene = Scene(*steps, max_concurrency=1).start().fail("a")
    assert scene.phases() == ["retrying", "running"]


def test_a_task_whose_input_cannot_be_made_gives_its_slot_to_the_next() -> None:
    scene = Scene(function("a", config={"params": {"x": "{{ input.x }}"}}), function("b")).start(given={}, admit=0)
    assert scene.admit(1) == ["b"]
    assert scene.phases() == ["failed", "running"]


def test_a_condition_that_was_true_before_a_crash_is_evaluated_again_and_the_step_begins() -> None:
    scene = Scene(function("a"), function("b", "a", when="steps.a.output > 1")).start().succeed("a", output=2, admit=False)
    assert not scene.state.is_idle
    scene.crash()
    assert not scene.state.is_idle
    assert scene.admit() == ["b"]


def test_the_queue_finds_the_most_urgent_whatever_was_taken_out() -> None:
    queue = ReadyQueue()
    for number in range(1_000):
        queue.add(number, number % 10)
        queue.add(number, number % 10)
    for number in range(1_000):
        if number % 10 > 2:
            queue.discard(number)
            queue.discard(number)
    assert len(queue) == 300
    assert list(queue)[:2] == [(2, 2), (2, 12)]
    assert queue.first() == (2, 2)
    for number in range(0, 1_000, 10):
        queue.discard(number + 2)
    assert queue.first() == (1, 1)
    queue.add(999, 9)
    assert queue.first() == (9, 999)


def test_a_task_that_is_paused_and_resumed_forever_does_not_make_the_queue_grow() -> None:
    queue = ReadyQueue()
    queue.add(1, 9)
    for _ in range(10_000):
        queue.add(2, 5)
        queue.discard(2)
    assert len(queue._heap) < 100  # noqa: SLF001 what is not seen is what must not grow
    assert queue.first() == (9, 1)
