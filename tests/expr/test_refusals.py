"""What is refused before anything is evaluated, and what the author is told to write instead."""

from __future__ import annotations

import pytest

from taskengine.errors import ExpressionError
from taskengine.expr.interpreter import evaluate
from taskengine.expr.program import Program
from tests.expr.values import refusal

# source, error, a part of the hint, offset of the place
FOREIGN = [
    ('input.x == "a" && input.y', "unknown_operator", "`and`", 15),
    ("input.x || input.y", "unknown_operator", "`or`", 8),
    ("!input.x", "unknown_operator", "`not`", 0),
    ("input.x === 1", "unknown_operator", "`==`", 8),
    ("input.x !== 1", "unknown_operator", "`!=`", 8),
    ("input.x <> 1", "unknown_operator", "`!=`", 8),
    ("input.x & 1", "unknown_operator", "`and`", 8),
    ("input.x := 1", "unknown_operator", "cannot assign", 8),
    ("input.x = 1", "unexpected_token", "`==`", 8),
    ("input.x ? 1 : 2", "unknown_operator", "if condition else", 8),
    ("input?.x", "unknown_operator", "if a != none", 5),
    ("input.x ?? 1", "unknown_operator", "default", 8),
    ("input.x == null", "unknown_name", "`none`", 11),
    ("input.x == nil", "unknown_name", "`none`", 11),
    ("input.x == TRUE", "unknown_name", "`true`", 11),
    ("input.x AND input.y", "unexpected_token", "", 8),
    ("NOT input.x", "unknown_name", "`not`", 0),
    ("input.x ^ 2", "unexpected_character", "`**`", 8),
    ("${input.x}", "unexpected_character", "without", 0),
    ("{{ input.x }}", "unexpected_token", "without `{{ }}`", 1),
    ("input.s == “abc”", "unexpected_character", "straight", 11),
    ("`abc`", "unexpected_character", '"…"', 0),
    ("input.x # more", "unexpected_character", "comments", 8),
    ("input.x; input.y", "unexpected_character", "one expression", 7),
    ("+input.x", "unexpected_token", "", 0),
    ("1_000", "bad_number", "1000", 0),
    ("0x10", "bad_number", "decimal", 0),
    ("007", "bad_number", "decimal", 0),
    ("1.", "bad_number", "decimal", 0),
    (".5", "unexpected_token", "", 0),
    ("'a' 'b'", "unexpected_token", "", 4),
    ("input.l.0", "unexpected_token", "x[0]", 8),
    ("(1, 2)", "unexpected_token", "[a, b]", 2),
    ("input.l[::2]", "unexpected_token", "reverse", 9),
    ("{a: 1}", "unexpected_token", "quotes", 1),
    ("{'a' 1}", "unexpected_token", "`:`", 5),
    ("{'a': 1, \"a\": 2}", "duplicate_key", "", 9),
    ("1 == not true", "unexpected_token", "(not …)", 5),
    ("1 if true", "missing_else", "else", 2),
    ("1 < 2 < 3", "ambiguous_operators", "a < b and b < c", 6),
    ("1 == 1 == true", "ambiguous_operators", "and", 7),
    ("1 in [1] == true", "ambiguous_operators", "and", 9),
    ("2 ** 3 ** 2", "ambiguous_operators", "(a ** b) ** c", 7),
    ("-2 ** 2", "ambiguous_operators", "(-a) ** b", 3),
    (r"'\q'", "bad_escape", "backslash", 1),
    (r"'\ud800'", "bad_escape", "", 0),
    ("'\ud800'", "unexpected_character", "", 1),
    ("99999999999999999999", "number_out_of_range", "", 0),
    ("1e999", "number_out_of_range", "", 0),
    ("-9223372036854775809", "number_out_of_range", "", 0),
]


@pytest.mark.parametrize(("source", "name", "hint", "offset"), FOREIGN, ids=[ascii(source) for source, *_ in FOREIGN])
def test_other_languages_are_refused_with_a_hint(source: str, name: str, hint: str, offset: int) -> None:
    error = refusal(source)
    assert error.name == name
    assert hint in error.hint
    assert error.facts["offset"] == offset


ESCAPES = [
    ("input.x) or (input.y", "unbalanced_bracket"),
    ("(input.x", "unbalanced_bracket"),
    ("input.x)", "unbalanced_bracket"),
    ("input.l[0", "unbalanced_bracket"),
    ("[1, 2)", "unbalanced_bracket"),
    ("(1]", "unbalanced_bracket"),
    ("{'a': 1", "unbalanced_bracket"),
    ("'abc", "unclosed_text"),
    ('"abc', "unclosed_text"),
    ("'abc\\'", "unclosed_text"),
    ("input.x' or 'input.y", "unexpected_token"),
    ("1 }} {{ 2", "unbalanced_bracket"),
    ("1 {% if true %}", "unexpected_token"),
    ("{# a #} 1", "unexpected_character"),
    ("1 {# a #}", "unexpected_character"),
    ("", "empty_expression"),
    (" \n", "empty_expression"),
    ("()", "unbalanced_bracket"),
    ("1 +", "unexpected_end"),
    ("input.", "unexpected_end"),
    ("input.x input.y", "unexpected_token"),
    ("input.x\0", "unexpected_character"),
    ("input.x\u00a0", "unexpected_character"),
]


@pytest.mark.parametrize(("source", "name"), ESCAPES, ids=[ascii(source) for source, _ in ESCAPES])
def test_a_text_that_does_not_end_where_it_should_is_refused(source: str, name: str) -> None:
    assert refusal(source).name == name


PROBES = [
    "input.__class__.__mro__()",
    "input.clear()",
    "input.l.append(1)",
    "input.items()",
    "input.s.upper()",
    "input.s.format(input)",
    "''.join(input.l)",
    "(input.x)(1)",
    "input.l[0](1)",
    "input['clear']()",
    "range(1000000000)",
    "dict(a=1)",
    "namespace(a=1)",
    "debug()",
    "cycler(1, 2)",
    "joiner()",
    "lipsum()",
    "self()",
    "self",
    "loop",
    "super()",
    "caller()",
    "__import__('os')",
    "eval('1')",
    "lambda x: x",
    "[x for x in input.l]",
    "set x = 1",
    "if input.x",
    "for x in input.l",
    "include 'a'",
    "import 'a' as a",
    "macro a()",
    "o(0)",
    "o",
    "*input.l",
    "**input",
    "input.l|join(*input.l)",
    "input.x|attr('clear')",
    "input.s|safe",
    "input.s|center(1000000000)",
    "'%s'|format(1)",
    "input.l|map('upper')",
    "input.l|batch(2)",
    "input|dictsort",
    "input.s|escape",
    "input|pprint",
    "input.x is sameas(input)",
    "input.x is divisibleby 3",
    "input.x is filter",
    "input.x is callable",
]


@pytest.mark.parametrize("source", PROBES)
def test_an_attack_is_refused_before_it_is_evaluated(source: str) -> None:
    refusal(source)


@pytest.mark.parametrize(
    "text", ["range(3)", "dict(a=1)", "namespace()", "debug()", "cycler(1)", "joiner()", "super()", "input", "''.upper()"]
)
def test_even_a_wrong_translation_would_reach_nothing_of_minijinja(text: str) -> None:
    program = Program(source="made by hand", text=f"({text}|string)", sites=(), names=frozenset(), is_name=False)
    with pytest.raises(ExpressionError) as caught:
        evaluate(program, {"input": 1})
    assert caught.value.name == "expression_failed"


def test_a_call_is_answered_with_the_filter_of_that_name() -> None:
    assert refusal("input.s.upper()").hint == "use the filter: `x|upper`"
    assert refusal("input.items()").hint == "use the filter: `x|items`"
    assert refusal("len(input.l)").hint == "use the filter: `x|length`"
    assert refusal("input.clear()").hint == "use a filter: `x|length`"
    for source in ("(input.x)(1)", "input.l[index](1)", "'abc'(1)", "(input.l|first)()"):
        assert refusal(source).name == "call_refused"


@pytest.mark.parametrize(
    ("source", "name", "hint"),
    [
        ("imput.x", "unknown_name", "did you mean `input`?"),
        ("step.x", "unknown_name", "did you mean `steps`?"),
        ("qqq", "unknown_name", "names begin with one of context, event, execution"),
        ("input.x|lenght", "unknown_filter", "did you mean `length`?"),
        ("input.x|defalt(1)", "unknown_filter", "did you mean `default`?"),
        ("input.x|qqq", "unknown_filter", "the filters are abs, default, first"),
        ("input.x is define", "unknown_test", "did you mean `defined`?"),
        ("input.x is qqq", "unknown_test", "the tests are boolean, defined"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_the_nearest(source: str, name: str, hint: str) -> None:
    error = refusal(source)
    assert error.name == name
    assert error.hint.startswith(hint)


@pytest.mark.parametrize(
    "source",
    [
        "input.x|replace('a')",
        "input.x|replace('a', 'b', 'c')",
        "input.x|replace('a', old='b')",
        "input.l|map(attribute=input.s)",
        "input.l|map(attribute='a' ~ 'b')",
        "input.l|sort(attribute=none)",
        "input.x|upper(1)",
        "input.l|join(sep=',')",
        "input.l|sort(true)",
        "input.l|map('name')",
        "input.l|map",
        "input.x|default",
        "input.x|default(1, true)",
        "input.l|selectattr",
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_the_usage(source: str) -> None:
    error = refusal(source)
    assert error.name == "wrong_argument"
    assert error.hint.startswith("write `x|")


@pytest.mark.parametrize(
    "source", ["(input.x + 1)|default(2)", "1 is defined", "input.l[index]|default(1)", "(input.x|abs) is undefined"]
)
def test_only_a_name_can_be_asked_whether_it_is_defined(source: str) -> None:
    assert refusal(source).name == "not_a_name"
