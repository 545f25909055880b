"""The text of a document: bytes to text within the limits, offsets to lines and columns.

It owns what may reach a reader at all: size, encoding, control characters. Columns count characters, from 1.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from taskengine.define.finding import MAX_FINDINGS, Problem, Problems

__all__ = ["MAX_BYTES", "Source", "decode"]

MAX_BYTES: Final = 1_048_576
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")  # in JSON as in YAML
_MARKS: Final = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


class Source:
    """A text with its name, and where the lines are. Lines end with LF, CR or both."""

    def __init__(self, text: str, *, file: str) -> None:
        self.text = text
        self.file = file
        self._counted = (0, 1)  # an offset and its line, so that going through a text in order counts each line once

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset."""
        offset = min(offset, len(self.text))
        start, line = self._counted if self._counted[0] <= offset else (0, 1)
        count = self.text.count
        line += count("\n", start, offset) + count("\r", start, offset) - count("\r\n", start, offset)
        begin = self._line_start(offset)
        self._counted = (begin, line)
        return line, offset - begin + 1

    def rest_of_line(self, offset: int, length: int) -> str:
        """At most ``length`` characters from an offset to the end of its line."""
        return _LINE_END.split(self.text[offset : offset + length], maxsplit=1)[0]

    def lead_of_line(self, offset: int, length: int) -> str:
        """At most ``length`` characters from the beginning of an offset's line, or as many before the offset."""
        return self.text[max(self._line_start(offset), offset - length) : offset]

    def line_before(self, offset: int, length: int) -> str:
        """The beginning of the line before an offset's line; empty when it is the first."""
        end = self._line_start(offset)
        if end == 0:
            return ""
        end -= 2 if self.text.startswith("\r\n", end - 2) else 1
        start = self._line_start(end)
        return self.text[start : min(end, start + length)]

    def _line_start(self, offset: int) -> int:
        return max(self.text.rfind("\n", 0, offset), self.text.rfind("\r", 0, offset)) + 1


def decode(data: bytes | str, problems: Problems) -> str:
    """The text of a document, without a byte order mark; what keeps it from being read goes to ``problems``."""
    if len(data) > MAX_BYTES:
        _refuse(problems, "document_too_large", limit=MAX_BYTES)
        return ""
    text = data if isinstance(data, str) else _from_bytes(data, problems)
    text = text.removeprefix("\ufeff")
    try:
        size = len(text.encode()) if isinstance(data, str) else len(data)
    except UnicodeEncodeError as error:
        _refuse(problems, "not_utf8", reason=f"half of a surrogate pair at character {error.start + 1}")
        return ""
    if size > MAX_BYTES:
        _refuse(problems, "document_too_large", limit=MAX_BYTES)
        return ""
    for match in islice(_FORBIDDEN.finditer(text), MAX_FINDINGS + 1):
        _refuse(problems, "control_character", offset=match.start(), character=f"the character U+{ord(match[0]):04X}")
    return text


def _from_bytes(data: bytes, problems: Problems) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        known = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "")
        reason = f"it begins like {known}" if known else f"the byte 0x{data[error.start]:02X} is no part of a character"
        good = data[: error.start].decode().removeprefix("\ufeff")
        _refuse(problems, "not_utf8", offset=len(good), reason=reason)
        # What was read so far is kept, so that the finding has a place.
        return good


def _refuse(problems: Problems, name: str, *, offset: int = 0, **facts: str | int) -> None:
    problems.add(Problem(name=name, keys=(), facts=facts, span=(offset, offset + 1)))
