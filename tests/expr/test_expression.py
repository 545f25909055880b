"""What expressions mean, what they read, and what a compiled one promises."""

from __future__ import annotations

import subprocess
import sys
import threading

import msgspec
import pytest

from taskengine.errors import ExpressionError
from taskengine.expr import ROOTS, Expression, expression, truth
from tests.expr.reference import same
from tests.expr.values import DOCUMENT, failure, refusal, value

VALUES = [
    ("input.x", 3),
    ("input.x > 2", True),
    ("input.x > 2 and input.s == 'abc'", True),
    ("input.x > 5 or input.flag", True),
    ("not input.flag", False),
    ("not input.x == 3", False),
    ("1 + 2 * 3", 7),
    ("(1 + 2) * 3", 9),
    ("10 - 3 - 2", 5),
    ("7 // 2", 3),
    ("-7 // 2", -4),
    ("7 % 3", 1),
    ("-7 % 3", 2),
    ("7 / 2", 3.5),
    ("6 / 2", 3),
    ("2 ** 10", 1024),
    ("2 ** -1", 0.5),
    ("-input.x", -3),
    ("- - input.x", 3),
    ("-input.x|abs", 3),
    ("1 + -1", 0),
    ("1e3", 1000),
    ("'a' ~ 1 ~ true ~ none ~ 1.5 ~ 2.0 ~ input.l", "a1truenull1.52[3,1,2]"),
    ("1 ~ 2 * 3", "16"),
    ("'a' + 'b'", "ab"),
    ("input.l + [9]", [3, 1, 2, 9]),
    ("'a' if input.flag else 'b'", "a"),
    ("1 if false else 2 if false else 3", 3),
    ("input.n or 'instead'", "instead"),
    ("input.empty and input.nowhere", ""),
    ("input.l[0] + input.l[-1]", 5),
    ("input.l[1:]", [1, 2]),
    ("input.l[:-1]", [3, 1]),
    ("input.s[1:2] ~ input.s[0]", "ba"),
    ("input.l[index]", 1),
    ("input['a b']", 7),
    ("steps[input.s|replace('abc', 'load')].status", "completed"),
    ("(variables.people|first).name", "bo"),
    ("[1, [input.x], {'a': none,},]", [1, [3], {"a": None}]),
    ("{}", {}),
    ("2 in input.l", True),
    ("4 not in input.l", True),
    ("'b' in input.s", True),
    ("'rows' in steps.load.output", True),
    ("none in input.l", False),
    ("input.n is none", True),
    ("input.n is not none", False),
    ("input.x is number and input.s is string and input.l is sequence and input is mapping", True),
    ("input.flag is boolean and input.flag is not number", True),
    ("2.0 is integer and 2.5 is not integer", True),
    (r"""'it\'s' ~ "\n\t\u00e9\ud83d\ude00\x41\\" """, "it's\n\té😀A\\"),
    ("item.größe", 5),
    ("True and None == none", True),
]


@pytest.mark.parametrize(("source", "expected"), VALUES, ids=[source for source, _ in VALUES])
def test_an_expression_has_its_value(source: str, expected: object) -> None:
    found = value(source)
    assert same(found, expected), found


def test_a_key_is_found_where_python_has_a_method() -> None:
    assert value("item.keys + item.items + item.in + item.clear") == 10
    assert value("steps.load.output.items") == ["a", "b"]


def test_only_what_decides_is_evaluated() -> None:
    assert value("true or input.nowhere") is True
    assert value("false and input.nowhere") is False
    assert value("1 if true else input.nowhere") == 1


NAMES = [
    ("1 + 2", set()),
    ("input", {"input"}),
    ("input.x", {"input.x"}),
    ("steps.load.output.rows > 0 and item", {"steps.load.output.rows", "item"}),
    ("input['x']['y z'].w", {"input.x"}),
    ("input.l[0].name", {"input.l"}),
    ("input.rows[index].name", {"input.rows", "index"}),
    ("steps[input.which].output", {"steps", "input.which"}),
    ("input.x is defined", {"input.x"}),
    ("input.x|default(variables.y)", {"input.x", "variables.y"}),
    ("{'input.z': secrets.token}", {"secrets.token"}),
    ("'input.x'", set()),
    ("input.l[variables.from:variables.to]", {"input.l", "variables.from", "variables.to"}),
]


@pytest.mark.parametrize(("source", "names"), NAMES, ids=[source for source, _ in NAMES])
def test_the_names_are_what_the_text_reads(source: str, names: set[str]) -> None:
    assert expression(source).names == names


def test_every_root_can_be_read_and_no_other_name() -> None:
    for root in ROOTS:
        assert value(root, {root: 1}) == 1
    assert refusal("output.rows").name == "unknown_name"
    assert expression("output.rows", extra_roots=("output",)).evaluate(b'{"output": {"rows": 2}}') == 2
    assert refusal("result", extra_roots=("output",)).name == "unknown_name"


def test_a_condition_is_true_or_false_and_nothing_else() -> None:
    assert truth(expression("input.x > 2"), DOCUMENT) is True
    assert truth(expression("input.x > 3"), DOCUMENT) is False
    hints = {"input.x": "ask `… > 0`", "input.n": "ask `… != none`", "input.s": 'ask `… != ""`', "input.l": "ask `…|length > 0`"}
    for source, hint in hints.items():
        with pytest.raises(ExpressionError) as caught:
            truth(expression(source), DOCUMENT)
        assert (caught.value.name, caught.value.hint, caught.value.facts["source"]) == ("not_a_boolean", hint, source)


def test_expressions_are_equal_by_source_and_cannot_be_changed() -> None:
    assert Expression("input.x") == expression("input.x") != expression("input.y")
    assert len({expression("input.x"), Expression("input.x"), expression("input.y")}) == 2
    assert repr(expression("input.x")) == "Expression('input.x')"
    for attribute in ("source", "names", "other"):
        with pytest.raises(AttributeError):
            setattr(expression("input.x"), attribute, "input.y")


@pytest.mark.parametrize(
    "attempt", ["input.clear()", "input.pop('x')", "input.l.append(1)", "input.l.sort()", "input.l.clear()", "input.update({})"]
)
def test_a_method_call_is_refused_and_changes_nothing(attempt: str) -> None:
    before = value("input")
    assert refusal(attempt).name == "call_refused"
    assert value("input") == before


def test_what_comes_out_belongs_to_the_caller() -> None:
    keep = expression("input.l")
    first = keep.evaluate(DOCUMENT)
    assert isinstance(first, list)
    first.clear()
    assert keep.evaluate(DOCUMENT) == [3, 1, 2]


def test_no_filter_changes_what_it_reads() -> None:
    source = "[variables.words|sort, variables.words|reverse, variables.words|unique, variables.words + ['c'], variables.words]"
    assert value(source) == [["a", "b", "b"], ["b", "a", "b"], ["b", "a"], ["b", "a", "b", "c"], ["b", "a", "b"]]


def test_a_context_that_is_no_object_is_an_error() -> None:
    with pytest.raises(ExpressionError) as caught:
        expression("input.x").evaluate(b"[1]")
    assert caught.value.name == "context_not_an_object"
    with pytest.raises(msgspec.DecodeError):
        expression("input.x").evaluate(b"{")


def test_threads_share_a_compiled_expression() -> None:
    compiled = expression("input.x * 2 + (input.l|sum)")
    wrong: list[object] = []

    def evaluate(number: int) -> None:
        document = msgspec.json.encode({"input": {"x": number, "l": [number] * 3}})
        wrong.extend(found for _ in range(300) if (found := compiled.evaluate(document)) != 5 * number)

    threads = [threading.Thread(target=evaluate, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_minijinja_is_loaded_only_when_something_is_evaluated() -> None:
    program = """
import sys
from taskengine.expr import expression, template
assert template({"a": [1, "text"]}).render(b"{}") == {"a": [1, "text"]}
assert expression("input.x").evaluate(b'{"input": {"x": 1}}') == 1
assert "minijinja" not in sys.modules
assert expression("input.x + 1").evaluate(b'{"input": {"x": 1}}') == 2
assert "minijinja" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_an_evaluation_error_tells_the_source_and_the_place() -> None:
    error = failure("input.x + 1 > input.s")
    assert (error.name, error.facts["offset"]) == ("type_mismatch", 12)
    error = failure("1 + input.nowhere.deep")
    assert (error.name, error.facts["offset"]) == ("undefined_name", 4)
