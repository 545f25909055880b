"""What the tree of `reference_parser` means, in the most obvious way. Nothing here imports the room under test."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import msgspec

from tests.expr.reference_parser import Parser, Refused


class Failed(Exception):  # noqa: N818 a verdict, not a fault
    """The expression has no value for this data; the argument is the error's name."""


def kind_of(value: Any) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}
    return kinds.get(type(value), "none")


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same JSON; 1 and 1.0 are, 1 and true are not."""
    if kind_of(left) != kind_of(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(same(one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    return bool(left == right)


def whole(value: Any) -> Any:
    """Return a whole number as an integer: JSON does not tell 1.0 and 1 apart."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**63 else value


def bounded(value: Any) -> Any:
    value = whole(value)
    if kind_of(value) == "number" and not (-(2**63) <= value <= 2**64 - 1 if isinstance(value, int) else math.isfinite(value)):
        raise Failed("number_out_of_range")
    return value


def text_of(value: Any) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(whole(value)).decode()


def evaluate(tree: Any, data: Any) -> Any:  # noqa: C901 one case for each kind of node
    def of(node: Any) -> Any:
        return evaluate(node, data)

    match tree:
        case ("constant", value):
            return whole(value)
        case ("path", *keys):
            return bounded(_follow(data, keys))
        case ("defined", ("path", *keys)):
            return _exists(data, keys)
        case ("default", ("path", *keys), other):
            return bounded(_follow(data, keys)) if _exists(data, keys) else of(other)
        case ("at", owner, key):
            return bounded(_at(of(owner), of(key)))
        case ("slice", owner, start, stop):
            return _slice(of(owner), of(start), of(stop))
        case ("if", condition, value, other):
            return of(value) if of(condition) else of(other)
        case ("or", left, right):
            return of(left) or of(right)
        case ("and", left, right):
            return of(left) and of(right)
        case ("not", value):
            return not of(value)
        case ("minus", value):
            return bounded(-_number(of(value)))
        case ("binary", symbol, left, right):
            return bounded(binary(symbol, of(left), of(right)))
        case ("list", *elements):
            return [of(element) for element in elements]
        case ("object", entries):
            return {key: of(value) for key, value in entries.items()}
        case ("filter", name, value, *arguments):
            return bounded(FILTERS[name](of(value), *map(of, arguments)))
        case ("test", name, value):
            return _test(name, of(value))
    raise AssertionError(tree)


def _get(owner: Any, key: Any) -> Any:
    if isinstance(owner, dict) and isinstance(key, str):
        return owner[key]
    if isinstance(owner, (list, str)) and isinstance(key, int):
        return owner[key]
    raise LookupError


def _follow(data: Any, keys: list[Any]) -> Any:
    for key in keys:
        try:
            data = _get(data, key)
        except LookupError:
            raise Failed("undefined_name") from None
    return data


def _exists(data: Any, keys: list[Any]) -> bool:
    try:
        _follow(data, keys)
    except Failed:
        return False
    return True


def _at(owner: Any, key: Any) -> Any:
    if isinstance(key, (bool, float)) or not isinstance(key, (int, str)):
        raise Failed("type_mismatch")
    return _follow(owner, [key])


def _slice(owner: Any, start: Any, stop: Any) -> Any:
    if not isinstance(owner, (list, str)):
        raise Failed("type_mismatch")
    for end in (start, stop):
        if end is not None and type(end) is not int:
            raise Failed("type_mismatch")
    return owner[start:stop]


def _number(value: Any) -> Any:
    if kind_of(value) != "number":
        raise Failed("type_mismatch")
    return value


def _test(name: str, value: Any) -> bool:
    kinds = {"mapping": "object", "sequence": "list", "string": "text"}
    if name == "integer":
        return kind_of(value) == "number" and value == math.floor(value)
    return kind_of(value) == kinds.get(name, name)


def binary(symbol: str, left: Any, right: Any) -> Any:
    kinds = (kind_of(left), kind_of(right))
    if symbol in {"==", "!="}:
        if kinds[0] != kinds[1] and "none" not in kinds:
            raise Failed("type_mismatch")
        return same(left, right) is (symbol == "==")
    if symbol in {"in", "not in"}:
        return _is_in(left, right) is (symbol == "in")
    if symbol in {"<", "<=", ">", ">="}:
        if kinds not in {("number", "number"), ("text", "text")}:
            raise Failed("type_mismatch")
        return {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[symbol]
    if symbol == "~":
        return text_of(left) + text_of(right)
    if symbol == "+" and kinds in {("text", "text"), ("list", "list")}:
        return left + right
    if kinds != ("number", "number"):
        raise Failed("type_mismatch")
    return _calculate(symbol, left, right)


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


def _calculate(symbol: str, left: Any, right: Any) -> Any:
    if symbol == "**" and left < 0 and right != int(right):
        raise Failed("not_a_number")
    if symbol == "**" and isinstance(left, int) and isinstance(right, int) and abs(left) > 1 and right > 64:
        raise Failed("number_out_of_range")
    try:
        return ARITHMETIC[symbol](left, right)
    except ZeroDivisionError:
        raise Failed("division_by_zero") from None
    except OverflowError:
        raise Failed("number_out_of_range") from None


def _is_in(needle: Any, haystack: Any) -> bool:
    if isinstance(haystack, list):
        if any(same(needle, element) for element in haystack):
            return True
        if haystack and needle is not None and all(kind_of(each) not in {kind_of(needle), "none"} for each in haystack):
            raise Failed("type_mismatch")
        return False
    if isinstance(needle, str) and isinstance(haystack, (str, dict)):
        return needle in haystack
    raise Failed("type_mismatch")


def _of_kind(*kinds: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def checked(value: Any, *arguments: Any) -> Any:
            if kind_of(value) not in kinds:
                raise Failed("type_mismatch")
            return function(value, *arguments)

        return checked

    return decorate


def _nonempty(function: Callable[..., Any]) -> Callable[..., Any]:
    def checked(value: Any) -> Any:
        if not value:
            raise Failed("empty_list")
        return function(value)

    return checked


def _ordered(function: Callable[..., Any]) -> Callable[..., Any]:
    def checked(value: Any) -> Any:
        kinds = {kind_of(element) for element in value}
        if kinds not in (set(), {"number"}, {"text"}):
            raise Failed("type_mismatch")
        return function(value)

    return checked


def _join(value: Any, separator: Any = "") -> str:
    if not isinstance(separator, str):
        raise Failed("type_mismatch")
    return separator.join(map(text_of, value))


FILTERS: dict[str, Callable[..., Any]] = {
    "abs": _of_kind("number")(abs),
    "first": _of_kind("list", "text")(_nonempty(lambda value: value[0])),
    "items": _of_kind("object")(lambda value: [list(entry) for entry in value.items()]),
    "join": _of_kind("list")(_join),
    "keys": _of_kind("object")(list),
    "last": _of_kind("list", "text")(_nonempty(lambda value: value[-1])),
    "length": _of_kind("text", "list", "object")(len),
    "max": _of_kind("list")(_nonempty(_ordered(max))),
    "reverse": _of_kind("list", "text")(lambda value: value[::-1]),
    "string": text_of,
    "sum": _of_kind("list")(lambda value: sum(_number(element) for element in value)),
    "upper": _of_kind("text")(str.upper),
}


def outcome(source: str, data: Any) -> tuple[str, Any]:
    """Return ("refused", None), ("failed", name) or ("value", value)."""
    try:
        tree = Parser(source).parse()
    except Refused:
        return "refused", None
    try:
        return "value", evaluate(tree, data)
    except Failed as failure:
        return "failed", failure.args[0]
