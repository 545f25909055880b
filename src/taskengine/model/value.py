"""The values everything else is made of. Instants and durations are integers in milliseconds, named ``_at`` and ``_ms``.

Payloads that only pass through (inputs, outputs) stay encoded: a ``Raw`` is a piece of JSON text that nobody on the way parses.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

__all__ = [
    "ABSENT",
    "NONE",
    "Instant",
    "Json",
    "Parent",
    "Raw",
    "TaskError",
    "decode",
    "encode",
    "has_large_integer",
    "is_deeper",
    "raw",
]

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Instant: TypeAlias = int
Raw = msgspec.Raw

encode = msgspec.json.Encoder(order=None).encode
_decode = msgspec.json.Decoder().decode
NONE = Raw(b"null")
ABSENT = Raw(b"")  # no payload at all; falsy, and left out of what is stored


def decode(document: bytes | Raw) -> Json:
    """Parse a JSON document. Raises ``msgspec.DecodeError`` when it is not one."""
    return _decode(document)


def raw(value: Json) -> Raw:
    """Encode once; raises ``TypeError`` or ``OverflowError`` for what JSON cannot hold."""
    return Raw(encode(value))


_TEXTS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_TO_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def is_deeper(document: bytes, levels: int) -> bool:
    """Whether lists and objects are nested deeper than that in a JSON document: decoders recurse, and could not read it back."""
    if len(document) <= levels or document.count(b"[") + document.count(b"{") <= levels:
        return False
    brackets = _TEXTS.sub(b"", document).translate(_TO_SQUARE, _NO_BRACKETS)
    for _ in range(levels):
        if not brackets:
            break
        brackets = brackets.replace(b"[]", b"")  # takes the innermost ones away
    return bool(brackets)


_LARGE = b"0" * 19  # no shorter row of digits is beyond 64 bits
_TO_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_LARGE_INTEGERS = re.compile(rb"(?<![\d.])-?\d{19,}(?![\d.eE])")
_LONGEST = 20  # characters of a number of 64 bits, with its sign


def has_large_integer(document: bytes) -> bool:
    """Whether a JSON document holds a whole number that does not fit 64 bits: expressions refuse it, other readers change it."""
    if len(document) < len(_LARGE) or _LARGE not in document.translate(_TO_ZEROS):
        return False
    found = _LARGE_INTEGERS.findall(_TEXTS.sub(b"", document))
    return any(len(number) > _LONGEST or not -(2**63) <= int(number) < 2**64 for number in found)


class Parent(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Who started an execution: a step of another one. ``root_id`` is the execution at the top of the tree."""

    execution_id: str
    task: int
    attempt: int
    root_id: str
    depth: int = 1  # of the child, the root has 0
    is_detached: bool = False  # nobody waits for it, and control of the parent does not reach it
    key: str = ""  # of the step: keys of the child's tasks begin with it, so that they are the same when the step is tried again


class TaskError(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """How an attempt failed. Retry and ``handles`` match ``type`` and ``bases`` by name, never the message."""

    type: str
    message: str = ""
    bases: tuple[str, ...] = ()
    is_final: bool = False  # trying again would not help, whatever the policy says
    retry_after_ms: int = 0  # the other side asked for at least this pause

    def matches(self, names: tuple[str, ...]) -> bool:
        """Whether one of the names is this error's type or one of its bases."""
        return any(name == self.type or name in self.bases for name in names)
