"""Definedness and types: what a missing name and operands of different kinds lead to."""

from __future__ import annotations

import pytest

from tests.expr.values import failure, value

UNDEFINED = [
    ("input.nowhere", "`input.nowhere` is not defined: `input` has no `nowhere`", ""),
    ("input.nowhere.deep.er", "`input.nowhere.deep.er` is not defined: `input` has no `nowhere`", ""),
    ("steps.load.output.row", "`steps.load.output.row` is not defined: `steps.load.output` has no `row`", "did you mean `rows`?"),
    ("trigger.at", "`trigger.at` is not defined: there is no `trigger` here", ""),
    (
        "steps.skip.output.rows",
        "`steps.skip.output.rows` is not defined: `steps.skip.output` is none, as the output of a skipped step is",
        "ask `steps.skip.output != none` first",
    ),
    ("input.n.x", "`input.n.x` is not defined: `input.n` is none", "ask `input.n != none` first"),
    ("input.s.x", "`input.s.x` is not defined: `input.s` is text", ""),
    ("input.x.y", "`input.x.y` is not defined: `input.x` is a number", ""),
    ("input.l.x", "`input.l.x` is not defined: `input.l` is a list", ""),
    ("input.l[3]", "`input.l[3]` is not defined: `input.l` has 3 elements", ""),
    ("input.s[-4]", "`input.s[-4]` is not defined: `input.s` has 3 characters", ""),
    ('input["no such"]', '`input["no such"]` is not defined: `input` has no `no such`', ""),
    ("input[0]", "`input[0]` is not defined: `input` is an object", ""),
    ("(variables.people|first).names", "`.names` is not defined: what stands before it has no `names`", "did you mean `name`?"),
    ("input.l[index + 9]", "the key or index in the brackets does not exist in the list before them", ""),
    ("input[input.s]", "the key or index in the brackets does not exist in the object before them", ""),
    ("input.n[index]", "none has nothing at a number in brackets", ""),
]


@pytest.mark.parametrize(("source", "message", "hint"), UNDEFINED, ids=[source for source, *_ in UNDEFINED])
def test_a_name_that_is_not_there_is_an_error_that_names_it(source: str, message: str, hint: str) -> None:
    error = failure(source)
    assert (error.name, error.message, error.hint) == ("undefined_name", message, hint)


@pytest.mark.parametrize(
    "around",
    [
        "{} == 1",
        "{} == none",
        "1 != {}",
        "not {}",
        "{} and true",
        "[{}]",
        "{{'a': {}}}",
        "{} if true else 1",
        "1 if {} else 2",
        "{} is none",
        "{} ~ 'a'",
        "{} in [1]",
        "1 in {}",
        "{}|string",
        "{}|tojson",
        "input.l[{}]",
        "-{}",
        "input.x|default({}) + {}",
    ],
)
def test_an_undefined_last_part_is_an_error_wherever_it_stands(around: str) -> None:
    """Alone, minijinja takes it for none in most of these places."""
    error = failure(around.replace("{}", "steps.load.output.nowhere").replace("{{", "{").replace("}}", "}"))
    assert error.name == "undefined_name"
    assert "`steps.load.output.nowhere`" in error.message


def test_python_attributes_and_methods_are_not_defined() -> None:
    for name in ("__class__", "__init__", "keys", "items", "get", "pop", "copy"):
        assert failure(f"input.{name}").name == "undefined_name"
        assert failure(f"input['{name}']").name == "undefined_name"
        assert value(f"input.{name} is defined") is False
        assert failure(f"input.l.{name}").name == "undefined_name"
        assert failure(f"input.s.{name}").name == "undefined_name"


DEFINED = [
    ("input.x is defined", True),
    ("input.n is defined", True),
    ("input.nowhere is defined", False),
    ("input.nowhere.deep is defined", False),
    ("input.nowhere is undefined", True),
    ("input.x is not undefined", True),
    ("not input.nowhere is defined", True),
    ("input.n.x is defined", False),
    ("steps.skip.output.rows is defined", False),
    ("input.l[2] is defined and input.l[3] is not defined", True),
    ("trigger is defined", False),
    ("input.nowhere is defined and input.nowhere > 3", False),
    ("input.nowhere|default(5)", 5),
    ("input.x|default(5)", 3),
    ("input.n|default(5)", None),
    ("steps.skip.output.rows|default(0) + 1", 1),
    ("trigger.at|default(input.nowhere|default('deep'))", "deep"),
]


@pytest.mark.parametrize(("source", "expected"), DEFINED, ids=[source for source, _ in DEFINED])
def test_definedness_can_be_asked_at_any_depth(source: str, expected: object) -> None:
    assert value(source) == expected


MISMATCHES = [
    '"5" > 3',
    "3 < '5'",
    "input.n > 1",
    "1 <= none",
    "input.flag > 0",
    "true < false",
    "[1] < [2]",
    "{'a': 1} >= {'a': 1}",
    '"a" == 1',
    '"1" != 1',
    "true == 1",
    "input.flag == 'true'",
    "[] == {}",
    "1 in '123'",
    "'a' in 1",
    "'1' in input.l",
    "1 not in ['1', '2']",
    "1 in {'1': 2}",
    "1 in none",
    "1 + '1'",
    "'1' + 1",
    "1 + true",
    "none + 1",
    "[1] + 1",
    "{'a': 1} + {'b': 2}",
    "'x' * 3",
    "[1] * 3",
    "'a' - 'b'",
    "true / 2",
    "-'1'",
    "-true",
    "input.l['a' ~ 'b':]",
    "input.l[true]",
    "input.x[0:1]",
]


@pytest.mark.parametrize("source", MISMATCHES)
def test_values_of_different_kinds_are_not_mixed(source: str) -> None:
    error = failure(source)
    assert error.name == ("undefined_name" if source == "input.l[input.s]" else "type_mismatch")


def test_the_hint_for_a_mismatch_says_how_to_convert_or_what_to_ask() -> None:
    assert failure('"5" > 3').hint == "turn one into the other: `…|int`, `…|float`, `…|string`"
    assert failure("input.n > 3").hint == "ask `… != none` first"
    assert failure("'a' + 1").hint == "join anything as text with `~`"


EQUALITY = [
    ("1 == 1.0", True),
    ("'a' != 'b'", True),
    ("none == none", True),
    ("1 == none", False),
    ("'a' != none", True),
    ("[] == none", False),
    ("[1, 'a'] == [1.0, 'a']", True),
    ("[1] == ['1']", False),
    ("[true] == [1]", False),
    ("{'a': [none]} == {'a': [none]}", True),
    ("{'a': 1} == {'b': 1}", False),
    ("[1] == [1, 2]", False),
    ("1 in [none, '1']", False),
    ("true in [1, true]", True),
    ("[1] in [[2], [1.0]]", True),
    ("1 in []", False),
]


@pytest.mark.parametrize(("source", "expected"), EQUALITY, ids=[source for source, _ in EQUALITY])
def test_equality_is_that_of_json(source: str, expected: object) -> None:
    assert value(source) is expected


ARITHMETIC = [
    ("1 / 0", "division_by_zero"),
    ("1 // 0", "division_by_zero"),
    ("1 % 0", "division_by_zero"),
    ("0 ** -1", "division_by_zero"),
    ("(-8) ** 0.5", "not_a_number"),
    ("2 ** 64", "number_out_of_range"),
    ("2 ** 10000000000", "number_out_of_range"),
    ("1.5 ** 1e18", "number_out_of_range"),
    ("1e308 * 10", "number_out_of_range"),
    ("[1e308 + 1e308]", "number_out_of_range"),
    ("input.big * 2", "number_out_of_range"),
    ("-(input.big * 1 + 1)", "number_out_of_range"),
]


@pytest.mark.parametrize(("source", "name"), ARITHMETIC, ids=[source for source, _ in ARITHMETIC])
def test_arithmetic_without_a_result_is_an_error(source: str, name: str) -> None:
    assert failure(source).name == name


def test_whole_numbers_have_64_bits() -> None:
    assert value("2 ** 63") == 2**63
    assert value("18446744073709551615") == 2**64 - 1
    assert value("-9223372036854775808") == -(2**63)
    assert value("input.big - 1") == 2**63 - 1
    assert failure("input.x", {"input": {"x": 2**64}}).name == "number_out_of_range"
    assert failure("input.x + 0", {"input": {"x": 10**400}}).name == "number_out_of_range"


def test_no_message_tells_a_value() -> None:
    """A value may be a secret."""
    context = {"secrets": {"token": "hunter2", "list": ["hunter2"]}, "input": {"x": 1}}
    for source in (
        "secrets.token > 1",
        "secrets.token.x",
        "secrets.token + 1",
        "-secrets.token",
        "input[secrets.token]",
        "secrets.list[secrets.token]",
        "secrets.list|sum",
        "secrets.token|int",
        "1 in secrets.list",
        "input.x|round(secrets.token)",
        "secrets.list|selectattr('a', secrets.token, 1)",
    ):
        error = failure(source, context)
        assert "hunter2" not in f"{error.message} {error.hint}", source
