"""The cycles of a workflow's graph, found and told. Loaded when some step has no place in the order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from taskengine.define.finding import Keys, Problems, Spot
from taskengine.define.graph import Graph

__all__ = ["check_cycles"]

_SHOWN: Final = 8  # steps of a cycle that a message names


def check_cycles(graph: Graph, problems: Problems) -> None:
    """Report cycles that share no step, at least one of each knot."""
    for cycle in _cycles(graph):
        if problems.is_full:
            return
        _report_cycle(graph, cycle, problems=problems)


def _cycles(graph: Graph) -> Iterator[list[int]]:
    """Cycles that share no step, at least one of each knot; each begins with its first step in the document."""
    knotted = set(range(len(graph.steps))).difference(graph.order)
    seen: set[int] = set()
    for start in sorted(knotted):
        if start not in seen:
            yield from _cycles_from(graph, start, seen=seen)


def _cycles_from(graph: Graph, start: int, *, seen: set[int]) -> Iterator[list[int]]:
    """Walk in depth along the dependencies; one that leads back into the walk closes a cycle."""
    reported: set[int] = set()
    seen.add(start)
    walk = [start]
    places = {start: 0}  # of each step that is in the walk
    ahead = [iter(graph.dependencies[start])]
    while walk:
        following = next(ahead[-1], None)
        if following is None:
            del places[walk.pop()]
            ahead.pop()
        elif following in places:
            cycle = walk[places[following] :]
            if reported.isdisjoint(cycle):
                reported.update(cycle)
                yield _from_first(cycle)
        elif following not in seen:
            seen.add(following)
            places[following] = len(walk)
            walk.append(following)
            ahead.append(iter(graph.dependencies[following]))


def _from_first(cycle: list[int]) -> list[int]:
    """The same cycle, in the order of running, beginning with the step that stands first in the document."""
    forward = cycle[::-1]
    first = forward.index(min(forward))
    return forward[first:] + forward[:first]


def _report_cycle(graph: Graph, cycle: list[int], *, problems: Problems) -> None:
    names = [graph.steps[number].id for number in cycle]
    if len(names) > _SHOWN:
        text = " → ".join([*names[: _SHOWN - 1], "…", names[-1], names[0]]) + f" ({len(names)} steps)"
    else:
        text = " → ".join([*names, names[0]])
    places = [_edge(graph, number, dependency=cycle[index - 1]) for index, number in enumerate(cycle[:_SHOWN])]
    Spot(problems, places[0]).report("cycle", cycle=text, also=tuple(places[1:]))


def _edge(graph: Graph, number: int, *, dependency: int) -> Keys:
    """Where a step says that it depends on another."""
    names = graph.steps[number].depends_on
    place = next(place for place, name in enumerate(names) if graph.numbers.get(name) == dependency)
    return (*graph.keys, number, "depends_on", place)
