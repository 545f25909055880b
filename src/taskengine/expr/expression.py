"""One expression: compiled once, evaluated often. It owns what callers hold; how it works is `compiler` and `interpreter`."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, final

from taskengine.errors import ExpressionError
from taskengine.expr.limits import CACHED_EXPRESSIONS
from taskengine.model.value import Json

if TYPE_CHECKING:
    from taskengine.expr.program import Program

__all__ = ["ROOTS", "Expression", "compiled", "expression", "truth"]

# The names with which names begin.
ROOTS: Final = frozenset(
    {"context", "event", "execution", "index", "input", "item", "secrets", "state", "steps", "trigger", "variables"}
)
_ASK: Final = {
    "none": "ask `… != none`",
    "number": "ask `… > 0`",
    "text": 'ask `… != ""`',
    "list": "ask `…|length > 0`",
    "object": "ask `…|length > 0`",
}


@final
class Expression:
    """A compiled expression, immutable, equal by source.

    Raises ``ExpressionError`` for everything that can be known without data, ``LimitError`` for length and depth. ``extra_roots``
    are names that this place knows beside ``ROOTS``.
    """

    __slots__ = ("_evaluate", "_program")

    def __init__(self, source: str, *, extra_roots: Collection[str] = ()) -> None:
        from taskengine.expr.interpreter import evaluate_in  # noqa: PLC0415 -- loaded by the first expression

        self._evaluate = evaluate_in
        self._program = compiled(source, tuple(extra_roots))

    @property
    def source(self) -> str:
        """The text as it was written."""
        return self._program.source

    @property
    def names(self) -> frozenset[str]:
        """What the text reads, dotted, as deep as can be seen: ``steps.load.output.rows``, ``input.x``, ``item``."""
        return self._program.names

    def evaluate(self, context: bytes) -> Json:
        """Return the value for a context, a JSON object. Raises ``ExpressionError``."""
        return self._evaluate(self._program, context)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.source == other.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"


def expression(source: str, *, extra_roots: Collection[str] = ()) -> Expression:
    """Return the compiled expression; compiling the same source again costs a look into a bounded cache."""
    return Expression(source, extra_roots=extra_roots)


@functools.lru_cache(maxsize=CACHED_EXPRESSIONS)
def compiled(source: str, extra_roots: tuple[str, ...]) -> Program:
    """Return the program of a source, from the cache when it is there."""
    from taskengine.expr.compiler import compile_expression  # noqa: PLC0415 -- the grammar is most of this room: not everybody needs it

    return compile_expression(source, extra_roots)


def truth(expr: Expression, context: bytes) -> bool:
    """Return the value of a condition. Raises ``not_a_boolean`` when it is anything but true or false."""
    value = expr.evaluate(context)
    if isinstance(value, bool):
        return value
    from taskengine.expr.values import a_kind, kind_of  # noqa: PLC0415 -- likewise

    raise ExpressionError(
        "not_a_boolean",
        f"a condition is true or false, this one is {a_kind(value)}",
        hint=_ASK[kind_of(value)],
        source=expr.source,
        offset=0,
    )
