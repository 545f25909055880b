"""How values are named in messages: quoted, cropped, made safe for a terminal; and which known word was probably meant.

Pure text. It is called by whoever words a finding; it knows nothing of documents.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Final

__all__ = ["cropped", "described", "listed", "nearest", "numbered", "quoted", "visible"]

CROP: Final = 60
LISTED: Final = 8
SHORT: Final = 5  # words shorter than this are another word after two changes
LOOKED_AT: Final = 2_000  # known words that are looked at for one suggestion
CANDIDATES: Final = 200  # of them that are compared letter by letter
_HIDDEN: Final = frozenset({"Zs", "Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def visible(text: str) -> str:
    """The text with every character that moves the cursor, hides, or turns the direction of writing shown as an escape.

    So is every space but the plain one: it looks like that and is not.
    """
    if text.isprintable():
        return text
    return "".join(_escaped(character) if _is_hidden(character) else character for character in text)


def _is_hidden(character: str) -> bool:
    return character != " " and unicodedata.category(character) in _HIDDEN


def _escaped(character: str) -> str:
    digits = f"{ord(character):x}"
    width, letter = next((width, letter) for width, letter in ((2, "x"), (4, "u"), (8, "U")) if len(digits) <= width)
    return f"\\{letter}{digits:0>{width}}"


def cropped(text: str) -> str:
    """The text, visible, at most some sixty characters of it."""
    return visible(text if len(text) <= CROP else text[: CROP - 1] + "…")


def quoted(text: str) -> str:
    """The text in double quotes, at most some sixty characters of it."""
    short = text if len(text) <= CROP else text[: CROP - 1] + "…"
    return '"' + visible(short.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")) + '"'


def described(value: object) -> str:
    """What a value is, in words, with the value itself when it is short."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}" if value else "an empty text"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return f"a {type(value).__name__}"


def listed(words: Iterable[str]) -> str:
    """The words, comma-separated, cut after a few."""
    known = list(islice(words, LISTED + 1))
    return ", ".join(cropped(word) for word in known[:LISTED]) + (", …" if len(known) > LISTED else "")


def numbered(count: int, noun: str) -> str:
    """``1 error``, ``2 errors``, ``2,000 errors``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def nearest(word: str, known: Sequence[str]) -> str:
    """The known word that was probably meant, or nothing. Compares a bounded number of words, whatever ``known`` holds."""
    if len(word) > CROP:
        return ""
    folded = _folded(word)
    allowed = 1 if len(folded) < SHORT else 2
    best, best_distance = "", allowed + 1
    compared = 0
    ends = folded[:1], folded[-1:]
    for candidate in islice(known, LOOKED_AT):
        if abs(len(candidate) - len(word)) > allowed:
            continue
        other = _folded(candidate)
        if ends[0] != other[:1] and ends[1] != other[-1:]:
            continue
        compared += 1
        if compared > CANDIDATES:
            break
        distance = _distance(folded, other, bound=best_distance)
        if distance < best_distance:
            best, best_distance = candidate, distance
    return best


def _folded(word: str) -> str:
    """Without case and separators: dependsOn, depends-on and depends_on are one word."""
    return word.casefold().replace("_", "").replace("-", "").replace(" ", "")


def _distance(left: str, right: str, *, bound: int) -> int:
    """Insertions, deletions, changes and swaps of neighbours from one word to the other; ``bound`` when it is no less."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for row, character in enumerate(left, 1):
        current = [row]
        for column, other in enumerate(right, 1):
            cost = min(above[column] + 1, current[-1] + 1, above[column - 1] + (character != other))
            if row > 1 and column > 1 and character == right[column - 2] and left[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        if min(current) >= bound <= min(above):
            return bound
        before, above = above, current
    return min(above[-1], bound)
