"""What stands on a terminal of eighty columns: no line is broken by the terminal, and nothing that matters is cut away."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskengine.cli.tables import until
from taskengine.cli.terminal import Look, cells, wrapped
from tests.cli.programs import PROGRAM, Folder
from tools.record import record

CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PLAIN = Look(is_terminal=True, is_live=True, has_color=False, has_unicode=True)


def shown(folder: Folder, *words: str, width: int = 80) -> list[str]:
    """The lines of a command on a terminal, without its colours."""
    frames, _ = record([str(PROGRAM), *words], folder=folder.path, width=width)
    text = "".join(json.loads(frame)[2] for frame in frames[2:])
    return [line.rstrip("\r") for line in CODE.sub("", text).split("\n")]


@pytest.mark.processes
@pytest.mark.parametrize("width", [60, 80, 200])
def test_events_show_all_their_data_at_any_width(past: Folder, width: int) -> None:
    lines = shown(past, "instance", "events", "@failed", width=width)
    assert max(cells(line) for line in lines) <= width
    whole = re.sub(r"\s+", "", "".join(lines))
    assert '"message":"badrow17"' in whole
    assert "reason=" in whole
    assert ("DATA" in lines[0]) == (width == 200)


@pytest.mark.processes
@pytest.mark.parametrize("width", [72, 80, 100, 200])
def test_a_list_fits_and_its_ids_still_name_executions(past: Folder, width: int) -> None:
    head, *lines = shown(past, "instance", "list", width=width)
    lines = [line for line in lines if "/2 " in line]
    assert max(cells(line) for line in [head, *lines]) <= width
    assert len(lines) == 3
    for line in lines:
        assert past.run("instance", "status", line.split()[0]).code == 0
    assert "(no process)" in lines[0]


@pytest.mark.processes
def test_an_explanation_is_wrapped_and_says_how_long(past: Folder) -> None:
    lines = shown(past, "instance", "explain", "@latest", width=60)
    told = [line for line in lines if not line.startswith(("next:", "waiting  ex_")) and "task-engine" not in line]
    assert max(cells(line) for line in told) <= 60
    (approval,) = [line for line in lines if line.startswith("◌ approval")]
    assert re.search(r"in \d+[mh] +waits for signal approved", approval)


@given(st.text(alphabet="ab 完成é", max_size=200), st.integers(2, 30))
def test_wrapping_loses_nothing_and_keeps_to_the_width(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_what_is_due_is_told_in_the_largest_unit() -> None:
    at = "1970-01-02T00:00:00.000Z"
    assert [until(at, now=now, style=PLAIN) for now in (0, 3_600_000, 86_400_000 - 90_000, 86_400_000)] == [
        "in 1d",
        "in 23h",
        "in 1m",
        "now",
    ]
    assert until(at, now=0, style=PLAIN._replace(is_terminal=False)) == at
    assert until(None, now=0, style=PLAIN) == ""
