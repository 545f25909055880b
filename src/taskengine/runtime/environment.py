"""The one object that holds what is not data: the clock, randomness, new ids, and where blocking work runs.

Nothing else in the package reads a clock or makes a random number. A simulation gives its own environment.
"""

from __future__ import annotations

import random
import time

from taskengine.model.ids import ulid
from taskengine.model.value import Instant
from taskengine.ports.lane import LaneFactory

__all__ = ["Environment"]


class Environment:
    """The real world. ``lanes`` makes a worker for blocking calls."""

    def __init__(self, lanes: LaneFactory, *, rng: random.Random | None = None) -> None:
        self.lanes = lanes
        # One seed from the system, then no system call for each id: ids have to be unique, not secret.
        self.rng = rng if rng is not None else random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311
        self._last_at = 0
        self._last_bits = 0

    def now(self) -> Instant:
        """Milliseconds since 1970, UTC. May jump; the kernel keeps each history in order."""
        return time.time_ns() // 1_000_000

    def new_id(self, prefix: str) -> str:
        """A new id that sorts after every one this environment made before."""
        at = self.now()
        if at <= self._last_at:
            self._last_bits += 1  # 79 random bits and a step of one: never wraps in practice, never repeats
        else:
            self._last_at = at
            self._last_bits = self.rng.getrandbits(79)
        return prefix + ulid(self._last_at, self._last_bits)

    def seed(self) -> int:
        """63 bits for an execution's own choices."""
        return self.rng.getrandbits(63)
