"""The filters and tests that an expression may use; what is not in `FILTERS` or `TESTS` does not exist.

Each one is linear in what it touches (sorting: times its logarithm), spends what it touches before it builds anything, and refuses
kinds that it has no meaning for. None of them calls another one by name, so no filter can reach what is not listed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias, TypeVar

from taskengine.errors import ExpressionError
from taskengine.expr.operators import OPERATORS
from taskengine.expr.values import (
    Operands,
    Operation,
    Scope,
    a_kind,
    is_number,
    json_of,
    kind_of,
    out_of_range,
    text_of,
    type_mismatch,
)
from taskengine.model.value import Json

__all__ = ["FILTERS", "TESTS", "Filter"]

_MOST_DECIMALS: Final = 15
_LONGEST_NUMBER: Final = 40  # characters of a text that is to become a number
_SORT_WORK: Final = 4  # what an element costs to sort, in elements to touch


class Filter(NamedTuple):
    """An operation on what stands before the `|`, and its parameters with their defaults as source text; `None` is no default."""

    operation: Operation
    parameters: Mapping[str, str | None] = {}
    is_named: bool = False  # arguments are written `name=value`, because their order would mean something else in Jinja


# ── texts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _on_text(name: str, change: Callable[[str], str]) -> Operation:
    def operation(scope: Scope, operands: Operands) -> Json:
        (value,) = operands
        text = _text(name, value)
        scope.spend(len(text))
        return change(text)

    return operation


def _replace(scope: Scope, operands: Operands) -> Json:
    text, old, new = (_text("replace", operand) for operand in operands)
    if not old:
        raise ExpressionError("wrong_argument", "`replace` cannot replace nothing", hint="give the text to look for")
    scope.spend(len(text))
    scope.spend(text.count(old) * len(new))
    return text.replace(old, new)


def _split(scope: Scope, operands: Operands) -> Json:
    value, separator = operands
    text = _text("split", value)
    if separator == "":
        raise ExpressionError("wrong_argument", "`split` cannot split at nothing", hint='give a separator, such as ","')
    scope.spend(len(text))
    parts: list[Json] = [*text.split(None if separator is None else _text("split", separator))]
    return parts


def _join(scope: Scope, operands: Operands) -> Json:
    value, separator = operands
    elements = _list("join", value)
    between = _text("join", separator)
    scope.spend(len(elements) * (len(between) + 1))
    return between.join([text_of(scope, element) for element in elements])


def _string(scope: Scope, operands: Operands) -> Json:
    return text_of(scope, operands[0])


def _tojson(scope: Scope, operands: Operands) -> Json:
    return json_of(scope, operands[0])


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _abs(_: Scope, operands: Operands) -> Json:
    return abs(_number("abs", operands[0]))


def _round(_: Scope, operands: Operands) -> Json:
    """Half away from zero, as people round; 2.5 becomes 3."""
    value = _number("round", operands[0])
    decimals = operands[1]
    if type(decimals) is not int or not 0 <= decimals <= _MOST_DECIMALS:
        raise ExpressionError("wrong_argument", f"`round` takes a whole number of decimals from 0 to {_MOST_DECIMALS}")
    if isinstance(value, int):
        return value
    scaled = abs(value) * 10**decimals
    if scaled >= 2**53:  # no float of that size has decimals to lose
        return value
    whole = math.floor(scaled)
    return math.copysign((whole + (scaled - whole >= 0.5)) / 10**decimals, value)  # noqa: PLR2004 half


def _int(_: Scope, operands: Operands) -> Json:
    """The whole part of a number, or the whole number that a text spells."""
    (value,) = operands
    if not isinstance(value, str):
        return math.trunc(_number("int", value))
    return _spelled(value, int, name="int")


def _float(_: Scope, operands: Operands) -> Json:
    (value,) = operands
    if not isinstance(value, str):
        return float(_number("float", value))
    found = _spelled(value, float, name="float")
    if not math.isfinite(found):
        raise _not_a_number("float")
    return found


_Number = TypeVar("_Number", int, float)


def _spelled(text: str, read: Callable[[str], _Number], *, name: str) -> _Number:
    if len(text) > _LONGEST_NUMBER or "_" in text or not text.isascii():  # Python would read 1_000, and digits of every script
        raise _not_a_number(name)
    try:
        return read(text)
    except ValueError:
        raise _not_a_number(name) from None


def _not_a_number(name: str) -> ExpressionError:
    example = "42" if name == "int" else "4.2"
    return ExpressionError("not_a_number", f"`{name}` finds no number in the text", hint=f'it reads text such as "{example}"')


# ── lists and objects ────────────────────────────────────────────────────────────────────────────────────────────────


def _length(_: Scope, operands: Operands) -> Json:
    (value,) = operands
    if isinstance(value, (str, list, dict)):
        return len(value)
    raise type_mismatch(f"{a_kind(value)} has no length", value)


def _end(name: str, index: int) -> Operation:
    def operation(_: Scope, operands: Operands) -> Json:
        (value,) = operands
        if not isinstance(value, (list, str)):
            raise type_mismatch(f"`{name}` needs a list or text, not {a_kind(value)}", value)
        if not value:
            raise _nothing_in(name, value)
        return value[index]

    return operation


def _reverse(scope: Scope, operands: Operands) -> Json:
    (value,) = operands
    if not isinstance(value, (list, str)):
        raise type_mismatch(f"`reverse` needs a list or text, not {a_kind(value)}", value)
    scope.spend(len(value))
    return value[::-1]


def _sort(scope: Scope, operands: Operands) -> Json:
    value, is_reverse, attribute = operands
    elements = _list("sort", value)
    if not isinstance(is_reverse, bool):
        raise type_mismatch(f"`sort` takes true or false for `reverse`, not {a_kind(is_reverse)}", is_reverse)
    scope.spend(len(elements) * _SORT_WORK)
    if attribute is None:
        return sorted(elements, key=_order("sort", elements), reverse=is_reverse)
    keys = [_attribute(element, attribute, index=index) for index, element in enumerate(elements)]
    order = _order("sort", keys)
    numbers = sorted(range(len(keys)), key=lambda index: order(keys[index]), reverse=is_reverse)
    return [elements[number] for number in numbers]


def _extreme(name: str, choose: Callable[..., Json]) -> Operation:
    def operation(scope: Scope, operands: Operands) -> Json:
        elements = _list(name, operands[0])
        if not elements:
            raise _nothing_in(name, elements)
        scope.spend(len(elements))
        return choose(elements, key=_order(name, elements))

    return operation


def _sum(scope: Scope, operands: Operands) -> Json:
    elements = _list("sum", operands[0])
    scope.spend(len(elements))
    try:
        return sum(_number("sum", element) for element in elements)
    except OverflowError:
        raise out_of_range("the sum") from None


def _unique(scope: Scope, operands: Operands) -> Json:
    """Each value once, where it stood first."""
    elements = _list("unique", operands[0])
    scope.spend(len(elements))
    seen: dict[tuple[str, Json], Json] = {}
    for element in elements:
        if isinstance(element, (list, dict)):
            raise type_mismatch(f"`unique` compares numbers, texts, booleans and none, not {a_kind(element)}", element)
        seen.setdefault((kind_of(element), element), element)
    return [*seen.values()]


def _items(scope: Scope, operands: Operands) -> Json:
    entries = _object("items", operands[0])
    scope.spend(len(entries))
    return [[key, value] for key, value in entries.items()]


def _keys(scope: Scope, operands: Operands) -> Json:
    entries = _object("keys", operands[0])
    scope.spend(len(entries))
    return [*entries]


def _values(scope: Scope, operands: Operands) -> Json:
    entries = _object("values", operands[0])
    scope.spend(len(entries))
    return [*entries.values()]


def _map(scope: Scope, operands: Operands) -> Json:
    value, attribute = operands
    elements = _list("map", value)
    scope.spend(len(elements))
    return [_attribute(element, attribute, index=index) for index, element in enumerate(elements)]


def _select(name: str) -> Operation:
    wanted = name == "selectattr"

    def operation(scope: Scope, operands: Operands) -> Json:
        value, attribute, symbol, operand = operands
        elements = _list(name, value)
        scope.spend(len(elements))
        if symbol is None:
            return [
                element for index, element in enumerate(elements) if bool(_attribute(element, attribute, index=index)) is wanted
            ]
        compare = OPERATORS.get(symbol) if isinstance(symbol, str) and symbol in _COMPARISONS else None
        if compare is None:
            raise ExpressionError("wrong_argument", f"`{name}` compares with one of {', '.join(_COMPARISONS)}")
        return [
            element
            for index, element in enumerate(elements)
            if compare(scope, (_attribute(element, attribute, index=index), operand)) is wanted
        ]

    return operation


_COMPARISONS: Final = ("==", "!=", "<", "<=", ">", ">=", "in", "not in")


def _attribute(element: Json, attribute: Json, *, index: int) -> Json:
    if not isinstance(attribute, str):
        raise type_mismatch(f"an attribute is named by a text, not by {a_kind(attribute)}", attribute)
    value = element
    for key in attribute.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ExpressionError("undefined_name", f"element {index} of the list has no `{attribute}`")
        value = value[key]
    return value


# ── kinds ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _text(name: str, value: Json) -> str:
    if isinstance(value, str):
        return value
    raise type_mismatch(f"`{name}` needs text, not {a_kind(value)}", value)


def _list(name: str, value: Json) -> list[Json]:
    if isinstance(value, list):
        return value
    raise type_mismatch(f"`{name}` needs a list, not {a_kind(value)}", value)


def _object(name: str, value: Json) -> dict[str, Json]:
    if isinstance(value, dict):
        return value
    raise type_mismatch(f"`{name}` needs an object, not {a_kind(value)}", value)


def _number(name: str, value: Json) -> int | float:
    if is_number(value):
        return value
    raise type_mismatch(f"`{name}` needs a number, not {a_kind(value)}", value)


def _order(name: str, elements: list[Json]) -> Callable[[Json], float | str]:
    """Return the key to order by, when all elements are numbers or all are texts."""
    kinds = {kind_of(element) for element in elements}
    if kinds - {"number"} and kinds - {"text"}:
        raise type_mismatch(f"`{name}` needs numbers only or texts only, not {' and '.join(sorted(kinds))}", *elements)

    def key(element: Json) -> float | str:
        assert isinstance(element, (int, float, str))
        return element

    return key


def _nothing_in(name: str, value: list[Json] | str) -> ExpressionError:
    return ExpressionError("empty_list", f"`{name}` finds nothing in an empty {kind_of(value)}", hint="ask `…|length > 0` first")


_Test: TypeAlias = Callable[[Json], bool]


def _test(holds: _Test) -> Operation:
    return lambda _, operands: holds(operands[0])


FILTERS: Final[Mapping[str, Filter]] = {
    "abs": Filter(_abs),
    "first": Filter(_end("first", 0)),
    "float": Filter(_float),
    "int": Filter(_int),
    "items": Filter(_items),
    "join": Filter(_join, {"separator": '""'}),
    "keys": Filter(_keys),
    "last": Filter(_end("last", -1)),
    "length": Filter(_length),
    "lower": Filter(_on_text("lower", str.lower)),
    "map": Filter(_map, {"attribute": None}, is_named=True),
    "max": Filter(_extreme("max", max)),
    "min": Filter(_extreme("min", min)),
    "rejectattr": Filter(_select("rejectattr"), {"attribute": None, "operator": "none", "value": "none"}),
    "replace": Filter(_replace, {"old": None, "new": None}),
    "reverse": Filter(_reverse),
    "round": Filter(_round, {"decimals": "0"}),
    "selectattr": Filter(_select("selectattr"), {"attribute": None, "operator": "none", "value": "none"}),
    "sort": Filter(_sort, {"reverse": "false", "attribute": "none"}, is_named=True),
    "split": Filter(_split, {"separator": "none"}),
    "string": Filter(_string),
    "sum": Filter(_sum),
    "tojson": Filter(_tojson),
    "trim": Filter(_on_text("trim", str.strip)),
    "unique": Filter(_unique),
    "upper": Filter(_on_text("upper", str.upper)),
    "values": Filter(_values),
}

# `defined` and `undefined` ask about a name, not a value: `compiler` knows them.
TESTS: Final[Mapping[str, Operation]] = {
    "boolean": _test(lambda value: isinstance(value, bool)),
    "integer": _test(lambda value: is_number(value) and float(value).is_integer()),
    "mapping": _test(lambda value: isinstance(value, dict)),
    "none": _test(lambda value: value is None),
    "number": _test(is_number),
    "sequence": _test(lambda value: isinstance(value, list)),
    "string": _test(lambda value: isinstance(value, str)),
}
