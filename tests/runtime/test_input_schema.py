"""Inputs are held against their workflow's schema before anything starts; defaults are filled in; errors name every place."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from taskengine import Engine, Step, Workflow
from taskengine.define.validator import InputSchema
from taskengine.errors import DefinitionError, ValidationError
from taskengine.model.value import encode
from taskengine.ports.store import ExecutionFilter, StoredWorkflow

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["names"],
    "additionalProperties": False,
    "properties": {
        "names": {"type": "array", "items": {"type": "string", "maxLength": 5}},
        "greeting": {"type": "string", "default": "Hello"},
        "shape": {
            "oneOf": [{"type": "object", "required": ["side"], "properties": {"side": {"type": "number"}}}, {"type": "null"}]
        },
        "level": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "inner": {"type": "object", "properties": {"deep": {"default": 1}}},
    },
}
GREET = Workflow(
    name="greet",
    input_schema=SCHEMA,
    steps=(Step(id="all", type="function", config={"function": "same", "params": {"value": "{{ input }}"}}),),
    output="{{ steps.all.output }}",
)


def engine() -> Engine:
    return Engine(":memory:", functions={"same": lambda value: value})


async def test_an_input_that_fits_starts_with_the_defaults_of_what_it_leaves_out() -> None:
    async with engine() as one:
        found = await (await one.execute_workflow(GREET, params={"names": ["Ada"], "inner": {}})).result(timeout=60)
        assert found.output == {"names": ["Ada"], "greeting": "Hello", "inner": {}}  # of the top only
        given = await (await one.execute_workflow(GREET, params={"names": [], "greeting": "Hi"})).result(timeout=60)
        assert given.output == {"names": [], "greeting": "Hi"}


async def test_everything_that_does_not_fit_is_named_at_its_place_and_nothing_starts() -> None:
    wrong = {"names": ["Ada", 5, "too long"], "shape": {"side": "x"}, "level": "high", "naems": []}
    async with engine() as one:
        with pytest.raises(ValidationError) as error:
            await one.execute_workflow(GREET, params=wrong)
        assert await one.store.count(ExecutionFilter()) == 0
    assert (error.value.name, error.value.code) == ("invalid_input", "TE1800")
    assert error.value.facts["faults"] == [
        {"path": "input.names[1]", "said": "must be string, not the number 5"},
        {"path": "input.names[2]", "said": "has 8 characters, at most 5 are allowed"},
        {"path": "input.shape.side", "said": 'must be number, not the text "x"'},
        {"path": "input.level", "said": 'must be integer or null, not the text "high"'},
        {"path": "input.naems", "said": "is not known, did you mean names?"},
    ]


async def test_no_input_at_all_is_judged_like_an_empty_one() -> None:
    async with engine() as one:
        with pytest.raises(ValidationError, match=r"input\.names: is missing"):
            await one.execute_workflow(GREET)


async def test_one_bad_input_of_many_keeps_all_of_them_from_starting() -> None:
    async with engine() as one:
        with pytest.raises(ValidationError, match=r"params\[1\]\.names\[0\]: must be string"):
            await one.begin_many(GREET, [{"names": []}, {"names": [5]}, {"names": []}])
        assert await one.store.count(ExecutionFilter()) == 0
        assert len(await one.begin_many(GREET, [{"names": []}, {"names": ["Ada"]}])) == 2


async def test_an_idempotency_key_that_was_used_gives_its_execution_whatever_comes_with_it() -> None:
    async with engine() as one:
        first = await one.execute_workflow(GREET, params={"names": []}, idempotency_key="k")
        assert (await one.execute_workflow(GREET, params={"names": 5}, idempotency_key="k")).id == first.id


async def test_at_most_ten_faults_are_told_and_never_a_whole_value() -> None:
    with pytest.raises(ValidationError) as error:
        InputSchema(SCHEMA).must_fit(encode({"names": [{"secret": "x" * 1_000}] * 500}))
    faults = error.value.facts["faults"]
    assert isinstance(faults, list)
    assert len(faults) == 10
    assert "xxx" not in error.value.message
    assert len(error.value.message) < 1_000


async def test_a_schema_that_was_stored_unchecked_is_refused_by_name_when_it_is_used() -> None:
    broken = msgspec.structs.replace(GREET, input_schema={"properties": {"x": {"$ref": "http://169.254.169.254/"}}})
    async with engine() as one:
        stored = await one.store.put_workflow(StoredWorkflow("wf_0", "greet", "1", msgspec.json.encode(broken), "", 0))
        with pytest.raises(DefinitionError, match="the schema of the input cannot be used") as error:
            await one.execute_workflow(stored)
    assert error.value.name == "bad_schema"
