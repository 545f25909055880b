"""The stored document: lossless, equal for equal workflows, and a document like any other."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import assume, given

from taskengine.define import check, from_document, load_text, to_document
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Limits, RetryPolicy, Step, Workflow
from tests.define.workflows import workflows

SMALL = Workflow(name="a", steps=(Step(id="a", type="noop"),))


@given(workflow=workflows())
def test_a_workflow_comes_back_as_it_was(workflow: Workflow) -> None:
    assert from_document(to_document(workflow)) == workflow


@given(workflow=workflows())
def test_the_stored_document_is_a_document_that_loads_to_the_same_workflow(workflow: Workflow) -> None:
    assume(not any(finding.severity == "error" for finding in check(workflow)))
    checked = load_text(to_document(workflow), file="stored.json")
    assert checked.errors == ()
    assert checked.workflow == workflow


@given(workflow=workflows())
def test_a_document_and_its_workflow_give_the_same_findings(workflow: Workflow) -> None:
    of_model = sorted((finding.name, finding.path) for finding in check(workflow))
    of_text = sorted((finding.name, finding.path) for finding in load_text(to_document(workflow), file="stored.json").findings)
    assert of_text == of_model


@given(workflow=workflows())
def test_storing_twice_gives_the_same_bytes(workflow: Workflow) -> None:
    assert to_document(from_document(to_document(workflow))) == to_document(workflow)


def test_the_order_of_keys_does_not_matter() -> None:
    one = msgspec.structs.replace(SMALL, variables={"a": 1, "b": {"c": 2, "d": 3}})
    other = msgspec.structs.replace(SMALL, variables={"b": {"d": 3, "c": 2}, "a": 1})
    assert to_document(one) == to_document(other)


def test_what_has_its_default_is_not_written() -> None:
    assert to_document(SMALL) == b'{"name":"a","steps":[{"id":"a","type":"noop"}]}'


def test_durations_and_policies_are_written_in_the_words_of_the_language() -> None:
    retry = RetryPolicy(max_attempts=4, initial_interval_ms=200, max_interval_ms=5_000, non_retryable_errors=("ValueError",))
    step = Step(id="a", type="noop", retry=retry, timeout_ms=5_400_500, is_idempotent=False, depends_on=())
    workflow = Workflow(name="a", limits=Limits(timeout_ms=86_400_000), steps=(step,))
    assert msgspec.json.decode(to_document(workflow)) == {
        "name": "a",
        "limits": {"timeout": "1d"},
        "steps": [
            {
                "id": "a",
                "type": "noop",
                "idempotent": False,
                "timeout": "1h30m500ms",
                "retry": {
                    "max_attempts": 4,
                    "initial_interval": "200ms",
                    "max_interval": "5s",
                    "non_retryable_errors": ["ValueError"],
                },
            }
        ],
    }


@pytest.mark.parametrize("value", [object(), "\ud800", {1: 2j}], ids=["object", "surrogate", "complex"])
def test_what_json_cannot_hold_is_not_stored(value: object) -> None:
    with pytest.raises(DefinitionError, match="'a'") as caught:
        to_document(msgspec.structs.replace(SMALL, variables={"x": value}))
    assert caught.value.name == "not_json"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"name":"a","steps":[{"id":"a","type":"noop"}],"colour":"red"}',
        b'{"name":"a","steps":[{"id":"a","type":"noop","timeout":"soon"}]}',
        b"[" * 100_000,
    ],
    ids=["nothing", "half", "list", "null", "unknown key", "no duration", "too deep"],
)
def test_a_stored_document_that_was_damaged_is_refused_by_name(document: bytes) -> None:
    with pytest.raises(DefinitionError, match="stored workflow cannot be read") as caught:
        from_document(document)
    assert caught.value.name == "unreadable_document"
    assert caught.value.hint
