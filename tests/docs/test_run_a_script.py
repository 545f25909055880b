"""The how-to about scripts is done as it says: files saved, the command typed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from taskengine.define.keys import SCRIPT
from taskengine.model.script import LIMITS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "run-a-script.md"
_FILE = re.compile(r"`(?P<file>[\w.-]+)`:\n\n```\w+\n(?P<text>.*?)```", re.DOTALL)


@pytest.mark.processes
def test_the_page_runs(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for found in _FILE.finditer(page):
        (tmp_path / found["file"]).write_text(found["text"], encoding="utf-8")
    assert "task-engine run report.yaml" in page
    command = [Path(sys.executable).with_name("task-engine"), "run", "report.yaml"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "12" in ran.stdout


def test_the_page_names_every_limit() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in LIMITS if f"`{name}`" not in page] == []
    assert [key for key in SCRIPT if key not in page] == []
