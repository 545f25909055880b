"""Choices read off a list of numbers, so that a whole example can be shrunk: fewer and smaller numbers, a plainer one.

Number 0 always means the plainest choice, and so does the end of the tape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Tape:
    """Reads forward, never back."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        self._place = 0

    def number(self) -> int:
        """The next number as it stands."""
        place = self._place
        self._place += 1
        return self._numbers[place] if place < len(self._numbers) else 0

    def below(self, bound: int) -> int:
        """0 … bound - 1."""
        return self.number() % bound

    def chance(self, percent: int) -> bool:
        """True in so many of a hundred cases."""
        return self.number() % 100 >= 100 - percent

    def pick(self, options: Sequence[T]) -> T:
        """One of them; the first is the plainest."""
        return options[self.number() % len(options)]

    def weighted(self, options: Sequence[tuple[int, T]]) -> T:
        """One of them, as often as its weight says; the first is the plainest."""
        left = self.number() % sum(weight for weight, _ in options)
        for weight, option in options:
            left -= weight
            if left < 0:
                return option
        raise AssertionError("weights add up")
