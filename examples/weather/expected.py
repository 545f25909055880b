"""What the result table must hold, computed a second time by other means.

Shares no code and no method with the pipeline: floats instead of decimals, sorting and grouping instead of buckets, its own idea of
a good row. Called by the demo and the tests; writes nothing.
"""

import csv
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from itertools import groupby
from math import fsum, isclose, isfinite
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

FIGURES: tuple[str, ...] = ("days", "temp_mean", "temp_min", "temp_max", "precipitation", "rainy_days", "wind_max")
Month = tuple[int, int]


class Day(NamedTuple):
    """One accepted row, in the order of the file's columns."""

    date: str
    precipitation: float
    temp_max: float
    temp_min: float
    wind: float

    @property
    def month(self) -> Month:
        """Year and month, to group by."""
        return int(self.date[:4]), int(self.date[5:7])


def compare(result_db: Path, csv_path: Path, *, rain_threshold: float = 1.0) -> list[str]:
    """Give one sentence for each difference between the table ``monthly_weather`` and the expected one; none: all is right."""
    with closing(sqlite3.connect(result_db)) as database:
        rows = database.execute(f"SELECT year, month, {', '.join(FIGURES)} FROM monthly_weather").fetchall()  # noqa: S608 our names
    actual = {(row[0], row[1]): dict(zip(FIGURES, row[2:], strict=True)) for row in rows}
    expected = monthly(csv_path, rain_threshold=rain_threshold)
    differences = [f"{year}-{month:02d} is missing" for year, month in expected.keys() - actual.keys()]
    differences += [f"{year}-{month:02d} should not be there" for year, month in actual.keys() - expected.keys()]
    for (year, month), figures in expected.items():
        for name, value in figures.items():
            found = actual.get((year, month), figures)[name]
            if not isclose(found, value, rel_tol=1e-12, abs_tol=1e-9):
                differences.append(f"{year}-{month:02d} {name} is {found}, expected {value}")
    return sorted(differences)


def monthly(csv_path: Path, *, rain_threshold: float = 1.0) -> dict[Month, dict[str, float]]:
    """Compute the figures of every month that has at least one good row."""
    days = sorted(_good_days(csv_path))
    return {month: _figures(list(group), rain_threshold) for month, group in groupby(days, key=lambda day: day.month)}


def _figures(days: list[Day], rain_threshold: float) -> dict[str, float]:
    return {
        "days": len(days),
        "temp_mean": (fmean(day.temp_max for day in days) + fmean(day.temp_min for day in days)) / 2,
        "temp_min": min(day.temp_min for day in days),
        "temp_max": max(day.temp_max for day in days),
        "precipitation": fsum(day.precipitation for day in days),
        "rainy_days": len([day for day in days if not day.precipitation < rain_threshold]),
        "wind_max": max(day.wind for day in days),
    }


def _good_days(csv_path: Path) -> Iterator[Day]:
    taken: set[str] = set()
    with csv_path.open(newline="") as file:
        for row in csv.DictReader(file):
            if not _is_day(row["date"]):
                continue
            is_first = row["date"] not in taken
            taken.add(row["date"])
            try:
                day = Day(row["date"], *(float(row[name]) for name in Day._fields[1:]))
            except ValueError:
                continue
            if is_first and _is_plausible(day) and row["weather"] in ("sun", "rain", "fog", "snow", "drizzle"):
                yield day


def _is_day(text: str) -> bool:
    try:
        return datetime.strptime(text, "%Y/%m/%d").strftime("%Y/%m/%d") == text  # noqa: DTZ007 a day has no zone
    except ValueError:
        return False


def _is_plausible(day: Day) -> bool:
    numbers_are_finite = all(isfinite(number) for number in day[1:])
    return numbers_are_finite and 0 <= day.precipitation < 2000 and -90 < day.temp_min <= day.temp_max < 57 and 0 <= day.wind < 114
