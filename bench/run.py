"""``make bench``: every workload beside its floor, round after round, interleaved, so that a drifting machine drifts for both.

Writes ``bench/results/latest.json`` (every figure of every round, machine facts), ``latest.md`` (the table) and ``latest.svg``.
``--rounds N`` (5), ``--only w1,w6``, ``--output NAME``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.files import workspace  # noqa: E402 -- the checkout's own package, wherever this is started from
from bench.report import rows_of, write_report  # noqa: E402

Measurement = dict[str, Any]
IN_FLIGHT = (1, 20, 200)


def worker(name: str, folder: Path, *options: str) -> Measurement:
    """One workload in a process of its own, on a new database."""
    database = folder / f"{name}.db"
    for file in folder.glob(f"{name}*"):
        file.unlink()
    command = [sys.executable, "-m", "bench.worker", name, str(database), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:])} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def floor(name: str, folder: Path, *options: str) -> Measurement:
    """One floor measurement in a process of its own."""
    command = [sys.executable, "-m", "bench.floor", name, str(folder / "floor.db"), *options]
    return json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)


def plan() -> dict[str, Callable[[Path], Measurement]]:
    """What one round measures, floors next to what they are floors of."""
    steps: dict[str, Callable[[Path], Measurement]] = {"raw_commit": lambda folder: floor("raw_commit", folder)}
    for count in IN_FLIGHT:
        steps[f"proto_{count}"] = lambda folder, count=count: floor("proto", folder, str(count))
        steps[f"w1_{count}"] = lambda folder, count=count: worker("w1", folder, f"in_flight={count}")
    steps["w1g_embedded"] = lambda folder: worker("w1g", folder, "embedded")
    steps["w1g_own"] = lambda folder: worker("w1g", folder)
    steps["w2"] = lambda folder: worker("w2", folder)
    steps["w3_1000"] = lambda folder: worker("w3", folder, "width=1000")
    steps["w3_10000"] = lambda folder: worker("w3", folder, "width=10000")
    steps["w4"] = lambda folder: worker("w4", folder)
    steps["w5"] = lambda folder: worker("w5", folder)
    steps["raw_commit_again"] = lambda folder: floor("raw_commit", folder)
    steps["w6"] = lambda folder: worker("w6", folder)
    for length in (1_000, 100_000):
        steps[f"flat_{length}"] = lambda folder, length=length: worker("flat", folder, f"length={length}")
    for tasks in (1_000, 100_000):
        steps[f"nested_{tasks}"] = lambda folder, tasks=tasks: worker("nested", folder, f"tasks={tasks}")
    steps["w7"] = lambda folder: worker("w7", folder)
    steps["raw_start"] = lambda folder: floor("raw_start", folder)
    steps["w8"] = lambda folder: worker("w8", folder)
    return steps


def machine() -> dict[str, Any]:
    """Facts that a figure means nothing without."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), platform.machine()
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load": os.getloadavg()[0],
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


async def main(arguments: list[str]) -> None:
    """Measure, print as it goes, write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--output", default="latest")
    options = parser.parse_args(arguments)
    wanted = [name for name in options.only.split(",") if name]
    steps = {name: step for name, step in plan().items() if not wanted or any(name.startswith(one) for one in wanted)}
    if wanted:  # a floor is never left out
        steps = {name: step for name, step in plan().items() if name in steps or name.startswith(("raw", "proto"))}
    folder = workspace()
    figures: dict[str, list[Measurement]] = {name: [] for name in steps}
    facts = machine()
    try:
        for number in range(1, options.rounds + 1):
            for name, step in steps.items():
                found = step(folder)
                figures[name].append(found)
                shown = ", ".join(
                    f"{key} {value:,.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in found.items()
                )
                print(f"round {number}/{options.rounds}  {name:16} {shown}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    facts["load_after"] = os.getloadavg()[0]
    write_report(ROOT / "bench" / "results", options.output, figures=figures, facts=facts)
    print()
    for row in rows_of(figures):
        print(row.line())
    medians = {
        name: {key: statistics.median(one[key] for one in found) for key in found[0] if isinstance(found[0][key], (int, float))}
        for name, found in figures.items()
        if found
    }
    print(f"\nwritten: bench/results/{options.output}.json, .md, .svg   ({len(medians)} measurements, {options.rounds} rounds)")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
