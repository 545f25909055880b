"""What an author may say about a step beside what it calls: the words, and the attributes of the model that they become.

Builder and decorators take the same words from here, so they cannot disagree. What is said wrongly is refused by name; whether the
whole makes sense is judged in `checks.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypedDict, TypeVar, cast

from taskengine.define.phrase import described, nearest, quoted
from taskengine.define.placeholder import Placeholder, condition_of, written
from taskengine.define.spans import DurationError, read_duration
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Isolation, Join, OnError, RetryPolicy, Success

__all__ = [
    "Duration",
    "Retry",
    "StepOptions",
    "TaskOptions",
    "UndoableOptions",
    "errors_of",
    "fields_of",
    "milliseconds",
    "policy_of",
    "success_of",
    "word_of",
]

Duration: TypeAlias = float | str | timedelta
Retry: TypeAlias = RetryPolicy | int | Mapping[str, Any]
E = TypeVar("E", bound=StrEnum)


class TaskOptions(TypedDict, total=False):
    """The words. A duration is seconds, text such as ``2m``, or a ``timedelta``; errors are classes or their names."""

    id: str
    name: str
    description: str
    config: Mapping[str, Any]
    when: str | bool | Placeholder
    join: Join | str
    handles: Iterable[str | type[BaseException]]
    input_mapping: Mapping[str, Any]
    output_mapping: Mapping[str, Any]
    retry: Retry
    timeout: Duration
    total_timeout: Duration
    queue_timeout: Duration
    heartbeat: Duration
    isolation: Isolation | str
    priority: int
    idempotent: bool
    on_error: OnError | str
    tags: Iterable[str]


class UndoableOptions(TaskOptions, total=False):
    """The words of a decorated task. ``compensate``: the task, or the function that calls one, which undoes it."""

    compensate: Callable[..., object]


class StepOptions(UndoableOptions, total=False):
    """The words of a step that a traced function adds. ``after``: results of steps, or their ids, that come before it."""

    after: object


def milliseconds(value: object, *, what: str) -> int:
    """A duration as the model holds it. Raises ``DefinitionError("bad_duration")``."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        hint = 'write 30, "30s", "1h30m" or a timedelta'
        raise DefinitionError("bad_duration", f"{what} is no duration: found {described(value)}", hint=hint)
    try:
        return read_duration(value)
    except DurationError as error:
        raise DefinitionError(
            "bad_duration", f"{what}: {described(value)} is no duration: {error.reason}", hint=error.advice
        ) from None


def policy_of(value: object, *, what: str) -> RetryPolicy:
    """A policy from one, from how many attempts there may be, or from the words of a document."""
    if isinstance(value, RetryPolicy):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return RetryPolicy(max_attempts=value)
    if not isinstance(value, Mapping):
        hint = "write retry=3, retry=RetryPolicy(max_attempts=3) or retry={'max_attempts': 3, 'initial_interval': '1s'}"
        raise DefinitionError("wrong_type", f"{what}: expected a retry policy, found {described(value)}", hint=hint)
    fields: dict[str, Any] = {}
    for key, said in cast("Mapping[str, object]", value).items():
        if key not in _RETRY:
            meant = nearest(str(key), list(_RETRY))
            hint = f"did you mean {quoted(meant)}?" if meant else f"known: {', '.join(_RETRY)}"
            raise DefinitionError("unknown_key", f"{what}: unknown key {quoted(str(key))}", hint=hint)
        attribute, read = _RETRY[key]
        fields[attribute] = read(said, what=f"{what}.{key}")
    first = fields.get("initial_interval_ms", 0)
    if "max_interval_ms" not in fields and first > RetryPolicy().max_interval_ms:
        fields["max_interval_ms"] = first  # as documents are read
    return RetryPolicy(**fields)


def success_of(value: object) -> Success:
    """A success rule from one, or from what a document says. Raises ``DefinitionError``."""
    if isinstance(value, Success):
        return value
    from taskengine.define.finding import Problems, Spot  # noqa: PLC0415 -- few groups have a rule of their own
    from taskengine.define.place import findings_of  # noqa: PLC0415 -- likewise
    from taskengine.define.success import success  # noqa: PLC0415 -- likewise

    problems = Problems()
    said: Any = value
    if isinstance(value, Mapping) and isinstance(said.get("when"), Placeholder):
        said = {**said, "when": condition_of(said["when"], what="success.when")}
    found = success(written(said, what="success"), Spot(problems, ("success",)))
    if isinstance(found, Success) and not problems.found:
        return found
    first = findings_of(problems)[0]
    raise DefinitionError(first.name, first.message, hint=first.hint)


def fields_of(options: TaskOptions) -> dict[str, Any]:
    """Attribute of ``Step`` → value, for all words but those that say which step it is: id, name."""
    given: Mapping[str, Any] = options
    return {_OPTIONS[word][0]: _OPTIONS[word][1](value, what=word) for word, value in given.items() if word in _OPTIONS}


def errors_of(value: object, *, what: str) -> tuple[str, ...]:
    """Errors by name: classes give theirs. One of them needs no list."""
    many = (cast("object", value),) if isinstance(value, str | type) else _items(value, what=what)
    return tuple(_error_name(one, what=what) for one in many)


def _error_name(value: object, *, what: str) -> str:
    found = described(value)
    if isinstance(value, str):
        return value
    if isinstance(value, type) and issubclass(value, BaseException):
        return value.__name__
    hint = "write ValueError or 'ValueError'"
    raise DefinitionError("wrong_type", f"{what}: expected an error's class or name, found {found}", hint=hint)


def _words(value: object, *, what: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(_text(one, what=what) for one in _items(value, what=what))


def _items(value: object, *, what: str) -> Iterable[object]:
    found = described(value)
    if isinstance(value, Iterable) and not isinstance(value, bytes | Mapping):
        return cast("Iterable[object]", value)
    raise DefinitionError("wrong_type", f"{what}: expected a list, found {found}")


def _text(value: object, *, what: str) -> str:
    if isinstance(value, str):
        return value
    raise DefinitionError("wrong_type", f"{what}: expected text, found {described(value)}")


def _mapping(value: object, *, what: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise DefinitionError("wrong_type", f"{what}: expected a mapping, found {described(value)}")
    found: dict[str, Any] = written(cast("object", value), what=what)
    return found


def _number(value: object, *, what: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise DefinitionError("wrong_type", f"{what}: expected a number, found {described(value)}")


def _whole(value: object, *, what: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise DefinitionError("wrong_type", f"{what}: expected a whole number, found {described(value)}")


def _boolean(value: object, *, what: str) -> bool:
    if isinstance(value, bool):
        return value
    raise DefinitionError("wrong_type", f"{what}: expected True or False, found {described(value)}")


def word_of(words: type[E]) -> Callable[..., E]:
    """Reads one word of a closed set. The reader raises ``DefinitionError("unknown_choice")``."""

    def read(value: object, *, what: str) -> E:
        known = [word.value for word in words]
        if isinstance(value, str) and value in known:
            return words(value)
        meant = nearest(value, known) if isinstance(value, str) else ""
        hint = f"did you mean {quoted(meant)}?" if meant else f"one of {', '.join(known)}"
        raise DefinitionError("unknown_choice", f"{what} cannot be {described(value)}", hint=hint)

    return read


_Reader: TypeAlias = Callable[..., Any]
_OPTIONS: Final[Mapping[str, tuple[str, _Reader]]] = {
    "description": ("description", _text),
    "config": ("config", _mapping),
    "when": ("when", condition_of),
    "join": ("join", word_of(Join)),
    "handles": ("handles", errors_of),
    "input_mapping": ("input_mapping", _mapping),
    "output_mapping": ("output_mapping", _mapping),
    "retry": ("retry", policy_of),
    "timeout": ("timeout_ms", milliseconds),
    "total_timeout": ("total_timeout_ms", milliseconds),
    "queue_timeout": ("queue_timeout_ms", milliseconds),
    "heartbeat": ("heartbeat_ms", milliseconds),
    "isolation": ("isolation", word_of(Isolation)),
    "priority": ("priority", _whole),
    "idempotent": ("is_idempotent", _boolean),
    "on_error": ("on_error", word_of(OnError)),
    "tags": ("tags", _words),
}
_RETRY: Final[Mapping[str, tuple[str, _Reader]]] = {
    "max_attempts": ("max_attempts", _whole),
    "initial_interval": ("initial_interval_ms", milliseconds),
    "max_interval": ("max_interval_ms", milliseconds),
    "backoff_coefficient": ("backoff_coefficient", _number),
    "jitter": ("jitter", _number),
    "non_retryable_errors": ("non_retryable_errors", errors_of),
}
