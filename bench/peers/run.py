"""``python bench/peers/run.py``: chains of ten steps on our engine, DBOS and huey, in turns, round after round.

The peers are installed into a folder that is removed afterwards (``--venv PATH``: use and keep that one). Writes
``bench/results/NAME.json`` and ``NAME.md`` and, when NAME is ``peers``, the table of ``docs/explanation/peers.md``.
``--rounds N`` (5), ``--seconds S`` (1) of each measurement, ``--output NAME`` (peers).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bench.files import workspace  # noqa: E402 -- the checkout's own package, wherever this is started from
from bench.peers.table import PAGE, table, with_table  # noqa: E402
from bench.run import IN_FLIGHT, machine  # noqa: E402

Measurement = dict[str, Any]
ENGINES = {"task-engine": "task_engine_chains", "DBOS": "dbos_chains", "huey": "huey_chains"}
IN_THE_MIDDLE = 0.45  # seconds after the start at which the kill comes: the fifth step of a chain that runs at once
PATIENCE_S = 8.0  # for chains that were interrupted: five of ten steps of 0.1 s one after another take five


class Bench:
    """Where the programs run: an interpreter for each engine, and a folder for databases."""

    def __init__(self, peers: str, folder: Path) -> None:
        self._peers = peers
        self._folder = folder
        self._databases = 0

    def database(self) -> Path:
        """A path where nothing is."""
        self._databases += 1
        return self._folder / f"{self._databases}.db"

    def command(self, engine: str, *options: object) -> list[str]:
        """How to start a program of this engine."""
        python = sys.executable if engine == "task-engine" else self._peers
        return [python, "-m", f"bench.peers.{ENGINES[engine]}", *map(str, options)]

    @staticmethod
    def environment(database: Path) -> dict[str, str]:
        """The name of the database for huey, which wants it at import."""
        return {**os.environ, "BENCH_HUEY_DATABASE": str(database)}

    def ask(self, engine: str, what: str, database: Path, *options: object, under: tuple[str, ...] = ()) -> Measurement:
        """Run a program and read its answer."""
        command = [*under, *self.command(engine, what, database, *options)]
        environment = self.environment(database)
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode or not done.stdout:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
        return json.loads(done.stdout.splitlines()[-1])

    def killed(self, engine: str) -> Measurement:
        """Chains in flight, kill -9 of all of the engine's processes, a new process: how many chains end."""
        database = self.database()
        process = subprocess.Popen(
            self.command(engine, "begin", database),
            cwd=ROOT,
            env=self.environment(database),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())["started"]
        time.sleep(IN_THE_MIDDLE if engine != "huey" else 2 * IN_THE_MIDDLE)  # its consumer is a process that starts first
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return {"started": started, **self.ask(engine, "finish", database, PATIENCE_S)}

    def forced_writes(self, engine: str, seconds: float) -> float | None:
        """Calls of fsync and fdatasync by all of the engine's processes for each step, one chain in flight; None without strace."""
        strace = shutil.which("strace")
        if strace is None:
            return None
        log = self._folder / f"{ENGINES[engine]}.strace"
        under = (strace, "-f", "-ttt", "-e", "trace=fsync,fdatasync", "-o", str(log))
        found = self.ask(engine, "measure", self.database(), 1, seconds, under=under)
        began, ended = found["window"]
        calls = re.findall(r"^\d+ +([\d.]+) (?:fsync|fdatasync)\(", log.read_text(encoding="utf-8"), re.MULTILINE)
        return sum(began <= float(at) <= ended for at in calls) / max(1, found["steps"])


def installed(folder: Path) -> str:
    """The interpreter of an environment that has the peers."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    requirements = Path(__file__).with_name("requirements.txt")
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return str(python)


def measured(bench: Bench, rounds: int, seconds: float) -> dict[str, Any]:
    """Every figure of every round, and what is asked once."""
    figures: dict[str, dict[str, list[Measurement]]] = {name: {str(n): [] for n in IN_FLIGHT} for name in ENGINES}
    loads: list[float] = []
    for number in range(1, rounds + 1):
        for count in IN_FLIGHT:
            for name in ENGINES:  # next to each other in time, so that a drifting machine drifts for all
                found = bench.ask(name, "measure", bench.database(), count, seconds)
                loads.append(os.getloadavg()[0])
                figures[name][str(count)].append(found)
                print(f"round {number}/{rounds}  {name:12} {count:4} in flight  {found['steps_s']:10,.0f} steps/s", flush=True)
    once: dict[str, Measurement] = {}
    for name in ENGINES:
        once[name] = {"forced_writes_per_step": bench.forced_writes(name, seconds), **bench.killed(name)}
        print(f"{name:12} {once[name]}", flush=True)
    return {"figures": figures, "once": once, "loads": loads}


def main(arguments: list[str]) -> None:
    """Install, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--venv", type=Path)
    parser.add_argument("--output", default="peers")
    options = parser.parse_args(arguments)
    facts = {**machine(), "rounds": options.rounds, "seconds": options.seconds, "date": time.strftime("%Y-%m-%d")}
    throw_away = Path(tempfile.mkdtemp(prefix="peers-"))
    folder = workspace()
    try:
        found = measured(Bench(installed(options.venv or throw_away / "venv"), folder), options.rounds, options.seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(throw_away, ignore_errors=True)
    document = {"machine": facts, **found}
    results = ROOT / "bench" / "results"
    (results / f"{options.output}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = table(document)
    (results / f"{options.output}.md").write_text(f"# Peers, measured\n\n{text}\n", encoding="utf-8")
    if options.output == "peers":
        page = ROOT / PAGE
        page.write_text(with_table(page.read_text(encoding="utf-8"), text), encoding="utf-8")
    print(f"\n{text}")


if __name__ == "__main__":
    main(sys.argv[1:])
