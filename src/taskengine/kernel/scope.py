"""Blocks at work: a scope is one of them, a group is what a container has opened. Only evolve assigns to them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from taskengine.kernel.plan import BlockPlan, StepPlan
from taskengine.model.status import Outcome
from taskengine.model.value import ABSENT, NONE, Raw, TaskError, decode

__all__ = ["UNDO", "Group", "Saga", "Scope", "begun_group"]

UNDO: Final = "[undo]"  # the last part of the path of what undoes a task
_AT_ONCE: Final = "max_concurrency"
_items: Final = msgspec.json.Decoder(dict[str, Raw])
_list: Final = msgspec.json.Decoder(list[Raw])


class Scope(msgspec.Struct, gc=False):
    """A block at work. Its tasks are numbered from ``base``, which is its own node."""

    base: int
    block: BlockPlan
    container: int  # the task that opened it; -1: it is the execution itself
    up: Scope | None
    index: int = 0
    item: Raw = ABSENT
    left: int = 0  # steps that have not ended
    failures: set[int] | None = None  # unhandled: they fail it
    flaws: int = 0  # what makes it partial
    is_swept: bool = False  # cancelled from outside: its end is not its own any more

    @property
    def segment(self) -> str:
        """The part of the path that is its own."""
        return self.block.name or f"[{self.index}]"

    @property
    def iteration(self) -> Scope | None:
        """The nearest body of a map or loop: this one, or one around it."""
        around: Scope | None = self
        while around is not None and not around.block.is_repeated:
            around = around.up
        return around

    def fail(self, number: int) -> None:
        """One of its steps failed, unhandled."""
        if self.failures is None:
            self.failures = set()
        self.failures.add(number)


class Group(msgspec.Struct):
    """What a container has opened and how it ended. ``total`` is None while a loop decides after each iteration."""

    total: int | None
    window: int  # how many may be open at once; 0: all
    limit: int = 0  # iterations that a loop by condition may make
    batch: int = 1
    block: int = -1  # of a condition: the case that holds; -1: every scope has the block of its index, or the only one
    items: list[Raw] | None = None
    is_closed: bool = False  # no more are opened, whatever the total
    bases: list[int] = []
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    flaws: int = 0  # of its completed children
    outputs: dict[int, Raw] = {}

    @property
    def opened(self) -> int:
        """Scopes that were opened so far."""
        return len(self.bases)

    @property
    def running(self) -> int:
        """Scopes that have not ended."""
        return len(self.bases) - self.completed - self.failed - self.cancelled

    @property
    def is_partial(self) -> bool:
        """Whether something in it did not go well."""
        return self.failed + self.cancelled + self.flaws > 0

    def item_of(self, index: int) -> Raw:
        """What the scope at an index is about."""
        if self.items is None:
            return ABSENT
        if self.batch == 1:
            return self.items[index]
        return Raw(b"[" + b",".join(self.items[index * self.batch : (index + 1) * self.batch]) + b"]")


class Saga(msgspec.Struct):
    """The undoing of what was done. The task that undoes ``originals[n]`` has the number ``first + n``."""

    first: int
    originals: tuple[int, ...]
    error: TaskError | None = None
    outcome: Outcome | None = None
    # indexes
    undoes: dict[int, int] = {}  # original → what undoes it
    left: dict[int, int] = {}  # of a step: its dependents that are not undone; of a scope's node: its steps
    scopes_left: dict[int, int] = {}  # of a container whose scopes are being undone
    lines: dict[int, list[int]] = {}  # of what is undone strictly in order: the originals in it, the next one last
    line_of: dict[int, int] = {}  # ... by original
    open: int = 0  # of those that have begun and not ended


def begun_group(step: StepPlan, given: Raw, case: int) -> Group:
    """The group of a container that begins, from its rendered config; the config was judged when it was rendered."""
    config = _items.decode(given) if given else {}
    match step.step.type:
        case "condition":
            return Group(0 if case < 0 else 1, 0, block=case)
        case "parallel":
            return Group(len(step.blocks), _number(config, _AT_ONCE, 0))
        case "map":
            items = [item.copy() for item in _list.decode(config["items"])]
            batch = _number(config, "batch_size", 1)
            return Group(-(-len(items) // batch), _number(config, _AT_ONCE, 0), batch=batch, items=items)
        case _ if "items" in config:
            items = [item.copy() for item in _list.decode(config["items"])]
            return Group(len(items), _number(config, _AT_ONCE, 1), items=items)
        case _:
            return Group(None, 1, limit=_number(config, "max_iterations", 1_000))


def _number(config: dict[str, Raw], key: str, otherwise: int) -> int:
    value: Any = decode(config.get(key, NONE))
    return otherwise if value is None else int(value)
