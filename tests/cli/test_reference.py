"""The page about the command line is the one that the commands would write today."""

from __future__ import annotations

from tools.cli_reference import TARGET, reference


def test_the_reference_is_up_to_date() -> None:
    assert TARGET.read_text(encoding="utf-8") == reference(), "run: python -m tools.cli_reference"


def test_it_names_every_option_with_its_default() -> None:
    page = reference()
    assert "## task-engine instance explain\n" in page
    assert "| `--limit N` | How many; 0 for all.  [default: 20; x>=0] |" in page
