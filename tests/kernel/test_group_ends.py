"""Groups cut off, retried, paused and read back: what random nested workflows found, each as short as it gets."""

from __future__ import annotations

from typing import Any

import pytest

from taskengine.errors import CommandRefusedError
from taskengine.kernel.advance import advance
from taskengine.kernel.snapshot import dump, restore
from taskengine.model import command as cmd
from taskengine.model.status import Outcome, Status
from taskengine.model.value import Raw, raw
from taskengine.model.workflow import Success
from tests.kernel.machine import must_agree
from tests.kernel.scene import ID, Scene, function, loop, mapped, noop, parallel, wait

OUT = "{{ steps.each.output }}"


def nested(**options: Any) -> Scene:
    """A group in a group, with one running attempt."""
    inner = mapped("inner", function("a"), items=[1])
    return Scene(mapped("each", inner, items=[1], **options), function("other")).start()


def reads_back(scene: Scene) -> None:
    """A fold of everything and a snapshot hold what the live state holds."""
    must_agree(restore(ID, scene.plan, dump(scene.state)), scene.state)
    live = scene.state
    must_agree(scene.crash().state, live, is_judged=False)
    scene.state = live


def test_a_failed_iteration_of_a_loop_that_goes_on_keeps_what_a_retry_of_it_reads() -> None:
    body = (function("a"), function("b", "a", input_mapping={"x": "{{ steps.a.output }}"}))
    rule = Success(at_least=2)
    scene = Scene(loop("each", *body, config={"until": "index == 2", "max_iterations": 3}, success=rule)).start()
    scene.succeed("each/[0]/a", output=7).fail("each/[0]/b").fail("each/[1]/a")
    assert scene.ended == (Status.FAILED, None)
    scene.retry("/each/[0]/b/")
    scene.admit()
    assert bytes(scene.state.live[scene.number("each/[0]/b")].input) == b'{"x":7}'


def test_a_group_that_has_completed_is_read_back_as_it_stands() -> None:
    scene = Scene(mapped("each", function("a"), items=[1, 2, 3]), function("other")).start()
    scene.succeed("each/[0]/a", "each/[1]/a", "each/[2]/a")
    reads_back(scene)


def test_a_scope_that_has_failed_is_read_back_with_its_failures() -> None:
    scene = Scene(parallel("both", branches={"left": (function("a"),), "right": (function("a"),)})).start()
    scene.fail("both/left/a")
    reads_back(scene)


def test_what_ends_in_a_scope_that_was_cut_off_is_read_back_alike() -> None:
    body = (function("a"), function("b"), noop("c", "a", "b"))
    scene = Scene(mapped("each", *body, items=[1]), function("other")).start()
    scene.succeed("each/[0]/a", admit=False)
    scene.cancel("/each/")
    scene.report("each/[0]/b", cmd.Succeeded(Raw(b"1")))
    assert scene.phases("each", "each/[0]/b", "each/[0]/c") == ["cancelled", "completed", "cancelled"]
    reads_back(scene)


def test_a_task_of_a_group_that_has_completed_is_not_retried_after_the_end() -> None:
    each = loop("each", function("a"), config={"until": "false", "max_iterations": 1})
    scene = Scene(each).start()
    scene.terminate("/each/[0]/a/")
    assert scene.phases("each", "each/[0]", "each/[0]/a") == ["failed", "completed", "cancelled"]
    with pytest.raises(CommandRefusedError) as refused:
        scene.retry("/each/[0]/a/")
    assert refused.value.name == "group_completed"


def test_a_retry_of_what_has_completed_is_refused_by_its_own_name() -> None:
    scene = Scene(function("a"), function("b")).start()
    scene.succeed("a")
    with pytest.raises(CommandRefusedError) as refused:
        scene.retry("/a/")
    assert refused.value.name == "task_not_failed"


def test_the_timeout_of_a_group_that_is_being_cancelled_ends_what_does_not_obey() -> None:
    scene = nested(timeout_ms=5_000)
    scene.cancel("/each/")
    scene.at(5)
    assert [type(effect).__name__ for effect in scene.effects if type(effect).__name__ == "Halt"] == ["Halt"]
    assert scene.phases("each", "each/[0]/inner/[0]/a") == ["cancelled", "cancelled"]
    scene.succeed("other")
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)


def test_a_wider_cancel_takes_over_the_attempts_of_one_further_in() -> None:
    scene = nested()
    scene.cancel("/each/[0]/inner/")
    scene.cancel("/each/")
    scene.report("each/[0]/inner/[0]/a", cmd.Abandoned())
    assert scene.phases("each", "each/[0]/inner", "each/[0]/inner/[0]/a") == ["cancelled"] * 3


def test_the_timeout_of_the_execution_ends_a_cancel_of_a_group() -> None:
    scene = Scene(mapped("each", function("a"), items=[1]), timeout_ms=5_000).start()
    scene.cancel("/each/")
    scene.at(5)
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)
    assert not scene.state.sweeps


def test_a_resume_reaches_the_clocks_of_what_is_being_cancelled() -> None:
    inner = mapped("inner", function("a", timeout_ms=10_000), items=[1])
    scene = Scene(mapped("each", inner, items=[1])).start()
    scene.pause("/each/")
    scene.cancel("/each/[0]/inner/")
    scene.at(20).resume("/each/")
    assert scene.status("each/[0]/inner/[0]/a") is Status.RUNNING
    scene.at(30)
    assert scene.phases("each/[0]/inner/[0]/a", "each/[0]/inner") == ["cancelled", "cancelled"]


def test_an_execution_that_was_cancelled_before_a_scope_closed_is_read_back_alike() -> None:
    scene = Scene(mapped("each", function("a"), items=[1, 2])).start()
    scene.succeed("each/[0]/a", admit=False)
    scene.cancel()
    scene.report("each/[1]/a", cmd.Succeeded(raw(1)))
    assert scene.ended == (Status.CANCELLED, None)
    reads_back(scene)


def test_a_state_that_was_read_back_goes_on_in_the_same_order() -> None:
    naps = {name: (wait("a", config={"duration": seconds}),) for name, seconds in (("left", "2s"), ("right", "1s"))}
    groups = {"p": (parallel("inner", branches=naps),), "q": (mapped("inner", function("a"), items=[1, 2]),)}
    scene = Scene(parallel("both", branches=groups), mapped("each", function("a"), items=[1, 2])).start()
    scene.pause()
    for path in ("both/q/inner/[1]/a", "each/[1]/a", "each/[0]/a", "both/q/inner/[0]/a"):
        scene.succeed(path, admit=False)
    live = scene.state
    twin = scene.crash().state
    scene.state = live
    expected = advance(twin, cmd.Resume(at=0)).events
    assert scene.resume().events == expected
