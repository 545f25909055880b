"""The workflow of weather.yaml, put together by a program: `python as_builder.py CSV WORKDIR` runs it in a database of its own.

The functions are the same; the builder's words are the document's. What comes out is equal to what the document says.
"""

import json
import sys

from chart import draw_chart
from pipeline import combine_years, load_table, unload_table, validate_rows, write_report, year_statistics

from taskengine import Engine, RetryPolicy, TaskBuilder, WorkflowBuilder

YEARS = [2012, 2013, 2014, 2015]
WORKDIR, PACE = "{{ input.workdir }}", "{{ variables.pace_ms }}"

INPUT = {
    "type": "object",
    "required": ["csv", "workdir"],
    "additionalProperties": False,
    "properties": {
        "csv": {"type": "string", "description": "the table: date, precipitation, temp_max, temp_min, wind, weather"},
        "workdir": {
            "type": "string",
            "description": "where rows.csv, defects.json, weather.db, weather.svg and report.md go; one execution at a time",
        },
        "rain_threshold": {"type": "number", "minimum": 0, "description": "from how many mm on a day is rainy"},
        "pace_ms": {
            "type": "integer",
            "minimum": 0,
            "maximum": 10000,
            "description": "slows every step down, to watch it or to kill it",
        },
    },
}


def month_task(year: int) -> TaskBuilder:
    """The months of one year."""
    return (
        TaskBuilder(f"Months of {year}", id=f"year_{year}")
        .with_job_function(
            year_statistics,
            rows_path="{{ steps.validate.output.rows_path }}",
            year=year,
            rain_threshold="{{ variables.rain_threshold }}",
            pace_ms=PACE,
        )
        .depends_on("validate")
    )


weather = (
    WorkflowBuilder(
        "seattle-weather",
        "Validate daily weather, fold each year in parallel, load the months into SQLite, draw and report.",
        version="1",
    )
    .with_input(INPUT)
    .with_params(years=YEARS, rain_threshold=1.0, pace_ms=0)
    .with_defaults(
        timeout="30s",
        retry=RetryPolicy(
            max_attempts=4,
            initial_interval_ms=200,
            max_interval_ms=5_000,
            backoff_coefficient=2,
            non_retryable_errors=("ValueError",),
        ),
    )
    .with_timeout("10m")
    .with_max_concurrency(4)
    .with_task(
        TaskBuilder("Validate rows", id="validate").with_job_function(
            validate_rows, source="{{ input.csv }}", workdir=WORKDIR, years="{{ variables.years }}", pace_ms=PACE
        )
    )
    .with_tasks(*map(month_task, YEARS))
    .with_task(
        TaskBuilder("Combine the years", id="combine")
        .with_job_function(
            combine_years,
            branches=[f"{{{{ steps.year_{year}.output }}}}" for year in YEARS],
            rows="{{ steps.validate.output.rows }}",
            pace_ms=PACE,
        )
        .depends_on(*(f"Months of {year}" for year in YEARS))
    )
    .with_task(
        TaskBuilder("Load the table", id="load")
        .with_job_function(load_table, workdir=WORKDIR, pace_ms=PACE)
        .with_compensation(unload_table, {"database": "{{ steps.load.output.database }}"})
        .depends_on("combine")
    )
    .with_task(
        TaskBuilder("Draw the chart", id="chart")
        .with_job_function(draw_chart, database="{{ steps.load.output.database }}", workdir=WORKDIR, pace_ms=PACE)
        .depends_on("load")
    )
    .with_task(
        TaskBuilder("Write the report", id="report")
        .with_job_function(
            write_report,
            database="{{ steps.load.output.database }}",
            defects_path="{{ steps.validate.output.defects_path }}",
            chart="{{ steps.chart.output.chart }}",
            workdir=WORKDIR,
            pace_ms=PACE,
        )
        .depends_on("chart")
    )
    .with_output(
        {
            "rows": "{{ steps.validate.output.rows }}",
            "rejected": "{{ steps.validate.output.rejected }}",
            "defects": "{{ steps.validate.output.by_kind }}",
            "years": "{{ steps.report.output.years }}",
            "database": "{{ steps.load.output.database }}",
            "table": "{{ steps.load.output.table }}",
            "table_rows": "{{ steps.load.output.rows }}",
            "report": "{{ steps.report.output.report }}",
            "chart": "{{ steps.chart.output.chart }}",
        }
    )
    .build()
)

if __name__ == "__main__":
    print(weather)
    with Engine("seattle-builder.db") as engine:
        execution = engine.execute_workflow(weather, params={"csv": sys.argv[1], "workdir": sys.argv[2]})
        print(json.dumps(execution.result().output, indent=2))
