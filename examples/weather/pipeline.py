"""The steps of the weather pipeline: plain functions, called by the engine in the order that weather.yaml says.

Owns what each step does to the files and the result table in the work directory. Knows nothing of the engine but an idempotency
key, so every step can be called by hand. Each may be killed at any instant and performed again: files appear whole or not at all,
the table changes in one transaction, and the same input gives the same bytes. Rows travel as files, only small JSON goes through
the engine.

``pace_ms`` slows a step down just before its result becomes visible, so that people can watch it and tests can kill it there.
"""

import csv
import json
import os
import re
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

JsonObject = dict[str, Any]

COLUMNS = ("date", "precipitation", "temp_max", "temp_min", "wind", "weather")
WEATHER = frozenset({"drizzle", "fog", "rain", "snow", "sun"})
# What has ever been observed on Earth (WMO archive): beyond it a value is an error, not weather. Units: mm per day, °C, m/s.
POSSIBLE = {
    "precipitation": (Decimal(0), Decimal(1825)),
    "temp_max": (Decimal("-89.2"), Decimal("56.7")),
    "temp_min": (Decimal("-89.2"), Decimal("56.7")),
    "wind": (Decimal(0), Decimal("113.2")),
}
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
DAY = re.compile(r"([0-9]{4})/([0-9]{2})/([0-9]{2})")

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS monthly_weather (
        year INTEGER NOT NULL, month INTEGER NOT NULL, days INTEGER NOT NULL,
        temp_mean REAL NOT NULL, temp_min REAL NOT NULL, temp_max REAL NOT NULL,
        precipitation REAL NOT NULL, rainy_days INTEGER NOT NULL, wind_max REAL NOT NULL,
        PRIMARY KEY (year, month)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS loads (idempotency_key TEXT PRIMARY KEY) WITHOUT ROWID",
)
INSERT = """INSERT INTO monthly_weather VALUES
    (:year, :month, :days, :temp_mean, :temp_min, :temp_max, :precipitation, :rainy_days, :wind_max)"""

YEARS = """SELECT year, SUM(days) AS days, ROUND(SUM(temp_mean * days) / SUM(days), 2) AS temp_mean,
    MIN(temp_min) AS temp_min, MAX(temp_max) AS temp_max, ROUND(SUM(precipitation), 1) AS precipitation,
    SUM(rainy_days) AS rainy_days, MAX(wind_max) AS wind_max
    FROM monthly_weather GROUP BY year ORDER BY year"""
MAX_LISTED_DEFECTS = 100  # a report is for reading; defects.json has them all


class Context(Protocol):
    """What a step here needs of the engine's TaskContext."""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of one task, also after a crash."""
        ...


@dataclass(frozen=True, kw_only=True)
class Defect:
    """One cell that cannot be right; ``line`` counts from 1, the header's."""

    line: int
    kind: str
    column: str
    value: str
    detail: str


def validate_rows(*, source: str, workdir: str, years: list[int], pace_ms: int = 0) -> JsonObject:
    """Copy the rows that are right in every cell to ``rows.csv`` and name every defect in ``defects.json``.

    A row with one defect is rejected whole. Of several rows of one day the first counts. ValueError: no such table at all.
    """
    good: list[list[str]] = []
    defects: list[Defect] = []
    lines = 0
    first_line: dict[date, int] = {}
    for line, cells in _read_table(Path(source)):
        lines += 1
        found = list(_row_defects(line, cells, years=years, first_line=first_line))
        defects += found
        if not found:
            good.append([_as_date(cells[0]).isoformat(), *cells[1:]])
    folder = Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    report = {
        "source": source,
        "rows": len(good),
        "rejected": lines - len(good),
        "by_kind": dict(sorted(Counter(defect.kind for defect in defects).items())),
        "defects": [asdict(defect) for defect in defects],
    }
    rows_path, defects_path = folder / "rows.csv", folder / "defects.json"
    _publish(defects_path, [json.dumps(report, indent=2, ensure_ascii=False), "\n"])
    _publish(rows_path, (",".join(cells) + "\n" for cells in [COLUMNS, *good]), pace_ms=pace_ms)
    return {
        "rows_path": str(rows_path),
        "defects_path": str(defects_path),
        "rows": len(good),
        "rejected": lines - len(good),
        "defects": len(defects),
        "by_kind": report["by_kind"],
    }


def year_statistics(*, rows_path: str, year: int, rain_threshold: float, pace_ms: int = 0) -> JsonObject:
    """Fold the rows of one year into statistics per month; a day is rainy from ``rain_threshold`` mm on."""
    days: dict[int, list[dict[str, str]]] = {}
    with Path(rows_path).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            day = date.fromisoformat(row["date"])
            if day.year == year:
                days.setdefault(day.month, []).append(row)
    _pause(pace_ms)
    threshold = Decimal(str(rain_threshold))
    return {
        "year": year,
        "months": [_month_statistics(days[month], year=year, month=month, threshold=threshold) for month in sorted(days)],
    }


def combine_years(*, branches: list[JsonObject], rows: int, pace_ms: int = 0) -> JsonObject:
    """Join the years' branches into one table in order of time.

    ValueError when the branches do not hold exactly the ``rows`` days that passed validation: nothing may get lost on the way.
    """
    months = sorted((month for branch in branches for month in branch["months"]), key=lambda month: (month["year"], month["month"]))
    days = sum(month["days"] for month in months)
    if days != rows:
        msg = f"the branches hold {days} days, validation passed {rows}: every year of the data needs exactly one branch"
        raise ValueError(msg)
    _pause(pace_ms)
    return {"months": months, "days": days}


def load_table(ctx: Context, *, combine: JsonObject, workdir: str, pace_ms: int = 0) -> JsonObject:
    """Replace the table ``monthly_weather`` in ``weather.db`` by the combined months, in one transaction.

    The task's idempotency key is stored in the same transaction. A repeat after a lost answer therefore changes nothing, not even
    when somebody loaded newer figures in between.
    """
    path = Path(workdir) / "weather.db"
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA:
            database.execute(statement)
        mark = database.execute("INSERT INTO loads VALUES (?) ON CONFLICT DO NOTHING", (ctx.idempotency_key,))
        if mark.rowcount == 1:
            database.execute("DELETE FROM monthly_weather")
            database.executemany(INSERT, combine["months"])
        _pause(pace_ms)
        database.execute("COMMIT")
    return {"database": str(path), "table": "monthly_weather", "rows": len(combine["months"])}


def unload_table(*, database: str) -> JsonObject:
    """Undo ``load_table``: the table is empty again. A repeat changes nothing. Gives how many rows were there."""
    with closing(sqlite3.connect(database, timeout=10, isolation_level=None)) as connection:
        return {"removed": connection.execute("DELETE FROM monthly_weather").rowcount}


def write_report(*, database: str, defects_path: str, chart: str, workdir: str, pace_ms: int = 0) -> JsonObject:
    """Write ``report.md``: what was wrong with the data, the chart, the years, the months. Gives its path and the years."""
    with closing(sqlite3.connect(f"{Path(database).absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        years = [dict(row) for row in connection.execute(YEARS)]
        months = [dict(row) for row in connection.execute("SELECT * FROM monthly_weather ORDER BY year, month")]
    quality = json.loads(Path(defects_path).read_text(encoding="utf-8"))
    path = Path(workdir) / "report.md"
    lines = ["# Seattle weather, month by month", "", f"![Temperature and precipitation per month]({Path(chart).name})", ""]
    lines += ["## Data quality", "", *_quality_lines(quality), "", "## Years", "", *_statistics_lines(years, period="year")]
    for year in years:
        own = [{**month, "name": MONTHS[month["month"] - 1]} for month in months if month["year"] == year["year"]]
        lines += ["", f"## {year['year']}", "", *_statistics_lines(own, period="name")]
    _publish(path, (line + "\n" for line in lines), pace_ms=pace_ms)
    return {"report": str(path), "years": years}


def _read_table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Give each row's cells and the line it begins on, without blank lines."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            msg = f"{path}:1: the header is {','.join(header)!r}, expected {','.join(COLUMNS)!r}"
            raise ValueError(msg)
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield line, cells
            line = reader.line_num + 1


def _row_defects(line: int, cells: list[str], *, years: list[int], first_line: dict[date, int]) -> Iterator[Defect]:
    """Give each defect of one row; ``first_line`` remembers where each day stood first."""
    if len(cells) != len(COLUMNS):
        detail = f"{len(cells)} cells instead of {len(COLUMNS)}"
        yield Defect(line=line, kind="wrong_columns", column="", value=",".join(cells), detail=detail)
        return
    row: dict[str, str] = dict(zip(COLUMNS, cells, strict=True))
    faults = {column: fault for column in COLUMNS if (fault := _cell_fault(column, row[column], years=years))}
    if "date" not in faults:
        first = first_line.setdefault(_as_date(row["date"]), line)
        if first != line:
            faults["date"] = ("duplicate_date", f"line {first} has this day already")
    if not faults.keys() & {"temp_min", "temp_max"} and Decimal(row["temp_min"]) > Decimal(row["temp_max"]):
        faults["temp_min"] = ("out_of_range", f"above temp_max {row['temp_max']}")
    for column in COLUMNS:
        if column in faults:
            kind, detail = faults[column]
            yield Defect(line=line, kind=kind, column=column, value=row[column], detail=detail)


def _cell_fault(column: str, text: str, *, years: list[int]) -> tuple[str, str] | None:
    """Say what is wrong with one cell by itself: its kind of defect and the reason."""
    if not text.strip():
        return "missing_value", "empty"
    if column == "weather":
        return None if text in WEATHER else ("unknown_weather", f"not one of {', '.join(sorted(WEATHER))}")
    if column == "date":
        return _date_fault(text, years=years)
    if not NUMBER.fullmatch(text):
        return "not_a_number", "not a decimal number"
    low, high = POSSIBLE[column]
    return None if low <= Decimal(text) <= high else ("out_of_range", f"not between {low} and {high}")


def _date_fault(text: str, *, years: list[int]) -> tuple[str, str] | None:
    try:
        day = _as_date(text)
    except ValueError:
        return "impossible_date", "no such day, or not written YYYY/MM/DD"
    return None if day.year in years else ("out_of_range", f"year is not one of {', '.join(map(str, years))}")


def _as_date(text: str) -> date:
    match = DAY.fullmatch(text)
    if match is None:
        msg = "not of the form YYYY/MM/DD"
        raise ValueError(msg)
    return date(*map(int, match.groups()))


def _month_statistics(days: list[dict[str, str]], *, year: int, month: int, threshold: Decimal) -> JsonObject:
    """Exact decimal sums, one rounding at the end: the order of the rows cannot matter."""
    column = {name: [Decimal(day[name]) for day in days] for name in POSSIBLE}
    return {
        "year": year,
        "month": month,
        "days": len(days),
        "temp_mean": float((sum(column["temp_max"]) + sum(column["temp_min"])) / (2 * len(days))),
        "temp_min": float(min(column["temp_min"])),
        "temp_max": float(max(column["temp_max"])),
        "precipitation": float(sum(column["precipitation"])),
        "rainy_days": sum(amount >= threshold for amount in column["precipitation"]),
        "wind_max": float(max(column["wind"])),
    }


def _quality_lines(quality: JsonObject) -> Iterator[str]:
    defects = quality["defects"]
    yield f"{quality['rows']:,} rows accepted, {quality['rejected']:,} rejected, {len(defects):,} defects."
    if defects:
        yield from ("", "| line | kind | column | value | why |", "|---:|---|---|---|---|")
    for defect in defects[:MAX_LISTED_DEFECTS]:
        value = f"`{_cell_text(defect['value'])}`" if defect["value"] else ""
        yield f"| {defect['line']} | {defect['kind']} | {defect['column']} | {value} | {_cell_text(defect['detail'])} |"
    if len(defects) > MAX_LISTED_DEFECTS:
        yield from ("", f"These are the first {MAX_LISTED_DEFECTS}; `defects.json` names all {len(defects):,}.")


def _cell_text(text: str) -> str:
    """Make text from the data unable to break the table it stands in."""
    return " ".join(text.replace("|", "/").replace("`", "'").split())


def _statistics_lines(rows: list[JsonObject], *, period: str) -> Iterator[str]:
    yield "| | days | mean °C | coldest °C | warmest °C | precipitation mm | rainy days | strongest wind m/s |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for row in rows:
        yield (
            f"| {row[period]} | {row['days']} | {row['temp_mean']:.1f} | {row['temp_min']:.1f} | {row['temp_max']:.1f} "
            f"| {row['precipitation']:,.1f} | {row['rainy_days']} | {row['wind_max']:.1f} |"
        )


def _pause(pace_ms: int) -> None:
    if pace_ms:
        time.sleep(pace_ms / 1000)


def _publish(path: Path, parts: Iterable[str], *, pace_ms: int = 0) -> None:
    """Make the file appear whole or not at all, and last through a power cut: a step recorded as done is never asked again."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("x", encoding="utf-8", newline="\n") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        _pause(pace_ms)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
