"""huey on SQLite with fsync: a pipeline of ten tasks, run by a consumer process with one thread that looks every 5 ms.

huey has no workflows: a pipeline is a task that carries its successors, and a queue that forgets a task when it is taken. By
default the consumer looks every 100 ms and ever more seldom; it is asked to look more often, or only the look would be measured.
``python -m bench.peers.huey_chains measure DATABASE IN_FLIGHT SECONDS`` prints figures as JSON; ``begin`` and ``finish`` as in
``task_engine_chains``.
"""

from __future__ import annotations

import collections
import os
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huey import SqliteHuey

from bench.peers.loop import SLOW_S, STEPS, UNFINISHED, Clock, count, say, settings

DATABASE = "BENCH_HUEY_DATABASE"
huey = SqliteHuey("bench", filename=os.environ.get(DATABASE, ":memory:"), fsync=True, results=True)


@huey.task()
def charge(order_id: str, amount: int, **previous: object) -> dict[str, Any]:
    return {"charge_id": f"ch_{order_id}", "ok": True, "n": amount}


@huey.task()
def slow_charge(order_id: str, amount: int, **previous: object) -> dict[str, Any]:
    time.sleep(SLOW_S)
    return {"charge_id": f"ch_{order_id}", "ok": True, "n": amount}


def begin_chain(task: Any) -> Any:
    """A pipeline in the queue, and where its last result will be."""
    pipeline = task.s("o-1", 0)
    for index in range(1, STEPS):
        pipeline = pipeline.then(task, "o-1", index)
    return list(huey.enqueue(pipeline))[-1]


def consumer() -> subprocess.Popen[bytes]:
    """The process that runs the tasks."""
    command = [sys.executable, "-m", "huey.bin.huey_consumer", f"{__name__}.huey"]
    return subprocess.Popen([*command, "-w", "1", "-k", "thread", "-d", "0.005", "-m", "0.05", "-n", "-q"])


def is_done(result: Any) -> bool:
    """Whether the last task's result is there; it is taken out of the database by the look."""
    answer = result.get()
    assert answer is None or answer["n"] == STEPS - 1, answer
    return answer is not None


def measure(path: Path, in_flight: int, seconds: float) -> None:
    """The loop of ``loop.closed_loop`` without asyncio; the queue is first in, first out, so the oldest ends first."""
    process = consumer()
    try:
        for _ in range(3):
            warm = begin_chain(charge)
            while not is_done(warm):
                time.sleep(0.001)
        taken = 0
        durations: list[float] = []
        running = collections.deque((time.perf_counter(), begin_chain(charge)) for _ in range(in_flight))
        clock = Clock(lambda: taken + count(path, "SELECT count(*) FROM kv"))
        while clock.elapsed < seconds:
            began, result = running[0]
            if is_done(result):
                taken += 1
                durations.append(time.perf_counter() - began)
                running.popleft()
                running.append((time.perf_counter(), begin_chain(charge)))
            else:
                time.sleep(0.001)
        say(**clock.figures(durations), version=version("huey"), **settings(huey.storage.conn))
    finally:
        process.kill()  # what is still in flight is not waited for
        process.wait()


def begin() -> None:
    for _ in range(UNFINISHED):
        begin_chain(slow_charge)
    say(started=UNFINISHED)
    consumer().wait()


def finish(seconds: float) -> None:
    """How many chains have the result of their last task; nobody has fetched one."""
    process = consumer()
    end = time.monotonic() + seconds
    done = 0
    while done < UNFINISHED and time.monotonic() < end:
        time.sleep(0.05)
        done = finished()
    process.kill()
    process.wait()
    say(finished=done)


def finished() -> int:
    answers = [huey.serializer.deserialize(value) for value in huey.storage.result_items().values()]
    return sum(answer.get("n") == STEPS - 1 for answer in answers if isinstance(answer, dict))


def main(arguments: list[str]) -> None:
    match arguments:
        case ["measure", path, in_flight, seconds]:
            measure(Path(path), int(in_flight), float(seconds))
        case ["begin", _]:
            begin()
        case ["finish", _, seconds]:
            finish(float(seconds))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    from bench.peers import huey_chains  # under the name that the consumer knows the tasks by

    huey_chains.main(sys.argv[1:])
