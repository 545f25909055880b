"""What an unquoted word means, word by word, against the core schema of YAML 1.2."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskengine.define import load_text
from taskengine.define.finding import Problems
from taskengine.define.json_reader import read_json
from taskengine.define.scalars import OutOfRange, resolve
from taskengine.define.tree import plain
from taskengine.define.yaml_reader import read_yaml
from tests.define.workflows import json_values

TEXTS = [
    "on",
    "off",
    "yes",
    "no",
    "y",
    "n",
    "1:30",
    "12:30:45",
    "190:20:30",
    "1_000",
    "0b11",
    "2026-11-21",
    "2026-11-21T09:00:00Z",
    "+",
    "-",
    ".",
    "..",
    "1.2.3",
    "e5",
    "1e",
    "0x",
    "0o8",
    "0xg",
    "\uff11\uff12",
    "tRue",
    "nULL",
    "=",
    "<<",
]


@pytest.mark.parametrize("word", TEXTS)
def test_words_of_other_languages_and_of_yaml_1_1_are_text(word: str) -> None:
    assert resolve(word) == word


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("FALSE", False),
        ("0", 0),
        ("-0", 0),
        ("012", 12),
        ("+7", 7),
        ("0o17", 15),
        ("0xFf", 255),
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("1.0", 1.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("-1.5E-3", -0.0015),
        ("9007199254740993", 9007199254740993),
    ],
)
def test_a_word_has_the_value_and_the_type_that_the_core_schema_gives_it(word: str, value: object) -> None:
    assert resolve(word) == value
    assert type(resolve(word)) is type(value)


@pytest.mark.parametrize(
    "word",
    [
        ".inf",
        "-.INF",
        "+.Inf",
        "NaN",
        "Infinity",
        "-Infinity",
        ".nan",
        ".NaN",
        "1e400",
        "18446744073709551616",
        "-9223372036854775809",
        "0x1" + "0" * 16,
        "9" * 5_000,
        "1" * 500 + ".0",
    ],
    ids=lambda word: word[:12],
)
def test_a_number_that_cannot_be_stored_is_refused(word: str) -> None:
    with pytest.raises(OutOfRange):
        resolve(word)


@given(value=json_values.filter(lambda value: isinstance(value, dict | list)))
def test_the_json_reader_reads_what_a_json_parser_reads(value: object) -> None:
    text = msgspec.json.encode(value).decode()
    problems = Problems()
    root = read_json(text, problems, max_steps=10_000)
    assert problems.found == []
    assert root is not None
    assert plain(root) == value


plain_texts = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), max_size=12)


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | plain_texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_texts, inner, max_size=3),
        max_leaves=8,
    )
)
def test_both_readers_read_the_same_from_json(value: object) -> None:
    text = msgspec.json.encode([value]).decode()
    problems = Problems()
    as_yaml = read_yaml(text, problems, max_steps=10_000)
    assert problems.found == []
    assert as_yaml is not None
    assert plain(as_yaml) == [value]


def test_json_keeps_what_only_json_can_say() -> None:
    key = "k" * 2_000  # longer than a key of YAML may be
    variables = f'{{"{key}"\n: "\\ud83d\\ude00 \\/ \u2028 \x7f \\u0041"}}'
    checked = load_text(f'{{"name": "a", "variables": {variables}, "steps": [{{"id": "a", "type": "noop"}}]}}', file="a.json")
    assert checked.findings == ()
    assert checked.workflow is not None
    assert checked.workflow.variables == {key: "😀 / \u2028 \x7f A"}
