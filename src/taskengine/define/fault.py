"""What does not fit a schema, in words: where, what was expected, what was found. Never a whole value, and never more than a few.

It turns what the schema library says into words of ours; it judges nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from taskengine.define.finding import Keys, path_of
from taskengine.define.phrase import cropped, described, listed, nearest, quoted, visible
from taskengine.model.value import encode

__all__ = ["MAX_FAULTS", "Fault", "faults_of"]

MAX_FAULTS: Final = 10  # said of one value
_DEPTH: Final = 3  # of choices within choices that are looked into for the one that was meant
_PATH: Final = 200  # characters of a place
# What is said of a keyword, over ``value`` in a few words, ``count`` of what it holds, and the facts of the keyword.
_SAID: Final = {
    "minLength": "has {count} characters, at least {limit} are needed",
    "maxLength": "has {count} characters, at most {limit} are allowed",
    "minItems": "has {count} items, at least {limit} are needed",
    "maxItems": "has {count} items, at most {limit} are allowed",
    "minProperties": "has {count} properties, at least {limit} are needed",
    "maxProperties": "has {count} properties, at most {limit} are allowed",
    "minimum": "must be at least {limit}, not {value}",
    "maximum": "must be at most {limit}, not {value}",
    "exclusiveMinimum": "must be more than {limit}, not {value}",
    "exclusiveMaximum": "must be less than {limit}, not {value}",
    "multipleOf": "must be a multiple of {multiple_of}, not {value}",
    "const": "must be {expected_value}, not {value}",
    "pattern": "{value} does not match the pattern {pattern}",
    "format": "{value} is not of the format {format}",
    "uniqueItems": "holds the same item twice",
    "contains": "holds too few or too many of the items that it must hold",
    "unevaluatedItems": "has {count} items, more than are described",
    "falseSchema": "must not be there",
    "not": "has a form that is excluded",
}


class Fault(msgspec.Struct, frozen=True):
    """One thing that does not fit. ``path`` begins with what was judged: ``input.names[3]``."""

    path: str
    said: str
    keyword: str
    keys: Keys = ()
    name: str = ""  # of the property that is missing

    def __str__(self) -> str:
        return f"{self.path}: {self.said}"


def faults_of(errors: Iterable[Any], *, what: str, names: Sequence[str] = ()) -> tuple[Fault, ...]:
    """The faults that errors of the library mean, each once, in order, ``MAX_FAULTS`` at most; ``names`` the known properties."""
    found: dict[tuple[str, str], Fault] = {}
    for error in errors:
        for fault in _told(error, what=what, names=names, depth=_DEPTH):
            found.setdefault((fault.path, fault.said), fault)
        if len(found) > MAX_FAULTS:
            break
    return tuple(found.values())[:MAX_FAULTS]


def _told(error: Any, *, what: str, names: Sequence[str], depth: int) -> list[Fault]:
    keys: Keys = tuple(error.instance_path)
    keyword, facts = error.kind.name, error.kind.as_dict()
    match keyword:
        case "required":
            return [Fault(_place(what, (*keys, facts["property"])), "is missing", keyword, keys, facts["property"])]
        case "additionalProperties" | "unevaluatedProperties":
            known = names if not keys else ()
            return [
                Fault(_place(what, (*keys, name)), _unknown(name, known), keyword, (*keys, name))
                for name in facts["unexpected"][:MAX_FAULTS]
            ]
        case "anyOf" | "oneOf":
            return _of_choice(error, facts["context"], what=what, names=names, depth=depth)
        case "propertyNames":
            return [Fault(_place(what, keys), f"a key does not fit: {_said(facts['error'])}", keyword, keys)]
        case _:
            return [Fault(_place(what, keys), _said(error), keyword, keys)]


def _of_choice(error: Any, branches: list[list[Any]], *, what: str, names: Sequence[str], depth: int) -> list[Fault]:
    """What is wrong in the branch that was meant: the one that goes on where the others stop at the type."""
    keys: Keys = tuple(error.instance_path)
    place = _place(what, keys)
    if any(not branch for branch in branches):
        return [Fault(place, "fits more than one of the forms that exclude each other", error.kind.name, keys)]
    types = [branch[0].kind.as_dict()["types"] for branch in branches if _stops_at(branch, keys)]
    rest = [branch for branch in branches if not _stops_at(branch, keys)]
    if len(rest) == 1 and depth:
        return [fault for one in rest[0] for fault in _told(one, what=what, names=names, depth=depth - 1)]
    if not rest:
        wanted = " or ".join(dict.fromkeys(word for one in types for word in one))
        return [Fault(place, f"must be {wanted}, not {described(error.instance)}", error.kind.name, keys)]
    return [Fault(place, f"{_short(error.instance)} fits none of the {len(branches)} forms it may have", error.kind.name, keys)]


def _stops_at(branch: list[Any], keys: Keys) -> bool:
    return branch[0].kind.name == "type" and tuple(branch[0].instance_path) == keys


def _said(error: Any) -> str:
    keyword, facts, value = error.kind.name, error.kind.as_dict(), error.instance
    if keyword == "type":
        return f"must be {' or '.join(facts['types'])}, not {described(value)}"
    if keyword == "enum":
        return f"must be one of {listed(_short(one) for one in facts['options'][:MAX_FAULTS])}, not {_short(value)}"
    form = _SAID.get(keyword, f"does not fit the keyword {keyword}")
    count = len(value) if "{count}" in form else 0
    short = {name: _short(fact) for name, fact in facts.items()} if "{" in form else {}
    return form.format(**{**short, "value": _short(value), "count": count})


def _unknown(name: str, known: Sequence[str]) -> str:
    meant = nearest(name, known)
    said = "is not known"
    return f"{said}, did you mean {meant}?" if meant else f"{said} (there are: {listed(known)})" if known else said


def _short(value: Any) -> str:
    """A value in a few words: a number, a short text; of a list or an object only what it is."""
    if isinstance(value, str):
        return quoted(value)
    kind = described(value)
    return cropped(str(encode(value), "utf-8")) if value is None or isinstance(value, bool | int | float) else kind


def _place(what: str, keys: Keys) -> str:
    path = path_of(keys)
    path = path if len(path) <= _PATH else path[: _PATH - 1] + "…"
    return what + ("" if path.startswith("[") or not path else ".") + visible(path)
