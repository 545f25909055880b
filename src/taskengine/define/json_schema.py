"""The document language as a JSON Schema (draft 2020-12), made from the tables of the language: editors complete and check with it.

It accepts every document that `check` accepts, and refuses what is wrong with keys, types and bounds. What takes a look at the
whole, such as names, cycles and expressions, is for `check` to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from taskengine.define.config import TYPES
from taskengine.define.control import CONTROL, OPERATIONS
from taskengine.define.keys import LOOPS
from taskengine.define.language import (
    BLOCK_KEYS,
    BRANCH,
    CASE,
    COMPENSATION,
    DEFAULTS,
    ELSE,
    LIMITS,
    RETRY,
    STEP,
    WORKFLOW,
    Field,
    Table,
)
from taskengine.define.meanings import MEANINGS
from taskengine.define.rules import CHILDREN, MAX_ID, MAX_NAME, MAX_STEPS
from taskengine.define.success import SHARE, WORDS, success
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
from taskengine.model.workflow import CONTAINERS

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
_STEPS: Final[Schema] = {"type": "array", "items": {"$ref": "#/$defs/step"}, "minItems": 1, "maxItems": MAX_STEPS}
_STEPS_REF: Final[Schema] = {"$ref": "#/$defs/steps"}
_BRANCH: Final[Schema] = {"anyOf": [_STEPS_REF, {"$ref": "#/$defs/branch"}]}
_SUCCESS: Final[Schema] = {
    "description": "When a group of tasks has succeeded.",
    "anyOf": [
        {"enum": [*WORDS]},
        {
            "type": "object",
            "properties": {
                "at_least": {
                    "description": "How many must complete, or which share of all.",
                    "anyOf": [
                        {"type": "integer", "minimum": CHILDREN[0], "maximum": CHILDREN[1]},
                        {"type": "string", "pattern": SHARE},
                        {"type": "null"},
                    ],
                },
                "when": {"description": "An expression over `children`.", "type": ["string", "boolean", "null"]},
            },
            "additionalProperties": False,
            "minProperties": 1,
        },
    ],
}
_SIMPLE: Final[Mapping[Reader, Schema]] = {
    anything: {},
    boolean: {"type": "boolean"},
    condition: {"type": ["string", "boolean"]},
    duration: _DURATION_REF,
    mapping: _OBJECT,
    success: {"$ref": "#/$defs/success"},
    text: {"type": "string"},
    texts: {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    version: {"type": ["string", "number"]},
}
# What the tables leave to the checks of the whole, as far as a schema can say it.
_FINER: Final[Mapping[tuple[str, str], Schema]] = {
    ("workflow", "name"): {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
    ("workflow", "kind"): {"const": "graph"},
    ("workflow", "steps"): _STEPS,
    **{(table, "steps"): _STEPS_REF for table in ("step", "case", "else", "branch")},
    ("step", "cases"): {"type": "array", "items": {"$ref": "#/$defs/case"}, "minItems": 1},
    ("step", "else"): {"anyOf": [_STEPS_REF, {"$ref": "#/$defs/else"}]},
    ("step", "branches"): {
        "anyOf": [
            {"type": "object", "additionalProperties": _BRANCH, "minProperties": 1},
            {"type": "array", "items": _BRANCH, "minItems": 1},
        ]
    },
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
    **{(kind, "items"): {"anyOf": [{"type": "array"}, _TEMPLATE]} for kind in ("map", "loop", "aggregate")},
    ("aggregate", "operation"): {"anyOf": [{"enum": [*OPERATIONS]}, _TEMPLATE]},
    ("approval", "form"): _OBJECT,
    ("approval", "escalation"): {"anyOf": [_OBJECT, _TEMPLATE]},
    ("signal", "data"): {},
}
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "function": ("function",),
    "http": ("url",),
    "map": ("items",),
    "workflow": ("workflow",),
    "signal": ("signal",),
    "fail": ("message",),
    "aggregate": ("items",),
}


def workflow_schema() -> Schema:
    """The schema of a workflow document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:task-engine:workflow",
        "title": "task-engine workflow",
        **_object("workflow", WORKFLOW),
        "$defs": {
            "step": {**_object("step", STEP), "allOf": [{"$ref": "#/$defs/by_type"}]},
            "steps": _STEPS,
            "case": _with_steps(_object("case", CASE)),
            "else": _with_steps(_object("else", ELSE)),
            "branch": _with_steps(_object("branch", BRANCH)),
            "compensate": _compensation(),
            "success": _SUCCESS,
            "by_type": {"allOf": [_by_type(kind) for kind in TYPES]},
            "retry": _object("retry", RETRY),
            "limits": _object("limits", LIMITS),
            "defaults": _object("defaults", DEFAULTS),
            "duration": _DURATION,
        },
    }


def schema_text() -> str:
    """The schema as it is published: JSON, indented, ending with a line end."""
    return msgspec.json.format(msgspec.json.encode(workflow_schema()), indent=2).decode() + "\n"


def _with_steps(block: Schema) -> Schema:
    """A block that says its steps."""
    block["properties"]["steps"] = {"description": block["properties"]["steps"]["description"], **_STEPS_REF}
    return {**block, "required": [*block.get("required", ()), "steps"]}


def _compensation() -> Schema:
    """What undoes a step: one that holds no others."""
    schema = _object("step", COMPENSATION)
    schema["properties"]["type"] |= {"enum": [kind for kind in TYPES if kind not in CONTAINERS]}
    return {**schema, "allOf": [{"$ref": "#/$defs/by_type"}]}


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


def _by_type(kind: str) -> Schema:
    """What a step of this type may hold, beside what all may."""
    config, is_needed = _config_of(kind)
    own = BLOCK_KEYS.get(kind, ())
    foreign = [key for keys in BLOCK_KEYS.values() for key in keys if key not in own]
    then: Schema = {"properties": {"config": config, **{key: {"type": "null"} for key in dict.fromkeys(foreign)}}}
    if kind not in CONTAINERS:
        then["properties"]["success"] = {"type": "null"}
    needed = ["config"] if is_needed else []
    if own:
        needed.append(own[0])
        then["properties"][own[0]] = {"not": {"type": "null"}}
    if needed:
        then["required"] = needed
    return {"if": {"properties": {"type": {"const": kind}}, "required": ["type"]}, "then": then}


def _config_of(kind: str) -> tuple[Schema, bool]:
    """What the config of a step of this type may be, and whether it must be there."""
    if kind == "set":
        return {"type": "object", "minProperties": 1}, True
    keys, _ = TYPES[kind]
    known = {key: _or_null(_in_config(kind, key)) for key in keys}
    for key in _NEEDED.get(kind, ()):
        known[key] = _in_config(kind, key)
    config: Schema = {
        "type": ["object", "null"],
        "properties": {**known, "timeout": _or_null(_DURATION_REF)},
        "additionalProperties": {"type": "null"},
    }
    if kind in _NEEDED:
        return {**config, "type": "object", "required": [*_NEEDED[kind]]}, True
    if kind == "loop":
        return {**config, "type": "object", "anyOf": [{"required": [way]} for way in LOOPS]}, True
    return config, False


def _in_config(kind: str, key: str) -> Schema:
    """What one key of a config takes; a template may stand in the place of what is no text."""
    schema = _VALUES.get((kind, key))
    if schema is not None or kind not in CONTROL:
        return schema or {}
    check = CONTROL[kind][0][key]
    if isinstance(check, Between) or any(check is reader for reader in _SIMPLE):
        plain = _value_of(key, check)
        return plain if check in {condition, text, texts} else {"anyOf": [plain, _TEMPLATE]}
    return {"type": "string", "minLength": 1}
