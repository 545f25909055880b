"""The published schema and the checks agree: what is accepted here is accepted there, and faults of shape are refused by both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings

from taskengine.define import check, load_text, to_document
from taskengine.define.finding import Problems
from taskengine.define.json_schema import schema_text, workflow_schema
from taskengine.define.language import BRANCH, CASE, DEFAULTS, ELSE, LIMITS, RETRY, STEP, WORKFLOW
from taskengine.define.meanings import MEANINGS
from taskengine.define.tree import plain
from taskengine.define.yaml_reader import read_yaml
from taskengine.model.workflow import Workflow
from tests.define.bad_documents import CASES
from tests.define.workflows import workflows

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "reference" / "workflow.schema.json"
VALIDATOR = jsonschema_rs.Draft202012Validator(workflow_schema())
# Findings about one place that a schema can see too.
SEEN = frozenset({"missing_key", "unknown_key", "unknown_step_type", "no_steps", "out_of_range", "bad_duration", "empty_document"})
SMALL: dict[str, Any] = {"name": "a", "steps": [{"id": "a", "type": "noop"}]}


def data_of(text: str) -> Any:
    problems = Problems()
    root = read_yaml(text, problems, max_steps=10_000)
    assert root is not None
    assert not problems.found
    return plain(root)


def documents() -> Iterator[tuple[str, str]]:
    """Every workflow document that the repository shows to people."""
    for folder in ("examples", "docs", "tests/examples"):
        for file in sorted((ROOT / folder).rglob("*.yaml")):
            if re.search(r"^steps:", file.read_text(encoding="utf-8"), re.MULTILINE):
                yield file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8")
    for file in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
        for number, block in enumerate(re.findall(r"```yaml\n(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL)):
            if re.search(r"^steps:", block, re.MULTILINE) and re.search(r"^name:", block, re.MULTILINE):
                yield f"{file.relative_to(ROOT).as_posix()} {number}", block


DOCUMENTS = dict(documents())


def test_the_schema_is_one() -> None:
    jsonschema_rs.meta.validate(workflow_schema())


def test_the_published_file_is_up_to_date() -> None:
    assert PUBLISHED.read_text(encoding="utf-8") == schema_text(), (
        "task-engine workflow schema > docs/reference/workflow.schema.json"
    )


def test_every_key_of_the_language_is_described_and_no_other() -> None:
    tables = {"workflow": WORKFLOW, "step": STEP, "limits": LIMITS, "defaults": DEFAULTS, "retry": RETRY}
    tables |= {"case": CASE, "else": ELSE, "branch": BRANCH}
    assert set(MEANINGS) == {(name, key) for name, table in tables.items() for key in table.fields}


def test_there_are_documents_to_validate() -> None:
    assert {"examples/weather/weather.yaml", "README.md 0"} <= set(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_that_is_shown_validates(name: str) -> None:
    assert load_text(DOCUMENTS[name], file=name).errors == ()
    VALIDATOR.validate(data_of(DOCUMENTS[name]))


@given(workflow=workflows())
@settings(max_examples=200)
def test_what_the_checks_accept_the_schema_accepts(workflow: Workflow) -> None:
    if not any(finding.severity == "error" for finding in check(workflow)):
        VALIDATOR.validate(msgspec.json.decode(to_document(workflow)))


# What stands inside of the values of an http step's config is for the checks alone.
JUDGED = [case for case in CASES if {one.name for one in case.expected} & SEEN and "type: http" not in case.text]


@pytest.mark.parametrize("case", JUDGED, ids=[case.title for case in JUDGED])
def test_faults_of_shape_are_refused_by_the_schema_too(case: Any) -> None:
    problems = Problems()
    root = read_yaml(case.text, problems, max_steps=10_000)
    data = None if root is None else json.loads(json.dumps(plain(root), default=str))
    assert not VALIDATOR.is_valid(data)


LEAF = {"id": "x", "type": "noop"}


def one(kind: str, **said: Any) -> dict[str, Any]:
    """A document of one step."""
    return {"name": "a", "steps": [{"id": "a", "type": kind, **said}]}


BAD: dict[str, dict[str, Any]] = {
    "an unknown key": {**SMALL, "colour": "red"},
    "a key of a later version": {**SMALL, "triggers": []},
    "another kind": {**SMALL, "kind": "machine"},
    "no name": {"steps": SMALL["steps"]},
    "null as name": {**SMALL, "name": None},
    "no steps": {"name": "a"},
    "an empty list of steps": {"name": "a", "steps": []},
    "steps by name": {"name": "a", "steps": {"a": {"type": "noop"}}},
    "a step without type": {"name": "a", "steps": [{"id": "a"}]},
    "an unknown type": {"name": "a", "steps": [{"id": "a", "type": "teleport"}]},
    "a function without a name": {"name": "a", "steps": [{"id": "a", "type": "function"}]},
    "an argument beside params": {"name": "a", "steps": [{"id": "a", "type": "function", "config": {"function": "f", "x": 1}}]},
    "a config for a noop": {"name": "a", "steps": [{"id": "a", "type": "noop", "config": {"x": 1}}]},
    "a number as text": {"name": "a", "steps": [{"id": "a", "type": "noop", "priority": "5"}]},
    "a priority out of range": {"name": "a", "steps": [{"id": "a", "type": "noop", "priority": 10}]},
    "half an attempt": {"name": "a", "steps": [{"id": "a", "type": "noop", "retry": {"max_attempts": 1.5}}]},
    "a duration without unit": {**SMALL, "limits": {"timeout": "30"}},
    "a negative duration": {**SMALL, "limits": {"timeout": -1}},
    "a duration of nothing": {**SMALL, "limits": {"timeout": 0}},
    "an unknown join": {"name": "a", "steps": [{"id": "a", "type": "noop", "join": "all"}]},
    "yes for true": {"name": "a", "steps": [{"id": "a", "type": "noop", "idempotent": "yes"}]},
    "a map without steps": one("map", config={"items": [1]}),
    "a map without items": one("map", steps=[LEAF]),
    "a map of a text": one("map", config={"items": "abc"}, steps=[LEAF]),
    "no cases": one("condition"),
    "an empty list of cases": one("condition", cases=[]),
    "a case without a condition": one("condition", cases=[{"steps": [LEAF]}]),
    "a case without steps": one("condition", cases=[{"when": "true", "steps": []}]),
    "branches on a map": one("map", config={"items": [1]}, steps=[LEAF], branches={"x": [LEAF]}),
    "steps on a noop": one("noop", steps=[LEAF]),
    "no branches": one("parallel", branches={}),
    "a branch without steps": one("parallel", branches=[{"name": "x"}]),
    "an unknown type inside": one("parallel", branches={"x": [{"id": "b", "type": "teleport"}]}),
    "a rule of nothing": one("parallel", branches={"x": [LEAF]}, success="some"),
    "a compensation with an id": one("noop", compensate={"id": "b", "type": "noop"}),
    "a compensation with steps in it": one("noop", compensate={"type": "map", "config": {"items": [1]}}),
    "a loop that never says how": one("loop", config={"max_iterations": 5}, steps=[LEAF]),
    "nothing to set": one("set", config={}),
    "an unknown operation": one("aggregate", config={"items": [], "operation": "median"}),
    "a failure without a word": one("fail", config={"type": "Gone"}),
    "a call of nobody": one("workflow"),
    "an approval in no time": one("approval", config={"deadline": "soon"}),
    "an end that is none": {**SMALL, "on_failure": "ignore"},
    "a retry of the wrong kind": {**SMALL, "defaults": {"retry": 3}},
}


@pytest.mark.parametrize("name", BAD)
def test_bad_documents_are_refused_by_the_schema_and_by_the_checks(name: str) -> None:
    assert not VALIDATOR.is_valid(BAD[name])
    assert load_text(json.dumps(BAD[name]), file="bad.json").errors


GOOD: dict[str, dict[str, Any]] = {
    "null is the same as nothing": {**SMALL, "description": None, "limits": None, "version": None, "output": None},
    "a version that is a number": {**SMALL, "version": 1.0},
    "other words": {**SMALL, "defaults": {"retry": {"retry_count": 2, "initial_delay": "1s", "max_delay": 9, "backoff_factor": 2}}},
    "one text for a list": {"name": "a", "tags": "x", "steps": [{"id": "a", "type": "noop"}]},
    "a condition that is a boolean": {"name": "a", "steps": [{"id": "a", "type": "noop", "when": False}]},
    "a timeout in the config": {
        "name": "a",
        "steps": [{"id": "a", "type": "function", "config": {"function": "f", "timeout": "1m", "params": None}}],
    },
    "a null in a config": {"name": "a", "steps": [{"id": "a", "type": "noop", "config": {"x": None}}]},
    "no config at all": {"name": "a", "steps": [{"id": "a", "type": "noop", "config": None}]},
    "a map of a template": one("map", config={"items": "{{ input.x }}", "max_concurrency": "{{ input.n }}"}, steps=[LEAF]),
    "branches by name, one with an output": one("parallel", branches={"x": [LEAF], "y": {"steps": [LEAF], "output": 1}}),
    "branches in a list": one("parallel", branches=[[LEAF], {"steps": [LEAF]}], success={"at_least": "50%", "when": None}),
    "an else that is a list": one("condition", cases=[{"when": True, "steps": [LEAF]}], **{"else": [LEAF], "branches": None}),
    "an else with an output": one(
        "condition", cases=[{"when": "true", "steps": [LEAF]}], **{"else": {"steps": [LEAF], "output": 1}}
    ),
    "a loop until": one("loop", config={"until": "index > 3", "while": None, "max_iterations": 5}, steps=[LEAF], output=1),
    "a compensation": one("noop", compensate={"type": "http", "config": {"url": "https://example.org"}, "retry": None}),
    "variables of any kind": one("set", config={"a": None, "b": [1], "c": "{{ input.x }}"}),
    "an approval": one("approval", config={"approvers": "ann", "deadline": "{{ input.x }}", "form": {}, "escalation": None}),
    "what the whole says": {**SMALL, "success": "any", "on_failure": "compensate", "business_key": "x", "is_template": True},
    "a wait of a template": {"name": "a", "steps": [{"id": "a", "type": "wait", "config": {"duration": "{{ input.pause }}"}}]},
    "a wait of seconds": {"name": "a", "steps": [{"id": "a", "type": "wait", "config": {"duration": 1.5}}]},
}


@pytest.mark.parametrize("name", GOOD)
def test_good_documents_are_accepted_by_both(name: str) -> None:
    VALIDATOR.validate(GOOD[name])
    assert load_text(json.dumps(GOOD[name]), file="good.json").errors == ()
