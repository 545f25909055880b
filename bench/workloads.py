"""The workloads W1 to W8 on our engine, with every guarantee on: SQLite, WAL, FULL. Each function gives a dictionary of figures."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from bench.files import fresh
from taskengine import Engine, NodeSettings, Step, Workflow
from taskengine.adapters.sqlite import SqliteStore
from taskengine.model.value import Json
from taskengine.model.workflow import Block

__all__ = ["WORKLOADS", "chain"]

WIDE = NodeSettings(concurrency=2_000)
Figures = dict[str, Any]


async def charge(order_id: str, amount: int) -> dict[str, Any]:
    """A step that does nothing but answer."""
    return {"charge_id": f"ch_{order_id}", "ok": True, "n": amount}


def chain(length: int) -> Workflow:
    """Sequential steps."""
    return Workflow(
        name=f"chain-{length}",
        steps=tuple(
            Step(
                id=f"s{index}",
                type="function",
                config={"function": "charge", "params": {"order_id": "o-1", "amount": index}},
                depends_on=(f"s{index - 1}",) if index else (),
            )
            for index in range(length)
        ),
    )


def _engine(path: Path, settings: NodeSettings = WIDE, **functions: Callable[..., Any]) -> Engine:
    return Engine(path, functions={"charge": charge, **functions}, settings=settings)


async def _proof(engine: Engine) -> dict[str, str]:
    """Read back from the writer's own connection: a figure with other settings does not count."""
    store = engine.store
    assert isinstance(store, SqliteStore)
    journal_mode, synchronous = await store.durability()
    assert (journal_mode, synchronous) == ("wal", "full"), f"measured with {journal_mode}, synchronous={synchronous}"
    return {"journal_mode": journal_mode, "synchronous": synchronous}


async def _closed_loop(engine: Engine, workflow: Workflow, *, in_flight: int, budget_s: float) -> tuple[int, float]:
    stored = await engine.deploy(workflow)
    done = 0
    began = time.perf_counter()

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() - began < budget_s:
            execution = await engine.execute_workflow(stored, params={"n": 1})
            result = await execution.result()
            assert result.status == "completed", result
            done += 1

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return done, time.perf_counter() - began


async def w1(path: Path, *, in_flight: int, budget_s: float = 2.0) -> Figures:
    """Chains of ten, so many in flight."""
    async with _engine(path) as engine:
        await _closed_loop(engine, chain(10), in_flight=min(in_flight, 5), budget_s=0.2)
        commits = engine.node.commit.commits
        done, elapsed = await _closed_loop(engine, chain(10), in_flight=in_flight, budget_s=budget_s)
        commits = engine.node.commit.commits - commits
        assert isinstance(engine.store, SqliteStore)
        rows = await engine.store.row_counts()
        executions = rows["execution"]
        return {
            "steps_s": done * 10 / elapsed,
            "n": done,
            "steps_per_commit": done * 10 / max(1, commits),
            "rows_per_step": (rows["event"] + rows["task"] + executions) / (executions * 10) + 1,  # and one upsert a step
            **await _proof(engine),
        }


def _spin(seconds: float) -> int:
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        count += 1
    return count


async def w1g(path: Path, *, budget_s: float = 2.0) -> Figures:
    """W1 at 200 beside one synchronous function that computes in a thread all the while."""
    spin = Workflow(
        name="spin", steps=(Step(id="spin", type="function", config={"function": "spin", "params": {"seconds": budget_s + 2}}),)
    )
    async with _engine(path, spin=_spin) as engine:
        await _closed_loop(engine, chain(10), in_flight=5, budget_s=0.2)
        busy = await engine.execute_workflow(spin)
        done, elapsed = await _closed_loop(engine, chain(10), in_flight=200, budget_s=budget_s)
        await busy.result()
        return {"steps_s": done * 10 / elapsed, "n": done}


async def w2(path: Path, *, count: int = 300) -> Figures:
    """Latency of one workflow of ten steps, nothing else running."""
    async with _engine(path) as engine:
        stored = await engine.deploy(chain(10))
        durations: list[float] = []
        for index in range(count + 20):
            began = time.perf_counter()
            await (await engine.execute_workflow(stored, params={"n": 1})).result()
            if index >= 20:
                durations.append(time.perf_counter() - began)
        durations.sort()
        return {"p50_ms": statistics.median(durations) * 1e3, "p99_ms": durations[int(count * 0.99)] * 1e3, "n": count}


async def w3(path: Path, *, width: int) -> Figures:
    """Fan out to so many steps and join them; with the two beside them no more than a workflow may have."""
    width = min(width, 9_998)
    steps = [Step(id="begin", type="noop")]
    steps += [
        Step(
            id=f"c{index}",
            type="function",
            config={"function": "charge", "params": {"order_id": "o", "amount": index}},
            depends_on=("begin",),
        )
        for index in range(width)
    ]
    steps.append(Step(id="join", type="noop", depends_on=tuple(f"c{index}" for index in range(width))))
    async with _engine(path) as engine:
        stored = await engine.deploy(Workflow(name="fan", steps=tuple(steps)))
        began = time.perf_counter()
        result = await (await engine.execute_workflow(stored)).result()
        elapsed = time.perf_counter() - began
        assert result.status == "completed", result
        return {"seconds": elapsed, "per_child_us": elapsed / width * 1e6}


def _rss_kb() -> int:
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


async def w4(path: Path, *, first: int = 10_000, more: int = 100_000) -> Figures:
    """Park ``first`` and then ``more`` executions on a signal: memory for each; then wake ``first`` of them."""
    parked = Workflow(name="parked", steps=(Step(id="go", type="wait", config={"signal": "go", "deadline": "1d"}),))
    async with _engine(path) as engine:
        stored = await engine.deploy(parked)
        began = time.perf_counter()
        waiting = await engine.begin_many(stored, [{} for _ in range(first)])
        park_s = time.perf_counter() - began
        await _settled(engine)
        low = _rss_kb()
        for _ in range(more // 10_000):
            await engine.begin_many(stored, [{} for _ in range(10_000)])
        await _settled(engine)
        high = _rss_kb()
        began = time.perf_counter()
        await asyncio.gather(*(_wake(engine, one.id) for one in waiting))
        wake_s = time.perf_counter() - began
        return {"park_s": park_s, "kb_each": (high - low) / more, "wake_all_s": wake_s, "n": first}


async def _wake(engine: Engine, execution_id: str) -> None:
    await engine.signal(execution_id, "go", data=1)
    result = await engine.wait_for_instance(execution_id)
    assert result.status == "completed", result


async def _settled(engine: Engine) -> None:
    while not engine.node.commit.is_idle:
        await asyncio.sleep(0.01)


async def w5_crash(path: Path, *, count: int = 1_000) -> Figures:
    """The first half of W5: every execution has done its first step, then the process dies."""
    reached = 0
    gate = asyncio.Event()

    async def gated(order_id: str, amount: int) -> int:
        nonlocal reached
        reached += 1
        await gate.wait()
        return amount

    workflow = chain(10)
    steps = list(workflow.steps)
    steps[1] = Step(
        id="s1", type="function", config={"function": "gated", "params": {"order_id": "o", "amount": 1}}, depends_on=("s0",)
    )
    async with _engine(path, gated=gated) as engine:
        stored = await engine.deploy(Workflow(name="crash", steps=tuple(steps)))
        await engine.begin_many(stored, [{} for _ in range(count)])
        while reached < count:
            await asyncio.sleep(0.005)
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


async def w5_recover(path: Path, *, count: int = 1_000) -> Figures:
    """The second half, in a new process: until every execution is complete."""
    from taskengine.ports.store import ExecutionFilter  # noqa: PLC0415 -- counted in the start of this process

    async def gated(order_id: str, amount: int) -> int:
        return amount

    async with _engine(path, gated=gated) as engine:
        while await engine.store.count(ExecutionFilter(statuses=("completed",))) < count:
            await asyncio.sleep(0.005)
    return {}


async def w5(path: Path) -> Figures:
    """1,000 in flight, kill -9, restart, all complete: seconds from the start of the new process to its end."""
    subprocess.run([sys.executable, "-m", "bench.worker", "w5_crash", str(path)], check=False, capture_output=True)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bench.worker", "w5_recover", str(path)], check=True, capture_output=True)
    return {"recover_s": time.perf_counter() - began, "n": 1_000}


async def w6(path: Path, *, length: int = 10_000) -> Figures:
    """One workflow of so many steps in a row; the first and the last thousand."""
    marks: list[float] = []

    async def count_steps(order_id: str, amount: int) -> int:
        if amount % 1_000 == 0:
            marks.append(time.perf_counter())
        return amount

    workflow = chain(length)
    async with _engine(path, charge=count_steps) as engine:
        stored = await engine.deploy(workflow)
        began = time.perf_counter()
        await (await engine.execute_workflow(stored)).result()
        ended = time.perf_counter()
        marks.append(ended)
        return {
            "seconds": ended - began,
            "us_per_step": (ended - began) / length * 1e6,
            "last_to_first": (marks[-1] - marks[-2]) / (marks[1] - marks[0]),
        }


async def flat(path: Path, *, length: int) -> Figures:
    """A loop of so many steps, one after the other: cost of a step, and how much memory the process gained while it ran."""
    charge = Step(
        id="charge", type="function", config={"function": "charge", "params": {"order_id": "o-1", "amount": "{{ index }}"}}
    )
    config = {"while": f"index < {length}", "max_iterations": length}
    again = Step(id="again", type="loop", config=config, blocks=(Block(steps=(charge,)),))
    async with _engine(path) as engine:
        await _closed_loop(engine, chain(10), in_flight=1, budget_s=0.3)
        stored = await engine.deploy(Workflow(name=f"loop-{length}", steps=(again,)))
        execution = await engine.execute_workflow(stored)
        low = _rss_kb()
        began = time.perf_counter()
        await execution.result()
        elapsed = time.perf_counter() - began
        return {"us_per_step": elapsed / length * 1e6, "gained_kb": _rss_kb() - low, "length": length}


async def nested(path: Path, *, tasks: int) -> Figures:
    """A map of maps of so many tasks in one execution, a hundred steps in each: cost of a task, memory, how long a status takes."""
    inner = 100
    outer = max(1, tasks // (2 * inner + 2))
    step = Step(id="charge", type="function", config={"function": "charge", "params": {"order_id": "o", "amount": "{{ item }}"}})
    row = Step(id="row", type="map", config={"items": "{{ item }}"}, blocks=(Block(steps=(step,)),))
    each = Step(id="each", type="map", config={"items": "{{ input.rows }}"}, blocks=(Block(steps=(row,)),))
    workflow = Workflow(name="nested", steps=(each,), output="{{ steps.each.output | length }}")
    async with _engine(path) as engine:
        await _closed_loop(engine, chain(10), in_flight=1, budget_s=0.3)
        stored = await engine.deploy(workflow)
        rows: list[Json] = [list[Json](range(inner)) for _ in range(outer)]
        low = _rss_kb()
        began, began_cpu = time.perf_counter(), time.process_time()
        execution = await engine.execute_workflow(stored, params={"rows": rows})
        waited = asyncio.ensure_future(execution.result())
        status_s, lag_s = 0.0, 0.0
        while not waited.done():
            asked = time.perf_counter()
            await engine.get_instance(execution.id)
            status_s = max(status_s, time.perf_counter() - asked)
            asked = time.perf_counter()
            await asyncio.sleep(0.01)
            lag_s = max(lag_s, time.perf_counter() - asked - 0.01)
        elapsed, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        assert waited.result().output == outer
        count = 1 + outer * (2 + 2 * inner)
        return {
            "tasks": count,
            "seconds": elapsed,
            "us_per_task": elapsed / count * 1e6,
            "cpu_us_per_task": cpu / count * 1e6,
            "gained_kb": _rss_kb() - low,
            "worst_status_ms": status_s * 1e3,
            "worst_lag_ms": lag_s * 1e3,
        }


_COLD = """
import sys
import taskengine
from taskengine import Engine, Step, Workflow
print("IMPORT", flush=True)
import asyncio
async def hello(): return 1
async def main(path):
    async with Engine(path, functions={"hello": hello}) as engine:
        step = Step(id="a", type="function", config={"function": "hello"})
        one = await engine.execute_workflow(Workflow(name="w", steps=(step,)))
        await one.result()
        print("DONE", flush=True)
asyncio.run(main(sys.argv[1]))
"""


async def w7(path: Path, *, count: int = 5) -> Figures:
    """Process start to the import done, and to the first completed workflow, on a new database.

    With compiled modules, as an installed package has them: whatever the environment says, the first start compiles them and
    does not count.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(path.parent / "compiled")
    imports: list[float] = []
    firsts: list[float] = []
    for index in range(count + 1):
        began = time.perf_counter()
        database = fresh(path.with_suffix(f".{index}"))
        with subprocess.Popen(
            [sys.executable, "-c", _COLD, str(database)], stdout=subprocess.PIPE, text=True, env=environment
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                (imports if line.startswith("IMPORT") else firsts).append(time.perf_counter() - began)
    return {"import_s": statistics.median(imports[1:]), "first_s": statistics.median(firsts[1:]), "n": count}


async def w8(path: Path, *, budget_s: float = 2.0) -> Figures:
    """Accepted starts a second: one by one, by 200 callers, in batches of 500. One slot, taken: what is accepted waits in line."""
    gate = asyncio.Event()

    async def block() -> None:
        await gate.wait()

    workflow = Workflow(name="start", steps=(Step(id="only", type="function", config={"function": "block"}),))
    settings = NodeSettings(concurrency=1, max_residents=10_000_000, stop_grace_ms=0)
    figures: Figures = {}
    async with _engine(path, settings, block=block) as engine:
        stored = await engine.deploy(workflow)
        await engine.execute_workflow(stored)
        for name, callers in (("one_by_one_s", 1), ("callers_s", 200)):
            figures[name] = await _rate(callers, budget_s, lambda: engine.execute_workflow(stored, params={"n": 1}))
        batch: list[Mapping[str, Any]] = [{"n": 1}] * 500
        figures["batches_s"] = 500 * await _rate(2, budget_s, lambda: engine.begin_many(stored, batch))
    return figures


async def _rate(callers: int, budget_s: float, call: Callable[[], Awaitable[object]]) -> float:
    done = 0
    began = time.perf_counter()

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() - began < budget_s:
            await call()
            done += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (time.perf_counter() - began)


WORKLOADS: dict[str, Callable[..., Awaitable[Figures]]] = {
    "w1": w1,
    "w1g": w1g,
    "w2": w2,
    "w3": w3,
    "w4": w4,
    "w5": w5,
    "w5_crash": w5_crash,
    "w5_recover": w5_recover,
    "w6": w6,
    "nested": nested,
    "w7": w7,
    "w8": w8,
    "flat": flat,
}
