"""What a stream can show, and the marks and colours that follow from it. A status is always a word beside its mark."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple, TextIO

from taskengine.cli.language import say

__all__ = ["Look", "cells", "look", "stderr_look", "table", "width_of", "wrapped"]

_MARKS: Final = {
    "completed": ("✔", "[ok]", "32"),
    "running": ("●", "[>>]", "36"),
    "failed": ("✖", "[!!]", "31"),
    "retrying": ("↻", "[re]", "33"),
    "waiting": ("◌", "[..]", "36"),
    "paused": ("‖", "[||]", "33"),
    "cancelled": ("⊘", "[--]", "35"),
    "skipped": ("»", "[>|]", "2"),
    "pending": ("·", "[  ]", "2"),
}
_STYLES: Final = {"error": "1;31", "warning": "1;33", "hint": "36", "dim": "2", "bold": "1"}
_CODE: Final = re.compile(r"\x1b\[[0-9;]*m")
_GUTTER: Final = "  "
_NARROWEST: Final = 40


class Look(NamedTuple):
    """How to write to one stream."""

    is_terminal: bool
    is_live: bool  # the cursor can be moved
    has_color: bool
    has_unicode: bool

    def mark(self, status: str) -> str:
        """The mark of a status, as wide as every other one."""
        sign, plain, _ = _MARKS.get(status, ("?", "[??]", "0"))
        return sign if self.has_unicode else plain

    def status(self, status: str, *, word: str = "") -> str:
        """Mark and word, coloured where that is possible. Without a ``word`` it is the status in the language of the command."""
        return self.colored(f"{self.mark(status)} {word or say(status)}", status)

    def colored(self, text: str, status: str) -> str:
        """The text in the colour of a status."""
        return self.paint(text, _MARKS.get(status, ("", "", "0"))[2])

    def styled(self, text: str, style: str) -> str:
        """``error``, ``warning``, ``hint``, ``dim``, ``bold``."""
        return self.paint(text, _STYLES[style])

    def paint(self, text: str, code: str) -> str:
        """The text between colour codes, or as it is."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.has_color else text

    def crop(self, text: str, width: int) -> str:
        """As much of a plain text as fits the columns; all of it for width 0."""
        if not width or cells(text) <= width:
            return text
        end = "…" if self.has_unicode else "..."
        room, kept = max(1, width - len(end)), 0
        for character in text:
            room -= _cell(character)
            if room < 0:
                break
            kept += 1
        return text[:kept] + end


def look(stream: TextIO) -> Look:
    """What a stream can show. ``NO_COLOR``, ``TERM=dumb`` and ``TASK_ENGINE_ASCII`` are obeyed."""
    is_terminal = stream.isatty()
    is_able = is_terminal and os.environ.get("TERM", "dumb") != "dumb"
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").replace("_", "")
    return Look(
        is_terminal=is_terminal,
        is_live=is_able,
        has_color=is_able and not os.environ.get("NO_COLOR"),
        has_unicode=encoding.startswith("utf") and not os.environ.get("TASK_ENGINE_ASCII"),
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """Lines of a table without boxes; columns in ``right`` hold numbers. Cells may hold colour codes."""
    heads = [say(head) if head else "" for head in heads]
    everything = [heads, *rows] if any(heads) else list(rows)
    widths = [max((cells(row[column]) for row in everything), default=0) for column in range(len(heads))]
    lines: list[str] = []
    for row in everything:
        padded = [
            " " * (width - cells(cell)) + cell if column in right else cell + " " * (width - cells(cell))
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(_GUTTER.join(padded).rstrip())
    return lines


def cells(text: str) -> int:
    """How many columns a text takes, colour codes left out."""
    if text.isascii() and "\x1b" not in text:
        return len(text)
    return sum(_cell(character) for character in _CODE.sub("", text))


def wrapped(text: str, width: int) -> list[str]:
    """A plain text on lines of at most ``width`` columns, broken at spaces where there are some."""
    lines: list[str] = []
    while text:
        kept, room, space = 0, width, 0
        for character in text:
            room -= _cell(character)
            if room < 0:
                break
            kept += 1
            if character == " ":
                space = kept
        if kept < len(text) and space > kept // 2:
            kept = space
        kept = max(1, kept)
        lines.append(text[:kept].rstrip())
        text = text[kept:].lstrip(" ")
    return lines


def _cell(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def width_of(stream: TextIO) -> int:
    """Columns of the terminal behind a stream; 0 where there is none, and nothing is to be cut."""
    if not stream.isatty():
        return 0
    try:
        return max(_NARROWEST, os.get_terminal_size(stream.fileno()).columns)
    except (OSError, ValueError):
        return 80


def stderr_look() -> Look:
    """The look of stderr as it is now."""
    return look(sys.stderr)
