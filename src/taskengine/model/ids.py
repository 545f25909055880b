"""Ids: ``<kind>_<ulid>``, and ``task_<ulid>_<n>`` for a task, which holds its execution's ULID.

The text rules are here, the clock and the randomness are not: the environment object makes new ids with ``ulid``.
Source of the format: the ULID specification (48 bits of milliseconds, 80 bits of randomness, Crockford's base 32).
"""

from __future__ import annotations

from typing import Final

__all__ = ["EXECUTION", "NODE", "WORKFLOW", "execution_of", "number_of", "task_id", "ulid"]

EXECUTION: Final = "ex_"
WORKFLOW: Final = "wf_"
NODE: Final = "node_"
TASK: Final = "task_"

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_MAX_MS: Final = (1 << 48) - 1


def ulid(at: int, randomness: int) -> str:
    """26 characters that sort like ``(at, randomness)``: milliseconds since 1970 and 80 random bits."""
    value = (min(max(at, 0), _MAX_MS) << 80) | (randomness & ((1 << 80) - 1))
    pairs = _PAIRS
    return "".join([pairs[(value >> shift) & 1023] for shift in range(120, -1, -10)])


def task_id(execution_id: str, number: int) -> str:
    """The id of task ``number`` of an execution; number 0 is the execution itself."""
    return execution_id if number == 0 else f"{TASK}{execution_id.removeprefix(EXECUTION)}_{number}"


def execution_of(identifier: str) -> str:
    """The execution that an execution's or a task's id belongs to."""
    if not identifier.startswith(TASK):
        return identifier
    return EXECUTION + identifier.removeprefix(TASK).partition("_")[0]


def number_of(identifier: str) -> int:
    """The task's number within its execution: 0 for an execution's id."""
    if not identifier.startswith(TASK):
        return 0
    tail = identifier.rpartition("_")[2]
    return int(tail) if tail.isdecimal() else -1
