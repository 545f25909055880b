"""The contracts in pyproject.toml hold the rooms apart: a small package with the same rooms and one wrong import turns them red."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ["adapters", "api", "app", "cli", "client", "define", "expr", "kernel", "model", "ports", "runtime", "testing", "wire"]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(tmp_path: Path, imports: dict[str, str]) -> tuple[int, str]:
    """Check a package that has every room and these imports; return the exit code and what was printed."""
    package = tmp_path / "taskengine"
    for room in ROOMS:
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "errors.py").write_text("")
    for room, source in imports.items():
        (package / room / "one.py").write_text(source + "\n")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ended = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_imports_that_point_downwards_are_kept(tmp_path: Path) -> None:
    code, output = lint(
        tmp_path,
        {
            "cli": "import click\nimport taskengine.app.one",
            "app": "import taskengine.adapters.one\nimport taskengine.runtime.one",
            "adapters": "import sqlite3\nimport taskengine.ports.one",
            "runtime": "import asyncio\nimport taskengine.kernel.one",
            "testing": "import taskengine.adapters.one",
            "kernel": "import msgspec\nimport taskengine.model.one",
            "ports": "import taskengine.model.one",
            "expr": "import minijinja\nimport taskengine.errors",
            "model": "import enum\nimport msgspec",
        },
    )
    assert code == 0, output
    assert "0 broken" in output


@pytest.mark.parametrize(
    ("room", "source", "contract"),
    [
        ("model", "import taskengine.ports", "Rooms"),
        ("kernel", "import taskengine.runtime", "Rooms"),
        ("kernel", "import taskengine.define", "Rooms"),
        ("ports", "import taskengine.expr", "Rooms"),
        ("runtime", "import taskengine.adapters", "Only app"),
        ("cli", "import taskengine.adapters", "Only app"),
        ("cli", "import taskengine.api", "Rooms"),
        ("adapters", "import taskengine.app", "Rooms"),
        ("kernel", "import time", "no clock"),
        ("kernel", "import asyncio", "no clock"),
        ("expr", "import random", "no clock"),
        ("model", "import time", "no clock"),
        ("model", "import pydantic", "no clock"),
        ("kernel", "import minijinja", "minijinja is known to expr alone"),
        ("runtime", "import minijinja", "minijinja is known to expr alone"),
        ("app", "import rich.live", "click and rich are known to cli alone"),
        ("model", "import attrs", "nothing else from outside"),
        ("expr", "import jinja2", "nothing else from outside"),
    ],
)
def test_a_wrong_import_turns_its_contract_red(room: str, source: str, contract: str, tmp_path: Path) -> None:
    code, output = lint(tmp_path, {room: source})
    assert code == 1
    broken = [line for line in output.splitlines() if line.endswith("BROKEN")]
    assert any(contract in line for line in broken), output


def test_a_clock_reached_through_another_module_is_found_too(tmp_path: Path) -> None:
    code, output = lint(tmp_path, {"kernel": "import taskengine.ports.one", "ports": "import time"})
    assert code == 1
    assert "taskengine.kernel.one -> taskengine.ports.one" in output
