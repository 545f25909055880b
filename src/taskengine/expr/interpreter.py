"""Evaluation: the translated text, minijinja, and the operations that it calls back. The only module that knows minijinja.

minijinja decides order and short circuits and builds the literals; all it can reach is one callable, the evaluation itself. It is
loaded for the first expression that is more than a name. Nothing is shared between evaluations but the immutable program.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from taskengine.errors import ExpressionError
from taskengine.expr.limits import FUEL
from taskengine.expr.program import Program
from taskengine.expr.values import Scope, in_range, weigh
from taskengine.model.value import Json, decode

if TYPE_CHECKING:
    from minijinja import Environment

__all__ = ["evaluate", "evaluate_in", "read_context"]


class _Evaluation(Scope):
    """What minijinja calls as ``o``: the number of a site, then its operands."""

    __slots__ = ("_program",)

    def __init__(self, program: Program, data: dict[str, Json]) -> None:
        super().__init__(data)
        self._program = program

    def __call__(self, number: int, *operands: Json) -> Json:
        site = self._program.sites[number]
        try:
            return in_range(site.operation(self, operands))
        except ExpressionError as error:
            error.facts.setdefault("source", self._program.source)
            error.facts.setdefault("offset", site.offset)
            raise


def read_context(context: bytes) -> dict[str, Json]:
    """Decode the data of an evaluation anew, so that no evaluation can see what another one did."""
    try:
        data = decode(context)
    except RecursionError as error:
        raise ExpressionError("context_too_deep", "what the expression reads is nested too deep") from error
    if not isinstance(data, dict):
        raise ExpressionError("context_not_an_object", "the data of an expression is one JSON object")
    return data


def evaluate_in(program: Program, context: bytes) -> Json:
    """Return the value for a context, a JSON object. Raises as ``evaluate``."""
    return evaluate(program, read_context(context))


def evaluate(program: Program, data: dict[str, Json], *, fuel: int = FUEL) -> Json:
    """Return the value. Raises ``ExpressionError`` with the source and, where known, the offset of what failed."""
    evaluation = _Evaluation(program, data)
    if program.is_name:
        return evaluation(0)
    try:
        value: Json = _environment(fuel).eval_expr(program.text, o=evaluation)
        if isinstance(value, (list, dict)):
            weigh(evaluation, value)
    except ExpressionError as error:
        error.facts.setdefault("source", program.source)
        raise
    except RuntimeError as error:  # minijinja's own; to name its class would load it
        raise _engine_error(program, error) from error
    return value


@functools.cache
def _environment(fuel: int) -> Environment:
    """Return minijinja with nothing of its own in reach: no globals, no methods, no templates to load."""
    from minijinja import Environment  # noqa: PLC0415 half of this room's time to load, for workflows that never need it

    environment = Environment(fuel=fuel, undefined_behavior="strict", pycompat=False, debug=False)
    for name in [*environment.globals]:
        environment.remove_global(name)
    return environment


def _engine_error(program: Program, error: RuntimeError) -> ExpressionError:
    if getattr(error, "kind", "") == "OutOfFuel":
        return ExpressionError(
            "expression_too_expensive",
            "the expression takes too many instructions",
            hint="do this in a step of its own",
            source=program.source,
        )
    return ExpressionError(
        "expression_failed", f"minijinja cannot evaluate the expression: {getattr(error, 'message', error)}", source=program.source
    )
