"""The synchronous form of the engine: one background loop, and every coroutine method called through it. A bridge, not a twin."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from taskengine.app.engine import Engine, Execution

__all__ = ["SyncEngine", "SyncExecution"]

_START_TIMEOUT_S: Final = 60.0


class SyncExecution:
    """A started execution, seen from outside of the loop."""

    def __init__(self, engine: SyncEngine, execution: Execution) -> None:
        self._engine = engine
        self._execution = execution
        self.id = execution.id

    def result(self, *, timeout: float | None = None) -> Any:
        """Wait for its end."""
        return self._engine.call(partial(self._execution.result, timeout=timeout))

    def __repr__(self) -> str:
        return f"SyncExecution({self.id!r})"


class SyncEngine:
    """Every method of ``Engine``, without ``await``. Safe to call from any thread but the loop's own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._serve, name="taskengine-loop", daemon=True)
        self._thread.start()
        try:
            self.call(engine.start)
        except BaseException:
            self._end_loop()
            raise

    def call(self, function: Callable[[], Any]) -> Any:
        """Run a coroutine function in the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(function(), self._loop).result()

    def close(self) -> None:
        """Stop the engine gracefully, then the loop. Idempotent."""
        if self._loop.is_closed():
            return
        try:
            self.call(self._engine.stop)
        finally:
            self._end_loop()

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._engine, name)
        if not inspect.iscoroutinefunction(target):
            return target

        @wraps(target)
        def through_the_loop(*args: object, **kwargs: object) -> object:
            from taskengine.app.engine import Execution

            found = self.call(partial(target, *args, **kwargs))
            return SyncExecution(self, found) if isinstance(found, Execution) else found

        return through_the_loop

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_TIMEOUT_S)
        self._loop.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    """The quicker loop where there is one: it is ours, nobody else runs on it."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        return asyncio.new_event_loop()
    return new_event_loop()
