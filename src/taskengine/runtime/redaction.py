"""What must not be written down is taken out by value, before a result, an error or a line of a log leaves the attempt.

A value is found as it is and as JSON text spells it. One shorter than four characters is not looked for: it would be found
everywhere, and hides nothing.
"""

from __future__ import annotations

from typing import Final

import msgspec

from taskengine.model.command import AttemptEnd, Failed, Succeeded
from taskengine.model.value import Json, Raw, TaskError, decode, raw

__all__ = ["Redactor"]

_SHORTEST: Final = 4
_HIDDEN: Final = "[secret]"


class Redactor:
    """The secrets of one attempt."""

    __slots__ = ("_texts",)

    def __init__(self) -> None:
        self._texts: list[str] = []  # longest first: one may be a part of another

    def add(self, text: str) -> None:
        """From now on this text is hidden; of one with several lines each line too."""
        for part in {text, *text.splitlines()}:
            if len(part.strip()) >= _SHORTEST and part not in self._texts:
                self._texts.append(part)
        self._texts.sort(key=len, reverse=True)

    def text(self, text: str) -> str:
        """The text without what is hidden."""
        for hidden in self._texts:
            text = text.replace(hidden, _HIDDEN)
        return text

    def document(self, document: Raw) -> Raw:
        """The JSON document without what is hidden; texts and keys only, it stays a document."""
        content = bytes(document)
        for hidden in self._texts:
            spelled = msgspec.json.encode(hidden)[1:-1]
            if spelled in content:
                # Decoded and encoded again, so that no number or escape that only looks like it is cut.
                return raw(self._value(decode(content)))
        return document

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
        return msgspec.structs.replace(error, type=self.text(error.type), message=self.text(error.message))

    def end(self, end: AttemptEnd) -> AttemptEnd:
        """The end of the attempt without what is hidden."""
        match end:
            case Succeeded(output=output):
                return Succeeded(self.document(output))
            case Failed(error=error):
                return Failed(self.error(error))
            case _:
                return end
