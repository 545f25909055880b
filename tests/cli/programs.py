"""Real processes of the command line, and workflows that wait for the test instead of for time to pass.

A step that must be caught in the middle reads a named pipe: it runs until the test opens the gate.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any, NamedTuple

PROGRAM = Path(sys.executable).with_name("task-engine")
PATIENCE_S = 60.0

FUNCTIONS = '''
"""Steps of the tests: each call leaves a line in the file ``marks``."""

import asyncio
from pathlib import Path


def mark(ctx, **values):
    print(f"{ctx.step_id} prints this")
    with Path("marks").open("a") as file:
        file.write(f"{ctx.step_id} {ctx.attempt}\\n")
    return {"step": ctx.step_id, **values}


def gate(ctx):
    mark(ctx)
    return Path(ctx.step_id).read_text()


async def forever(ctx):
    mark(ctx)
    await asyncio.Event().wait()


def fail(ctx, message="bad row 17"):
    mark(ctx)
    raise ValueError(message)


def fail_once(ctx):
    mark(ctx)
    if ctx.attempt == 1:
        raise ConnectionError("no route")
'''

HELLO = """
name: hello
version: "1"
input:
  type: object
  required: [who]
  additionalProperties: false
  properties: {who: {type: string}, times: {type: integer}}
steps:
  - {id: greet, name: Say hello, type: function, config: {function: "steps:mark", params: {who: "{{ input.who }}"}}}
  - {id: rest, type: noop, depends_on: [greet]}
output: {greeting: "Hello {{ input.who }}", step: "{{ steps.greet.output.step }}"}
"""

GATED = """
name: gated
steps:
  - {id: before, type: function, config: {function: "steps:mark"}}
  - {id: middle, type: function, depends_on: [before], config: {function: "steps:gate"}}
  - {id: after, type: function, depends_on: [middle], config: {function: "steps:mark"}}
output: {middle: "{{ steps.middle.output }}"}
"""

FAILING = """
name: failing
steps:
  - {id: load, type: function, config: {function: "steps:fail"}}
  - {id: report, type: noop, depends_on: [load]}
"""

PARTIAL = """
name: partial
steps:
  - {id: optional, type: function, on_error: continue, config: {function: "steps:fail"}}
  - {id: needed, type: function, config: {function: "steps:mark"}}
"""

ENDLESS = """
name: endless
steps:
  - {id: forever, type: function, config: {function: "steps:forever"}}
"""

WAITING = """
name: waiting
steps:
  - {id: approval, type: wait, config: {signal: approved, deadline: 1h}}
  - {id: after, type: function, depends_on: [approval], config: {function: "steps:mark"}}
"""

DOCUMENTS = {
    "hello.yaml": HELLO,
    "gated.yaml": GATED,
    "failing.yaml": FAILING,
    "partial.yaml": PARTIAL,
    "endless.yaml": ENDLESS,
    "waiting.yaml": WAITING,
}


class Ended(NamedTuple):
    """How a process ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def data(self) -> Any:
        return json.loads(self.stdout)


class Folder:
    """A directory with the documents and their functions, where commands run as a person would run them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "steps.py").write_text(FUNCTIONS, encoding="utf-8")
        for name, text in DOCUMENTS.items():
            (path / name).write_text(text, encoding="utf-8")
        os.mkfifo(path / "middle")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("TASK_ENGINE")}
        self.environment |= {"USER": "ada", "LOGNAME": "ada", "TERM": "dumb"}

    def run(self, *words: str, stdin: str | None = None, **environment: str) -> Ended:
        """Run a command to its end."""
        done = subprocess.run(
            [PROGRAM, *words],
            cwd=self.path,
            env=self.environment | environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str) -> Running:
        """Start a command and go on."""
        return Running([str(PROGRAM), *words], folder=self)

    def open_gate(self, text: str = "through") -> None:
        """Let the step at the gate go on. Returns when there is one."""
        (self.path / "middle").write_text(text, encoding="utf-8")

    @property
    def marks(self) -> list[str]:
        """Which steps were really performed, with the attempt."""
        path = self.path / "marks"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def events(self, word: str = "@latest") -> list[dict[str, Any]]:
        return self.run("instance", "events", word, "-o", "json").data

    def status(self, word: str = "@latest") -> dict[str, Any]:
        return self.run("instance", "status", word, "-o", "json").data


class Running:
    """A process whose stderr is read line by line as it comes."""

    def __init__(self, command: list[str], *, folder: Folder) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder.path,
            env=folder.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self.seen: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)
        self._lines.put(None)

    def until(self, text: str) -> str:
        """Wait for a line that holds the text."""
        give_up_at = monotonic() + PATIENCE_S
        while True:
            line = self._lines.get(timeout=max(0.01, give_up_at - monotonic()))
            if line is None:
                raise AssertionError(f"the process ended without {text!r}; it said: {self.seen}")
            self.seen.append(line)
            if text in line:
                return line

    def kill(self) -> None:
        """End it as the kernel would: without a chance to tidy up."""
        self.process.kill()
        self.end()

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def leave_stdout(self) -> None:
        """Stop reading its data, as ``head`` does."""
        assert self.process.stdout is not None
        self.process.stdout.close()

    def end(self) -> Ended:
        """Wait for its end."""
        assert self.process.stdout is not None
        stdout = "" if self.process.stdout.closed else self.process.stdout.read()
        code = self.process.wait(timeout=PATIENCE_S)
        self._reader.join(timeout=PATIENCE_S)
        while (line := self._lines.get(timeout=PATIENCE_S)) is not None:
            self.seen.append(line)
        self.process.stdout.close()
        if self.process.stderr is not None:
            self.process.stderr.close()
        return Ended(code, stdout, "".join(self.seen))
