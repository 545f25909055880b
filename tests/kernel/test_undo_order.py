"""What is undone before what, where steps did not end in the order of the graph."""

from __future__ import annotations

import pytest

from taskengine.kernel.advance import fold
from taskengine.kernel.snapshot import dump, restore
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import Join, Step, Success
from tests.kernel.scene import ID, Scene, function, loop, mapped, noop, parallel
from tests.kernel.test_saga import failing, undoable, undone


def undo_all(scene: Scene) -> list[list[str]]:
    """Let every compensation succeed; those that were at work together, in turn."""
    waves: list[list[str]] = []
    while not scene.state.is_finished:
        running = [number for number, task in scene.state.live.items() if task.is_launched]
        waves.append(sorted(scene.state.path_of(number).removesuffix("[undo]/") for number in running))
        scene.succeed(*(scene.state.path_of(number).strip("/") for number in running))
    assert scene.ended == (Status.FAILED, Outcome.COMPENSATED)
    return waves


def overtaking(join: Join = Join.ANY_SUCCESS) -> Scene:
    """``ship`` needs one of two; ``slow`` ends after it."""
    steps = (undoable("quick"), undoable("before"), undoable("slow", "before"))
    ship = function("ship", "quick", "slow", join=join, compensate=Step(id="", type="function"))
    return failing(*steps, ship, function("end", "ship", "slow")).succeed("quick").succeed("ship", "before").succeed("slow")


def test_what_ended_after_a_step_that_did_not_wait_for_it_is_undone_before_it() -> None:
    scene = overtaking().fail("end")
    assert undo_all(scene) == [["/slow/"], ["/before/"], ["/ship/"], ["/quick/"]]
    assert undone(scene) == ["slow", "before", "ship", "quick"]


def test_what_ended_while_it_worked_is_undone_after_it_as_the_graph_has_it() -> None:
    steps = (undoable("quick"), undoable("slow"))
    ship = function("ship", "quick", "slow", join=Join.ANY_SUCCESS, compensate=Step(id="", type="function"))
    scene = failing(*steps, ship, function("end", "ship")).succeed("quick").succeed("slow").succeed("ship").fail("end")
    assert undo_all(scene) == [["/ship/"], ["/quick/", "/slow/"]]


def test_the_order_is_strict_also_beyond_the_next_step_and_through_containers() -> None:
    middle = function("m", "w", "x", join=Join.ANY_SUCCESS)
    scene = failing(undoable("w"), undoable("x"), middle, undoable("z", "m"), function("end", "z", "x"))
    scene.succeed("w").succeed("m").succeed("x").succeed("z").fail("end")
    assert undo_all(scene) == [["/z/"], ["/x/"], ["/w/"]]

    both = parallel("c", branches={"l": (undoable("quick"), undoable("slow"))})
    hasty = function("d", "a", "c", join=Join.ANY_SUCCESS, compensate=Step(id="", type="function"))
    scene = failing(undoable("a"), both, hasty, function("end", "d", "c"))
    scene.succeed("c/l/quick").succeed("a").succeed("d").succeed("c/l/slow").fail("end")
    assert undo_all(scene) == [["/c/l/slow/"], ["/d/"], ["/a/"], ["/c/l/quick/"]]


def test_what_is_in_a_container_that_began_before_all_it_depends_on_had_ended_is_undone_in_order() -> None:
    both = parallel("c", "quick", "slow", branches={"l": (undoable("one"), undoable("two", "one"))}, join=Join.ANY_SUCCESS)
    scene = failing(undoable("quick"), undoable("slow"), both, function("end", "c"))
    scene.succeed("quick").succeed("c/l/one").succeed("slow").succeed("c/l/two").fail("end")
    assert undo_all(scene) == [["/c/l/two/"], ["/slow/"], ["/c/l/one/"], ["/quick/"]]


def test_what_stands_beside_a_block_whose_order_is_not_the_graphs_is_undone_side_by_side() -> None:
    inner = (undoable("quick"), undoable("slow"), function("m", "quick", "slow", join=Join.ANY_SUCCESS), undoable("z", "m"))
    both = parallel("c", branches={"l": inner, "r": (undoable("one"), undoable("two"))})
    scene = failing(both, function("end", "c"))
    scene.succeed("c/l/quick", "c/r/one", "c/r/two").succeed("c/l/m").succeed("c/l/z").succeed("c/l/slow").fail("end")
    assert undo_all(scene) == [["/c/l/slow/", "/c/r/one/", "/c/r/two/"], ["/c/l/z/"], ["/c/l/quick/"]]


@pytest.mark.parametrize("how", ["snapshot", "history"])
@pytest.mark.parametrize("is_under_way", [False, True])
def test_the_order_outlives_the_process(how: str, *, is_under_way: bool) -> None:
    scene = overtaking()
    if is_under_way:
        scene.fail("end")
        scene.succeed("slow/[undo]")
    scene.state = restore(ID, scene.plan, dump(scene.state)) if how == "snapshot" else fold(ID, scene.plan, scene.history)
    if not is_under_way:
        scene.fail("end")
        scene.succeed("slow/[undo]")
    assert undo_all(scene) == [["/before/"], ["/ship/"], ["/quick/"]]


def test_a_step_that_was_skipped_before_what_it_waited_for_had_ended_changes_no_order() -> None:
    late, spoilt = undoable("late"), function("spoilt", "bad", "late")
    after = function("after", "spoilt", join=Join.ALL_DONE, compensate=Step(id="", type="function"))
    scene = failing(function("bad"), late, spoilt, after).fail("bad")
    assert scene.succeed("after").phases("spoilt", "after", "late") == ["skipped", "completed", "running"]
    scene.succeed("late")
    assert undo_all(scene) == [["/late/"], ["/after/"]]


def test_a_join_that_is_skipped_while_others_work_leaves_the_branches_side_by_side() -> None:
    scene = failing(undoable("a"), undoable("b"), function("bad"), undoable("after", "a", "b", "bad"), noop("last", "after"))
    scene.fail("bad").succeed("a").succeed("b")
    assert undo_all(scene) == [["/a/", "/b/"]]


def test_what_a_person_skipped_before_what_it_waited_for_had_ended_lets_others_overtake_it() -> None:
    scene = failing(undoable("slow"), function("held", "slow"), undoable("next", "held"), function("end", "next", "slow"))
    scene.skip("/held/", by="ada", reason="not needed")
    scene.admit()
    scene.succeed("next").succeed("slow").fail("end")
    assert undo_all(scene) == [["/slow/"], ["/next/"]]


def test_a_step_that_is_done_again_is_undone_before_those_that_did_not_wait_for_its_second_time() -> None:
    first = undoable("first")
    then = function("then", "first", join=Join.ALL_DONE, compensate=Step(id="", type="function"))
    scene = failing(first, then, function("hold")).fail("first").succeed("then")
    scene.retry("/first/")
    scene.admit()
    scene.succeed("first").fail("hold")
    assert undo_all(scene) == [["/first/"], ["/then/"]]


def again(scene: Scene) -> Scene:
    """The second of three iterations fails, and is done again while the third is at work: it ends after that."""
    scene.succeed("each/[0]/a").fail("each/[1]/a")
    scene.retry("/each/[1]/a/")
    scene.admit()
    return scene.succeed("each/[2]/a").succeed("each/[1]/a")


def test_an_iteration_that_is_done_again_is_undone_by_when_it_ended() -> None:
    config = {"items": "{{ [0, 1, 2] }}", "max_concurrency": 1}
    each = loop("each", undoable("a"), config=config, success=Success(when="children.failed < 9"))
    scene = again(failing(each, function("hold")))
    scene.fail("hold")
    assert undo_all(scene) == [["/each/[1]/a/"], ["/each/[2]/a/"], ["/each/[0]/a/"]]


def test_iterations_side_by_side_are_undone_side_by_side_whenever_they_ended() -> None:
    scene = again(failing(mapped("each", undoable("a"), items="{{ [0, 1, 2] }}"), function("hold")))
    scene.fail("hold")
    assert undo_all(scene) == [["/each/[0]/a/", "/each/[1]/a/", "/each/[2]/a/"]]
