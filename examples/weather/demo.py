"""What `make demo` does: the weather pipeline through the command line, killed in the middle, resumed, and checked.

Uses the standard library and the installed command only; owns the folder demo-out/, which it empties first. Exits 0 only when the
table equals an independent computation, the report names exactly the 20 marked defects, and no finished step was performed again.
"""

import json
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import expected

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = Path("examples/weather")
SOURCE = EXAMPLE / "data" / "seattle-weather-defects.csv"
OUT = Path("demo-out")
PACE_MS = 700
PATIENCE_S = 120

Events = list[dict[str, Any]]


def main() -> int:
    """Run, kill, resume, check; gives the exit code."""
    command = Path(sys.executable).with_name("task-engine")
    if not command.exists():
        print(f"{command} is missing: install the package first, `make demo` does it by itself", file=sys.stderr)
        return 1
    shutil.rmtree(ROOT / OUT, ignore_errors=True)
    (ROOT / OUT).mkdir()
    engine = str(command.relative_to(ROOT)) if command.is_relative_to(ROOT) else str(command)
    print("Seattle weather, 2012 to 2015: 1,461 rows, 20 of them with a defect. Nine steps, the four years in parallel.")

    start = [engine, "run", str(EXAMPLE / "weather.yaml"), "--input", f"csv={SOURCE}", "--input", f"workdir={OUT}"]
    run_until_killed([*start, "--input", f"pace_ms={PACE_MS}", "--db", str(OUT / "demo.db"), "--watch"])
    before = events(engine)

    say("The process is gone, the table was never committed. The same file again, with --resume:")
    resume = [engine, "run", str(EXAMPLE / "weather.yaml"), "--resume", "--db", str(OUT / "demo.db"), "--watch"]
    show(resume, output=OUT / "output.json")
    with (ROOT / OUT / "output.json").open("wb") as output:
        outcome = subprocess.run(resume, cwd=ROOT, timeout=PATIENCE_S, check=False, stdout=output).returncode
    if outcome != 0:
        say(f"FAILED: the resumed run ended with exit code {outcome}")
        return 1
    return conclude(engine, before=before, after=events(engine))


def run_until_killed(command: list[str]) -> None:
    """Start the command and kill it, without a chance to tidy up, while the load step holds its SQL transaction open."""
    show(command)
    transaction = ROOT / OUT / "weather.db-journal"  # SQLite keeps this file for as long as a transaction may be rolled back
    deadline = time.monotonic() + PATIENCE_S
    with subprocess.Popen(command, cwd=ROOT) as child:
        try:
            while not transaction.exists():
                if child.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"FAILED: the run did not reach the load step (exit code {child.poll()})")
                time.sleep(0.02)
            time.sleep(PACE_MS / 3000)
        finally:
            child.kill()
    say("kill -9: sent to the engine while it was writing the table.")


def events(engine: str) -> Events:
    """Read the history of the newest execution."""
    command = [engine, "instance", "events", "@latest", "--db", str(OUT / "demo.db"), "--output", "json"]
    answer = subprocess.run(command, cwd=ROOT, timeout=PATIENCE_S, check=True, stdout=subprocess.PIPE)
    return json.loads(answer.stdout)


def conclude(engine: str, *, before: Events, after: Events) -> int:
    """Check the result, print what there is to see, and give the exit code."""
    with closing(sqlite3.connect(ROOT / OUT / "weather.db")) as database:
        years = database.execute(
            "SELECT year, SUM(days), SUM(temp_mean * days) / SUM(days), SUM(precipitation), SUM(rainy_days) "
            "FROM monthly_weather GROUP BY year ORDER BY year"
        ).fetchall()
    say(f"{'year':>6}{'days':>7}{'mean °C':>10}{'rain mm':>10}{'rainy days':>13}")
    for year, days, mean, rain, rainy in years:
        print(f"{year:>6}{days:>7}{mean:>10.1f}{rain:>10.1f}{rainy:>13}")
    first, second = completed(before), completed(after[len(before) :])
    print(f"\nbefore the kill: {len(first)} steps done   ({', '.join(first)})")
    print(f"after the kill:  {len(second)} steps done   ({', '.join(second)})")
    print()
    for what, name in (("output", "output.json"), ("report", "report.md"), ("chart", "weather.svg"), ("table", "weather.db")):
        print(f"{what:<7} {OUT / name}")
    print()
    wrong = {
        "the table equals an independent computation": expected.compare(ROOT / OUT / "weather.db", ROOT / SOURCE),
        "the report names exactly the 20 defects": misjudged(),
        "history only grew, and no finished step ran again": repeated(before, after),
    }
    for promise, faults in wrong.items():
        print(f"{'FAILED' if faults else 'ok':<7}{promise}")
        for fault in faults:
            print(f"       {fault}")
    say("Look around:")
    for words in ("status @latest", "events @latest", "list"):
        print(f"  {engine} instance {words} --db {OUT / 'demo.db'}")
    return 1 if any(wrong.values()) else 0


def misjudged() -> list[str]:
    """Give the difference between the defects that were reported and those that were marked."""
    reported = json.loads((ROOT / OUT / "defects.json").read_text(encoding="utf-8"))["defects"]
    marked = json.loads((ROOT / EXAMPLE / "data" / "defects.json").read_text(encoding="utf-8"))
    found = {(one["line"], one["kind"], one["column"], one["value"]) for one in reported}
    wanted = {(one["line"], one["kind"], one["column"], one["broken"]) for one in marked}
    missed = [f"not reported: {one}" for one in sorted(wanted - found)]
    return missed + [f"reported, but no defect: {one}" for one in sorted(found - wanted)]


def repeated(before: Events, after: Events) -> list[str]:
    """Give what of the history was rewritten or performed once more than needed."""
    faults = [] if after[: len(before)] == before else ["what was written before the kill has changed"]
    scheduled = {event["step_id"] for event in after[len(before) :] if event["type"] == "TaskScheduled"}
    faults += [f"{step} was done before the kill and started again" for step in completed(before) if step in scheduled]
    done = completed(after)
    return faults + [f"{step} is recorded as done {done.count(step)} times" for step in sorted(set(done)) if done.count(step) > 1]


def completed(history: Events) -> list[str]:
    """Name the steps whose completion is recorded, in that order."""
    return [event["step_id"] for event in history if event["type"] == "TaskCompleted"]


def say(text: str) -> None:
    """Print a line that stands apart."""
    print(f"\n{text}", flush=True)


def show(command: list[str], *, output: Path | None = None) -> None:
    """Print a command as it can be pasted."""
    print(f"\n$ {shlex.join(command)}{f' > {output}' if output else ''}\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
