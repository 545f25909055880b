"""Simulated nodes on one disk: each a whole engine, composed as a program composes it, in a domain of its own.

The world starts nodes, kills them at any instant, stops them in the middle of whatever they do, and carries calls to them as a
network would: late, or not at all when the node dies. It knows nothing of what clients want; a scenario does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from taskengine.app.engine import Engine
from taskengine.errors import InternalError, StorageError, TaskEngineError
from taskengine.model.value import Instant
from taskengine.ports.store import Append, Store, Verdict
from taskengine.runtime.settings import NodeSettings
from taskengine.testing.simulation.audit import Audit
from taskengine.testing.simulation.chance import Chance
from taskengine.testing.simulation.disk import STATEMENT_FAULTS, Disk, at_once
from taskengine.testing.simulation.environment import EPOCH_AT, Latency, SimEnvironment
from taskengine.testing.simulation.failures import SimulationError
from taskengine.testing.simulation.faults import STORE_FAULTS, Faults, FaultyStore
from taskengine.testing.simulation.loop import Domain, SimLoop
from taskengine.testing.simulation.picking import Picker

__all__ = ["Functions", "NodeGone", "SimNode", "World"]

T = TypeVar("T")

Functions = Callable[["SimNode"], Mapping[str, Callable[..., Any]]]
_START_TRIES: Final = 200
_STOPPED_S: Final = 1.0  # within some of these, whoever still waits for an engine that has stopped is told so
_STOPPED_LOOKS: Final = 4
_START_PAUSE_S: Final = 0.2


class NodeGone(ConnectionError):  # noqa: N818 -- it is no error of the engine, and not always one of a client
    """The node died, or is no more."""


class SimNode:
    """One engine in one domain. Made by ``World.start``."""

    def __init__(self, name: str, domain: Domain, *, environment: SimEnvironment, store: Store, engine: Engine) -> None:
        self.name = name
        self.domain = domain
        self.environment = environment
        self.store = store
        self.engine = engine
        self.is_serving = False
        self.calls: dict[int, asyncio.Future[Any]] = {}  # of clients that wait for an answer
        self.running = 0  # function calls that have not ended

    @property
    def is_dead(self) -> bool:
        """Whether it was killed, or has ended."""
        return self.domain.is_dead

    @property
    def node_id(self) -> str:
        """The engine's own name for itself."""
        return self.engine.node.node_id


class World:
    """Everything in one simulation. Deterministic: the seed in ``chance`` decides."""

    def __init__(self, chance: Chance, disk: Disk, *, picker: Picker, functions: Functions, faults: float = 1.0) -> None:
        self.chance = chance
        self.loop = SimLoop(picker)
        self.counts: Counter[str] = Counter()
        self.audit = Audit(disk.auditor(), now=self.now, fail=self.loop.fail)
        self.nodes: list[SimNode] = []
        self.is_healed = False
        self._disk = disk
        self._functions = functions
        self._latency = Latency(chance.fork("latency"))
        self._rates = {kind: rate * faults for kind, rate in {**STORE_FAULTS, **STATEMENT_FAULTS}.items()}
        self._faults: list[Faults] = []
        self._calls = 0

    def now(self) -> Instant:
        """The true time."""
        return EPOCH_AT + round(self.loop.time() * 1_000)

    # ── nodes ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self, settings: NodeSettings) -> SimNode:
        """A new node; it serves when this returns. A start that fails is tried again, as whoever watches processes would."""
        for _ in range(_START_TRIES):
            node = self._make(settings)
            started = node.domain.spawn(node.engine.start())
            answer = self._expect(node)
            started.add_done_callback(partial(self._pass_on, answer=answer))
            try:
                await answer
            except StorageError:
                self.counts["start_failed"] += 1
                self._end(node)
            except NodeGone:
                self.counts["start_died"] += 1
            else:
                node.is_serving = True
                return node
            await asyncio.sleep(_START_PAUSE_S)
        raise SimulationError("cannot_start", f"no node could be started in {_START_TRIES} tries")

    def _make(self, settings: NodeSettings) -> SimNode:
        name = f"n{len(self.nodes) + 1}"
        domain = self.loop.domain(name)
        chance = self.chance.fork(name)
        faults = Faults(chance.fork("faults"), self._rates, counts=self.counts)
        faults.is_on = not self.is_healed
        self._faults.append(faults)
        environment = SimEnvironment(
            self.loop, chance, latency=Latency(chance.fork("latency")), ran=self.audit.look, skew_ms=chance.randrange(-2_000, 2_001)
        )

        def die() -> None:
            self.crash(self._named(name))

        def committed(batch: Sequence[Append], verdicts: Sequence[Verdict]) -> None:
            self.audit.look()
            self.audit.committed(name, batch, verdicts=verdicts)

        store = FaultyStore(self._disk.store(environment.lanes, faults, die=die), faults, committed=committed)
        engine = Engine(store, settings=settings, environment=environment)
        node = SimNode(name, domain, environment=environment, store=store, engine=engine)
        for function_name, function in self._functions(node).items():
            engine.register(function_name, function)
        self.nodes.append(node)
        return node

    def _named(self, name: str) -> SimNode:
        return next(node for node in self.nodes if node.name == name)

    def serving(self) -> list[SimNode]:
        """Nodes that clients may call: alive, and not on their way out. Some of them may be paused."""
        return [node for node in self.nodes if node.is_serving and not node.is_dead]

    def crash(self, node: SimNode) -> None:
        """Kill a node now: nothing of it runs again, what it had not committed is gone, its locks are free."""
        if node.is_dead:
            return
        self.counts["crash"] += 1
        self.audit.note(f"crash {node.name}")
        self._end(node)

    def _end(self, node: SimNode) -> None:
        node.is_serving = False
        node.domain.kill()
        node.environment.die()
        at_once(node.store.close())
        calls, node.calls = node.calls, {}
        for answer in calls.values():
            if not answer.done():
                answer.set_exception(NodeGone(node.name))
        self.audit.look()

    async def stop(self, node: SimNode) -> None:
        """Stop a node gracefully, then end its process."""
        inside = node.engine.node
        node.is_serving = False
        self.counts["stop"] += 1
        stopped = node.domain.spawn(node.engine.stop())
        answer = self._expect(node)
        stopped.add_done_callback(partial(self._pass_on, answer=answer))
        try:
            await answer
        except NodeGone:
            return
        if inside.commit.trouble is None:
            self.audit.must_have_given_back(node.name, node_id=inside.node_id)
        for _ in range(_STOPPED_LOOKS):  # a slow store may keep one a little longer
            await asyncio.sleep(_STOPPED_S)
            if not node.calls or node.is_dead:
                break
        else:
            raise SimulationError("left_hanging", f"{node.name} has stopped, and {len(node.calls)} callers have no answer")
        self._end(node)

    async def pause(self, node: SimNode, seconds: float) -> None:
        """Let a node stand still for a while, as a stopped process does."""
        if node.is_dead or node.domain.is_paused:
            return
        self.counts["pause"] += 1
        node.domain.pause()
        await asyncio.sleep(seconds)
        node.domain.resume()

    def jump(self, node: SimNode, by_ms: int) -> None:
        """Set a node's clock."""
        self.counts["clock_jump"] += 1
        node.environment.skew_ms += by_ms

    def take_away(self, execution_id: str) -> None:
        """Give an execution back over its owner's head, as if the owner were dead: the owner must find out by itself."""
        if self.audit.take_away(execution_id):
            self.counts["taken_away"] += 1

    def heal(self) -> None:
        """No more faults, from now on: nodes that are paused go on, clocks are right."""
        self.is_healed = True
        for faults in self._faults:
            faults.stop()
        for node in self.nodes:
            if node.domain.is_paused:
                node.domain.resume()
            node.environment.skew_ms = 0

    def called(self, node: SimNode, execution_id: str, *, task: int, attempt: int) -> None:
        """A function of a scenario begins on a node; the scenario counts ``node.running`` down when it ends."""
        node.running += 1
        slots = node.engine.node.settings.concurrency + 1  # and the one for suspects
        if node.running > slots:
            self.loop.fail(SimulationError("too_many_running", f"{node.running} on {node.name}, which has {slots} slots"))
        self.audit.called(execution_id, task, attempt=attempt, node=node.name, node_id=node.node_id)

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def call(self, node: SimNode, work: Callable[[Engine], Awaitable[T]], *, timeout_s: float | None) -> T:
        """Have a node do something, over a network.

        Raises ``NodeGone`` and ``TimeoutError`` (it may have done it, or do it later), and the node's own errors.
        """
        await asyncio.sleep(self._latency())
        if node.is_dead:
            raise NodeGone(node.name)
        answer = self._expect(node)
        task = node.domain.spawn(_perform(work, node.engine))
        task.add_done_callback(lambda done: self._pass_on(done, answer))
        try:
            async with asyncio.timeout(timeout_s):
                result: T = await answer
        except TimeoutError:
            if answer.done() and not answer.cancelled():
                raise
            self.counts["call_timed_out"] += 1
            if self.chance.happens(0.5):
                self.counts["call_cancelled"] += 1
                task.cancel()
            raise
        await asyncio.sleep(self._latency())
        return result

    def _expect(self, node: SimNode) -> asyncio.Future[Any]:
        self._calls += 1
        number = self._calls
        answer: asyncio.Future[Any] = self.loop.create_future()
        node.calls[number] = answer
        answer.add_done_callback(lambda _: node.calls.pop(number, None))
        return answer

    def _pass_on(self, task: asyncio.Task[Any], answer: asyncio.Future[Any]) -> None:
        error = NodeGone("cancelled") if task.cancelled() else task.exception()
        if error is not None and (isinstance(error, InternalError) or not isinstance(error, TaskEngineError | NodeGone)):
            unexpected = SimulationError("unhandled", f"at {self.loop.time():.3f} s: a client was told {error!r}")
            unexpected.__cause__ = error
            self.loop.fail(unexpected)
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(task.result())


async def _perform(work: Callable[[Engine], Awaitable[T]], engine: Engine) -> T:
    return await work(engine)
