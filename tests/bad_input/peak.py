"""Run as a program: every bad document of one list is checked, and how far the memory's peak rose for each is written as JSON."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from taskengine.define import load_text
from taskengine.model.plain import NotPlainError, written

__all__: list[str] = []


PROCESS = Path("/proc/self")


def peak_mb() -> float:
    """The most memory since `forget_peak`; what `getrusage` says would begin with the peak of the program that started this one."""
    lines = (PROCESS / "status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1_024


def forget_peak() -> None:
    (PROCESS / "clear_refs").write_text("5", encoding="ascii")


def main() -> None:
    module = import_module(f"tests.bad_input.{sys.argv[1]}")
    # What is loaded once is loaded now: the YAML reader, the schema library, the expressions.
    load_text(
        "name: a\ninput: {properties: {x: {pattern: a}}}\nsteps: [{id: a, type: noop, when: '1 > input.x'}]", file="warm.yaml"
    )
    rises: dict[str, float] = {}
    for title, bad in module.DOCUMENTS.items():
        document = bad.make()
        forget_peak()
        before = peak_mb()
        load_text(document, file="bad.yaml")
        rises[title] = round(peak_mb() - before, 1)
        del document
    for title, (value, *_) in getattr(module, "VALUES", {}).items():
        forget_peak()
        before = peak_mb()
        with suppress(NotPlainError):
            written(value)
        rises[f"{title} as a value"] = round(peak_mb() - before, 1)
    sys.stdout.write(json.dumps(rises))


if __name__ == "__main__":
    main()
