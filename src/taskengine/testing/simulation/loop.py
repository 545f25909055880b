"""An event loop in virtual time: what runs next is drawn from a seed, and time moves only when nothing is ready.

It owns order and time and nothing else: no selector, no thread, no real clock. Every callback belongs to a ``Domain`` (a simulated
process) or to none (the world outside); a domain can be paused like a process that was stopped, or killed like one that was not
even told. The order in which ready callbacks run is drawn on purpose, also where asyncio promises first come, first served: code
that is right only in one order is not right.
"""

from __future__ import annotations

import asyncio
import heapq
import inspect
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, ContextVar, copy_context
from itertools import count
from typing import Any, Final, NoReturn, TypeVar

from taskengine.testing.simulation.failures import SimulationError
from taskengine.testing.simulation.picking import Picker

__all__ = ["Domain", "SimLoop"]

T = TypeVar("T")

MAX_STEPS: Final = 3_000_000
MAX_STEPS_IN_AN_INSTANT: Final = 100_000
_BURIALS: Final = 3  # a task may wait for something else when it is cancelled
_KEPT_TASKS: Final = 256  # looked through for those that are done whenever so many more were made
_domain: ContextVar[Domain | None] = ContextVar("taskengine_simulation_domain", default=None)


class _Task(asyncio.Task[Any]):
    """A task that knows its number in this loop, the same in every process."""

    def __init__(self, work: Any, *, number: int, **more: Any) -> None:
        self.number = number  # first: its first step is scheduled by the constructor
        super().__init__(work, **more)


class _Callback(asyncio.Handle):
    """A callback that is ready, whose it is, and the number of its task (0: it is no step of a task)."""

    def __init__(self, callback: Callable[..., object], args: Sequence[Any], *, loop: SimLoop, context: Context) -> None:
        super().__init__(callback, args, loop, context)
        self.domain = context.get(_domain)
        self.number = _number_of(callback)

    def perform(self) -> None:
        self._run()


class _Timer(asyncio.TimerHandle):
    """The same, at an instant."""

    def __init__(
        self, when: float, callback: Callable[..., object], *, args: Sequence[Any], loop: SimLoop, context: Context
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self.domain = context.get(_domain)
        self.number = _number_of(callback)

    def perform(self) -> None:
        self._run()


def _number_of(callback: Callable[..., object]) -> int:
    task = getattr(callback, "__self__", None)
    return task.number if isinstance(task, _Task) else 0


class Domain:
    """Everything that belongs to one simulated process. Made by ``SimLoop.domain``."""

    def __init__(self, loop: SimLoop, name: str) -> None:
        self.name = name
        self.is_dead = False
        self.is_paused = False
        self.held: list[_Callback | _Timer] = []
        self.tasks: list[_Task] = []  # kept alive: a coroutine that is forgotten would run its cleanup
        self._loop = loop

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine inside; whatever it starts belongs to the domain too."""
        context = copy_context()
        context.run(_domain.set, self)
        return self._loop.create_task(work, context=context)

    def pause(self) -> None:
        """Nothing inside runs any more, until ``resume``. Its timers run out meanwhile."""
        self.is_paused = True

    def resume(self) -> None:
        """Go on; whatever became due meanwhile is ready at once."""
        self.is_paused = False
        held, self.held = self.held, []
        self._loop.ready.extend(held)

    def kill(self) -> None:
        """Nothing inside ever runs again, no ``finally`` and no ``except`` included."""
        self.is_dead = True
        self.held.clear()


class SimLoop(asyncio.BaseEventLoop):
    """The loop. ``failure`` is the first thing that went wrong; it ends the run."""

    def __init__(self, picker: Picker, *, max_steps: int = MAX_STEPS) -> None:
        super().__init__()
        self.steps = 0
        self.failure: SimulationError | None = None
        self.ready: list[_Callback | _Timer] = []
        self._timers: list[tuple[float, int, _Timer]] = []
        self._order = count()
        self._pick = picker
        self._max_steps = max_steps
        self._now = 0.0
        self._thread = threading.get_ident()
        self._in_this_instant = 0
        self._is_burying = False
        self._task_numbers = count(1)
        self._outside: list[_Task] = []  # of no domain
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._note_unhandled)

    # ── for the world ────────────────────────────────────────────────────────────────────────────────────────────────

    def domain(self, name: str) -> Domain:
        """A new simulated process."""
        return Domain(self, name)

    def current_domain(self) -> Domain | None:
        """Whose code is running; ``None`` outside of all of them."""
        return _domain.get()

    def fail(self, error: SimulationError) -> None:
        """End the run with this error, unless another one did so before, or it has ended."""
        if self.failure is None and not self._is_burying:
            self.failure = error

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run to the end of ``main`` and bury whatever is left. Raises the run's failure, or what ``main`` raises."""
        task = self.create_task(main)
        try:
            result = self.run_until_complete(task)
        except BaseExceptionGroup as group:
            raise _only_one(group) from None
        finally:
            self._bury()
            self.close()
        if self.failure is not None:
            raise self.failure
        return result

    # ── asyncio's own interface ──────────────────────────────────────────────────────────────────────────────────────

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """Make it ready."""
        handle = _Callback(callback, args, loop=self, context=copy_context() if context is None else context)
        self.ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Make it ready at an instant of virtual time."""
        timer = _Timer(when, callback, args=args, loop=self, context=copy_context() if context is None else context)
        heapq.heappush(self._timers, (when, next(self._order), timer))
        return timer

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """Only from the loop's own thread: there is no other."""
        if threading.get_ident() != self._thread:
            _refuse("call from another thread")
        return self.call_soon(callback, *args, context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> NoReturn:
        """Refused: a thread is no part of the simulation."""
        _refuse("thread")

    def _run_once(self) -> None:
        if self._is_burying:
            self._bury_once()
            return
        if self.failure is not None:
            raise self.failure
        handle = self._next()
        self.steps += 1
        self._in_this_instant += 1
        if self.steps > self._max_steps or self._in_this_instant > MAX_STEPS_IN_AN_INSTANT:
            raise SimulationError("livelock", f"{self._in_this_instant} steps at {self._now:.3f} s, {self.steps} in all")
        handle.perform()

    def _next(self) -> _Callback | _Timer:
        """Draw the next callback of somebody who lives and is not paused; let time pass when there is none."""
        ready = self.ready
        while True:
            if not ready:
                self._let_time_pass()
                continue
            index = self._pick([handle.number for handle in ready]) if len(ready) > 1 else 0
            handle = ready[index]
            ready[index] = ready[-1]
            ready.pop()
            domain = handle.domain
            if handle.cancelled() or (domain is not None and domain.is_dead):
                continue
            if domain is None or not domain.is_paused:
                return handle
            domain.held.append(handle)

    def _let_time_pass(self) -> None:
        timers = self._timers
        while timers and self._is_void(timers[0][2]):
            heapq.heappop(timers)
        if not timers:
            raise SimulationError("deadlock", f"at {self._now:.3f} s nothing is ready and nothing is scheduled")
        self._now = max(self._now, timers[0][0])
        self._in_this_instant = 0
        while timers and timers[0][0] <= self._now:
            self.ready.append(heapq.heappop(timers)[2])

    @staticmethod
    def _is_void(timer: _Timer) -> bool:
        return timer.cancelled() or (timer.domain is not None and timer.domain.is_dead)

    def _make_task(self, loop: asyncio.AbstractEventLoop, work: Any, *, context: Context | None = None, **more: Any) -> Any:
        task = _Task(work, number=next(self._task_numbers), loop=loop, context=context, **more)
        domain = context.get(_domain) if context is not None else _domain.get()
        keeper = self._outside if domain is None else domain.tasks
        keeper.append(task)
        if len(keeper) % _KEPT_TASKS == 0:
            keeper[:] = [one for one in keeper if not one.done()]
        return task

    def _note_unhandled(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = SimulationError("unhandled", f"at {self._now:.3f} s: {context.get('message')}: {context.get('exception')!r}")
        error.__cause__ = context.get("exception")
        self.fail(error)

    def _bury(self) -> None:
        """Let go of what never ended, quietly: its world is gone, and what it does now reaches nobody."""
        self._is_burying = True
        self.set_exception_handler(_ignore)
        for _ in range(_BURIALS):
            self._in_this_instant = 0
            self._timers.clear()
            left = sorted((one for one in asyncio.all_tasks(self) if isinstance(one, _Task)), key=lambda one: one.number)
            for task in left:
                task.cancel()
            if left:
                self.run_forever()
        for other in asyncio.all_tasks(self):
            coroutine = other.get_coro()
            if isinstance(coroutine, Coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()  # its node died before it began

    def _bury_once(self) -> None:
        self._in_this_instant += 1
        if self.ready and self._in_this_instant < MAX_STEPS_IN_AN_INSTANT:
            self.ready.pop().perform()
        else:
            self.stop()


def _ignore(_: asyncio.AbstractEventLoop, __: dict[str, Any]) -> None:
    pass


def _only_one(error: BaseException) -> BaseException:
    """What went wrong, where a group of tasks holds just one thing that did."""
    inside: tuple[BaseException, ...] = getattr(error, "exceptions", ())
    return _only_one(inside[0]) if len(inside) == 1 else error


def _refuse(what: str) -> NoReturn:
    raise SimulationError("real_world", f"a simulation has no {what}")
