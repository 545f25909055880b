"""Templates: JSON values whose texts may hold ``{{ … }}``. It owns where an expression ends in a text, and how much may come out.

A text that is one whole ``{{ … }}`` becomes the expression's value, of whatever kind; otherwise the values become text in the text.
What came out is never read again. Keys of objects are no templates. Jinja's statements, comments and trimming marks are refused.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Collection
from typing import Final, NamedTuple, TypeAlias, final

from taskengine.errors import ExpressionError, LimitError, TaskEngineError
from taskengine.expr.compiler import Program
from taskengine.expr.expression import compiled
from taskengine.expr.interpreter import evaluate, read_context
from taskengine.expr.limits import CACHED_EXPRESSIONS, MAX_RENDERED_BYTES, MAX_SOURCE_BYTES, MAX_TEMPLATE_DEPTH
from taskengine.expr.tokens import Token, read_token, refusal
from taskengine.expr.values import Scope, text_of
from taskengine.model.value import Json, encode

__all__ = ["Template", "template"]


class _Hole(NamedTuple):
    """The expression of one ``{{ … }}``, and where it begins in the text."""

    program: Program
    offset: int


class _Text(NamedTuple):
    """A text with holes: literal texts and holes in their order, no empty literal among them."""

    source: str
    pieces: tuple[str | _Hole, ...]


_Plan: TypeAlias = "_Text | list[_Plan] | dict[str, _Plan] | bool | int | float | str | None"

_MARK: Final = re.compile(r"\{[{%#]")
_SCALARS: Final = frozenset({bool, float, int, type(None)})
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}


@final
class Template:
    """A JSON value to render, immutable: changing the value that was given, or one that came out, does not change it.

    Raises ``ExpressionError`` for an expression that cannot be, with the ``place`` of its text in the value (keys and indexes), and
    ``LimitError`` for one too long or deep.
    """

    __slots__ = ("_computed", "_is_constant", "_names", "_plan")

    def __init__(self, value: Json, *, extra_roots: Collection[str] = ()) -> None:
        planning = _Planning(tuple(extra_roots))
        self._plan = planning.plan_of(value, 0)
        self._names: frozenset[str] = frozenset().union(*[program.names for program in planning.programs])
        self._computed: frozenset[str] = frozenset().union(*[program.names for program in planning.programs if not program.is_name])
        self._is_constant = not planning.programs

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
        return self._is_constant

    def render(self, context: bytes) -> Json:
        """Return a new value. Raises ``ExpressionError``, and ``LimitError`` when more than 1 MiB comes out of the expressions."""
        if self._is_constant:
            return _Rendering({}).value_of(self._plan)
        return _Rendering(read_context(context)).value_of(self._plan)


def template(value: Json, *, extra_roots: Collection[str] = ()) -> Template:
    """Return the template of a value. Texts that were seen before cost a look into a bounded cache."""
    return Template(value, extra_roots=extra_roots)


class _Rendering:
    """One rendering: the data, and how many bytes may still come out."""

    __slots__ = ("_data", "_left")

    def __init__(self, data: dict[str, Json]) -> None:
        self._data = data
        self._left = MAX_RENDERED_BYTES

    def value_of(self, plan: _Plan) -> Json:
        """Return the rendered value, new down to its scalars."""
        if isinstance(plan, _Text):
            return self._text(plan)
        if isinstance(plan, dict):
            return {key: self._part(key, part) for key, part in plan.items()}
        if isinstance(plan, list):
            return [self._part(index, part) for index, part in enumerate(plan)]
        return plan

    def _part(self, key: str | int, plan: _Plan) -> Json:
        try:
            return self.value_of(plan)
        except (ExpressionError, LimitError) as error:
            _add_place(error, key)
            raise

    def _text(self, text: _Text) -> Json:
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
                _tell_within(text.source, piece.offset, error=error)
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


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Planning:
    """One reading of a value: the programs that were found in it so far."""

    __slots__ = ("_extra_roots", "programs")

    def __init__(self, extra_roots: tuple[str, ...]) -> None:
        self._extra_roots = extra_roots
        self.programs: list[Program] = []

    def plan_of(self, value: Json, depth: int) -> _Plan:
        """Return a copy of the value with its texts read."""
        if isinstance(value, str):
            text = _read(value, self._extra_roots)
            if isinstance(text, _Text):
                self.programs.extend(piece.program for piece in text.pieces if isinstance(piece, _Hole))
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

    def _part(self, key: str | int, value: Json, *, depth: int) -> _Plan:
        try:
            return self.plan_of(value, depth)
        except (ExpressionError, LimitError) as error:
            _add_place(error, key)
            raise


def _read(text: str, extra_roots: tuple[str, ...]) -> _Text | str:
    """Return the text with its holes, or the text itself when it has none."""
    if "{" not in text:
        return text
    return (_read_cached if len(text) <= MAX_SOURCE_BYTES else _read_new)(text, extra_roots)


def _read_new(text: str, extra_roots: tuple[str, ...]) -> _Text | str:
    pieces: list[str | _Hole] = []
    position = searched = 0
    last_closing = {"{%": text.rfind("%}"), "{#": text.rfind("#}")}
    while (mark := _MARK.search(text, searched)) is not None:
        if mark[0] != "{{":
            if last_closing[mark[0]] < mark.end():  # a shell's ${#x}: nothing of ours
                searched = mark.end()
                continue
            what = "statements" if mark[0] == "{%" else "comments"
            hint = f'to mean these characters, write {{{{ "{mark[0]}" }}}}'
            raise refusal("statement_refused", f"a template has no {what}", source=text, offset=mark.start(), hint=hint)
        if mark.start() > position:
            pieces.append(text[position : mark.start()])
        end = _end_of_hole(text, mark.end())
        try:
            pieces.append(_Hole(compiled(text[mark.end() : end], extra_roots), mark.end()))
        except (ExpressionError, LimitError) as error:
            _tell_within(text, mark.end(), error=error)
            raise
        position = searched = end + len("}}")
    if position < len(text):
        pieces.append(text[position:])
    return _Text(text, tuple(pieces)) if any(isinstance(piece, _Hole) for piece in pieces) else text


_read_cached: Final = functools.lru_cache(maxsize=CACHED_EXPRESSIONS)(_read_new)


def _end_of_hole(text: str, start: int) -> int:
    """Return where the expression that begins at ``start`` ends: at the first ``}}`` that no bracket or quote inside it claims."""
    if text.startswith("-", start):
        raise refusal("trim_refused", "`{{-` trims nothing here", source=text, offset=start, hint="write `{{ -x }}` for a sign")
    opened: list[Token] = []
    position = start
    while True:
        token = read_token(text, position)
        position = token.end
        if token.kind == "end":
            raise refusal("unclosed_expression", "`{{` is never closed", source=text, offset=start - 2, hint="add `}}`")
        if token.kind != "mark":
            continue
        if token.text in _PAIRS.values():
            opened.append(token)
        elif token.text in _PAIRS:
            if not opened and text.startswith("}}", token.start):
                return token.start
            if not opened:
                raise refusal("unbalanced_bracket", f"`{token.text}` closes nothing", source=text, offset=token.start)
            bracket = opened.pop()
            if bracket.text != _PAIRS[token.text]:
                message = f"`{bracket.text}` is never closed"
                raise refusal("unbalanced_bracket", message, source=text, offset=bracket.start)


# ── places ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tell_within(text: str, start: int, *, error: TaskEngineError) -> None:
    """Tell an expression's error in terms of the text around the expression."""
    offset = error.facts.get("offset")
    error.facts.update(source=text, offset=start + offset if isinstance(offset, int) else start)


def _add_place(error: TaskEngineError, key: str | int) -> None:
    """Add one more step to the way from the whole value to the text that an error is about."""
    place = error.facts.get("place", ())
    assert isinstance(place, tuple)
    error.facts["place"] = (key, *place)
