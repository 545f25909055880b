"""A fork: a new execution that takes over what had ended before a step, and begins anew from there."""

from __future__ import annotations

import random
from typing import Any

import pytest

from taskengine.errors import CommandRefusedError, LimitError, NotFoundError
from taskengine.kernel import fork as forks
from taskengine.kernel.fork import heritage
from taskengine.kernel.story import story
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.status import Outcome, Status
from taskengine.model.value import Json, TaskError, raw
from taskengine.model.workflow import Join, OnFailure, Step
from tests.amounts import amount
from tests.kernel.scene import ID, Scene, function, mapped, noop, wait

ORIGIN = "ex_11111111111111111111111111"


def forked(scene: Scene, path: str, *steps: Step, given: Json = None, admit: bool = True, **options: Any) -> Scene:
    """A fork of a scene, of other steps when there are some."""
    other = Scene(*(steps or scene.workflow.steps), **options)
    other.observer = None
    found = heritage(scene.state, scene.history, other.plan, path)
    other.do(
        cmd.Fork(
            at=0,
            workflow_id="wf_1",
            workflow_version="1",
            seed=7,
            input=raw(given),
            variables=dict(found.variables),
            origin=ORIGIN,
            path=path,
            tasks=found.tasks,
        )
    )
    if admit:
        other.admit()
    return other


def running(scene: Scene) -> list[str]:
    return [step.id for number, step in enumerate(scene.state.steps) if number and scene.state.phase[number] == 2]


def reading(name: str, *depends_on: str, **options: Any) -> Step:
    """A step that is given what those before it gave."""
    given = {one: f"{{{{ steps.{one}.output }}}}" for one in depends_on}
    return function(name, *depends_on, input_mapping=given, **options)


def chain() -> Scene:
    scene = Scene(function("a"), reading("b", "a"), reading("c", "b"), reading("d", "c")).start()
    for name in "abcd":
        scene.succeed(name, output=name.upper())
    return scene


def test_what_comes_before_is_taken_over_and_the_step_and_all_after_it_begin_anew() -> None:
    fork = forked(chain(), "/c/")
    assert running(fork) == ["c"]
    assert bytes(fork.state.live[fork.number("c")].input) == b'{"b":"B"}'
    fork.succeed("c").succeed("d")
    assert fork.ended == (Status.COMPLETED, None)
    scheduled = [event.task for event in fork.history if isinstance(event, ev.TaskScheduled)]
    assert scheduled == [fork.number("c"), fork.number("d")]
    assert (fork.state.forked_from, fork.state.forked_at) == (ORIGIN, "/c/")


def test_branches_beside_the_step_are_taken_over_when_they_have_ended() -> None:
    steps = (function("a"), function("b", "a"), function("x"), function("y", "x"), reading("z", "b", "y"))
    scene = Scene(*steps).start()
    scene.succeed("a").succeed("x", output=1).succeed("b", output=2)
    fork = forked(scene, "/b/")
    assert sorted(running(fork)) == ["b", "y"]
    fork.succeed("b", "y", output=3)
    assert bytes(fork.state.live[fork.number("z")].input) == b'{"b":3,"y":3}'


def test_failed_and_skipped_steps_are_taken_over_with_what_they_came_to() -> None:
    steps = (
        function("a"),
        function("b", "a"),
        function("rescue", "a", join=Join.ANY_FAILED, handles=("Boom",)),
        function("c"),
    )
    scene = Scene(*steps).start()
    scene.fail("a").succeed("rescue").succeed("c")
    fork = forked(scene, "/c/")
    statuses = [fork.state.status_of(fork.number(name)) for name in ("a", "b", "rescue", "c")]
    assert statuses == [Status.FAILED, Status.SKIPPED, Status.COMPLETED, Status.RUNNING]
    fork.succeed("c")
    assert fork.ended[0] is Status.COMPLETED  # the failure had been handled
    scene = Scene(function("a"), function("c")).start()
    scene.fail("a").succeed("c")
    fork = forked(scene, "/c/").succeed("c")
    assert fork.ended[0] is Status.FAILED
    assert fork.state.error == TaskError(type="Boom", message="/a/ no")
    fork.retry("/")
    assert fork.admit() == ["a"]


def test_a_fork_from_everything_is_a_fresh_start() -> None:
    scene, fresh = chain(), Scene(*chain().workflow.steps)
    fresh.start()
    fork = forked(scene, "/")
    assert [one for one in fork.history if not isinstance(one, ev.ExecutionForked)] == fresh.history


@pytest.mark.parametrize("seed", range(amount(test=40, nightly=2_000)))
def test_a_fork_of_any_graph_from_any_step_ends_as_a_whole_run_does(seed: int) -> None:
    rng = random.Random(seed)
    steps = random_steps(rng)
    origin = _played(Scene(*steps).start(), rng)
    roots = [step.id for step in steps if not step.depends_on]
    if len(roots) == 1:
        fork = forked(origin, f"/{roots[0]}/")
        assert [one for one in fork.history if not isinstance(one, ev.ExecutionForked)] == Scene(*steps).start().history
    step = rng.choice(steps)
    fork = forked(origin, f"/{step.id}/")
    ended = fork.history[1]
    assert isinstance(ended, ev.ExecutionForked)
    assert fork.number(step.id) not in {one.task for one in ended.tasks}
    _played(fork, rng)
    assert fork.state.is_finished
    again = forked(fork, f"/{step.id}/", admit=False).history[1]
    assert isinstance(again, ev.ExecutionForked)
    assert {one.task for one in ended.tasks} <= {one.task for one in again.tasks}


def random_steps(rng: random.Random) -> list[Step]:
    steps: list[Step] = []
    for name in "abcdefgh"[: rng.randint(1, 8)]:
        earlier = [step.id for step in steps]
        depends_on = sorted(rng.sample(earlier, min(len(earlier), rng.choice((0, 1, 1, 2, 3)))))
        joins = list(Join) if depends_on else [Join.ALL_SUCCESS]
        handles = ("Boom",) if rng.random() < 0.5 else ()
        make = rng.choice((reading, reading, noop)) if not handles else noop
        join = rng.choice(joins)
        if make is reading:
            steps.append(function(name, *depends_on, join=join))
        else:
            steps.append(noop(name, *depends_on, join=join, handles=handles))
    return steps


def _played(scene: Scene, rng: random.Random) -> Scene:
    for _ in range(500):
        names = running(scene)
        if scene.state.is_finished:
            break
        if names:
            name = rng.choice(names)
            scene.succeed(name, output=name) if rng.random() < 0.8 else scene.fail(name)
        else:
            scene.at(scene.now / 1_000 + 3_600).admit()
    return scene


def test_steps_are_matched_by_id_between_versions() -> None:
    scene = chain()
    newer = (function("new"), reading("b", "a"), function("a"), reading("c", "b", "new"), reading("d", "c"))
    fork = forked(scene, "/d/", *newer)
    assert running(fork) == ["new"]  # and so c is not taken over either
    fork.succeed("new", output=0)
    assert bytes(fork.state.live[fork.number("c")].input) == b'{"b":"B","new":0}'


def test_a_step_that_only_the_newer_version_has_can_be_forked_from() -> None:
    fork = forked(chain(), "/e/", function("a"), reading("b", "a"), reading("e", "b"))
    assert running(fork) == ["e"]


def test_a_fork_of_a_fork_knows_what_the_first_execution_gave() -> None:
    again = forked(forked(chain(), "/c/"), "/b/")
    assert running(again) == ["b"]
    assert bytes(again.state.live[again.number("b")].input) == b'{"a":"A"}'


def test_a_container_is_taken_over_whole_and_cannot_be_forked_inside() -> None:
    each = mapped("each", function("x"), items=[1, 2], depends_on=("a",))
    scene = Scene(function("a"), each, reading("b", "each")).start()
    scene.succeed("a").succeed("each/[0]/x", output=10).succeed("each/[1]/x", output=20)
    fork = forked(scene, "/b/")
    assert bytes(fork.state.live[fork.number("b")].input) == b'{"each":[10,20]}'
    assert len(fork.state.steps) == 4
    fork.succeed("b")
    assert fork.ended == (Status.COMPLETED, None)
    for path in ("/each/[1]/x/", "/each/[0]/", "/each/[9]/"):
        with pytest.raises(CommandRefusedError) as caught:
            heritage(scene.state, scene.history, scene.plan, path)
        assert (caught.value.name, caught.value.hint) == ("fork_inside_group", "fork from /each/")
    anew = forked(scene, "/each/")
    assert anew.succeed("each/[0]/x", output=1).state.status is Status.RUNNING
    with pytest.raises(NotFoundError):
        heritage(scene.state, scene.history, scene.plan, "/nowhere/")


def test_a_fork_never_undoes_what_it_has_taken_over() -> None:
    undo = Step(id="", type="function")
    steps = (function("a", compensate=undo), function("b", "a", compensate=undo), function("c", "b"))
    scene = Scene(*steps).start()
    scene.succeed("a").succeed("b").succeed("c")
    fork = forked(scene, "/b/", on_failure=OnFailure.COMPENSATE)
    fork.succeed("b").fail("c", admit=False)
    assert fork.admit() == ["b/[undo]"]
    fork.succeed("b/[undo]")
    assert fork.ended == (Status.FAILED, Outcome.COMPENSATED)


def test_what_was_undone_has_to_be_done_again() -> None:
    undo = Step(id="", type="function")
    steps = (function("a"), function("b", "a", compensate=undo), function("c", "b"))
    scene = Scene(*steps, on_failure=OnFailure.COMPENSATE).start()
    scene.succeed("a").succeed("b").fail("c").succeed("b/[undo]")
    assert running(forked(scene, "/c/")) == ["b"]


def test_variables_are_as_they_were_when_the_step_began() -> None:
    steps = (
        Step(id="before", type="set", config={"n": "{{ variables.n + 1 }}"}),
        function("a", "before"),
        function("b", "a"),
        Step(id="after", type="set", config={"n": "{{ variables.n + 10 }}"}, depends_on=("b",)),
    )
    scene = Scene(*steps).start(variables={"n": 0, "m": 0})
    scene.do(cmd.SetVariables(at=0, values={"m": raw(5)}))
    scene.succeed("a")
    scene.do(cmd.SetVariables(at=0, values={"m": raw(7)}))
    scene.succeed("b")
    seen = {name: bytes(value) for name, value in scene.state.variables.items()}
    assert seen == {"n": b"11", "m": b"7"}
    fork = forked(scene, "/b/")
    assert {name: bytes(value) for name, value in fork.state.variables.items()} == {"n": b"1", "m": b"5"}
    assert dict(forked(scene, "/").history[0].variables) == {"n": raw(0), "m": raw(0)}  # type: ignore[union-attr]


def test_a_fork_of_what_still_runs_takes_over_what_has_ended() -> None:
    scene = Scene(function("a"), wait("w", "a", config={"signal": "go"}), function("b", "w")).start()
    scene.succeed("a")
    fork = forked(scene, "/b/")
    assert fork.state.status is Status.WAITING
    fork.signal("go")
    assert fork.admit() == ["b"]


def test_more_than_one_event_may_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "MOST_TAKEN_BYTES", 5)
    scene = chain()
    heritage(scene.state, scene.history, scene.plan, "/b/")
    with pytest.raises(LimitError, match="gave 6 bytes, 5 can be taken over"):
        heritage(scene.state, scene.history, scene.plan, "/c/")


def test_its_story_says_where_it_comes_from() -> None:
    fork = forked(chain(), "/c/")
    assert [line.text for line in story(fork.state, fork.history, "/")][1] == f"forked from {ORIGIN}, beginning with /c/"
    assert [line.text for line in story(fork.state, fork.history, "/b/")] == [f"taken over from {ORIGIN}, completed"]


def test_an_empty_part_before_the_step_is_no_trouble() -> None:
    scene = Scene(noop("a"), noop("b", "a")).start()
    assert scene.ended[0] is Status.COMPLETED
    assert forked(scene, "/a/").ended[0] is Status.COMPLETED
    assert scene.state.execution_id == ID


def test_a_step_that_a_person_skipped_is_taken_over_as_done() -> None:
    scene = Scene(function("a"), function("b", "a"), function("c", "b")).start()
    scene.fail("a")
    scene.skip("/a/", "ann", "not needed")
    scene.admit()
    scene.succeed("b").succeed("c")
    fork = forked(scene, "/b/")
    assert running(fork) == ["b"]
    assert fork.why("/a/") == "skipped: by ann: not needed"
