"""The world as a simulated node sees it: its clock (which may be wrong), its own randomness, and lanes that take virtual time.

A lane runs its calls in the loop, one after the other, each at a random moment after it was asked for and with its answer at a
random moment after that: turns of everybody else happen in between, as they do beside a thread.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, ParamSpec, TypeVar

from taskengine.errors import InternalError
from taskengine.model.value import Instant
from taskengine.runtime.environment import Environment
from taskengine.testing.simulation.chance import Chance
from taskengine.testing.simulation.loop import SimLoop

__all__ = ["Latency", "NodeDied", "SimEnvironment", "SimLane"]

P = ParamSpec("P")
T = TypeVar("T")

EPOCH_AT: Final = 1_790_000_000_000  # a day in autumn 2026


class NodeDied(BaseException):
    """Raised inside a lane's call by whoever kills the node there; nobody in the node may see it."""


class Latency:
    """How long things take: mostly next to nothing, sometimes long enough for much else to happen. Seconds."""

    def __init__(self, chance: Chance, *, longest_s: float = 0.25) -> None:
        self._chance = chance
        self._longest_s = longest_s

    def __call__(self) -> float:
        """Draw."""
        kind = self._chance.random()
        if kind < 0.3:  # noqa: PLR2004 -- shares of the three kinds
            return 0.0
        if kind < 0.95:  # noqa: PLR2004
            return self._chance.random() * 0.002
        return self._chance.random() * self._longest_s


class SimLane:
    """A lane without a thread. ``ran`` is told after every call, before anything else happens."""

    def __init__(self, name: str, loop: SimLoop, *, latency: Latency, ran: Callable[[], None]) -> None:
        self._name = name
        self._loop = loop
        self._latency = latency
        self._ran = ran
        self._calls: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._answers_until = 0.0
        self._is_closed = False
        self._is_dead = False

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it after those asked for before. ``InternalError`` once the lane is closed."""
        if self._is_closed:
            raise InternalError("lane_closed", f"lane {self._name!r} is closed and takes no more calls")
        if self._is_dead:
            return function(*args, **kwargs)
        answer: asyncio.Future[T] = self._loop.create_future()
        self._calls.append((partial(function, *args, **kwargs), answer))
        if len(self._calls) == 1:
            self._loop.call_later(self._latency(), self._begin)
        return await answer

    def close(self) -> None:
        """Take no more calls; what was asked for is still done. Idempotent."""
        self._is_closed = True

    def die(self) -> None:
        """The node is dead: what was asked for never happens. What the undertaker asks for happens at once."""
        self._is_dead = True
        self._calls.clear()

    def _begin(self) -> None:
        if self._calls:
            call, answer = self._calls[0]
            self._loop.create_task(self._perform(call)).add_done_callback(partial(self._end, answer=answer))

    async def _perform(self, call: Callable[[], T]) -> T:
        try:
            return call()
        finally:
            self._ran()

    def _end(self, performed: asyncio.Task[Any], *, answer: asyncio.Future[Any]) -> None:
        self._calls.popleft()
        # Answers come in the order of the calls, as from one thread.
        self._answers_until = max(self._answers_until, self._loop.time() + self._latency())
        self._loop.call_at(self._answers_until, _pass_on, performed, answer)
        if self._calls:
            self._loop.call_later(self._latency(), self._begin)


def _pass_on(performed: asyncio.Task[Any], answer: asyncio.Future[Any]) -> None:
    error = performed.exception()
    if answer.done():
        return  # whoever asked was cancelled
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(performed.result())


class SimEnvironment(Environment):
    """One node's environment. ``skew_ms`` is how wrong its clock is now; a fault may change it at any time."""

    def __init__(
        self, loop: SimLoop, chance: Chance, *, latency: Latency, ran: Callable[[], None] = lambda: None, skew_ms: int = 0
    ) -> None:
        super().__init__(self._lane, rng=chance)
        self.skew_ms = skew_ms
        self._loop = loop
        self._latency = latency
        self._ran = ran
        self._lanes: list[SimLane] = []

    def now(self) -> Instant:
        """The node's clock."""
        return EPOCH_AT + round(self._loop.time() * 1_000) + self.skew_ms

    def die(self) -> None:
        """The node is dead: its lanes do nothing any more."""
        for lane in self._lanes:
            lane.die()

    def _lane(self, name: str) -> SimLane:
        lane = SimLane(name, self._loop, latency=self._latency, ran=self._ran)
        self._lanes.append(lane)
        return lane
