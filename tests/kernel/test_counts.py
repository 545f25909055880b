"""What people count are steps: what a container opens is counted apart."""

from __future__ import annotations

from taskengine.model.status import Outcome, Phase, Status
from taskengine.model.value import TaskError
from taskengine.model.workflow import Success
from tests.kernel.scene import Scene, function, mapped, noop


def test_counts_are_of_steps_and_not_of_what_a_container_opens() -> None:
    scene = Scene(mapped("each", function("a"), items=[1, 2, 3], success=Success(at_least=1)), noop("after", "each")).start()
    state = scene.state
    assert (state.size, state.count(Phase.EXPANDED), state.count(Phase.RUNNING), state.open_count) == (5, 1, 3, 5)
    scene.succeed("each/[0]/a").fail("each/[1]/a", error=TaskError(type="Boom")).succeed("each/[2]/a")
    assert scene.ended == (Status.COMPLETED, Outcome.PARTIAL)
    assert (state.size, state.count(Phase.COMPLETED), state.count(Phase.FAILED), state.open_count) == (5, 4, 1, 0)


def test_counts_are_right_after_a_new_round() -> None:
    scene = Scene(mapped("each", function("a"), items=[1, 2])).start()
    scene.succeed("each/[0]/a").fail("each/[1]/a", error=TaskError(type="Boom"))
    assert [scene.state.count(phase) for phase in (Phase.COMPLETED, Phase.FAILED)] == [1, 2]
    scene.retry()
    assert [scene.state.count(phase) for phase in (Phase.COMPLETED, Phase.EXPANDED, Phase.READY)] == [1, 1, 1]
    scene.admit()
    scene.succeed("each/[1]/a")
    assert (scene.state.size, scene.state.count(Phase.COMPLETED)) == (3, 3)
