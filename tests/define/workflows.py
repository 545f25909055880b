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

from taskengine.define.rules import BACKOFF, CHILDREN, CONCURRENCY, JITTER, MAX_ATTEMPTS, PERCENT, PRIORITY
from taskengine.model.duration import MAX_DURATION_MS
from taskengine.model.workflow import Block, Join, Limits, OnFailure, RetryPolicy, Step, Success, Workflow

__all__ = ["MODEL", "drawn_by", "json_values", "names", "plain_workflows", "structs", "texts", "workflows"]

MODEL = (Workflow, Limits, Step, Block, Success, RetryPolicy)

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

conditions = st.sampled_from(["input.x > 1", "true", "variables == {}"])

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
    (Workflow, "business_key"): st.sampled_from(["", "order", "{{ input.x }}"]),
    (Workflow, "success"): st.deferred(lambda: st.none() | rules),
    (Step, "when"): st.none() | conditions,
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


rules = st.one_of(
    st.builds(Success, at_least=st.integers(*CHILDREN)),
    st.builds(Success, percent=st.floats(*PERCENT)),
    st.builds(Success, when=st.sampled_from(["true", "children.failed < 3"])),
    st.just(Success()),
)
# What the steps that the engine performs itself may be told.
CONTROL_CONFIGS: Mapping[str, list[dict[str, Any]]] = {
    "wait": [
        {"duration": "1h30m"},
        {"duration": 1.5},
        {"until": "2026-11-21T09:00:00+08:00"},
        {"signal": "go", "deadline": 60, "filter": "event.x == input.x"},
    ],
    "set": [{"count": "{{ input.x }}"}, {"a": 1, "b": None, "c": [{}]}],
    "fail": [{"message": "no {{ input.x }}", "type": "Gone"}],
    "aggregate": [{"items": [1, 2]}, {"items": "{{ input.x }}", "operation": "sum", "field": "a.b", "group_by": "c"}],
    "signal": [{"signal": "go", "execution": "{{ input.x }}", "data": {"a": [1]}}, {"signal": "go", "business_key": "k"}],
    "approval": [
        {},
        {"approvers": ["ann"], "deadline": "2d", "form": {"type": "object"}, "escalation": {"after": 60, "to": "bob"}},
    ],
    "workflow": [{"workflow": "other"}, {"workflow": "{{ input.x }}", "version": "1", "detach": True}],
    "map": [{"items": [1, "a", None]}, {"items": "{{ input.x }}", "max_concurrency": 5, "batch_size": 10}],
    "loop": [{"while": "index < 3"}, {"until": "index > 5 or output", "max_iterations": 50}, {"items": [1], "max_concurrency": 2}],
    "parallel": [{}, {"max_concurrency": "{{ input.x }}"}],
}
KINDS = ("function", "wait", "noop")
NESTED = ("condition", "parallel", "map", "loop")


@st.composite
def configs(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    if kind == "function":
        return {"function": draw(st.sampled_from(["extract", "package.module:Class.method"])), "params": draw(objects)}
    # None is what a document cannot say.
    config = draw(st.sampled_from(CONTROL_CONFIGS.get(kind, [{}])))
    return {key: value for key, value in config.items() if value is not None}


@st.composite
def blocks(draw: st.DrawFn, step_id: str, kind: str, *, depth: int) -> tuple[Block, ...]:
    """The blocks of a container, with as many levels of others inside as there may be."""

    def block(place: int, **said: Any) -> Block:
        ids = [f"{step_id}_{place}{number}" for number in range(draw(st.integers(1, 2)))]
        inner = tuple(draw(steps(one, ids[:number], depth=depth - 1)) for number, one in enumerate(ids))
        return Block(steps=inner, output=draw(st.none() | json_values), **said)

    if kind in {"map", "loop"}:
        return (block(0),)
    if kind == "parallel":
        branches = draw(st.lists(names, min_size=1, max_size=3, unique=True))
        return tuple(block(place, name=draw(st.sampled_from([name, ""]))) for place, name in enumerate(branches))
    cases = [block(place, when=draw(conditions), name=draw(texts)) for place in range(draw(st.integers(1, 2)))]
    return (*cases, *([block(9, name=draw(texts))] if draw(st.booleans()) else []))


@st.composite
def compensations(draw: st.DrawFn) -> Step:
    """What undoes a step: it has no name that others use and waits for nobody."""
    kind = draw(st.sampled_from(["function", "noop", "set", "workflow"]))
    bare = {"depends_on": (), "when": None, "join": Join.ALL_SUCCESS, "handles": (), "blocks": (), "success": None}
    return draw(structs(Step, id="", type=kind, config=draw(configs(kind)), compensate=None, **bare))


@st.composite
def steps(draw: st.DrawFn, step_id: str, before: list[str], *, depth: int = 3, is_plain: bool = False) -> Step:
    simple = KINDS if is_plain else (*KINDS, *CONTROL_CONFIGS.keys() - {*KINDS, *NESTED})
    kind = draw(st.sampled_from(sorted({*simple, *NESTED} if depth and not is_plain else simple)))
    depends_on = tuple(draw(st.lists(st.sampled_from(before), max_size=3, unique=True))) if before else ()
    join = draw(st.sampled_from(list(Join) if depends_on else [Join.ALL_SUCCESS, Join.ALL_DONE, Join.NONE_FAILED]))
    more: dict[str, Any] = {"blocks": (), "success": None}
    if kind in NESTED:
        more = {"blocks": draw(blocks(step_id, kind, depth=depth)), "success": draw(st.none() | rules)}
    more["compensate"] = None if is_plain else draw(st.none() | compensations())
    return draw(structs(Step, id=step_id, type=kind, config=draw(configs(kind)), depends_on=depends_on, join=join, **more))


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    ids = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    return draw(structs(Workflow, steps=tuple(draw(steps(step_id, ids[:place])) for place, step_id in enumerate(ids))))


@st.composite
def plain_workflows(draw: st.DrawFn) -> Workflow:
    """Without steps in others, and without what came with them."""
    ids = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    made = tuple(draw(steps(step_id, ids[:place], is_plain=True)) for place, step_id in enumerate(ids))
    return draw(structs(Workflow, steps=made, success=None, on_failure=OnFailure.FAIL, business_key="", is_template=False))
