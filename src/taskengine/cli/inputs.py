"""From ``--input`` to an execution's input: ``k=v`` and ``@file.json``, typed by the document's schema where it declares a type.

Judged by the whole schema before anything is opened, so that what is wrong is said in options to add. Knows nothing of engines.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from taskengine.define.phrase import described, quoted
from taskengine.define.validator import InputSchema
from taskengine.errors import NotFoundError, ValidationError
from taskengine.model.plain import NotPlainError, written
from taskengine.model.value import Json, Raw, decode

__all__ = ["edited", "read_inputs"]

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
_BYTE: Final = re.compile(r"\(byte (\d+)\)")
_MARK: Final = b"\xef\xbb\xbf"  # a byte order mark, which some editors write
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")


def edited(before: Raw, given: Sequence[str], *, schema: Mapping[str, Any] | None) -> dict[str, Json]:
    """An input with these values instead of some of its own. Raises as ``read_inputs`` does."""
    values = decode(before) if before else None
    return read_inputs(given, schema, before=values if isinstance(values, dict) else {})


def read_inputs(
    given: Sequence[str], schema: Mapping[str, Any] | None, *, option: str = "--input ", before: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """The input that these options mean; later ones win. ``ValidationError("invalid_input")`` names everything that is wrong.

    ``before``: values that none of them names.
    """
    properties = _mapping((schema or {}).get("properties"))
    values: dict[str, Json] = dict(before or {})
    for one in given:
        if one.startswith("@"):
            values.update(_from_file(one[1:]))
            continue
        name, equals, text = one.partition("=")
        if not equals or not name:
            raise ValidationError(
                "invalid_input", f"{quoted(one)} is no input", hint=f"write {option}name=value or {option}@file.json"
            )
        values[name] = _typed(name, text, types=_types(properties.get(name)))
    _must_fit(values, schema, properties=properties)
    return values


def _must_fit(values: dict[str, Json], schema: Mapping[str, Any] | None, *, properties: Mapping[str, Any]) -> None:
    accepts = InputSchema(schema) if schema else None
    try:
        document = written(values if accepts is None else accepts.filled(values))
        if accepts is not None:
            accepts.must_fit(document)
    except NotPlainError as error:
        raise ValidationError("invalid_input", f"the input cannot be kept: input.{error.path}: {error.reason}") from None
    except ValidationError as error:
        missing = cast("list[str]", error.facts.get("missing", []))
        add = " ".join(f"--input {name}={_example(properties.get(name))}" for name in missing if name in properties)
        hint = f"add {add}" if add else "values are typed by the document's input schema"
        raise ValidationError(error.name, error.message, hint=hint, **error.facts) from None


def _example(declared: object) -> str:
    return _EXAMPLES.get((*_types(declared), "string")[0], "…")


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
            raise ValidationError("invalid_input", f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_FILE_BYTES:
        raise ValidationError(
            "invalid_input", f"{name} is larger than {MAX_FILE_BYTES} bytes", hint="pass a path in the input instead"
        )
    value = _parsed(data.removeprefix(_MARK), name)
    if not isinstance(value, dict):
        raise ValidationError("invalid_input", f"{name} holds {described(value)}, an input is a JSON object")
    return value


def _parsed(data: bytes, name: str) -> Json:
    """The value of a JSON text, in which no key stands twice. ``ValidationError`` with the place of what is wrong."""
    try:
        value = decode(data)
        json.loads(data, object_pairs_hook=_once, parse_int=_nothing, parse_float=_nothing)
    except RecursionError:
        raise ValidationError("invalid_input", f"{name} is not read: it is nested too deep") from None
    except UnicodeDecodeError as error:
        wide = ", it looks like UTF-16" if data.startswith(_WIDE) else ""
        place = _line_and_column(data, error.start)
        raise ValidationError("invalid_input", f"{name}:{place}: not UTF-8 text{wide}", hint="save the file as UTF-8") from None
    except _TwiceError as error:
        raise ValidationError("invalid_input", f"{name}: the key {quoted(str(error))} stands twice in one object") from None
    except msgspec.DecodeError as error:
        found = _BYTE.search(str(error))
        place = _line_and_column(data, int(found[1]) if found is not None else len(data))
        said = _BYTE.sub("", str(error)).removeprefix("JSON is malformed: ").strip()
        hint = "save the file as UTF-8" if data.startswith(_WIDE) else ""
        raise ValidationError("invalid_input", f"{name}:{place}: {name} is not JSON: {said}", hint=hint) from None
    return value


def _line_and_column(data: bytes, offset: int) -> str:
    lead = data[:offset]
    begin = lead.rfind(b"\n") + 1
    line = lead.count(b"\n") + 1
    return f"{line}:{len(lead[begin:].decode(errors='replace')) + 1}"


class _TwiceError(Exception):
    """A key that stands twice."""


def _once(pairs: list[tuple[str, Any]]) -> None:
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise _TwiceError(name)
        names.add(name)


def _nothing(_text: str) -> None:
    """A number that is not needed."""


def _types(declared: object) -> tuple[str, ...]:
    """The JSON types that a property may have; none where the schema does not say."""
    types = _mapping(declared).get("type")
    return (types,) if isinstance(types, str) else _texts(types)


def _mapping(value: object) -> Mapping[str, Any]:
    """A part of a schema; what is none says nothing."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(one for one in cast("list[object]", value) if isinstance(one, str)) if isinstance(value, list) else ()


def _typed(name: str, text: str, *, types: tuple[str, ...]) -> Json:
    """The value that was meant: text where text is declared, JSON where something else is, otherwise JSON that is no text."""
    if types == ("string",):
        return text
    try:
        value = decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text
    if isinstance(value, dict | list):
        value = _parsed(text.encode(), name)
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
