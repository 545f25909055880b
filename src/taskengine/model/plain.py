"""Whether a value of a program can be written as JSON and read back as it was; where it cannot, the place and the reason.

The codec writes NaN and infinities as null without a word, whole numbers of any length, and what it refuses it does not say where.
This looks, and only when there is cause: the codec's own answer, or a null or a long row of digits in what it wrote.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, Final, cast

import msgspec

from taskengine.model.value import encode, has_large_integer

__all__ = ["MOST_CHARACTERS", "NotPlainError", "is_endless", "written"]

MOST_CHARACTERS: Final = 64 * 1024 * 1024  # in texts; what may be kept is less
MOST_VALUES: Final = 9_000_000  # a document of 16 MiB has no more
_LEVELS: Final = 300
_MANY: Final = 1_000
_CONTAINERS: Final = (dict, list, tuple, set, frozenset)
_SIZED: Final = frozenset(_CONTAINERS)
_SINGLE: Final = frozenset((int, float, bool, str, type(None)))
_KNOWN: Final = _SIZED | _SINGLE
_RECORDS: Final = ("__struct_fields__", "__dataclass_fields__", "__attrs_attrs__", "model_dump")
_ENDLESS: Final = "it is nested without end, or larger than anything that is kept when it is written out"


class NotPlainError(ValueError):
    """JSON cannot hold the value. ``path`` leads to the part that it cannot hold (empty: the value itself)."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


def is_endless(value: object, *, values: int = MOST_VALUES, characters: int = MOST_CHARACTERS) -> bool:
    """Whether writing the value out would have no end that matters: it stands in itself, or it is far larger than what may be kept.

    A list that stands in itself a thousand times, four times over, is four objects and a terabyte, and the codec would write it. So
    it is counted before, level by level, as often as it would be written, and never held as often.
    """
    if type(value) is dict:  # most are flat
        entries, left = cast("dict[object, object]", value), characters
        for one in entries.values():
            if type(one) is str:
                left -= len(one)
            elif type(one) not in _SINGLE:
                break
        else:
            return left < 0 or len(entries) > values
    level: list[Any] = [value]
    for _ in range(_LEVELS):
        values -= sum(len(one) for one in level if type(one) in _SIZED)
        if values < 0:
            return True
        inside = gc.get_referents(*level)
        characters -= sum(len(one) for one in inside if type(one) is str)
        if characters < 0:
            return True
        level = [one for one in inside if type(one) in _SIZED]
        level += [one for one in inside if type(one) not in _KNOWN and _holds(one)]
        if not level:
            return False
        if len(level) > _MANY and 2 * len(set(map(id, level))) < len(level):
            return _size(level, {}, most=values + characters) > values + characters
    return True


def _size(level: list[Any], known: dict[int, int], *, most: int, depth: int = 0) -> int:
    """Values and characters of all of them as they would be written; each is looked at once, however often it stands there."""
    total = 0
    for one in level:
        number = id(one)
        if number not in known:
            known[number] = most + 1  # until it is known: what stands in itself has no end
            inside = gc.get_referents(one)
            below = [part for part in inside if type(part) in _SIZED or (type(part) not in _KNOWN and _holds(part))]
            own = len(inside) + sum(len(part) for part in inside if type(part) is str)
            known[number] = own + (_size(below, known, most=most, depth=depth + 1) if depth < _LEVELS else most + 1)
        total += known[number]
    return total


def _holds(value: object) -> bool:
    """Whether an object of another type holds values that the codec may write."""
    kind = type(value)
    if isinstance(value, type):  # every object refers to its class, and that one to everything
        return False
    return isinstance(value, _CONTAINERS) or any(hasattr(kind, name) for name in _RECORDS)


def written(value: object, *, encoder: Callable[[Any], bytes] = encode, hook: Callable[[Any], Any] | None = None) -> bytes:
    """The value as JSON. ``encoder`` may know more types than the codec, by the same ``hook``. Raises ``NotPlainError``."""
    if value is None:
        return b"null"
    if type(value) not in _SINGLE and is_endless(value):
        raise NotPlainError("", _ENDLESS)
    try:
        document = encoder(value)
    except RecursionError:
        raise NotPlainError(*_fault(value, hook, else_said="it is nested without end")) from None
    except (TypeError, ValueError, OverflowError) as error:
        raise NotPlainError(*_fault(value, hook, else_said=str(error))) from None
    if b"null" in document and not _is_finite(value, hook):
        raise NotPlainError(*_fault(value, hook, else_said="it holds a number that is none"))
    if has_large_integer(document):
        raise NotPlainError(*_fault(value, hook, else_said="it holds a whole number of more than 64 bits"))
    return document


def _is_finite(value: object, hook: Callable[[Any], Any] | None) -> bool:
    """Whether every number is one. The standard library's encoder is asked because it looks at C speed, and refuses the others."""
    import json  # noqa: PLC0415 -- most documents hold no null

    def plain(other: object) -> object:
        return msgspec.to_builtins(other, enc_hook=hook)

    try:
        json.dumps(value, allow_nan=False, check_circular=False, skipkeys=True, ensure_ascii=False, default=plain)
    except ValueError:
        return False
    return True


def _fault(value: object, hook: Callable[[Any], Any] | None, *, else_said: str) -> tuple[str, str]:
    from taskengine.model.unplain import fault_in  # noqa: PLC0415 -- few values are

    return fault_in(value, hook, else_said=else_said)
