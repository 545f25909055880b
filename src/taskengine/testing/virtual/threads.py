"""The way into a virtual engine: its loop runs in a thread of its own, so that any test can hold it, async or not.

A bridge and no twin: every coroutine method of ``VirtualEngine`` is called through here, awaited in the test's loop or waited for.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial, wraps
from pathlib import Path
from typing import Any, Final, Protocol, cast

from taskengine.ports.secrets import Secrets
from taskengine.ports.store import Store
from taskengine.runtime.settings import NodeSettings
from taskengine.testing.virtual.clock import STARTS_AT, Clock
from taskengine.testing.virtual.engine import SETTINGS, TestedEngine, VirtualEngine, VirtualExecution
from taskengine.testing.virtual.loop import VirtualLoop

__all__ = ["BlockingEngine", "virtual_engine"]

_PATIENCE_S: Final = 2.0  # of the real world, in which another task of the test may still act


class BlockingEngine(Protocol):
    """``VirtualEngine`` without ``await``: the same methods, which return what they would give."""

    def __getattr__(self, name: str) -> Any: ...


class virtual_engine:  # noqa: N801 -- read as the function that it is for whoever calls it
    """A whole engine in virtual time: ``async with virtual_engine(functions={…}) as engine``, or ``with`` in a plain test.

    ``store``: ``":memory:"``, a path (SQLite), or a store. ``starts_at``: what the clock shows first. ``seed``: ids and jitter.
    ``services``, ``secrets`` and ``builtins`` are an engine's own.
    ``patience_s``: how many real seconds an async test may take to act while nothing else can happen.

    >>> from taskengine import Step, Workflow
    >>> pause = Step(id="pause", type="wait", config={"duration": "30d"})
    >>> with virtual_engine() as engine:
    ...     ended = engine.run(Workflow(name="patient", steps=(pause,)))
    ...     print(ended.status, engine.clock.now.date())
    completed 2026-01-31
    """

    def __init__(
        self,
        store: str | Path | Store = ":memory:",
        *,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        settings: NodeSettings = SETTINGS,
        starts_at: datetime = STARTS_AT,
        seed: int = 0,
        services: Mapping[str, Any] | None = None,
        secrets: Secrets | None = None,
        builtins: Sequence[str] = (),
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._make = partial(
            VirtualEngine,
            store=store,
            functions=functions or {},
            settings=settings,
            starts_at=starts_at,
            seed=seed,
            services=services,
            secrets=secrets,
            builtins=builtins,
        )
        self._patience_s = patience_s
        self._thread: _LoopThread | None = None

    async def __aenter__(self) -> VirtualEngine:
        thread = self._begin(self._patience_s)
        try:
            await thread.awaited(thread.inner.start)
        except BaseException:
            thread.end()
            raise
        return cast("VirtualEngine", _Far(thread.inner, thread.awaited))

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        thread = self._begun
        try:
            await thread.awaited(partial(thread.inner.stop, is_checked=kind is None))
        finally:
            thread.end()

    def __enter__(self) -> BlockingEngine:
        thread = self._begin(0.0)  # whoever waits here does nothing else meanwhile
        try:
            thread.waited(thread.inner.start)
        except BaseException:
            thread.end()
            raise
        return cast("BlockingEngine", _Far(thread.inner, thread.waited))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        thread = self._begun
        try:
            thread.waited(partial(thread.inner.stop, is_checked=kind is None))
        finally:
            thread.end()

    def _begin(self, patience_s: float) -> _LoopThread:
        self._thread = _LoopThread(self._make, patience_s=patience_s)
        return self._thread

    @property
    def _begun(self) -> _LoopThread:
        assert self._thread is not None
        return self._thread


class _LoopThread:
    def __init__(self, make: Callable[[VirtualLoop], VirtualEngine], *, patience_s: float) -> None:
        self._loop = VirtualLoop()
        self._loop.patience_s = patience_s
        self.inner = make(self._loop)
        self._thread = threading.Thread(target=self._serve, name="taskengine-virtual", daemon=True)
        self._thread.start()

    async def awaited(self, function: Callable[[], Any]) -> Any:
        """Call a coroutine function in the loop, and await it in the caller's."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.inner.perform(function), self._loop))

    def waited(self, function: Callable[[], Any]) -> Any:
        """Call a coroutine function in the loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(self.inner.perform(function), self._loop).result()

    def end(self) -> None:
        """End the loop; nothing in it is waited for any more."""
        asyncio.run_coroutine_threadsafe(_let_go(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


async def _let_go() -> None:
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class _Far:
    """What lives in another loop, as it is seen from here."""

    def __init__(self, inner: Any, call: Callable[[Callable[[], Any]], Any]) -> None:
        self._inner = inner
        self._call = call

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.iscoroutinefunction(found):
            return self._shown(found)

        @wraps(found)
        def call(*args: Any, **kwargs: Any) -> Any:
            answer = self._call(partial(found, *args, **kwargs))
            return self._awaited(answer) if inspect.iscoroutine(answer) else self._shown(answer)

        return call

    async def _awaited(self, answer: Any) -> Any:
        return self._shown(await answer)

    def _shown(self, found: Any) -> Any:
        return _Far(found, self._call) if isinstance(found, VirtualExecution | Clock | TestedEngine) else found

    def __repr__(self) -> str:
        return repr(self._inner)
