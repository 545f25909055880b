"""Steps that the kernel performs itself: noop and wait. They take no slot and leave their events."""

from __future__ import annotations

from typing import Any

import pytest

from taskengine.errors import CommandRefusedError, LimitError
from taskengine.kernel.advance import advance
from taskengine.kernel.decide import SIGNAL_LIMIT
from taskengine.model import command as cmd
from taskengine.model.status import Status
from taskengine.model.value import NONE
from tests.kernel.scene import Scene, function, noop, wait


def test_noops_end_within_the_turn_that_makes_them_ready_and_take_no_slot() -> None:
    scene = Scene(noop("a"), noop("b", "a"), noop("c", "b")).start(admit=0)
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.types(scene.history) == ["ExecutionStarted", *["TaskCompleted"] * 3, "ExecutionCompleted"]


def test_a_wait_for_a_duration_ends_when_it_is_over_never_before() -> None:
    scene = Scene(wait("w", config={"duration": "90s"})).start()
    assert scene.state.wake_at == 90_000
    assert scene.at(89.999).phases() == ["waiting"]
    assert scene.at(90).ended == (Status.COMPLETED, None)


def test_a_duration_may_come_from_the_input() -> None:
    scene = Scene(wait("w", config={"duration": "{{ input.pause }}"})).start(given={"pause": "5s"})
    assert scene.state.wake_at == 5_000


def test_a_wait_until_an_instant_that_has_passed_is_over_at_once() -> None:
    config = {"until": "1970-01-01T00:00:30Z"}
    assert Scene(wait("w", config=config)).start().state.wake_at == 30_000
    late = Scene(wait("w", config=config))
    late.now = 31_000
    assert late.start().ended == (Status.COMPLETED, None)


def test_a_signal_ends_the_wait_for_its_name_and_its_data_is_the_output() -> None:
    scene = Scene(wait("w", config={"signal": "go", "deadline": "1h"}), output="{{ steps.w.output.by }}").start()
    scene.signal("other")
    assert scene.phases() == ["waiting"]
    scene.signal("go", {"by": "me"})
    assert scene.types() == ["SignalReceived", "TimerCancelled", "TaskCompleted", "ExecutionCompleted"]
    assert scene.output == "me"
    assert scene.state.wake_at is None


def test_early_signals_wait_in_order() -> None:
    steps = (function("a"), wait("first", "a", config={"signal": "go"}), wait("second", "first", config={"signal": "go"}))
    scene = Scene(*steps, output=["{{ steps.first.output }}", "{{ steps.second.output }}"]).start()
    for data in (1, 2, 3):
        scene.signal("go", data)
    scene.succeed("a")
    assert scene.output == [1, 2]
    assert scene.state.signal_count == 1


def test_one_signal_is_taken_by_one_wait_the_one_that_has_waited_longest() -> None:
    scene = Scene(function("a"), wait("late", "a", config={"signal": "go"}), wait("early", config={"signal": "go"})).start()
    scene.succeed("a")
    scene.signal("go")
    assert scene.phases() == ["completed", "waiting", "completed"]
    scene.signal("go")
    assert scene.ended[0] is Status.COMPLETED


def test_signals_wait_in_a_pause_and_are_taken_in_order_after_it() -> None:
    scene = Scene(wait("w", config={"signal": "go"}), output="{{ steps.w.output }}").start()
    scene.pause()
    scene.signal("go", "first")
    scene.signal("go", "second")
    assert scene.phases() == ["waiting"]
    scene.resume()
    assert scene.output == "first"


def test_a_paused_wait_does_not_listen_and_another_one_takes_the_signal() -> None:
    scene = Scene(wait("a", config={"signal": "go"}), wait("b", config={"signal": "go"})).start()
    scene.pause("/a/")
    scene.signal("go")
    assert scene.phases() == ["waiting", "completed"]
    scene.signal("go")
    assert scene.phases() == ["waiting", "completed"]
    scene.resume("/a/")
    assert scene.ended[0] is Status.COMPLETED


def test_a_waits_time_stands_still_in_a_pause() -> None:
    scene = Scene(wait("w", config={"duration": "10s"})).start().at(4)
    scene.pause()
    scene.at(100)
    scene.resume()
    assert scene.at(105.9).phases() == ["waiting"]
    assert scene.at(106).phases() == ["completed"]


def test_a_cancelled_wait_cancels_its_timer() -> None:
    scene = Scene(wait("w", config={"duration": "10s"}), function("a")).start()
    scene.cancel("/w/")
    assert scene.types() == ["SubtreeCancelled", "TimerCancelled", "TaskCancelled"]
    assert scene.state.wake_at is None


def test_an_output_mapping_shapes_what_later_steps_see_of_a_signal() -> None:
    step = wait("w", config={"signal": "go"}, output_mapping={"who": "{{ output.by }}"})
    scene = Scene(step, output="{{ steps.w.output }}").start()
    scene.signal("go", {"by": "me", "secret": 1})
    assert scene.output == {"who": "me"}


def test_a_signal_whose_mapping_fails_fails_the_wait_and_is_not_lost() -> None:
    step = wait("w", config={"signal": "go", "deadline": "1h"}, output_mapping={"who": "{{ output.by }}"})
    scene = Scene(step, function("a")).start()
    scene.signal("go", {})
    assert scene.error("w").type == "ExpressionError"
    assert scene.error("w").message.startswith("output_mapping: ")
    assert scene.state.signal_count == 1


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({}, "none"),
        ({"duration": "1s", "signal": "go"}, "duration and signal"),
        ({"duration": "soon"}, "soon"),
        ({"until": "tomorrow"}, "tomorrow"),
        ({"until": "2026-01-01T00:00:00"}, "time zone"),
        ({"signal": ""}, "text"),
        ({"signal": 7}, "text"),
        ({"signal": "go", "deadline": -1}, "between"),
    ],
)
def test_a_wait_that_makes_no_sense_fails_by_name(config: dict[str, Any], word: str) -> None:
    scene = Scene(wait("w", config=config)).start()
    assert scene.error("w").type == "ValidationError"
    assert word in scene.error("w").message
    assert scene.ended[0] is Status.FAILED


def test_a_config_that_cannot_be_rendered_fails_by_name() -> None:
    scene = Scene(wait("w", config={"duration": "{{ input.missing }}"})).start(given={})
    assert scene.error("w").type == "ExpressionError"
    assert scene.error("w").message.startswith("config: ")


def test_a_wait_can_be_retried_and_waits_again() -> None:
    scene = Scene(wait("w", config={"signal": "go", "deadline": "1s"}), function("a")).start().at(1)
    assert scene.phases("w") == ["failed"]
    scene.retry("/w/")
    assert scene.phases("w") == ["waiting"]
    assert scene.state.live[1].attempt == 2
    scene.signal("go")
    assert scene.phases("w") == ["completed"]


def test_signals_that_nobody_takes_are_bounded_and_refused_by_name() -> None:
    scene = Scene(wait("w", config={"signal": "go"})).start()
    command = cmd.Signal(at=0, name="nobody", data=NONE)
    for _ in range(SIGNAL_LIMIT):
        advance(scene.state, command)
    with pytest.raises(LimitError) as refused:
        advance(scene.state, command)
    assert refused.value.name == "signal_queue_full"
    assert refused.value.facts["limit"] == scene.state.signal_count == SIGNAL_LIMIT


def test_a_finished_execution_takes_no_signal() -> None:
    scene = Scene(noop("a")).start()
    with pytest.raises(CommandRefusedError) as refused:
        scene.signal("go")
    assert refused.value.name == "execution_already_finished"
