"""Clients of a simulated world: they start, steer and wait, on any node, and try again when they were not answered.

Every deed has a tag of its own that ends up in the history as ``by``. What a client was told is kept, and must be true: told done,
the deed is there once; told refused, never; not told, once or never.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from taskengine.app.engine import Engine
from taskengine.errors import (
    CommandRefusedError,
    ConflictError,
    LimitError,
    NotFoundError,
    StorageError,
    ValidationError,
)
from taskengine.model.workflow import Workflow
from taskengine.runtime.resident import Result
from taskengine.testing.simulation import Chance, NodeGone, SimNode, SimulationError, World
from tests.simulation.workloads import SIGNALS

TRIES: Final = 12
NOT_TOLD: Final = (StorageError, NodeGone, TimeoutError)
REFUSED: Final = (CommandRefusedError, LimitError, NotFoundError, ValidationError)


@dataclass
class Deed:
    """What a client wanted, and what it was told."""

    kind: str
    tag: str
    outcome: str = "not told"  # or done, or refused


class Ledger:
    """All deeds of all clients."""

    def __init__(self) -> None:
        self.deeds: list[Deed] = []

    def enter(self, kind: str, tag: str) -> Deed:
        deed = Deed(kind, tag)
        self.deeds.append(deed)
        return deed

    @staticmethod
    def draft() -> Deed:
        """A deed that no history tells of."""
        return Deed("", "")

    def settle(self, world: World) -> None:
        """Compare what clients were told with the histories. Raises ``SimulationError``."""
        allowed = {"done": {1}, "refused": {0}, "not told": {0, 1}}
        for deed in self.deeds:
            times = world.audit.times(deed.kind, deed.tag)
            world.counts[f"{deed.kind} {deed.outcome}"] += 1
            if times not in allowed[deed.outcome]:
                raise SimulationError("deed_differs", f"{deed.kind} {deed.tag} was {deed.outcome} and is there {times} times")


class Client:
    """One client. ``known`` are the executions that clients know of; all share the list."""

    def __init__(
        self, name: str, world: World, *, chance: Chance, ledger: Ledger, workflows: list[Workflow], known: list[str]
    ) -> None:
        self._name = name
        self._world = world
        self._chance = chance
        self._ledger = ledger
        self._workflows = workflows
        self._known = known
        self._deeds = 0

    async def live(self, *, until: float) -> None:
        """Do things, at random, until an instant of virtual time."""
        chance, loop = self._chance, self._world.loop
        while loop.time() < until:
            await asyncio.sleep(chance.random() * chance.choice((0.01, 0.3, 1.5)))
            match chance.weighed({"start": 4, "signal": 4, "control": 4, "task": 2, "wait": 3, "storm": 0.4}):
                case "start":
                    await self.start()
                case "storm":
                    await asyncio.gather(*(self.start() for _ in range(chance.randint(2, 8))))
                case _ if not self._known:
                    continue
                case "signal":
                    await self.signal(chance.choice(self._known), chance.choice(SIGNALS))
                case "control":
                    kind = chance.weighed({"pause": 4, "resume": 5, "cancel": 1, "terminate": 0.7, "retry": 3})
                    await self.control(kind, chance.choice(self._known), "/")
                case "task":
                    kind = chance.weighed({"pause": 4, "resume": 4, "cancel": 2, "terminate": 1, "retry": 3})
                    await self.control(kind, *self._some_task())
                case _:
                    await self.wait(chance.choice(self._known), timeout_s=chance.random() * 5)

    async def start(self) -> None:
        chance = self._chance
        workflow = chance.choice(self._workflows)
        tag = self._tag()
        deed = self._ledger.enter("start", tag)
        key = tag if chance.happens(0.75) else ""
        params = self._params()
        priority = chance.randint(0, 9) if chance.happens(0.2) else None

        async def begin(engine: Engine) -> str:
            return (
                await engine.execute_workflow(
                    workflow, params=params, priority=priority, business_key=tag, by=tag, idempotency_key=key
                )
            ).id

        # An impatient client asks twice at the same time; both answers must name the same execution.
        times = 2 if key and chance.happens(0.3) else 1
        answers = await asyncio.gather(*(self._insist(deed, begin, is_repeatable=bool(key)) for _ in range(times)))
        for execution_id in dict.fromkeys(answer for answer in answers if answer is not None):
            self._world.audit.acknowledged("start", tag, execution_id=execution_id)
            self._known.append(execution_id)

    def _params(self) -> dict[str, Any]:
        return {"number": self._chance.randint(0, 6)}

    async def signal(self, execution_id: str, name: str) -> None:
        tag = self._tag()
        deed = self._ledger.enter("signal", tag)
        signal_id = tag if self._chance.happens(0.75) else ""
        if signal_id and self._chance.happens(0.2):  # an impatient client: twice at the same time
            await asyncio.gather(
                self._signal(deed, execution_id, name=name, signal_id=signal_id),
                self._signal(deed, execution_id, name=name, signal_id=signal_id),
            )
            if deed.outcome == "refused":  # the other one may have worked
                deed.outcome = "not told"
        else:
            await self._signal(deed, execution_id, name=name, signal_id=signal_id)

    async def _signal(self, deed: Deed, execution_id: str, *, name: str, signal_id: str) -> None:
        async def send(engine: Engine) -> bool:
            await engine.signal(execution_id, name, data={"value": 5}, by=deed.tag, signal_id=signal_id)
            return True

        if await self._insist(deed, send, is_repeatable=bool(signal_id)):
            self._world.audit.acknowledged("signal", deed.tag, execution_id=execution_id)

    async def control(self, kind: str, execution_id: str, path: str) -> None:
        """Ask for a control, once."""
        methods: dict[str, Callable[[Engine], Callable[..., Awaitable[None]]]] = {
            "pause": lambda engine: engine.pause_instance,
            "resume": lambda engine: engine.resume_instance,
            "cancel": lambda engine: engine.cancel_instance,
            "terminate": lambda engine: engine.terminate_instance,
            "retry": lambda engine: engine.retry_instance,
        }
        await self._once(kind, execution_id, lambda engine, tag: methods[kind](engine)(execution_id, path=path, by=tag), path=path)

    async def _once(self, kind: str, execution_id: str, work: Callable[[Engine, str], Awaitable[None]], *, path: str = "/") -> None:
        """A deed that cannot be repeated; ``work`` gets its tag."""
        tag = self._tag()
        deed = self._ledger.enter(kind, tag)

        async def command(engine: Engine) -> bool:
            await work(engine, tag)
            return True

        if await self._insist(deed, command, is_repeatable=False):
            self._told(kind, tag, execution_id=execution_id, path=path)

    def _told(self, kind: str, tag: str, *, execution_id: str, path: str) -> None:
        """A control is true."""
        self._world.audit.acknowledged(kind, tag, execution_id=execution_id, path=path)

    async def wait(self, execution_id: str, *, timeout_s: float | None) -> None:
        """Wait for a result; not getting one in time is fine, a wrong one is not."""

        async def result(engine: Engine) -> Result:
            return await engine.wait_for_instance(execution_id)

        node = await self._some_node()
        try:
            self._world.audit.told_result(await self._world.call(node, result, timeout_s=timeout_s))
        except (*NOT_TOLD, ConflictError):  # the node stops
            return

    async def _insist(self, deed: Deed, work: Callable[[Engine], Awaitable[Any]], *, is_repeatable: bool) -> Any:
        """Ask nodes until one answers; a deed that may not be repeated is asked for once."""
        for attempt in range(TRIES if is_repeatable else 1):
            node = await self._some_node()
            try:
                answer = await self._world.call(node, work, timeout_s=self._chance.choice((0.5, 5.0, 40.0)))
            except REFUSED as refusal:
                self._world.counts[f"refused {refusal.name}"] += 1
                # After a try that may have worked, a refusal says nothing about that one.
                if attempt == 0 and deed.outcome == "not told":
                    deed.outcome = "refused"
                return None
            except (*NOT_TOLD, ConflictError):
                await asyncio.sleep(self._chance.random())
            else:
                deed.outcome = "done"
                return answer
        return None

    async def _some_node(self) -> SimNode:
        while not (serving := self._world.serving()):
            await asyncio.sleep(0.1)
        return self._chance.choice(serving)

    def _some_task(self) -> tuple[str, str]:
        execution_id = self._chance.choice(self._known)
        record = self._world.audit.records[execution_id]
        return execution_id, record.state.path_of(self._chance.choice(range(1, len(record.state.phase))))

    def _tag(self) -> str:
        self._deeds += 1
        return f"{self._name}.{self._deeds}"
