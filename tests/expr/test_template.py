"""Templates: where an expression begins and ends in a text, what comes out, and where an error is said to be."""

from __future__ import annotations

from typing import Any

import pytest

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import Template, template
from tests.expr.reference import same
from tests.expr.values import DOCUMENT

RENDERED = [
    ("plain", "plain"),
    ("", ""),
    (5, 5),
    (None, None),
    ([1, {"a": [True, 1.5]}], [1, {"a": [True, 1.5]}]),
    ("{{ input.x }}", 3),
    ("{{input.x}}", 3),
    ("{{\n input.x\n}}", 3),
    ("{{ input.l }}", [3, 1, 2]),
    ("{{ input.n }}", None),
    ("{{ input.flag }}", True),
    ("{{ steps.load.output }}", {"rows": 12, "items": ["a", "b"], "status": "ok"}),
    (" {{ input.x }}", " 3"),
    ("{{ input.x }}\n", "3\n"),
    ("{{ input.x }}{{ input.x }}", "33"),
    ("https://x/{{ input.s }}?n={{ input.x + 1 }}", "https://x/abc?n=4"),
    ("{{ input.n }} {{ input.flag }} {{ input.y }} {{ 2.0 }} {{ input.l }} {{ {'a': 'é'} }}", 'null true 2.5 2 [3,1,2] {"a":"é"}'),
    ("{{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
    ("{{ {'a': {'b': 1}}}}", {"a": {"b": 1}}),
    ("{{{'a': {}}}}!", '{"a":{}}!'),
    ("{{ '}}' }}", "}}"),
    ("{{ '{{' }} and {{ \"{%\" }}", "{{ and {%"),
    ("{{ 'a' if input.flag else '}}' }}", "a"),
    ("}} { } {a} {'a': {'b': 1}} 100%} #}", "}} { } {a} {'a': {'b': 1}} 100%} #}"),
    ("${#array[@]} {#x {%y", "${#array[@]} {#x {%y"),
    ("{{ -input.x }}", -3),
    ({"a": "{{ input.x }}", "b": ["{{ input.s }}", "-{{ index }}-"], "c": 1}, {"a": 3, "b": ["abc", "-1-"], "c": 1}),
    ({"{{ input.x }}": "{{ input.x }}"}, {"{{ input.x }}": 3}),
]


@pytest.mark.parametrize(("source", "expected"), RENDERED, ids=[ascii(source) for source, _ in RENDERED])
def test_a_template_renders(source: Any, expected: Any) -> None:
    found = template(source).render(DOCUMENT)
    assert same(found, expected), found


def test_text_that_came_out_is_not_read_again() -> None:
    context = b'{"input": {"evil": "{{ secrets.token }}", "half": "{{ "}, "secrets": {"token": "t"}}'
    assert template("{{ input.evil }}").render(context) == "{{ secrets.token }}"
    assert template("a {{ input.evil }}").render(context) == "a {{ secrets.token }}"
    assert template("{{ input.half }}secrets.token }}").render(context) == "{{ secrets.token }}"
    assert template("{{ input.evil ~ '' }}").render(context) == "{{ secrets.token }}"


def test_names_and_constancy_are_known_without_rendering() -> None:
    made = template({"a": ["{{ steps.load.output.rows }} of {{ input.x }}"], "b": "{{ item is defined }}", "c": "text"})
    assert made.names == {"steps.load.output.rows", "input.x", "item"}
    assert not made.is_constant
    constants: list[Any] = ["text", {"a": [1, None, "} }} {"]}, [], "${#x}"]
    for constant in constants:
        assert template(constant).is_constant
        assert template(constant).names == frozenset()
    assert not template("{{ 1 }}").is_constant


def test_a_constant_never_looks_at_the_context() -> None:
    assert template({"a": ["text"]}).render(b"this is no JSON") == {"a": ["text"]}


def test_what_went_in_and_what_came_out_can_be_changed_without_harm() -> None:
    given: Any = {"a": [1, {"b": "{{ input.l }}"}], "c": [2]}
    for made in (template(given), template({"c": [2]})):
        first: Any = made.render(DOCUMENT)
        for element in ([*first["a"], first["a"][1]["b"]] if "a" in first else []), first["c"]:
            element.clear()
        first["c"] = None
    made = template(given)
    given["a"].clear()
    second: Any = made.render(DOCUMENT)
    second["a"][1]["b"].append(4)
    assert made.render(DOCUMENT) == {"a": [1, {"b": [3, 1, 2]}], "c": [2]}
    with pytest.raises(AttributeError):
        made.names = frozenset()  # type: ignore[misc]


def test_more_names_can_be_known_to_a_template() -> None:
    made = template({"raw": "{{ output.body }}"}, extra_roots=("output",))
    assert made.render(b'{"output": {"body": [1]}}') == {"raw": [1]}
    assert made.names == {"output.body"}
    with pytest.raises(ExpressionError):
        template("{{ output.body }}")


# source, error, offset in the text
REFUSED = [
    ("{{ input.x", "unclosed_expression", 0),
    ("a {{ input.x }", "unbalanced_bracket", 13),
    ("a {{", "unclosed_expression", 2),
    ("{{ }}", "empty_expression", 3),
    ("a {{ 'b }}", "unclosed_text", 5),
    ("{{ (input.x }}", "unbalanced_bracket", 3),
    ("{{ input.x) }}", "unbalanced_bracket", 10),
    ("{{ [1) }}", "unbalanced_bracket", 3),
    ('{{ input.x == "a" && y }}', "unknown_operator", 18),
    ("a {{ input.x }} b {{ nowhere }}", "unknown_name", 21),
    ("{{ input.x }} {{ input.y() }}", "call_refused", 17),
    ("{{- input.x }}", "trim_refused", 2),
    ("{{ input.x -}}", "unexpected_end", 12),
    ("{{+ input.x }}", "unexpected_token", 2),
    ("a {% if input.x %} b {% endif %}", "statement_refused", 2),
    ("{% set x = 1 %}{{ input.x }}", "statement_refused", 0),
    ("{{ input.x }}{# hidden #}", "statement_refused", 13),
    ("{{ input.x {% raw %} }}", "unexpected_token", 11),
    ("{{ {{ input.x }} }}", "unexpected_token", 4),
]


@pytest.mark.parametrize(("source", "name", "offset"), REFUSED, ids=[source for source, *_ in REFUSED])
def test_a_template_that_cannot_be_is_refused_where_it_is_wrong(source: str, name: str, offset: int) -> None:
    for _ in range(2):  # the same when a cache has seen it
        with pytest.raises(ExpressionError) as caught:
            template({"headers": ["fine {{ input.x }}", source]})
        assert caught.value.name == name
        assert caught.value.facts["source"] == source
        assert caught.value.facts["offset"] == offset
        assert caught.value.facts["place"] == ("headers", 1)


def test_a_statement_is_answered_with_how_to_mean_its_characters() -> None:
    with pytest.raises(ExpressionError) as caught:
        template("{% if input.x %}")
    assert caught.value.hint == 'to mean these characters, write {{ "{%" }}'
    assert template('{{ "{%" }} if input.x %}').render(DOCUMENT) == "{% if input.x %}"


def test_an_error_while_rendering_tells_the_text_the_offset_and_the_place() -> None:
    with pytest.raises(ExpressionError) as caught:
        template({"a": [1, {"b": "x {{ input.x }} {{ 1 + input.nowhere }}"}]}).render(DOCUMENT)
    error = caught.value
    assert error.name == "undefined_name"
    assert error.facts["source"] == "x {{ input.x }} {{ 1 + input.nowhere }}"
    assert error.facts["offset"] == 23
    assert error.facts["place"] == ("a", 1, "b")


def test_an_expression_in_a_template_is_at_most_4_kib() -> None:
    with pytest.raises(LimitError) as caught:
        template({"a": "{{ " + "1 + " * 2_000 + "1 }}"})
    assert caught.value.name == "expression_too_long"
    assert caught.value.facts["place"] == ("a",)
    long = "text " * 10_000
    assert template(long + "{{ input.x }}").render(DOCUMENT) == long + "3"


def test_what_is_no_json_is_refused() -> None:
    not_json: Any
    for not_json in (float("nan"), float("inf"), {1, 2}, object(), b"bytes"):
        with pytest.raises(ExpressionError) as caught:
            template([not_json])
        assert (caught.value.name, caught.value.facts["place"]) == ("not_json", (0,))


def test_a_context_that_is_no_object_is_an_error() -> None:
    with pytest.raises(ExpressionError) as caught:
        Template("{{ input.x }}").render(b"3")
    assert caught.value.name == "context_not_an_object"
