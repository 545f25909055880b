"""The graph of a workflow as its checks need it: dependencies by number, cycles, and which steps surely come before which.

Linear in steps and dependencies, iterative throughout. Built once for each check; it reads the model only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from taskengine.define.finding import Problems, Spot
from taskengine.define.given import Doubts, Keys
from taskengine.define.phrase import listed, quoted
from taskengine.model.workflow import Block, Join, OnError, Step, Workflow

__all__ = ["HANDLING", "Graph", "check_dependencies"]

# Joins with which a step may start after a failure, and so handle it.
HANDLING: Final = frozenset({Join.ANY_FAILED, Join.ALL_DONE})
# Joins that ask for a dependency: without any the step is skipped.
_ASKING: Final = frozenset({Join.ANY_SUCCESS, Join.ANY_FAILED})


class Graph:
    """The steps of a workflow or a block, by number; ``keys`` is the way to their list.

    ``order`` is topological and leaves out what stands on a cycle or behind one.
    """

    def __init__(self, owner: Workflow | Block, doubts: Doubts, *, keys: Keys = ("steps",)) -> None:
        self.steps = owner.steps
        self.keys = keys
        self.doubts = doubts
        self.numbers: dict[str, int] = {}
        for number, step in enumerate(owner.steps):
            self.numbers.setdefault(step.id, number)
        self.names = list(self.numbers)
        self.dependencies = [self._known(number) for number in range(len(self.steps))]
        self.order = self._topological()
        self.unsure = self._unsure()

    def _known(self, number: int) -> list[int]:
        """What a step depends on, without itself, unknown names and repetitions."""
        found = (self.numbers.get(name) for name in dict.fromkeys(self.steps[number].depends_on))
        return [other for other in found if other is not None and other != number]

    def _topological(self) -> list[int]:
        waits = [len(dependencies) for dependencies in self.dependencies]
        followers: list[list[int]] = [[] for _ in self.steps]
        for number, dependencies in enumerate(self.dependencies):
            for dependency in dependencies:
                followers[dependency].append(number)
        order = [number for number, count in enumerate(waits) if count == 0]
        for number in order:
            for follower in followers[number]:
                waits[follower] -= 1
                if waits[follower] == 0:
                    order.append(follower)
        return order

    def _unsure(self) -> set[int]:
        """Steps of which not every ancestor is known: nothing is claimed about what comes before them."""
        unsure = set(range(len(self.steps))).difference(self.order)
        for number in self.order:
            has_unknown = any(name not in self.numbers for name in self.steps[number].depends_on)
            if has_unknown or (*self.keys, number) in self.doubts.loose or not unsure.isdisjoint(self.dependencies[number]):
                unsure.add(number)
        return unsure

    def ancestors(self, targets: Collection[int]) -> list[int]:
        """For each step a set of bits: bit k is set when the k-th target surely comes before it."""
        bit_of = {target: 1 << place for place, target in enumerate(targets)}
        before = [0] * len(self.steps)
        for number in self.order:
            bits = 0
            for dependency in self.dependencies[number]:
                bits |= before[dependency] | bit_of.get(dependency, 0)
            before[number] = bits
        return before

    def skippable(self) -> list[bool]:
        """For each step whether it may end skipped although the execution completes. Conditions are taken as free choices."""
        may_skip = [False] * len(self.steps)
        may_fail = self.forgiven()
        for number in self.order:
            step, dependencies = self.steps[number], self.dependencies[number]
            failing = [may_fail[other] for other in dependencies]
            spoiling = [may_skip[other] or may_fail[other] for other in dependencies]
            may_skip[number] = (
                step.when is not None
                or {
                    Join.ALL_SUCCESS: any(spoiling),
                    Join.ANY_SUCCESS: all(spoiling),
                    Join.ANY_FAILED: True,
                    Join.NONE_FAILED: any(failing),
                    Join.ALL_DONE: False,
                }[step.join]
            )
        return may_skip

    def forgiven(self) -> list[bool]:
        """For each step whether it may fail without failing the execution."""
        forgiven = [step.on_error is OnError.CONTINUE for step in self.steps]
        for number, step in enumerate(self.steps):
            if step.handles and step.join in HANDLING:
                for dependency in self.dependencies[number]:
                    forgiven[dependency] = True
        return forgiven

    def needs_success(self, targets: Collection[int]) -> list[int]:
        """Like ``ancestors``, but bit k is set when the step only starts if the k-th target has not failed."""
        bit_of = {target: 1 << place for place, target in enumerate(targets)}
        needed = [0] * len(self.steps)
        for number in self.order:
            step, dependencies = self.steps[number], self.dependencies[number]
            is_strict = step.join is Join.ALL_SUCCESS or (step.join is Join.ANY_SUCCESS and len(dependencies) == 1)
            for dependency in dependencies:
                if is_strict:
                    needed[number] |= needed[dependency]
                if is_strict or step.join is Join.NONE_FAILED:
                    needed[number] |= bit_of.get(dependency, 0)
        return needed

    def passes_skip(self, targets: Collection[int]) -> list[int]:
        """Like ``ancestors``, but bit k is set when the step is skipped whenever the k-th target is."""
        bit_of = {target: 1 << place for place, target in enumerate(targets)}
        passed = [0] * len(self.steps)
        for number in self.order:
            if self.steps[number].join is Join.ALL_SUCCESS:
                for dependency in self.dependencies[number]:
                    passed[number] |= passed[dependency] | bit_of.get(dependency, 0)
        return passed


def check_dependencies(graph: Graph, problems: Problems, *, advice: Callable[[str], str] = lambda _: "") -> None:
    """Report dependencies on oneself, on nobody, on the same step twice, cycles, and joins of nothing.

    ``advice`` says of an id that is not in this graph where it is; nothing when it is nowhere.
    """
    for number, step in enumerate(graph.steps):
        if problems.is_full:
            return
        is_loose = (*graph.keys, number) in graph.doubts.loose
        if step.join in _ASKING and not step.depends_on and not is_loose:
            Spot(problems, (*graph.keys, number, "join")).report("never_starts", step=quoted(step.id), join=step.join.value)
        seen: set[str] = set()
        for place, name in enumerate(step.depends_on):
            if name or not is_loose:  # an empty name stands for an entry that could not be read
                at = Spot(problems, (*graph.keys, number, "depends_on", place))
                _check_dependency(graph, step, name=name, at=at, is_repeated=name in seen, advice=advice)
            seen.add(name)
    if len(graph.order) < len(graph.steps):
        from taskengine.define.cycles import check_cycles  # noqa: PLC0415 -- few have one

        check_cycles(graph, problems)


def _check_dependency(graph: Graph, step: Step, *, name: str, at: Spot, is_repeated: bool, advice: Callable[[str], str]) -> None:
    if is_repeated:
        at.report("duplicate_dependency", step=quoted(step.id), dependency=quoted(name))
    elif name == step.id:
        at.report("self_dependency", step=quoted(step.id))
    elif name not in graph.numbers and not graph.doubts.nameless:
        elsewhere = advice(name)
        at.report(
            "unknown_dependency",
            note=f"known steps: {listed(graph.names)}",
            word="" if elsewhere else name,
            known=graph.names,
            unlike=step.id,
            step=quoted(step.id),
            dependency=quoted(name),
            reason="is not in its block" if elsewhere else "does not exist",
            advice=elsewhere or "name the id of a step",
        )
