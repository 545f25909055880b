"""Two executions side by side: what is different, named by its place. Pure; what is compared comes from ``app.inspect``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple, TypeAlias

from taskengine.model.value import Json
from taskengine.wire.execution import WireComparison, WireDifference, WireExecution, WireTask

__all__ = ["Side", "compared", "first_difference"]

_EXECUTION: Final = ("workflow_name", "workflow_version", "status", "outcome")
_TASK: Final = ("status", "outcome", "attempt")


class Side(NamedTuple):
    """One execution, with what its tasks gave by their paths."""

    view: WireExecution
    variables: Mapping[str, Json]
    tasks: Mapping[str, WireTask]
    outputs: Mapping[str, Json]
    taken_over: frozenset[str]  # by a fork: paths; what is inside of them is not there, and nothing is lost


class _Nothing:
    """Stands for what is not there, which is not ``None``."""

    def __repr__(self) -> str:
        return "nothing"


_NOTHING: Final = _Nothing()
_Value: TypeAlias = "Json | _Nothing"
_Found: TypeAlias = "Iterator[WireDifference]"


def compared(a: Side, b: Side, *, is_all: bool = False) -> WireComparison:
    """What is different, the execution's own first, then its tasks in the order of their paths. ``is_all``: also what is the same.

    How long a task took is told where something else of it is different; by itself it is no difference.
    """
    lines = [*_execution(a, b), *_tasks(a, b)]
    differences = [line for line in lines if not line.is_same]
    different = {line.path for line in differences if line.what != "duration"}
    shown = lines if is_all else [line for line in differences if line.what != "duration" or line.path in different - {"/"}]
    return WireComparison(a=a.view.id, b=b.view.id, is_same=not different, differences=shown)


def first_difference(a: _Value, b: _Value, *, at: str = "") -> tuple[str, _Value, _Value] | None:
    """The place where two JSON values part first, and both values there; ``None`` when they are the same."""
    if isinstance(a, dict) and isinstance(b, dict):
        pairs: Iterable[tuple[str, _Value, _Value]] = (
            (f"{at}.{key}" if at else key, a.get(key, _NOTHING), b.get(key, _NOTHING)) for key in {**a, **b}
        )
    elif isinstance(a, list) and isinstance(b, list):
        longest = max(len(a), len(b))
        pairs = ((f"{at}[{place}]", _at(a, place), _at(b, place)) for place in range(longest))
    else:
        return None if type(a) is type(b) and a == b else (at, a, b)
    for place, one, other in pairs:
        found = first_difference(one, other, at=place)
        if found is not None:
            return found
    return None


def _at(values: list[Json], place: int) -> _Value:
    return values[place] if place < len(values) else _NOTHING


def _execution(a: Side, b: Side) -> _Found:
    for name in _EXECUTION:
        yield _line("/", name, a=getattr(a.view, name), b=getattr(b.view, name))
    yield _line("/", "duration", a=a.view.duration, b=b.view.duration)
    yield _line("/", "input", a=a.view.input, b=b.view.input)
    for name in {**a.variables, **b.variables}:
        yield _line("/", f"variables.{name}", a=a.variables.get(name, _NOTHING), b=b.variables.get(name, _NOTHING))
    yield _line("/", "error", a=_error(a.view.error_code, a.view.error_message), b=_error(b.view.error_code, b.view.error_message))
    yield _line("/", "output", a=a.view.output, b=b.view.output)


def _tasks(a: Side, b: Side) -> _Found:
    for path in {**a.tasks, **b.tasks}:
        one, other = a.tasks.get(path), b.tasks.get(path)
        if (one is None and _is_taken_over(path, a)) or (other is None and _is_taken_over(path, b)):
            continue
        if one is None or other is None:
            yield _line(path, "status", a=_NOTHING if one is None else one.status, b=_NOTHING if other is None else other.status)
            continue
        for name in _TASK:
            if name == "attempt" and not (one.attempt and other.attempt):
                continue  # one of them was not performed: its status says so, or it is a fork's and was taken over
            yield _line(path, name, a=getattr(one, name), b=getattr(other, name))
        yield _line(path, "duration", a=one.duration, b=other.duration)
        yield _line(path, "error", a=_error(one.error_code, one.error_msg), b=_error(other.error_code, other.error_msg))
        yield _line(path, "output", a=a.outputs.get(path, _NOTHING), b=b.outputs.get(path, _NOTHING))


def _is_taken_over(path: str, side: Side) -> bool:
    return any(path.startswith(taken) for taken in side.taken_over)


def _error(code: object, message: object) -> Json:
    return f"{code}: {message or ''}".rstrip(": ") if isinstance(code, str) else None


def _line(path: str, what: str, *, a: _Value, b: _Value) -> WireDifference:
    found = first_difference(a, b)
    place, one, other = ("", a, b) if found is None else found
    where = f"{what}{'' if place.startswith('[') or not place else '.'}{place}"
    return WireDifference(
        path=path,
        what=what,
        where=where,
        a=None if isinstance(one, _Nothing) else one,
        b=None if isinstance(other, _Nothing) else other,
        is_in_a=not isinstance(one, _Nothing),
        is_in_b=not isinstance(other, _Nothing),
        is_same=found is None,
    )
