"""The weather example, as `make demo` runs it: from its YAML, killed in the middle, resumed, compared."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.processes


def test_the_demo_survives_its_kill_and_keeps_its_promises(tmp_path: Path) -> None:
    home = Path(__file__).parents[2] / "examples" / "weather"
    shutil.copytree(home, tmp_path / "examples" / "weather", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        [sys.executable, tmp_path / "examples" / "weather" / "demo.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for promise in (
        "ok     the table equals an independent computation",
        "ok     the report names exactly the 20 defects",
        "ok     history only grew, and no finished step ran again",
    ):
        assert promise in done.stdout
    assert "kill -9" in done.stdout
    assert 'step=load status=pending attempt=1 lost="with its process"' in done.stderr
    assert "step=load status=running attempt=2" in done.stderr
