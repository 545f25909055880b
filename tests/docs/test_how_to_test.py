"""The how-to about testing is one test file: it is saved and run as the page says, and prints what the page shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "test-a-workflow.md"
_BLOCK = re.compile(r"```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def blocks() -> list[tuple[str, str]]:
    return [(found["kind"], found["text"]) for found in _BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def test_the_page_is_a_test_file_that_passes_and_prints_what_it_shows(blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    program = "\n".join(text for kind, text in blocks if kind == "python")
    (tmp_path / "test_orders.py").write_text(program, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "pytest",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:asyncio",
        "test_orders.py",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tests = len(re.findall(r"^def test_", program, re.MULTILINE))
    assert f"{tests} passed" in done.stdout
    shown = [text for kind, text in blocks if kind == "output"]
    assert len(shown) == 2
    for text in shown:
        assert text in done.stdout


def test_every_public_name_of_the_kit_that_is_a_way_in_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in ("virtual_engine", "replay", "histories", "explore_crashes"):
        assert name in text
