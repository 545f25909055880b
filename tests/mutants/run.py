"""Breaks a copy of the sources, one mutant at a time, and expects a test to turn red. ``make mutants`` calls it.

The lists stand beside this file, one module for each area, each with a tuple ``MUTANTS``. First every killing test must be green on
an unbroken copy. A mutant that survives, that does not apply any more, or whose test cannot even be collected is an error. Names
of mutants (or parts of names) as arguments choose some of them; ``--test NODE`` asks another test to kill them.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.mutants.mutant import Mutant

ROOT: Final = Path(__file__).resolve().parents[2]
PRODUCT: Final = "src/taskengine"
SECONDS: Final = 300  # for one killing test, imports included
RED: Final = 1  # pytest: tests ran and some failed
GREEN: Final = 0


def mutants() -> list[Mutant]:
    """All of them, area by area in the order of the files' names."""
    sys.path.insert(0, str(ROOT))
    found: list[Mutant] = []
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if not file.stem.startswith(("test_", "run", "mutant", "__")):
            found += importlib.import_module(f"tests.mutants.{file.stem}").MUTANTS
    return found


def occurrences(mutant: Mutant) -> int:
    """How often its text stands in the sources; it must be once."""
    file = ROOT / PRODUCT / mutant.file
    return file.read_text(encoding="utf-8").count(mutant.text) if file.exists() else 0


@contextmanager
def copied() -> Iterator[Path]:
    """The sources in a folder of their own."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        shutil.copytree(ROOT / "src", Path(folder) / "src", ignore=shutil.ignore_patterns("__pycache__"))
        yield Path(folder)


def tested(folder: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of this checkout against the sources in a folder."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120"}
    where = [sys.executable, "-c", "import taskengine; print(taskengine.__file__)"]
    found = subprocess.run(where, env=environment, cwd=ROOT, capture_output=True, text=True, check=True, timeout=SECONDS)
    assert Path(found.stdout.strip()).is_relative_to(folder), "the tests would run against other sources"
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS)


def judge(mutant: Mutant, test: str) -> str:
    """``killed``, or what is wrong."""
    count = occurrences(mutant)
    if count != 1:
        return f"does not apply: its text stands {count} times in {mutant.file}"
    with copied() as folder:
        file = folder / PRODUCT / mutant.file
        file.write_text(file.read_text(encoding="utf-8").replace(mutant.text, mutant.replacement), encoding="utf-8")
        try:
            result = tested(folder, [test])
        except subprocess.TimeoutExpired:
            return f"its test took more than {SECONDS} s"
    if result.returncode == RED:
        return "killed"
    if result.returncode == GREEN:
        return "SURVIVED"
    return f"its test cannot be run: {(result.stdout + result.stderr).strip()[-500:]}"


def unbroken(tests: Sequence[str]) -> str:
    """Nothing, when all killing tests are green on the sources as they are."""
    with copied() as folder:
        result = tested(folder, tests)
    return "" if result.returncode == GREEN else result.stdout[-2_000:]


def main(arguments: Sequence[str]) -> int:
    """Run the chosen mutants, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description="Break the product on purpose; a test must notice.")
    parser.add_argument("names", nargs="*", help="mutants, or parts of their names; all when left out")
    parser.add_argument("--test", help="the test that is to kill them, instead of each one's own")
    options = parser.parse_args(arguments)
    chosen = [one for one in mutants() if not options.names or any(name in one.name for name in options.names)]
    tests = [options.test or one.test for one in chosen]
    trouble = unbroken(sorted(set(tests)))
    if trouble:
        print(f"mutants: a killing test is red without any mutant\n{trouble}")
        return 1
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as workers:
        verdicts = list(workers.map(judge, chosen, tests))
    width = max((len(one.name) for one in chosen), default=0)
    for one, test, verdict in zip(chosen, tests, verdicts, strict=True):
        print(f"{one.name:<{width}}  {verdict:<8}  {one.file}: {one.breaks}")
        if verdict != "killed":
            print(f"{'':<{width}}  by {test}")
    bad = sum(verdict != "killed" for verdict in verdicts)
    print(f"mutants: {len(chosen) - bad} of {len(chosen)} killed")
    return 1 if bad or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
