"""From what a step was given to what its function takes: parameters by name, each of the type that it is annotated with.

A parameter gets the step's parameter of its name, else the output of the dependency of its name, else the service of its name; the
context goes to ``ctx``. Inside a map or a loop ``item`` and ``index`` are what the nearest one goes through. Dataclasses, msgspec
structs, enums, dates and pydantic models are made from plain data and checked on the way; a parameter annotated with a plain type
gets what there is.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import pathlib
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from taskengine.model.value import decode
from taskengine.model.workflow import ITERATED
from taskengine.ports.context import TaskContext
from taskengine.ports.executor import Attempt

if typing.TYPE_CHECKING:
    from taskengine.adapters.function.registry import Function

__all__ = ["Convert", "bind", "converters_of", "encode_result", "plain"]

Convert = Callable[[Any], Any]
_MADE: Final = (dt.date, dt.time, dt.timedelta, decimal.Decimal, enum.Enum, msgspec.Struct)


def bind(function: Function, attempt: Attempt, *, services: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments. Raises what a conversion raises (a ``ValidationError`` of msgspec or pydantic)."""
    params: Any = decode(attempt.input)
    names, converters = function.parameters, function.converters
    if not converters and names.issubset(params):
        return params
    arguments = dict(params)
    for name in (*attempt.step.depends_on, *ITERATED):
        if name in names and name not in params:
            output = attempt.upstream(name)
            if output is not None:
                arguments[name] = decode(output)
    _convert(arguments, converters)
    for name, service in services.items():
        if name in names and name not in arguments:
            arguments[name] = service
    if function.context_parameter and function.context_parameter not in params:
        arguments[function.context_parameter] = TaskContext(attempt, params)
    return arguments


def _convert(arguments: dict[str, Any], converters: Mapping[str, Convert]) -> None:
    """Make them of their types; what does not fit is named by its parameter."""
    for name in converters.keys() & arguments.keys():
        try:
            arguments[name] = converters[name](arguments[name])
        except (msgspec.ValidationError, ValueError) as error:  # pydantic's is a ValueError
            raise msgspec.ValidationError(f"parameter {name}: {error}") from error


def converters_of(annotations: Mapping[str, Any]) -> dict[str, Convert]:
    """What makes a value of each annotation; nothing for those that take plain data as it is."""
    found: dict[str, Convert] = {}
    for name, annotation in annotations.items():
        parts = list(_parts(annotation))
        if any(hasattr(part, "model_validate") for part in parts):
            found[name] = _by_pydantic(annotation)
        elif any(_is_made(part) for part in parts):
            found[name] = _by_msgspec(annotation)
    return found


def _parts(annotation: Any) -> Iterator[Any]:
    """The annotation and everything in its brackets."""
    yield annotation
    for argument in typing.get_args(annotation):
        yield from _parts(argument)


def _is_made(part: Any) -> bool:
    if not isinstance(part, type):
        return False
    kind: type[object] = part
    if kind.__name__ == "UUID":  # of a module that makes ids, which nothing here may
        return True
    return issubclass(kind, _MADE) or hasattr(kind, "__dataclass_fields__") or typing.is_typeddict(kind)


def _by_msgspec(annotation: Any) -> Convert:
    from taskengine.adapters.function.making import Making

    return Making(annotation)


def _by_pydantic(annotation: Any) -> Convert:
    from pydantic import TypeAdapter

    adapter: Any = TypeAdapter(annotation)
    return adapter.validate_python


def plain(value: Any) -> Any:
    """What msgspec does not know: a pydantic model tells itself; a path is its text."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, pathlib.PurePath):
        return str(value)
    raise TypeError(f"an object of type {type(value).__name__} is no JSON")


encode_result: Final = msgspec.json.Encoder(enc_hook=plain).encode
