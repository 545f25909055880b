"""Values made from plain data by what a parameter is annotated with: msgspec's conversion, and two things it leaves out.

Of a dataclass msgspec drops the fields that it does not have, so that a slip of the pen would go unseen; and a default that nothing
took the place of stays with the class, where no encoder finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat
from typing import Any, Final, cast

import msgspec
from msgspec import inspect as shapes

from taskengine.define.given import is_mapping
from taskengine.define.phrase import nearest

__all__ = ["Making"]

_LACKING: Final = object()
_Record = shapes.DataclassType | shapes.StructType | shapes.TypedDictType | shapes.NamedTupleType


class Making:
    """Makes values of one annotation. Calling it raises msgspec's ``ValidationError``, also for a field that a dataclass lacks."""

    __slots__ = ("_annotation", "_shape")

    def __init__(self, annotation: Any) -> None:
        self._annotation = annotation
        self._shape: shapes.Type | None = None  # looked at when a value comes: it may name what is not there yet

    def __call__(self, value: Any) -> Any:
        """Make one."""
        if self._shape is None:
            try:
                self._shape = shapes.type_info(self._annotation)
            except TypeError:  # the conversion knows better whether that matters
                self._shape = shapes.AnyType()
        for shape, data, path in _dataclasses(self._shape, value):
            _must_know(shape, data, path=path)
        made = msgspec.convert(value, self._annotation)
        for shape, one, _ in _dataclasses(self._shape, made):
            _fill(shape, one)
        return made


def _must_know(shape: shapes.DataclassType, data: Any, *, path: str) -> None:
    """Refuse a field that the dataclass does not have."""
    if not is_mapping(data):
        return
    known = [field.encode_name for field in shape.fields]
    for name in data:
        if name not in known:
            meant = nearest(name, known)
            advice = f", did you mean `{meant}`?" if meant else f"; its fields are {', '.join(known) or 'none'}"
            place = f" - at `{path}`" if path != "$" else ""
            raise msgspec.ValidationError(f"{shape.cls.__name__} has no field `{name}`{place}{advice}")


def _fill(shape: shapes.DataclassType, made: Any) -> None:
    """Give the object itself the defaults that it has from its class."""
    own: dict[str, Any] | None = getattr(made, "__dict__", None)
    if own is not None:
        for field in shape.fields:
            if field.name not in own and hasattr(made, field.name):
                object.__setattr__(made, field.name, getattr(made, field.name))  # a frozen one too


def _dataclasses(shape: shapes.Type, value: Any, *, path: str = "$") -> Iterator[tuple[shapes.DataclassType, Any, str]]:
    """Every place in a value, before or after its conversion, where a dataclass stands."""
    if isinstance(shape, shapes.DataclassType):
        yield shape, value, path
    for part, inside, key in _parts(shape, value):
        yield from _dataclasses(part, inside, path=path + key)


def _parts(shape: shapes.Type, value: Any) -> Iterator[tuple[shapes.Type, Any, str]]:
    """What stands inside, each with its shape; nothing where the value is not of the shape."""
    if isinstance(shape, shapes.UnionType):
        yield from ((one, value, "") for one in _chosen(shape, value))
    elif isinstance(shape, _Record):
        for field in shape.fields:
            inside: Any = value.get(field.encode_name, _LACKING) if is_mapping(value) else getattr(value, field.name, _LACKING)
            if inside is not _LACKING:
                yield field.type, inside, f".{field.encode_name}"
    elif isinstance(shape, shapes.DictType) and is_mapping(value):
        yield from ((shape.value_type, inside, f"[{key!r}]") for key, inside in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        items = cast("Iterable[Any]", value)
        yield from ((part, one, f"[{number}]") for number, (part, one) in enumerate(zip(_items(shape), items, strict=False)))


def _chosen(shape: shapes.UnionType, value: Any) -> Iterator[shapes.Type]:
    """The members that a value may be; of several records the one that it is, which is known after the conversion."""
    is_clear = sum(isinstance(one, _Record) for one in shape.types) == 1
    return (one for one in shape.types if not isinstance(one, _Record) or is_clear or isinstance(value, one.cls))


def _items(shape: shapes.Type) -> Iterable[shapes.Type]:
    """The shapes of the items of a sequence, one after the other."""
    if isinstance(shape, shapes.TupleType):
        return shape.item_types
    return repeat(shape.item_type) if isinstance(shape, shapes.CollectionType) else ()
