"""All randomness of a simulated world: one seed, and from it as many independent streams as there are things that draw.

A thing that draws more or less often than before changes its own stream only, so two runs that differ in one place stay comparable
everywhere else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from random import Random  # noqa: TID251 -- seeded: the same seed draws the same numbers
from typing import TypeVar

__all__ = ["Chance"]

T = TypeVar("T")


class Chance(Random):  # noqa: S311 -- nothing here is secret
    """A seeded stream. ``name`` says whose it is; the same seed and name give the same numbers in every process."""

    def __init__(self, seed: int, name: str = "") -> None:
        self.seed_number = seed
        self.name = name
        super().__init__(int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:16]))

    def fork(self, name: str) -> Chance:
        """The stream of a part, independent of what is drawn here."""
        return Chance(self.seed_number, f"{self.name}/{name}")

    def happens(self, probability: float) -> bool:
        """Whether something of this probability happens now."""
        return self.random() < probability

    def weighed(self, weights: Mapping[T, float]) -> T:
        """One of the keys, by weight."""
        return self.choices(list(weights), weights=list(weights.values()))[0]
