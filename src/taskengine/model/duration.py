"""Durations and instants as people write them: ``30``, ``500ms``, ``1h30m``, ``2d``; ``2026-01-31T12:00:00Z``."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from taskengine.model.value import Instant

__all__ = ["MAX_DURATION_MS", "format_duration", "parse_duration_ms", "parse_instant"]

_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_WHOLE: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+", re.ASCII)
_FIRST_MS: Final = -62_135_596_800_000
_LAST_MS: Final = 253_402_300_799_999
MAX_DURATION_MS: Final = 3_650 * 86_400_000  # ten years


def parse_duration_ms(value: object) -> int:
    """Milliseconds in a duration: a number means seconds. Raises ``ValueError`` for anything else, negative, or above ten years."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"a duration is a number of seconds or text such as 30s or 1h30m, not {value!r}")
    if isinstance(value, str):
        text = value.strip()
        if not _WHOLE.fullmatch(text):
            raise ValueError(f"{value!r} is no duration; write 500ms, 30s, 5m, 1h30m or 2d")
        total = sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text))
    else:
        total = float(value) * 1_000
    if not 0 <= total <= MAX_DURATION_MS:
        raise ValueError(f"{value!r} is not between 0 and ten years")
    return round(total)


def parse_instant(value: object) -> Instant:
    """Milliseconds since 1970 of an ISO 8601 instant with a time zone. Raises ``ValueError``."""
    if not isinstance(value, str):
        raise ValueError(f"an instant is text such as 2026-01-31T12:00:00Z, not {value!r}")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r} is no date and time of ISO 8601, such as 2026-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{value} needs a time zone, e.g. {value}Z")
    at = round(moment.timestamp() * 1_000)
    if not _FIRST_MS <= at <= _LAST_MS:  # in UTC it has another year than where it was written
        raise ValueError(f"{value} is not between the years 1 and 9999 in UTC")
    return at


def format_duration(duration_ms: int) -> str:
    """``1h2m3s``, ``0.5s``: as people read it."""
    if duration_ms < _UNITS["m"]:
        return f"{duration_ms / 1_000:.3f}".rstrip("0").rstrip(".") + "s"
    seconds = round(duration_ms / 1_000)
    hours, rest = divmod(seconds, 3_600)
    minutes, seconds = divmod(rest, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes else "") + (f"{seconds}s" if seconds else "")
