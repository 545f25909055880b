"""What the page says of the peers is what was measured: the same text as in the results, made from the figures kept beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from bench.peers.table import PAGE, table, with_table

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "bench" / "results"


def test_the_page_of_the_peers_shows_the_figures_that_are_kept() -> None:
    text = table(json.loads((RESULTS / "peers.json").read_text(encoding="utf-8")))
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert text in (RESULTS / "peers.md").read_text(encoding="utf-8")
    assert text in page
    assert with_table(page, text) == page


def test_the_peers_are_pinned_to_what_was_measured_and_have_no_addresses() -> None:
    figures = json.loads((RESULTS / "peers.json").read_text(encoding="utf-8"))["figures"]
    requirements = (ROOT / "bench" / "peers" / "requirements.txt").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([a-z]+)==(\S+)$", requirements, re.MULTILINE))
    assert pins == {name.lower(): figures[name]["1"][0]["version"] for name in ("DBOS", "huey")}
    assert "://" not in requirements
    assert not [line for line in requirements.splitlines() if line.startswith("-")]
