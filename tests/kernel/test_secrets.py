"""Secrets never enter the history: what is rendered holds a mark, and only where a text takes the secret as it is."""

from __future__ import annotations

from typing import Any

import pytest

from taskengine.errors import DefinitionError
from taskengine.kernel.compile import compile_plan
from taskengine.model.secret import mark_of, resolve, shown
from taskengine.model.status import Status
from taskengine.model.value import decode, raw
from taskengine.model.workflow import Step, Workflow
from tests.kernel.scene import Scene, function


def step(**config: Any) -> Step:
    """A step with these parameters."""
    return function("a", config={"function": "f", "params": config})


def test_a_rendered_input_holds_a_mark_and_the_value_takes_its_place_later() -> None:
    scene = Scene(step(auth="Bearer {{ secrets.token }}", other="{{ secrets.x }}")).start()
    stored = scene.state.live[1].input
    assert decode(stored) == {"auth": f"Bearer {mark_of('token')}", "other": mark_of("x")}
    assert decode(resolve(stored, {"token": 'a"\\b\n', "x": "y"})) == {"auth": 'Bearer a"\\b\n', "other": "y"}


def test_a_mark_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        resolve(raw(mark_of("token")), {})


@pytest.mark.parametrize(
    "text",
    ["{{ secrets.token|upper }}", "{{ secrets.token ~ 'x' }}", "{{ secrets }}", "{{ secrets[input.x] }}", "{{ secrets.a.b }}"],
)
def test_nothing_can_be_made_of_a_secret(text: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        compile_plan(Workflow(name="w", steps=(step(x=text),)))
    assert refused.value.name == "secret_computed"


@pytest.mark.parametrize(
    "workflow",
    [
        Workflow(name="w", steps=(function("a", when="secrets.x == 'y'"),)),
        Workflow(name="w", steps=(function("a", output_mapping={"x": "{{ secrets.x }}"}),)),
        Workflow(name="w", steps=(function("a"),), output="{{ secrets.x }}"),
    ],
)
def test_a_secret_is_read_by_the_input_of_a_step_and_nowhere_else(workflow: Workflow) -> None:
    with pytest.raises(DefinitionError) as refused:
        compile_plan(workflow)
    assert refused.value.name == "secret_exposed"


@pytest.mark.parametrize("note", [mark_of("other"), mark_of("token"), "\x02sec"])
def test_data_with_a_mark_in_it_cannot_ask_for_a_secret(note: str) -> None:
    scene = Scene(step(auth="{{ secrets.token }}", note="{{ input.note }}"))
    scene.start(given={"note": note})
    assert scene.ended[0] is Status.FAILED
    assert scene.state.error is not None
    assert "mark" in scene.state.error.message


def test_a_text_that_only_looks_like_an_escaped_mark_is_data() -> None:
    scene = Scene(step(auth="{{ secrets.token }}", note="{{ input.note }}"))
    scene.start(given={"note": r"\u0002secret:token\u0003"})
    assert scene.phases() == ["running"]
    stored = resolve(scene.state.live[1].input, {"token": "value"})
    assert decode(stored) == {"auth": "value", "note": r"\u0002secret:token\u0003"}


def test_a_script_is_not_rendered_and_the_rest_of_its_config_is() -> None:
    config = {"script": "inline: echo {{ 1 + 1 }}", "args": ["{{ 1 + 1 }}"], "params": {"a": 1}}
    scene = Scene(Step(id="a", type="script", config=config, input_mapping={"b": "{{ 1 + 2 }}"})).start()
    assert decode(scene.state.live[1].input) == {"args": [2], "params": {"a": 1, "b": 3}}


def test_a_mark_is_shown_to_people_as_what_it_stands_for() -> None:
    scene = Scene(step(auth="Bearer {{ secrets.token }}")).start()
    assert decode(shown(bytes(scene.state.live[1].input))) == {"auth": "Bearer [secret: token]"}


def test_a_document_that_holds_a_mark_of_its_own_is_refused() -> None:
    with pytest.raises(DefinitionError) as refused:
        compile_plan(Workflow(name="w", steps=(step(a="{{ secrets.token }}", b=mark_of("other")),)))
    assert refused.value.name == "secret_forged"
