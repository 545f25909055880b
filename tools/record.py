"""Record a command on a terminal as an asciinema cast (version 2): ``python -m tools.record OUT.cast -- task-engine demo``.

It owns a pseudo-terminal of a fixed size and writes what the command writes, with its times. Nothing is typed, nothing is edited.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import struct
import subprocess
import sys
import time
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH, HEIGHT = 80, 20
CHUNK = 65_536
LAST_PAUSE_S = 2.0  # the last picture stays for so long


def record(command: Sequence[str], *, folder: Path, width: int = WIDTH, height: int = HEIGHT) -> tuple[list[str], int]:
    """The lines of a cast of the command, run in ``folder``, and the command's exit code."""
    leader, follower = pty.openpty()
    ioctl(follower, TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TASK_ENGINE")}
    environment |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    environment.pop("NO_COLOR", None)
    header = {"version": 2, "width": width, "height": height, "title": " ".join(command), "env": {"TERM": "xterm-256color"}}
    lines = [json.dumps(header)]
    started_at = time.monotonic()
    lines.append(json.dumps([0.0, "o", f"$ {' '.join(command)}\r\n"], ensure_ascii=False))
    process = subprocess.Popen(command, cwd=folder, env=environment, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    pending = b""
    while True:
        try:
            chunk = os.read(leader, CHUNK)
        except OSError:  # Linux says so when the last writer is gone
            break
        if not chunk:
            break
        text, pending = decoded(pending + chunk)
        if text:
            lines.append(json.dumps([round(time.monotonic() - started_at, 6), "o", text], ensure_ascii=False))
    os.close(leader)
    lines.append(json.dumps([round(time.monotonic() - started_at + LAST_PAUSE_S, 6), "o", ""]))
    return lines, process.wait()


def decoded(data: bytes) -> tuple[str, bytes]:
    """As much as is whole, and the beginning of a character whose end has not come yet."""
    for left in range(4):
        try:
            return data[: len(data) - left].decode(), data[len(data) - left :]
        except UnicodeDecodeError:
            continue
    return data.decode(errors="replace"), b""


def main(words: Sequence[str] | None = None) -> int:
    """Record and write the file; the command's exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the command runs")
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--height", type=int, default=HEIGHT)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args(words)
    lines, code = record(given.command, folder=given.folder, width=given.width, height=given.height)
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
