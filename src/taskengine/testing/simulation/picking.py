"""Who runs next when several callbacks are ready: three ways to draw it, each good at finding other mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from taskengine.testing.simulation.chance import Chance

__all__ = ["Picker", "PriorityPicker", "StarvingPicker", "UniformPicker"]


class Picker(Protocol):
    """Chooses one of the ready callbacks, each given as the number of its task (0: it belongs to none)."""

    def __call__(self, ready: Sequence[int]) -> int:
        """An index into ``ready``, which is not empty."""
        ...


class UniformPicker:
    """Every ready callback is as likely as any other."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance

    def __call__(self, ready: Sequence[int]) -> int:
        """Draw."""
        return self._chance.randrange(len(ready))


class StarvingPicker:
    """Lets one task wait for as long as anything else can run, then chooses another victim."""

    def __init__(self, chance: Chance, *, patience: int = 400) -> None:
        self._chance = chance
        self._patience = patience
        self._victim = 0
        self._left = 0

    def __call__(self, ready: Sequence[int]) -> int:
        """Draw among all but the victim's."""
        if self._left == 0:
            self._left = self._patience
            self._victim = self._chance.choice(ready)
        self._left -= 1
        others = [index for index, number in enumerate(ready) if number != self._victim]
        return self._chance.choice(others) if others else 0


class PriorityPicker:
    """Each task has a random priority, and now and then one is drawn anew (after "PCT", Burckhardt and others, ASPLOS 2010).

    The most urgent ready one runs, but not more than ``fairness`` times in a row.
    """

    def __init__(self, chance: Chance, *, change_every: int = 500, fairness: int = 200) -> None:
        self._chance = chance
        self._change_every = change_every
        self._fairness = fairness
        self._priorities: dict[int, float] = {}
        self._last = -1
        self._in_a_row = 0

    def __call__(self, ready: Sequence[int]) -> int:
        """The most urgent one."""
        if self._chance.randrange(self._change_every) == 0:
            self._priorities[self._chance.choice(ready)] = self._chance.random()
        if self._in_a_row >= self._fairness:
            self._in_a_row = 0
            return self._chance.randrange(len(ready))
        for number in ready:
            if number not in self._priorities:
                self._priorities[number] = self._chance.random()
        index = max(range(len(ready)), key=lambda place: self._priorities[ready[place]])
        self._in_a_row = self._in_a_row + 1 if ready[index] == self._last else 0
        self._last = ready[index]
        return index
