"""Functions for processes of their own: a test names them by import path."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskengine import TaskContext


@dataclass
class Order:
    amount: int


def tell(left: int, right: int, ctx: TaskContext) -> dict[str, Any]:
    print("said")
    logging.getLogger("shop").warning("logged %s", 1)
    ctx.progress(0.5, "half", data={"at": 1})
    return {
        "sum": left + right,
        "pid": os.getpid(),
        "where": [ctx.step_id, ctx.path, ctx.attempt, ctx.idempotency_key.removeprefix(ctx.execution_id)],
        "last": ctx.last_progress,
    }


async def take(order: Order, before: Any) -> list[Any]:
    return [order.amount, before]


def give() -> str:
    return "given"


def write_past_python(gate: str) -> None:
    os.write(1, b"one\n")
    os.write(2, b"two\n")
    Path(gate).read_text()


def write_through_python() -> None:
    print("one")
    print("two", file=sys.stderr, end="")


def beat(ctx: TaskContext) -> None:
    ctx.heartbeat()


def variables() -> list[str]:
    return sorted(os.environ)


def break_down() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave() -> None:
    os._exit(3)


def fail() -> None:
    raise LookupError("no such thing")


def fall_twice(ctx: TaskContext) -> int:
    if ctx.attempt < 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return ctx.attempt


def hang(mark: str, folder: str) -> None:
    """With a process below that left the group."""
    subprocess.Popen(["sleep", "1000"], env={"MARK": mark}, start_new_session=True)
    Path(folder, "began").touch()
    try:
        threading.Event().wait()
    finally:
        Path(folder, "cleaned").touch()


def hang_once(mark: str, folder: str) -> str:
    """Hangs the first time; says how often it was begun."""
    with Path(folder, "begun").open("a") as file:
        file.write("x")
    begun = len(Path(folder, "begun").read_text())
    if begun == 1:
        subprocess.Popen(["sleep", "1000"], env={"MARK": mark}, start_new_session=True)
        Path(folder, "began").touch()
        threading.Event().wait()
    return f"begun {begun}"
