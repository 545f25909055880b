"""The READMEs' examples, run as printed, in an empty directory, as somebody who reads nothing else would."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(r"(?:`(?P<file>[\w./-]+)`:\n\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)


def blocks(name: str) -> list[tuple[str, str, str]]:
    """(kind, file name before it, text) of every fenced block."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [(found["kind"], found["file"] or "", found["text"]) for found in _BLOCK.finditer(text)]


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_programs_print_what_the_readme_says(name: str, tmp_path: Path) -> None:
    found = blocks(name)
    programs = [text for kind, file, text in found if kind == "python" and not file]
    outputs = [text for kind, _, text in found if kind == "output"]
    assert programs
    for program, expected in zip(programs, outputs, strict=True):
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_the_document_and_its_commands_run_as_printed(tmp_path: Path) -> None:
    found = blocks("README.md")
    for _, file, text in found:
        if file:
            (tmp_path / file).write_text(text, encoding="utf-8")
    (session,) = [text for kind, _, text in found if kind == "console" and "greetings.yaml" in text]
    program = Path(sys.executable).with_name("task-engine")
    printed = ""
    shown = "".join(line + "\n" for line in session.splitlines() if not line.startswith("$ "))
    for line in session.splitlines():
        if line.startswith("$ "):
            command = [str(program), *shlex.split(line.removeprefix("$ task-engine "))]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            if " run " in line:
                printed += done.stdout
    assert printed == shown


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/guarantees.md"])
def test_every_link_and_every_named_folder_exists(name: str) -> None:
    page = ROOT / name
    text = page.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    targets += [f"/{path}" for path in re.findall(r"`(tests/\w+)`", text)]
    missing = [one for one in targets if not (ROOT / one.lstrip("/") if one.startswith("/") else page.parent / one).exists()]
    assert not missing
