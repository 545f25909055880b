"""One measurement in a process of its own: ``python -m bench.worker NAME DATABASE [key=value …]`` prints its figures as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from pathlib import Path

from bench.workloads import WORKLOADS
from taskengine.app.own_process import use_own_process

EMBEDDED = "embedded"  # leave the interpreter's switch interval and loop as a host program has them


async def _measure(name: str, path: Path, values: dict[str, float]) -> dict[str, object]:
    return await WORKLOADS[name](path, **values)


def main(arguments: list[str]) -> None:
    """Run one workload."""
    name, path, *options = arguments
    values: dict[str, float] = {}
    is_embedded = EMBEDDED in options
    for option in options:
        if option != EMBEDDED:
            key, _, value = option.partition("=")
            values[key] = float(value) if "." in value else int(value)
    factory = None
    if not is_embedded:
        use_own_process()
        with contextlib.suppress(ImportError):
            from uvloop import new_event_loop as factory  # noqa: PLC0415 -- where there is one
    with asyncio.Runner(loop_factory=factory) as runner:
        print(json.dumps(runner.run(_measure(name, Path(path), values))))


if __name__ == "__main__":
    main(sys.argv[1:])
