"""Breaks 20 cells of the Seattle data on purpose and writes down which.

Owns the two files it writes. The same input gives the same bytes, on every machine and every Python: the lines are chosen by hash,
no clock and no random generator takes part. Called by hand (``python examples/weather/make_defects.py``) and by the tests.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SEED = "seattle-2012-2015"
DATA = Path(__file__).parent / "data"

Row = dict[str, str]


@dataclass(frozen=True)
class Breakage:
    """One way to break a row: ``broken`` gives the new text of ``column`` from the row and the row before it."""

    kind: str
    column: str
    broken: Callable[[Row, Row], str]


def _text(text: str) -> Callable[[Row, Row], str]:
    return lambda *_: text


BREAKAGES = (
    Breakage("missing_value", "precipitation", _text("")),
    Breakage("missing_value", "temp_max", _text("")),
    Breakage("missing_value", "wind", _text("")),
    Breakage("missing_value", "weather", _text("")),
    Breakage("not_a_number", "temp_min", _text("n/a")),
    Breakage("not_a_number", "precipitation", _text("NaN")),
    Breakage("not_a_number", "temp_max", _text("1O.6")),
    Breakage("not_a_number", "wind", lambda row, _: row["wind"] + " m/s"),
    Breakage("impossible_date", "date", lambda row, _: row["date"][:5] + "02/30"),
    Breakage("impossible_date", "date", lambda row, _: row["date"][:5] + "13" + row["date"][7:]),
    Breakage("impossible_date", "date", lambda row, _: row["date"][:8] + "00"),
    Breakage("out_of_range", "precipitation", _text("-9.9")),
    Breakage("out_of_range", "temp_max", _text("128.0")),
    Breakage("out_of_range", "wind", _text("470.0")),
    Breakage("out_of_range", "temp_min", lambda row, _: f"{float(row['temp_max']) + 5:.1f}"),
    Breakage("unknown_weather", "weather", _text("hail")),
    Breakage("unknown_weather", "weather", _text("drizle")),
    Breakage("unknown_weather", "weather", _text("overcast")),
    Breakage("duplicate_date", "date", lambda _, before: before["date"]),
    Breakage("duplicate_date", "date", lambda _, before: before["date"]),
)


def break_lines(clean: bytes) -> tuple[bytes, list[dict[str, int | str]]]:
    """Give the broken file and the list of what was broken, by line (the header is line 1); every other byte stays as it was."""
    lines = clean.decode("ascii").splitlines()
    columns = lines[0].split(",")
    rows = {number: dict(zip(columns, text.split(","), strict=True)) for number, text in enumerate(lines[1:], start=2)}
    defects: list[dict[str, int | str]] = []
    for number, breakage in zip(_chosen(rows), BREAKAGES, strict=True):
        original = rows[number][breakage.column]
        broken = breakage.broken(rows[number], rows[number - 1])
        defects.append({"line": number, "kind": breakage.kind, "column": breakage.column, "original": original, "broken": broken})
        lines[number - 1] = ",".join({**rows[number], breakage.column: broken}.values())
    return ("\n".join(lines) + "\n").encode("ascii"), sorted(defects, key=lambda defect: defect["line"])


def _chosen(rows: dict[int, Row]) -> list[int]:
    """Pick one line per breakage, no two of them neighbours: a duplicated date shall be that of a healthy row."""
    by_hash = sorted(list(rows)[1:], key=lambda number: hashlib.sha256(f"{SEED}:{number}".encode()).digest())
    chosen: list[int] = []
    for number in by_hash:
        if len(chosen) < len(BREAKAGES) and not {number - 1, number + 1} & set(chosen):
            chosen.append(number)
    return chosen


def main() -> None:
    """Write both files beside the original."""
    broken, defects = break_lines((DATA / "seattle-weather.csv").read_bytes())
    (DATA / "seattle-weather-defects.csv").write_bytes(broken)
    (DATA / "defects.json").write_text(as_json(defects), encoding="utf-8", newline="\n")
    print(f"{len(defects)} defects of {len({defect['kind'] for defect in defects})} kinds written to {DATA}")


def as_json(defects: list[dict[str, int | str]]) -> str:
    """One defect per line, so that a diff of the file reads well."""
    return "[\n" + ",\n".join("  " + json.dumps(defect) for defect in defects) + "\n]\n"


if __name__ == "__main__":
    main()
