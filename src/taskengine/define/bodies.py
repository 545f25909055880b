"""Functions that are called with placeholders while a graph is declared: the bodies of blocks, and what undoes a step.

It owns which parameter gets what: by name first, then the first one that is left gets what the body is about. Nothing is run.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from taskengine.define.functions import is_context
from taskengine.define.phrase import described, listed, quoted
from taskengine.define.placeholder import Placeholder
from taskengine.define.signature import parameters_of
from taskengine.define.trace import Trace
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Step

__all__ = ["NOTHING", "called", "compensation"]

NOTHING: Final = object()
_MANY: Final = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})
# Attributes of a step that what undoes it has not: it waits for nobody, and nobody names it.
_NOT_UNDOING: Final = ("depends_on", "when", "join", "handles", "compensate")


def called(function: object, named: Mapping[str, object], *, what: str, first: object = NOTHING) -> object:
    """What the function gives. ``named``: values by parameter; ``first`` goes to the first parameter that is none of them."""
    if isinstance(function, Placeholder) or not callable(function):
        hint = "give the function itself, or a lambda that calls tasks: lambda item: price(item)"
        raise DefinitionError("wrong_type", f"{what}: expected a function, found {_shown(function)}", hint=hint)
    arguments: list[object] = []
    keywords: dict[str, object] = {}
    lacking: list[str] = []
    takers = [one for one in parameters_of(function).values() if one.kind not in _MANY and not is_context(one)]
    left = NOTHING if any(named.get(one.name) is first for one in takers) else first
    for one in takers:
        if one.name in named:
            value = named[one.name]
        elif left is not NOTHING and (one.kind is not one.KEYWORD_ONLY or one.default is one.empty):
            value, left = left, NOTHING
        elif one.default is not one.empty:
            continue
        else:
            lacking.append(one.name)
            continue
        if one.kind is one.POSITIONAL_ONLY:
            arguments.append(value)
        else:
            keywords[one.name] = value
    if lacking:
        gets = listed([*named, *([] if first is NOTHING else ["one of any name"])]) or "nothing"
        hint = f"it is given {gets}; say the rest in a lambda: lambda: load(day, limit=3)"
        raise DefinitionError("wrong_arguments", f"{what}: no value for {listed(lacking)}", hint=hint)
    result: object = function(*arguments, **keywords)
    return result


def compensation(trace: Trace, function: object, *, of: str, given: Mapping[str, object]) -> Step:
    """What undoes a step, by what was said about it: a task, or a function that calls one.

    Its parameters get what the step was given under the same names, the first other one what the step gave.
    """
    what = f"the compensation of step {quoted(of)}"
    apart = trace.apart()
    gave = Placeholder(f"steps.{of}.output")
    apart.declare(lambda: called(function, given, first=gave, what=what), what=what)
    if len(apart.steps) != 1:
        hint = "one piece of work undoes a step: a task, step(…) or sub_workflow(…)"
        raise DefinitionError("bad_compensation", f"{what} has {len(apart.steps) or 'no'} steps", hint=hint)
    (step,) = apart.steps
    empty = Step(id="", type="")
    said = [name for name in _NOT_UNDOING if getattr(step, name) != getattr(empty, name)]
    if said:
        hint = "a compensation runs when its step is undone, and is known by its step: leave it out"
        raise DefinitionError("bad_compensation", f"{what} cannot have {listed(said)}", hint=hint)
    return msgspec.structs.replace(step, id="")


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, Placeholder) else described(value)
