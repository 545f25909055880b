"""Listeners and signals of one key, and how a key is made. Parts of the index that ``kernel.sieve`` keeps."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from taskengine.model.value import Json, Raw, decode

__all__ = ["Bucket", "Key", "Path", "Shape", "key_of", "key_of_signal"]

_STALE_ENTRIES: Final = 64  # so many are not worth a tidying

Path: TypeAlias = tuple[str | int, ...]
Key: TypeAlias = tuple[object, ...]


class Bucket:
    """The listeners and the signals of one key. ``home`` says of each listener's order which bucket it stands in now."""

    __slots__ = ("count", "first", "is_walked", "key", "line", "shape", "signals", "tag")

    def __init__(self, shape: Shape, key: Key, tag: int) -> None:
        self.shape, self.key, self.tag = shape, key, tag
        self.line: list[int] = []  # listeners, longest waiting first; those that have left are passed over
        self.first = 0  # in the line: all before have left
        self.count = 0  # of listeners in the line
        self.signals: list[int] = []  # oldest first
        self.is_walked = False

    def join(self, order: int) -> None:
        """A listener stands in line, at its place."""
        place = bisect_left(self.line, order)
        if place == len(self.line) or self.line[place] != order:  # else it was here before
            self.line.insert(place, order)
        self.first = min(self.first, place)
        self.count += 1

    def leave(self, home: Mapping[int, Bucket]) -> None:
        """A listener has left."""
        self.count -= 1
        if len(self.line) > _STALE_ENTRIES + 4 * self.count:
            self.line = [one for one in self.line if home.get(one) is self]
            self.first = 0
        self.drop_if_empty()

    def after(self, order: int, home: Mapping[int, Bucket]) -> int | None:
        """The next one in line after an order."""
        line = self.line
        while self.first < len(line) and home.get(line[self.first]) is not self:
            self.first += 1
        for place in range(max(self.first, bisect_right(line, order)), len(line)):
            if home.get(line[place]) is self:
                return line[place]
        return None

    def remove(self, serial: int) -> None:
        """A signal was taken."""
        del self.signals[bisect_left(self.signals, serial)]
        self.drop_if_empty()

    def drop_if_empty(self) -> None:
        """Nothing is kept of a key that nobody has."""
        if not self.count and not self.signals and self.shape.buckets.get(self.key) is self:
            del self.shape.buckets[self.key]


class Shape:
    """All buckets of the filters that compare the same parts."""

    __slots__ = ("buckets", "known", "paths")

    def __init__(self, paths: tuple[Path, ...]) -> None:
        self.paths = paths
        self.buckets: dict[Key, Bucket] = {}
        self.known = -1  # signals up to this one are in their buckets


def key_of(values: list[Json]) -> Key:
    """Values that ``==`` calls equal have one key; of lists and objects only the size counts."""
    return tuple(_part(value) for value in values)


def _part(value: Json) -> tuple[str, object]:
    if isinstance(value, (list, dict)):
        return type(value).__name__, len(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return type(value).__name__, value
    return "number", value


def key_of_signal(data: Raw, paths: tuple[Path, ...]) -> Key | None:
    """A signal's key; ``None`` when it lacks one of the parts, so that no filter that compares it lets it through."""
    if not paths:
        return ()
    values: list[Json] = []
    try:
        document = decode(data)
        for path in paths:
            value: Any = document  # indexing tells what it is
            for key in path:
                value = value[key]
            values.append(value)
    except (LookupError, TypeError, RecursionError):
        return None
    return key_of(values)
