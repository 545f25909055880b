"""Templates: JSON values whose texts may hold ``{{ … }}``. It owns how much may come out; `holes` owns where they are.

A text that is one whole ``{{ … }}`` becomes the expression's value, of whatever kind; otherwise the values become text in the text.
What came out is never read again. Keys of objects are no templates. Jinja's statements, comments and trimming marks are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final, final

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr.limits import MAX_TEMPLATE_DEPTH
from taskengine.expr.places import add_place
from taskengine.model.value import Json

if TYPE_CHECKING:
    from taskengine.expr.program import Plan, Program, Text

__all__ = ["Template", "template"]

_SCALARS: Final = frozenset({bool, float, int, type(None)})


@final
class Template:
    """A JSON value to render, immutable: changing the value that was given, or one that came out, does not change it.

    Raises ``ExpressionError`` for an expression that cannot be, with the ``place`` of its text in the value (keys and indexes), and
    ``LimitError`` for one too long or deep.
    """

    __slots__ = ("_computed", "_names", "_plan", "_render")

    def __init__(self, value: Json, *, extra_roots: Collection[str] = ()) -> None:
        planning = _Planning(tuple(extra_roots))
        self._plan = planning.plan_of(value, 0)
        self._names: frozenset[str] = frozenset().union(*[program.names for program in planning.programs])
        self._computed: frozenset[str] = frozenset().union(*[program.names for program in planning.programs if not program.is_name])
        self._render: Callable[[Plan, bytes], Json] | None = None
        if planning.programs:
            from taskengine.expr.rendering import render  # noqa: PLC0415 -- what is constant needs nobody to evaluate it

            self._render = render

    @property
    def names(self) -> frozenset[str]:
        """What the texts read, dotted, as deep as can be seen."""
        return self._names

    @property
    def computed_names(self) -> frozenset[str]:
        """The names that stand in more than a bare ``{{ name }}``: something is made of their values."""
        return self._computed

    @property
    def is_constant(self) -> bool:
        """Whether no text holds an expression; the context is not looked at then."""
        return self._render is None

    def render(self, context: bytes) -> Json:
        """Return a new value. Raises ``ExpressionError``, and ``LimitError`` when more than 1 MiB comes out of the expressions."""
        return _copied(self._plan) if self._render is None else self._render(self._plan, context)


def _copied(plan: Plan) -> Any:
    if isinstance(plan, dict):
        return {key: _copied(part) for key, part in plan.items()}
    return [_copied(part) for part in plan] if isinstance(plan, list) else plan


def template(value: Json, *, extra_roots: Collection[str] = ()) -> Template:
    """Return the template of a value. Texts that were seen before cost a look into a bounded cache."""
    return Template(value, extra_roots=extra_roots)


class _Planning:
    """One reading of a value: the programs that were found in it so far."""

    __slots__ = ("_extra_roots", "programs")

    def __init__(self, extra_roots: tuple[str, ...]) -> None:
        self._extra_roots = extra_roots
        self.programs: list[Program] = []

    def plan_of(self, value: Json, depth: int) -> Plan:
        """Return a copy of the value with its texts read."""
        if isinstance(value, str):
            text = _read(value, self._extra_roots)
            if not isinstance(text, str):
                self.programs.extend(piece.program for piece in text.pieces if not isinstance(piece, str))
            return text
        if depth > MAX_TEMPLATE_DEPTH:
            message = f"a template has at most {MAX_TEMPLATE_DEPTH} lists and objects in each other"
            raise LimitError("template_too_deep", message, limit=MAX_TEMPLATE_DEPTH, actual=depth)
        if isinstance(value, dict):
            return {key: self._part(key, part, depth=depth + 1) for key, part in value.items()}
        if isinstance(value, list):
            return [self._part(index, part, depth=depth + 1) for index, part in enumerate(value)]
        if type(value) not in _SCALARS or (isinstance(value, float) and not math.isfinite(value)):
            raise ExpressionError("not_json", f"a template holds JSON, not {type(value).__name__} {value}", source="")
        return value

    def _part(self, key: str | int, value: Json, *, depth: int) -> Plan:
        try:
            return self.plan_of(value, depth)
        except (ExpressionError, LimitError) as error:
            add_place(error, key)
            raise


def _read(text: str, extra_roots: tuple[str, ...]) -> Text | str:
    """Return the text with its holes, or the text itself when it has none."""
    if "{" not in text:
        return text
    from taskengine.expr.holes import read  # noqa: PLC0415 -- loaded by the first text that may have one

    return read(text, extra_roots)
