"""Variables that no document declares and only `set` steps make: who makes them, and whether that comes before they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from taskengine.define.given import Keys
from taskengine.define.graph import Graph
from taskengine.define.scopes import Scope
from taskengine.define.texts import Text

__all__ = ["Assigned"]


class _Step(NamedTuple):
    """A `set` step in the graph of its block."""

    graph: Graph
    number: int


class Assigned:
    """The variables that steps set, by name."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self._setters: dict[str, list[_Step]] = {}
        for scope in scopes:
            for number, step in enumerate(scope.graph.steps):
                for name in step.config if step.type == "set" else ():
                    self._setters.setdefault(name, []).append(_Step(scope.graph, number))

    def __contains__(self, name: object) -> bool:
        return name in self._setters

    def __iter__(self) -> Iterator[str]:
        return iter(self._setters)

    def places(self) -> Iterator[tuple[Keys, str, str]]:
        """Where each is set: the way there, its name, and the step."""
        for name, setters in self._setters.items():
            for graph, number in setters:
                yield (*graph.keys, number, "config", name), name, graph.steps[number].id

    def unsure(self, readings: Sequence[tuple[Text, str]]) -> Iterator[tuple[Text, str, str]]:
        """Of the texts that read such a variable those that it may not be there for, with a step that sets it."""
        targets: dict[int, dict[int, int]] = {}  # graph → step that sets → its bit
        graphs: dict[int, Graph] = {}
        for name in dict.fromkeys(name for _, name in readings):
            for graph, number in self._setters[name]:
                bits = targets.setdefault(id(graph), {})
                bits.setdefault(number, len(bits))
                graphs[id(graph)] = graph
        before = {key: graphs[key].ancestors(bits) for key, bits in targets.items()}
        for text, name in readings:
            readers = dict(_readers(text))
            if not any(_is_before(step, readers, targets=targets, before=before) for step in self._setters[name]):
                graph, number = self._setters[name][0]
                yield text, name, graph.steps[number].id


def _readers(text: Text) -> Iterator[tuple[int, int | None]]:
    """Who reads, in the graph of the text's own block and of those around it."""
    yield id(text.scope.graph), text.reader
    for outer, number in text.scope.around():
        yield id(outer.graph), number


def _is_before(
    step: _Step, readers: dict[int, int | None], *, targets: dict[int, dict[int, int]], before: dict[int, list[int]]
) -> bool:
    key = id(step.graph)
    if key not in readers:
        return False
    reader = readers[key]
    if reader is None or reader in step.graph.unsure:
        return True
    return bool(before[key][reader] >> targets[key][step.number] & 1)
