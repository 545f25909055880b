"""Why a value of a program cannot be written as JSON, and where in it the part stands that cannot. For `plain`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from math import isfinite
from typing import Any, Final, cast

import msgspec

from taskengine.model.value import encode

__all__ = ["fault_in"]

_LOOKED_AT: Final = 1_000_000
_DEPTH: Final = 64
_SHOWN: Final = 200
_PLACE: Final = 40


def fault_in(value: object, hook: Callable[[Any], Any] | None, *, else_said: str) -> tuple[str, str]:
    """The place of the first fault and its reason; ``else_said`` without a place when none is found."""
    with suppress(TypeError, ValueError, OverflowError, RecursionError):  # then the fault is looked for in what there is
        value = msgspec.to_builtins(value, enc_hook=hook)
    return next(_faults(value), ("", else_said))


def _faults(value: object) -> Iterator[tuple[str, str]]:
    """Places and reasons, in order."""
    waiting: list[tuple[object, str, int]] = [(value, "", 0)]
    for _ in range(_LOOKED_AT):
        if not waiting:
            return
        one, path, depth = waiting.pop()
        reason = _reason(one)
        if depth > _DEPTH:
            yield path[:_PLACE] + "…", f"nested deeper than {_DEPTH} levels, or without end"
        elif reason:
            yield path[:_SHOWN], reason
        elif isinstance(one, dict):
            entries = cast("dict[Any, Any]", one)
            for key in entries:
                said = _key_reason(key)
                if said:
                    yield path[:_SHOWN], said
            below = [(item, _named(path, str(key)), depth + 1) for key, item in entries.items()]
            waiting.extend(reversed(below))
        elif isinstance(one, list | tuple | set | frozenset):
            items = cast("list[Any]", one)
            waiting.extend(reversed([(item, f"{path}[{number}]", depth + 1) for number, item in enumerate(items)]))


def _reason(value: object) -> str:
    match value:
        case float() if not isfinite(value):
            return f"the number {value} is not in JSON"
        case str() if not _is_text(value):
            return "a text with half a character (a lone surrogate)"
        case bool() | None | float() | str() | dict() | list() | tuple() | set() | frozenset():
            return ""
        case int():
            return "" if -(2**63) <= value < 2**64 else "a whole number of more than 64 bits"
        case _:
            try:
                encode(cast("Any", value))
            except (TypeError, ValueError, OverflowError, RecursionError) as error:
                return f"an object of type {type(value).__name__} is not in JSON" if isinstance(error, TypeError) else str(error)
            return ""


def _key_reason(key: object) -> str:
    if isinstance(key, str):
        return "" if _is_text(key) else "a key with half a character (a lone surrogate)"
    return "" if isinstance(key, int | float) and not isinstance(key, bool) else f"a {type(key).__name__} as a key is not in JSON"


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _named(path: str, key: str) -> str:
    if key.isidentifier():
        return f"{path}.{key}" if path else key
    return f"{path}[{key[:_SHOWN]!a}]"
