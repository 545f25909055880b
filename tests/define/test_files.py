"""Files and bytes: what is read at all, how much of it, and what is said when it cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from taskengine.define import load_file, load_text
from taskengine.errors import NotFoundError

GOOD = "name: hello\nsteps:\n  - {id: greet, type: noop}\n"


def test_a_yaml_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hello.yaml"
    path.write_text(GOOD)
    checked = load_file(path)
    assert checked.findings == ()
    assert checked.workflow is not None
    assert checked.workflow.name == "hello"
    assert checked.file == str(path)
    assert checked.text == GOOD


def test_json_is_told_by_its_content_and_not_by_the_name(tmp_path: Path) -> None:
    path = tmp_path / "hello.yaml"
    path.write_text('{"name"\n: "hello", "steps": [{"id": "a", "type": "noop"}]}')
    assert load_file(str(path)).workflow is not None


def test_a_missing_file_is_an_error_that_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yaml").write_text(GOOD)
    with pytest.raises(NotFoundError) as caught:
        load_file(tmp_path / "pipelin.yaml")
    assert caught.value.name == "file_not_found"
    assert "pipeline.yaml" in caught.value.hint


def test_a_file_in_a_missing_folder_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        load_file(tmp_path / "nowhere" / "a.yaml")
    assert "nowhere" in caught.value.hint


def test_a_folder_is_a_finding(tmp_path: Path) -> None:
    (finding,) = load_file(tmp_path).findings
    assert finding.name == "unreadable_file"
    assert "folder" in finding.message
    assert finding.file == str(tmp_path)


def test_a_pipe_is_a_finding_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (finding,) = load_file(tmp_path / "pipe.yaml").findings
    assert finding.name == "unreadable_file"


def test_a_device_that_never_ends_is_a_finding() -> None:
    assert [finding.name for finding in load_file("/dev/zero").findings] == ["unreadable_file"]


def test_a_link_to_itself_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "a.yaml")
    assert [finding.name for finding in load_file(tmp_path / "a.yaml").findings] == ["unreadable_file"]


def test_a_name_that_no_file_can_have_is_a_finding() -> None:
    assert [finding.name for finding in load_file("a\0b").findings] == ["unreadable_file"]


def test_of_a_huge_file_only_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    with path.open("wb") as stream:
        stream.truncate(8 << 30)  # sparse: reading all of it would fail on this machine
    assert [finding.name for finding in load_file(path).findings] == ["document_too_large"]


@pytest.mark.parametrize("make", [str, str.encode], ids=["text", "bytes"])
def test_a_document_of_exactly_the_limit_is_read(make: type[str]) -> None:
    text = GOOD + "#" * (1_048_576 - len(GOOD))
    assert load_text(make(text), file="a.yaml").workflow is not None
    assert [finding.name for finding in load_text(make(text + "#"), file="a.yaml").findings] == ["document_too_large"]


def test_the_limit_counts_bytes_and_not_characters() -> None:
    text = GOOD + "#" + "漢" * 400_000
    assert [finding.name for finding in load_text(text, file="a.yaml").findings] == ["document_too_large"]


def test_a_byte_order_mark_is_taken_off() -> None:
    checked = load_text(b"\xef\xbb\xbf" + b"nam: hello\nsteps: [{id: a, type: noop}]\n", file="a.yaml")
    (finding,) = checked.findings
    assert (finding.name, finding.line, finding.column) == ("unknown_key", 1, 1)


def test_a_byte_order_mark_does_not_make_json_something_else() -> None:
    checked = load_text('\ufeff{"name": "\\ud83d\\ude00", "steps": [{"id": "a", "type": "noop"}]}', file="a.json")
    assert checked.findings == ()
    assert checked.require().name == "😀"


@pytest.mark.parametrize(
    ("data", "said", "place"),
    [
        (GOOD.encode("utf-16"), "UTF-16", (1, 1)),
        (GOOD.encode("utf-32"), "UTF-32", (1, 1)),
        ("name: a\nowner: é\n".encode("latin-1"), "0xE9", (2, 8)),
        (b"name: \xed\xa0\x80", "0xED", (1, 7)),
        ("name: \ud800", "surrogate", (1, 1)),
    ],
    ids=["utf-16", "utf-32", "latin-1", "surrogate bytes", "surrogate text"],
)
def test_what_is_not_utf_8_is_named_at_its_place(data: bytes | str, said: str, place: tuple[int, int]) -> None:
    (finding,) = load_text(data, file="a.yaml").findings
    assert finding.name == "not_utf8"
    assert said in finding.message
    assert (finding.line, finding.column) == place


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_lines_are_counted_whatever_ends_them(end: str) -> None:
    text = GOOD.replace("\n", end) + f"a漢: 1{end}owner: 5{end}"
    places = [(finding.line, finding.column) for finding in load_text(text, file="a.yaml").findings]
    assert places == [(4, 1), (5, 8)]
