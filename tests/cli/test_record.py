"""The recorder of terminals, and the cast of the demo that is kept in docs."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tools.record import decoded, main

CASTS = Path(__file__).parents[2] / "docs" / "casts"


@pytest.mark.processes
def test_a_cast_holds_what_the_terminal_was_sent_in_order_of_time(tmp_path: Path) -> None:
    program = "import sys, os; print(os.get_terminal_size().columns, sys.stdout.isatty()); print('完成'); sys.exit(3)"
    assert main([str(tmp_path / "out.cast"), "--folder", str(tmp_path), "--width", "77", "--", sys.executable, "-c", program]) == 3
    header, *frames = [json.loads(line) for line in (tmp_path / "out.cast").read_text(encoding="utf-8").splitlines()]
    assert (header["version"], header["width"]) == (2, 77)
    assert "".join(text for _, _, text in frames[1:]) == "77 True\r\n完成\r\n"
    assert all(before[0] <= after[0] for before, after in pairwise(frames))


def test_a_character_that_came_in_two_pieces_is_put_together() -> None:
    whole = "完".encode()
    text, left = decoded(b"a" + whole[:2])
    assert (text, left) == ("a", whole[:2])
    assert decoded(left + whole[2:]) == ("完", b"")
    assert decoded(b"\xff\xff\xff\xff\xff")[1] == b""


@pytest.mark.parametrize("cast", sorted(CASTS.glob("*.cast")), ids=lambda path: path.stem)
def test_a_kept_cast_is_one_that_players_read_and_shows_an_end(cast: Path) -> None:
    header, *frames = [json.loads(line) for line in cast.read_text(encoding="utf-8").splitlines()]
    assert header["version"] == 2
    shown = "".join(text for _, kind, text in frames if kind == "o")
    assert "\x1b[32m✔ completed\x1b[0m" in shown
    assert "after ConnectionError" in shown
    assert len(frames) <= 10 * frames[-1][0]  # painted gently


def test_there_is_a_cast() -> None:
    assert [path.name for path in CASTS.iterdir()] == ["demo.cast"]
