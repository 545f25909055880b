"""What must be equal for a condition to hold, so that who asks can be found by its value instead of being asked.

It reads the words of a condition that compiles. Of the parts that `and` joins, those of the form `name.path == expression` count,
either way round, where the expression does not read that name. Each must be true for the whole to be true: nothing is said about
the rest, so whoever is found this way is still asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from taskengine.expr.expression import Expression, expression
from taskengine.expr.tokens import Token, tokenise

__all__ = ["Equality", "equalities"]

_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")
_LOOSER: Final = frozenset({"or", "if"})  # they bind less tightly than `and`


class Equality(NamedTuple):
    """One part: the keys below the name, and what stands on the other side."""

    path: tuple[str | int, ...]
    value: Expression


def equalities(condition: Expression, name: str) -> tuple[Equality, ...]:
    """The parts of that form, from left to right; none when there are none."""
    source = condition.source
    found = (_equality(source, part, name=name) for part in _parts(tokenise(source)[:-1]))
    return tuple(part for part in found if part is not None)


def _parts(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """What `and` joins, also inside of brackets."""
    tokens = _bare(tokens)
    words = _outside(tokens)
    ends = [place for place in words if tokens[place].text == "and"]
    if not ends or any(tokens[place].text in _LOOSER for place in words):
        yield tokens
        return
    start = 0
    for end in (*ends, len(tokens)):
        yield from _parts(tokens[start:end])
        start = end + 1


def _bare(tokens: Sequence[Token]) -> Sequence[Token]:
    """Without the brackets around all of it."""
    while tokens and tokens[0].text == "(" and tokens[0].kind == "mark" and _closes(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _closes(tokens: Sequence[Token], opened: int) -> int:
    depth = 0
    for place in range(opened, len(tokens)):
        depth += _deeper(tokens[place])
        if not depth:
            return place
    return len(tokens)


def _deeper(token: Token) -> int:
    if token.kind != "mark":
        return 0
    return (token.text in _OPENING) - (token.text in _CLOSING)


def _outside(tokens: Sequence[Token]) -> list[int]:
    """The places of words and marks that stand in no brackets and are no keys."""
    places: list[int] = []
    depth = 0
    for place, token in enumerate(tokens):
        depth += _deeper(token)
        is_key = place > 0 and tokens[place - 1].text == "." and tokens[place - 1].kind == "mark"
        if not depth and not is_key and token.kind in {"name", "mark"}:
            places.append(place)
    return places


def _equality(source: str, tokens: Sequence[Token], *, name: str) -> Equality | None:
    words = _outside(tokens)
    equals = [place for place in words if tokens[place].text == "=="]
    is_other = any(tokens[place].text in _LOOSER or tokens[place].text == "and" for place in words)
    if len(equals) != 1 or is_other or tokens[0].text == "not":
        return None
    left, right = tokens[: equals[0]], tokens[equals[0] + 1 :]
    for side, other in ((left, right), (right, left)):
        path = _path(_bare(side), name)
        if path is None:
            continue
        value = expression(source[other[0].start : other[-1].end])
        if not any(read == name or read.startswith(f"{name}.") for read in value.names):
            return Equality(path, value)
    return None


def _path(tokens: Sequence[Token], name: str) -> tuple[str | int, ...] | None:
    """The keys below the name, when all of it is a name whose keys can be read in the text."""
    if not tokens or tokens[0].kind != "name" or tokens[0].value != name:
        return None
    keys: list[str | int] = []
    rest = tokens[1:]
    while rest:
        marks = [token.text if token.kind == "mark" else token.kind for token in rest[:4]]
        if marks[:2] == [".", "name"]:
            key, taken = rest[1].value, 2
        elif marks[:3] in (["[", "text", "]"], ["[", "number", "]"]):
            key, taken = rest[1].value, 3
        else:
            return None
        if isinstance(key, float):
            return None
        keys.append(key)
        rest = rest[taken:]
    return tuple(keys)
