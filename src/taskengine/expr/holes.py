"""Where expressions stand in a text: each ``{{ … }}`` is found, bracketed rightly and compiled. Jinja's other marks are refused."""

from __future__ import annotations

import functools
import re
from typing import Final

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr.expression import compiled
from taskengine.expr.limits import CACHED_EXPRESSIONS, MAX_SOURCE_BYTES
from taskengine.expr.places import tell_within
from taskengine.expr.program import Hole, Text
from taskengine.expr.tokens import Token, read_token, refusal

__all__ = ["read"]

_MARK: Final = re.compile(r"\{[{%#]")
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}


def read(text: str, extra_roots: tuple[str, ...]) -> Text | str:
    """Return the text with its holes, or the text itself when it has none. Short ones are looked up in a bounded cache."""
    return (_read_cached if len(text) <= MAX_SOURCE_BYTES else _read)(text, extra_roots)


def _read(text: str, extra_roots: tuple[str, ...]) -> Text | str:
    pieces: list[str | Hole] = []
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
            pieces.append(Hole(compiled(text[mark.end() : end], extra_roots), mark.end()))
        except (ExpressionError, LimitError) as error:
            tell_within(text, mark.end(), error=error)
            raise
        position = searched = end + len("}}")
    if position < len(text):
        pieces.append(text[position:])
    return Text(text, tuple(pieces)) if any(isinstance(piece, Hole) for piece in pieces) else text


_read_cached: Final = functools.lru_cache(maxsize=CACHED_EXPRESSIONS)(_read)


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
