"""Pages that are done as they say: files saved, commands typed, programs run, and what they print compared.

A fenced block under a line like `` `hello.yaml`: `` is saved under that name. A `console` block is typed, line by line, into a
shell in the page's own folder; what stands under a command is what it prints. A word behind `console` names another terminal; what
runs there may go on while the page does. `python` without a file name is run as a program, the `output` below it is what it prints.
A line `…` stands for any lines. ``python -m tools.pages --write PAGE`` runs a page and writes down what differs.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Block", "Difference", "blocks", "differences", "plain"]

_BLOCK = re.compile(
    r"(?:`(?P<file>[\w./-]+)`:\n\n)?^```(?P<kind>\w+)(?: (?P<where>\w+))?\n(?P<text>.*?)^```", re.DOTALL | re.MULTILINE
)
_ENDS = re.compile(r"# exit code (\d+)$")
_MARK = "--done-with-this-one--"
_PORT = "8700"
_KILLED = re.compile(r"^bash: line \d+: +\d+ Killed.*")
_HOME = "/home/ada/shop"
_PATIENCE_S = 100.0
_SAME = (
    (re.compile(r"\b(ex|wf|task|evt|node)_[0-9A-Z]{26}(?![0-9A-Z])"), r"\1_"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "AT"),
    (re.compile(r"\b[\d,]+ bytes\b"), "N bytes"),
    (re.compile(r"\bseed=\d+"), "seed"),
    (re.compile(r"\b\d+(\.\d+)?( ?)(s|ms)\b"), "D"),
    (re.compile(r"[ \t]+"), " "),
)


class Block(NamedTuple):
    """One fenced block, and where its text stands in the page."""

    kind: str
    file: str
    where: str
    text: str
    begin: int
    end: int


class Difference(NamedTuple):
    """What a page shows and what was printed."""

    what: str
    shown: list[str]
    printed: list[str]
    begin: int = 0
    end: int = 0

    def __str__(self) -> str:
        rows = zip_longest(map(plain, self.shown), map(plain, self.printed), fillvalue="")
        return "\n".join([self.what, *(f"{' ' if a == b else '!'} {a!r} | {b!r}" for a, b in rows)])


class _Shown(NamedTuple):
    """A command and the lines below it."""

    command: str
    lines: list[str]
    begin: int
    end: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [
        Block(one["kind"], one["file"] or "", one["where"] or "", one["text"], one.start("text"), one.end("text"))
        for one in _BLOCK.finditer(page)
    ]


def plain(line: str) -> str:
    """A line without what differs from run to run: ids, instants, durations, the width of columns."""
    for pattern, word in _SAME:
        line = pattern.sub(word, line)
    return line.rstrip()


def differences(page: str, folder: Path) -> Iterator[Difference]:
    """Do what the page says in an empty folder; give each place where it shows something else than what happens."""
    port, terminals = _free_port(), dict[str, _Terminal]()
    program: str | None = None
    try:
        for block in blocks(page):
            text = block.text.replace(_PORT, port)
            if block.file:
                (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.file).write_text(text, encoding="utf-8")
            elif block.kind == "console":
                if block.where not in terminals:
                    terminals[block.where] = _Terminal(folder, port=port)
                yield from terminals[block.where].do(block)
            elif block.kind == "python":
                program = text
                if not _has_output(page, block):
                    yield from _run(program, None, folder=folder, port=port)
            elif block.kind == "output" and program is not None:
                yield from _run(program, block, folder=folder, port=port)
                program = None
    finally:
        for terminal in terminals.values():
            terminal.close()


def _has_output(page: str, block: Block) -> bool:
    after = [one for one in blocks(page) if one.begin > block.begin]
    return bool(after) and after[0].kind == "output"


def _run(program: str, output: Block | None, *, folder: Path, port: str) -> Iterator[Difference]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=_PATIENCE_S,
    )
    shown = output.text.splitlines() if output else []
    printed = (done.stdout + done.stderr).replace(port, _PORT).splitlines()
    if done.returncode or not _agree(shown, printed):
        what = f"the program that begins {program.splitlines()[0]!r} (exit code {done.returncode})"
        yield Difference(what, shown, printed, output.begin if output else 0, output.end if output else 0)


def _agree(shown: list[str], printed: list[str]) -> bool:
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == "…" else re.escape(plain(line)) + r"\n" for line in shown)
    return re.fullmatch(pattern, "".join(plain(line) + "\n" for line in printed)) is not None


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def _environment() -> dict[str, str]:
    """That of somebody who has just begun: nothing set, the programs of this environment first on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASK_ENGINE", "PYTEST"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return {
        **kept,
        "PATH": path,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "LOGNAME": "ada",
        "USER": "ada",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }


class _Terminal:
    """A shell in the folder, typed into line by line."""

    def __init__(self, folder: Path, *, port: str) -> None:
        self._port = port
        self._folder = folder
        self._open: list[_Shown] = []  # the command that still runs, if any
        self._early: list[str] = []  # what it has printed so far
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._clock = threading.Timer(_PATIENCE_S, self.kill)
        self._clock.start()

    def __enter__(self) -> Self:
        return self

    def kill(self) -> None:
        """End the shell and all that it started."""
        if self._shell.poll() is None:
            os.killpg(self._shell.pid, signal.SIGKILL)

    def close(self) -> None:
        """The terminal is closed at the end of the page, with what may still run in it: servers."""
        self._clock.cancel()
        self.kill()
        self._shell.communicate()

    def do(self, block: Block) -> Iterator[Difference]:
        """Type the block's commands; in a terminal with a name the last one may go on."""
        first, *commands = list(_commands(block))
        if self._open:
            begun = self._open.pop()
            yield from self._finish(begun._replace(lines=first.lines, begin=first.begin, end=first.end))
        for number, shown in enumerate(commands, start=1):
            self._type(shown.command.replace(_PORT, self._port))
            if block.where and number == len(commands):
                self._open.append(shown)
                yield from self._until(shown)
            else:
                yield from self._finish(shown)

    def _type(self, command: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n{_MARK} %d\\n' $?\n")
        self._shell.stdin.flush()

    def _line(self, printed: list[str]) -> str:
        assert self._shell.stdout is not None
        line = self._shell.stdout.readline()
        if not line:
            raise AssertionError("\n".join(["the shell is gone: out of patience, or it was ended", *printed]))
        line = _KILLED.sub("Killed", line.removesuffix("\n").replace(self._port, _PORT))
        return line.replace(str(self._folder), _HOME)

    def _until(self, shown: _Shown) -> Iterator[Difference]:
        """Read until what is shown has been printed; the command goes on."""
        printed: list[str] = []
        while not _agree(shown.lines, printed):
            line = self._line(printed)
            if line.startswith(_MARK):
                self._early = [line]
                printed = printed[:-1] if printed and not printed[-1] else printed
                yield Difference(f"$ {shown.command} (ended early)", shown.lines, printed, shown.begin, shown.end)
                return
            printed.append(line)

    def _finish(self, shown: _Shown) -> Iterator[Difference]:
        printed, early = list[str](), self._early
        self._early = []
        while True:
            line = early.pop(0) if early else self._line(printed)
            if line.startswith(_MARK):
                break
            printed.append(line)
        if printed and not printed[-1]:
            printed.pop()
        code, expected = int(line.split()[1]), _ENDS.search(shown.command)
        is_expected = code == (int(expected[1]) if expected else 0)
        is_shown = not shown.lines or _agree(shown.lines, printed)
        if not (is_expected and is_shown):
            yield Difference(f"$ {shown.command} (exit code {code})", shown.lines, printed, shown.begin, shown.end)


def _commands(block: Block) -> Iterator[_Shown]:
    """What stands before the first command (the rest of an earlier one), then each command with its lines."""
    command, lines, begin, place = "", list[str](), block.begin, block.begin
    for line in block.text.splitlines(keepends=True):
        if line.startswith("$ "):
            yield _Shown(command, lines, begin, place)
            command, lines, begin = line[2:].rstrip("\n"), [], place + len(line)
        else:
            lines.append(line.rstrip("\n"))
        place += len(line)
    yield _Shown(command, lines, begin, place)


def main() -> int:
    """Run pages; with ``--write`` put in what was printed. The number of differences is the exit code."""
    is_writing, count = "--write" in sys.argv, 0
    for name in (one for one in sys.argv[1:] if not one.startswith("--")):
        page = Path(name).read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            found = list(differences(page, Path(folder)))
        for one in sorted(found, key=lambda one: -one.begin):
            count += 1
            print(f"{name}: {one}")
            if is_writing and one.end:
                page = page[: one.begin] + "".join(f"{line}\n" for line in one.printed) + page[one.end :]
        if is_writing:
            Path(name).write_text(page, encoding="utf-8")
    return min(count, 100)


if __name__ == "__main__":
    sys.exit(main())
