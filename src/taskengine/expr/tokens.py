"""The words of an expression. It owns what a token is and which spellings of other languages are answered with a hint.

Nothing is skipped but spaces, tabs and line ends: every other character belongs to a token or is an error. `compiler` reads whole
expressions; `template` reads on from `{{` until the brackets close.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Final, Literal, NamedTuple

from taskengine.errors import ExpressionError
from taskengine.expr.limits import LARGEST_INTEGER

__all__ = ["Token", "read_token", "refusal", "tokenise"]

Kind = Literal["name", "number", "text", "mark", "end"]


class Token(NamedTuple):
    """One word: as it was written, what it means, and where it stands in the source."""

    kind: Kind
    text: str
    value: str | int | float
    start: int
    end: int


_TOKEN: Final = re.compile(
    r"""[ \t\r\n]*(?:
        (?P<name>[^\W\d]\w*)
      | (?P<number>(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)
      | (?P<text>"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*')
      | (?P<mark>===|!==|\*\*|//|==|!=|<=|>=|<>|=>|:=|&&|\|\||\?\?|\?\.|[-+*/%~<>()\[\]{},.:|=!&?])
      | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}
_MOST_DIGITS: Final = len(str(LARGEST_INTEGER))

# Marks of other languages, which minijinja would refuse without a word of help or, worse, stop reading at.
_FOREIGN_MARKS: Final = {
    "&&": "write `and`",
    "||": "write `or`",
    "!": "write `not`",
    "&": "write `and`",
    "===": "write `==`",
    "!==": "write `!=`",
    "<>": "write `!=`",
    "=>": "write `>=`",
    ":=": "write `==` to compare; an expression cannot assign",
    "?": "write `a if condition else b`",
    "??": "write `name|default(value)`",
    "?.": "write `a.b if a != none else none`",
}
_FOREIGN_CHARACTERS: Final = {
    "“": 'write a straight quote: "',
    "”": 'write a straight quote: "',
    "‘": "write a straight quote: '",  # noqa: RUF001 the very character that word processors put there
    "’": "write a straight quote: '",
    "`": 'write text as "…"',
    "$": "write the name alone, without `${` and `}`",
    "^": "write `**` for a power",
    ";": "write one expression; there are no statements",
    "#": "there are no comments in an expression",
}


def refusal(name: str, message: str, *, source: str, offset: int, hint: str = "") -> ExpressionError:
    """Return the error for something that stands at this place of a text."""
    return ExpressionError(name, message, hint=hint, source=source, offset=offset)


def tokenise(source: str) -> list[Token]:
    """Return all tokens, an end token last. Raises ``ExpressionError`` at the first character that belongs to none."""
    tokens = [read_token(source, 0)]
    while tokens[-1].kind != "end":
        tokens.append(read_token(source, tokens[-1].end))
    return tokens


def read_token(source: str, position: int) -> Token:
    """Return the token that begins at or after the position. Raises ``ExpressionError``."""
    match = _TOKEN.match(source, position)
    if match is None:
        raise _unreadable(source, _after_space(source, position))
    start, end = match.span(match.lastgroup or 0)
    text = source[start:end]
    match match.lastgroup:
        case "name":
            return Token("name", text, text if text.isascii() else unicodedata.normalize("NFC", text), start, end)
        case "number":
            return Token("number", text, _number(source, start, end=end), start, end)
        case "text":
            return Token("text", text, _text(source, start, end=end), start, end)
        case "mark":
            if text in _FOREIGN_MARKS:
                raise refusal("unknown_operator", f"there is no `{text}`", source=source, offset=start, hint=_FOREIGN_MARKS[text])
            return Token("mark", text, text, start, end)
        case _:
            return Token("end", "", "", start, end)


def _after_space(source: str, position: int) -> int:
    match = _SPACE.match(source, position)
    return position if match is None else match.end()


def _unreadable(source: str, offset: int) -> ExpressionError:
    character = source[offset]
    if character in "\"'":
        return refusal("unclosed_text", f"the quote {character} is never closed", source=source, offset=offset)
    return refusal(
        "unexpected_character",
        f"`{character}` means nothing here" if character.isprintable() else f"a character U+{ord(character):04X} stands here",
        source=source,
        offset=offset,
        hint=_FOREIGN_CHARACTERS.get(character, ""),
    )


def _number(source: str, start: int, *, end: int) -> int | float:
    following = source[end : end + 1]
    if following in {".", "_"} or following.isalnum():
        raise refusal(
            "bad_number",
            f"`{source[start : end + 1]}…` is no number",
            source=source,
            offset=start,
            hint="write decimal digits, such as 1000, 0.5 or 1e3",
        )
    text = source[start:end]
    if text.isdecimal() and len(text) <= _MOST_DIGITS:  # Python refuses to convert thousands of digits
        value: int | float = int(text)
        fits = value <= LARGEST_INTEGER
    else:
        value = float(text)
        fits = math.isfinite(value) and not text.isdecimal()
    if not fits:
        raise refusal("number_out_of_range", f"{text[:40]} does not fit into 64 bits", source=source, offset=start)
    return value


def _text(source: str, start: int, *, end: int) -> str:
    body = source[start + 1 : end - 1]
    if "\\" not in body:
        return body

    def character(match: re.Match[str]) -> str:
        written = match[1]
        if written in _ESCAPED:
            return _ESCAPED[written]
        if len(written) > 1:
            return chr(int(written[1:], 16))
        raise refusal(
            "bad_escape",
            f"`{match[0]}` is no escape",
            source=source,
            offset=start + 1 + match.start(),
            hint=r"write \\ for a backslash",
        )

    escaped = _ESCAPE.sub(character, body)
    try:
        return escaped.encode("utf-16", "surrogatepass").decode("utf-16")  # two halves of one character become that character
    except UnicodeDecodeError:
        raise refusal("bad_escape", "half of a surrogate pair is no character", source=source, offset=start) from None
