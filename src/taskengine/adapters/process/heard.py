"""What a child says: lines for the log of its task as they come, and the end of each stream for its result."""

from __future__ import annotations

import codecs
from typing import Final

from taskengine.ports.executor import Attempt

__all__ = ["LEVELS", "TAIL", "Heard", "Stream"]

LEVELS: Final = {"stdout": "info", "stderr": "warning"}  # of what a stream says, in the log
TAIL: Final = 64 * 1024
_LINE: Final = 8 * 1024
_LAST_LINES: Final = 8
_LAST_WORDS: Final = 1_500


class Stream:
    """One stream: its last bytes, and the line that is not over yet."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._tail = bytearray()
        self._line = ""
        self.dropped = 0

    def take(self, data: bytes) -> list[str]:
        """The lines that are whole now; one that is too long comes in pieces."""
        self._tail += data
        if len(self._tail) > 2 * TAIL:
            self.dropped += len(self._tail) - TAIL
            del self._tail[:-TAIL]
        *lines, self._line = (self._line + self._decode(data)).split("\n")
        while len(self._line) > _LINE:
            lines.append(self._line[:_LINE])
            self._line = self._line[_LINE:]
        return [line.removesuffix("\r") for line in lines]

    def rest(self) -> str:
        """The last line, when it did not end."""
        line, self._line = self._line + self._decode(b"", final=True), ""
        return line

    def text(self) -> str:
        """The end of the stream; what went before is named by its size."""
        dropped = self.dropped + max(0, len(self._tail) - TAIL)
        tail = self._tail[-TAIL:].decode("utf-8", "replace")
        return f"[{dropped} bytes before this are left out]\n{tail}" if dropped else tail


class Heard:
    """Both streams of the child of an attempt."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self.stdout = Stream()
        self.stderr = Stream()

    def take(self, data: bytes, is_error: bool) -> None:  # noqa: FBT001 -- called by position for each piece
        """Something came, so it is not silent."""
        name, stream = ("stderr", self.stderr) if is_error else ("stdout", self.stdout)
        self._attempt.heard()
        for line in stream.take(data):
            self._attempt.log(line, level=LEVELS[name], source=name)

    def close(self) -> None:
        """Nothing more comes."""
        for name, stream in (("stdout", self.stdout), ("stderr", self.stderr)):
            line = stream.rest()
            if line:
                self._attempt.log(line, level=LEVELS[name], source=name)

    def last_words(self) -> str:
        """The last lines of stderr; of stdout when there are none."""
        said = self.stderr.text().strip() or self.stdout.text().strip()
        return "\n".join(said.splitlines()[-_LAST_LINES:])[-_LAST_WORDS:]
