"""Shapes that cross the process boundary, and the text that people see of them: instants, events, columns."""

from __future__ import annotations

import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskengine.cli.output import paired
from taskengine.cli.terminal import Look, cells, look, table
from taskengine.define.phrase import visible
from taskengine.errors import StorageError
from taskengine.model.duration import parse_instant
from taskengine.model.value import encode
from taskengine.wire.event import Places, wire_event
from taskengine.wire.instant import iso_instant

EXECUTION = "ex_01M7XZTTTTTTTTTTTTTTTTTTTT"
PLACES = Places([("", "/"), ("load", "/load/"), ("report", "/report/")])
PLAIN = Look(is_terminal=False, is_live=False, has_color=False, has_unicode=True)


def on_the_wire(**fields: object) -> dict[str, object]:
    return msgspec.to_builtins(wire_event(EXECUTION, 7, body=encode(fields), places=PLACES))


@given(st.integers(0, 253_402_300_799_999))
def test_an_instant_comes_back_to_the_millisecond(at: int) -> None:
    assert iso_instant(at)[-5] == "."
    assert parse_instant(iso_instant(at)) == at


def test_what_every_event_may_have_stands_at_the_top_and_the_rest_is_data() -> None:
    assert on_the_wire(type="TaskRetryScheduled", at=0, task=1, attempt=2, due_at=1_500, by="ada", error={"type": "E"}) == {
        "seq": 7,
        "type": "TaskRetryScheduled",
        "at": "1970-01-01T00:00:00.000Z",
        "trace_id": EXECUTION,
        "task_id": "task_01M7XZTTTTTTTTTTTTTTTTTTTT_1",
        "step_id": "load",
        "path": "/load/",
        "attempt": 2,
        "by": "ada",
        "data": {"due_at": "1970-01-01T00:00:01.500Z", "error": {"type": "E"}},
    }


def test_control_of_a_path_names_its_task_and_of_the_execution_none() -> None:
    one = on_the_wire(type="SubtreePaused", at=0, path="/report/")
    assert (one["step_id"], one["path"], one["task_id"]) == ("report", "/report/", "task_01M7XZTTTTTTTTTTTTTTTTTTTT_2")
    everything = on_the_wire(type="SubtreePaused", at=0, path="/")
    assert everything["path"] == "/"
    assert "task_id" not in everything


def test_tasks_are_named_by_id_because_their_numbers_mean_nothing_outside() -> None:
    assert on_the_wire(type="ExecutionRetried", at=0, tasks=[1, 2])["data"] == {
        "tasks": ["task_01M7XZTTTTTTTTTTTTTTTTTTTT_1", "task_01M7XZTTTTTTTTTTTTTTTTTTTT_2"]
    }


def test_an_event_of_a_newer_version_is_shown_as_it_is() -> None:
    shown = on_the_wire(type="MoonPhaseChanged", at=5, task=9, phase="full")
    assert (shown["type"], shown["data"]) == ("MoonPhaseChanged", {"phase": "full"})
    assert shown["task_id"] == "task_01M7XZTTTTTTTTTTTTTTTTTTTT_9"
    assert "step_id" not in shown


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"type": 5}', b'{"type": "T", "at": "now"}', b'{"type": "T", "at": 0, "path": 1}']
)
def test_a_damaged_event_is_an_error_by_name(body: bytes) -> None:
    with pytest.raises(StorageError) as refused:
        wire_event(EXECUTION, 7, body=body, places=PLACES)
    assert refused.value.name == "unreadable_event"


def test_columns_are_as_wide_as_what_they_hold_in_any_script() -> None:
    lines = table(
        ("NAME", "COUNT", "NOTE"),
        [("天气", "5", "a"), ("weather", "1,000", ""), ("\x1b[31mred\x1b[0m", "3", "b")],
        right=frozenset({1}),
    )
    assert [cells(line.partition("  ")[0]) for line in lines] == [4, 4, 7, 3]
    assert lines[1].startswith("天气     ")
    assert [line.rstrip().endswith(end) for line, end in zip(lines, ("NOTE", "a", "1,000", "b"), strict=True)] == [True] * 4


@given(st.text(), st.integers(1, 40))
def test_a_cut_text_fits_and_an_uncut_one_is_untouched(text: str, width: int) -> None:
    for style in (PLAIN, PLAIN._replace(has_unicode=False)):
        cut = style.crop(text, width)
        assert cut == text if cells(text) <= width else cells(cut) <= max(width, 1 + 3)
    assert PLAIN.crop(text, 0) == text


@given(st.text())
def test_a_fact_is_one_word_or_stands_in_quotes_on_one_line(text: str) -> None:
    line = paired({"fact": text})
    assert visible(line) == line
    assert len(line.splitlines()) <= 1
    if line:
        value = line.removeprefix("fact=")
        assert value.startswith('"') == value.endswith('"')
        assert value.startswith('"') or " " not in value


class Stream(io.TextIOWrapper):
    """A stream that says whether it is a terminal."""

    def __init__(self, *, encoding: str, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize(
    ("encoding", "is_terminal", "environment", "expected"),
    [
        ("utf-8", True, {"TERM": "xterm"}, (True, True, True, True)),
        ("utf-8", False, {"TERM": "xterm"}, (False, False, False, True)),
        ("utf-8", True, {"TERM": "dumb"}, (True, False, False, True)),
        ("utf-8", True, {}, (True, False, False, True)),
        ("utf-8", True, {"TERM": "xterm", "NO_COLOR": "1"}, (True, True, False, True)),
        ("utf-8", True, {"TERM": "xterm", "NO_COLOR": ""}, (True, True, True, True)),
        ("UTF-8", True, {"TERM": "xterm", "TASK_ENGINE_ASCII": "1"}, (True, True, True, False)),
        ("latin-1", True, {"TERM": "xterm"}, (True, True, True, False)),
        ("ascii", False, {}, (False, False, False, False)),
    ],
)
def test_a_stream_is_written_to_as_it_can_show(
    encoding: str, *, is_terminal: bool, environment: dict[str, str], expected: tuple[bool, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM", "NO_COLOR", "TASK_ENGINE_ASCII"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert tuple(look(Stream(encoding=encoding, is_terminal=is_terminal))) == expected
