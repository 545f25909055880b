"""What a function with ``@workflow`` cannot say: refused by name, with the place and with what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from taskengine import (
    aggregate,
    condition,
    error_of,
    fail,
    loop,
    map_over,
    noop,
    parallel,
    set_variables,
    status_of,
    step,
    sub_workflow,
    wait,
)
from taskengine.define.options import StepOptions
from taskengine.errors import DefinitionError
from tests.define.tracing import note, refused


def leaking_item() -> Any:
    kept: list[Any] = []
    map_over([1], lambda item: kept.append(item) or note(item))
    return note(kept[0])


def leaking_step() -> Any:
    kept: list[Any] = []
    parallel(left=lambda: kept.append(note("a")), right=lambda: noop())  # noqa: PLW0108 -- a body
    return note(kept[0])


def leaking_index() -> Any:
    kept: list[Any] = []
    map_over([1], lambda item, index: [kept.append(index), note(item)][1])
    return {"last": [kept[0]]}


def leaking_into_another_map() -> Any:
    kept: list[Any] = []
    map_over([1], lambda item: [kept.append(item), note(item)][1])
    return map_over([2], lambda item: note(f"{kept[0]} {item}"))


def branching_on_item() -> Any:
    return map_over([1], lambda item: note("yes") if item > 1 else note("no"))


def hidden_by_join() -> Any:
    def each(item: Any) -> Any:
        first = noop()
        return map_over([1], lambda one: note([item, one]), join="any_success", after=first)

    return map_over([1], each)


def needing(text: Any, gave: Any, where: Any) -> Any:
    return note([text, gave, where])


async def async_body() -> None:
    """No body."""


def doubtful() -> None:
    set_variables({"count": 1}, when="input.x")
    note("{{ variables.count }}")


def endless() -> Any:
    return map_over([1], endless)


def forgotten(number: Any) -> Any:
    return 2 * number


def unlike(**given: Any) -> Any:
    return note.with_options(**given)("a")


BROKEN: list[tuple[str, str, str, Callable[..., object]]] = [
    ("placeholder_has_no_value", "'item > 1'", "condition(", branching_on_item),
    ("placeholder_has_no_value", "'steps.note.output'", "map_over(", lambda: list(note("a"))),
    ("name_not_available", 'step "note_2" reads the item of a map', "map_over() gave", leaking_item),
    ("name_not_available", 'workflow "w" reads the index of a map', "map_over() gave", leaking_index),
    ("name_not_available", 'step "note_2" reads the item of a map', "map_over() gave", leaking_into_another_map),
    ("inner_step", "steps[1].config.params.text", "steps.parallel.output", leaking_step),
    ("hidden_item", 'step "map_2"', "another join", hidden_by_join),
    (
        "wrong_type",
        "the body of map \"map\": expected a function, found Placeholder('steps.note.output')",
        "lambda",
        lambda: map_over([1], note("a")),
    ),
    ("wrong_type", 'case 0 of condition "condition": expected a function', "lambda", lambda: condition((True, 3))),  # type: ignore[arg-type]
    ("wrong_type", "case 1", "otherwise=", lambda: condition((True, noop), note)),  # type: ignore[arg-type]
    ("wrong_type", "3 values", "otherwise=", lambda: condition((True, noop, 3))),  # type: ignore[arg-type]
    ("wrong_type", "expected a condition", "when=", lambda: condition((3, noop))),  # type: ignore[arg-type]
    ("wrong_type", "expected functions by name", "parallel(left=", lambda: parallel(3)),  # type: ignore[arg-type]
    ("wrong_type", 'branch "left"', "lambda", lambda: parallel({"left": 3})),  # type: ignore[dict-item]
    ("unknown_key", "parallel() knows no", "every step knows", lambda: parallel(left=noop, right=3)),
    ("unknown_key", "timout", "timeout", lambda: noop(timout="1h")),  # type: ignore[call-arg]
    ("unknown_key", "count", "set_variables({", lambda: set_variables({}, count=1)),  # type: ignore[call-arg]
    ("wrong_type", "a mapping", "set_variables({", lambda: set_variables(3)),  # type: ignore[arg-type]
    ("unordered_variable", 'step "note" comes after "set"', "condition(", doubtful),
    ("nested_too_deep", "at most 16", "calls itself", endless),
    ("empty_block", "the body of map", "is forgotten() a task?", lambda: map_over([1], forgotten)),
    ("empty_block", "otherwise of condition", "call a task in it", lambda: condition((True, noop), otherwise=lambda: None)),
    ("async_graph", "the body of loop", "without await", lambda: loop(async_body, until="true")),
    ("wrong_arguments", "no value for b", "item, index", lambda: map_over([1], lambda a, b: note([a, b]))),
    ("wrong_arguments", "the body of loop", "index", lambda: loop(lambda item: note(item), until="true")),  # noqa: PLW0108
    ("wrong_type", "until of loop", "in the body", lambda: loop(noop, until=lambda: note("a"))),
    ("one_way_to_loop", "found none", "until", lambda: loop(noop)),
    ("missing_key", "cases", "cases:", lambda: condition(otherwise=noop)),
    ("missing_key", "branches", "branches:", lambda: parallel()),  # noqa: PLW0108 -- so that it has a name
    ("bad_branch_name", "a b", "a_b", lambda: parallel({"a b": noop})),
    ("unknown_choice", "success", "", lambda: parallel(left=noop, success="most")),
    ("success_out_of_reach", "1 of 2", "at_least", lambda: parallel(left=noop, success={"at_least": 2})),
    ("out_of_range", "max_concurrency", "", lambda: map_over([1], noop, max_concurrency=0)),
    ("duplicate_step_id", '"x"', "leave the id out", lambda: [noop(id="x"), wait(duration="1s", id="x")]),
    ("id_used_around", '"x"', "another id", lambda: map_over([1], lambda: noop(id="x"), id="x")),
    ("unknown_dependency", "cannot come after", "of the same block", lambda: map_over([1], lambda item: noop(after=item))),
    ("wrong_type", "error_of(): expected what a step gave", "not of a part", lambda: note(error_of(note("a").part))),
    ("wrong_type", "status_of(): expected what a step gave", "not of a part", lambda: note(status_of("a"))),
    ("one_way_to_wait", "none of them", "duration", lambda: wait()),  # noqa: PLW0108
    ("missing_key", "message", "config:", lambda: fail(type="X")),
    ("unknown_choice", "operation", "average", lambda: aggregate([1], "mean")),
    ("unknown_step_type", "shel", "script", lambda: step("shell", {"command": "ls"})),
    ("wrong_type", "expected a workflow", "sub_workflow(", lambda: sub_workflow(3)),
    ("bad_compensation", "has no steps", "one piece of work", lambda: unlike(compensate=lambda: None)),
    ("bad_compensation", "has 2 steps", "one piece of work", lambda: unlike(compensate=lambda: [noop(), noop()])),
    ("bad_compensation", "cannot have when", "leave it out", lambda: unlike(compensate=lambda: noop(when=True))),
    ("bad_compensation", "a map step", "type: workflow", lambda: unlike(compensate=lambda: map_over([1], noop))),
    ("wrong_type", "the compensation of step", "lambda", lambda: unlike(compensate="undo")),
    ("wrong_arguments", "no value for where", "text", lambda: unlike(compensate=needing)),
]


@pytest.mark.parametrize(
    ("name", "said", "hint", "function"), BROKEN, ids=[f"{place} {one[0]}" for place, one in enumerate(BROKEN)]
)
def test_what_cannot_be_declared_is_refused_by_name_place_and_hint(
    name: str, said: str, hint: str, function: Callable[..., object]
) -> None:
    error = refused(function)
    assert error.name == name
    assert said in error.message
    assert hint in error.hint


def test_the_words_of_every_step_are_told() -> None:
    assert [word for word in StepOptions.__annotations__ if f"``{word}``" not in (step.__doc__ or "")] == []


def test_a_step_outside_of_a_workflow_is_refused() -> None:
    for call_it in (noop, lambda: map_over([1], note), lambda: wait(duration="1s")):
        with pytest.raises(DefinitionError, match="no workflow is being declared") as caught:
            call_it()
        assert caught.value.name == "not_declaring"
        assert "@workflow" in caught.value.hint
