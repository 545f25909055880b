"""The document language as a JSON Schema (draft 2020-12), made from the tables of the language: editors complete and check with it.

It accepts every document that `check` accepts, and refuses what is wrong with keys, types and bounds. What takes a look at the
whole, such as names, cycles and expressions, is for `check` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from taskengine.define.config import TYPES
from taskengine.define.language import DEFAULTS, LIMITS, RETRY, STEP, WORKFLOW, Field, Table
from taskengine.define.meanings import MEANINGS
from taskengine.define.rules import MAX_ID, MAX_NAME, MAX_STEPS
from taskengine.define.values import (
    Between,
    Choice,
    MoreAttempts,
    Reader,
    Section,
    anything,
    boolean,
    condition,
    duration,
    mapping,
    text,
    texts,
    version,
)
from taskengine.model.script import RUNTIMES

__all__ = ["schema_text", "workflow_schema"]

Schema = dict[str, Any]

_DURATION: Final[Schema] = {
    "description": "Seconds as a number, or text such as 500ms, 30s, 5m, 1h30m, 2d.",
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+\s*$"},
    ],
    "examples": ["30s", "5m", "1h30m"],
}
_TEMPLATE: Final[Schema] = {"type": "string", "pattern": r"\{\{"}
_OBJECT: Final[Schema] = {"type": "object"}
_DURATION_REF: Final[Schema] = {"$ref": "#/$defs/duration"}
_SIMPLE: Final[Mapping[Reader, Schema]] = {
    anything: {},
    boolean: {"type": "boolean"},
    condition: {"type": ["string", "boolean"]},
    duration: _DURATION_REF,
    mapping: _OBJECT,
    text: {"type": "string"},
    texts: {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    version: {"type": ["string", "number"]},
}
# What the tables leave to the checks of the whole, as far as a schema can say it.
_FINER: Final[Mapping[tuple[str, str], Schema]] = {
    ("workflow", "name"): {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
    ("workflow", "kind"): {"const": "graph"},
    ("workflow", "steps"): {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1, "maxItems": MAX_STEPS},
    ("step", "id"): {"type": "string", "minLength": 1, "maxLength": MAX_ID},
    ("step", "type"): {"enum": [*TYPES]},
}
# Values of a step's config. A key that is not here takes any value, as far as the schema goes.
_VALUES: Final[Mapping[tuple[str, str], Schema]] = {
    ("function", "function"): {"type": "string", "minLength": 1},
    ("function", "params"): _OBJECT,
    ("wait", "duration"): {"anyOf": [_DURATION_REF, _TEMPLATE]},
    ("wait", "deadline"): {"anyOf": [_DURATION_REF, _TEMPLATE]},
    ("wait", "until"): {"type": "string"},
    ("wait", "signal"): {"type": "string", "minLength": 1},
    ("script", "runtime"): {"enum": [*RUNTIMES]},
    ("http", "url"): {"type": "string", "minLength": 1},
}
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {"function": ("function",), "http": ("url",)}


def workflow_schema() -> Schema:
    """The schema of a workflow document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:task-engine:workflow",
        "title": "task-engine workflow",
        **_object("workflow", WORKFLOW),
        "$defs": {
            "step": {**_object("step", STEP), "allOf": [_config_of(kind) for kind in TYPES]},
            "retry": _object("retry", RETRY),
            "limits": _object("limits", LIMITS),
            "defaults": _object("defaults", DEFAULTS),
            "duration": _DURATION,
        },
    }


def schema_text() -> str:
    """The schema as it is published: JSON, indented, ending with a line end."""
    return msgspec.json.format(msgspec.json.encode(workflow_schema()), indent=2).decode() + "\n"


def _object(name: str, table: Table) -> Schema:
    properties = {key: _property(name, key, field=field, is_needed=key in table.required) for key, field in table.fields.items()}
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if table.required:
        schema["required"] = list(table.required)
    return schema


def _property(name: str, key: str, *, field: Field, is_needed: bool) -> Schema:
    schema = _FINER.get((name, key)) or _value_of(key, field.read)
    meaning = MEANINGS[(name, key)]
    return {"description": meaning, **(schema if is_needed else _or_null(schema))}


def _value_of(key: str, read: object) -> Schema:
    match read:
        case Between():
            return {"type": "integer" if read.is_whole else "number", "minimum": read.low, "maximum": read.high}
        case MoreAttempts():
            return _value_of(key, read.read)
        case Choice():
            return {"enum": read.known}
        case Section():
            return {"$ref": f"#/$defs/{key}"}
        case _:
            return next(schema for reader, schema in _SIMPLE.items() if reader is read)


def _or_null(schema: Schema) -> Schema:
    """Null is the same as nothing written."""
    if not schema or schema.get("type") == "null":
        return schema
    if set(schema) == {"enum"}:
        return {"enum": [*schema["enum"], None]}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    if isinstance(schema.get("type"), list):
        return {**schema, "type": [*schema["type"], "null"]}
    return {"anyOf": [*schema["anyOf"], {"type": "null"}]} if set(schema) == {"anyOf"} else {"anyOf": [schema, {"type": "null"}]}


def _config_of(kind: str) -> Schema:
    """What the config of a step of this type may be."""
    keys, _ = TYPES[kind]
    known = {key: _or_null(_VALUES.get((kind, key), {})) for key in keys}
    for key in _NEEDED.get(kind, ()):
        known[key] = _VALUES[(kind, key)]
    config: Schema = {
        "type": ["object", "null"],
        "properties": {**known, "timeout": _or_null(_DURATION_REF)},
        "additionalProperties": {"type": "null"},
    }
    then: Schema = {"properties": {"config": config}}
    if kind in _NEEDED:
        config |= {"type": "object", "required": [*_NEEDED[kind]]}
        then["required"] = ["config"]
    return {"if": {"properties": {"type": {"const": kind}}, "required": ["type"]}, "then": then}
