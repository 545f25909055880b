"""Single values of a document: each reader takes what was written and gives what the model holds, or reports and gives ``WRONG``.

Nothing is converted silently: a number is no text, a text no number.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, TypeAlias

from taskengine.define.finding import Spot
from taskengine.define.given import BROKEN, is_list, is_mapping
from taskengine.define.phrase import described, quoted
from taskengine.define.spans import DurationError, read_duration

__all__ = [
    "WRONG",
    "Between",
    "Choice",
    "MoreAttempts",
    "Reader",
    "Section",
    "Wrong",
    "anything",
    "between",
    "boolean",
    "condition",
    "duration",
    "mapping",
    "same",
    "text",
    "texts",
    "version",
    "wrong_type",
]


class Wrong:
    """A value that could not be read; the reason is already reported."""

    def __repr__(self) -> str:
        return "WRONG"


WRONG: Final = Wrong()

Reader: TypeAlias = Callable[[Any, Spot], Any]

_MEANT_BOOLEAN: Final = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def wrong_type(value: object, at: Spot, *, expected: str, advice: str = "") -> Wrong:
    """Report another type than expected, unless the value was reported before."""
    if value is not BROKEN:
        at.report("wrong_type", expected=expected, found=described(value), advice=advice)
    return WRONG


def text(value: object, at: Spot) -> str | Wrong:
    """Text, which a number or a boolean is not."""
    if isinstance(value, str):
        return value
    advice = f'write "{value}"' if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return wrong_type(value, at, expected="text", advice=advice)


def condition(value: object, at: Spot) -> str | Wrong:
    """An expression; ``true`` and ``false`` need no quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    return wrong_type(value, at, expected="an expression in quotes")


def version(value: object, at: Spot) -> str | Wrong:
    """A label; a number is taken as it is written."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return wrong_type(value, at, expected='a version such as "1.0"')


def texts(value: object, at: Spot) -> tuple[str, ...] | Wrong:
    """One text or a list of them. An entry that is no text is reported and stands as an empty one, so that places stay right."""
    if isinstance(value, str):
        return (value,)
    if not is_list(value):
        return wrong_type(value, at, expected="text or a list of texts")
    read = [text(item, at.below(index)) for index, item in enumerate(value)]
    return tuple(item if isinstance(item, str) else "" for item in read)


def boolean(value: object, at: Spot) -> bool | Wrong:
    """True or false, and none of YAML 1.1's other words for them."""
    if isinstance(value, bool):
        return value
    meant = _MEANT_BOOLEAN.get(value.lower(), "") if isinstance(value, str) else ""
    return wrong_type(value, at, expected="true or false", advice=f"write {meant}" if meant else "")


class Between:
    """A reader of numbers within the bounds; of whole ones when the bounds are whole."""

    def __init__(self, what: str, bounds: tuple[float, float]) -> None:
        self.low, self.high = bounds
        self.is_whole = isinstance(self.low, int)
        self._what = what
        kind = "a whole number" if self.is_whole else "a number"
        digits = "" if self.is_whole else "g"
        self._span = f"{kind} from {self.low:{digits}} to {self.high:{digits}}"

    def __call__(self, value: object, at: Spot) -> int | float | Wrong:
        """Read one."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            advice = f"write {value}, without quotes" if isinstance(value, str) and value.isdecimal() else ""
            return wrong_type(value, at, expected=self._span, advice=advice)
        if (self.is_whole and not isinstance(value, int)) or not self.low <= value <= self.high:
            at.report("out_of_range", what=self._what, expected=self._span, found=f"{value}")
            return WRONG
        return value if self.is_whole else float(value)


def between(what: str, bounds: tuple[float, float]) -> Between:
    """A reader of numbers within the bounds."""
    return Between(what, bounds)


class MoreAttempts:
    """A reader of how many attempts may follow the first one: ``retry_count n`` means n + 1 attempts."""

    def __init__(self, read: Between) -> None:
        self.read = read

    def __call__(self, value: object, at: Spot) -> int | Wrong:
        """Read one."""
        count = self.read(value, at)
        return count + 1 if isinstance(count, int) else WRONG


def duration(value: object, at: Spot) -> int | Wrong:
    """Milliseconds, from seconds as a number or from text such as 1h30m."""
    if value is BROKEN:
        return WRONG
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return wrong_type(value, at, expected="a duration such as 30s")
    try:
        return read_duration(value)
    except DurationError as error:
        found = quoted(value) if isinstance(value, str) else f"{value}"
        at.report("bad_duration", found=found, reason=error.reason, advice=error.advice)
        return WRONG


class Choice:
    """A reader of one word of a closed set."""

    def __init__(self, what: str, words: type[StrEnum]) -> None:
        self.known = [word.value for word in words]
        self._what = what
        self._words = words

    def __call__(self, value: object, at: Spot) -> StrEnum | Wrong:
        """Read one."""
        note = f"one of {', '.join(self.known)}"
        if not isinstance(value, str):
            return wrong_type(value, at, expected=note)
        if value in self.known:
            return self._words(value)
        at.report("unknown_choice", what=self._what, found=quoted(value), note=note, word=value, known=self.known)
        return WRONG


def mapping(value: object, at: Spot) -> dict[str, Any] | Wrong:
    """Keys with any values."""
    if is_mapping(value):
        return value
    return wrong_type(value, at, expected="a mapping (keys with values)")


class Section:
    """A reader of a mapping with keys of its own, which are read later; ``example`` shows one to whoever wrote something else."""

    def __init__(self, example: str) -> None:
        self._example = example

    def __call__(self, value: object, at: Spot) -> dict[str, Any] | Wrong:
        """Read one."""
        if is_mapping(value):
            return value
        return wrong_type(value, at, expected="a mapping", advice=f"write {self._example}")


def anything(value: object, _at: Spot) -> object:
    """Any value, as it is."""
    return WRONG if value is BROKEN else value


def same(value: Any) -> Any:
    """What the model holds is what the document says."""
    return value
