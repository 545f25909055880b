"""The doors of the house: what `make` offers, what CI calls, what a machine with an old Python is told, what an import costs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ["help", "demo", "test", "lint", "types", "lock", "docs", "bench", "mutants", "nightly", "clean"]
HEAVY = ["alembic", "httpx2", "matplotlib", "pydantic", "rich", "sqlalchemy"]


def call(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command from the root of the checkout."""
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def planned(target: str) -> list[str]:
    """Return the commands that make would run for ``target``, in order."""
    ended = call("make", "--dry-run", target)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def test_make_alone_lists_every_target_with_what_it_is_for() -> None:
    lines = call("make").stdout.splitlines()
    assert [line.split()[1] for line in lines] == TARGETS
    assert all(len(line.split()) > 3 for line in lines)


def test_make_test_checks_the_house_first_and_ends_with_pytest() -> None:
    commands = planned("test")
    order = ["ruff check", "ruff format --check", "lint-imports", "tools.sizes", "pyright", "pytest"]
    places = [next(number for number, command in enumerate(commands) if word in command) for word in order]
    assert places == sorted(places)
    assert "pytest" in commands[-1]


def test_make_nightly_adds_the_second_type_checker_the_mutants_and_the_long_suites() -> None:
    text = "\n".join(planned("nightly"))
    assert "mypy" in text
    assert "tests/mutants/run.py" in text
    assert '-m "nightly or not nightly"' in text


def test_ci_calls_make_test_from_the_root_of_the_checkout() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert call("bash", "-n", str(script)).returncode == 0
    assert script.read_text().splitlines()[-1] == "exec make --no-print-directory test"


@pytest.mark.parametrize(
    ("version", "found"), [("echo Python 3.9.2", "Python 3.9.2"), ("exit 127", "no python3")], ids=["old", "none"]
)
def test_a_machine_without_a_new_enough_python_is_told_so(version: str, found: str, tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\n[ "$1" = --version ] || exit 1\n{version}\n')
    python.chmod(0o755)
    bash = shutil.which("bash")
    assert bash is not None
    ended = call(bash, "tools/venv.sh", str(tmp_path / "venv"), PATH=str(tmp_path))
    assert ended.returncode == 1
    assert ended.stderr.startswith("python_too_old: task-engine needs Python 3.11 or newer")
    assert found in ended.stderr
    assert "hint: " in ended.stderr
    assert not (tmp_path / "venv").exists()


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = f"import sys, taskengine; print(*sorted(set(sys.modules) & {set(HEAVY)!r}))"
    ended = call(sys.executable, "-c", program)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == []
