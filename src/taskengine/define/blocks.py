"""Where the blocks of a container stand in the canonical document, and every step of a workflow with its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from taskengine.define.given import Keys
from taskengine.model.workflow import Block, Step, Workflow

__all__ = ["Placed", "blocks_of", "every_step"]


class Placed(NamedTuple):
    """A block of a container; ``keys`` is the way to it from the step, ``()`` where the step holds the block's keys itself."""

    keys: Keys
    block: Block


def blocks_of(step: Step) -> Iterator[Placed]:
    """The blocks of a step that may have some, in their order."""
    match step.type:
        case "condition":
            last = len(step.blocks) - 1
            for place, block in enumerate(step.blocks):
                is_else = place == last and block.when is None
                yield Placed(("else",) if is_else else ("cases", place), block)
        case "parallel":
            for place, block in enumerate(step.blocks):
                yield Placed(("branches", place), block)
        case _:
            for block in step.blocks:
                yield Placed((), block)


def every_step(workflow: Workflow) -> Iterator[tuple[Keys, Step]]:
    """Every step and compensation with the way to it: those of a container and the compensation of a step come after it."""
    open_lists: list[Iterator[tuple[Keys, Step]]] = [_numbered(workflow.steps, ("steps",))]
    while open_lists:
        found = next(open_lists[-1], None)
        if found is None:
            open_lists.pop()
            continue
        yield found
        keys, step = found
        if step.blocks or step.compensate is not None:
            open_lists.append(_inside(step, keys))


def _inside(step: Step, keys: Keys) -> Iterator[tuple[Keys, Step]]:
    for way, block in blocks_of(step):
        yield from _numbered(block.steps, (*keys, *way, "steps"))
    if step.compensate is not None:
        yield (*keys, "compensate"), step.compensate


def _numbered(steps: tuple[Step, ...], keys: Keys) -> Iterator[tuple[Keys, Step]]:
    for number, step in enumerate(steps):
        yield (*keys, number), step
