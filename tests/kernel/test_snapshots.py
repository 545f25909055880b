"""A snapshot says what the history says; one that makes no sense is refused, so that the history is read instead."""

from __future__ import annotations

import pytest

from taskengine.kernel.advance import advance, fold
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.snapshot import dump, restore
from taskengine.model import command as cmd
from taskengine.model.value import NONE
from taskengine.model.workflow import Join, RetryPolicy, Workflow
from tests.kernel.machine import must_agree
from tests.kernel.scene import ID, Scene, function, noop, wait


def everything() -> Scene:
    """A scene with something of every kind in its state."""
    scene = Scene(
        function("done"),
        function("running", timeout_ms=60_000, config={"params": {"x": "{{ input.x }}"}}),
        function("failed"),
        function("held", retry=RetryPolicy(max_attempts=3)),
        function("retrying", retry=RetryPolicy(max_attempts=3)),
        wait("first", config={"signal": "go", "deadline": "1h"}),
        wait("second", config={"signal": "go"}),
        function("stuck", is_idempotent=False),
        function("suspect"),
        function("reads", "done", "running", when="steps.done.output == 1"),
        function("judged", "done", when="steps.done.output == 1"),
        noop("pending", "reads", "failed", join=Join.ALL_DONE),
        output="{{ steps.done.output }}",
        timeout_ms=3_600_000,
    ).start(given={"x": 1}, variables={"n": 2}, business_key="k", priority=3, pins={"child": "2"})
    scene.succeed("done", output=1, admit=False)
    scene.lose("stuck")
    scene.lose("suspect")
    scene.do(cmd.Admit(at=0, slots=1))
    scene.lose("suspect")
    scene.fail("failed", "retrying", "held", admit=False)
    scene.pause("/held/")
    scene.at(20)
    scene.pause()
    scene.at(30)
    scene.resume()
    scene.pause()
    scene.signal("go", {"early": True})
    scene.at(40)
    scene.cancel("/running/")
    return scene


def test_a_restored_state_equals_the_one_it_was_taken_from_field_by_field() -> None:
    scene = everything()
    document = dump(scene.state)
    restored = restore(ID, scene.plan, document)
    must_agree(restored, scene.state)
    assert dump(restored) == document


def test_who_has_waited_longest_survives_a_snapshot() -> None:
    steps = (function("a"), wait("late", "a", config={"signal": "go"}), wait("early", config={"signal": "go"}))
    scene = Scene(*steps).start().succeed("a")
    scene.state = restore(ID, scene.plan, dump(scene.state))
    scene.signal("go")
    assert scene.phases() == ["completed", "waiting", "completed"]


def test_a_snapshot_and_what_came_after_it_say_the_same_as_the_whole_history() -> None:
    scene = everything()
    for seq in range(1, len(scene.history)):
        early = fold(ID, scene.plan, scene.history[:seq])
        late = fold(ID, scene.plan, scene.history[seq:], state=restore(ID, scene.plan, dump(early)))
        must_agree(late, fold(ID, scene.plan, scene.history), is_judged=False)


def test_payloads_of_a_restored_state_do_not_keep_the_document_alive() -> None:
    scene = everything()
    document = dump(scene.state)
    restored = restore(ID, scene.plan, document)
    for value in (restored.input, *restored.variables.values(), *restored.outputs.values(), restored.live[2].input):
        assert memoryview(value).obj != document


@pytest.mark.parametrize(
    ("text", "damaged"),
    [
        (b'"input":{"x":1},"pauses":1}', b""),
        (b'{"form":2', b'{"form":99'),
        (b'"phase":"', b'"phase":"AAAA'),
        (b'"listening":[', b'"listening":[77,'),
        (b'"unjudged":[', b'"unjudged":[3,'),
        (b'"matchable":[', b'"matchable":["nobody",'),
        (b'"status_at_end":null', b'"status_at_end":"sleeping"'),
    ],
)
def test_a_damaged_snapshot_is_refused(text: bytes, damaged: bytes) -> None:
    scene = everything()
    document = dump(scene.state)
    assert text in document
    with pytest.raises(ValueError):  # noqa: PT011 msgspec's own error is one
        restore(ID, scene.plan, document.replace(text, damaged))


def test_a_snapshot_of_another_workflow_is_refused() -> None:
    scene = everything()
    with pytest.raises(ValueError, match="does not fit"):
        restore(ID, compile_plan(Workflow(name="other", steps=(function("a"),))), dump(scene.state))


def test_the_size_of_a_snapshot_is_that_of_the_state_not_of_the_history() -> None:
    sizes: list[int] = []
    for rounds in (1, 200):
        scene = Scene(function("a"), noop("b", "a"))
        scene.do(cmd.Start(at=0, workflow_id="", workflow_version="", seed=0, input=NONE))
        for _ in range(rounds):
            for command in (cmd.Pause(at=0), cmd.Resume(at=0)):
                advance(scene.state, command)
        sizes.append(len(dump(scene.state)))
    assert sizes[1] - sizes[0] < 10
