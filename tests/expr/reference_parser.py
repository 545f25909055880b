"""A second, independent reading of the expression language, written from its description and for being obvious.

One method per level of precedence, a tree of tuples, a tokeniser that goes character by character, no bounds and no hints. It knows
some of the filters. Nothing here imports the room under test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

ROOTS = {"context", "event", "execution", "index", "input", "item", "secrets", "state", "steps", "trigger", "variables"}
CONSTANTS = {"true": True, "True": True, "false": False, "False": False, "none": None, "None": None}
WORDS = {"and", "or", "not", "in", "is", "if", "else"}
MARKS = ["**", "//", "==", "!=", "<=", ">=", *"+-*/%~<>()[]{},.:|"]
FOREIGN = [
    "===",
    "!==",
    "&&",
    "||",
    "<>",
    "=>",
    ":=",
    "??",
    "?.",
    "!",
    "&",
    "?",
    "=",
]  # `=` is for named arguments: not covered here
COMPARISONS = {"==", "!=", "<", "<=", ">", ">=", "in", "not in"}
FILTERS = {"abs", "first", "items", "join", "keys", "last", "length", "max", "reverse", "string", "sum", "upper"}
TESTS = {"boolean", "integer", "mapping", "none", "number", "sequence", "string"}


class Refused(Exception):  # noqa: N818 a verdict, not a fault
    """The text is no expression."""


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def tokens_of(source: str) -> list[tuple[str, Any]]:
    """Return (kind, value) pairs; kinds are name, number, text, mark."""
    found: list[tuple[str, Any]] = []
    at = 0
    while at < len(source):
        character = source[at]
        if character in " \t\r\n":
            at += 1
        elif character.isalpha() or character == "_":
            end = at
            while end < len(source) and (source[end].isalnum() or source[end] == "_"):
                end += 1
            found.append(("name", source[at:end]))
            at = end
        elif character.isdigit():
            at = _read_number(source, at, found)
        elif character in "'\"":
            at = _read_text(source, at, found)
        else:
            mark = max((each for each in MARKS + FOREIGN if source.startswith(each, at)), key=len, default=None)
            if mark is None or mark in FOREIGN:
                raise Refused
            found.append(("mark", mark))
            at += len(mark)
    return found


def _digits(source: str, at: int) -> int:
    while at < len(source) and source[at] in "0123456789":
        at += 1
    return at


def _read_number(source: str, start: int, found: list[tuple[str, Any]]) -> int:
    at = _digits(source, start)
    is_whole = True
    if at - start > 1 and source[start] == "0":
        raise Refused
    if source[at : at + 1] == "." and _digits(source, at + 1) > at + 1:
        at, is_whole = _digits(source, at + 1), False
    if source[at : at + 1] in {"e", "E"}:
        sign = 1 if source[at + 1 : at + 2] in {"+", "-"} else 0
        end = _digits(source, at + 1 + sign)
        if end > at + 1 + sign:
            at, is_whole = end, False
    following = source[at : at + 1]
    if following and (following in "._" or following.isalnum()):
        raise Refused
    value = int(source[start:at]) if is_whole else float(source[start:at])
    if value > 2**64 - 1 if is_whole else math.isinf(value):
        raise Refused
    found.append(("number", value))
    return at


def _read_text(source: str, start: int, found: list[tuple[str, Any]]) -> int:
    escapes = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}
    text = ""
    at = start + 1
    while at < len(source) and source[at] != source[start]:
        if source[at] != "\\":
            text += source[at]
            at += 1
        elif source[at + 1 : at + 2] in escapes:
            text += escapes[source[at + 1]]
            at += 2
        else:
            raise Refused
    if at >= len(source):
        raise Refused
    found.append(("text", text))
    return at + 1


class Parser:
    """Builds a tree of tuples, or raises `Refused`."""

    def __init__(self, source: str) -> None:
        self.tokens = tokens_of(source)
        self.at = 0

    def parse(self) -> Any:
        tree = self.choice()
        if self.at != len(self.tokens):
            raise Refused
        return tree

    def peek(self, ahead: int = 0) -> tuple[str, Any]:
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ("end", "")

    def sees(self, *words: str) -> bool:
        return all(self.peek(n)[1] == word and self.peek(n)[0] in {"name", "mark"} for n, word in enumerate(words))

    def accepts(self, *words: str) -> bool:
        if self.sees(*words):
            self.at += len(words)
            return True
        return False

    def needs(self, word: str) -> None:
        if not self.accepts(word):
            raise Refused

    def choice(self) -> Any:
        value = self.disjunction()
        if not self.accepts("if"):
            return value
        condition = self.disjunction()
        self.needs("else")
        return ("if", condition, value, self.choice())

    def disjunction(self) -> Any:
        left = self.conjunction()
        while self.accepts("or"):
            left = ("or", left, self.conjunction())
        return left

    def conjunction(self) -> Any:
        left = self.negation()
        while self.accepts("and"):
            left = ("and", left, self.negation())
        return left

    def negation(self) -> Any:
        return ("not", self.negation()) if self.accepts("not") else self.comparison()

    def compares(self) -> str | None:
        if self.accepts("not", "in"):
            return "not in"
        for symbol in COMPARISONS:
            if self.accepts(symbol):
                return symbol
        return None

    def comparison(self) -> Any:
        left = self.sum()
        symbol = self.compares()
        if symbol is None:
            return left
        right = self.sum()
        if self.compares() is not None:
            raise Refused
        return ("binary", symbol, left, right)

    def chain(self, symbols: str, below: Callable[[], Any]) -> Any:
        left = below()
        while symbol := next((each for each in symbols.split() if self.accepts(each)), None):
            left = ("binary", symbol, left, below())
        return left

    def sum(self) -> Any:
        return self.chain("+ -", self.concatenation)

    def concatenation(self) -> Any:
        return self.chain("~", self.product)

    def product(self) -> Any:
        return self.chain("* / // %", self.power)

    def power(self) -> Any:
        is_negative = self.sees("-")
        left = self.filtered()
        if not self.accepts("**"):
            return left
        right = self.filtered()
        if is_negative or self.sees("**"):
            raise Refused
        return ("binary", "**", left, right)

    def filtered(self) -> Any:
        value = self.signed()
        while True:
            if self.accepts("|"):
                value = self.filter(value)
            elif self.accepts("is"):
                value = self.test(value)
            else:
                return value

    def filter(self, value: Any) -> Any:
        kind, name = self.peek()
        self.at += 1
        if kind != "name":
            raise Refused
        if name == "default":
            self.needs("(")
            other = self.choice()
            self.accepts(",")
            self.needs(")")
            if value[0] != "path":
                raise Refused
            return ("default", value, other)
        if name not in FILTERS:
            raise Refused
        arguments: list[Any] = []
        if self.accepts("("):
            while not self.sees(")"):
                arguments.append(self.choice())
                if not self.accepts(","):
                    break
            self.needs(")")
        if len(arguments) > (name == "join"):
            raise Refused
        return ("filter", name, value, *arguments)

    def test(self, value: Any) -> Any:
        is_negated = self.accepts("not")
        kind, name = self.peek()
        self.at += 1
        if kind != "name" or self.sees("("):
            raise Refused
        if name in {"defined", "undefined"}:
            if value[0] != "path":
                raise Refused
            tree: Any = ("defined", value)
            is_negated ^= name == "undefined"
        elif name in TESTS:
            tree = ("test", name, value)
        else:
            raise Refused
        return ("not", tree) if is_negated else tree

    def signed(self) -> Any:
        if not self.accepts("-"):
            return self.keyed()
        kind, value = self.peek()
        if kind != "number":
            return ("minus", self.signed())
        self.at += 1
        if isinstance(value, int) and value > 2**63:
            raise Refused
        return ("constant", -value)

    def keyed(self) -> Any:
        value, may_grow = self.primary()
        while True:
            if self.accepts("."):
                kind, key = self.peek()
                self.at += 1
                if kind != "name":
                    raise Refused
                value = ("path", *value[1:], key) if may_grow else ("at", value, ("constant", key))
            elif self.accepts("["):
                value, may_grow = self.subscript(value, may_grow)
            elif self.sees("("):
                raise Refused
            else:
                return value

    def subscript(self, owner: Any, may_grow: bool) -> tuple[Any, bool]:  # noqa: FBT001 the parser's own state
        start: Any = ("constant", None)
        if not self.sees(":"):
            is_literal = (
                self.peek()[0] == "text" or type(self.peek()[1]) is int or (self.sees("-") and type(self.peek(1)[1]) is int)
            )
            before = self.at
            start = self.choice()
            is_literal = is_literal and self.at - before == 1 + (self.tokens[before][1] == "-" and self.tokens[before][0] == "mark")
            if self.accepts("]"):
                if may_grow and is_literal:
                    return ("path", *owner[1:], start[1]), True
                return ("at", owner, start), False
        self.needs(":")
        stop = ("constant", None) if self.sees("]") else self.choice()
        self.needs("]")
        return ("slice", owner, start, stop), False

    def primary(self) -> tuple[Any, bool]:
        kind, value = self.peek()
        self.at += 1
        if kind in {"number", "text"}:
            return ("constant", value), False
        if kind == "name":
            if value in CONSTANTS:
                return ("constant", CONSTANTS[value]), False
            if value in WORDS or value not in ROOTS:
                raise Refused
            return ("path", value), True
        if value == "(" and kind == "mark":
            tree = self.choice()
            self.needs(")")
            return tree, False
        if value == "[" and kind == "mark":
            return self.list(), False
        if value == "{" and kind == "mark":
            return self.object(), False
        raise Refused

    def list(self) -> Any:
        elements: list[Any] = []
        while not self.sees("]"):
            elements.append(self.choice())
            if not self.accepts(","):
                break
        self.needs("]")
        return ("list", *elements)

    def object(self) -> Any:
        entries: dict[str, Any] = {}
        while not self.sees("}"):
            kind, key = self.peek()
            self.at += 1
            if kind != "text" or key in entries:
                raise Refused
            self.needs(":")
            entries[key] = self.choice()
            if not self.accepts(","):
                break
        self.needs("}")
        return ("object", entries)
