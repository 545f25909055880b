"""What the operators of an expression mean for JSON values. It owns the rules on types.

An ordering compares two numbers or two texts. `==` and `!=` compare values of one kind, and anything with none. Numbers are one
kind, whole or not; true and false are no numbers. Inside of lists and objects `==` goes element by element, and elements of
different kinds are unequal. Arithmetic is for numbers; `+` also joins two texts or two lists, `~` joins anything as text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from taskengine.errors import ExpressionError
from taskengine.expr.values import Operands, Operation, Scope, is_number, kind_of, out_of_range, text_of, type_mismatch
from taskengine.model.value import Json

__all__ = ["OPERATORS", "join", "negate"]

_LONGEST_POWER: Final = 64  # bits: no whole power beyond is a 64-bit number


def are_equal(left: Json, right: Json, *, scope: Scope) -> bool:
    """Whether two values are the same JSON, 1 and 1.0 being one number. Iterative: depth is the data's."""
    pending: list[tuple[Json, Json]] = [(left, right)]
    while pending:
        one, other = pending.pop()
        if isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            scope.spend(len(one))
            pending.extend(zip(one, other, strict=True))
        elif isinstance(one, dict) and isinstance(other, dict):
            scope.spend(len(one))
            if one.keys() != other.keys():
                return False
            pending.extend((value, other[key]) for key, value in one.items())
        elif kind_of(one) != kind_of(other) or one != other:
            return False
    return True


def _equality(symbol: str) -> Operation:
    wanted = symbol == "=="

    def compare(scope: Scope, operands: Operands) -> Json:
        left, right = operands
        if type(left) is type(right) and not isinstance(left, (list, dict)):
            return (left == right) is wanted
        if left is None or right is None:
            return not wanted
        if kind_of(left) != kind_of(right):
            raise type_mismatch(f"`{symbol}` cannot compare {kind_of(left)} with {kind_of(right)}", left, right)
        return are_equal(left, right, scope=scope) is wanted

    return compare


# What an ordering says of two values, the first being smaller (-1), equal (0) or larger (1).
_HOLDS: Final[Mapping[str, Callable[[int], bool]]] = {
    "<": lambda sign: sign < 0,
    "<=": lambda sign: sign <= 0,
    ">": lambda sign: sign > 0,
    ">=": lambda sign: sign >= 0,
}


def _ordering(symbol: str) -> Operation:
    holds = _HOLDS[symbol]

    def order(_: Scope, operands: Operands) -> Json:
        left, right = operands
        if is_number(left) and is_number(right):
            return holds((left > right) - (left < right))
        if isinstance(left, str) and isinstance(right, str):
            return holds((left > right) - (left < right))
        raise type_mismatch(f"`{symbol}` cannot compare {kind_of(left)} with {kind_of(right)}", left, right)

    return order


def _membership(symbol: str) -> Operation:
    wanted = symbol == "in"

    def find(scope: Scope, operands: Operands) -> Json:
        needle, haystack = operands
        if isinstance(haystack, list):
            return _is_among(needle, haystack, scope=scope) is wanted
        if isinstance(needle, str) and isinstance(haystack, (str, dict)):
            if isinstance(haystack, str):
                scope.spend(len(haystack))
            return (needle in haystack) is wanted
        raise type_mismatch(f"`{symbol}` cannot look for {kind_of(needle)} in {kind_of(haystack)}", needle, haystack)

    return find


def _is_among(needle: Json, elements: list[Json], *, scope: Scope) -> bool:
    scope.spend(len(elements))
    kind = kind_of(needle)
    is_comparable = kind == "none" or not elements
    for element in elements:
        if kind_of(element) == kind:
            if are_equal(element, needle, scope=scope):
                return True
            is_comparable = True
        elif element is None:
            is_comparable = True
    if not is_comparable:
        raise type_mismatch(f"`in` cannot find {kind} in a list that holds none of that kind", needle, elements[0])
    return False


def _arithmetic(symbol: str) -> Operation:
    compute = _COMPUTE[symbol]

    def calculate(_: Scope, operands: Operands) -> Json:
        left, right = operands
        if not (is_number(left) and is_number(right)):
            raise type_mismatch(f"`{symbol}` cannot be done with {kind_of(left)} and {kind_of(right)}", left, right)
        try:
            return compute(left, right)
        except ZeroDivisionError:
            raise ExpressionError("division_by_zero", f"`{symbol}` cannot divide by 0") from None
        except OverflowError:
            raise out_of_range(symbol) from None

    return calculate


def _power(left: float, right: float) -> float:
    if left < 0 and right != int(right):
        raise ExpressionError("not_a_number", "`**` with a part of a whole number has no result for a negative one")
    if isinstance(left, int) and isinstance(right, int) and right > 0 and (left.bit_length() - 1) * right > _LONGEST_POWER:
        raise OverflowError
    result: float = left**right
    return result


_COMPUTE: Final[Mapping[str, Callable[[float, float], float]]] = {
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "//": lambda left, right: left // right,
    "%": lambda left, right: left % right,
    "**": _power,
}


def _add(scope: Scope, operands: Operands) -> Json:
    left, right = operands
    if is_number(left) and is_number(right):
        return left + right
    if isinstance(left, str) and isinstance(right, str):
        scope.spend(len(left) + len(right))
        return left + right
    if isinstance(left, list) and isinstance(right, list):
        scope.spend(len(left) + len(right))
        return left + right
    hint = "join anything as text with `~`" if isinstance(left, str) or isinstance(right, str) else ""
    raise ExpressionError("type_mismatch", f"`+` cannot be done with {kind_of(left)} and {kind_of(right)}", hint=hint)


def negate(_: Scope, operands: Operands) -> Json:
    """``-x``."""
    (value,) = operands
    if not is_number(value):
        raise type_mismatch(f"`-` cannot be done with {kind_of(value)}", value)
    return -value


def join(scope: Scope, operands: Operands) -> Json:
    """``a ~ b ~ c``, the operands as one list: each as text, one after the other."""
    (parts,) = operands
    assert isinstance(parts, list)
    return "".join([text_of(scope, part) for part in parts])


OPERATORS: Final[Mapping[str, Operation]] = {
    **{symbol: _equality(symbol) for symbol in ("==", "!=")},
    **{symbol: _ordering(symbol) for symbol in ("<", "<=", ">", ">=")},
    **{symbol: _membership(symbol) for symbol in ("in", "not in")},
    **{symbol: _arithmetic(symbol) for symbol in _COMPUTE},
    "+": _add,
}
