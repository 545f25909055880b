"""Texts for the fuzz tests, drawn from a seeded generator: whole expressions from the grammar, and soups of their tokens."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

DATA: dict[str, Any] = {
    "input": {"x": 3, "y": -2.5, "zero": 0, "s": "abc", "t": "", "flag": True, "n": None, "l": [3, 1, 2], "m": ["b", "a"]},
    "item": {"items": [1, "one", None], "keys": {"a": 1}, "in": 7},
    "steps": {"load": {"output": {"rows": 12, "of": [[1], [2.0]]}, "status": "completed"}, "skip": {"output": None}},
    "index": 1,
    "variables": {},
}
NAMES = [
    "input.x",
    "input.y",
    "input.zero",
    "input.s",
    "input.t",
    "input.flag",
    "input.n",
    "input.l",
    "input.m",
    "input.missing",
    "input",
    "item.items",
    "item.keys",
    "item.in",
    "item.keys.a",
    "steps.load.output.rows",
    'steps["load"].status',
    "steps.load.output.of[1][0]",
    "steps.load.output.of",
    "steps.skip.output",
    "steps.skip.output.y",
    "steps.nowhere.output",
    "input.l[0]",
    "input.l[-1]",
    "input.l[9]",
    "index",
    "variables",
    "trigger",
]
SCALARS = [
    "input.x",
    "input.y",
    "input.zero",
    "input.s",
    "input.t",
    "input.flag",
    "input.n",
    "item.in",
    "index",
    "steps.load.status",
]
LITERALS = ["0", "1", "2", "3.0", "0.5", "1e2", '"abc"', "'a'", '""', "true", "false", "none", "True", '"é\\n"', "[]", "{}", "64"]
BINARY = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"]
FILTERS = ["abs", "first", "join", "keys", "last", "length", "max", "reverse", "string", "sum", "upper"]
TESTS = ["boolean", "integer", "mapping", "none", "number", "sequence", "string", "defined", "undefined"]
# What a soup is made of: things that can stand alone, things between them, and everything else that a hand may type.
OPERANDS = [
    "input.x",
    "input.l",
    "input.s",
    "item",
    "1",
    "2.5",
    '"a"',
    "true",
    "none",
    "[1]",
    "(1)",
    "-1",
    "not index",
    "input.x[0]",
]
BETWEEN = [*BINARY, "|length ~", "|default(1) +", "is none or", "is not defined and", ".x ==", "[0] if true else", "if index else"]
OTHERS = [
    *[
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        ".",
        "|",
        "not",
        "is",
        "if",
        "else",
        "-",
        "|join",
        "is none",
        '"k":',
        "length",
        "upper",
    ],
    *[
        "null",
        "&&",
        "||",
        "!",
        "=",
        "===",
        "'",
        '"',
        "\\",
        "{{",
        "}}",
        "{%",
        "#",
        "$",
        "x",
        "1.",
        "0x1",
        "..",
        "01",
        "1_0",
        "in",
        "~",
    ],
]


class Grammar:
    """Draws expressions. Most are well formed; types do not have to fit, so that errors at evaluation are drawn too."""

    def __init__(
        self, rng: random.Random, *, names: Sequence[str] = NAMES, binary: Sequence[str] = BINARY, has_lists: bool = True
    ) -> None:
        self.rng = rng
        self.names = names
        self.binary = binary
        self.literals = LITERALS if has_lists else [each for each in LITERALS if each not in {"[]", "{}"}]
        self.shapes = range(16) if has_lists else [shape for shape in range(16) if shape not in {11, 12, 15}]

    def space(self, left: str, right: str) -> str:
        """Join two texts, with a space where they would otherwise become one word, and sometimes where not."""
        needs = (left[-1:].isalnum() or left[-1:] == "_") and (right[:1].isalnum() or right[:1] == "_")
        return left + (self.rng.choice([" ", "  ", "\n", "\t"]) if needs or self.rng.random() < 0.7 else "") + right

    def words(self, *words: str) -> str:
        text = words[0]
        for word in words[1:]:
            text = self.space(text, word)
        return text

    def expression(self, depth: int) -> str:
        """Return one; ``depth`` bounds how far it branches."""
        rng = self.rng
        if depth <= 0:
            return rng.choice(self.names) if rng.random() < 0.6 else rng.choice(self.literals)
        part = lambda: self.expression(depth - 1 - (rng.random() < 0.3))  # noqa: E731 short for what follows
        match rng.choice(self.shapes):
            case 0 | 1 | 2 | 3 | 4 | 5:
                return self.words(part(), *rng.choice(self.binary).split(), part())
            case 6 | 7:
                return self.words(rng.choice(["not", "-"]), part())
            case 8 | 9:
                return self.words("(", part(), ")")
            case 10:
                return self.words(part(), "if", part(), "else", part())
            case 11:
                return self.words("[", part(), ",", part(), *rng.choice([("]",), (",", "]")]))
            case 12:
                return self.words("{", '"a"', ":", part(), ",", rng.choice(['"b"', "'c'", '"a"']), ":", part(), "}")
            case 13:
                return self.words(part(), "|", rng.choice(FILTERS), *rng.choice([(), (), ("(", ")"), ("(", '","', ")")]))
            case 14:
                return self.words(part(), "is", *rng.choice([(), ("not",)]), rng.choice(TESTS))
            case _:
                return rng.choice([self._subscript, self._default])(depth)

    def _subscript(self, depth: int) -> str:
        inner = self.expression(depth - 2)
        stop = self.expression(depth - 2)
        brackets = self.rng.choice([("[", inner, "]"), ("[", inner, ":", "]"), ("[", inner, ":", stop, "]"), (".", "x")])
        return self.words(self.expression(depth - 1), *brackets)

    def _default(self, depth: int) -> str:
        return self.words(self.rng.choice(self.names), "|", "default", "(", self.expression(depth - 1), ")")


def soup(rng: random.Random) -> str:
    """Return a few tokens in a row, with or without spaces between them; often in an order that could be right."""
    text = ""
    for number in range(rng.choice([1, 3, 3, 5, 7, 2, 4])):
        fitting = BETWEEN if number % 2 else OPERANDS
        text += rng.choice(fitting if rng.random() < 0.9 else OTHERS) + rng.choice(["", " ", " ", " "])
    return text


def damaged(rng: random.Random, text: str) -> str:
    """Return the text with one character taken out, put in, doubled or exchanged."""
    at = rng.randrange(len(text))
    piece = rng.choice(["", text[at] * 2, rng.choice("()[]{}|&!=.,:'\"\\ ~-+x1"), text[at] + rng.choice("()[]{}|&!=.,:'\" ~-+x1")])
    return text[:at] + piece + text[at + 1 :]
