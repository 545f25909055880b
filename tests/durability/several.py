"""Three processes on one database that are killed at random and begin again at once, and a client that nobody kills.

Run as a program it is the one that forks and kills: everything imported, no thread, no loop. It reads how long, and prints one line
of JSON: a ``Report``. The client starts executions through a node of its own that performs nothing, and pauses, resumes, cancels
and signals them through the inbox; what it was told is compared with what the database holds when everything is at rest.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from taskengine import Engine, TaskContext
from taskengine.adapters.lanes import ThreadLane
from taskengine.adapters.sqlite import SqliteStore
from taskengine.errors import CommandRefusedError, ConflictError
from taskengine.model import event as ev
from taskengine.model.workflow import Step, Workflow
from taskengine.runtime.environment import Environment
from taskengine.testing.crash import Child, Say, fork
from tests.durability.histories import History, effect_problems, histories, problems
from tests.durability.kill import warm
from tests.durability.scenario import CONTROL, WORKFLOWS, Effects, Gate, functions, insist

__all__ = ["Orders", "Report"]

_NODES: Final = 3
_CUSTOMERS: Final = 24  # each does one thing after the other
_LONGEST_WAIT_S: Final = 40.0
_KILL_EVERY_S: Final = (0.3, 1.5)
_PATIENCE: Final = 10  # times a command is asked again when others keep taking its execution


class Orders(msgspec.Struct, frozen=True):
    """Where, for how long work comes in, and from which seed the client and the killer draw."""

    directory: str
    seconds: float
    seed: int


class Report(msgspec.Struct, frozen=True):
    """What happened, and what is wrong with it. Durations are in milliseconds, sorted."""

    counts: dict[str, int]
    problems: list[str]
    pause_ms: list[float]  # from the call to its acknowledgement
    takeover_ms: list[int]  # from a kill to the first attempt that is declared lost


# ── what is performed ────────────────────────────────────────────────────────────────────────────────────────────────────


def _slow(step_id: str, *depends_on: str) -> Step:
    return Step(id=step_id, type="function", config={"function": "slow"}, depends_on=depends_on)


_SLOW: Final = Workflow(
    name="slow",
    version="1",
    steps=(_slow("a"), _slow("b", "a"), _slow("c", "a"), _slow("d", "b", "c"), _slow("e", "d")),
    output="{{ steps.e.output }}",
)
_KINDS: Final = {
    "slow": (_SLOW, {}, "/e/"),
    "fan": (WORKFLOWS["fan"], {}, 60),
    "chain": (WORKFLOWS["chain"], {"start": 5}, 7),
    "flaky": (WORKFLOWS["flaky"], {}, 8),
    "approval": (WORKFLOWS["approval"], {}, 42),
}


def _functions(effects: Effects) -> dict[str, Callable[..., Any]]:
    async def slow(ctx: TaskContext) -> str:
        effects(ctx)
        await asyncio.sleep(0.02)
        return ctx.path

    return {**functions(effects, Gate(is_open=True)), "slow": slow}


# ── a node ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _be_node(directory: Path) -> None:
    async def serve() -> None:
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        async with Engine(directory / "work.db", functions=_functions(Effects(directory / "effects"))):
            await told.wait()

    asyncio.run(serve())


# ── the client ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Client:
    """Customers on one engine. Says what was acknowledged, each thing once."""

    def __init__(self, engine: Engine, orders: Orders, *, say: Say) -> None:
        self._engine = engine
        self._orders = orders
        self._say = say

    async def serve(self) -> None:
        """Until the time is over and everything begun has ended."""
        give_up_at = asyncio.get_running_loop().time() + self._orders.seconds
        async with asyncio.TaskGroup() as group:
            for customer in range(_CUSTOMERS):
                rng = random.Random(self._orders.seed * 1_000 + customer)
                group.create_task(self._be_customer(f"c{customer}", rng, give_up_at=give_up_at))

    async def _be_customer(self, name: str, rng: random.Random, *, give_up_at: float) -> None:
        number = 0
        while asyncio.get_running_loop().time() < give_up_at:
            number += 1
            await self._order(f"{name}-{number}", rng)

    async def _order(self, key: str, rng: random.Random) -> None:
        """Start something, do something to it, wait for its end."""
        kind = rng.choice(("slow", "slow", *_KINDS))
        workflow, params, expected = _KINDS[kind]
        execution = await insist(
            lambda: self._engine.execute_workflow(workflow, params=params, business_key=key, idempotency_key=key)
        )
        self._say(("start", key, execution.id))
        deed = rng.choice(("nothing", "pause", "pause", "cancel"))
        if kind == "approval":
            await self._ask(lambda: self._engine.signal(execution.id, "approved", data=41, by=key, signal_id=key), "signal", key)
        await asyncio.sleep(rng.random() * 0.08)
        if deed == "pause":
            await self._pause(execution.id, key, rng)
        elif deed == "cancel":
            await self._ask(lambda: self._engine.cancel_instance(execution.id, by=key), "cancel", key)
        result = await insist(lambda: self._engine.wait_for_instance(execution.id, timeout=_LONGEST_WAIT_S))
        self._say(("result", key, [result.status.value, result.output if result.raw_output else None, expected]))

    async def _pause(self, execution_id: str, key: str, rng: random.Random) -> None:
        begin = time.perf_counter()
        if await self._ask(lambda: self._engine.pause_instance(execution_id, by=key), "pause", key):
            self._say(("pause took", key, (time.perf_counter() - begin) * 1000))
            await asyncio.sleep(rng.random() * 0.2)
            await self._ask(lambda: self._engine.resume_instance(execution_id, by=key), "resume", key)

    async def _ask(self, command: Callable[[], Awaitable[None]], kind: str, key: str) -> bool:
        """Whether it was obeyed; it is not when the execution has ended."""
        for _ in range(_PATIENCE):
            try:
                await insist(command)
            except CommandRefusedError:
                return False
            except ConflictError as error:
                self._say(("again", error.name, kind))
            else:
                self._say((kind, key, None))
                return True
        raise AssertionError(f"{kind} {key} was never answered")


def _be_client(orders: Orders, say: Say) -> None:
    directory = Path(orders.directory)
    effects = Effects(directory / "effects")  # it knows the functions and performs none

    async def serve() -> None:
        async with Engine(directory / "work.db", functions=_functions(effects), settings=CONTROL) as engine:
            for workflow, _, _ in _KINDS.values():
                await insist(lambda workflow=workflow: engine.deploy(workflow))
            await Client(engine, orders, say=say).serve()

    asyncio.run(serve())


# ── the judge ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _judge(directory: Path, said: list[tuple[str, str, Any]], *, kills: list[int]) -> Report:
    """Compare what the client was told with what is stored, when everybody has gone."""
    found, nodes = asyncio.run(_stored(directory))
    wrong = [problem for history in found for problem in problems(history)]
    wrong += effect_problems(found, Effects.read(directory / "effects"))
    wrong += _against(found, said)
    wrong += [f"{event} is of an innocent" for one in found for event in one.events if isinstance(event, ev.TaskQuarantined)]
    wrong += [f"{path.name} is left behind" for path in directory.glob("*.lock")]
    if nodes:
        wrong.append(f"{nodes} nodes are still registered")
    counts = Counter(kind if kind != "again" else f"again: {key}" for kind, key, _ in said)
    counts.update(type(event).__name__ for history in found for event in history.events)
    counts["kills"] = len(kills)
    pauses = sorted(answer for kind, _, answer in said if kind == "pause took")
    return Report(dict(sorted(counts.items())), wrong, pauses, sorted(_takeovers(found, kills)))


async def _stored(directory: Path) -> tuple[list[History], int]:
    store = SqliteStore(directory / "work.db", lanes=ThreadLane)
    await store.open()
    try:
        return await histories(store), await store.other_nodes("")
    finally:
        await store.close()


_CAUSED: Final = {
    "signal": ev.SignalReceived,
    "pause": ev.SubtreePaused,
    "resume": ev.SubtreeResumed,
    "cancel": ev.SubtreeCancelled,
}


def _against(found: list[History], said: list[tuple[str, str, Any]]) -> Iterator[str]:
    """Every acknowledged start is one execution that has ended as it should, every acknowledged command took place once."""
    told = {(kind, key): answer for kind, key, answer in said}
    started = {key: execution_id for (kind, key), execution_id in told.items() if kind == "start"}
    stored = {history.summary.business_key: history for history in found}
    if {key: history.summary.execution_id for key, history in stored.items()} != started or len(found) != len(started):
        yield f"{len(started)} were started, {len(found)} are there"
    for key, history in stored.items():
        status, output, expected = told.get(("result", key), ("nothing", None, None))
        is_right = (status, output) == ("completed", expected) or (status == "cancelled" and ("cancel", key) in told)
        if not is_right or history.summary.status != status:
            yield f"{key} ended as {history.summary.status}, its client was told {status} {output}, expected is {expected}"
        for kind, event in _CAUSED.items():
            count = history.number_of(event, by=key)
            if count > 1 or ((kind, key) in told and count != 1):
                yield f"{kind} of {key} took place {count} times"


def _takeovers(found: list[History], kills: list[int]) -> Iterator[int]:
    """For each kill the time until the first attempt after it was declared lost, before the next kill."""
    lost = sorted(event.at for history in found for event in history.events if isinstance(event, ev.TaskAttemptLost))
    for kill_at, next_at in zip(kills, [*kills, sys.maxsize][1:], strict=True):
        after = [at for at in lost if kill_at <= at < next_at]
        if after:
            yield after[0] - kill_at


# ── the one who forks and kills ──────────────────────────────────────────────────────────────────────────────────────────


def run(orders: Orders) -> Report:
    """Let them work and kill them, until the client is through; then let the nodes go, and judge."""
    directory = Path(orders.directory)
    limit_s = int(orders.seconds) + 3 * int(_LONGEST_WAIT_S)
    rng = random.Random(orders.seed)
    now = Environment(ThreadLane).now
    warm(directory / "warm")

    def begin() -> Child:
        return fork(lambda _: _be_node(directory), limit_s=limit_s)

    client = fork(lambda say: _be_client(orders, say), limit_s=limit_s)
    nodes = [begin() for _ in range(_NODES)]
    kills: list[int] = []
    while client.listen_for(rng.uniform(*_KILL_EVERY_S), clock=time.monotonic):
        number = rng.randrange(_NODES)
        kills.append(now())
        nodes[number].kill()
        nodes[number].end()
        nodes[number] = begin()
    ended = client.end()
    troubles = [f"the client failed: {ended.trouble or ended.signal}"] if ended.trouble or ended.signal else []
    for node in nodes:
        node.ask_to_end()
    ends = [node.end() for node in nodes]
    troubles += [f"a node failed: {end.trouble or end.signal}" for end in ends if end.trouble or end.signal]
    report = _judge(directory, [tuple(one) for one in ended.said], kills=kills)
    return msgspec.structs.replace(report, problems=[*troubles, *report.problems])


def main() -> None:
    """Orders come on standard input, the report goes to standard output."""
    orders = msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)
    sys.stdout.buffer.write(msgspec.json.encode(run(orders)) + b"\n")


if __name__ == "__main__":
    main()
