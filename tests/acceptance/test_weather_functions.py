"""The functions of the weather example, called by hand: what they promise must hold without any engine around them.

The engine's part (order, retries, survival) is tested where the engine is. Here: the data, the figures, and what a repeat may do.
"""

import csv
import hashlib
import inspect
import json
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples.weather import chart, expected, make_defects, pipeline

pytestmark = pytest.mark.acceptance

EXAMPLE = Path(pipeline.__file__).parent
CLEAN = EXAMPLE / "data" / "seattle-weather.csv"
BROKEN = EXAMPLE / "data" / "seattle-weather-defects.csv"
MARKED = json.loads((EXAMPLE / "data" / "defects.json").read_text(encoding="utf-8"))
YEARS = [2012, 2013, 2014, 2015]
HEADER = "date,precipitation,temp_max,temp_min,wind,weather\n"
FILES = pytest.mark.parametrize("source", [CLEAN, BROKEN], ids=["clean", "defects"])


@dataclass(frozen=True)
class Attempt:
    """What a step gets to know of its task."""

    idempotency_key: str = "ex_1/load/"


def combined(source: Path, workdir: Path, *, rain_threshold: float = 1.0) -> dict[str, Any]:
    """The steps up to `combine`, in the order of weather.yaml."""
    checked = pipeline.validate_rows(source=str(source), workdir=str(workdir), years=YEARS)
    branches = [
        pipeline.year_statistics(rows_path=checked["rows_path"], year=year, rain_threshold=rain_threshold) for year in YEARS
    ]
    return pipeline.combine_years(branches=branches, rows=checked["rows"])


def performed(source: Path, workdir: Path, *, rain_threshold: float = 1.0) -> dict[str, Any]:
    """All steps; gives the last one's output."""
    months = combined(source, workdir, rain_threshold=rain_threshold)
    loaded = pipeline.load_table(Attempt(), combine=months, workdir=str(workdir))
    drawn = chart.draw_chart(database=loaded["database"], workdir=str(workdir))
    return pipeline.write_report(
        database=loaded["database"], defects_path=str(workdir / "defects.json"), chart=drawn["chart"], workdir=str(workdir)
    )


def table(workdir: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(workdir / "weather.db")) as database:
        return database.execute("SELECT * FROM monthly_weather ORDER BY year, month").fetchall()


def named(workdir: Path) -> list[tuple[int, str, str, str]]:
    report = json.loads((workdir / "defects.json").read_text(encoding="utf-8"))
    return [(defect["line"], defect["kind"], defect["column"], defect["value"]) for defect in report["defects"]]


def validated(text: str, workdir: Path) -> dict[str, Any]:
    source = workdir / "source.csv"
    source.write_text(text, encoding="utf-8", newline="\n")
    return pipeline.validate_rows(source=str(source), workdir=str(workdir), years=YEARS)


def titles(workdir: Path) -> list[str]:
    picture = ET.parse(workdir / "weather.svg")
    return [element.text or "" for element in picture.iter("{http://www.w3.org/2000/svg}title")]


# ── the data ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_original_is_the_one_whose_origin_is_written_down() -> None:
    origin = (CLEAN.parent / "ORIGIN.md").read_text(encoding="utf-8")
    assert hashlib.sha256(CLEAN.read_bytes()).hexdigest() in origin


def test_the_defects_can_be_made_again_to_the_byte() -> None:
    broken, marked = make_defects.break_lines(CLEAN.read_bytes())
    assert broken == BROKEN.read_bytes()
    assert make_defects.as_json(marked).encode() == (CLEAN.parent / "defects.json").read_bytes()


def test_exactly_the_twenty_marked_cells_differ_from_the_original() -> None:
    before, after = (list(csv.reader(path.read_text(encoding="utf-8").splitlines())) for path in (CLEAN, BROKEN))
    differing = [
        (line, before[0][column], old, new)
        for line, (row, other) in enumerate(zip(before, after, strict=True), start=1)
        for column, (old, new) in enumerate(zip(row, other, strict=True))
        if old != new
    ]
    assert differing == [(defect["line"], defect["column"], defect["original"], defect["broken"]) for defect in MARKED]
    assert len(differing) == 20
    assert len({defect["kind"] for defect in MARKED}) == 6


# ── validation ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_report_names_exactly_the_marked_defects(tmp_path: Path) -> None:
    output = pipeline.validate_rows(source=str(BROKEN), workdir=str(tmp_path), years=YEARS)
    assert named(tmp_path) == [(defect["line"], defect["kind"], defect["column"], defect["broken"]) for defect in MARKED]
    assert (output["rows"], output["rejected"], output["defects"]) == (1441, 20, 20)
    assert output["by_kind"] == Counter(defect["kind"] for defect in MARKED)


def test_the_original_has_no_defect(tmp_path: Path) -> None:
    output = pipeline.validate_rows(source=str(CLEAN), workdir=str(tmp_path), years=YEARS)
    assert (output["rows"], output["rejected"], output["defects"], output["by_kind"]) == (1461, 0, 0, {})
    assert named(tmp_path) == []


def test_the_good_rows_are_the_original_rows_without_the_marked_lines(tmp_path: Path) -> None:
    output = pipeline.validate_rows(source=str(BROKEN), workdir=str(tmp_path), years=YEARS)
    lines = CLEAN.read_text(encoding="utf-8").splitlines()
    healthy = [text for line, text in enumerate(lines, start=1) if line not in {defect["line"] for defect in MARKED}]
    kept = Path(output["rows_path"]).read_text(encoding="utf-8").splitlines()
    assert kept == [re.sub(r"^(\d+)/(\d+)/", r"\1-\2-", text) for text in healthy]


@pytest.mark.parametrize(
    ("row", "defects"),
    [
        ("2012/01/01,0.0,5.0,1.0,2.0", [("wrong_columns", "")]),
        ("2012/01/01,0.0,5.0,1.0,2.0,sun,more", [("wrong_columns", "")]),
        ("2011/12/31,0.0,5.0,1.0,2.0,sun", [("out_of_range", "date")]),
        ("2013/02/29,0.0,5.0,1.0,2.0,sun", [("impossible_date", "date")]),
        ("2012/1/1,0.0,5.0,1.0,2.0,sun", [("impossible_date", "date")]),
        ("2012/01/01,inf,5.0,1.0,2.0,sun", [("not_a_number", "precipitation")]),
        ("2012/01/01,1_0,5.0,1.0,2.0,sun", [("not_a_number", "precipitation")]),
        ("2012/01/01,1e1,5.0,1.0,2.0,sun", [("not_a_number", "precipitation")]),
        ("2012/01/01,٣,5.0,1.0,2.0,sun", [("not_a_number", "precipitation")]),
        ("2012/01/01,0.0,5.0,1.0,2.0, ", [("missing_value", "weather")]),
        ("2012/01/01,0.0,1.0,5.0,2.0,sun", [("out_of_range", "temp_min")]),
        ("2012/01/01,0.0,56.8,1.0,2.0,sun", [("out_of_range", "temp_max")]),
        (
            "2012/01/01,-1,5.0,,2,Sun",
            [("out_of_range", "precipitation"), ("missing_value", "temp_min"), ("unknown_weather", "weather")],
        ),
    ],
)
def test_each_wrong_cell_is_named_with_its_kind(tmp_path: Path, row: str, defects: list[tuple[str, str]]) -> None:
    output = validated(HEADER + row + "\n", tmp_path)
    assert [(line, kind, column) for line, kind, column, _ in named(tmp_path)] == [(2, *defect) for defect in defects]
    assert (output["rows"], output["rejected"]) == (0, 1)


@pytest.mark.parametrize(
    "row", ["2012/02/29,0,5,5,0,fog", "2015/12/31,1825,56.7,-89.2,113.2,snow", "2013/06/01,+0.5,-3.0,-5.0,1.0,rain"]
)
def test_a_row_at_the_edge_of_the_possible_is_accepted(tmp_path: Path, row: str) -> None:
    assert validated(HEADER + row + "\n", tmp_path)["rows"] == 1


def test_blank_lines_and_a_byte_order_mark_are_no_defects_and_lines_keep_their_numbers(tmp_path: Path) -> None:
    output = validated("\ufeff" + HEADER + "\n2012/01/01,0,5,1,2,sun\n\n2012/01/02,x,5,1,2,sun\n", tmp_path)
    assert output["rows"] == 1
    assert named(tmp_path) == [(5, "not_a_number", "precipitation", "x")]


def test_of_two_rows_of_one_day_the_first_counts_even_when_it_is_rejected(tmp_path: Path) -> None:
    validated(HEADER + "2012/01/01,,5,1,2,sun\n2012/01/01,0,5,1,2,sun\n", tmp_path)
    assert [(line, kind) for line, kind, _, _ in named(tmp_path)] == [(2, "missing_value"), (3, "duplicate_date")]


@pytest.mark.parametrize("text", ["", "\n", "date,rain\n2012/01/01,3\n", HEADER.replace(",", ";")])
def test_a_table_with_another_header_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"source\.csv:1: the header is .*, expected 'date,precipitation,"):
        validated(text, tmp_path)


# ── the figures ──────────────────────────────────────────────────────────────────────────────────────────────────────


@FILES
@pytest.mark.parametrize("rain_threshold", [0.1, 1.0, 25.4])
def test_the_table_equals_an_independent_computation(tmp_path: Path, source: Path, rain_threshold: float) -> None:
    performed(source, tmp_path, rain_threshold=rain_threshold)
    assert expected.compare(tmp_path / "weather.db", source, rain_threshold=rain_threshold) == []
    assert len(table(tmp_path)) == 48


def test_the_comparison_sees_a_wrong_a_missing_and_a_surplus_month(tmp_path: Path) -> None:
    performed(CLEAN, tmp_path)
    with closing(sqlite3.connect(tmp_path / "weather.db", isolation_level=None)) as database:
        database.execute("UPDATE monthly_weather SET wind_max = wind_max + 0.1 WHERE year = 2012 AND month = 1")
        database.execute("DELETE FROM monthly_weather WHERE year = 2013 AND month = 2")
        database.execute("INSERT INTO monthly_weather SELECT 2016, 1, days, 0, 0, 0, 0, 0, 0 FROM monthly_weather LIMIT 1")
    wrong, missing, surplus = expected.compare(tmp_path / "weather.db", CLEAN)
    assert wrong.startswith("2012-01 wind_max is 8.29999999")
    assert (missing, surplus) == ("2013-02 is missing", "2016-01 should not be there")


def test_a_table_of_the_other_file_does_not_pass_the_comparison(tmp_path: Path) -> None:
    performed(CLEAN, tmp_path)
    assert "2012-02 days is 29, expected 28" in expected.compare(tmp_path / "weather.db", BROKEN)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), share=st.floats(0.0, 1.0))
def test_any_part_of_the_rows_in_any_order_gives_the_expected_table(tmp_path: Path, seed: int, share: float) -> None:
    rows = BROKEN.read_text(encoding="utf-8").splitlines(keepends=True)[1:]
    source = tmp_path / f"part-{seed}-{share}.csv"
    source.write_text(HEADER + "".join(random.Random(seed).sample(rows, round(share * len(rows)))), encoding="utf-8")
    months = combined(source, tmp_path)
    pipeline.load_table(Attempt(str(source)), combine=months, workdir=str(tmp_path))
    assert expected.compare(tmp_path / "weather.db", source) == []


def test_days_that_no_branch_holds_are_not_lost_silently(tmp_path: Path) -> None:
    checked = pipeline.validate_rows(source=str(CLEAN), workdir=str(tmp_path), years=YEARS)
    branches = [pipeline.year_statistics(rows_path=checked["rows_path"], year=year, rain_threshold=1.0) for year in YEARS[:3]]
    with pytest.raises(ValueError, match="the branches hold 1096 days, validation passed 1461"):
        pipeline.combine_years(branches=branches, rows=checked["rows"])


def test_a_year_without_rows_is_an_empty_branch(tmp_path: Path) -> None:
    checked = pipeline.validate_rows(source=str(CLEAN), workdir=str(tmp_path), years=YEARS)
    assert pipeline.year_statistics(rows_path=checked["rows_path"], year=2016, rain_threshold=1.0) == {"year": 2016, "months": []}


# ── performed twice, or broken off ───────────────────────────────────────────────────────────────────────────────────


@FILES
def test_every_step_performed_twice_leaves_the_same_files_and_table(tmp_path: Path, source: Path) -> None:
    def everything() -> tuple[dict[str, Any], dict[str, bytes], list[tuple[Any, ...]]]:
        output = performed(source, tmp_path)
        return output, {path.name: path.read_bytes() for path in sorted(tmp_path.iterdir())}, table(tmp_path)

    once = everything()
    assert sorted(once[1]) == ["defects.json", "report.md", "rows.csv", "weather.db", "weather.svg"]
    assert everything() == once


def test_the_same_load_again_changes_nothing_even_after_a_newer_one(tmp_path: Path) -> None:
    older, newer = combined(BROKEN, tmp_path), combined(CLEAN, tmp_path)
    answer = pipeline.load_table(Attempt("first"), combine=older, workdir=str(tmp_path))
    pipeline.load_table(Attempt("second"), combine=newer, workdir=str(tmp_path))
    loaded = table(tmp_path)
    assert pipeline.load_table(Attempt("first"), combine=older, workdir=str(tmp_path)) == answer
    assert table(tmp_path) == loaded
    assert expected.compare(tmp_path / "weather.db", CLEAN) == []


def test_a_load_that_breaks_in_the_middle_leaves_the_table_and_may_be_repeated(tmp_path: Path) -> None:
    older, newer = combined(BROKEN, tmp_path), combined(CLEAN, tmp_path)
    pipeline.load_table(Attempt("first"), combine=older, workdir=str(tmp_path))
    before = table(tmp_path)
    one_month_twice = {"months": [*newer["months"], newer["months"][0]]}
    with pytest.raises(sqlite3.IntegrityError):
        pipeline.load_table(Attempt("second"), combine=one_month_twice, workdir=str(tmp_path))
    assert table(tmp_path) == before
    pipeline.load_table(Attempt("second"), combine=newer, workdir=str(tmp_path))
    assert expected.compare(tmp_path / "weather.db", CLEAN) == []


@pytest.mark.parametrize("name", ["rows.csv", "defects.json", "weather.svg", "report.md"])
def test_a_file_that_cannot_be_published_leaves_no_draft_behind(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "in the way").mkdir(parents=True)
    with pytest.raises(OSError, match=re.escape(name)):
        performed(CLEAN, tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


# ── chart and report ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["report.md", "weather.svg"])
def test_the_sample_is_what_the_pipeline_makes_of_the_defects_copy(tmp_path: Path, name: str) -> None:
    performed(BROKEN, tmp_path)
    assert (tmp_path / name).read_bytes() == (EXAMPLE / "sample" / name).read_bytes()


def test_the_chart_shows_every_month_of_the_table_and_names_its_figures(tmp_path: Path) -> None:
    performed(CLEAN, tmp_path)
    assert len(titles(tmp_path)) == 1 + 2 * 48
    assert "December 2015: 284.5 mm, 24 rainy days" in titles(tmp_path)
    assert "January 2012: \N{MINUS SIGN}3.3 to 12.8 °C, mean 4.3 °C" in titles(tmp_path)


@pytest.mark.parametrize(
    "rows", [[], ["2014/05/01,0.0,-3.0,-5,1,sun"], ["2012/05/01,412.5,31.0,11,1,rain", "2015/01/01,0,0,0,0,fog"]]
)
def test_a_table_with_few_or_no_rows_still_has_a_chart_and_a_report(tmp_path: Path, rows: list[str]) -> None:
    source = tmp_path / "few.csv"
    source.write_text(HEADER + "\n".join(rows), encoding="utf-8")
    output = performed(source, tmp_path)
    assert len(titles(tmp_path)) == 1 + 2 * len(rows)
    assert [year["days"] for year in output["years"]] == [1] * len(rows)
    assert f"{len(rows)} rows accepted, 0 rejected" in Path(output["report"]).read_text(encoding="utf-8")


def test_the_report_lists_a_bounded_number_of_defects_and_no_cell_breaks_its_table(tmp_path: Path) -> None:
    source = tmp_path / "bad.csv"
    source.write_text(HEADER + '2012/01/01,0,5,1,2,"a | b\n`c`"\n' * 150, encoding="utf-8")
    quality = Path(performed(source, tmp_path)["report"]).read_text(encoding="utf-8").split("## Years")[0]
    listed = re.findall(r"^\| \d.*", quality, flags=re.MULTILINE)
    assert listed[0] == "| 2 | unknown_weather | weather | `a / b 'c'` | not one of drizzle, fog, rain, snow, sun |"
    assert listed[1] == "| 4 | duplicate_date | date | `2012/01/01` | line 2 has this day already |"
    assert len(listed) == pipeline.MAX_LISTED_DEFECTS == 100
    assert "These are the first 100; `defects.json` names all 299." in quality


# ── the document ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_document_gives_every_function_exactly_what_it_asks_for() -> None:
    modules: dict[str, ModuleType] = {"pipeline": pipeline, "chart": chart}
    steps = yaml.safe_load((EXAMPLE / "weather.yaml").read_text(encoding="utf-8"))["steps"]
    assert {step["type"] for step in steps} == {"function"}
    for step in steps:
        module, name = step["config"]["function"].split(":")
        function: Callable[..., Any] = getattr(modules[module], name)
        given_by_name = {"ctx", *step.get("depends_on", [])} & set(inspect.signature(function).parameters)
        inspect.signature(function).bind(**{**dict.fromkeys(given_by_name), **step["config"]["params"]})


def test_the_document_reads_only_outputs_that_exist_by_then() -> None:
    steps = yaml.safe_load((EXAMPLE / "weather.yaml").read_text(encoding="utf-8"))["steps"]
    before: dict[str, set[str]] = {}
    for step in steps:
        direct = set(step.get("depends_on", []))
        before[step["id"]] = direct.union(*(before[other] for other in direct))
        assert set(re.findall(r"steps\.(\w+)\.", json.dumps(step["config"]))) <= before[step["id"]]
    assert before["report"] == {step["id"] for step in steps} - {"report"}
