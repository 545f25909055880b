"""``python -m tests.simulation.run SEED [FIRST-LAST …]``: run seeds and say what they did; ``--verbose`` tells everything."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import traceback
from collections import Counter
from typing import TextIO

from taskengine.testing.simulation import SimLoop, SimulationError
from tests.simulation.scenario import run


def main(arguments: list[str]) -> int:
    """Return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.run", description="run seeds of the simulation")
    parser.add_argument("seeds", nargs="+", help="a seed, or FIRST-LAST")
    parser.add_argument("--strict", action="store_true", help="snapshot every 3 events, batch cap 1, cache 0")
    parser.add_argument("--memory", action="store_true", help="on the memory store instead of SQLite")
    parser.add_argument("--whole", action="store_true", help="workflows of the whole language")
    parser.add_argument("--verbose", action="store_true", help="the engine's log")
    given = parser.parse_args(arguments)
    logging.getLogger("taskengine").addHandler(logging.NullHandler())
    if given.verbose:
        log_to(sys.stdout)
    total: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for seed in seeds_of(given.seeds):
        try:
            outcome = run(seed, is_strict=given.strict, in_memory=given.memory, is_whole=given.whole)
        except SimulationError as error:
            failed[error.name] += 1
            print(f"seed {seed}: {error.name}: {error.message}", flush=True)
            if given.verbose:
                traceback.print_exc()
            continue
        total += outcome.events + outcome.counts
        if given.verbose or len(given.seeds) > 1:
            print(f"seed {seed}: {outcome.steps} steps, {outcome.seconds:.1f} s, {outcome.fingerprint[:16]}", flush=True)
    for name, number in sorted(total.items()):
        print(f"{number:9,} {name}")
    print(f"failed: {dict(failed)}" if failed else "nothing was broken")
    return 1 if failed else 0


class _Line(logging.Formatter):
    """Virtual time, the node, the message and its facts."""

    _known = frozenset(vars(logging.makeLogRecord({})))

    def format(self, record: logging.LogRecord) -> str:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimLoop)
        domain = loop.current_domain()
        facts = {name: value for name, value in vars(record).items() if name not in self._known}
        return f"{loop.time():9.3f} {domain.name if domain else '':4} {record.getMessage()} {facts}"


def log_to(stream: TextIO) -> None:
    """Show what the engine logs."""
    receiver = logging.StreamHandler(stream)
    receiver.setFormatter(_Line())
    logging.getLogger("taskengine").addHandler(receiver)
    logging.getLogger("taskengine").setLevel(logging.DEBUG)


def seeds_of(given: list[str]) -> list[int]:
    """Read ``3`` and ``10-20``."""
    seeds: list[int] = []
    for text in given:
        first, _, last = text.partition("-")
        seeds.extend(range(int(first), int(last or first) + 1))
    return seeds


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
