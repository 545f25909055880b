"""From ``--input`` to an execution's input: ``k=v`` and ``@file.json``, typed by the document's schema where it declares a type.

Checks what a person gets wrong most: names, types and required values at the top level. Knows nothing of engines.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from taskengine.define.phrase import described, listed, nearest, quoted
from taskengine.errors import DefinitionError, NotFoundError
from taskengine.model.value import Json, decode

__all__ = ["read_inputs"]

MAX_FILE_BYTES: Final = 16 * 1024 * 1024
_EXAMPLES: Final[dict[str, str]] = {
    "integer": "5",
    "number": "0.5",
    "boolean": "true",
    "array": "[1,2]",
    "object": '{"a":1}',
    "null": "null",
    "string": "text",
}


def read_inputs(given: Sequence[str], schema: Mapping[str, Any] | None) -> dict[str, Json]:
    """The input that these options mean; later ones win. ``DefinitionError("invalid_input")`` names everything that is wrong."""
    wanted = schema or {}
    properties = _mapping(wanted.get("properties"))
    values: dict[str, Json] = {}
    faults: list[str] = []
    for option in given:
        if option.startswith("@"):
            values.update(_from_file(option[1:]))
            continue
        name, equals, text = option.partition("=")
        if not equals or not name:
            raise DefinitionError(
                "invalid_input", f"{quoted(option)} is no input", hint="write --input name=value or --input @file.json"
            )
        values[name] = _typed(text, _types(properties.get(name)))
    faults += [fault for name, value in values.items() if (fault := _fault(name, value, properties=properties))]
    if wanted.get("additionalProperties") is False:
        faults += [_unknown(name, properties) for name in values if name not in properties]
    missing = [name for name in _texts(wanted.get("required")) if name not in values]
    faults += [f"{name} is missing" for name in missing]
    if faults:
        raise DefinitionError(
            "invalid_input", f"the input does not fit: {'; '.join(faults)}", hint=_hint(missing, faults, properties=properties)
        )
    return values


def _from_file(name: str) -> dict[str, Json]:
    if name == "-":
        data, name = sys.stdin.buffer.read(MAX_FILE_BYTES + 1), "standard input"
    else:
        try:
            with Path(name).open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            raise NotFoundError(
                "file_not_found", f"there is no file {name}", hint="--input @FILE reads the input from a JSON file"
            ) from None
        except (OSError, ValueError) as error:
            raise DefinitionError("invalid_input", f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_FILE_BYTES:
        raise DefinitionError(
            "invalid_input", f"{name} is larger than {MAX_FILE_BYTES} bytes", hint="pass a path in the input instead"
        )
    try:
        value = decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        raise DefinitionError("invalid_input", f"{name} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise DefinitionError("invalid_input", f"{name} holds {described(value)}, an input is a JSON object")
    return value


def _types(declared: object) -> tuple[str, ...]:
    """The JSON types that a property may have; none where the schema does not say."""
    types = _mapping(declared).get("type")
    return (types,) if isinstance(types, str) else _texts(types)


def _mapping(value: object) -> Mapping[str, Any]:
    """A part of a schema; what is none says nothing."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in cast("list[object]", value) if isinstance(one, str)) if isinstance(value, list) else ()


def _typed(text: str, types: tuple[str, ...]) -> Json:
    """The value that was meant: text where text is declared, JSON where something else is, otherwise JSON that is no text."""
    if types == ("string",):
        return text
    try:
        value = decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text
    if isinstance(value, str):
        return value if types and "string" not in types else text
    return value if not types or "string" not in types or _is_one_of(value, types) else text


def _is_one_of(value: Json, types: tuple[str, ...]) -> bool:
    match value:
        case None:
            return "null" in types
        case bool():
            return "boolean" in types
        case int():
            return "integer" in types or "number" in types
        case float():
            return "number" in types or ("integer" in types and value.is_integer())
        case str():
            return "string" in types
        case list():
            return "array" in types
        case dict():
            return "object" in types


def _fault(name: str, value: Json, *, properties: Mapping[str, Any]) -> str:
    types = _types(properties.get(name))
    if not types or _is_one_of(value, types):
        return ""
    return f"{name} must be {' or '.join(types)}, not {described(value)}"


def _unknown(name: str, properties: Mapping[str, Any]) -> str:
    meant = nearest(name, tuple(properties))
    return f"{quoted(name)} is not an input" + (f", did you mean {meant}?" if meant else f" (there are: {listed(properties)})")


def _hint(missing: Sequence[str], faults: Sequence[str], *, properties: Mapping[str, Any]) -> str:
    if missing:
        return "add " + " ".join(
            f"--input {name}={_EXAMPLES.get((*_types(properties.get(name)), 'string')[0], '…')}" for name in missing
        )
    return "values are typed by the document's input schema" if faults else ""
