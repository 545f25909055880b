"""Every bound holds, with a named error, and just below it all is well; nothing here can crash or stall the process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import expression, template
from taskengine.expr.compiler import compile_expression
from taskengine.expr.interpreter import evaluate
from taskengine.expr.limits import FUEL, MAX_DEPTH, MAX_RENDERED_BYTES, MAX_SOURCE_BYTES, MAX_TEMPLATE_DEPTH, MAX_WORK
from tests.expr.values import DOCUMENT, failure, limit, value


def test_a_source_of_4_kib_is_the_longest() -> None:
    text = "é" * ((MAX_SOURCE_BYTES - 2) // 2)
    assert value(f"'{text}'") == text
    assert limit(f"'{text}e'").name == "expression_too_long"
    assert limit(f"{'1 + ' * 32_000}1").name == "expression_too_long"


# How to make an expression n levels deep, and the most levels of each that are accepted.
NESTED: dict[str, tuple[Callable[[int], str], int]] = {
    "brackets": (lambda n: "(" * n + "1" + ")" * n, MAX_DEPTH),
    "lists": (lambda n: "[" * n + "1" + "]" * n, MAX_DEPTH - 1),
    "objects": (lambda n: '{"a":' * n + "1" + "}" * n, MAX_DEPTH - 1),
    "sums": (lambda n: "1" + " + 1" * n, MAX_DEPTH - 1),
    "brackets left of an operator": (lambda n: "(" * n + "input.x" + " - 1)" * n, MAX_DEPTH - 1),
    "brackets right of an operator": (lambda n: "1 - (" * n + "input.x" + ")" * n, MAX_DEPTH // 2),
    "signs": (lambda n: "-" * n + "input.x", MAX_DEPTH - 1),
    "nots": (lambda n: "not " * n + "input.flag", MAX_DEPTH - 1),
    "elses": (lambda n: "1 if input.flag else " * n + "2", MAX_DEPTH - 1),
    "conditions": (lambda n: "(1 if " * n + "input.flag" + " else 2)" * n, MAX_DEPTH - 1),
    "indexes": (lambda n: "input.l[" * n + "0" + "]" * n, MAX_DEPTH),
    "pieces": (lambda n: "input.l[" * n + "0" + ":]" * n, MAX_DEPTH - 1),
    "filters": (lambda n: "input.x" + "|abs" * n, MAX_DEPTH - 1),
    "defaults": (lambda n: "input.nowhere|default(" * n + "1" + ")" * n, MAX_DEPTH - 1),
    "arguments": (lambda n: "input.l|join(" * n + "','" + ")" * n, MAX_DEPTH - 1),
    "memberships": (lambda n: "(" * n + "1" + " in input.l)" * n, MAX_DEPTH - 1),
}


def outcome(source: str) -> str:
    """Return the name of what evaluating raises, or nothing. Compiling must not raise."""
    compiled = expression(source)
    try:
        compiled.evaluate(DOCUMENT)
    except ExpressionError as error:
        return error.name
    return ""


@pytest.mark.parametrize("shape", NESTED)
def test_nesting_is_bounded_before_minijinja_or_python_is(shape: str) -> None:
    make, most = NESTED[shape]
    for depth in range(1, most + 1):
        assert outcome(make(depth)) != "expression_failed"
    assert limit(make(most + 1)).name == "expression_too_deep"
    deepest = (MAX_SOURCE_BYTES - 20) * most // len(make(most))
    assert limit(make(deepest)).name == "expression_too_deep"


def test_the_deepest_expressions_fit_into_one_mib_of_stack() -> None:
    """In a process of its own, because the other outcome is no exception. Threads have 8 MiB on most systems, 1 MiB on musl."""
    sources = [*[make(most) for make, most in NESTED.values()], *["1" + f" {symbol} 1" * 580 for symbol in ("and", "or", "~")]]
    program = f"""
import threading
from taskengine.errors import ExpressionError
from taskengine.expr import expression
done = []
def evaluate():
    for source in {sources!r}:
        try:
            expression(source).evaluate({DOCUMENT!r})
        except ExpressionError:
            pass
        done.append(source)
threading.stack_size(1024 * 1024)
thread = threading.Thread(target=evaluate)
thread.start()
thread.join()
assert len(done) == {len(sources)}
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("symbol", ["and", "or", "~"])
def test_a_flat_chain_may_fill_the_whole_source(symbol: str) -> None:
    count = (MAX_SOURCE_BYTES - 1) // len(f"1 {symbol} ")
    assert value(f"1 {symbol} " * count + "1") in {1, "1" * (count + 1)}


def test_a_list_may_fill_the_whole_source() -> None:
    count = (MAX_SOURCE_BYTES - 2) // 2
    assert value(f"[{'1,' * count}]") == [1] * count


def test_levels_of_every_precedence_in_each_other_do_not_exhaust_the_stack() -> None:
    level = "1 or 1 and not 1 == 1 + 1 ~ 1 * 1 ** ("
    count = MAX_SOURCE_BYTES // (len(level) + 2)
    assert limit(level * count + "1" + ")" * count).name == "expression_too_deep"


BIG: dict[str, Any] = {
    "input": {
        "text": "a" * (MAX_WORK // 2),
        "long": "b" * 10_000,
        "list": list(range(MAX_WORK // 8)),
        "rows": [{"a": number, "b": "x"} for number in range(20_000)],
    }
}
EXPENSIVE = {
    "joining": "input.text ~ input.text ~ input.text",
    "adding texts": "input.text + input.text + input.text",
    "adding lists": " + ".join(["input.list"] * 6),
    "sorting": "input.list|sort|sort|sort|sort",
    "turning around": "input.list" + "|reverse" * 20,
    "replacing": "input.text|replace('a', 'aaaa')",
    "changing case": "input.text|upper|lower|upper|lower|upper",
    "a long separator": "input.list|join(input.long)",
    "splitting and joining": "input.text" + "|split('a')|join" * 10,
    "one text many times": "[input.text, input.text, input.text]",
    "one list many times, as text": "[" + "input.list," * 8 + "]|tojson",
    "one list many times, nested": "{'a': input.rows, 'b': [" + "input.rows," * 100 + "]}",
    "comparing": "[" + "input.rows," * 100 + "] == [" + "input.rows," * 100 + "]",
    "searching texts": " or ".join(["'b' in input.text"] * 6),
    "searching lists": " or ".join(["0.5 in input.list"] * 30),
    "selecting": "input.rows" + "|selectattr('a', '>=', 0)" * 60 + "|reverse" * 2 + " + input.rows" + "|reverse" * 50,
    "pieces": "input.list" + "[1:]" * 60,
}


@pytest.mark.parametrize("what", EXPENSIVE)
def test_work_that_the_source_multiplies_is_bounded(what: str) -> None:
    error = failure(EXPENSIVE[what], BIG)
    assert error.name == "expression_too_expensive"
    assert error.hint == "do this in a step of its own"


def test_repeating_is_no_arithmetic() -> None:
    assert failure("'x' * 1000000000").name == "type_mismatch"
    assert failure("[1] * 1000000000").name == "type_mismatch"


def test_what_is_large_but_touched_once_is_no_problem() -> None:
    document = msgspec.json.encode(BIG)
    assert expression("input.text|length").evaluate(document) == MAX_WORK // 2
    assert expression("input.list|sum").evaluate(document) == sum(BIG["input"]["list"])
    assert expression("input.rows|map(attribute='a')|max").evaluate(document) == 19_999
    assert expression("input.rows == input.rows").evaluate(document) is True
    assert expression("input").evaluate(document) == BIG["input"]


def test_fuel_that_runs_out_is_an_expression_too_expensive() -> None:
    """4 KiB cannot use up the real amount, so a smaller one is given."""
    program = compile_expression(" and ".join(["input.x"] * 50))
    data: dict[str, Any] = {"input": {"x": 1}}
    assert evaluate(program, data) == 1
    with pytest.raises(ExpressionError) as caught:
        evaluate(program, data, fuel=20)
    assert (caught.value.name, caught.value.facts["source"]) == ("expression_too_expensive", program.source)


@pytest.mark.parametrize(
    "source", ["[" + "1," * 2_046 + "]", "1" + "~1" * 2_000, "1" + " and 1" * 600, "[" + "-index," * 500 + "]"]
)
def test_no_source_can_use_up_the_fuel(source: str) -> None:
    evaluate(compile_expression(source), {"index": 1}, fuel=FUEL // 4)


def test_deep_data_is_no_problem() -> None:
    deep: Any = 1
    for _ in range(200):
        deep = {"a": [deep]}
    context = {"input": {"one": deep, "other": deep}}
    assert value("input.one == input.other", context) is True
    assert value("input.one|tojson == input.other|tojson", context) is True
    assert value("[input.one]", context) == [deep]


def test_no_more_than_1_mib_comes_out_of_a_template() -> None:
    def render(source: Any, size: int) -> Any:
        return template(source).render(msgspec.json.encode({"input": {"t": "a" * size}}))

    most = MAX_RENDERED_BYTES - 2  # the quotes of its JSON
    assert render("{{ input.t }}", most) == "a" * most
    assert render("<{{ input.t }}>", most) == f"<{'a' * most}>"
    for source, size in (
        ("{{ input.t }}", most + 1),
        ("{{ input.t }}{{ input.t }}", most // 2 + 2),
        (["{{ input.t }}"] * 1_000, 2_000),
        ({"a": "{{ [input.t, input.t, input.t] }}"}, most // 3),
        ("{{ input }}" * 1_000, 2_000),
    ):
        with pytest.raises(LimitError) as caught:
            render(source, size)
        assert caught.value.name == "result_too_large"
        assert caught.value.facts["limit"] == MAX_RENDERED_BYTES


def test_a_template_is_at_most_64_levels_deep() -> None:
    def nested(depth: int) -> Any:
        made: Any = "{{ input.x }}"
        for _ in range(depth):
            made = [made]
        return made

    assert template(nested(MAX_TEMPLATE_DEPTH)).names == {"input.x"}
    with pytest.raises(LimitError) as caught:
        template(nested(MAX_TEMPLATE_DEPTH + 2))
    assert caught.value.name == "template_too_deep"
