"""JSON values as expressions see them: their kinds, their text, their size, and what one evaluation may spend on them.

Messages name kinds, never values: a value may be a secret. Errors carry no place; `interpreter` adds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final, TypeAlias, TypeGuard

from taskengine.errors import ExpressionError
from taskengine.expr.limits import LARGEST_INTEGER, MAX_WORK, SMALLEST_INTEGER
from taskengine.model.value import Json, encode

__all__ = [
    "Operands",
    "Operation",
    "Scope",
    "a_kind",
    "closest",
    "in_range",
    "is_number",
    "json_of",
    "kind_of",
    "out_of_range",
    "text_of",
    "type_mismatch",
    "weigh",
]

_KINDS: Final[Mapping[type, str]] = {
    type(None): "none",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "text",
    list: "list",
    dict: "object",
}
_MOST_SUGGESTIONS: Final = 1_000  # names that a mistyped one is compared with


class Scope:
    """What one evaluation has: the data it may read and the work it may still do."""

    __slots__ = ("_left", "data")

    def __init__(self, data: dict[str, Json]) -> None:
        self.data = data
        self._left = MAX_WORK

    def spend(self, units: int) -> None:
        """Count elements or characters that are about to be touched. Raises ``expression_too_expensive``."""
        self._left -= units
        if self._left < 0:
            raise ExpressionError(
                "expression_too_expensive",
                f"the expression touches more than {MAX_WORK:,} elements and characters",
                hint="do this in a step of its own",
            )


Operands: TypeAlias = tuple[Json, ...]
# Changes neither the scope's data nor its operands; gives JSON or raises `ExpressionError`.
Operation: TypeAlias = Callable[[Scope, Operands], Json]


def kind_of(value: Json) -> str:
    """Return the word for the value's type: none, boolean, number, text, list or object."""
    return _KINDS[type(value)]


def a_kind(value: Json) -> str:
    """Return the kind with its article, for a message."""
    kind = kind_of(value)
    return kind if kind in {"none", "text"} else f"an {kind}" if kind == "object" else f"a {kind}"


def is_number(value: Json) -> TypeGuard[int | float]:
    """Whether the value is a number; true and false are none."""
    return type(value) is int or type(value) is float


def closest(word: str, known: Iterable[str]) -> str:
    """Return a hint that names the known word most like this one, or nothing."""
    import difflib  # noqa: PLC0415 only a mistake needs it, and it takes a millisecond to load

    found = difflib.get_close_matches(word, list(islice(known, _MOST_SUGGESTIONS)), n=1)
    return f"did you mean `{found[0]}`?" if found else ""


def type_mismatch(message: str, *operands: Json) -> ExpressionError:
    """Return the error for operands that do not fit an operation, with the usual way out for their kinds."""
    kinds = {kind_of(operand) for operand in operands}
    hint = ""
    if "none" in kinds:
        hint = "ask `… != none` first"
    elif kinds == {"number", "text"}:
        hint = "turn one into the other: `…|int`, `…|float`, `…|string`"
    return ExpressionError("type_mismatch", message, hint=hint)


def text_of(scope: Scope, value: Json) -> str:
    """Return the text that stands for a value: text is itself, everything else its JSON; a whole float has no `.0`."""
    if isinstance(value, str):
        scope.spend(len(value))
        return value
    if isinstance(value, float) and value.is_integer() and SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        return str(int(value))
    return json_of(scope, value)


def json_of(scope: Scope, value: Json) -> str:
    """Return compact JSON."""
    weigh(scope, value)
    try:
        return encode(value).decode()
    except OverflowError:
        raise out_of_range("an integer") from None


def weigh(scope: Scope, value: Json) -> None:
    """Spend what a value holds in all, so that nobody has to encode something that an expression made huge."""
    pending = [value]
    while pending:
        element = pending.pop()
        if isinstance(element, list):
            scope.spend(len(element) + 1)
            pending.extend(element)
        elif isinstance(element, dict):
            scope.spend(sum(map(len, element)) + len(element) + 1)
            pending.extend(element.values())
        else:
            scope.spend(len(element) if isinstance(element, str) else 1)


def in_range(value: Json) -> Json:
    """Return the value when it is no number beyond 64 bits. Raises ``number_out_of_range``."""
    if type(value) is int:
        if not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
            raise out_of_range("the result")
    elif type(value) is float and not math.isfinite(value):
        raise out_of_range("the result")
    return value


def out_of_range(what: str) -> ExpressionError:
    """Return the error for a number that JSON readers would change."""
    return ExpressionError("number_out_of_range", f"{what} does not fit into 64 bits")
