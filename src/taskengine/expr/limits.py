"""Every bound of the room, by name. It owns numbers only; the module that enforces one says so where it does."""

from __future__ import annotations

from typing import Final

__all__ = [
    "CACHED_EXPRESSIONS",
    "FUEL",
    "LARGEST_INTEGER",
    "MAX_DEPTH",
    "MAX_RENDERED_BYTES",
    "MAX_SOURCE_BYTES",
    "MAX_TEMPLATE_DEPTH",
    "MAX_WORK",
    "SMALLEST_INTEGER",
]

MAX_SOURCE_BYTES: Final = 4_096  # of one expression, in UTF-8
MAX_DEPTH: Final = 64  # of brackets, signs, `not` and `else` in each other, and of operators in one chain (and, or, ~ excepted)
MAX_WORK: Final = 2_000_000  # elements and characters that one evaluation may touch beyond reading a name
FUEL: Final = 100_000  # instructions of minijinja in one evaluation; 4 KiB cannot ask for as many, so this only stops our mistakes
MAX_RENDERED_BYTES: Final = 1_048_576  # what the expressions of one template may put into it, as JSON
MAX_TEMPLATE_DEPTH: Final = 64  # of lists and objects in a template
CACHED_EXPRESSIONS: Final = 1_024  # compiled expressions that are kept

# What JSON writers and readers agree on, and what minijinja carries without turning it into a float.
SMALLEST_INTEGER: Final = -(2**63)
LARGEST_INTEGER: Final = 2**64 - 1
