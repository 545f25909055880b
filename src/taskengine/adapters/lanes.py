"""Lanes: one worker thread each, or none at all.

Owns the hop between the event loop and a thread: one queue there, one ``call_soon_threadsafe`` back. It is on the way of every
commit, so it does nothing else: no pool, no futures of threads, no time limit. Adapters take a lane by name from a factory.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from taskengine.errors import InternalError

__all__ = ["InlineLane", "ThreadLane"]

P = ParamSpec("P")
T = TypeVar("T")

# What the worker gets: one call, already bound to the one who waits for it; None ends the worker.
Call = Callable[[], None]


class ThreadLane:
    """One daemon thread, started by the first call. Calls may come from several event loops; each is answered in its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._lock = threading.Lock()  # nothing may be queued behind the end, where nobody would run it

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in the thread and return what it returns or raise what it raises.

        Cancelling the caller lets the call go on and drops its answer. ``InternalError`` once the lane is closed.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def perform() -> None:
            try:
                value = function(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 -- whatever it raises belongs to the caller, who is in another thread
                _tell(loop, _fail, answer, error)
            else:
                _tell(loop, _succeed, answer, value)

        with self._lock:
            if self._is_closed:
                raise _closed(self._name)
            if self._thread is None:
                self._thread = threading.Thread(target=_work, args=(self._calls,), name=self._name, daemon=True)
                self._thread.start()
            self._calls.put(perform)
        return await answer

    def close(self) -> None:
        """Run what was queued, end the thread and wait for it. Idempotent."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._calls.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()


class InlineLane:
    """No thread: the call runs at once, in the loop. For simulations and tests, where nothing may depend on the scheduler."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_closed = False

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it now. ``InternalError`` once the lane is closed."""
        if self._is_closed:
            raise _closed(self._name)
        return function(*args, **kwargs)

    def close(self) -> None:
        """Take no more calls. Idempotent."""
        self._is_closed = True


def _work(calls: SimpleQueue[Call | None]) -> None:
    while (perform := calls.get()) is not None:
        perform()
        del perform  # or the last call's arguments and answer would live until the next one


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *args: object) -> None:
    try:
        loop.call_soon_threadsafe(callback, *args)
    except RuntimeError:
        # The loop was closed meanwhile, and nobody waits any more.
        if not loop.is_closed():
            raise


def _succeed(answer: asyncio.Future[T], value: T) -> None:
    if not answer.done():
        answer.set_result(value)


def _fail(answer: asyncio.Future[T], error: BaseException) -> None:
    if isinstance(error, StopIteration):
        # A future cannot hold it; a coroutine that raises it ends the same way.
        error = RuntimeError(f"call raised StopIteration: {error}")
    if not answer.done():
        answer.set_exception(error)


def _closed(name: str) -> InternalError:
    return InternalError("lane_closed", f"lane {name!r} is closed and takes no more calls")
