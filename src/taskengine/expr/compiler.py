"""From the text of an expression to the one text that minijinja may see. It owns the grammar and every refusal before evaluation.

minijinja offers no syntax tree, and its own reading of a user's text is not safe to evaluate: it stops silently at what it does not
expect, takes a missing field for none, finds Python's methods on objects, and orders a text above a number. So the text is read
here, by the same grammar and precedence, each token exactly once, and translated: literals, lists, objects and `and or not if else`
stay what they are; a name, an operator, a filter or a test becomes a numbered call, `o(3,…)`, of one operation of this room. All is
bracketed, so nothing depends on how minijinja would group it, and no character of the source reaches it outside of a literal.

    expression = binary ["if" binary "else" expression]
    binary     = operand {operator operand}     from loose to tight: or; and; not; one comparison; + -; ~; * / // %; one power
    operand    = signed {"|" filter ["(" arguments ")"] | "is" ["not"] test}
    signed     = "-" signed | primary {"." name | "[" expression "]" | "[" [expression] ":" [expression] "]"}
    primary    = number | text | true | false | none | root | "(" expression ")" | "[" … "]" | "{" text ":" expression, … "}"
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr.cursor import Cursor
from taskengine.expr.expression import ROOTS
from taskengine.expr.filters import FILTERS, TESTS, Filter
from taskengine.expr.limits import MAX_DEPTH, MAX_SOURCE_BYTES, SMALLEST_INTEGER
from taskengine.expr.names import Path, fetch, is_defined, member, piece, subscript
from taskengine.expr.operators import OPERATORS, join, negate
from taskengine.expr.program import Program, Site
from taskengine.expr.tokens import Token, refusal
from taskengine.expr.values import Operation, closest
from taskengine.model.value import encode

__all__ = ["compile_expression"]


def compile_expression(source: str, extra_roots: Collection[str] = ()) -> Program:
    """Check all that can be checked without data. Raises ``ExpressionError``, and ``LimitError`` for length and depth."""
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        message = "half of a surrogate pair is no character"
        raise refusal("unexpected_character", message, source=source, offset=error.start) from None
    if size > MAX_SOURCE_BYTES:
        raise LimitError(
            "expression_too_long",
            f"an expression has at most {MAX_SOURCE_BYTES:,} bytes, this one has {size:,}",
            hint="do this in a step of its own",
            limit=MAX_SOURCE_BYTES,
            actual=size,
            source=source,
        )
    return _Compiler(Cursor(source), ROOTS.union(extra_roots)).compile()


class _Code(NamedTuple):
    """A part of the translation. ``path`` is set while the part is nothing but a name."""

    text: str
    height: int = 1
    path: Path | None = None


_OR, _AND, _NOT, _COMPARISON, _SUM, _TEXT, _PRODUCT, _POWER = range(1, 9)
_PRECEDENCE: Final[Mapping[str, int]] = {
    "or": _OR,
    "and": _AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not in"), _COMPARISON),
    **dict.fromkeys("+-", _SUM),
    "~": _TEXT,
    **dict.fromkeys(("*", "/", "//", "%"), _PRODUCT),
    "**": _POWER,
}
_FLAT: Final = frozenset({"and", "or", "~"})  # a chain of these is one level
_SINGLE: Final = {_COMPARISON: "`a < b and b < c`", _POWER: "`(a ** b) ** c` or `a ** (b ** c)`"}  # and what to write for two
_CONSTANTS: Final = {"true": "true", "True": "true", "false": "false", "False": "false", "none": "none", "None": "none"}
_RESERVED: Final = frozenset({"and", "else", "if", "in", "is", "not", "or"})
_FOREIGN_WORDS: Final = {
    "AND": "and",
    "OR": "or",
    "NOT": "not",
    "NULL": "none",
    "nil": "none",
    "null": "none",
    "TRUE": "true",
    "FALSE": "false",
    "undefined": "name is not defined",
}
_FOREIGN_FUNCTIONS: Final = {"json": "tojson", "len": "length", "size": "length", "sorted": "sort", "str": "string"}
_DEFAULT: Final[Mapping[str, str | None]] = {"value": None}  # the parameters of `default`, which asks about a name


class _Compiler:
    """Reads one expression; used for one `compile()`."""

    def __init__(self, cursor: Cursor, roots: frozenset[str]) -> None:
        self._at = cursor
        self._roots = roots
        self._nested = 0
        self._sites: list[Site] = []
        self._names: set[str] = set()

    def compile(self) -> Program:
        """Return the program. Raises ``ExpressionError`` or ``LimitError``."""
        if self._at.is_end():
            raise self._at.refuse("empty_expression", "there is no expression", hint="write one, such as `input.x > 0`")
        code = self._expression()
        if not self._at.is_end():
            raise self._at.unexpected()
        return Program(
            source=self._at.source,
            text=f"({code.text})",
            sites=tuple(self._sites),
            names=frozenset(self._names),
            is_name=code.path is not None,
        )

    # ── translation ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _code(self, text: str, *parts: _Code) -> _Code:
        height = 1 + max([part.height for part in parts], default=0)
        if height > MAX_DEPTH:
            raise self._at.too_deep()
        return _Code(text, height)

    def _call(self, operation: Operation, offset: int, *parts: _Code) -> _Code:
        self._sites.append(Site(operation, offset))
        arguments = "".join([f",{part.text}" for part in parts])
        return self._code(f"o({len(self._sites) - 1}{arguments})", *parts)

    def _inside(self, read: Callable[[], _Code]) -> _Code:
        """Read what stands inside of something else. This bounds our recursion, as the height of the code bounds minijinja's."""
        self._nested += 1
        if self._nested > MAX_DEPTH:
            raise self._at.too_deep()
        code = read()
        self._nested -= 1
        return code

    # ── operators ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _expression(self) -> _Code:
        value = self._binary(_OR)
        place = self._at.token
        if not self._at.accept("if"):
            return value
        condition = self._binary(_OR)
        if not self._at.accept("else"):
            hint = "write `a if condition else b`"
            raise self._at.refuse("missing_else", "this `if` has no `else`", offset=place.start, hint=hint)
        other = self._inside(self._expression)
        return self._code(f"({value.text} if {condition.text} else {other.text})", value, condition, other)

    def _binary(self, loosest: int) -> _Code:
        """Read operands joined by operators that bind at least as tightly as ``loosest``."""
        is_negative = self._at.is_at("-")
        left = self._negation() if loosest <= _NOT and self._at.is_at("not") else self._operand()
        while _PRECEDENCE.get(symbol := self._operator(), 0) >= loosest:
            if symbol == "**" and is_negative:
                raise self._ambiguous("`-a ** b`", "`(-a) ** b` or `-(a ** b)`")
            left = self._joined(symbol, left)
        return left

    def _joined(self, symbol: str, left: _Code) -> _Code:
        precedence = _PRECEDENCE[symbol]
        place = self._at.token
        parts = [left]
        while self._operator() == symbol and (len(parts) == 1 or symbol in _FLAT):
            self._at.take()
            if symbol == "not in":
                self._at.take()
            parts.append(self._inside(lambda: self._binary(precedence + 1)))
        if precedence in _SINGLE and _PRECEDENCE.get(self._operator()) == precedence:
            raise self._ambiguous(f"`{symbol}` in a chain", _SINGLE[precedence])
        if symbol == "~":  # one list: minijinja refuses a call with 2,000 arguments
            return self._call(join, place.start, self._code(f"[{','.join([part.text for part in parts])}]", *parts))
        if symbol in OPERATORS:
            return self._call(OPERATORS[symbol], place.start, *parts)
        return self._code(f"({f' {symbol} '.join([part.text for part in parts])})", *parts)

    def _operator(self) -> str:
        """Return the operator that comes next, or an empty text."""
        if self._at.is_at("not") and self._at.is_at("in", 1):
            return "not in"
        token = self._at.token
        return token.text if token.kind in {"mark", "name"} else ""

    def _negation(self) -> _Code:
        self._at.take()
        code = self._inside(lambda: self._binary(_NOT))
        return self._code(f"(not {code.text})", code)

    def _ambiguous(self, what: str, instead: str) -> ExpressionError:
        return self._at.refuse("ambiguous_operators", f"{what} can be read in two ways", hint=f"write {instead}")

    # ── operands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _operand(self) -> _Code:
        code = self._signed()
        while True:
            if self._at.accept("|"):
                code = self._filtered(code)
            elif self._at.accept("is"):
                code = self._tested(code)
            else:
                return code

    def _signed(self) -> _Code:
        place = self._at.token
        if not self._at.accept("-"):
            return self._with_keys()
        number = self._at.token
        if number.kind != "number":
            return self._call(negate, place.start, self._inside(self._signed))
        self._at.take()
        if isinstance(number.value, int) and -number.value < SMALLEST_INTEGER:
            message = f"-{number.text} does not fit into 64 bits"
            raise self._at.refuse("number_out_of_range", message, offset=place.start)
        return _Code(f"-{number.value!r}")

    def _with_keys(self) -> _Code:
        is_name = self._at.token.kind == "name" and self._at.token.text not in _CONSTANTS
        code = self._name() if is_name else self._primary()
        while True:
            place = self._at.token
            if self._at.is_at("."):
                code = self._call(member(self._field()), place.start, code)
            elif self._at.accept("["):
                code = self._subscripted(code, place)
            elif self._at.is_at("("):
                raise self._at.refuse("call_refused", "what stands before `(` cannot be called", hint="use a filter: `x|length`")
            else:
                return code

    def _name(self) -> _Code:
        place = self._at.take()
        root = str(place.value)
        if root in _RESERVED:
            hint = f"put `({place.text} …)` in brackets" if root == "not" else ""
            raise self._at.refuse("unexpected_token", f"`{root}` cannot stand here", offset=place.start, hint=hint)
        if self._at.is_at("("):
            raise self._called(root, place)
        if root in _FOREIGN_WORDS:
            hint = f"write `{_FOREIGN_WORDS[root]}`"
            raise self._at.refuse("unknown_name", f"there is no `{root}`", offset=place.start, hint=hint)
        if root not in self._roots:
            hint = closest(root, self._roots) or f"names begin with one of {', '.join(sorted(self._roots))}"
            raise self._at.refuse("unknown_name", f"there is no `{root}`", offset=place.start, hint=hint)
        keys: list[str | int] = [root]
        while (key := self._static_key()) is not None:
            keys.append(key)
        if self._at.is_at("("):
            raise self._called(str(keys[-1]), place)
        path = Path(tuple(keys))
        self._names.add(path.dotted)
        return self._call(fetch(path), place.start)._replace(path=path)

    def _called(self, name: str, place: Token) -> ExpressionError:
        known = _FOREIGN_FUNCTIONS.get(name, name)
        hint = f"use the filter: `x|{known}`" if known in FILTERS else "use a filter: `x|length`"
        message = f"`{name}(…)` cannot be called: an expression has no functions and no methods"
        return self._at.refuse("call_refused", message, offset=place.start, hint=hint)

    def _static_key(self) -> str | int | None:
        """Take the next key of a name when it can be read without evaluating anything."""
        if self._at.is_at("."):
            return self._field()
        if not self._at.is_at("["):
            return None
        is_negative = self._at.is_at("-", 1)
        key = self._at.ahead(1 + is_negative)
        is_key = type(key.value) is int if is_negative or key.kind == "number" else key.kind == "text"
        if not is_key or not self._at.is_at("]", 2 + is_negative):
            return None
        for _ in range(3 + is_negative):
            self._at.take()
        assert not isinstance(key.value, float)
        return -key.value if is_negative and isinstance(key.value, int) else key.value

    def _field(self) -> str:
        """Take a dot and the name after it; any word can be a key."""
        self._at.take()
        if self._at.token.kind != "name":
            raise self._at.unexpected('write a name after the dot, or the key in brackets: x[0], x["a b"]')
        return str(self._at.take().value)

    def _subscripted(self, owner: _Code, opened: Token) -> _Code:
        start = stop = _Code("none")
        if not self._at.is_at(":"):
            start = self._inside(self._expression)
            if not self._at.is_at(":"):
                self._at.close("]", opened)
                return self._call(subscript, opened.start, owner, start)
        self._at.take()
        if not (self._at.is_at("]") or self._at.is_at(":")):
            stop = self._inside(self._expression)
        if self._at.is_at(":"):
            raise self._at.unexpected("a piece has no step; `x|reverse` turns it around")
        self._at.close("]", opened)
        return self._call(piece, opened.start, owner, start, stop)

    def _primary(self) -> _Code:
        token = self._at.token
        if token.kind == "end" or token.text in {")", "]", "}"}:
            raise self._at.unexpected()
        if token.kind == "number":
            return _Code(repr(self._at.take().value))
        if token.kind == "text":
            return _Code(encode(self._at.take().value).decode())
        if token.text in _CONSTANTS:
            return _Code(_CONSTANTS[self._at.take().text])
        if self._at.accept("("):
            code = self._inside(self._expression)
            if self._at.is_at(","):
                raise self._at.unexpected("write a list: [a, b]")
            self._at.close(")", token)
            return code
        if self._at.accept("["):
            return self._list(token)
        if self._at.accept("{"):
            return self._object(token)
        raise self._at.unexpected()

    def _list(self, opened: Token) -> _Code:
        elements: list[_Code] = []
        while not self._at.is_at("]"):
            elements.append(self._inside(self._expression))
            if not self._at.accept(","):
                break
        self._at.close("]", opened)
        return self._code(f"[{','.join([element.text for element in elements])}]", *elements)

    def _object(self, opened: Token) -> _Code:
        entries: dict[str, _Code] = {}
        while not self._at.is_at("}"):
            key = self._at.token
            if key.kind != "text":
                raise self._at.unexpected('a key is text in quotes: {"key": value}')
            if (name := encode(key.value).decode()) in entries:
                raise self._at.refuse("duplicate_key", f"the key {key.text} stands twice in one object")
            self._at.take()
            if not self._at.accept(":"):
                raise self._at.unexpected("write `:` between a key and its value")
            entries[name] = self._inside(self._expression)
            if not self._at.accept(","):
                break
        self._at.close("}", opened)
        return self._code(f"{{{','.join([f'{key}:{value.text}' for key, value in entries.items()])}}}", *entries.values())

    # ── filters and tests ────────────────────────────────────────────────────────────────────────────────────────────

    def _filtered(self, code: _Code) -> _Code:
        place = self._at.take()
        name = place.text
        if name == "default":
            return self._defaulted(code, place)
        if place.kind != "name" or name not in FILTERS:
            hint = closest(name, [*FILTERS, "default"]) or f"the filters are {', '.join(sorted([*FILTERS, 'default']))}"
            raise self._at.refuse("unknown_filter", f"there is no filter `{name}`", offset=place.start, hint=hint)
        known = FILTERS[name]
        return self._call(known.operation, place.start, code, *self._arguments(place, known))

    def _defaulted(self, code: _Code, place: Token) -> _Code:
        if code.path is None:
            raise self._at.refuse(
                "not_a_name",
                "`default` stands directly after a name",
                offset=place.start,
                hint="write `input.x|default(0)`",
            )
        (fallback,) = self._arguments(place, Filter(fetch(code.path), _DEFAULT))
        asked = self._call(is_defined(code.path), place.start)
        return self._code(f"({code.text} if {asked.text} else {fallback.text})", code, asked, fallback)

    def _arguments(self, place: Token, known: Filter) -> list[_Code]:
        """Read what stands in brackets after a filter; return one part for each of its parameters."""
        given: dict[str, _Code] = {}
        opened = self._at.token
        if self._at.accept("("):
            while not self._at.is_at(")"):
                name = self._parameter(place, known, given=[*given])
                is_text = self._at.token.kind == "text" and self._at.ahead(1).text in {",", ")"}
                if name == "attribute" and not is_text:  # it is told in messages, so it cannot be a value
                    raise self._wrong_argument(f"the attribute of `{place.text}` is a text in quotes", place=place, known=known)
                given[name] = self._inside(self._expression)
                if not self._at.accept(","):
                    break
            self._at.close(")", opened)
        parts: list[_Code] = []
        for name, default in known.parameters.items():
            if name not in given and default is None:
                raise self._wrong_argument(f"`{place.text}` needs `{name}`", place=place, known=known)
            parts.append(given.get(name) or _Code(default or ""))
        return parts

    def _parameter(self, place: Token, known: Filter, *, given: list[str]) -> str:
        """Return which parameter the next argument is for, and take its name when it is written."""
        names = [*known.parameters]
        if self._at.token.kind == "name" and self._at.is_at("=", 1):
            name = self._at.take().text
            self._at.take()
            if name in names and name not in given:
                return name
            raise self._wrong_argument(f"`{place.text}` cannot take `{name}` here", place=place, known=known)
        if len(given) >= len(names) or known.is_named or given != names[: len(given)]:
            raise self._wrong_argument(f"`{place.text}` cannot take this argument", place=place, known=known)
        return names[len(given)]

    def _wrong_argument(self, message: str, *, place: Token, known: Filter) -> ExpressionError:
        between = "=…, " if known.is_named else ", "
        usage = f"({between.join(known.parameters)}{'=…' if known.is_named else ''})" if known.parameters else ""
        hint = f"write `x|{place.text}{usage}`"
        return self._at.refuse("wrong_argument", message, offset=place.start, hint=hint)

    def _tested(self, code: _Code) -> _Code:
        is_negated = self._at.accept("not")
        place = self._at.take()
        name = place.text
        if name in {"defined", "undefined"}:
            if code.path is None:
                hint = "write `input.x is defined`"
                raise self._at.refuse("not_a_name", f"`is {name}` asks about a name", offset=place.start, hint=hint)
            asked = self._call(is_defined(code.path), place.start)
            is_negated ^= name == "undefined"
        elif place.kind == "name" and name in TESTS:
            asked = self._call(TESTS[name], place.start, code)
        else:
            hint = closest(name, [*TESTS, "defined"]) or f"the tests are {', '.join(sorted([*TESTS, 'defined']))}"
            raise self._at.refuse("unknown_test", f"there is no test `{name}`", offset=place.start, hint=hint)
        if self._at.is_at("("):
            raise self._at.unexpected(f"`is {name}` takes no arguments")
        return self._code(f"(not {asked.text})", asked) if is_negated else asked
