"""Each filter: what it gives, and what it refuses."""

from __future__ import annotations

import pytest

from taskengine.expr.filters import FILTERS
from tests.expr.reference import same
from tests.expr.values import failure, refusal, value

VALUES = [
    ("(-2.5)|abs", 2.5),
    ("input.l|first", 3),
    ("input.s|first", "a"),
    ("input.l|last", 2),
    ("'2.5'|float", 2.5),
    ("3|float", 3),
    ("' 42 '|int", 42),
    ("2.9|int", 2),
    ("(-2.9)|int", -2),
    ("{'b': 1, 'a': [2]}|items", [["b", 1], ["a", [2]]]),
    ("{'b': 1, 'a': [2]}|keys", ["b", "a"]),
    ("{'b': 1, 'a': [2]}|values", [1, [2]]),
    ("input.l|join", "312"),
    ("['a', 1, none, [2.0]]|join('; ')", "a; 1; null; [2]"),
    ("input.l|join(separator='-')", "3-1-2"),
    ("input.l|length", 3),
    ("'héé'|length", 3),
    ("input.nowhere|default([])|length", 0),
    ("'ÀB'|lower", "àb"),
    ("variables.people|map(attribute='age')", [40, 30]),
    ("variables.people|map(attribute='at.home')", [True, False]),
    ("input.l|max", 3),
    ("variables.words|max", "b"),
    ("variables.floats|min", 0.5),
    ("variables.people|rejectattr('at.home')|map(attribute='name')", ["al"]),
    ("variables.people|selectattr('at.home')|map(attribute='name')", ["bo"]),
    ("variables.people|selectattr('age', '>', 35)|map(attribute='name')", ["bo"]),
    ("variables.people|selectattr('name', 'in', ['al'])|map(attribute='age')", [30]),
    ("variables.people|rejectattr('name', '==', value='al')|map(attribute='age')", [40]),
    ("'a-b-c'|replace('-', '+')", "a+b+c"),
    ("'a-b'|replace(new='', old='-')", "ab"),
    ("input.l|reverse", [2, 1, 3]),
    ("'abc'|reverse", "cba"),
    ("2.5|round", 3),
    ("(-2.5)|round", -3),
    ("0.49999999999999994|round", 0),
    ("2.345|round(2)", 2.35),
    ("1e300|round(2)", 1e300),
    ("1e308|round(15)", 1e308),
    ("7|round(decimals=3)", 7),
    ("input.l|sort", [1, 2, 3]),
    ("variables.words|sort(reverse=true)", ["b", "b", "a"]),
    ("(variables.people|sort(attribute='age')|first).name", "al"),
    ("(variables.people|sort(attribute='name', reverse=true)|first).name", "bo"),
    ("' a  b\\n'|split", ["a", "b"]),
    ("'a,b,'|split(',')", ["a", "b", ""]),
    ("1.5|string ~ none|string ~ true|string ~ 2.0|string", "1.5nulltrue2"),
    ("variables.floats|sum", 4.0),
    ("[]|sum", 0),
    ("{'a': [1, \"é<&\"], 'b': none}|tojson", '{"a":[1,"é<&"],"b":null}'),
    ("'a\"b'|tojson", '"a\\"b"'),
    ("' x '|trim", "x"),
    ("[1, 1.0, true, '1', none, 1, none]|unique", [1, True, "1", None]),
    ("variables.words|unique|sort|join", "ab"),
    ("'straße'|upper", "STRASSE"),
]
FAILURES = [
    ("'x'|abs", "type_mismatch"),
    ("true|abs", "type_mismatch"),
    ("[]|first", "empty_list"),
    ("''|last", "empty_list"),
    ("input|first", "type_mismatch"),
    ("'abc'|float", "not_a_number"),
    ("'nan'|float", "not_a_number"),
    ("'infinity'|float", "not_a_number"),
    ("'1_000'|int", "not_a_number"),
    ("'2.5'|int", "not_a_number"),
    ("''|int", "not_a_number"),
    ("('9'|replace('9', '99999999')|replace('9', '99999999'))|int", "not_a_number"),
    ("'99999999999999999999'|int", "number_out_of_range"),
    ("true|int", "type_mismatch"),
    ("none|float", "type_mismatch"),
    ("input.l|items", "type_mismatch"),
    ("input.l|keys", "type_mismatch"),
    ("input.l|values", "type_mismatch"),
    ("input.s|join(',')", "type_mismatch"),
    ("input.l|join(1)", "type_mismatch"),
    ("3|length", "type_mismatch"),
    ("3|lower", "type_mismatch"),
    ("input|map(attribute='a')", "type_mismatch"),
    ("variables.people|map(attribute='at.nowhere')", "undefined_name"),
    ("input.l|map(attribute='a')", "undefined_name"),
    ("[]|max", "empty_list"),
    ("variables.mixed|max", "type_mismatch"),
    ("[[1], [2]]|min", "type_mismatch"),
    ("variables.people|selectattr('nowhere')", "undefined_name"),
    ("variables.people|selectattr('age', '>', 'x')", "type_mismatch"),
    ("variables.people|selectattr('age', '+', 1)", "wrong_argument"),
    ("variables.people|rejectattr('age', 3)", "wrong_argument"),
    ("input.s|replace('', 'x')", "wrong_argument"),
    ("input.s|replace(1, 2)", "type_mismatch"),
    ("3|reverse", "type_mismatch"),
    ("2.5|round(-1)", "wrong_argument"),
    ("2.5|round('1')", "wrong_argument"),
    ("'2.5'|round", "type_mismatch"),
    ("variables.mixed|sort", "type_mismatch"),
    ("[true, false]|sort", "type_mismatch"),
    ("input.l|sort(reverse=1)", "type_mismatch"),
    ("input.s|split('')", "wrong_argument"),
    ("3|split", "type_mismatch"),
    ("variables.words|sum", "type_mismatch"),
    ("[1e308, 1e308]|sum", "number_out_of_range"),
    ("3|trim", "type_mismatch"),
    ("[[1]]|unique", "type_mismatch"),
    ("none|upper", "type_mismatch"),
]
NEVER_FAIL = {"string", "tojson"}


@pytest.mark.parametrize(("source", "expected"), VALUES, ids=[source for source, _ in VALUES])
def test_a_filter_gives_its_value(source: str, expected: object) -> None:
    found = value(source)
    assert same(found, expected), found


@pytest.mark.parametrize(("source", "name"), FAILURES, ids=[source for source, _ in FAILURES])
def test_a_filter_refuses_what_it_has_no_meaning_for(source: str, name: str) -> None:
    assert failure(source).name == name


def test_every_filter_is_tried_here() -> None:
    def is_used(name: str, cases: list[tuple[str, object]] | list[tuple[str, str]]) -> bool:
        return any(f"|{name}" in source for source, _ in cases)

    assert [name for name in FILTERS if not is_used(name, VALUES)] == []
    assert [name for name in FILTERS if not is_used(name, FAILURES)] == sorted(NEVER_FAIL)


def test_numbers_in_a_list_may_be_larger_than_ours_until_they_come_out() -> None:
    context = {"input": {"l": [10**400, 1.5]}}
    assert value("input.l|length", context) == 2
    assert failure("input.l|sum", context).name == "number_out_of_range"
    assert failure("input.l|max", context).name == "number_out_of_range"


def test_an_attribute_is_found_by_its_whole_way() -> None:
    assert failure("variables.people|map(attribute='at.away')").message == "element 0 of the list has no `at.away`"
    assert refusal("variables.people|map(attribute=input.s)").name == "wrong_argument"
