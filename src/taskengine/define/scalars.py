"""What an unquoted word means: the core schema of YAML 1.2 (section 10.3.2), which holds all of JSON's.

``on``, ``no``, ``1:30``, ``1_000`` and dates are text; ``012`` is twelve. Numbers are exact or refused.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import Final

__all__ = ["NUMBERLESS", "OutOfRange", "resolve"]

_WORDS: Final[dict[str, bool | None]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_FIRST: Final = frozenset("-+.0123456789")
_INTEGER: Final = re.compile(r"[-+]?[0-9]+", re.ASCII)
_OTHER_BASE: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
NUMBERLESS: Final = frozenset(
    {sign + word for sign in ("", "-", "+") for word in (".inf", ".Inf", ".INF")}
    | {".nan", ".NaN", ".NAN"}
    # What JSON's dialects write: text to YAML, but nobody who writes them means text.
    | {"NaN", "Infinity", "-Infinity"}
)
_LONGEST: Final = 400  # characters of a number; the exact decimal form of a double may have more, but nobody writes it
_MOST_DIGITS: Final = 26  # more than 64 bits take in any base, with the base's mark; int() is slow on long ones
_LOWEST: Final = -(2**63)
_HIGHEST: Final = 2**64 - 1  # as far as expressions count


class OutOfRange(ValueError):  # noqa: N818 -- it names the finding
    """The word is a number that cannot be stored."""


def resolve(word: str) -> bool | int | float | str | None:
    """The value of an unquoted word. Raises ``OutOfRange`` for infinity, not-a-number, and numbers of more than 64 bits."""
    if word in _WORDS:
        return _WORDS[word]
    if word in NUMBERLESS:
        raise OutOfRange(word)
    return _number(word) if word[0] in _FIRST else word


def _number(word: str) -> int | float | str:
    if _INTEGER.fullmatch(word):
        return _in_range(word, base=10)
    if _OTHER_BASE.fullmatch(word):
        return _in_range(word, base=0)
    if not _FLOAT.fullmatch(word):
        return word
    value = float(word) if len(word) <= _LONGEST else float("inf")
    if not isfinite(value):
        raise OutOfRange(word)
    return value


def _in_range(word: str, *, base: int) -> int:
    digits = word.lstrip("+-")
    if len(digits.lstrip("0")) > _MOST_DIGITS:
        raise OutOfRange(word)
    value = int(word, base)
    if not _LOWEST <= value <= _HIGHEST:
        raise OutOfRange(word)
    return value
