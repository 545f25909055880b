"""The how-to about calls is done as it says: files saved, the toy API started, commands typed, programs run."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskengine.define.keys import HTTP

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "call-an-api.md"
_BLOCK = re.compile(r"(?:`(?P<file>[\w./-]+)`:\n\n)?```(?P<kind>\w+)\n(?P<text>.*?)```", re.DOTALL)
_PORT = "8700"


@pytest.fixture(scope="module")
def port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.fixture(scope="module")
def blocks(port: str) -> list[tuple[str, str, str]]:
    """(kind, file name before it, text), with a free port in the place of the page's."""
    text = PAGE.read_text(encoding="utf-8").replace(_PORT, port)
    return [(found["kind"], found["file"] or "", found["text"]) for found in _BLOCK.finditer(text)]


@pytest.fixture(scope="module")
def folder(blocks: list[tuple[str, str, str]], port: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the page's files, and its API running."""
    folder = tmp_path_factory.mktemp("page")
    for _, file, text in blocks:
        if file:
            (folder / file).write_text(text, encoding="utf-8")
    with subprocess.Popen([sys.executable, "-u", "api.py"], cwd=folder) as api:
        while True:
            assert api.poll() is None
            with socket.socket() as knocking:
                if knocking.connect_ex(("127.0.0.1", int(port))) == 0:
                    break
        yield folder
        api.terminate()


def test_the_commands_print_what_the_page_shows(blocks: list[tuple[str, str, str]], folder: Path) -> None:
    (session,) = [text for kind, _, text in blocks if kind == "console"]
    environment = dict(os.environ)
    program = Path(sys.executable).with_name("task-engine")
    printed = ""
    for line in session.splitlines():
        if line.startswith("$ export "):
            name, _, value = line.removeprefix("$ export ").partition("=")
            environment[name] = value
        elif line.startswith("$ "):
            command = [str(program), *shlex.split(line.removeprefix("$ task-engine "))]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            printed += done.stdout if " run " in line else ""
            assert "open-sesame" not in done.stdout + done.stderr
    assert printed == "".join(line + "\n" for line in session.splitlines() if not line.startswith("$ "))


def test_the_programs_print_what_the_page_shows(blocks: list[tuple[str, str, str]], folder: Path) -> None:
    program = "\n".join(text for kind, file, text in blocks if kind == "python" and not file)
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=folder, capture_output=True, text=True, check=False)
    expected = "".join(text for kind, _, text in blocks if kind == "output")
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_every_key_and_every_failure_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [key for key in HTTP if f"`{key}`" not in text] == []
    raised = "".join(
        path.read_text(encoding="utf-8") for path in Path(sys.modules["taskengine"].__path__[0]).glob("adapters/http/*.py")
    )
    names = {name for name in re.findall(r'OutboundError\(\s*"(\w+)"', raised) if name != "invalid_method"}
    kinds = {"".join(word.capitalize() for word in name.split("_")) for name in names}
    assert len(kinds) > 10
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in text] == []
