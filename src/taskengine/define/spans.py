"""Durations and instants in documents: what `model.duration` reads, made strict and given words for what is wrong.

Strict means: above zero, at most ten years, exact to a millisecond. ``format_exactly`` writes what ``read_duration`` reads.
"""

from __future__ import annotations

import re
from typing import Final

from taskengine.define.phrase import quoted
from taskengine.model.duration import MAX_DURATION_MS, parse_duration_ms, parse_instant

__all__ = ["DurationError", "format_exactly", "instant_fault", "read_duration"]

_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
_SPELLED: Final = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|millis|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)(?![a-z])",
    re.IGNORECASE | re.ASCII,
)
_ISO: Final = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.ASCII)
_LONGEST: Final = 40  # characters that a duration may have
_FORMS: Final = "write 500ms, 30s, 5m, 1h30m or 2d; a number means seconds"


class DurationError(ValueError):
    """What was written is no duration."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


def read_duration(value: float | str) -> int:
    """Milliseconds. Raises ``DurationError``."""
    if isinstance(value, str) and (len(value) > _LONGEST or not value.isascii()):
        raise DurationError("it is not written like one", _FORMS)
    try:
        duration_ms = parse_duration_ms(value)
    except ValueError:
        raise DurationError(*_fault(value)) from None
    if duration_ms <= 0:
        raise DurationError("it must be at least one millisecond", "write a longer one, such as 1s")
    return duration_ms


def _fault(value: float | str) -> tuple[str, str]:
    if isinstance(value, str):
        meant = _meant(value.strip())
        if "{{" in value:
            return "a template cannot stand here", "durations of steps are constants"
        if meant:
            return "it is not written like one", f"write {meant}"
        if value.strip().replace(".", "", 1).isdecimal():
            return "the unit is missing", f"write {value.strip()}s, or the number without quotes for seconds"
        if re.fullmatch(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", value.strip(), re.ASCII):
            return "it is longer than ten years", f"the longest is {MAX_DURATION_MS // 86_400_000}d"
        return "it is not written like one", _FORMS
    if value < 0:
        return "it must be at least one millisecond", "write a longer one, such as 1s"
    return "it is longer than ten years", f"the longest is {MAX_DURATION_MS // 86_400_000}d"


def _meant(text: str) -> str:
    """The same duration in our spelling, when the words of another can be told."""
    iso = _ISO.fullmatch(text)
    if iso is not None and any(iso.groups()):
        return "".join(f"{amount}{unit}" for amount, unit in zip(iso.groups(), "dhms", strict=True) if amount)
    spelled = _SPELLED.findall(text)
    if not spelled or _SPELLED.sub("", text).strip(" ,"):
        return ""
    meant = "".join(f"{amount}{_unit(word)}" for amount, word in spelled)
    return "" if meant == text else meant


def _unit(word: str) -> str:
    word = word.lower()
    return "ms" if word.startswith(("ms", "milli")) else word[0]


def format_exactly(duration_ms: int) -> str:
    """``1h30m``, ``1s500ms``: every millisecond, and ``0s`` for none."""
    rest = duration_ms
    parts: list[str] = []
    for unit, size in _UNITS:
        amount, rest = divmod(rest, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts) or "0s"


def instant_fault(value: str) -> str:
    """Why the text is no instant; empty when it is one."""
    try:
        parse_instant(value)
    except (ValueError, OverflowError) as error:
        said = str(error)
        return f"{quoted(value)} is no date and time of ISO 8601" if "ISO 8601" in said else said
    return ""
