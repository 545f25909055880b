"""The blocks of a workflow as its checks walk them: each with its graph, and with the block around it.

Built once for each check. What is nested deeper than the limit is left out; who walks here says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from taskengine.define.blocks import blocks_of
from taskengine.define.given import Doubts, Keys
from taskengine.define.graph import Graph
from taskengine.define.phrase import quoted
from taskengine.define.rules import MAX_NESTING
from taskengine.model.workflow import Block, Step, Workflow

__all__ = ["ITERATING", "Scope", "dependency_advice", "scopes_of"]

ITERATING: Final = frozenset({"map", "loop"})
_HOMES: Final = 100  # blocks that are remembered for one id: they only serve hints


class Scope:
    """A block with its graph. ``outer`` is the block around it and ``number`` that of its container there."""

    __slots__ = ("block", "depth", "graph", "homes", "keys", "number", "outer")

    def __init__(self, graph: Graph, *, block: Workflow | Block, keys: Keys, homes: dict[str, list[Scope]]) -> None:
        self.graph = graph
        self.block = block
        self.keys = keys  # of the block; its steps stand below
        self.homes = homes  # where each id is
        self.outer: Scope | None = None
        self.number = -1
        self.depth = 0

    @property
    def container(self) -> Step | None:
        """The step whose block this is; none for the workflow's own."""
        return None if self.outer is None else self.outer.graph.steps[self.number]

    @property
    def container_keys(self) -> Keys:
        """The way to the container."""
        return () if self.outer is None else (*self.outer.graph.keys, self.number)

    def around(self) -> Iterator[tuple[Scope, int]]:
        """The blocks around this one, the nearest first, each with the number of the container in it."""
        scope = self
        while scope.outer is not None:
            yield scope.outer, scope.number
            scope = scope.outer

    @property
    def iteration(self) -> Step | None:
        """The nearest map or loop around."""
        steps = (outer.graph.steps[number] for outer, number in self.around())
        return next((step for step in steps if step.type in ITERATING), None)

    def whereabouts(self, step_id: str) -> tuple[str, str]:
        """Where a step stands that is not in this block: ``inside`` or ``outside`` and of what; nothing when it is nowhere."""
        for home in self.homes.get(step_id, ()):
            for scope, number in home.around():
                if scope is self:
                    return "inside", self.graph.steps[number].id
        inner = self
        for outer, number in self.around():
            if step_id in outer.graph.numbers:
                return "outside", outer.graph.steps[number].id
            inner = outer
        found = next((home.container for home in self.homes.get(step_id, ()) if home is not inner), None)
        return ("elsewhere", found.id) if found is not None else ("", "")

    def has_waited_for(self, step_id: str) -> bool:
        """Whether a step of a block around has surely ended when this block begins, by a dependency of its container."""
        for outer, number in self.around():
            target = outer.graph.numbers.get(step_id)
            if target is not None:
                return bool(outer.graph.ancestors([target])[number])
        return False

    def seen_container(self, step_id: str) -> str:
        """The container that holds a step and whose output is seen from here; empty when there is none."""
        here = {id(outer): number for outer, number in self.around()}
        here[id(self)] = -1
        for home in self.homes.get(step_id, ()):
            for scope, number in home.around():
                if here.get(id(scope), number) != number:
                    return scope.graph.steps[number].id
        return ""


def scopes_of(workflow: Workflow, doubts: Doubts) -> list[Scope]:
    """Every block, the workflow's own first, those of a container in their order."""
    homes: dict[str, list[Scope]] = {}
    found = [Scope(Graph(workflow, doubts), block=workflow, keys=(), homes=homes)]
    for scope in found:  # grows meanwhile
        for step_id in scope.graph.names:
            known = homes.setdefault(step_id, [])
            if len(known) < _HOMES:
                known.append(scope)
        if scope.depth >= MAX_NESTING:
            continue
        for number, step in enumerate(scope.graph.steps):
            for way, block in blocks_of(step) if step.blocks else ():
                keys = (*scope.graph.keys, number, *way)
                inner = Scope(Graph(block, doubts, keys=(*keys, "steps")), block=block, keys=keys, homes=homes)
                inner.outer, inner.number, inner.depth = scope, number, scope.depth + 1
                found.append(inner)
    return found


def dependency_advice(scope: Scope, step_id: str) -> str:
    """What to do about a dependency on a step of another block; nothing when there is no such step."""
    place, container = scope.whereabouts(step_id)
    match place:
        case "inside":
            return (
                f"depends_on names steps of the same block; {quoted(step_id)} is inside {quoted(container)}: depend on {container}"
            )
        case "outside":
            if scope.has_waited_for(step_id):
                return f"leave it out: {quoted(container)}, which holds this step, already waits for {step_id}"
            return f"depends_on names steps of the same block; let {quoted(container)}, which holds this step, depend on {step_id}"
        case "elsewhere":
            return f"depends_on names steps of the same block; {quoted(step_id)} is inside {quoted(container)}"
        case _:
            return ""
