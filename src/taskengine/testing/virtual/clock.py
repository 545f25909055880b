"""The clock of a virtual engine, for the engine and for the test. It reads the loop's time and knows no other.

Instants begin at a fixed one and ids come from a seed: the same test writes the same history every time.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from random import Random  # noqa: TID251 -- seeded: the same seed draws the same numbers
from typing import Final

from taskengine.adapters.lanes import InlineLane
from taskengine.model.value import Instant
from taskengine.runtime.environment import Environment
from taskengine.testing.virtual.loop import VirtualLoop

__all__ = ["STARTS_AT", "Clock", "VirtualEnvironment", "instant", "moment"]

STARTS_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


class VirtualEnvironment(Environment):
    """What an engine knows of the world. Stores work in the loop itself, so that they take no time."""

    def __init__(self, loop: VirtualLoop, *, starts_at: datetime = STARTS_AT, seed: int = 0) -> None:
        super().__init__(InlineLane, rng=Random(seed))  # noqa: S311 -- nothing here is secret
        self._loop = loop
        self._starts_at = instant(starts_at)

    def now(self) -> Instant:
        """The virtual instant."""
        return self._starts_at + round(self._loop.time() * 1_000)


class Clock:
    """``now`` stands still while the test acts. It moves when the test waits: for a result, or in ``advance``."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    @property
    def now(self) -> datetime:
        """The virtual instant, UTC."""
        return moment(self._environment.now())

    async def advance(self, by: timedelta | None = None, **parts: float) -> datetime:
        """Let time pass: ``advance(timedelta(days=30))``, or ``advance(days=30)``, ``hours``, ``minutes``, ``seconds``.

        Everything that is due until then has happened when this returns. ``ValueError``: time does not go back.
        """
        passed = (by or timedelta()) + timedelta(**parts)
        if passed < timedelta():
            raise ValueError(f"time does not go back: {passed}")
        await asyncio.sleep(passed.total_seconds())
        return self.now

    def __repr__(self) -> str:
        return f"Clock({self.now.isoformat()})"


def instant(at: datetime) -> Instant:
    """Milliseconds since 1970. An instant without a zone is taken for UTC."""
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH) // _MS


def moment(at: Instant) -> datetime:
    """The other way round."""
    return _EPOCH + at * _MS
