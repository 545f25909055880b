"""Names: a root and the keys below it, read from the data of one evaluation. It owns what it means to be defined.

Only what is in the data exists: an object has its keys and nothing else, no method and no attribute of Python.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from taskengine.errors import ExpressionError
from taskengine.expr.values import Operands, Operation, Scope, a_kind, closest, kind_of, type_mismatch
from taskengine.model.value import Json, encode

__all__ = ["Path", "fetch", "is_defined", "member", "piece", "subscript"]


class Path(NamedTuple):
    """A name as far as it can be read without evaluating anything: a root and the keys below it."""

    keys: tuple[str | int, ...]

    @property
    def dotted(self) -> str:
        """The root and the identifiers that follow it, up to the first other key."""
        names: list[str] = []
        for key in self.keys:
            if not (isinstance(key, str) and key.isidentifier()):
                break
            names.append(key)
        return ".".join(names)

    def __str__(self) -> str:
        return "".join(
            f"[{key}]" if isinstance(key, int) else f".{key}" if key.isidentifier() else f"[{encode(key).decode()}]"
            for key in self.keys
        ).removeprefix(".")


def fetch(path: Path) -> Operation:
    """Return the operation that reads a name. When any part of it does not exist: ``undefined_name``, naming the whole path."""
    keys = path.keys

    def read(scope: Scope, _: Operands) -> Json:
        value: Any = scope.data  # indexing tells what it is
        depth = 0
        try:
            for depth, key in enumerate(keys):  # noqa: B007 the depth that was reached is told on failure
                value = value[key]
        except (LookupError, TypeError):
            raise _undefined(path, depth, owner=value) from None
        found: Json = value
        return found

    return read


def is_defined(path: Path) -> Operation:
    """Return the operation that says whether every part of a name exists. Nothing exists below none."""

    def ask(scope: Scope, _: Operands) -> Json:
        value: Json = scope.data
        for key in path.keys:
            try:
                value = _below(value, key)
            except LookupError:
                return False
        return True

    return ask


def member(name: str) -> Operation:
    """Return the operation that reads a field of what has no name itself, such as ``(rows|first).name``."""

    def read(_: Scope, operands: Operands) -> Json:
        (owner,) = operands
        try:
            return _below(owner, name)
        except LookupError:
            why, hint = _absence(owner, name, called="what stands before it")
            raise ExpressionError("undefined_name", f"`.{name}` is not defined: {why}", hint=hint) from None

    return read


def subscript(_: Scope, operands: Operands) -> Json:
    """``owner[key]`` with a key that is known only now."""
    owner, key = operands
    if not (isinstance(key, str) or type(key) is int):
        raise type_mismatch(f"what stands in the brackets is a key or an index, not {a_kind(key)}", owner, key)
    try:
        return _below(owner, key)
    except LookupError:
        if (isinstance(owner, dict) and isinstance(key, str)) or (isinstance(owner, (list, str)) and isinstance(key, int)):
            message = f"the key or index in the brackets does not exist in the {kind_of(owner)} before them"
        else:
            message = f"{a_kind(owner)} has nothing at a {kind_of(key)} in brackets"
        raise ExpressionError("undefined_name", message) from None


def piece(scope: Scope, operands: Operands) -> Json:
    """``owner[start:stop]`` of a list or text; either end may be none."""
    owner, start, stop = operands
    if not isinstance(owner, (list, str)):
        raise type_mismatch(f"only a list or text has a piece `[start:stop]`, not {a_kind(owner)}", owner)
    ends = slice(_end(start), _end(stop))
    found: list[Json] | str = owner[ends]
    scope.spend(len(found))
    return found


def _end(value: Json) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise type_mismatch(f"the ends of a piece are whole numbers, not {a_kind(value)}", value)


def _below(value: Json, key: str | int) -> Json:
    if isinstance(value, dict) and isinstance(key, str):
        return value[key]
    if isinstance(value, (list, str)) and isinstance(key, int):
        return value[key]
    raise LookupError


def _undefined(path: Path, depth: int, *, owner: Json) -> ExpressionError:
    """Return the error for a name whose first ``depth`` keys lead to an owner that has nothing at the next one."""
    if depth == 0:
        return ExpressionError("undefined_name", f"`{path}` is not defined: there is no `{path.keys[0]}` here")
    why, hint = _absence(owner, path.keys[depth], called=f"`{Path(path.keys[:depth])}`")
    return ExpressionError("undefined_name", f"`{path}` is not defined: {why}", hint=hint)


def _absence(owner: Json, key: str | int, *, called: str) -> tuple[str, str]:
    """Why a value has nothing at a key, and what to do."""
    if owner is None:
        why = f"{called} is none" + (", as the output of a skipped step is" if called.endswith(".output`") else "")
        return why, f"ask `{called.strip('`')} != none` first" if called.startswith("`") else ""
    if isinstance(owner, dict) and isinstance(key, str):
        return f"{called} has no `{key}`", closest(key, owner)
    if isinstance(owner, (list, str)) and isinstance(key, int):
        return f"{called} has {len(owner)} {'elements' if isinstance(owner, list) else 'characters'}", ""
    return f"{called} is {a_kind(owner)}", ""
