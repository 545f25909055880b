"""A place in the tokens of one expression. It owns how a mistake is told: which word, where, what to write instead."""

from __future__ import annotations

from typing import Final

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr.limits import MAX_DEPTH
from taskengine.expr.tokens import Token, refusal, tokenise

__all__ = ["Cursor"]

_CLOSING: Final = frozenset(")]}")


class Cursor:
    """Gives each token once, left to right. The last one is the end token and is never taken."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._tokens = tokenise(source)
        self._next = 0

    @property
    def token(self) -> Token:
        """The token that comes next."""
        return self._tokens[self._next]

    def is_end(self) -> bool:
        """Whether every token was taken."""
        return self.token.kind == "end"

    def ahead(self, count: int) -> Token:
        """Return the token ``count`` places after the next one, or the end token."""
        return self._tokens[min(self._next + count, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Return the next token and go on. Raises ``unexpected_end`` at the end."""
        token = self.token
        if token.kind == "end":
            raise self.unexpected()
        self._next += 1
        return token

    def is_at(self, word: str, ahead: int = 0) -> bool:
        """Whether the token is this mark or word."""
        token = self.ahead(ahead)
        return token.text == word and token.kind in {"mark", "name"}

    def accept(self, word: str) -> bool:
        """Take the next token when it is this mark or word."""
        if self.is_at(word):
            self._next += 1
            return True
        return False

    def close(self, word: str, opened: Token) -> None:
        """Take the bracket that closes an opened one. Raises ``ExpressionError`` when something else comes."""
        if self.accept(word):
            return
        if self.token.kind == "end" or self.token.text in _CLOSING:
            message = f"`{opened.text}` is never closed"
            raise self.refuse("unbalanced_bracket", message, offset=opened.start, hint=f"add `{word}`")
        raise self.unexpected(f"write `{word}` before it")

    def refuse(self, name: str, message: str, *, offset: int | None = None, hint: str = "") -> ExpressionError:
        """Return the error for a place, the next token's by default."""
        place = self.token.start if offset is None else offset
        return refusal(name, message, source=self.source, offset=place, hint=hint)

    def unexpected(self, hint: str = "") -> ExpressionError:
        """Return the error for a token that cannot stand where it stands."""
        token = self.token
        if token.kind == "end":
            return self.refuse("unexpected_end", "the expression ends where something must follow", hint=hint)
        if token.kind == "mark":
            if token.text in _CLOSING:
                return self.refuse("unbalanced_bracket", f"`{token.text}` closes nothing", hint="remove it")
            hint = self._hint_for_mark(hint)
        return self.refuse("unexpected_token", f"`{token.text}` cannot stand here", hint=hint)

    def _hint_for_mark(self, hint: str) -> str:
        if self.is_at("="):
            return "write `==` to compare; an expression cannot assign"
        if self.source.lstrip().startswith(("{{", "{%")):
            return "write the expression alone, without `{{ }}` or `{% %}`"
        return hint

    def too_deep(self) -> LimitError:
        """Return the error for an expression whose parts stand too deep in each other."""
        return LimitError(
            "expression_too_deep",
            f"an expression is at most {MAX_DEPTH} levels deep",
            hint="do this in a step of its own",
            limit=MAX_DEPTH,
            actual=MAX_DEPTH + 1,
            source=self.source,
            offset=self.token.start,
        )
