"""What an `aggregate` step makes of a list: one value, or one for each group. Pure arithmetic over plain JSON data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from taskengine.model.value import encode

__all__ = ["OPERATIONS", "aggregated"]

_LARGEST: Final = sys.float_info.max


def aggregated(config: Mapping[str, Any]) -> Any:
    """Apply ``operation`` (default collect) to ``items``, or to their ``field``; by ``group_by``: ``{value: result}``.

    Items that are none are left out, and so are those without the field. Raises ``ValueError`` naming what does not fit.
    """
    given = config.get("items")
    if not isinstance(given, list):
        raise ValueError("items is a list")
    items = cast("list[Any]", given)
    name = config.get("operation") or "collect"
    if not isinstance(name, str) or name not in OPERATIONS:
        raise ValueError(f"operation is one of {', '.join(OPERATIONS)}, not {name!r}")
    field, key = _name(config, "field"), _name(config, "group_by")
    if key is None:
        return OPERATIONS[name](_values(items, field))
    grouped: dict[str, list[Any]] = {}
    for item in items:
        held = _at(item, key)
        grouped.setdefault(held if isinstance(held, str) else encode(held).decode(), []).append(item)
    return {held: OPERATIONS[name](_values(members, field)) for held, members in grouped.items()}


def _name(config: Mapping[str, Any], key: str) -> str | None:
    name = config.get(key)
    if name is not None and not isinstance(name, str):
        raise ValueError(f"{key} is a text, not {name!r}"[:200])
    return name


def _values(items: list[Any], field: str | None) -> list[Any]:
    found = items if field is None else [_at(item, field) for item in items]
    return [value for value in found if value is not None]


def _at(item: Any, field: str) -> Any:
    """A field, dots going down; none where it is missing."""
    for part in field.split("."):
        if not isinstance(item, dict):
            return None
        item = cast("dict[str, Any]", item).get(part)
    return item


def _numbers(values: list[Any]) -> list[Any]:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"only numbers can be added or compared, not {value!r}"[:200])
    return values


def _average(values: list[Any]) -> float | None:
    return _finite(sum(_numbers(values)) / len(values)) if values else None


def _finite(number: float) -> float:
    if not -_LARGEST <= number <= _LARGEST:
        raise ValueError("the sum is too large for a number")
    return number


def _concat(values: list[Any]) -> list[Any]:
    joined: list[Any] = []
    for value in values:
        if not isinstance(value, list):
            raise ValueError(f"concat joins lists, not {value!r}"[:200])
        joined.extend(cast("list[Any]", value))
    return joined


def _merge(values: list[Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for value in values:
        if not isinstance(value, dict):
            raise ValueError(f"merge joins objects, not {value!r}"[:200])
        merged.update(cast("dict[str, Any]", value))
    return merged


OPERATIONS: Final[Mapping[str, Callable[[list[Any]], Any]]] = {
    "collect": lambda values: values,
    "count": len,
    "sum": lambda values: _finite(sum(_numbers(values))),
    "min": lambda values: min(_numbers(values), default=None),
    "max": lambda values: max(_numbers(values), default=None),
    "average": _average,
    "first": lambda values: values[0] if values else None,
    "last": lambda values: values[-1] if values else None,
    "concat": _concat,
    "merge": _merge,
}
