"""One seed, one run: chaos, then healing, then everything must come to its end.

The seed decides the workflows, what clients do, how many nodes there are and how they are set, which faults happen when, and the
order in which everything runs. ``STRICT`` is for the suite's other half: a snapshot every three events, everything parked at once,
nothing kept in memory, one append a commit.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from taskengine.kernel.approval import is_asking
from taskengine.model.status import Phase
from taskengine.model.workflow import Workflow
from taskengine.runtime.settings import NodeSettings
from taskengine.testing.simulation import (
    Chance,
    MemoryDisk,
    Picker,
    PriorityPicker,
    SimNode,
    SimulationError,
    SqliteDisk,
    StarvingPicker,
    UniformPicker,
    World,
)
from taskengine.testing.simulation.audit import Record
from tests.simulation.clients import Client, Ledger
from tests.simulation.families import Families
from tests.simulation.language import LanguageGenerator
from tests.simulation.people import Person
from tests.simulation.workloads import WorkflowGenerator, functions

STRICT: Final = {"snapshot_every": 3, "park_snapshot_after": 1, "batch_cap": 1, "cache": 0}
LIVENESS_S: Final = 600.0  # after healing, everything has ended by then
LETTERS_S: Final = 30.0  # what executions tell each other has come by then
QUIET_S: Final = 45.0  # ... and a little later nothing waits for anything
STAYS_QUIET_S: Final = 8.0  # ... for longer than any pause of a node between two looks
CARE_S: Final = 45.0  # an owner that read nothing for so long has forgotten
HOPELESS: Final = 12  # attempts after which a person gives up on a task
MEMORY: Final = Path("/dev/shm")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run was. Equal for equal seeds."""

    seed: int
    fingerprint: str
    steps: int
    seconds: float
    events: Counter[str]
    counts: Counter[str]


def run(seed: int, *, is_strict: bool = False, in_memory: bool = False, is_whole: bool = False) -> Outcome:
    """Run one seed on the SQLite store (or the memory store); ``is_whole``: workflows of the whole language.

    Raises ``SimulationError`` naming the broken promise.
    """
    with tempfile.TemporaryDirectory(prefix="simulation-", dir=MEMORY if MEMORY.is_dir() else None) as directory:
        disk = MemoryDisk() if in_memory else SqliteDisk(Path(directory) / "sim.db")
        return Scenario(seed, disk, is_strict=is_strict, is_whole=is_whole).run()


class Scenario:
    """One run."""

    def __init__(self, seed: int, disk: MemoryDisk | SqliteDisk, *, is_strict: bool, is_whole: bool) -> None:
        chance = Chance(seed)
        shape = chance.fork("shape")
        self.seed = seed
        self.shape = shape
        self.is_strict = is_strict
        self.is_whole = is_whole
        self.world = World(
            chance,
            disk,
            picker=_picker(shape, chance.fork("order")),
            functions=self._functions,
            faults=shape.choice((0.0, 0.3, 1.0, 1.0, 3.0)),
        )
        self.families = Families(self.world)
        if is_whole:
            self.world.audit.on_event = self.families.see
        self.ledger = Ledger()
        self.known: list[str] = []
        self.forgotten: dict[tuple[str, int], float] = {}
        self.wanted = shape.randint(1, 3)  # nodes
        self.mischief_s = shape.choice((0.3, 1.0, 3.0, 10.0))  # between two misfortunes, on average
        self.chaos_s = shape.choice((4.0, 8.0, 16.0))
        self.has_control = shape.happens(0.2)  # a node for control commands only beside the others
        self.has_poison = shape.happens(0.08)
        self.settings = _settings(shape, strict=STRICT if is_strict else {})

    def _functions(self, node: SimNode) -> Mapping[str, Callable[..., Any]]:
        return functions(self.world)(node)

    def run(self) -> Outcome:
        world = self.world
        world.loop.run(self._main())
        events = world.audit.event_counts
        return Outcome(
            seed=self.seed,
            fingerprint=world.audit.fingerprint,
            steps=world.loop.steps,
            seconds=world.loop.time(),
            events=events,
            counts=world.counts + Counter({f"verdict {name}": n for name, n in world.audit.verdicts.items()}),
        )

    async def _main(self) -> None:
        world, chance = self.world, self.world.chance
        kind = LanguageGenerator if self.is_whole else WorkflowGenerator
        generator = kind(chance.fork("workflows"), poison=0.3 if self.has_poison else 0.0)
        workflows = [generator.workflow(number) for number in range(self.shape.randint(2, 6))]
        clients = [self._client(f"c{number}", workflows) for number in range(self.shape.randint(1, 3))]
        async with asyncio.TaskGroup() as everybody:
            watchdog = everybody.create_task(self._keep_nodes())
            mischief = everybody.create_task(self._make_mischief())
            if isinstance(clients[0], Person):
                await clients[0].deploy(workflows)
            async with asyncio.TaskGroup() as living:
                for client in clients:
                    living.create_task(client.live(until=self.chaos_s))
            mischief.cancel()
            world.heal()
            await self._finish(clients)
            watchdog.cancel()
        self._settle()
        await self._leave()

    def _client(self, name: str, workflows: list[Workflow]) -> Client:
        kind = Person if self.is_whole else Client
        client = kind(
            name, self.world, chance=self.world.chance.fork(name), ledger=self.ledger, workflows=workflows, known=self.known
        )
        if isinstance(client, Person):
            client.families = self.families
        return client

    # ── chaos ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep_nodes(self) -> None:
        """What a supervisor of processes does: where one is missing, start another."""
        chance = self.world.chance.fork("watchdog")
        while True:
            runners = sum(node.engine.node.settings.can_run for node in self.world.serving())
            if runners < self.wanted:
                await self.world.start(self.settings)
            elif self.has_control and len(self.world.serving()) == runners:
                await self.world.start(msgspec.structs.replace(self.settings, can_run=False))
            await asyncio.sleep(chance.random() * 0.5)

    async def _make_mischief(self) -> None:
        world, chance = self.world, self.world.chance.fork("mischief")
        async with asyncio.TaskGroup() as pauses:
            while True:
                await asyncio.sleep(chance.expovariate(1 / self.mischief_s))
                nodes = world.serving()
                if not nodes:
                    continue
                node = chance.choice(nodes)
                match chance.weighed({"crash": 4, "stop": 2, "pause": 2, "jump": 1, "take": 1}):
                    case "crash":
                        world.crash(node)
                    case "stop" if not node.domain.is_paused:
                        pauses.create_task(world.stop(node))
                    case "pause":
                        pauses.create_task(world.pause(node, chance.random() * chance.choice((0.2, 3.0, 20.0))))
                    case "jump":
                        world.jump(node, chance.randint(-10_000, 10_000))
                    case _ if self.known:
                        world.take_away(chance.choice(self.known))

    # ── healing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _finish(self, clients: list[Client]) -> None:
        """Do for each execution what only a person can do, until all have ended; then wait until nothing is under way."""
        world, loop = self.world, self.world.loop
        if self.is_whole:
            await asyncio.sleep(LETTERS_S)
            self.families.must_have_heard()
        give_up_at = loop.time() + LIVENESS_S
        while open_ones := [one for one in world.audit.records.values() if not one.state.is_finished]:
            if loop.time() > give_up_at:
                raise SimulationError("does_not_end", "; ".join(_describe(one, world) for one in open_ones))
            for record in open_ones:
                self._must_be_cared_for(record)
                await self._help(record, clients[0])
            await asyncio.sleep(1.0)
        async with asyncio.TaskGroup() as waiting:
            for execution_id in self.known:
                for client in clients:
                    waiting.create_task(client.wait(execution_id, timeout_s=None))
            waiting.create_task(self._until_quiet())

    def _must_be_cared_for(self, record: Record) -> None:
        """A node that lives, runs, and has owned an execution for a while has it in memory."""
        now, owner = self.world.loop.time(), record.summary.owner
        for node in self.world.serving():
            if node.node_id == owner and record.execution_id not in node.engine.node.residents:
                since = self.forgotten.setdefault((record.execution_id, record.summary.token), now)
                if now - since > CARE_S:
                    raise SimulationError("owned_and_forgotten", f"{_describe(record, self.world)}, for {now - since:.0f} s")
                return
        self.forgotten.pop((record.execution_id, record.summary.token), None)

    async def _until_quiet(self) -> None:
        """Everything has ended: soon nothing is under way, whoever waits was told, and it stays like that."""
        give_up_at = self.world.loop.time() + QUIET_S
        quiet_since = None
        while quiet_since is None or self.world.loop.time() < quiet_since + STAYS_QUIET_S:
            await asyncio.sleep(0.5)
            left = [left for node in self.world.serving() if (left := _under_way(node))]
            if not left:
                quiet_since = quiet_since or self.world.loop.time()
            elif self.world.loop.time() > give_up_at:
                raise SimulationError("never_quiet", "; ".join(left))
            else:
                quiet_since = None

    async def _help(self, record: Record, client: Client) -> None:
        state = record.state
        execution_id = record.execution_id
        if state.is_paused:
            await client.control("resume", execution_id, "/")
        for path in sorted(map(state.path_of, state.paused)):
            await client.control("resume", execution_id, path)
        for number, task in list(state.live.items()):
            path = state.path_of(number)
            if state.phase[number] != Phase.WAITING or state.is_finished:
                continue
            if task.is_stuck:
                is_hopeless = task.attempt > HOPELESS
                end = "cancel" if state.saga is None else "terminate"  # what undoes others is not cancelled
                await client.control(end if is_hopeless else "retry", execution_id, path)
            elif isinstance(client, Person) and is_asking(state, number):
                await client.decide(record, path)
            elif task.signal:
                await client.signal(execution_id, task.signal)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _settle(self) -> None:
        """Nothing is under way: every account agrees."""
        world = self.world
        self.ledger.settle(world)
        self.families.settle()
        world.audit.close_the_books(node.node_id for node in world.serving())

    async def _leave(self) -> None:
        """Every node stops gracefully; nothing is left of them."""
        for node in self.world.serving():
            await self.world.stop(node)
        self.world.audit.close_the_books(["nobody"])


def _under_way(node: SimNode) -> str:
    """What a node has not done with; empty when every slot is free, every answer given, every write settled."""
    inside = node.engine.node
    admission = inside.admission
    left = {
        "calls": len(node.calls),
        "functions": node.running,
        "attempts": len(inside.attempts),
        "waiters": len(inside.waiters),
        "slots": admission.slots - admission.free,
        "suspects": 1 - admission.suspects_free,
        "commits": int(not inside.commit.is_idle),
    }
    what = {name: number for name, number in left.items() if number}
    return f"{node.name} has {what}" if what else ""


def _describe(record: Record, world: World) -> str:
    row, state = record.summary, record.state
    phases = {state.path_of(number): Phase(state.phase[number]).name for number in range(1, len(state.phase))}
    alive = {node.node_id: node.name for node in world.serving()}
    return f"{row.execution_id} is {row.status}, owner {alive.get(row.owner, row.owner)!r}, wakes at {row.wake_at}, {phases}"


def _picker(shape: Chance, order: Chance) -> Picker:
    match shape.weighed({"uniform": 6, "starving": 2, "priority": 2}):
        case "uniform":
            return UniformPicker(order)
        case "starving":
            return StarvingPicker(order)
        case _:
            return PriorityPicker(order)


def _settings(shape: Chance, *, strict: dict[str, int]) -> NodeSettings:
    settings = NodeSettings(
        snapshot_every=shape.choice((3, 8, 256)),
        park_snapshot_after=shape.choice((1, 16)),
        cache=shape.choice((0, 1, 1_000)),
        batch_cap=shape.choice((1, 3, 500)),
        concurrency=shape.choice((1, 2, 100)),
        load_batch=shape.choice((1, 2, 500)),
        alone_poll_ms=shape.choice((200, 1_000)),
        together_poll_ms=shape.choice((100, 400)),
        stop_grace_ms=shape.choice((0, 200, 2_000)),
    )
    return msgspec.structs.replace(settings, **strict)
