"""An event loop whose time is not the world's: it jumps to the next timer when nothing else can happen.

It owns time and nothing else: callbacks run in asyncio's own order, sockets and threads work. Before it lets time pass it asks its
owner how (``Pace``); the real clock is read only where real work outside of the loop must be waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

__all__ = ["Pace", "VirtualLoop"]

_QUIET_CONNECTION_S: Final = 10.0  # a connection that says nothing for so long is idle, and time goes on


class Pace(Enum):
    """How time passes while no callback is ready."""

    STAND = "stand"  # not at all: whoever must go on first is outside of the loop
    REAL = "real"  # as in the world: a child process or a connection is at work
    JUMP = "jump"  # to the next timer
    STUCK = "stuck"  # nothing will ever happen, unless somebody outside acts


class VirtualLoop(asyncio.SelectorEventLoop):
    """``ask`` gives the pace; ``give_up`` is called when the loop is stuck and nobody acts within ``patience_s`` real seconds."""

    def __init__(self, *, starts_at_s: float = 0.0) -> None:
        self._virtual_s = starts_at_s  # first: the constructor may ask for the time
        super().__init__(_Selector(self))
        self.ask: Callable[[], Pace] = lambda: Pace.JUMP
        self.give_up: Callable[[], None] = lambda: None
        self.patience_s = 0.0
        self.in_threads = 0  # calls of ``run_in_executor`` that have not ended
        self._quiet: list[asyncio.Future[None]] = []

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual_s

    def real_time(self) -> float:
        """Seconds of the world's own clock, which runs evenly."""
        return super().time()

    async def quiet(self) -> None:
        """Return as soon as no callback is ready: what could happen at this instant has happened."""
        future = self.create_future()
        self._quiet.append(future)
        await future

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """As asyncio's; time stands still until the call has ended."""
        future = super().run_in_executor(executor, func, *args)
        self.in_threads += 1
        future.add_done_callback(self._left_thread)
        return future

    def _left_thread(self, _: object) -> None:
        self.in_threads -= 1

    def rouse(self) -> bool:
        """Let those go on who waited for quiet; whether there were any."""
        waiting, self._quiet = self._quiet, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        return bool(waiting)

    def leap(self, seconds: float) -> None:
        """Time has passed."""
        self._virtual_s += seconds


class _Selector(selectors.BaseSelector):
    """The system's own selector, and the place where the loop would wait."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._inner = selectors.DefaultSelector()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready. Time passes here, and only when nothing is."""
        ready = self._inner.select(0)
        if ready or (timeout is not None and timeout <= 0) or self._loop.rouse():
            return ready
        pace = Pace.STAND if self._loop.in_threads else self._loop.ask()
        if pace is Pace.STUCK:
            ready = self._inner.select(self._loop.patience_s)
            if not ready:
                self._loop.give_up()
            return ready
        if pace is Pace.STAND or timeout is None:
            return self._inner.select(None)
        if pace is Pace.REAL:
            return self._wait(timeout, jumps_after_s=timeout)
        if len(self._inner.get_map()) > 1:  # besides the loop's own alarm: connections of async functions
            return self._wait(timeout, jumps_after_s=_QUIET_CONNECTION_S)
        self._loop.leap(timeout)
        return []

    def _wait(self, timeout: float, *, jumps_after_s: float) -> list[tuple[selectors.SelectorKey, int]]:
        began_at = self._loop.real_time()
        patience_s = min(timeout, jumps_after_s)
        ready = self._inner.select(patience_s)
        waited_s = min(timeout, self._loop.real_time() - began_at)
        self._loop.leap(waited_s if ready or waited_s < patience_s else timeout)
        return ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:  # noqa: PLR0917 -- its signature
        """The system's own."""
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """The system's own."""
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:  # noqa: PLR0917 -- likewise
        """The system's own."""
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """The system's own."""
        return self._inner.get_map()

    def close(self) -> None:
        """The system's own."""
        self._inner.close()
