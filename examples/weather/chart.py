"""The chart step of the weather pipeline: ranges of temperature and sums of rain, month by month, as an SVG file.

Owns ``weather.svg`` in the work directory and how it looks; needs no plotting library. Reads the result table and computes no
statistics but the averages it draws. The same table gives the same bytes, and the file appears whole or not at all, so the step may
be killed and repeated. Called by the engine after the table is loaded. It imports nothing from its neighbours: a document names its
functions file by file.
"""

import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from math import ceil, floor
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

JsonObject = dict[str, Any]
Scale = Callable[[float], float]

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")

# Sizes in px. The panels of the years stand beside each other, temperature above, precipitation below, one scale for each row.
WIDTH, HEIGHT = 1200, 706
LEFT, RIGHT, GAP = 70, 24, 26
EDGE = 24  # where titles begin
WARM_TOP, WARM_HEIGHT = 178, 262
WET_TOP, WET_HEIGHT = 500, 150
INK, MUTED, GRID, ZERO, WET, WETTEST = "#1f2a37", "#667382", "#e4e8ed", "#aab4c0", "#86b6dc", "#2b6ca3"
# Colour by temperature: the same degree has the same colour in every panel.
HEAT = ((-10, "#3f5fa8"), (0, "#5b9bd0"), (10, "#a9d3c9"), (20, "#f4cf7a"), (30, "#e8823c"), (40, "#b8322a"))


YEARS = """SELECT year, SUM(temp_mean * days) / SUM(days) AS temp_mean, SUM(precipitation) AS precipitation,
    SUM(rainy_days) AS rainy_days FROM monthly_weather GROUP BY year ORDER BY year"""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One year: its rows, its totals, and where it stands."""

    months: list[JsonObject]
    totals: JsonObject
    left: float
    width: float

    @property
    def slot(self) -> float:
        """The width that one month has."""
        return self.width / 12

    def centre(self, month: int) -> float:
        """The middle of a month (1 to 12)."""
        return self.left + (month - 0.5) * self.slot


def draw_chart(*, database: str, workdir: str, pace_ms: int = 0) -> JsonObject:
    """Draw ``weather.svg`` from the table ``monthly_weather``; gives its path."""
    with closing(sqlite3.connect(f"{Path(database).absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        months = [dict(row) for row in connection.execute("SELECT * FROM monthly_weather ORDER BY year, month")]
        years = [dict(row) for row in connection.execute(YEARS)]
        usual = dict(connection.execute("SELECT month, AVG(precipitation) FROM monthly_weather GROUP BY month").fetchall())
    path = Path(workdir) / "weather.svg"
    _publish(path, "\n".join(_chart(months, years, usual=usual)) + "\n", pace_ms=pace_ms)
    return {"chart": str(path)}


def _chart(months: list[JsonObject], years: list[JsonObject], *, usual: dict[int, float]) -> Iterator[str]:
    span = "\N{EN DASH}".join(sorted({str(year["year"]) for year in (years[:1] + years[-1:])}))
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img"'
    yield '  font-family="Inter, system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif">'
    yield f"<title>Seattle weather {span}: range of temperature and sum of precipitation per month</title>"
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    yield _text((EDGE, 44), "Seattle weather, month by month", size=25, weight=600)
    if not months:
        yield _text((EDGE, 74), "The table is empty: no row passed validation.", size=15, fill=MUTED)
    else:
        yield _text((EDGE, 70), f"{span}, one panel per year, the same scale in all", size=15, fill=MUTED)
        yield from _rows_of_panels(months, years, usual=usual)
    yield _text((WIDTH - RIGHT, HEIGHT - 16), "Data: NOAA, public domain", size=12, fill=MUTED, anchor="end")
    yield "</svg>"


def _rows_of_panels(months: list[JsonObject], years: list[JsonObject], *, usual: dict[int, float]) -> Iterator[str]:
    cold = 10 * floor(min(row["temp_min"] for row in months) / 10)
    warm = max(10 * ceil(max(row["temp_max"] for row in months) / 10), cold + 10)
    step = 50 if max(row["precipitation"] for row in months) <= 200 else 100
    wet = max(step * ceil(max(row["precipitation"] for row in months) / step), step)
    degrees = _scale(cold, warm, top=WARM_TOP, height=WARM_HEIGHT)
    amount = _scale(0, wet, top=WET_TOP, height=WET_HEIGHT)
    width = (WIDTH - LEFT - RIGHT - GAP * (len(years) - 1)) / len(years)
    panels = [
        Panel(months=[row for row in months if row["year"] == totals["year"]], totals=totals, left=left, width=width)
        for totals, left in zip(years, count(LEFT, width + GAP), strict=False)
    ]
    yield from _gradient(degrees)
    yield from _legend_of_temperature(WARM_TOP - 76)
    yield from _axis(panels, degrees, ticks=range(cold, warm + 1, 10), unit="°C")
    yield from _legend_of_precipitation(WET_TOP - 28)
    yield from _axis(panels, amount, ticks=range(0, wet + 1, step), unit="mm")
    for panel in panels:
        yield from _heading(panel)
        yield from _temperatures(panel, degrees)
        yield from _precipitation(panel, amount, usual=usual)


def _gradient(degrees: Scale) -> Iterator[str]:
    warmest, coldest = degrees(HEAT[-1][0]), degrees(HEAT[0][0])
    yield f'<defs><linearGradient id="heat" gradientUnits="userSpaceOnUse" x1="0" x2="0" y1="{warmest:.1f}" y2="{coldest:.1f}">'
    for degree, colour in reversed(HEAT):
        yield f'  <stop offset="{(degrees(degree) - warmest) / (coldest - warmest):.3f}" stop-color="{colour}"/>'
    yield '</linearGradient><linearGradient id="legend">'
    for index, (_, colour) in enumerate(HEAT):
        yield f'  <stop offset="{index / (len(HEAT) - 1):.1f}" stop-color="{colour}"/>'
    yield "</linearGradient></defs>"


def _axis(panels: list[Panel], scale: Scale, *, ticks: range, unit: str) -> Iterator[str]:
    for tick in ticks:
        y = scale(tick)
        for panel in panels:
            yield _line((panel.left, panel.left + panel.width), y, colour=GRID if tick else ZERO, thick=1)
        label = f"{_signed(tick)} {unit}" if tick == ticks[-1] else _signed(tick)
        yield _text((LEFT - 8, y + 4), label, fill=MUTED, anchor="end", size=12)


def _legend_of_temperature(y: float) -> Iterator[str]:
    yield f'<rect x="{EDGE}" y="{y - 10}" width="46" height="10" rx="5" fill="url(#legend)"/>'
    yield _text((EDGE + 56, y), "coldest night to warmest day of the month", fill=MUTED)
    yield _dot(EDGE + 352, y - 5)
    yield _text((EDGE + 364, y), "mean of the month", fill=MUTED)


def _legend_of_precipitation(y: float) -> Iterator[str]:
    yield f'<rect x="{EDGE}" y="{y - 10}" width="11" height="11" fill="{WET}"/>'
    yield _text((EDGE + 19, y), "precipitation of the month", fill=MUTED)
    yield f'<rect x="{EDGE + 216}" y="{y - 10}" width="11" height="11" fill="{WETTEST}"/>'
    yield _text((EDGE + 235, y), "wettest of the year", fill=MUTED)
    yield _line((EDGE + 388, EDGE + 406), y - 5, colour=INK, thick=1.6)
    yield _text((EDGE + 414, y), "average of that month over the years shown", fill=MUTED)


def _heading(panel: Panel) -> Iterator[str]:
    totals = panel.totals
    facts = f"{_signed(totals['temp_mean'], 1)} °C · {totals['precipitation']:,.0f} mm · {totals['rainy_days']} rainy days"
    yield _text((panel.left, WARM_TOP - 36), str(totals["year"]), size=17, weight=600)
    yield _text((panel.left, WARM_TOP - 17), facts, fill=MUTED)


def _temperatures(panel: Panel, degrees: Scale) -> Iterator[str]:
    thick = panel.slot * 0.54
    for row in panel.months:
        x, top, bottom = panel.centre(row["month"]), degrees(row["temp_max"]), degrees(row["temp_min"])
        spread = f"{_signed(row['temp_min'], 1)} to {_signed(row['temp_max'], 1)} °C, mean {_signed(row['temp_mean'], 1)} °C"
        yield f'<rect x="{x - thick / 2:.1f}" y="{top:.1f}" width="{thick:.1f}" height="{bottom - top:.1f}" rx="{thick / 2:.1f}"'
        yield f'  fill="url(#heat)"><title>{MONTHS[row["month"] - 1]} {row["year"]}: {spread}</title></rect>'
        yield _dot(x, degrees(row["temp_mean"]))
    warmest = max(panel.months, key=lambda row: row["temp_max"])
    coldest = min(panel.months, key=lambda row: row["temp_min"])
    yield _value((panel.centre(warmest["month"]), degrees(warmest["temp_max"]) - 6), f"{_signed(warmest['temp_max'], 1)}°")
    yield _value((panel.centre(coldest["month"]), degrees(coldest["temp_min"]) + 15), f"{_signed(coldest['temp_min'], 1)}°")


def _precipitation(panel: Panel, amount: Scale, *, usual: dict[int, float]) -> Iterator[str]:
    wettest = max(panel.months, key=lambda row: row["precipitation"])
    thick, ground = panel.slot * 0.62, amount(0)
    for row in panel.months:
        month = f"{MONTHS[row['month'] - 1]} {row['year']}"
        x, top = panel.centre(row["month"]), amount(row["precipitation"])
        about = f"{row['precipitation']:.1f} mm, {row['rainy_days']} rainy days"
        yield f'<rect x="{x - thick / 2:.1f}" y="{top:.1f}" width="{thick:.1f}" height="{ground - top:.1f}"'
        yield f'  fill="{WETTEST if row is wettest else WET}"><title>{month}: {about}</title></rect>'
        yield _line((x - panel.slot * 0.4, x + panel.slot * 0.4), amount(usual[row["month"]]), colour=INK, thick=1.6)
    yield _value((panel.centre(wettest["month"]), amount(wettest["precipitation"]) - 6), f"{wettest['precipitation']:.0f}")
    for month, name in enumerate(MONTHS, start=1):
        yield _value((panel.centre(month), ground + 17), name[0], colour=MUTED)


def _text(at: tuple[float, float], text: str, *, size: int = 13, fill: str = INK, weight: int = 400, anchor: str = "start") -> str:
    style = f'font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}"'
    return f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" {style}>{escape(text)}</text>'


def _value(at: tuple[float, float], text: str, *, colour: str = INK) -> str:
    return _text(at, text, size=12, fill=colour, anchor="middle")


def _dot(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="#ffffff" stroke="{INK}" stroke-width="1.3"/>'


def _line(x: tuple[float, float], y: float, *, colour: str, thick: float) -> str:
    return f'<line x1="{x[0]:.1f}" x2="{x[1]:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="{thick}"/>'


def _signed(number: float, digits: int = 0) -> str:
    return f"{number:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _scale(low: float, high: float, *, top: float, height: float) -> Scale:
    return lambda value: top + height * (high - value) / (high - low)


def _publish(path: Path, text: str, *, pace_ms: int) -> None:
    """Make the file appear whole or not at all, and last through a power cut: a step recorded as done is never asked again."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        time.sleep(pace_ms / 1000)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
