"""Where the boxes of a diagram stand: in layers by depth, ordered so that few arrows cross, each near what it is joined to.

An arrow over several layers goes through a bend in each of them, so that it touches no box. Linear in boxes, bends and arrows for
each sweep; units are whatever the renderer measures widths in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from taskengine.define.diagram import Diagram

__all__ = ["LONGEST", "Layout", "arranged"]

LONGEST: Final = 12  # layers that an arrow goes down through bends; a longer one is the renderer's to show
_SWEEPS: Final = 8


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Vertices by number: the boxes first, then the bends. ``paths`` follows each edge from box to box."""

    layers: list[list[int]]
    centres: list[float]
    paths: list[list[int]]
    width: float


def arranged(diagram: Diagram, *, width_of: Callable[[int], float], gap: float) -> Layout:
    """Place the boxes. ``width_of`` measures a box by its number; a bend has no width."""
    count = len(diagram.boxes)
    layers: list[list[int]] = [[] for _ in range(max(diagram.ranks, default=-1) + 1)]
    for box, rank in enumerate(diagram.ranks):
        layers[rank].append(box)
    paths: list[list[int]] = []
    for edge in diagram.edges:
        top, bottom = diagram.ranks[edge.source], diagram.ranks[edge.target]
        path = [edge.source]
        if 1 < bottom - top <= LONGEST:
            for layer in layers[top + 1 : bottom]:
                layer.append(count)
                path.append(count)
                count += 1
        paths.append([*path, edge.target])
    above, below = _neighbours(count, paths, layers=layers)
    for sweep in range(_SWEEPS):
        _reorder(layers if sweep % 2 == 0 else layers[::-1], above if sweep % 2 == 0 else below)
    widths = [width_of(number) if number < len(diagram.boxes) else 0.0 for number in range(count)]
    centres = _centres(layers, (above, below), widths=widths, gap=gap)
    width = max((centre + widths[number] / 2 for number, centre in enumerate(centres)), default=0.0)
    return Layout(layers=layers, centres=centres, paths=paths, width=width)


def _neighbours(count: int, paths: Iterable[Sequence[int]], *, layers: list[list[int]]) -> tuple[list[list[int]], list[list[int]]]:
    """For each vertex those it is joined to in the layer above, and in the layer below."""
    layer_of = {vertex: number for number, layer in enumerate(layers) for vertex in layer}
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for path in paths:
        for one, other in pairwise(path):
            if layer_of[other] == layer_of[one] + 1:
                above[other].append(one)
                below[one].append(other)
    return above, below


def _reorder(layers: list[list[int]], neighbours: list[list[int]]) -> None:
    """Order each layer by where its vertices' neighbours stand in the one before."""
    for before, layer in pairwise(layers):
        place = {vertex: float(number) for number, vertex in enumerate(before)}
        own = {vertex: float(number) for number, vertex in enumerate(layer)}
        scale = len(before) / max(1, len(layer))
        wanted = {
            vertex: sum(place[other] for other in neighbours[vertex]) / len(neighbours[vertex])
            if neighbours[vertex]
            else own[vertex] * scale
            for vertex in layer
        }
        layer.sort(key=wanted.__getitem__)  # stable: equals keep their order


def _centres(
    layers: list[list[int]], neighbours: tuple[list[list[int]], list[list[int]]], *, widths: list[float], gap: float
) -> list[float]:
    """The middle of each vertex: as near to its neighbours as the widths in its layer allow."""
    centres = [0.0] * len(widths)
    for layer in layers:
        _spread(layer, [0.0] * len(layer), centres=centres, widths=widths, gap=gap)
    for sweep in range(_SWEEPS):
        joined = neighbours[sweep % 2]
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wanted = [
                sum(centres[other] for other in joined[vertex]) / len(joined[vertex]) if joined[vertex] else centres[vertex]
                for vertex in layer
            ]
            _spread(layer, wanted, centres=centres, widths=widths, gap=gap)
    left = min((centre - widths[number] / 2 for number, centre in enumerate(centres)), default=0.0)
    return [centre - left for centre in centres]


def _spread(layer: list[int], wanted: list[float], *, centres: list[float], widths: list[float], gap: float) -> None:
    """Set the centres of one layer: the least squares of the distances to what is wanted, with room between neighbours.

    What is too near pushes its neighbours in equal parts: pools of vertices that touch, each at the mean of what its members want.
    """
    offset, offsets = 0.0, list[float]()
    for place, vertex in enumerate(layer):
        if place:
            offset += (widths[layer[place - 1]] + widths[vertex]) / 2 + gap
        offsets.append(offset)
    pools: list[tuple[float, int]] = []  # the mean of the members, and how many they are
    for place, centre in enumerate(wanted):
        mean, members = centre - offsets[place], 1
        while pools and pools[-1][0] > mean:
            before, more = pools.pop()
            mean, members = (before * more + mean * members) / (more + members), more + members
        pools.append((mean, members))
    place = 0
    for mean, members in pools:
        for _ in range(members):
            centres[layer[place]] = mean + offsets[place]
            place += 1
