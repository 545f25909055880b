"""Instants on the wire: ISO 8601 in UTC with milliseconds. ``model.duration.parse_instant`` reads them back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from taskengine.model.value import Instant

__all__ = ["iso_instant"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def iso_instant(at: Instant) -> str:
    """``2026-01-31T12:00:00.000Z``."""
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
