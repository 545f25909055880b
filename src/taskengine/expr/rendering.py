"""Templates with expressions, rendered: values put into texts and in their place. It owns how much may come out of one."""

from __future__ import annotations

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr.interpreter import evaluate, read_context
from taskengine.expr.limits import MAX_RENDERED_BYTES
from taskengine.expr.places import add_place, tell_within
from taskengine.expr.program import Plan, Text
from taskengine.expr.values import Scope, text_of
from taskengine.model.value import Json, encode

__all__ = ["render"]


def render(plan: Plan, context: bytes) -> Json:
    """Return the value of a plan for a context, a JSON object."""
    return _Rendering(read_context(context)).value_of(plan)


class _Rendering:
    """One rendering: the data, and how many bytes may still come out."""

    __slots__ = ("_data", "_left")

    def __init__(self, data: dict[str, Json]) -> None:
        self._data = data
        self._left = MAX_RENDERED_BYTES

    def value_of(self, plan: Plan) -> Json:
        """Return the rendered value, new down to its scalars."""
        if isinstance(plan, Text):
            return self._text(plan)
        if isinstance(plan, dict):
            return {key: self._part(key, part) for key, part in plan.items()}
        if isinstance(plan, list):
            return [self._part(index, part) for index, part in enumerate(plan)]
        return plan

    def _part(self, key: str | int, plan: Plan) -> Json:
        try:
            return self.value_of(plan)
        except (ExpressionError, LimitError) as error:
            add_place(error, key)
            raise

    def _text(self, text: Text) -> Json:
        parts: list[str] = []
        for piece in text.pieces:
            if isinstance(piece, str):
                parts.append(piece)
                self._count(len(piece))
                continue
            try:
                value = evaluate(piece.program, self._data)
                if len(text.pieces) == 1:
                    self._count(len(encode(value)))
                    return value
                parts.append(value if isinstance(value, str) else text_of(Scope({}), value))
            except ExpressionError as error:
                tell_within(text.source, piece.offset, error=error)
                raise
            self._count(len(parts[-1].encode()))
        return "".join(parts)

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise LimitError(
                "result_too_large",
                f"more than {MAX_RENDERED_BYTES:,} bytes come out of the template",
                hint="pass a reference, such as a file's name, instead of the data",
                limit=MAX_RENDERED_BYTES,
                actual=MAX_RENDERED_BYTES - self._left,
            )
