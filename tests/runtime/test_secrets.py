"""Where secrets come from, and how they are taken out of what is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskengine.adapters.secrets import EnvironmentSecrets
from taskengine.model.command import Failed, Succeeded
from taskengine.model.value import Raw, TaskError, raw
from taskengine.runtime.redaction import Redactor


def test_a_secret_is_a_variable_or_a_named_file_or_a_file_of_its_name(tmp_path: Path) -> None:
    tmp_path.joinpath("in_directory").write_text("third\n")
    tmp_path.joinpath("named").write_bytes(b"second\r\n")
    variables = {
        "TASK_ENGINE_SECRETS": str(tmp_path),
        "TASK_ENGINE_SECRET_DIRECT": "first",
        "TASK_ENGINE_SECRET_NAMED_FILE": str(tmp_path / "named"),
    }
    secrets = EnvironmentSecrets(variables)
    assert [secrets.get(name) for name in ("direct", "named", "in_directory", "other")] == ["first", "second", "third", None]
    assert secrets.where("other") == (
        f"set TASK_ENGINE_SECRET_OTHER or TASK_ENGINE_SECRET_OTHER_FILE, or write the file {tmp_path}/other"
    )


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 70_000])
def test_a_file_that_can_be_no_secret_is_none(tmp_path: Path, content: bytes) -> None:
    tmp_path.joinpath("odd").write_bytes(content)
    assert EnvironmentSecrets({"TASK_ENGINE_SECRETS": str(tmp_path)}).get("odd") is None


def redactor(*texts: str) -> Redactor:
    made = Redactor()
    for text in texts:
        made.add(text)
    return made


def test_the_longest_secret_is_taken_out_first() -> None:
    assert redactor("abcd", "abcdef").text("abcdef abcd abc") == "[secret] [secret] abc"


def test_what_is_too_short_to_hide_is_left() -> None:
    assert redactor("abc", "").text("abcabc") == "abcabc"


def test_each_line_of_a_secret_is_one() -> None:
    assert redactor("-----BEGIN\nkeykey\n").text("it says keykey") == "it says [secret]"


def test_a_document_stays_one_and_is_untouched_without_a_secret_in_it() -> None:
    hidden = redactor('a"b\\c', "1234")
    assert hidden.document(raw({"x": ['say a"b\\c', 1234], "1234": None})) == raw({"x": ["say [secret]", 1234], "[secret]": None})
    same = Raw(b'{ "spaces" : 1 }')
    assert hidden.document(same) is same


def test_ends_are_redacted_whatever_they_are() -> None:
    hidden = redactor("hidden")
    assert hidden.end(Succeeded(raw("so hidden"))) == Succeeded(raw("so [secret]"))
    failed = hidden.end(Failed(TaskError(type="hiddenBoom", message="the hidden one", bases=("Errhidden", "Base"))))
    assert failed == Failed(TaskError(type="[secret]Boom", message="the [secret] one", bases=("Err[secret]", "Base")))


SECRET = "hunter2-Super+Secret/0123=="


@pytest.mark.parametrize(
    "text",
    [
        f"{SECRET[7:]} and {SECRET[:9]}",
        f"it said: x{SECRET[:12]}…",
        f"it said: x{SECRET[:12]} …",
        f"[9 bytes before this are left out]\n{SECRET[3:]}{SECRET}",
        "key=hunter2-Super%2BSecret%2F0123%3D%3D",
    ],
)
def test_a_part_of_a_secret_at_a_cut_and_its_form_in_an_address_are_taken_out(text: str) -> None:
    hidden = redactor(SECRET)
    assert "Super" not in hidden.text(text)
    assert b"Super" not in bytes(hidden.document(raw({"x": [text]})))


def test_what_only_resembles_a_part_of_a_secret_is_left() -> None:
    assert redactor(SECRET).text("hunt Super 0123 and 23==") == "hunt Super 0123 and 23=="
