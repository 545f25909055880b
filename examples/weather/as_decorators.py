"""The workflow of weather.yaml as decorated functions: `python as_decorators.py CSV WORKDIR` runs it in a database of its own.

The graph is what the calls say: a result that is passed on is a dependency; steps that do not depend on each other run in parallel.
"""

import json
import sys
from typing import Any

import chart as drawing
import pipeline

from taskengine import Engine, RetryPolicy, task, workflow

YEARS = [2012, 2013, 2014, 2015]
POLICY = RetryPolicy(
    max_attempts=4, initial_interval_ms=200, max_interval_ms=5_000, backoff_coefficient=2, non_retryable_errors=("ValueError",)
)

validate = task(id="validate", name="Validate rows")(pipeline.validate_rows)
month = task(pipeline.year_statistics)
combine = task(id="combine", name="Combine the years")(pipeline.combine_years)
unload = task(pipeline.unload_table)
load = task(id="load", name="Load the table", compensate=lambda loaded: unload(database=loaded.database))(pipeline.load_table)
draw = task(id="chart", name="Draw the chart")(drawing.draw_chart)
report = task(id="report", name="Write the report")(pipeline.write_report)


@workflow(name="seattle-weather", version="1", timeout="10m", max_concurrency=4, task_timeout="30s", task_retry=POLICY)
def weather(*, csv: str, workdir: str, years: list[int] = YEARS, rain_threshold: float = 1.0, pace_ms: int = 0) -> dict[str, Any]:
    """Validate daily weather, fold each year in parallel, load the months into SQLite, draw and report."""
    valid: Any = validate(source=csv, workdir=workdir, years=years, pace_ms=pace_ms)
    months = [
        month.with_options(id=f"year_{year}", name=f"Months of {year}")(
            rows_path=valid.rows_path, year=year, rain_threshold=rain_threshold, pace_ms=pace_ms
        )
        for year in YEARS
    ]
    combined = combine(branches=months, rows=valid.rows, pace_ms=pace_ms)
    loaded: Any = load(combine=combined, workdir=workdir, pace_ms=pace_ms)
    drawn: Any = draw(database=loaded.database, workdir=workdir, pace_ms=pace_ms)
    written: Any = report(
        database=loaded.database, defects_path=valid.defects_path, chart=drawn.chart, workdir=workdir, pace_ms=pace_ms
    )
    return {
        "rows": valid.rows,
        "rejected": valid.rejected,
        "defects": valid.by_kind,
        "years": written.years,
        "database": loaded.database,
        "table": loaded.table,
        "table_rows": loaded.rows,
        "report": written.report,
        "chart": drawn.chart,
    }


if __name__ == "__main__":
    print(weather)
    with Engine("seattle-decorators.db") as engine:
        execution = engine.execute_workflow(weather, params={"csv": sys.argv[1], "workdir": sys.argv[2]})
        print(json.dumps(execution.result().output, indent=2))
