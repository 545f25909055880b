"""Steps that ask people: who may decide, until when, what follows from a decision, and what makes it wait."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from taskengine.errors import CommandRefusedError
from taskengine.kernel.timing import Clock
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import Join
from tests.kernel.scene import Scene, approval, function, mapped

OUT = "{{ steps.ok.output }}"


def refusal(scene: Scene, path: str = "/ok/", *, by: str = "") -> CommandRefusedError:
    with pytest.raises(CommandRefusedError) as refused:
        scene.approve(path, by)
    return refused.value


def test_an_approval_waits_for_a_decision_and_gives_what_was_said() -> None:
    scene = Scene(approval("ok", approvers=["ann", "bob"], message="ship {{ input }}?"), output=OUT).start(given=7)
    assert scene.status("ok") is Status.WAITING
    assert scene.state.is_idle
    assert b"ship 7?" in bytes(scene.state.live[1].input)
    assert scene.why("/ok/") == "waits for the decision of ann, bob"
    scene.approve("/ok/", "bob", "fine", {"amount": 3})
    assert scene.types() == ["ApprovalDecided", "TaskCompleted", "ExecutionCompleted"]
    assert scene.output == {"approved": True, "by": "bob", "comment": "fine", "data": {"amount": 3}}
    assert scene.story("/ok/") == ["asks for a decision", "approved by bob: fine", "completed"]


def test_a_rejection_is_a_failure_that_a_later_step_can_handle() -> None:
    mend = function("mend", "ok", join=Join.ANY_FAILED, handles=("Rejected",))
    scene = Scene(approval("ok"), mend, function("ship", "ok")).start()
    scene.reject("/ok/", "ann", "too dear")
    assert (scene.error("ok").type, scene.error("ok").message) == ("Rejected", "too dear")
    assert scene.phases("ok", "ship") == ["failed", "skipped"]
    scene.admit()
    scene.succeed("mend")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_rejection_without_a_comment_says_who_rejected() -> None:
    scene = Scene(approval("ok")).start()
    scene.reject("/ok/", "ann")
    assert scene.error("ok").message == "by ann"
    assert scene.ended == (Status.FAILED, None)
    assert scene.story("/ok/")[1] == "rejected by ann"


def test_without_approvers_anybody_may_decide() -> None:
    scene = Scene(approval("ok"), output=OUT).start()
    assert scene.why("/ok/") == "waits for the decision of anybody"
    scene.approve("/ok/")
    assert scene.output == {"approved": True, "by": "", "comment": "", "data": None}


def test_only_those_who_were_asked_may_decide() -> None:
    scene = Scene(approval("ok", approvers=["ann", "bob"]), approval("two", "ok")).start()
    error = refusal(scene, by="eve")
    assert (error.name, error.hint) == ("not_an_approver", "ask ann, bob")
    assert refusal(scene).name == "not_an_approver"
    assert refusal(scene, "/two/").name == "not_waiting_for_approval"
    scene.approve("/ok/", "ann")
    assert refusal(scene, by="ann").name == "not_waiting_for_approval"


def test_only_an_approval_is_decided() -> None:
    scene = Scene(function("a"), approval("ok")).start()
    assert refusal(scene, "/a/").name == "not_waiting_for_approval"
    assert refusal(scene, "/").name == "not_waiting_for_approval"


def test_a_question_that_nobody_answers_in_time_fails_as_timed_out() -> None:
    scene = Scene(approval("ok", deadline="2h")).start()
    assert scene.at(7_199.999).phases() == ["waiting"]
    scene.at(7_200)
    assert scene.types() == ["TaskTimedOut", "TaskFailed", "ExecutionFailed"]
    assert scene.ended == (Status.FAILED, Outcome.TIMED_OUT)
    assert refusal(scene).name == "not_waiting_for_approval"


def test_a_decision_stops_the_clocks() -> None:
    scene = Scene(approval("ok", deadline="2h", escalation={"after": "1h", "to": ["bob"]}), function("a")).start()
    assert scene.state.wake_at == 3_600_000
    scene.approve("/ok/")
    assert scene.types() == ["ApprovalDecided", "TimerCancelled", "TaskCompleted"]
    assert scene.state.wake_at is None


def test_after_a_while_others_may_decide_too() -> None:
    step = approval("ok", approvers=["ann"], deadline="2h", escalation={"after": "1h", "to": ["bob", "ann"]})
    scene = Scene(step, output="{{ steps.ok.output.by }}").start()
    assert refusal(scene, by="bob").name == "not_an_approver"
    scene.at(3_600)
    assert scene.types() == ["ApprovalEscalated"]
    assert scene.why("/ok/") == "waits for the decision of ann, bob"
    assert scene.state.wake_at == 7_200_000
    scene.crash()
    scene.approve("/ok/", "bob")
    assert scene.output == "bob"
    assert "nobody has decided in time: bob, ann may decide too" in scene.story("/ok/")


def test_of_a_deadline_and_an_escalation_at_once_the_deadline_counts() -> None:
    scene = Scene(approval("ok", deadline="1h", escalation={"after": "1h", "to": ["bob"]})).start().at(3_600)
    assert scene.types() == ["TaskTimedOut", "TaskFailed", "ExecutionFailed"]


@pytest.mark.parametrize("path", ["/", "/ok/"])
def test_in_a_pause_the_clocks_stand_still_and_a_decision_is_refused(path: str) -> None:
    scene = Scene(approval("ok", approvers=["ann"], deadline="2h", escalation={"after": "1h", "to": ["bob"]})).start().at(600)
    scene.pause(path)
    assert refusal(scene, by="ann").name == "paused"
    scene.at(100_000)
    assert scene.status("ok") is Status.PAUSED
    scene.resume(path)
    assert scene.state.wake_at == 103_000_000
    assert scene.at(103_000).types() == ["ApprovalEscalated"]
    scene.approve("/ok/", "bob")
    assert scene.ended == (Status.COMPLETED, None)


def test_a_retry_asks_anew_with_the_first_approvers_and_new_clocks() -> None:
    step = approval("ok", approvers=["ann"], deadline="2h", escalation={"after": "1h", "to": ["bob"]})
    scene = Scene(step).start().at(3_600)
    scene.reject("/ok/", "bob")
    scene.retry()
    assert scene.phases() == ["waiting"]
    assert scene.state.live[1].attempt == 2
    assert refusal(scene, by="bob").name == "not_an_approver"
    assert scene.state.wake_at == 7_200_000
    scene.approve("/ok/", "ann")
    assert scene.ended == (Status.COMPLETED, None)


@pytest.mark.parametrize("word", ["cancel", "terminate"])
def test_a_question_can_be_taken_back(word: str) -> None:
    scene = Scene(approval("ok", escalation={"after": "1h", "to": ["bob"]}), function("a")).start()
    getattr(scene, word)("/ok/")
    assert "TimerCancelled" in scene.types()
    assert scene.phases("ok") == ["cancelled"]
    assert scene.state.wake_at is None


def test_nobody_decides_what_is_being_cancelled() -> None:
    scene = Scene(approval("ok", escalation={"after": "1h", "to": ["bob"]}), function("a")).start()
    scene.cancel()
    assert refusal(scene).name == "already_cancelling"
    assert not scene.state.timers.has(1, Clock.ESCALATE)


def test_an_approval_in_a_map_is_asked_for_each_item() -> None:
    each = mapped("each", approval("ok", approvers=["{{ item }}"]), items=["ann", "bob"], output="{{ steps.ok.output.by }}")
    scene = Scene(each, output="{{ steps.each.output }}").start()
    assert refusal(scene, "/each/[1]/ok/", by="ann").name == "not_an_approver"
    scene.approve("/each/[1]/ok/", "bob")
    scene.approve("/each/[0]/ok/", "ann")
    assert scene.output == ["ann", "bob"]


def test_the_form_is_no_template() -> None:
    scene = Scene(approval("ok", form={"const": "{{ nothing }}"})).start()
    assert scene.status("ok") is Status.WAITING
    assert b"const" not in bytes(scene.state.live[1].input)


def test_an_output_mapping_that_fails_keeps_the_decision_and_fails_the_step() -> None:
    step = structs.replace(approval("ok"), output_mapping={"n": "{{ output.data.n }}"})
    scene = Scene(step).start()
    scene.approve("/ok/", data="none")
    assert scene.types()[:2] == ["ApprovalDecided", "TaskFailed"]
    assert scene.error("ok").type == "ExpressionError"


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"approvers": []}, "approvers"),
        ({"approvers": "ann"}, "approvers"),
        ({"approvers": [""]}, "approvers"),
        ({"approvers": ["{{ input }}"]}, "approvers"),
        ({"message": 7}, "message"),
        ({"deadline": "soon"}, "soon"),
        ({"escalation": "1h"}, "escalation"),
        ({"escalation": {"after": "1h"}}, "escalation"),
        ({"escalation": {"after": "1h", "to": []}}, "escalation.to"),
        ({"escalation": {"after": "soon", "to": ["bob"]}}, "soon"),
    ],
)
def test_a_question_that_makes_no_sense_fails_by_name(config: dict[str, Any], word: str) -> None:
    scene = Scene(approval("ok", **config)).start()
    assert scene.error("ok").type == "ValidationError"
    assert word in scene.error("ok").message
