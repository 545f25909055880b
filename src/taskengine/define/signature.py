"""A function's signature as data: the JSON Schema of its parameters, from annotations of plain types. It calls nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final, get_type_hints

import msgspec

__all__ = ["annotations_of", "input_schema_of", "parameters_of"]

_DEFS: Final = "#/$defs/{name}"


def parameters_of(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters by name; none for a builtin that does not tell."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        return {}


def annotations_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The type of each annotated parameter that can be told; one that cannot be found is left out, not the others with it."""
    written: Mapping[str, Any] = getattr(function, "__annotations__", {})
    names: dict[str, Any] = {**getattr(function, "__globals__", {}), **inspect.getclosurevars(function).nonlocals}
    found: dict[str, Any] = {}
    for name, annotation in written.items():
        try:
            found |= get_type_hints(SimpleNamespace(__annotations__={name: annotation}), globalns=names, include_extras=True)
        except (NameError, TypeError, SyntaxError, AttributeError):
            continue
    return found


def input_schema_of(function: Callable[..., Any], *, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of an input with exactly these parameters; those with a default may be left out."""
    types = annotations_of(function)
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for name in parameters_of(function):
        own = dict(_schema_of(types[name], definitions)) if name in types else {}
        properties[name] = {**own, "default": defaults[name]} if name in defaults else own
    required = [name for name in properties if name not in defaults]
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if definitions:
        schema["$defs"] = definitions
    return {**schema, "additionalProperties": False}


def _schema_of(annotation: Any, definitions: dict[str, Any]) -> Mapping[str, Any]:
    """What JSON Schema can say about the type; nothing when it is none of JSON's, a dataclass, a TypedDict or the like."""
    own = getattr(annotation, "model_json_schema", None)  # a model of pydantic describes itself
    if callable(own):
        schema: Any = own(ref_template="#/$defs/{model}")
        definitions.update(schema.pop("$defs", {}))
        return schema
    try:
        (found,), components = msgspec.json.schema_components((annotation,), ref_template=_DEFS)
    except TypeError:
        return {}
    definitions.update(components)
    return found
