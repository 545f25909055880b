"""Random workflows as a program could make them, most of them sound: made from the model's own fields.

Every attribute of the model is drawn by its type; the tables below say more where a type allows what no workflow may have. An
attribute of a type that nobody here knows is an error, so that a new one is generated or noticed.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from taskengine.define.rules import BACKOFF, CONCURRENCY, JITTER, MAX_ATTEMPTS, PRIORITY
from taskengine.model.duration import MAX_DURATION_MS
from taskengine.model.workflow import Join, Limits, RetryPolicy, Step, Workflow

__all__ = ["MODEL", "json_values", "names", "texts", "workflows"]

MODEL = (Workflow, Limits, Step, RetryPolicy)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
names = st.from_regex(r"[a-zA-Z_äöü漢字][a-zA-Z0-9_äöü漢字]{0,10}", fullmatch=True)
durations = st.integers(1, MAX_DURATION_MS)
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, json_values, max_size=3)

# What an attribute may hold beside what its type says, by name: (any struct that has it).
_BOUNDS: Mapping[str, st.SearchStrategy[Any]] = {
    "priority": st.integers(*PRIORITY),
    "max_concurrency": st.integers(*CONCURRENCY),
    "max_attempts": st.integers(*MAX_ATTEMPTS),
    "backoff_coefficient": st.floats(*BACKOFF),
    "jitter": st.floats(*JITTER),
}
_OWN: Mapping[tuple[type, str], st.SearchStrategy[Any]] = {
    (Workflow, "name"): names,
    (Workflow, "version"): st.sampled_from(["", "1", "1.10", "2026-11-21", "1.0.0-rc.1+b5"]),
    (Step, "when"): st.none() | st.sampled_from(["input.x > 1", "true", "variables == {}"]),
}


def drawn_by(kind: type[msgspec.Struct], name: str, hint: Any) -> st.SearchStrategy[Any]:
    """The values of one attribute."""
    if (kind, name) in _OWN:
        return _OWN[(kind, name)]
    arguments = get_args(hint)
    if isinstance(hint, types.UnionType) or get_origin(hint) is Union:
        return st.one_of(*[st.none() if one is type(None) else drawn_by(kind, name, one) for one in arguments])
    if name in _BOUNDS:
        return _BOUNDS[name]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return structs(hint)
    if hint is int and name.endswith("_ms"):
        return durations
    known: dict[Any, st.SearchStrategy[Any]] = {str: texts, bool: st.booleans(), Any: json_values}
    if get_origin(hint) is dict and arguments == (str, Any):
        return objects
    if get_origin(hint) is tuple and arguments == (str, ...):
        return st.lists(texts, max_size=2).map(tuple)
    if hint not in known:
        raise TypeError(f"{kind.__name__}.{name} is {hint}, and nothing here draws that: say in this module what it may hold")
    return known[hint]


@st.composite
def structs(draw: st.DrawFn, kind: type[msgspec.Struct], **given: Any) -> Any:
    """A struct with every attribute drawn but those given."""
    hints = get_type_hints(kind)
    values = {field.name: draw(drawn_by(kind, field.name, hints[field.name])) for field in _fields(kind) if field.name not in given}
    if kind is RetryPolicy:
        first, longest = sorted((values["initial_interval_ms"], values["max_interval_ms"]))
        values |= {"initial_interval_ms": first, "max_interval_ms": longest}
    return kind(**values, **given)


def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)


@st.composite
def configs(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    if kind == "function":
        return {"function": draw(st.sampled_from(["extract", "package.module:Class.method"])), "params": draw(objects)}
    if kind == "wait":
        ways = [{"duration": "1h30m"}, {"duration": 1.5}, {"until": "2026-11-21T09:00:00+08:00"}, {"signal": "go", "deadline": 60}]
        return draw(st.sampled_from(ways))
    return {}


@st.composite
def steps(draw: st.DrawFn, step_id: str, before: list[str]) -> Step:
    kind = draw(st.sampled_from(["function", "wait", "noop"]))
    depends_on = tuple(draw(st.lists(st.sampled_from(before), max_size=3, unique=True))) if before else ()
    join = draw(st.sampled_from(list(Join) if depends_on else [Join.ALL_SUCCESS, Join.ALL_DONE, Join.NONE_FAILED]))
    return draw(structs(Step, id=step_id, type=kind, config=draw(configs(kind)), depends_on=depends_on, join=join))


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    ids = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return draw(structs(Workflow, steps=tuple(draw(steps(step_id, ids[:place])) for place, step_id in enumerate(ids))))
