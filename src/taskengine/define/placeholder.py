"""Placeholders: what stands for a value that is only known when the workflow runs, while its graph is being declared.

A placeholder is an expression; put into a text or passed on it is written as a template. Whatever would need the value now (``if``,
``for``, ``len``) is refused by name, with what to write instead. It never holds or computes a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from taskengine.define.phrase import described
from taskengine.errors import DefinitionError
from taskengine.model.value import encode

__all__ = ["MARKED", "Placeholder", "condition_of", "iterated", "unmarked", "written"]

_WORDS: Final = frozenset({"and", "else", "false", "if", "in", "is", "none", "not", "or", "true"})  # no names after a dot
_DEEPEST: Final = 64
# `item` and `index` of one body among several in each other, until it is known how they are read where they stand: `item.__2__`.
MARKED: Final = re.compile(r"\b(item|index)\.__(\d+)__(?!\w)")


class Placeholder:
    """A value of the run, by the expression that reads it.

    ``rows.count``, ``rows["a b"]`` and ``rows[0]`` read parts of it; comparisons and ``& | ~`` make conditions for ``when=``,
    ``+ - * / // %`` further expressions.
    """

    __slots__ = ("__expression__", "__is_name__")  # no plain names: those are parts of the value

    def __init__(self, expression: str, *, is_name: bool = True) -> None:
        self.__expression__ = expression
        self.__is_name__ = is_name  # a name, which needs no brackets inside of a longer expression

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("_"):  # what Python, editors and notebooks ask every object for
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, key: object) -> Placeholder:
        inner = _operand(self)
        if isinstance(key, str):
            is_name = key.isidentifier() and key not in _WORDS
            return Placeholder(f"{inner}.{key}" if is_name else f"{inner}[{encode(key).decode()}]")
        if isinstance(key, int) and not isinstance(key, bool):
            return Placeholder(f"{inner}[{key}]")
        raise _no_value(self, f"[{key!r}] asks for a part", hint="a part is read by a name or by a number")

    def __eq__(self, other: object) -> Placeholder:  # type: ignore[override]  # it makes a condition
        return _joined("==", self, other=other)

    def __ne__(self, other: object) -> Placeholder:  # type: ignore[override]  # it makes a condition
        return _joined("!=", self, other=other)

    def __lt__(self, other: object) -> Placeholder:
        return _joined("<", self, other=other)

    def __le__(self, other: object) -> Placeholder:
        return _joined("<=", self, other=other)

    def __gt__(self, other: object) -> Placeholder:
        return _joined(">", self, other=other)

    def __ge__(self, other: object) -> Placeholder:
        return _joined(">=", self, other=other)

    def __and__(self, other: object) -> Placeholder:
        return _joined("and", self, other=other)

    def __or__(self, other: object) -> Placeholder:
        return _joined("or", self, other=other)

    def __invert__(self) -> Placeholder:
        return Placeholder(f"not {_operand(self)}", is_name=False)

    def __add__(self, other: object) -> Placeholder:
        return _joined("+", self, other=other)

    def __radd__(self, other: object) -> Placeholder:
        return _joined("+", other, other=self)

    def __sub__(self, other: object) -> Placeholder:
        return _joined("-", self, other=other)

    def __rsub__(self, other: object) -> Placeholder:
        return _joined("-", other, other=self)

    def __mul__(self, other: object) -> Placeholder:
        return _joined("*", self, other=other)

    def __rmul__(self, other: object) -> Placeholder:
        return _joined("*", other, other=self)

    def __truediv__(self, other: object) -> Placeholder:
        return _joined("/", self, other=other)

    def __rtruediv__(self, other: object) -> Placeholder:
        return _joined("/", other, other=self)

    def __floordiv__(self, other: object) -> Placeholder:
        return _joined("//", self, other=other)

    def __rfloordiv__(self, other: object) -> Placeholder:
        return _joined("//", other, other=self)

    def __mod__(self, other: object) -> Placeholder:
        return _joined("%", self, other=other)

    def __rmod__(self, other: object) -> Placeholder:
        return _joined("%", other, other=self)

    def __neg__(self) -> Placeholder:
        return Placeholder(f"-{_operand(self)}", is_name=False)

    __hash__ = None  # type: ignore[assignment]  # equality makes a condition: it can be no key and in no set

    def __bool__(self) -> bool:
        raise _no_value(
            self,
            "`if`, `and`, `or` and `not` need to know it",
            hint="a `condition` of the graph chooses: condition((rows.count > 0, load), otherwise=complain), both functions; "
            "for one task: load(rows, when=rows.count > 0); write & | ~ for and, or, not",
        )

    def __iter__(self) -> Iterator[Any]:
        hint = "map_over(rows, load) does a task for each; or pass it on whole, or read parts: rows.first, rows[0]"
        raise _no_value(self, "a loop or unpacking needs its elements", hint=hint)

    def __len__(self) -> int:
        raise _no_value(self, "its length is asked for", hint="in a text: {{ name|length }}")

    def __contains__(self, item: object) -> bool:
        raise _no_value(self, "`in` looks into it", hint='write the condition as text: when="input.x in input.allowed"')

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Refuse: methods run inside of tasks."""
        raise _no_value(self, "it is called", hint="a method runs inside of a task: make a task of it")

    def __int__(self) -> int:
        raise _no_value(self, "int() needs it", hint="convert it inside of a task")

    def __float__(self) -> float:
        raise _no_value(self, "float() needs it", hint="convert it inside of a task")

    def __index__(self) -> int:
        raise _no_value(self, "a number is needed", hint="a part is read by a name or number that is known now")

    def __str__(self) -> str:
        return "{{ " + self.__expression__ + " }}"

    def __format__(self, specification: str) -> str:
        if specification:
            raise _no_value(self, f"the format {specification!r} needs it", hint="format it inside of a task, or by a filter")
        return str(self)

    def __dir__(self) -> list[str]:
        return []  # nothing completes: whatever is asked for is a part of the value

    def __repr__(self) -> str:
        return f"Placeholder({unmarked(self.__expression__)!r})"

    def __deepcopy__(self, memo: object) -> Placeholder:
        return self


def iterated(name: str, body: int) -> Placeholder:
    """The ``item`` or ``index`` of the body with this number."""
    return Placeholder(f"{name}.__{body}__")


def unmarked(expression: str) -> str:
    """The expression as it will be read: without the numbers of bodies."""
    return MARKED.sub(r"\1", expression)


def written(value: object, *, what: str, depth: int = 0) -> Any:
    """The value as a document holds it: placeholders as templates, tuples as lists. Raises ``DefinitionError("not_json")``."""
    if isinstance(value, Placeholder):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth < _DEEPEST:
        if isinstance(value, list | tuple):
            items = cast("Sequence[object]", value)
            return [written(item, what=f"{what}[{place}]", depth=depth + 1) for place, item in enumerate(items)]
        if isinstance(value, Mapping):
            entries = cast("Mapping[object, object]", value)
            return {_key(key, what=what): written(item, what=f"{what}.{key}", depth=depth + 1) for key, item in entries.items()}
    hint = "pass text, numbers, True, False, None, lists and dicts; make other objects inside of a task"
    raise DefinitionError("not_json", f"{what}: {described(value)} cannot be written into a workflow", hint=hint)


def _key(key: object, *, what: str) -> str:
    if isinstance(key, str):
        return key
    raise DefinitionError("not_json", f"{what}: keys are text, found {described(key)}")


def condition_of(value: object, *, what: str) -> str:
    """The expression of a condition: text as it is, a placeholder's own, ``True`` and ``False``."""
    if isinstance(value, Placeholder):
        return value.__expression__
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    hint = 'write when=rows.count > 0 or when="steps.rows.output.count > 0"'
    raise DefinitionError("wrong_type", f"{what}: expected a condition, found {described(value)}", hint=hint)


def _joined(operator: str, one: object, *, other: object) -> Placeholder:
    return Placeholder(f"{_operand(one)} {operator} {_operand(other)}", is_name=False)


def _operand(value: object) -> str:
    if isinstance(value, Placeholder):
        return value.__expression__ if value.__is_name__ else f"({value.__expression__})"
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, str | int | float):
        return encode(value).decode()
    raise DefinitionError(
        "not_json",
        f"an expression cannot hold {described(value)}",
        hint="compare and compute with text, numbers, True, False, None or another placeholder",
    )


def _no_value(placeholder: Placeholder, why: str, *, hint: str) -> DefinitionError:
    message = f"{placeholder!r} has no value while the graph is declared: {why}"
    return DefinitionError("placeholder_has_no_value", message, hint=hint)
