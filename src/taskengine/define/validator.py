"""The schema of a workflow's input, compiled and applied: the only module that knows the schema library, and loads it when needed.

Nothing is fetched: references that lead out are refused before the library sees the schema, and its retriever refuses them again.
Patterns run in linear time. What is judged is bounded in what it may cost (`schema_graph.py`), because a call into the library
cannot be stopped and holds the interpreter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn, cast

from taskengine.define.fault import Fault, faults_of
from taskengine.define.phrase import numbered
from taskengine.define.schema_graph import Circular, Costly, Parts, Unresolved
from taskengine.errors import DefinitionError, LimitError, ValidationError
from taskengine.model.value import Json, Raw, decode

__all__ = ["InputSchema", "defaults_of", "faults_in", "pattern_fault", "problems_of"]

_PATTERN_BYTES: Final = 1 << 18  # of a compiled pattern
_LARGE_PATTERN_BYTES: Final = 1 << 22
_DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
MAX_LISTED_LOOKS: Final = 20_000  # at all values together, when every fault is listed: each costs 0.03 ms
_FRACTION: Final = 40  # looks that dividing by a fraction is worth
_HINT: Final = "the workflow's document says under `input` what it accepts"
MAX_LOOKS: Final = 30_000_000  # at all values together: two seconds at worst


def _refuse(address: str) -> NoReturn:
    raise ValueError(f"{address} is not fetched")


def _compiled(schema: Mapping[str, Any]) -> Any:
    """Raises ``ValueError`` for what is no schema."""
    import jsonschema_rs  # noqa: PLC0415 -- 20 ms that only workflows with a schema pay

    options = jsonschema_rs.RegexOptions(size_limit=_LARGE_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES)
    return jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True, retriever=_refuse, pattern_options=options)


def problems_of(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Where a schema disagrees with JSON Schema itself, as errors of the library."""
    import jsonschema_rs  # noqa: PLC0415 -- likewise

    judge = jsonschema_rs.Draft202012Validator({"$ref": _DRAFT}, retriever=_refuse)
    yield from judge.iter_errors(schema)


def pattern_fault(pattern: str, *, may_be_large: bool) -> str:
    """Why a pattern cannot be used; empty when it can, ``large`` when it could if it were allowed to be that large."""
    import jsonschema_rs  # noqa: PLC0415 -- likewise

    for limit in (_PATTERN_BYTES, _LARGE_PATTERN_BYTES):
        try:
            jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions(size_limit=limit))
        except ValueError:
            continue
        return "" if limit == _PATTERN_BYTES or may_be_large else "large"
    return "it cannot be read, looks around or back, or is too large when it is compiled"


def faults_in(schema: Mapping[str, Any], value: Json) -> tuple[Fault, ...]:
    """What of a small value does not fit a schema. Raises ``ValueError`` for what is no schema."""
    return faults_of(_compiled(schema).iter_errors(value), what="it")


def defaults_of(schema: Mapping[str, Any]) -> dict[str, Json]:
    """What the properties at the top are when an input leaves them out."""
    return {name: part["default"] for name, part in _parts_of(schema).items() if isinstance(part, dict) and "default" in part}


class InputSchema:
    """What a workflow accepts as its input. Compiled when it is first used, and kept with the workflow."""

    __slots__ = ("_defaults", "_looks", "_schema", "_validator")

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._validator: Any = None
        self._looks = 1
        self._defaults = defaults_of(schema)

    def filled(self, given: Mapping[str, Json]) -> dict[str, Json]:
        """The input with the defaults of what it leaves out: of properties at the top, not of what is inside of them."""
        return {**{name: value for name, value in self._defaults.items() if name not in given}, **given}

    def must_fit(self, document: Raw | bytes, *, what: str = "input", hint: str = _HINT) -> None:
        """Raises ``ValidationError`` naming what does not fit, ``LimitError`` when judging would cost too much.

        ``DefinitionError``: the schema itself cannot be used (one that was stored by a version that did not check it).
        """
        validator = self._validator if self._validator is not None else self._compile()
        text = bytes(document)
        values = text.count(b",") + text.count(b"[") + text.count(b"{") + 1  # at most: some of them stand in texts
        if values * self._looks > MAX_LOOKS:
            raise LimitError(
                "input_too_costly",
                f"the {what} has about {values} values, and its schema looks at each up to {self._looks} times",
                hint="pass a reference to the data, such as a file's name, or describe less of it in the schema",
                limit=MAX_LOOKS,
                actual=values * self._looks,
            )
        value = decode(text)
        if validator.is_valid(value):
            return
        faults = faults_of(
            self._errors(value, is_small=values * self._looks <= MAX_LISTED_LOOKS), what=what, names=tuple(_parts_of(self._schema))
        )
        raise ValidationError(
            "invalid_input",
            f"the {what} does not fit its schema ({numbered(len(faults), 'fault')}): {'; '.join(map(str, faults))}",
            hint=hint,
            faults=[{"path": fault.path, "said": fault.said} for fault in faults],
            missing=[fault.name for fault in faults if fault.name],
        )

    def _errors(self, value: Json, *, is_small: bool) -> Iterator[Any]:
        """All errors of a small value; the first of a large one, because the library makes all of them at once."""
        if is_small:
            yield from self._validator.iter_errors(value)
            return
        try:
            self._validator.validate(value)
        except ValueError as error:
            yield error

    def _compile(self) -> Any:
        try:
            parts = Parts(cast("dict[str, Any]", self._schema))
            self._looks = parts.most_looks() * (_FRACTION if parts.has_fractions else 1)
            self._validator = _compiled(self._schema)
        except (ValueError, Unresolved, Circular, Costly) as error:
            said = re.sub(r"\s+", " ", str(error))[:200]
            raise DefinitionError(
                "bad_schema",
                f"the schema of the input cannot be used: {said}",
                hint="task-engine workflow check FILE says what is wrong with it",
            ) from None
        return self._validator


def _parts_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    parts: object = schema.get("properties")
    return cast("dict[str, Any]", parts) if isinstance(parts, dict) else {}
