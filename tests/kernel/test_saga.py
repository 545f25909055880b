"""Compensation: what was done is undone, last first, once each, whatever happens on the way."""

from __future__ import annotations

import random
from typing import Any

import pytest

from taskengine.errors import CommandRefusedError
from taskengine.kernel.advance import fold
from taskengine.kernel.snapshot import dump, restore
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.status import Outcome, Status
from taskengine.model.value import ABSENT, TaskError
from taskengine.model.workflow import OnFailure, RetryPolicy, Step, Success
from tests.kernel.scene import ID, Scene, function, loop, mapped, noop, parallel


def undoable(name: str, *depends_on: str, **options: Any) -> Step:
    """A step with a compensation that is told what the step gave."""
    undo = Step(id="", type="function", input_mapping={"gave": f"{{{{ steps.{name}.output }}}}"}, **options)
    return function(name, *depends_on, compensate=undo)


def failing(*steps: Step, **options: Any) -> Scene:
    return Scene(*steps, on_failure=OnFailure.COMPENSATE, **options).start()


def undone(scene: Scene) -> list[str]:
    """The paths of compensations that completed, in order."""
    completed = [event.task for event in scene.history if isinstance(event, ev.TaskCompleted)]
    return [scene.state.path_of(task).split("/")[-3] for task in completed if task >= scene.state.undo_from]


def chain() -> Scene:
    scene = failing(undoable("a"), undoable("b", "a"), function("c", "b"), undoable("d", "c"), function("e", "d"))
    for name in "abcd":
        scene.succeed(name, output=name)
    return scene


def test_completed_steps_are_undone_in_reverse_order_and_are_told_what_they_gave() -> None:
    scene = chain()
    scene.fail("e", admit=False)
    assert scene.admit() == ["d/[undo]"]
    assert bytes(scene.state.live[scene.number("d/[undo]")].input) == b'{"gave":"d"}'
    assert scene.state.status is Status.RUNNING
    for name in "dba":
        scene.succeed(f"{name}/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)
    assert scene.state.error is not None
    assert (scene.state.error.type, scene.state.error.message) == ("Boom", "/e/ no")
    assert undone(scene) == ["d", "b", "a"]
    assert scene.types(scene.history[-3:]) == ["TaskCompleted", "CompensationCompleted", "ExecutionFailed"]


def test_without_the_wish_or_without_anything_to_undo_a_failure_is_a_failure() -> None:
    scene = Scene(undoable("a"), function("b", "a")).start()
    scene.succeed("a").fail("b")
    assert scene.ended == (Status.FAILED, None)
    scene = failing(undoable("a"))
    scene.fail("a")
    assert scene.ended == (Status.FAILED, None)


def test_branches_are_undone_side_by_side_and_what_is_before_them_after_both() -> None:
    scene = failing(undoable("a"), undoable("b", "a"), undoable("c", "a"), function("d", "b", "c"))
    scene.succeed("a").succeed("c").succeed("b")
    scene.fail("d", admit=False)
    assert sorted(scene.admit()) == ["b/[undo]", "c/[undo]"]
    scene.succeed("b/[undo]", admit=False)
    assert scene.admit() == []
    scene.succeed("c/[undo]", admit=False)
    assert scene.admit() == ["a/[undo]"]


def test_what_is_inside_containers_is_undone_where_it_stands() -> None:
    each = mapped("each", undoable("x"), undoable("y", "x"), items=[1, 2], depends_on=("a",))
    both = parallel(
        "both", "each", branches={"left": (undoable("z"),), "right": (noop("n"),)}, compensate=Step(id="", type="function")
    )
    scene = failing(undoable("a"), each, both, function("end", "both"))
    for path in ("a", "each/[0]/x", "each/[1]/x", "each/[0]/y", "each/[1]/y", "both/left/z"):
        scene.succeed(path)
    scene.fail("end", admit=False)
    assert scene.admit() == ["both/[undo]"]
    scene.succeed("both/[undo]", admit=False)
    assert scene.admit() == ["both/left/z/[undo]"]
    scene.succeed("both/left/z/[undo]", admit=False)
    assert scene.admit() == ["each/[1]/y/[undo]", "each/[0]/y/[undo]"]
    for path in ("each/[1]/y", "each/[1]/x", "each/[0]/y"):
        scene.succeed(f"{path}/[undo]")
    assert scene.phase("a/[undo]").name == "PENDING"
    scene.succeed("each/[0]/x/[undo]").succeed("a/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)


def test_a_loop_is_undone_backwards() -> None:
    scene = failing(loop("each", undoable("x"), config={"items": [1, 2, 3]}), function("end", "each"))
    for index in range(3):
        scene.succeed(f"each/[{index}]/x", output=index)
    scene.fail("end", admit=False)
    for index in (2, 1, 0):
        assert scene.admit() == [f"each/[{index}]/x/[undo]"]
        scene.succeed(f"each/[{index}]/x/[undo]", admit=False)
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)


@pytest.mark.parametrize("config", [{"max_concurrency": 1}, {}])
def test_blocks_without_steps_are_no_obstacle_to_what_is_before_them(config: dict[str, Any]) -> None:
    branches = {"left": (), "right": (undoable("x"),), "last": ()}
    both = parallel("both", "a", branches=branches, config=config)
    empty = parallel("empty", "both", branches={"only": ()}, config=config)
    scene = failing(
        undoable("a"), both, empty, loop("none", config={"items": [1, 2, 3]}, depends_on=("empty",)), function("end", "none")
    )
    scene.succeed("a").succeed("both/right/x").fail("end", admit=False)
    assert scene.admit() == ["both/right/x/[undo]"]
    scene.succeed("both/right/x/[undo]").succeed("a/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)


def test_nothing_is_retried_while_what_was_done_is_undone() -> None:
    scene = failing(undoable("a"), undoable("b", retry=RetryPolicy(max_attempts=2)), function("c"), function("d", "a", "b"))
    scene.succeed("a").succeed("b").fail("c").fail("d").fail("a/[undo]").fail("b/[undo]")
    assert scene.phases("c", "d", "a/[undo]", "b/[undo]") == ["failed", "failed", "failed", "retrying"]
    for path in ("/c/", "/d/", "/a/[undo]/"):
        with pytest.raises(CommandRefusedError) as caught:
            scene.retry(path)
        assert caught.value.name == "compensating"
    scene.retry("/b/[undo]/")
    scene.admit()
    scene.succeed("b/[undo]")
    scene.retry("/a/[undo]/")
    scene.admit()
    scene.succeed("a/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)


def test_a_retry_of_one_compensation_goes_on_with_what_it_stood_before() -> None:
    scene = failing(undoable("a"), undoable("b", "a"), undoable("x"), function("end", "b", "x"))
    for name in "axb":
        scene.succeed(name)
    scene.fail("end").fail("x/[undo]").fail("b/[undo]")
    assert scene.phases("a/[undo]", "b/[undo]", "x/[undo]") == ["cancelled", "failed", "failed"]
    scene.retry("/b/[undo]/")
    scene.admit()
    scene.succeed("b/[undo]").succeed("a/[undo]")
    assert (scene.ended, scene.error("x/[undo]").type) == ((Status.FAILED, None), "Boom")
    scene.retry()
    scene.admit()
    scene.succeed("x/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)


def test_a_retry_of_one_compensation_after_a_terminate_leaves_the_others_cancelled() -> None:
    scene = failing(undoable("a"), undoable("b"), function("end", "a", "b"))
    scene.succeed("a").succeed("b").fail("end")
    scene.terminate()
    scene.retry("/b/[undo]/")
    assert scene.admit() == ["b/[undo]"]
    scene.succeed("b/[undo]")
    assert scene.ended == (Status.FAILED, None)
    scene.retry()
    scene.admit()
    scene.succeed("a/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)


def test_a_compensation_that_is_terminated_before_it_begins_stops_nothing_else() -> None:
    scene = failing(undoable("a"), undoable("b", "a"), undoable("c", "b"), undoable("x"), function("end", "c", "x"))
    for name in "abcx":
        scene.succeed(name)
    scene.fail("end")
    scene.terminate("/a/[undo]/")
    scene.succeed("c/[undo]").succeed("b/[undo]")
    assert not scene.state.is_finished
    scene.succeed("x/[undo]")
    assert scene.ended == (Status.FAILED, None)
    failed = next(event for event in scene.history if isinstance(event, ev.CompensationFailed))
    assert [scene.state.path_of(task) for task in failed.tasks] == ["/a/[undo]/"]


@pytest.mark.parametrize("path", ["/each/[0]/", "/each/[0]/x/"])
def test_what_undoes_a_paused_task_waits_until_that_is_resumed_also_when_it_had_ended(path: str) -> None:
    scene = failing(mapped("each", undoable("x"), items=[1, 2]), function("end"))
    scene.pause(path)
    scene.succeed("each/[0]/x").succeed("each/[1]/x")
    scene.fail("end", admit=False)
    assert scene.admit() == ["each/[1]/x/[undo]"]
    assert scene.state.status_of(scene.state.number_of("/each/[0]/x/[undo]/")) is Status.PAUSED
    assert scene.phases("each/[0]/x/[undo]") == ["ready"]
    assert restore(ID, scene.plan, dump(scene.state)).paused == scene.state.paused
    scene.resume(path)
    assert scene.admit() == ["each/[0]/x/[undo]"]
    scene.succeed("each/[0]/x/[undo]").succeed("each/[1]/x/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)


def test_what_a_step_gave_is_kept_alike_for_its_compensation_in_a_block_that_failed() -> None:
    inner = (undoable("x"), function("y", "x", input_mapping={"x": "{{ steps.x.output }}"}))
    each = mapped("each", *inner, items=[1], success=Success(when="children.failed < 2"))
    scene = failing(each, function("end")).succeed("each/[0]/x", output=1).fail("each/[0]/y")
    assert scene.phase("each").name == "COMPLETED"
    assert restore(ID, scene.plan, dump(scene.state)).unread == scene.state.unread


def test_a_graph_that_is_being_undone_is_read_back_from_a_snapshot_as_it_is() -> None:
    scene = failing(undoable("a"), function("b"), function("end", "a", "b"))
    scene.succeed("a").fail("b")
    assert scene.state.saga is not None
    assert scene.state.tally == restore(ID, scene.plan, dump(scene.state)).tally == {}


def test_a_container_that_failed_is_undone_as_far_as_it_came() -> None:
    scene = failing(loop("each", undoable("x"), config={"items": [1, 2, 3]}))
    scene.succeed("each/[0]/x").fail("each/[1]/x", admit=False)
    assert scene.admit() == ["each/[0]/x/[undo]"]


def test_a_compensation_has_a_retry_policy_of_its_own() -> None:
    scene = failing(undoable("a", retry=RetryPolicy(max_attempts=2, jitter=0.0)), function("b", "a"))
    scene.succeed("a").fail("b").fail("a/[undo]")
    assert not scene.state.is_finished
    scene.at(1).admit()
    scene.succeed("a/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)


def test_a_compensation_that_fails_for_good_leaves_what_it_stands_before_and_a_retry_goes_on() -> None:
    scene = chain()
    scene.fail("e").succeed("d/[undo]").fail("b/[undo]", error=TaskError(type="Bank", message="closed"))
    assert scene.ended == (Status.FAILED, None)
    assert scene.state.error is not None
    assert scene.state.error.message == "/e/ no; not undone: /b/[undo]/ closed; /a/[undo]/"
    assert scene.phases("a/[undo]", "b/[undo]", "d/[undo]") == ["cancelled", "failed", "completed"]
    failed = next(event for event in scene.history if isinstance(event, ev.CompensationFailed))
    assert [scene.state.path_of(task) for task in failed.tasks] == ["/b/[undo]/", "/a/[undo]/"]
    with pytest.raises(CommandRefusedError):
        scene.retry("/e/")
    scene.retry()
    assert scene.admit() == ["b/[undo]"]
    scene.succeed("b/[undo]").succeed("a/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)
    assert undone(scene) == ["d", "b", "a"]
    with pytest.raises(CommandRefusedError):
        scene.retry()


def test_a_cancel_may_ask_for_compensation() -> None:
    scene = Scene(undoable("a"), function("b", "a")).start()
    scene.succeed("a")
    scene.do(cmd.Cancel(at=0, path="/", compensates=True, reason="enough"))
    scene.report("b", cmd.Abandoned())
    assert scene.state.status is Status.RUNNING
    assert scene.admit() == ["a/[undo]"]
    with pytest.raises(CommandRefusedError):
        scene.cancel()
    scene.succeed("a/[undo]")
    assert scene.ended == (Status.CANCELLED, Outcome.COMPENSATED)


def test_a_timeout_of_the_execution_is_a_failure_too() -> None:
    scene = Scene(undoable("a"), function("b", "a"), on_failure=OnFailure.COMPENSATE, timeout_ms=5_000).start()
    scene.succeed("a").at(5)
    assert [type(effect).__name__ for effect in scene.effects if type(effect).__name__ == "Halt"] == ["Halt"]
    assert scene.admit() == ["a/[undo]"]
    scene.succeed("a/[undo]")
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)
    assert scene.state.error is not None
    assert scene.state.error.type == "Timeout"


def test_compensation_can_be_paused_and_terminated() -> None:
    scene = chain()
    scene.fail("e")
    scene.pause()
    scene.succeed("d/[undo]")
    assert scene.admit() == []
    scene.resume()
    assert scene.admit() == ["b/[undo]"]
    scene.terminate()
    assert scene.ended == (Status.CANCELLED, Outcome.TERMINATED)


def test_a_lost_compensation_is_begun_again_with_the_same_input() -> None:
    scene = chain()
    scene.fail("e").lose("d/[undo]")
    assert scene.admit() == ["d/[undo]"]
    scene.crash()
    for name in "dba":
        scene.succeed(f"{name}/[undo]")
    assert undone(scene) == ["d", "b", "a"]


@pytest.mark.parametrize("seed", range(40))
def test_each_step_is_undone_once_and_after_what_came_later_whatever_is_lost(seed: int) -> None:
    dice = random.Random(seed)
    names = [f"s{number}" for number in range(dice.randint(3, 9))]
    edges = {name: tuple(sorted(dice.sample(names[:place], min(place, dice.randint(0, 2))))) for place, name in enumerate(names)}
    steps = [undoable(name, *edges[name]) if dice.random() < 0.8 else function(name, *edges[name]) for name in names]
    scene = failing(*steps, function("end", *names))
    order: list[str] = []
    while not scene.state.is_finished:
        running = [number for number, task in scene.state.live.items() if task.is_launched]
        number = dice.choice(running)
        name = scene.state.path_of(number).strip("/")
        if name == "end":
            scene.fail("end")
        elif dice.random() < 0.3:
            scene.lose(name)
            scene.state = fold(ID, scene.plan, scene.history) if dice.random() < 0.5 else restore(ID, scene.plan, dump(scene.state))
            scene.admit(suspect_slots=1)
        else:
            scene.report(name, cmd.Succeeded(ABSENT))
            scene.admit(suspect_slots=1)
        order = undone(scene) if scene.state.saga is not None else order
    assert scene.state.outcome is Outcome.COMPENSATED
    assert sorted(order) == sorted(step.id for step in steps if step.compensate is not None)
    came_after: dict[str, set[str]] = {name: set() for name in names}
    for name in reversed(names):
        for before in edges[name]:
            came_after[before] |= {name} | came_after[name]
    for place, name in enumerate(order):
        assert came_after[name] & set(order) <= set(order[:place]), f"{name} was undone before what came after it"


def test_a_compensation_inside_a_map_knows_its_item_also_from_a_snapshot() -> None:
    undo = Step(id="", type="function", input_mapping={"it": "{{ item }}", "n": "{{ index }}"})
    scene = failing(mapped("each", function("x", compensate=undo), items=["p", "q"]), function("end", "each"))
    scene.succeed("each/[0]/x").succeed("each/[1]/x")
    scene.state = restore(ID, scene.plan, dump(scene.state))
    scene.fail("end")
    assert bytes(scene.state.live[scene.number("each/[1]/x/[undo]")].input) == b'{"it":"q","n":1}'
