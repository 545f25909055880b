"""The figures of ``run.py`` as a table: the same text in the results and on the page of the documentation."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["PAGE", "table", "with_table"]

PAGE = "docs/explanation/peers.md"
BEGIN, END = "<!-- written by bench/peers/run.py -->", "<!-- end of what it writes -->"
ROW = "| {} |".format


def table(document: Mapping[str, Any]) -> str:
    """Two tables and what they were measured on."""
    facts, figures, once = document["machine"], document["figures"], document["once"]
    speed = [[name, first(found)["version"], *(spread(rounds) for rounds in found.values())] for name, found in figures.items()]
    kept = [
        [
            name,
            f"journal_mode={first(found)['journal_mode']}, synchronous={first(found)['synchronous']}",
            writes(once[name]["forced_writes_per_step"]),
            f"{once[name]['finished']} of {once[name]['started']}",
        ]
        for name, found in figures.items()
    ]
    counts = list(next(iter(figures.values())))
    machine = (
        f"{facts['date']}: {facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, Python {facts['python']}, "
        f"SQLite {facts['sqlite']}. {facts['rounds']} rounds of {facts['seconds']:g} s for each cell, in turns. "
        f"{load(document['loads'])}"
    )
    asked = (
        "What is on the disk: the settings are read back from the connection; forced writes are counted once, with one chain in "
        "flight; chains that still end after `kill -9` in the middle, tried once."
    )
    lines = [
        machine,
        "",
        "Steps a second: median of the rounds (lowest … highest).",
        "",
        ROW(" | ".join(["", "version", *(f"{count} in flight" for count in counts)])),
        "|---|---|" + "---|" * len(counts),
        *(ROW(" | ".join(row)) for row in speed),
        "",
        asked,
        "",
        "|  | SQLite settings | fsync and fdatasync per step | chains that end after kill -9 |",
        "|---|---|---|---|",
        *(ROW(" | ".join(row)) for row in kept),
    ]
    return "\n".join(lines)


def first(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> Mapping[str, Any]:
    """Any measurement: what is asked of it is the same in all."""
    return next(iter(found.values()))[0]


def spread(rounds: Sequence[Mapping[str, Any]]) -> str:
    """Median and range."""
    values = [one["steps_s"] for one in rounds]
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} … {max(values):,.0f})"


def writes(per_step: float | None) -> str:
    """With one decimal, or that nobody counted."""
    return "not counted" if per_step is None else f"{per_step:.1f}"


def load(loads: Sequence[float]) -> str:
    """How busy the machine was, the measurements included."""
    return (
        f"Load of the machine meanwhile (one minute): median {statistics.median(loads):.1f}, {min(loads):.1f} … {max(loads):.1f}."
    )


def with_table(page: str, text: str) -> str:
    """The page with the table between its two marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"
