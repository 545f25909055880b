"""The weather pipeline, tested as its owner would, with the public names of ``taskengine.testing`` alone."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from taskengine.testing import CrashError, HistoryError, explore_crashes, replay, virtual_engine

pytestmark = pytest.mark.acceptance

EXAMPLE = Path(__file__).parents[2] / "examples" / "weather"
PIPELINE = EXAMPLE / "weather.yaml"
YEARS = ("year_2012", "year_2013", "year_2014", "year_2015")


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    return {"csv": str(EXAMPLE / "data" / "seattle-weather-defects.csv"), "workdir": str(tmp_path / "out")}


def table(workdir: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(workdir / "weather.db")) as database:
        return database.execute("SELECT * FROM monthly_weather ORDER BY year, month").fetchall()


def left_behind(workdir: Path) -> Iterator[tuple[str, str]]:
    """Every file with a hash, and the table with its own."""
    for file in sorted(workdir.iterdir()):
        if file.name == "weather.db":
            yield file.name, hashlib.sha256(repr(table(workdir)).encode()).hexdigest()
        else:
            yield file.name, hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_pipeline_does_its_steps_in_order_each_once(params: dict[str, Any]) -> None:
    with virtual_engine() as engine:
        ended = engine.run(PIPELINE, params=params)
    history = ended.history
    history.completed()
    for year in YEARS:
        history.order("validate", year, "combine", "load", "chart", "report")
        history.ran(year, times=1)
    assert (ended.output["rows"], ended.output["rejected"]) == (1441, 20)
    assert len(table(Path(params["workdir"]))) == 48


def test_a_year_whose_disk_stutters_is_tried_again_and_nothing_else_is(params: dict[str, Any]) -> None:
    with virtual_engine() as engine:
        engine.step("year_2013").fails(3, error=OSError("the disk stutters"))
        history = engine.run(PIPELINE, params=params).history
    history.completed("report")
    assert history.attempts("year_2013") == 4
    assert history.attempts("year_2012") == 1
    assert history.took() > timedelta(seconds=1)  # the policy's pauses: 0.2, 0.4 and 0.8 s, more or less


def test_a_mistake_in_the_data_is_not_tried_again_and_nothing_is_loaded(params: dict[str, Any]) -> None:
    with virtual_engine() as engine:
        engine.step("combine").raises(ValueError("a year is missing"))
        history = engine.run(PIPELINE, params=params).history
    history.failed(error="ValueError")
    history.ran("combine", times=1)
    history.never_ran("load", "chart", "report")
    assert not (Path(params["workdir"]) / "weather.db").exists()


def test_the_rows_that_were_loaded_are_gone_when_the_report_fails(params: dict[str, Any]) -> None:
    with virtual_engine() as engine:
        engine.step("report").raises(ValueError("the paper is out"))
        ended = engine.run(PIPELINE, params=params)
    ended.history.ran("load", times=1)
    assert (ended.status, ended.outcome) == ("failed", "compensated")
    assert table(Path(params["workdir"])) == []


def test_what_was_loaded_stays_when_nothing_fails(params: dict[str, Any]) -> None:
    with virtual_engine() as engine:
        ended = engine.run(PIPELINE, params=params)
    ended.history.completed()
    assert len(table(Path(params["workdir"]))) == 48


def test_a_year_that_hangs_is_timed_out_and_tried_again(params: dict[str, Any]) -> None:
    with virtual_engine() as engine:
        engine.step("year_2014").takes(hours=1)
        ended = engine.run(PIPELINE, params=params)
        # Four attempts of 30 s, and the execution's own ten minutes are not used up.
        ended.history.failed("year_2014", error="Timeout")
        ended.history.ran("year_2014", times=4)
        assert timedelta(minutes=2) < ended.history.took() < timedelta(minutes=3)


def test_a_mocked_year_reaches_the_steps_after_it(params: dict[str, Any]) -> None:
    with virtual_engine() as engine:
        engine.function("pipeline:load_table").returns({"database": "d", "table": "t", "rows": 0})
        engine.function("chart:draw_chart").returns({"chart": "c"})
        report = engine.function("pipeline:write_report").returns({"report": "r", "years": []})
        history = engine.run(PIPELINE, params=params).history
        assert history.output["report"] == "r"
        (call,) = report.calls
        assert (call.params["database"], call.params["chart"]) == ("d", "c")
        assert len(history.input_of("combine")["branches"]) == 4


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_no_crash_changes_what_the_pipeline_leaves_behind(params: dict[str, Any], tmp_path: Path, store: str) -> None:
    workdir = Path(params["workdir"])
    found = explore_crashes(
        PIPELINE,
        params,
        reset=lambda: shutil.rmtree(workdir, ignore_errors=True),
        effects=lambda: dict(left_behind(workdir)),
        sqlite_in=tmp_path if store == "sqlite" else None,
    )
    assert found.points >= 20
    assert set(found.repeated) == {step.id for step in found.history.workflow.steps}


def test_a_pipeline_that_only_appends_is_caught(params: dict[str, Any]) -> None:
    """What the idempotency key of ``load_table`` is for: without it the table has everything twice after some crashes."""
    rows: list[str] = []

    def append(combine: dict[str, Any], workdir: str, pace_ms: int) -> dict[str, Any]:
        rows.extend(str(month) for month in combine["months"])
        return {"database": f"{workdir}/weather.db", "table": "monthly_weather", "rows": len(rows)}

    def without_key(engine: Any) -> None:
        engine.step("load").does(append)
        engine.step("chart").returns({"chart": ""})
        engine.step("report").returns({"report": "", "years": []})

    with pytest.raises(CrashError, match="TaskCompleted of load") as caught:
        explore_crashes(PIPELINE, params, prepare=without_key, reset=rows.clear, effects=lambda: len(rows))
    first = caught.value.findings[0]
    assert not first.point.is_after
    assert "effects: 96, undisturbed 48" in first.differences


def test_a_recorded_run_is_replayed_with_the_document_of_today(params: dict[str, Any], tmp_path: Path) -> None:
    with virtual_engine() as engine:
        file = engine.run(PIPELINE, params=params).history.record(tmp_path / "weather.jsonl")
    assert replay(file, PIPELINE).status == "completed"
    text = PIPELINE.read_text(encoding="utf-8")
    changed = tmp_path / "weather.yaml"
    changed.write_text(text.replace("depends_on: [chart]", "depends_on: [chart, load]"), encoding="utf-8")
    replay(file, changed)  # what was true before is said once more: nothing is decided otherwise
    changed.write_text(text.replace("depends_on: [load]", "depends_on: [load]\n    when: 'false'"), encoding="utf-8")
    with pytest.raises(AssertionError, match="TaskSkipped"):
        replay(file, changed)


def test_a_claim_that_is_wrong_tells_the_story(params: dict[str, Any]) -> None:
    with virtual_engine() as engine:
        history = engine.run(PIPELINE, params=params).history
    with pytest.raises(HistoryError, match=r"(?s)chart should have ended before load began.*validate +attempt 1 began"):
        history.order("chart", "load")
