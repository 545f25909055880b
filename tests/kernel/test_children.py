"""Executions that start each other: what one tells the other, when, and that nobody is waited for in vain."""

from __future__ import annotations

from typing import Any

import pytest

from taskengine.errors import CommandRefusedError
from taskengine.kernel.advance import advance
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.snapshot import dump, restore
from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model.codec import encode_event
from taskengine.model.effect import Post, StartChild
from taskengine.model.status import Outcome, Status
from taskengine.model.value import Parent, TaskError, decode, raw
from taskengine.model.workflow import OnFailure, RetryPolicy, Step, Workflow
from tests.kernel.scene import ID, Scene, function, mapped


def sub(name: str = "sub", *depends_on: str, detach: bool = False, **options: Any) -> Step:
    config = {"workflow": "child", "version": "2", "detach": detach} if detach else {"workflow": "child", "version": "2"}
    return Step(id=name, type="workflow", depends_on=depends_on, config=config, input_mapping={"x": "{{ input }}"}, **options)


def letters(scene: Scene) -> list[Any]:
    """What the last command posted."""
    return [effect.letter for effect in scene.effects if isinstance(effect, Post)]


def names(scene: Scene) -> list[str]:
    return [type(letter).__name__ for letter in letters(scene)]


def started(**options: Any) -> Scene:
    scene = Scene(sub(**options), function("after", "sub"), output="{{ steps.sub.output }}")
    return scene.start(given=5, admit=0)


def end(
    scene: Scene, name: str = "sub", *, status: Status = Status.COMPLETED, output: Any = None, error: TaskError | None = None
) -> None:
    number = scene.number(name)
    task = scene.state.live[number]
    scene.do(
        cmd.ChildEnded(
            at=scene.now, task=number, attempt=task.attempt, child=task.child, status=status, output=raw(output), error=error
        )
    )


def test_a_step_starts_a_child_and_gives_what_it_gave() -> None:
    scene = started()
    (letter,) = letters(scene)
    assert isinstance(letter, StartChild)
    assert (letter.workflow, letter.version, decode(letter.input)) == ("child", "2", {"x": 5})
    assert letter.parent == Parent(execution_id=ID, task=1, attempt=1, root_id=ID, depth=1, key=f"{ID}/sub/")
    (post,) = [effect for effect in scene.effects if isinstance(effect, Post)]
    assert post.execution_id == scene.state.children[1] == scene.state.live[1].child
    assert scene.status("sub") is Status.WAITING
    end(scene, output={"y": 1})
    scene.admit()
    scene.succeed("after")
    assert scene.ended == (Status.COMPLETED, None)
    assert scene.output == {"y": 1}


def test_the_ids_of_children_are_those_of_their_attempts() -> None:
    scene, other = started(), started()
    assert scene.state.children == other.state.children
    two = Scene(sub("a"), sub("b")).start(given=1)
    assert len(set(two.state.children.values())) == 2


def test_a_child_that_takes_too_long_is_ended_and_another_one_begins() -> None:
    scene = started(timeout_ms=10_000, retry=RetryPolicy(max_attempts=2, jitter=0.0))
    first = scene.state.children[1]
    assert scene.at(9.999).status("sub") is Status.WAITING
    scene.at(10)
    assert scene.types() == ["TaskTimedOut", "TaskRetryScheduled"]
    (told,) = [effect for effect in scene.effects if isinstance(effect, Post)]
    assert (told.execution_id, type(told.letter)) == (first, cmd.Terminate)
    scene.at(11)
    assert scene.state.children[1] != first
    scene.at(20.999)
    assert scene.status("sub") is Status.WAITING
    scene.at(21)
    assert scene.error("sub").message == "the attempt timeout passed"
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)


def test_a_child_that_takes_too_long_is_not_tried_again_when_the_policy_lists_timeouts() -> None:
    scene = started(timeout_ms=10_000, retry=RetryPolicy(max_attempts=3, non_retryable_errors=("Timeout",))).at(10)
    assert scene.types() == ["TaskTimedOut", "TaskFailed", "TaskSkipped", "ExecutionFailed"]


def test_the_total_timeout_spans_all_children_of_a_step() -> None:
    again = RetryPolicy(max_attempts=10, initial_interval_ms=1_000, backoff_coefficient=1.0, jitter=0.0)
    scene = started(total_timeout_ms=10_000, retry=again)
    scene.at(6)
    end(scene, status=Status.FAILED, error=TaskError(type="Boom", message="no"))
    scene.at(7)
    assert scene.status("sub") is Status.WAITING
    assert scene.state.wake_at == 10_000
    scene.at(10)
    assert scene.error("sub").message == "the total timeout passed"
    assert names(scene) == ["Terminate"]


def test_the_total_timeout_passes_between_two_children() -> None:
    again = RetryPolicy(max_attempts=10, initial_interval_ms=5_000, jitter=0.0)
    scene = started(total_timeout_ms=10_000, retry=again)
    scene.at(6)
    end(scene, status=Status.FAILED, error=TaskError(type="Boom", message="no"))
    scene.at(10)
    assert scene.error("sub").message == "the total timeout passed"
    assert names(scene) == []


def test_a_child_that_fails_is_tried_again_as_another_one() -> None:
    scene = started(retry=RetryPolicy(max_attempts=2, jitter=0.0))
    first = scene.state.children[1]
    end(scene, status=Status.FAILED, error=TaskError(type="Boom", message="no"))
    scene.at(1)
    assert scene.state.children[1] != first
    end(scene, status=Status.FAILED, error=TaskError(type="Boom", message="no"))
    assert scene.ended == (Status.FAILED, None)
    assert scene.error("sub").message.endswith(": no")


def calls(name: str, workflow: str, *, version: str = "", **options: Any) -> Step:
    config = {"workflow": workflow, "version": version} if version else {"workflow": workflow}
    return Step(id=name, type="workflow", config=config, **options)


def pinned(*steps: Step, versions: dict[str, str], **options: Any) -> Scene:
    return Scene(*steps, **options).start(given=5, admit=0, pins=versions)


def versions(scene: Scene) -> list[tuple[str, str]]:
    """The workflows that the last command starts, and their versions."""
    return [(letter.workflow, letter.version) for letter in letters(scene) if isinstance(letter, StartChild)]


def test_a_step_that_names_no_version_starts_the_one_that_its_execution_began_with() -> None:
    steps = [calls("one", "child"), calls("two", "{{ 'child' }}"), calls("three", "child", version="9"), calls("four", "other")]
    scene = pinned(*steps, versions={"child": "3"})
    assert versions(scene) == [("child", "3"), ("child", "3"), ("child", "9"), ("other", "")]


def test_a_child_that_begins_later_has_the_same_version_in_a_retry_in_an_item_and_in_what_undoes() -> None:
    undo = Step(id="", type="workflow", config={"workflow": "undo"})
    retry = RetryPolicy(max_attempts=2, initial_interval_ms=0)
    each = mapped("each", calls("sub", "child", retry=retry), items=[1, 2], config={"max_concurrency": 1}, compensate=undo)
    stop = Step(id="stop", type="fail", depends_on=("each",), config={"message": "no"})
    scene = pinned(each, stop, versions={"child": "3", "undo": "4"}, on_failure=OnFailure.COMPENSATE)
    begun = versions(scene)
    for name, status in (("each/[0]/sub", Status.FAILED), ("each/[0]/sub", Status.COMPLETED), ("each/[1]/sub", Status.COMPLETED)):
        scene.state = restore(ID, scene.plan, dump(scene.state))
        end(scene, name, status=status)
        begun += versions(scene)
    assert begun == [("child", "3")] * 3 + [("undo", "4")]


def test_a_start_without_such_steps_says_nothing_of_versions() -> None:
    assert b"pins" not in encode_event(started().history[0])
    assert b"pins" not in dump(started().state)
    begun = encode_event(pinned(calls("one", "child"), versions={"child": "3"}).history[0])
    assert b'"pins":{"child":"3"}' in begun


def test_what_an_earlier_child_says_is_refused() -> None:
    scene = started(retry=RetryPolicy(max_attempts=2, jitter=0.0))
    first = scene.state.children[1]
    end(scene, status=Status.FAILED)
    scene.at(1)
    with pytest.raises(CommandRefusedError):
        scene.do(cmd.ChildEnded(at=scene.now, task=1, attempt=1, child=first, status=Status.COMPLETED))


def test_what_a_detached_child_gives_is_mapped_too() -> None:
    scene = started(detach=True, output_mapping={"it": "{{ output.execution_id }}"})
    assert scene.phases("sub") == ["completed"]
    assert bytes(scene.state.outputs[1]).startswith(b'{"it":"ex_')
    assert started(detach=True, output_mapping={"it": "{{ output.x }}"}).phases("sub") == ["failed"]


def test_a_child_that_is_paused_is_not_paused_again() -> None:
    scene = Scene(mapped("each", sub(), items=[1])).start(given=5)
    scene.pause("/each/[0]/sub/")
    assert names(scene) == ["Pause"]
    for path in ("/each/", "/", "/each/[0]/"):
        scene.pause(path)
        assert names(scene) == []
    for path in ("/each/[0]/sub/", "/", "/each/"):
        scene.resume(path)
        assert names(scene) == []
    scene.resume("/each/[0]/")
    assert names(scene) == ["Resume"]


def test_a_detached_child_is_not_waited_for_and_not_reached() -> None:
    scene = started(detach=True)
    (letter,) = letters(scene)
    assert letter.parent.is_detached
    assert scene.phases("sub") == ["completed"]
    scene.cancel()
    assert names(scene) == []


def test_pause_resume_and_cancel_cross_over_and_a_cancel_waits_for_the_child() -> None:
    scene = started()
    scene.pause()
    assert names(scene) == ["Pause"]
    scene.resume()
    assert names(scene) == ["Resume"]
    scene.pause("/sub/")
    assert names(scene) == ["Pause"]
    scene.pause()
    scene.resume()
    assert names(scene) == []
    scene.cancel()
    assert names(scene) == ["Resume", "Cancel"]
    assert not scene.state.is_finished
    end(scene, status=Status.CANCELLED)
    assert scene.ended == (Status.CANCELLED, None)


def test_a_cancel_of_the_step_and_of_a_group_around_it_wait_for_the_child() -> None:
    scene = started()
    scene.cancel("/sub/")
    assert names(scene) == ["Cancel"]
    end(scene, status=Status.CANCELLED)
    assert scene.phases("sub", "after") == ["cancelled", "skipped"]
    scene = Scene(mapped("each", sub(), items=[1, 2])).start(given=1)
    scene.cancel("/each/")
    assert names(scene) == ["Cancel", "Cancel"]
    end(scene, "each/[0]/sub", status=Status.CANCELLED)
    assert scene.phases("each") == ["expanded"]
    end(scene, "each/[1]/sub", status=Status.COMPLETED)
    assert scene.phases("each", "each/[1]/sub") == ["cancelled", "completed"]


def test_a_terminate_and_a_timeout_end_the_child_and_wait_for_nothing() -> None:
    scene = started()
    scene.terminate("/sub/")
    assert names(scene) == ["Terminate"]
    scene = started()
    scene.terminate()
    assert names(scene) == ["Terminate"]
    scene = started(timeout_ms=5_000)
    scene.at(5)
    assert names(scene) == ["Terminate"]
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)
    scene = Scene(mapped("each", sub(), items=[1], timeout_ms=5_000)).start(given=1)
    scene.at(5)
    assert names(scene) == ["Terminate"]


def test_a_child_tells_its_parent_how_it_ended() -> None:
    plan = compile_plan(Workflow(name="child", version="2", steps=(function("a"),), output="{{ steps.a.output }}"))
    state = Execution("ex_00000000000000000000000001", plan)
    parent = Parent(execution_id=ID, task=1, attempt=1, root_id=ID)
    advance(state, cmd.Start(at=0, workflow_id="wf_2", workflow_version="2", seed=1, input=raw(None), parent=parent))
    advance(state, cmd.Admit(at=0, slots=1))
    turn = advance(state, cmd.Report(at=0, task=1, attempt=1, end=cmd.Succeeded(raw(7))))
    (post,) = [effect for effect in turn.effects if isinstance(effect, Post)]
    assert post.execution_id == ID
    assert isinstance(post.letter, cmd.ChildEnded)
    assert (post.letter.task, post.letter.status, decode(post.letter.output)) == (1, Status.COMPLETED, 7)


def test_a_signal_step_tells_another_execution() -> None:
    step = Step(id="tell", type="signal", config={"signal": "done", "execution": "{{ input }}", "data": {"n": 1}})
    scene = Scene(step).start(given="ex_00000000000000000000000009", admit=0)
    (letter,) = letters(scene)
    assert isinstance(letter, cmd.Signal)
    assert (letter.name, decode(letter.data)) == ("done", {"n": 1})
    assert scene.ended == (Status.COMPLETED, None)
