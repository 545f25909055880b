"""Whether a step gives its function what the function takes, told from the source of it: nothing is imported, nothing is run.

Where the source does not tell (a decorator that may change what is taken, a name that is bound twice) nothing is claimed. What may
come from elsewhere is not missed: the outputs of dependencies by their names, and the context.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from taskengine.define.finding import Aim, Spot
from taskengine.define.given import is_mapping
from taskengine.define.phrase import numbered, quoted
from taskengine.model.workflow import Step

__all__ = ["Signature", "check_arguments", "signatures_in"]

_CONTEXT: Final = "ctx"
_CONTEXT_TYPE: Final = "TaskContext"
_KEEPING: Final = "task"  # the decorator that changes nothing about what is taken
_LISTED: Final = 8


class Signature(NamedTuple):
    """What a function takes by name. ``has_rest``: it also takes every other name."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    has_rest: bool


def signatures_in(statements: Iterable[ast.stmt], names: Sequence[str]) -> dict[str, Signature]:
    """The functions of a module whose text says what they take; ``names`` is everything that the module binds, in order."""
    found: dict[str, Signature] = {}
    for node in statements:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or names.count(node.name) > 1:
            continue
        if all(_keeps(decorator) for decorator in node.decorator_list) and not node.args.posonlyargs:
            found[node.name] = _signature(node.args)
    return found


def _keeps(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return (target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")) == _KEEPING


def _signature(args: ast.arguments) -> Signature:
    first = len(args.args) - len(args.defaults)
    has_default = [(one, place >= first) for place, one in enumerate(args.args)]
    has_default += [(one, default is not None) for one, default in zip(args.kwonlyargs, args.kw_defaults, strict=True)]
    required = tuple(one.arg for one, is_given in has_default if not is_given and not _is_context(one))
    optional = tuple(one.arg for one, is_given in has_default if is_given or _is_context(one))
    return Signature(required, optional, args.kwarg is not None)


def _is_context(one: ast.arg) -> bool:
    written = "" if one.annotation is None else ast.unparse(one.annotation).strip("'\"")
    return one.arg == _CONTEXT or written.rpartition(".")[2] == _CONTEXT_TYPE


def check_arguments(step: Step, signature: Signature, *, at: Spot, iterated: tuple[str, ...] = ()) -> None:
    """Warn of parameters that the function does not take, and of those that nothing gives.

    ``at``: the step. ``iterated``: names that a map or a loop around it gives.
    """
    params = step.config.get("params", {})
    if not is_mapping(params):
        return
    name = quoted(str(step.config["function"]))
    takes = (*signature.required, *signature.optional)
    given: Mapping[str, tuple[str, ...]] = {
        **dict.fromkeys(params, ("config", "params")),
        **dict.fromkeys(step.input_mapping, ("input_mapping",)),
    }
    unknown = [] if signature.has_rest else [one for one in given if one not in takes]
    for one in unknown:
        free = [other for other in takes if other not in given and other not in step.depends_on]
        advice = f"it takes {', '.join(takes[:_LISTED])}" if takes else "it takes no parameters"
        spot = at.below(*given[one], one)
        spot.report(
            "unknown_parameter", aim=Aim.KEY, function=name, found=quoted(one), word=one, known=free or takes, advice=advice
        )
    others = {*given, *step.depends_on, *iterated}
    missing = [one for one in signature.required if one not in others]
    if missing:
        shown = ", ".join(missing[:_LISTED])
        what = f"{numbered(len(missing), 'parameter')} that nothing gives: {shown}"
        example = ", ".join(f"{one}: …" for one in missing[:_LISTED])
        at.below("config", "function").report("missing_parameter", function=name, what=what, example=example)
