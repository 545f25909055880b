"""What ``--input`` means: typed by the schema where it says something, guessed as JSON where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskengine.cli.inputs import read_inputs
from taskengine.errors import DefinitionError, NotFoundError
from taskengine.model.value import encode

ONE_OF_EACH = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "share": {"type": "number"},
        "flag": {"type": "boolean"},
        "list": {"type": "array"},
        "map": {"type": "object"},
        "either": {"type": ["string", "integer"]},
        "perhaps": {"type": ["integer", "null"]},
        "free": {"description": "any"},
    },
}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("text=5", "5"),
        ("text=true", "true"),
        ("text=", ""),
        ("text=a=b", "a=b"),
        ('text="quoted"', '"quoted"'),
        ("count=5", 5),
        ("share=5", 5),
        ("share=0.5", 0.5),
        ("flag=true", True),
        ("list=[1, 2]", [1, 2]),
        ('map={"a": {"b": null}}', {"a": {"b": None}}),
        ("either=5", 5),
        ("either=five", "five"),
        ("either=[5]", "[5]"),
        ("perhaps=null", None),
        ("free=5", 5),
        ("free=null", None),
        ("free=five", "five"),
        ('free="five"', '"five"'),
        ("other=[1]", [1]),
        ("other=2026-11-21", "2026-11-21"),
    ],
)
def test_a_value_has_the_type_that_was_declared_or_the_one_it_looks_like(option: str, value: Any) -> None:
    found = read_inputs([option], ONE_OF_EACH)
    assert found == {option.partition("=")[0]: value}
    assert type(next(iter(found.values()))) is type(value)


@pytest.mark.parametrize(
    "option", ["count=five", "count=0.5", "count=true", "share=half", "flag=yes", "list={}", "map=[]", "perhaps=no"]
)
def test_a_value_of_another_type_is_named_with_what_was_expected(option: str) -> None:
    with pytest.raises(DefinitionError, match=rf"input\.{option.partition('=')[0]}: must be ") as refused:
        read_inputs([option], ONE_OF_EACH)
    assert refused.value.name == "invalid_input"


def test_everything_that_is_wrong_is_said_at_once_with_options_to_add() -> None:
    schema = {
        "required": ["csv", "size"],
        "additionalProperties": False,
        "properties": {"csv": {"type": "string"}, "size": {"type": "integer"}, "pace": {"type": "integer"}},
    }
    with pytest.raises(DefinitionError) as refused:
        read_inputs(["pase=1", "pace=slow"], schema)
    assert "input.pase: is not known, did you mean pace?" in refused.value.message
    assert 'input.pace: must be integer, not the text "slow"' in refused.value.message
    assert "input.csv: is missing; input.size: is missing" in refused.value.message
    assert refused.value.hint == "add --input csv=text --input size=5"


@pytest.mark.parametrize("option", ["", "=5", "name", "name:5"])
def test_what_is_no_pair_is_refused(option: str) -> None:
    with pytest.raises(DefinitionError, match="is no input"):
        read_inputs([option], None)


def test_a_later_value_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"a": 1, "b": 2}', encoding="utf-8")
    assert read_inputs(["a=0", f"@{tmp_path / 'input.json'}", "b=3"], None) == {"a": 1, "b": 3}


def test_values_of_a_file_are_checked_like_the_others(tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('{"count": "5"}', encoding="utf-8")
    with pytest.raises(DefinitionError, match=r"input\.count: must be integer"):
        read_inputs([f"@{tmp_path / 'input.json'}"], ONE_OF_EACH)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[1]", "holds a list"),
        (b"{", "is not JSON"),
        (b"", "is not JSON"),
        (b"\xff", "1:1: .* is not JSON"),
        (b'{"a": 1,\n "b": nul}', "2:11: .* is not JSON"),
        (b'{"a": {"b": 1, "b": 2}}', 'the key "b" stands twice'),
        (b"[" * 100_000, "nested too deep"),
    ],
    ids=["list", "broken", "empty", "bytes", "word", "twice", "deep"],
)
def test_a_file_that_holds_no_object_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_bytes(content)
    with pytest.raises(DefinitionError, match=said):
        read_inputs([f"@{tmp_path / 'input.json'}"], None)


def test_a_file_that_is_not_there_or_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        read_inputs([f"@{tmp_path / 'absent'}"], None)
    with pytest.raises(DefinitionError, match="cannot be read"):
        read_inputs([f"@{tmp_path}"], None)


@pytest.mark.parametrize(
    "schema", [{"properties": [1]}, {"required": "csv"}, {"properties": {"a": 5}}, {"properties": {"a": {"type": 7}}}]
)
def test_a_schema_that_was_never_checked_is_refused_by_name(schema: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="the schema of the input cannot be used") as refused:
        read_inputs(["a=5"], schema)
    assert refused.value.name == "bad_schema"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_json_that_is_no_text_comes_through_as_it_is_where_nothing_is_declared(value: Any) -> None:
    text = encode(value).decode()
    expected = text if isinstance(value, str) else value
    assert read_inputs([f"free={text}"], None) == {"free": expected}


@given(st.text())
def test_declared_text_comes_through_untouched(value: str) -> None:
    assert read_inputs([f"text={value}"], ONE_OF_EACH) == {"text": value}
