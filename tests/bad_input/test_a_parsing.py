"""Bad inputs A: what is not JSON, or is JSON that another reader would read otherwise. The numbers are those of the list.

Each goes where it can: into a document, an input file, an input of a program, a signal, a result. 12 to 15 of the list are about
HTTP bodies; here they are their likes: packed bytes, bytes of another encoding, very many names, the same name twice.
"""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine
from taskengine.errors import TaskEngineError
from tests.bad_input.measured import ECHO, WAIT, Bad, Found, findings, in_command_line, kept, refused, told, within

STEPS = "\nsteps: [{id: a, type: noop}]\n"
ANY = "name: a\ninput: {type: object}" + STEPS


def cyclic() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def nested(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


def shared(levels: int) -> list[Any]:
    """A few lists that would be written 2 ** levels times."""
    found: list[Any] = [1]
    for _ in range(levels):
        found = [found, found]
    return found


DOCUMENTS = {
    "test_a_01_brackets": Bad(lambda: "[" * 100_000, Found("too_deep", 1, 65)),
    "test_a_02_digits": Bad(lambda: f"name: a\nvariables: {{n: {'9' * 5_000}}}{STEPS}", Found("number_out_of_range", 2, 16)),
    "test_a_03_nan": Bad(lambda: '{"name": "a", "variables": {"x": NaN}}', Found("number_out_of_range", 1, 34)),
    "test_a_03_infinity": Bad(lambda: '{"name": "a", "variables": {"x": -Infinity}}', Found("number_out_of_range", 1, 34)),
    "test_a_03_1e400": Bad(lambda: f"name: a\nvariables: {{x: 1e400}}{STEPS}", Found("number_out_of_range", 2, 16)),
    "test_a_04_twice": Bad(lambda: '{"name": "a",\n "name": "b"}', Found("duplicate_key", 2, 2)),
    "test_a_05_half": Bad(lambda: '{"name": "a\\ud800"}', Found("syntax", 1, 12)),
    "test_a_06_nul": Bad(lambda: 'name: "a\\0"' + STEPS, Found("control_character", 1, 7)),
    "test_a_07_64_bits": Bad(lambda: f"name: a\nvariables: {{x: {2**64}}}{STEPS}", Found("number_out_of_range", 2, 16)),
    "test_a_09_utf_16": Bad(lambda: f"name: a{STEPS}".encode("utf-16"), Found("not_utf8", 1, 1)),
    "test_a_09_latin_1": Bad(lambda: f"name: caf\xe9{STEPS}".encode("latin-1"), Found("not_utf8", 1, 10)),
    "test_a_10_empty": Bad(lambda: "", Found("empty_document", 1, 1)),
    "test_a_10_null": Bad(lambda: "null", Found("empty_document", 1, 1)),
    "test_a_10_list": Bad(lambda: "[]", Found("wrong_type", 1, 1)),
    "test_a_10_text": Bad(lambda: '""', Found("wrong_type", 1, 1)),
    "test_a_11_large": Bad(lambda: "a: " + "x" * 20_000_000, Found("document_too_large", 1, 1)),
    "test_a_12_packed": Bad(lambda: gzip.compress(b"name: a"), Found("control_character", 1, 1)),
    "test_a_13_utf_7": Bad(lambda: "name: a+AGE-\nsteps: +AFsAXQ-", Found("wrong_type", 2, 8)),
}


@pytest.mark.parametrize("title", DOCUMENTS)
def test_a_document_that_is_no_plain_data_is_refused_at_its_place(title: str, tmp_path: Path) -> None:
    document = DOCUMENTS[title].make()
    with within(title):
        found = findings(document)
    assert DOCUMENTS[title].found in found
    (tmp_path / "bad.yaml").write_bytes(document if isinstance(document, bytes) else document.encode())
    with within(f"{title} in the command line"):
        said = in_command_line("workflow", "check", str(tmp_path / "bad.yaml"))
    assert f"bad.yaml:{DOCUMENTS[title].found.line}:{DOCUMENTS[title].found.column}" in said


FILES: dict[str, tuple[str | bytes, str]] = {
    "test_a_01_brackets": ("[" * 100_000, "nested too deep"),
    "test_a_02_digits": ('{"n": ' + "9" * 5_000 + "}", "out of range"),
    "test_a_03_nan": ('{"x": NaN}', "input.json:1:7: "),
    "test_a_03_infinity": ('{"x":\n [-Infinity]}', "input.json:2:"),
    "test_a_03_1e400": ('{"x": 1e400}', "out of range"),
    "test_a_04_twice": ('{"x": {"k": 1, "k": 2}}', 'the key "k" stands twice'),
    "test_a_05_half": ('{"x": "\\udc00\\ud800"}', "input.json:1:"),
    "test_a_09_utf_16": ('{"x": 1}'.encode("utf-16"), "save the file as UTF-8"),
    "test_a_09_latin_1": ('{"x": "caf\xe9"}'.encode("latin-1"), "not UTF-8"),
    "test_a_10_empty": ("", "is not JSON"),
    "test_a_10_null": ("null", "holds nothing, an input is a JSON object"),
    "test_a_10_list": ("[]", "holds a list, an input is a JSON object"),
    "test_a_12_packed": (gzip.compress(b"{}"), "is not JSON"),
    "test_a_13_utf_7": ("+AHsAfQ-", "is not JSON"),
}


@pytest.mark.parametrize("title", FILES)
def test_an_input_file_that_is_no_plain_data_is_refused_before_a_database_is_made(title: str, tmp_path: Path) -> None:
    given, said = FILES[title]
    with within(title):
        assert said in " ".join(told(tmp_path, given=given, document=ANY).split())


def test_a_11_an_input_file_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "workflow.yaml").write_text(ANY, encoding="utf-8")
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(1 << 30)  # a hole: it takes no room
    with within("test_a_11"):
        said = in_command_line("run", str(tmp_path / "workflow.yaml"), "--input", f"@{tmp_path / 'huge.json'}")
        assert "larger than" in said
        assert Found("document_too_large", 1, 1) in findings(b"#" * (2 << 20))
        assert "TE1002" in in_command_line("workflow", "check", str(tmp_path / "huge.json"))


VALUES: dict[str, tuple[Any, str, str]] = {
    "test_a_01_brackets": (nested(5_000), "not_json", "nested without end"),
    "test_a_01_seventy": (nested(70), "payload_too_deep", "nested deeper than 64 levels"),
    "test_a_02_digits": (10**5_000, "not_json", "a whole number of more than 64 bits"),
    "test_a_03_nan": (math.nan, "not_json", "the number nan is not in JSON"),
    "test_a_03_infinity": ({"rows": [1, None, -math.inf]}, "not_json", r"rows\[2\]: the number -inf is not in JSON"),
    "test_a_05_half": (["fine", "\ud800"], "not_json", r"\[1\]: a text with half a character"),
    "test_a_05_half_key": ({"\udfff": 1}, "not_json", "a key with half a character"),
    "test_a_07_above_64_bits": ({"rows": [1, {"id": 2**64}]}, "not_json", r"rows\[1\]\.id: a whole number of more than 64 bits"),
    "test_a_07_below_64_bits": (-(2**63) - 1, "not_json", "a whole number of more than 64 bits"),
    "test_a_07_400_digits": ((2**64 - 1, 10**400), "not_json", r"\[1\]: a whole number of more than 64 bits"),
    "test_a_10_object": ({"x": object()}, "not_json", "x: an object of type object is not in JSON"),
    "test_a_10_key": ({(1, 2): 1}, "not_json", "a tuple as a key is not in JSON"),
    "test_a_11_large": ("x" * (17 << 20), "payload_too_large", "are allowed"),
    "test_a_12_cycle": (cyclic(), "not_json", "nested without end"),
    "test_a_12_bomb": (shared(40), "not_json", "larger than anything that is kept"),
    "test_a_12_wide_bomb": ([[[["x"] * 1_000] * 1_000] * 1_000] * 1_000, "not_json", "larger than anything that is kept"),
    "test_a_12_text_bomb": (["x" * 1_000_000] * 10_000, "not_json", "larger than anything that is kept"),
}


@pytest.mark.parametrize("title", VALUES)
async def test_a_value_that_cannot_be_kept_is_refused_as_input_signal_and_result(title: str) -> None:
    value, named, said = VALUES[title]
    with within(title):
        await refused(value, named=named, said=said)


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("a\0b", id="test_a_06_nul"),
        pytest.param(2**63, id="test_a_07_64_bits"),
        pytest.param(-(2**63), id="test_a_07_lowest"),
        pytest.param(2**64 - 1, id="test_a_07_highest"),
        pytest.param({"1" * 30: ["2" * 30, f'"{10**30}', f"\\{10**30}", 1.2345678901234567e300]}, id="test_a_07_digits_in_texts"),
        pytest.param(-0.0, id="test_a_08_minus_zero"),
        pytest.param(1.0, id="test_a_08_float"),
        pytest.param(2**53 + 1, id="test_a_08_beyond_a_double"),
        pytest.param({"": [{}, [], None, ""]}, id="test_a_10_empty"),
        pytest.param("{{ secrets.db }}", id="test_c_43_second_order"),
        pytest.param({f"k{number}": number for number in range(9_000)}, id="test_a_14_many_names"),
    ],
)
async def test_a_value_that_other_readers_stumble_over_comes_back_as_it_was(value: Any, tmp_path: Path) -> None:
    with within("kept", 10.0):
        found = await kept(tmp_path / "kept.db", value)
    assert (found, type(found), str(found)) == (value, type(value), str(value))


@pytest.mark.parametrize("params", [[1], "text", 5, True])
async def test_a_10_an_input_that_is_no_mapping_is_refused(params: Any) -> None:
    async with Engine(":memory:", functions={"echo": print}) as engine:
        with pytest.raises(TaskEngineError, match="must be a mapping of names to values") as error:
            await engine.execute_workflow(ECHO, params=params)
    assert error.value.name == "invalid_input"


@pytest.mark.parametrize("label", ["\ud800", "a\0b", "x" * 1_001, 5, None, ["a"]])
async def test_a_05_to_07_names_and_keys_that_cannot_be_stored_are_refused_before_anything_is(label: Any) -> None:
    async with Engine(":memory:", functions={"echo": print}) as engine:
        waiting = await engine.execute_workflow(WAIT)
        for name in ("business_key", "by", "idempotency_key"):
            with pytest.raises(TaskEngineError, match=f"^{name} ") as error:
                await engine.execute_workflow(WAIT, **{name: label})
            assert error.value.name == "bad_label"
        with pytest.raises(TaskEngineError, match=r"^name "):
            await engine.signal(waiting.id, label)
        for control in (engine.pause_instance, engine.cancel_instance, engine.terminate_instance):
            with pytest.raises(TaskEngineError, match=r"^reason "):
                await control(waiting.id, reason=label)
        await engine.signal(waiting.id, "go")
        assert (await waiting.result(timeout=60)).error is None


@pytest.mark.parametrize("priority", [2**63, -1, 10, 1.5, "9", True])
async def test_a_07_a_priority_that_is_none_is_refused(priority: Any) -> None:
    async with Engine(":memory:", functions={"echo": print}) as engine:
        with pytest.raises(TaskEngineError) as error:
            await engine.execute_workflow(WAIT, priority=priority)
    assert error.value.name == "bad_priority"


def test_a_15_of_an_input_that_is_given_twice_the_later_one_counts_and_odd_names_are_names(tmp_path: Path) -> None:
    (tmp_path / "workflow.yaml").write_text(
        "name: a\ninput: {type: object, additionalProperties: false, properties: {id: {type: integer, maximum: 1}}}" + STEPS,
        encoding="utf-8",
    )
    with within("test_a_15"):
        said = in_command_line("run", str(tmp_path / "workflow.yaml"), *("-i", "id=1", "-i", "id=2", "-i", "a[]=1"))
    assert "input.id: must be at most 1, not 2" in said
    assert 'input["a[]"]: is not known' in said
