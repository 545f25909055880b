"""The figures of all rounds as a table of targets, with median and spread, and a plot. Ratios are taken within a round."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Row", "rows_of", "write_report"]

Figures = Mapping[str, Sequence[Mapping[str, Any]]]


class Row(NamedTuple):
    """One target: the ratio or figure of each round beside what is to be reached."""

    name: str
    values: list[float]
    bound: float
    is_lower_better: bool
    unit: str
    detail: str

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.values)

    @property
    def is_reached(self) -> bool:
        """Whether the median keeps the bound."""
        return self.median <= self.bound if self.is_lower_better else self.median >= self.bound

    def cells(self) -> list[str]:
        """As columns of a table."""
        sign = "≤" if self.is_lower_better else "≥"
        spread = f"{min(self.values):,.4g} … {max(self.values):,.4g}"
        verdict = "yes" if self.is_reached else "NO"
        return [self.name, f"{self.median:,.4g} {self.unit}".strip(), spread, f"{sign} {self.bound:,.4g}", verdict, self.detail]

    def line(self) -> str:
        """As a line of text."""
        name, median, spread, bound, verdict, detail = self.cells()
        return f"{name:44} {median:>16}   ({spread})   {bound:>9}  reached: {verdict:3}  {detail}"


class Target(NamedTuple):
    """What is to be reached: a figure of each round, from the measurements that it needs, against a bound."""

    name: str
    needs: tuple[str, ...]
    value: Callable[..., float]
    bound: float
    is_lower_better: bool = True
    unit: str = ""
    detail: str = ""  # ``{measurement.key}`` stands for a median


def _key(key: str) -> Callable[[Mapping[str, Any]], float]:
    return lambda found: found[key]


def _share(key: str, of: str) -> Callable[[Mapping[str, Any], Mapping[str, Any]], float]:
    return lambda found, floor: found[key] / floor[of]


def _targets() -> list[Target]:
    chains = [
        Target(
            f"W1 chains of 10, {count} in flight, of proto_real",
            (f"w1_{count}", f"proto_{count}"),
            _share("steps_s", "steps_s"),
            0.5,
            is_lower_better=False,
            detail=f"{{w1_{count}.steps_s}} steps/s; proto_real {{proto_{count}.steps_s}}",
        )
        for count in (1, 20, 200)
    ]
    return [
        *chains,
        Target(
            "W1g beside a CPU-bound thread, embedded",
            ("w1g_embedded",),
            _key("steps_s"),
            500,
            unit="steps/s",
            is_lower_better=False,
        ),
        Target("W1g in our own process", ("w1g_own",), _key("steps_s"), 3_000, unit="steps/s", is_lower_better=False),
        Target(
            "W2 ten steps, alone, p50 in raw commits",
            ("w2", "raw_commit"),
            lambda ours, raw: ours["p50_ms"] * 1e3 / raw["p50_us"],
            30,
            detail="{w2.p50_ms} ms; a raw commit {raw_commit.p50_us} µs",
        ),
        Target("W3 fan-out and join of 1,000", ("w3_1000",), _key("seconds"), 0.15, unit="s"),
        Target("W3 fan-out and join of 10,000", ("w3_10000",), _key("seconds"), 1.5, unit="s"),
        Target("W3 cost per child, 10,000 of 1,000", ("w3_10000", "w3_1000"), _share("per_child_us", "per_child_us"), 1.3),
        Target("W4 memory for each parked", ("w4",), _key("kb_each"), 0.2, unit="KB", detail="slope from 10,000 to 110,000"),
        Target("W4 all 10,000 woken", ("w4",), _key("wake_all_s"), 1.5, unit="s"),
        Target("W5 1,000 in flight, kill -9, all complete", ("w5",), _key("recover_s"), 1.5, unit="s"),
        Target(
            "W6 10,000 steps, raw commits per step",
            ("w6", "raw_commit_again"),
            _share("us_per_step", "p50_us"),
            3.5,
            detail="{w6.seconds} s; a raw commit {raw_commit_again.p50_us} µs",
        ),
        Target("W6 last thousand of the first", ("w6",), _key("last_to_first"), 1.2),
        Target("Cost per step, 100,000 steps of 1,000", ("flat_100000", "flat_1000"), _share("us_per_step", "us_per_step"), 1.2),
        Target(
            "Memory gained over 100,000 steps", ("flat_100000",), _key("gained_kb"), 16_384, unit="KB", detail="page cache 16 MB"
        ),
        Target(
            "Map of maps: CPU per task, 100,000 of 1,000",
            ("nested_100000", "nested_1000"),
            _share("cpu_us_per_task", "cpu_us_per_task"),
            1.3,
            detail="{nested_100000.seconds} s; {nested_100000.cpu_us_per_task} µs of CPU and {nested_100000.us_per_task} µs a task",
        ),
        Target(
            "Map of maps of 100,000: worst status",
            ("nested_100000",),
            _key("worst_status_ms"),
            100,
            unit="ms",
            detail="+ {nested_100000.gained_kb} KB; worst pause of the loop {nested_100000.worst_lag_ms} ms",
        ),
        Target("W7 import", ("w7",), _key("import_s"), 0.12, unit="s"),
        Target("W7 process start to first completed", ("w7",), _key("first_s"), 0.19, unit="s"),
        Target(
            "W8 starts one by one, of a raw commit",
            ("w8", "raw_start"),
            lambda ours, raw: ours["one_by_one_s"] * raw["p50_us"] / 1e6,
            0.6,
            detail="{w8.one_by_one_s}/s; a raw commit with the same rows {raw_start.p50_us} µs",
            is_lower_better=False,
        ),
        Target("W8 starts, 200 callers", ("w8",), _key("callers_s"), 20_000, unit="/s", is_lower_better=False),
        Target("W8 starts in batches of 500", ("w8",), _key("batches_s"), 40_000, unit="/s", is_lower_better=False),
    ]


def rows_of(figures: Figures) -> list[Row]:
    """Every target whose measurements are there."""
    medians = {
        f"{{{name}.{key}}}": f"{statistics.median(one[key] for one in found):,.4g}"
        for name, found in figures.items()
        for key in (found[0] if found else ())
        if isinstance(found[0][key], (int, float))
    }
    rows: list[Row] = []
    for target in _targets():
        if all(figures.get(name) for name in target.needs):
            rounds = zip(*(figures[name] for name in target.needs), strict=False)
            detail = target.detail
            for placeholder, median in medians.items():
                detail = detail.replace(placeholder, median)
            values = [target.value(*found) for found in rounds]
            rows.append(Row(target.name, values, target.bound, target.is_lower_better, target.unit, detail))
    return rows


def write_report(folder: Path, name: str, *, figures: Figures, facts: Mapping[str, Any]) -> None:
    """The raw figures, the table and the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = rows_of(figures)
    document = {"machine": dict(facts), "figures": {key: list(found) for key, found in figures.items()}}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    lines = [
        "# Measured",
        "",
        _machine(facts),
        _proof(figures),
        "",
        "Median of the rounds, each ratio taken within its round. A spread that is wide says that the machine was not quiet.",
        "",
        "| workload | median | spread | reach | reached | |",
        "|---|---|---|---|---|---|",
        *("| " + " | ".join(row.cells()) + " |" for row in rows),
        "",
    ]
    (folder / f"{name}.md").write_text("\n".join(lines), encoding="utf-8")
    (folder / f"{name}.svg").write_text(_plot(rows), encoding="utf-8")


def _machine(facts: Mapping[str, Any]) -> str:
    what = f"{facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, Python {facts['python']}, SQLite {facts['sqlite']}"
    return f"{what}; load before {facts['load']:.2f}, after {facts['load_after']:.2f}."


def _proof(figures: Figures) -> str:
    proof = next((one for key, found in figures.items() if key.startswith("w1_") for one in found), {})
    durability = f"journal_mode={proof.get('journal_mode')}, synchronous={proof.get('synchronous')}"
    return f"Read back from the connection that wrote: {durability}; {proof.get('rows_per_step', 0):.1f} rows a step."


def _plot(rows: Sequence[Row]) -> str:
    """How far each target is kept: 1 is the bound, to the right is better; the line spans the rounds."""
    width, left, height = 900, 340, 26
    scale = (width - left - 60) / 4
    bottom = height * len(rows) + 44
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 26}" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="12" y="22" font-size="15" font-weight="bold">Targets kept: how many times better than the bound</text>',
    ]
    for tick in range(5):
        x = left + tick * scale
        colour, label = "#c0392b" if tick == 1 else "#ddd", str(tick) if tick < 4 else "4 or more"
        parts.append(f'<line x1="{x}" y1="36" x2="{x}" y2="{bottom}" stroke="{colour}"/>')
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle" fill="#555">{label}</text>')
    for index, row in enumerate(rows):
        ratios = [_ratio(row, value) for value in row.values]
        low, middle, high = (left + ratio * scale for ratio in (min(ratios), statistics.median(ratios), max(ratios)))
        y = 44 + index * height
        colour = "#2e7d5b" if row.is_reached else "#c0392b"
        parts.append(f'<text x="{left - 10}" y="{y + 13}" text-anchor="end">{row.name}</text>')
        parts.append(f'<rect x="{left}" y="{y + 3}" width="{middle - left:.1f}" height="13" fill="{colour}" opacity="0.8"/>')
        span = f'x1="{low:.1f}" y1="{y + 9.5}" x2="{high:.1f}" y2="{y + 9.5}"'
        parts.append(f'<line {span} stroke="#222" stroke-width="2"/>')
        parts.append(f'<text x="{max(middle, high) + 6:.1f}" y="{y + 14}" fill="#222">{row.median:,.4g} {row.unit}</text>')
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _ratio(row: Row, value: float) -> float:
    if not value:
        return 4.0
    return min(4.0, row.bound / value if row.is_lower_better else value / row.bound)
