"""How version labels of a workflow compare, and which number comes next. Pure; every store asks here, so that all agree."""

from __future__ import annotations

from collections.abc import Iterable

from taskengine.model.value import Instant

__all__ = ["latest", "next_label", "rank"]


def rank(label: str, created_at: Instant) -> tuple[tuple[int, ...], Instant, str]:
    """Sorts versions: by dotted numbers (``1.10`` above ``1.9``; other labels below all numbers), then by time, then by text."""
    parts = label.split(".")
    is_numeric = all(part.isascii() and part.isdecimal() for part in parts)
    return tuple(int(part) for part in parts) if is_numeric else (), created_at, label


def latest(versions: Iterable[tuple[str, Instant]]) -> str | None:
    """The highest of ``(label, created_at)``; None when there is none."""
    return max(versions, key=lambda version: rank(*version), default=("", 0))[0] or None


def next_label(newest: str | None) -> str:
    """The integer above the newest label: ``1`` first, ``3`` after ``2.4``, and ``1`` after a label that is no number."""
    numbers = rank(newest or "", 0)[0]
    return str(numbers[0] + 1) if numbers else "1"
