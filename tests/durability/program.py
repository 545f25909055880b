"""Runs one of this folder's programs as a process of its own, and leaves none of its processes behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

import msgspec

__all__ = ["answers", "begun"]

_ROOT: Final = Path(__file__).parents[2]


@contextmanager
def begun(module: str, *arguments: str, stderr: IO[bytes] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own; at the end it is killed with all its children, if it still lives."""
    command = [sys.executable, "-m", module, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=stderr, cwd=_ROOT, start_new_session=True) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def answers(module: str, question: Any, *, limit_s: float) -> list[Any]:
    """Ask a program on its standard input; the lines of JSON it answers. It must end well within the time."""
    with begun(module) as process:
        said, _ = process.communicate(msgspec.json.encode(question), timeout=limit_s)
    assert process.returncode == 0, f"{module} ended with {process.returncode}"
    return [msgspec.json.decode(line) for line in said.splitlines()]
