"""A document as a tree with places: what the readers build and `place.py` looks into. Places are offsets into the text.

``Growing`` is the one builder under both readers (YAML and JSON). It owns the caps on depth and width and the rules on keys, and
stops with ``Stopped`` where going on would cost time for nothing.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

from taskengine.define.finding import Keys, Problem, Problems
from taskengine.define.given import BROKEN
from taskengine.define.phrase import cropped, described, quoted
from taskengine.define.rules import MAX_DEPTH
from taskengine.define.scalars import OutOfRange, resolve

__all__ = ["Entry", "Growing", "Listing", "Mapping", "Node", "Scalar", "Stopped", "plain"]

MAX_ITEMS: Final = 10_000


class Scalar(msgspec.Struct, gc=False):
    """One value; ``end`` is behind its last character."""

    value: Any
    start: int
    end: int


class Entry(msgspec.Struct):
    """A key with its value."""

    start: int
    end: int
    node: Node


class Mapping(msgspec.Struct):
    """Keys with values, in the order they were written."""

    entries: dict[str, Entry]
    start: int
    end: int = 0


class Listing(msgspec.Struct):
    """Values in order."""

    items: list[Node]
    start: int
    end: int = 0


Node: TypeAlias = Scalar | Mapping | Listing


class Stopped(Exception):  # noqa: N818 -- it ends the reading; what was wrong is already reported
    """Nothing more is to be read."""


class _Open:
    """A collection that has begun and not ended. ``key`` is the last one read, ``BROKEN`` when it was refused."""

    __slots__ = ("is_key_due", "key", "node")

    def __init__(self, node: Mapping | Listing) -> None:
        self.node = node
        self.key = Scalar(BROKEN, node.start, node.start)
        self.is_key_due = isinstance(node, Mapping)


class Growing:
    """Takes what a reader finds, in order, and keeps the tree. ``max_steps`` bounds the steps, ``MAX_ITEMS`` all else."""

    def __init__(self, problems: Problems, *, max_steps: int) -> None:
        self.root: Node | None = None
        self._problems = problems
        self._open: list[_Open] = []
        self._max_steps = max_steps

    @property
    def awaits_key(self) -> bool:
        """Whether what comes next is a key of a mapping."""
        return bool(self._open) and self._open[-1].is_key_due

    def begin(self, node: Mapping | Listing) -> None:
        """A collection opens. Where a key was due it is read to its end and kept nowhere."""
        if len(self._open) >= MAX_DEPTH:
            self.refuse("too_deep", node.start, limit=MAX_DEPTH)
            raise Stopped
        if self.awaits_key:
            self.refuse(
                "key_not_text",
                node.start,
                found=described([] if isinstance(node, Listing) else {}),
                advice="write text before the colon",
            )
            self._take_key(Scalar(BROKEN, node.start, node.start))
        else:
            self._keep(node)
        self._open.append(_Open(node))

    def finish(self, end: int) -> None:
        """The innermost collection closes."""
        self._open.pop().node.end = end

    def word(self, word: str, start: int, *, end: int) -> None:
        """An unquoted scalar: its value by the core schema."""
        try:
            value: object = resolve(word)
        except OutOfRange:
            self.refuse("number_out_of_range", start, length=end - start, number=cropped(word))
            value = BROKEN
        self.scalar(value, start, end=end, source=word)

    def scalar(self, value: Any, start: int, *, end: int, source: str) -> None:
        """A value, or a key; ``source`` is how it was written."""
        if isinstance(value, str) and "\0" in value:
            self.refuse("control_character", start, length=end - start, character="the character NUL (U+0000)")
            value = BROKEN
        if self.awaits_key:
            self._take_key(Scalar(self._key(value, start, end=end, source=source), start, end))
        else:
            self._keep(Scalar(value, start, end))

    def refuse(self, name: str, start: int, *, length: int = 1, also: tuple[int, ...] = (), **facts: str | int) -> None:
        """Report what stands here; reading ends when the list of problems is full."""
        if self._problems.is_full:
            raise Stopped
        span = (start, start + max(length, 1))
        self._problems.add(Problem(name=name, keys=self._keys(), facts=facts, span=span, also_spans=also))

    def _key(self, value: object, start: int, *, end: int, source: str) -> object:
        """The key, or ``BROKEN`` after reporting why it cannot be one."""
        if value is BROKEN:
            return BROKEN
        if not isinstance(value, str):
            advice = f"put it in quotes: {quoted(source)}" if source else "write a key before the colon"
            self.refuse("key_not_text", start, length=end - start, found=described(value), advice=advice)
            return BROKEN
        mapping = self._open[-1].node
        assert isinstance(mapping, Mapping)
        first = mapping.entries.get(value)
        if first is not None:
            self.refuse("duplicate_key", start, length=end - start, also=(first.start,), key=quoted(value))
            return BROKEN
        return value

    def _take_key(self, key: Scalar) -> None:
        here = self._open[-1]
        here.key = key
        here.is_key_due = False

    def _keep(self, node: Node) -> None:
        if not self._open:
            self.root = node
            return
        here = self._open[-1]
        if isinstance(here.node, Listing):
            self._check_width(len(here.node.items), node)
            here.node.items.append(node)
            return
        here.is_key_due = True
        key = here.key
        if key.value is not BROKEN:
            self._check_width(len(here.node.entries), node)
            here.node.entries[key.value] = Entry(key.start, key.end, node)

    def _check_width(self, width: int, node: Node) -> None:
        if width < MAX_ITEMS and width < self._max_steps:
            return
        is_steps = self._keys()[:-1] == ("steps",)
        if width < (self._max_steps if is_steps else MAX_ITEMS):
            return
        if is_steps:
            self.refuse("too_many_steps", node.start, limit=self._max_steps)
        else:
            kind = "list" if isinstance(self._open[-1].node, Listing) else "mapping"
            self.refuse("too_many_items", node.start, limit=MAX_ITEMS, kind=kind)
        raise Stopped

    def _keys(self) -> Keys:
        """The way to what comes next."""
        keys: list[str | int] = []
        for here in self._open:
            if isinstance(here.node, Listing):
                keys.append(len(here.node.items) - (here is not self._open[-1]))
            elif isinstance(here.key.value, str) and not (here.is_key_due and here is self._open[-1]):
                keys.append(here.key.value)
        return tuple(keys)


def plain(node: Node) -> Any:
    """The tree without places: dicts, lists and scalars."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Listing):
        return [plain(item) for item in node.items]
    return {key: plain(entry.node) for key, entry in node.entries.items()}
