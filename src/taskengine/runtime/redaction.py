"""What must not be written down is taken out by value, before a result, an error or a line of a log leaves the attempt.

A value is found as it is and as an address spells it. One shorter than four characters is not looked for: it would be found
everywhere, and hides nothing. Texts are cut before they come here (long lines, the tail of a stream, the beginning of an answer),
so a part of a value is taken out as well where a line begins with its end or ends with its beginning.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, quote_plus

import msgspec

from taskengine.model.command import AttemptEnd, Failed, Succeeded
from taskengine.model.value import Json, Raw, TaskError, decode, raw

__all__ = ["Redactor"]

_SHORTEST: Final = 4
_PART: Final = 6  # so much of a value is looked for at the ends of lines
_CUT: Final = " …"  # what a cut text ends with
_HIDDEN: Final = "[secret]"


class Redactor:
    """The secrets of one attempt."""

    __slots__ = ("_texts",)

    def __init__(self) -> None:
        self._texts: list[str] = []  # longest first: one may be a part of another

    def add(self, text: str) -> None:
        """From now on this text is hidden; of one with several lines each line too."""
        for line in {text, *text.splitlines()}:
            for part in dict.fromkeys((line, quote(line, safe="-._~"), quote_plus(line))):
                if len(part.strip()) >= _SHORTEST and part not in self._texts:
                    self._texts.append(part)
        self._texts.sort(key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without what is hidden."""
        for hidden in self._texts:
            text = text.replace(hidden, _HIDDEN)
        return "\n".join([self._line(line) for line in text.split("\n")]) if text else text

    def _line(self, line: str) -> str:
        """The line without a part of what is hidden at either end of it."""
        for hidden in self._texts:
            least = max(_SHORTEST, min(_PART, len(hidden) // 2))
            whole = line.rstrip(_CUT)
            for length in range(min(len(hidden) - 1, len(whole)), least - 1, -1):
                if whole.endswith(hidden[:length]):
                    line = whole[:-length] + _HIDDEN + line[len(whole) :]
                    break
            for length in range(min(len(hidden) - 1, len(line)), least - 1, -1):
                if line.startswith(hidden[-length:]):
                    line = _HIDDEN + line[length:]
                    break
        return line

    def document(self, document: Raw) -> Raw:
        """The JSON document without what is hidden; texts and keys only, it stays a document."""
        value = decode(document)
        told = self._value(value)
        return document if told == value else raw(told)

    def _value(self, value: Json) -> Json:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(key): self._value(held) for key, held in value.items()}
            case list():
                return [self._value(held) for held in value]
            case _:
                return value

    def error(self, error: TaskError) -> TaskError:
        """The error without what is hidden."""
        bases = tuple([self.text(base) for base in error.bases])
        return msgspec.structs.replace(error, type=self.text(error.type), message=self.text(error.message), bases=bases)

    def end(self, end: AttemptEnd) -> AttemptEnd:
        """The end of the attempt without what is hidden."""
        match end:
            case Succeeded(output=output):
                return Succeeded(self.document(output))
            case Failed(error=error):
                return Failed(self.error(error))
            case _:
                return end
