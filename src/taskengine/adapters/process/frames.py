"""What the engine and the keeper of a child say to each other: frames, and the order that describes a child.

Standard library only, because the keeper's program loads it. A frame is its length (four bytes, of what follows), its kind (one
byte) and its content.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

__all__ = [
    "BOX",
    "END",
    "GO",
    "INPUT",
    "KILL",
    "MAX_FRAME",
    "ORDER",
    "REFUSED",
    "RESULT",
    "STARTED",
    "STDERR",
    "STDOUT",
    "STOP",
    "Frames",
    "Limits",
    "Order",
    "frame",
    "order_bytes",
    "read_order",
]

# Engine → keeper.
ORDER: Final = b"o"  # what to run, JSON
INPUT: Final = b"i"  # a piece of the input
GO: Final = b"g"  # all of it is there
STOP: Final = b"t"  # SIGTERM, and SIGKILL after the grace of the order
KILL: Final = b"k"  # SIGKILL now
# Keeper → engine.
STARTED: Final = b"s"  # JSON: keeper, child
STDOUT: Final = b"1"
STDERR: Final = b"2"
RESULT: Final = b"r"  # a piece of the file that the child wrote its result to
REFUSED: Final = b"x"  # it could not be started: JSON with why
END: Final = b"e"  # it and everything it started is gone: JSON with how

BOX: Final = "\0box"  # in an argument: the place of the box, which only the keeper knows
MAX_FRAME: Final = 1024 * 1024
_HEAD: Final = struct.Struct("!I")


class Limits(NamedTuple):
    """Bounds of one child and all it starts; 0 is no bound. Sizes in bytes, ``cpu`` in seconds."""

    cpu: float = 0
    memory: int = 0
    output: int = 0  # stdout and stderr together
    processes: int = 0
    file_size: int = 0
    open_files: int = 0
    result: int = 16 * 1024 * 1024


class Order(NamedTuple):
    """One child. Paths are absolute."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str = ""  # empty: the home of its box
    limits: Limits = Limits()
    has_box: bool = False  # a private home, the input as a file and on stdin, a place for the result
    box_root: str = ""
    input_root: str = ""
    isolation: str = "process"  # process | sandbox (where there is one) | strict
    allows_network: bool = False
    keeps: tuple[str, ...] = ()  # folders that a sandbox must show even where it hides what lies around them
    files: tuple[tuple[str, str], ...] = ()  # name → text, written into the box
    grace_ms: int = 2_000


def frame(kind: bytes, content: bytes = b"") -> bytes:
    """One frame."""
    return _HEAD.pack(len(content) + 1) + kind + content


def order_bytes(order: Order) -> bytes:
    """The order as JSON."""
    return json.dumps({**order._asdict(), "limits": order.limits._asdict()}).encode()


def read_order(document: bytes) -> Order:
    """The order that ``order_bytes`` wrote."""
    fields: dict[str, Any] = json.loads(document)
    fields["limits"] = Limits(**fields["limits"])
    return Order(**fields)


class Frames:
    """Takes bytes as they come, gives whole frames."""

    def __init__(self, *, max_frame: int = MAX_FRAME + 1) -> None:
        self._held = bytearray()
        self._max_frame = max_frame

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The frames that are whole now. ``ValueError``: one says that it is longer than any can be."""
        held = self._held
        held += data
        at = 0
        try:
            while len(held) - at >= _HEAD.size:
                (length,) = _HEAD.unpack_from(held, at)
                if not 0 < length <= self._max_frame:
                    raise ValueError(f"a frame of {length} bytes")
                end = at + _HEAD.size + length
                if len(held) < end:
                    return
                start, at = at + _HEAD.size, end
                yield bytes(held[start : start + 1]), bytes(held[start + 1 : end])
        finally:
            del held[:at]
