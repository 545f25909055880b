"""The parts of a JSON Schema and how they lead to each other: which part is applied to the same value, which to what is inside.

Pure data; it knows no value that is judged. It owns which references are followed, and the bound on how often one value is looked
at, which no library gives: nested choices multiply.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, cast
from urllib.parse import unquote

from taskengine.define.finding import Keys

__all__ = ["MAX_LOOKS", "Circular", "Costly", "Parts", "Unresolved"]

MAX_LOOKS: Final = 1_000  # at one value of an input
_MAX_WORK: Final = 200_000  # steps that counting them may take

_HERE_ONE: Final = ("not", "if", "then", "else")
_HERE_MANY: Final = ("allOf", "anyOf", "oneOf")
_HERE_NAMED: Final = ("dependentSchemas",)
_REFERENCES: Final = ("$ref", "$dynamicRef")
_EVERY_ITEM: Final = ("items", "contains", "unevaluatedItems")
_EVERY_PROPERTY: Final = ("unevaluatedProperties", "propertyNames")
_INSIDE_ONE: Final = (*_EVERY_ITEM, *_EVERY_PROPERTY, "additionalProperties", "contentSchema")
_INSIDE_MANY: Final = ("prefixItems",)
_INSIDE_NAMED: Final = ("properties", "patternProperties")
_KEPT: Final = ("$defs", "definitions")
_LEADING: Final = frozenset(
    (*_HERE_ONE, *_HERE_MANY, *_HERE_NAMED, *_REFERENCES, *_INSIDE_ONE, *_INSIDE_MANY, *_INSIDE_NAMED, *_KEPT)
)

Part = dict[str, Any]
Looks = Counter[int]


class Unresolved(Exception):  # noqa: N818 -- not a mistake of the program: it says that a reference leads nowhere
    """A reference leads to nothing; ``is_remote``: it leads out of the schema."""

    def __init__(self, reference: str, *, is_remote: bool) -> None:
        super().__init__(reference)
        self.reference = reference
        self.is_remote = is_remote


class Circular(Exception):  # noqa: N818 -- likewise
    """A part is applied to the same value again and again; ``keys`` is where it stands."""

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys)
        self.keys = keys


class Costly(Exception):  # noqa: N818 -- likewise
    """One value may be looked at too often; ``keys`` is the part where that is seen."""

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys)
        self.keys = keys


class Parts:
    """The subschemas of one schema, numbered from 0, the whole. Booleans and what is no schema are no parts."""

    def __init__(self, schema: Part) -> None:
        self._schema = schema
        self._numbers: dict[int, int] = {}  # by identity: a part that a program uses twice is one
        self.parts: list[Part] = []
        self.places: list[Keys] = []
        self._anchors: dict[str, int] = {}
        self._closures: dict[int, Looks] = {}
        self._ends: set[int] = set()  # parts that lead to no other
        self._work = 0
        self._add(schema, ())

    def _add(self, part: Part, place: Keys) -> int:
        """The number of a part; it and everything below get one."""
        waiting = [(part, place)]
        while waiting:
            one, keys = waiting.pop()
            if id(one) in self._numbers:
                continue
            number = self._numbers[id(one)] = len(self.parts)
            self.parts.append(one)
            self.places.append(keys)
            for word in ("$anchor", "$dynamicAnchor"):
                anchor = one.get(word)
                if isinstance(anchor, str):
                    self._anchors.setdefault(anchor, number)
            if _LEADING.isdisjoint(one):
                self._ends.add(number)
            else:
                waiting.extend((below, (*keys, *way)) for way, below in _below(one))
        return self._numbers[id(part)]

    @property
    def has_fractions(self) -> bool:
        """Whether some value is divided by a fraction, which costs as much as forty looks."""
        return any(isinstance(part.get("multipleOf"), float) for part in self.parts)

    def references(self, number: int) -> Iterator[tuple[str, object]]:
        """Keyword and reference of a part."""
        part = self.parts[number]
        return ((word, part[word]) for word in _REFERENCES if word in part)

    def resolve(self, reference: str) -> int | None:
        """The part that a reference means, ``None`` for one that is true or false. Raises ``Unresolved``."""
        if not reference.startswith("#"):
            raise Unresolved(reference, is_remote=True)
        pointer = unquote(reference[1:])
        if pointer and not pointer.startswith("/"):
            if pointer not in self._anchors:
                raise Unresolved(reference, is_remote=False)
            return self._anchors[pointer]
        found: Any = self._schema
        keys: list[str | int] = []
        for word in pointer.split("/")[1:]:
            key = word.replace("~1", "/").replace("~0", "~")
            if isinstance(found, dict) and key in found:
                found = cast("dict[str, Any]", found)[key]
                keys.append(key)
            elif isinstance(found, list) and key.isascii() and key.isdecimal() and int(key[:9]) < len(cast("list[Any]", found)):
                found = cast("list[Any]", found)[int(key[:9])]
                keys.append(int(key[:9]))
            else:
                raise Unresolved(reference, is_remote=False)
        if isinstance(found, bool):
            return None
        if not isinstance(found, dict):
            raise Unresolved(reference, is_remote=False)
        return self._add(cast("Part", found), tuple(keys))

    # How often one value is looked at

    def most_looks(self) -> int:
        """The most parts that may be applied to one value of any input. Raises ``Circular``, ``Costly``, ``Unresolved``."""
        most = 1
        waiting: list[Looks] = [Counter((0,))]
        seen: set[frozenset[tuple[int, int]]] = set()
        while waiting:
            entered = waiting.pop()
            if self._ends.issuperset(entered) and entered.total() <= MAX_LOOKS:
                most = max(most, entered.total())
                continue
            mark = frozenset(entered.items())
            if mark in seen:
                continue
            seen.add(mark)
            here: Looks = Counter()
            for number, times in entered.items():
                for other, looks in self._closure(number).items():
                    here[other] += looks * times
            total = here.total()
            self._spend(len(here), next(iter(entered)))
            if total > MAX_LOOKS:
                raise Costly(self.places[next(iter(entered))])
            most = max(most, total)
            waiting.extend(self._inside(here))
        return most

    def _spend(self, amount: int, number: int) -> None:
        self._work += amount
        if self._work > _MAX_WORK:
            raise Costly(self.places[number])

    def _closure(self, number: int) -> Looks:
        """The parts that are applied to the same value when this one is, and how often. Raises as ``most_looks``."""
        known = self._closures.get(number)
        if known is not None:
            return known
        order, open_parts = [number], set[int]()
        while order:  # children first, without recursion: a chain of references may be long
            one = order[-1]
            if one in self._closures:
                order.pop()
                continue
            targets = list(self._here(one))
            missing = [target for target in targets if target not in self._closures]
            if missing:
                if one in open_parts:
                    raise Circular(self.places[one])
                open_parts.add(one)
                order.extend(missing)
                continue
            looks: Looks = Counter((one,))
            for target in targets:
                looks.update(self._closures[target])
            self._spend(len(looks), one)
            if looks.total() > MAX_LOOKS:
                raise Costly(self.places[one])
            self._closures[one] = looks
            open_parts.discard(one)
            order.pop()
        return self._closures[number]

    def _here(self, number: int) -> Iterator[int]:
        part = self.parts[number]
        for _, reference in self.references(number):
            found = self.resolve(reference) if isinstance(reference, str) else None
            if found is not None:
                yield found
        for word in _HERE_ONE:
            yield from self._known(part.get(word))
        for word in _HERE_MANY:
            for below in _listed(part.get(word)):
                yield from self._known(below)
        for word in _HERE_NAMED:
            for below in _named(part.get(word)).values():
                yield from self._known(below)

    def _known(self, value: object) -> Iterator[int]:
        number = self._numbers.get(id(cast("object", value))) if isinstance(value, dict) else None
        if number is not None:
            yield number

    def _inside(self, here: Looks) -> Iterator[Looks]:
        """What is applied to each value inside of one that these are applied to."""
        every: Looks = Counter()  # property, whatever its name
        other: Looks = Counter()  # property that is not named
        by_name: dict[str, Looks] = {}
        unnamed: dict[str, Looks] = {}  # what `other` holds for parts that name the property, and that it does not get
        items: Looks = Counter()
        by_place: dict[int, Looks] = {}
        for number, times in here.items():
            part = self.parts[number]
            self._count(items, [part.get(word) for word in _EVERY_ITEM], times=times)
            for place, below in enumerate(_listed(part.get("prefixItems"))):
                self._count(by_place.setdefault(place, Counter()), [below], times=times)
            self._count(every, [part.get(word) for word in _EVERY_PROPERTY], times=times)
            self._count(every, list(_named(part.get("patternProperties")).values()), times=times)
            rest: Looks = Counter()
            self._count(rest, [part.get("additionalProperties")], times=times)
            other.update(rest)
            for name, below in _named(part.get("properties")).items():
                self._count(by_name.setdefault(name, Counter()), [below], times=times)
                if rest:
                    unnamed.setdefault(name, Counter()).update(rest)
        self._spend(len(by_name) + len(by_place), next(iter(here)))
        shared = every + other
        found = [items, shared, *(items + place for place in by_place.values())]
        found += [named + shared - unnamed.get(name, Counter()) for name, named in by_name.items()] if shared else by_name.values()
        return (one for one in found if one)

    def _count(self, into: Looks, values: list[Any], *, times: int) -> None:
        for value in values:
            for number in self._known(value):
                into[number] += times


def _below(part: Part) -> Iterator[tuple[Keys, Part]]:
    """The parts directly inside of one, with the way to them."""
    for word in (*_HERE_ONE, *_INSIDE_ONE):
        value = part.get(word)
        if isinstance(value, dict):
            yield (word,), cast("Part", value)
    for word in (*_HERE_MANY, *_INSIDE_MANY):
        for place, value in enumerate(_listed(part.get(word))):
            if isinstance(value, dict):
                yield (word, place), cast("Part", value)
    for word in (*_HERE_NAMED, *_INSIDE_NAMED, *_KEPT):
        for name, value in _named(part.get(word)).items():
            if isinstance(value, dict):
                yield (word, name), cast("Part", value)


def _listed(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _named(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
