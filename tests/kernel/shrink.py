"""Makes a failing example small: fewer steps, smaller numbers, the same failure. Greedy, bounded, deterministic.

An example is a list of numbers that makes the workflow and a list of steps, each a few numbers; 0 is always the plainest choice.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from typing import TypeAlias

Graph: TypeAlias = list[int]
Steps: TypeAlias = list[list[int]]
Play: TypeAlias = Callable[[Sequence[int], Sequence[Sequence[int]]], object]

TRIES = 3_000


def failure(play: Play, graph: Graph, steps: Steps) -> tuple[type[Exception], str, int] | None:
    """What goes wrong and where, or nothing. Everything counts: an example must end without any error."""
    try:
        play(graph, steps)
    except Exception as error:  # noqa: BLE001 the place of any error at all is what is looked for
        place = traceback.extract_tb(error.__traceback__)[-1]
        return type(error), place.filename, place.lineno or 0
    return None


class Shrinker:
    """Holds the smallest example that still fails as the first one did."""

    def __init__(self, play: Play, graph: Graph, steps: Steps) -> None:
        self._play = play
        self._wanted = failure(play, graph, steps)
        self._left = TRIES
        self.graph, self.steps = graph, steps

    def _keep(self, graph: Graph, steps: Steps) -> bool:
        """Whether the smaller example fails in the same place; it is taken then."""
        if self._left <= 0:
            return False
        self._left -= 1
        if failure(self._play, graph, steps) != self._wanted:
            return False
        self.graph, self.steps = graph, steps
        return True

    def run(self) -> tuple[Graph, Steps]:
        """Until nothing gets smaller or the tries are used up."""
        while True:
            before = (self.graph, self.steps)
            self._drop_steps()
            self._plainer_graph()
            self._plainer_steps()
            if (self.graph, self.steps) == before:
                return before

    def _drop_steps(self) -> None:
        size = max(1, len(self.steps) // 2)
        while True:
            place = 0
            while place < len(self.steps):
                if not self._keep(self.graph, self.steps[:place] + self.steps[place + size :]):
                    place += size
            if size == 1:
                return
            size //= 2

    def _plainer_graph(self) -> None:
        while self.graph and self._keep(self.graph[: len(self.graph) // 2], self.steps):
            pass
        for place in range(len(self.graph)):
            for smaller in plainer(self.graph[place]):
                if self._keep([*self.graph[:place], smaller, *self.graph[place + 1 :]], self.steps):
                    break

    def _plainer_steps(self) -> None:
        for row in range(len(self.steps)):
            for column in range(len(self.steps[row])):
                for smaller in plainer(self.steps[row][column]):
                    step = [*self.steps[row][:column], smaller, *self.steps[row][column + 1 :]]
                    if self._keep(self.graph, [*self.steps[:row], step, *self.steps[row + 1 :]]):
                        break


def plainer(number: int) -> list[int]:
    """Smaller numbers worth a try, the plainest first."""
    return [smaller for smaller in dict.fromkeys((0, number % 100, number // 2)) if smaller < number]
