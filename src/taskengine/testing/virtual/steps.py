"""Steps that a test plays itself, and what every step was called with. A real executor that stands in front of the others.

It decides who performs an attempt: a mock, through a function executor of its own (so that binding, limits and errors are the real
ones), or whoever would have. Nothing of the engine is patched; a mocked step need not exist outside of the workflow.
"""

from __future__ import annotations

import asyncio
import difflib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Self, cast

import msgspec

from taskengine.adapters.function import FunctionExecutor, FunctionRegistry
from taskengine.define.phrase import numbered
from taskengine.errors import ConflictError, NotFoundError
from taskengine.kernel.scope import UNDO
from taskengine.model.command import Abandoned, AttemptEnd, Succeeded
from taskengine.model.value import decode
from taskengine.model.workflow import Step, Workflow, is_control
from taskengine.ports.executor import Attempt, Executor

__all__ = ["Call", "MockedStep", "Steps", "nearest"]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a step: the rendered parameters, which attempt it was, and when."""

    step: str
    path: str
    params: dict[str, Any]
    attempt: int
    at: datetime
    execution_id: str


class MockedStep:
    """What a test says about one step (or about every step of one function). Each method gives the object back: they chain.

    What is said first holds first: ``fails(2, error=OSError("no route")).returns(5)`` fails twice, then gives 5. Without
    ``returns``, ``raises`` or ``does`` the real function is called.

    >>> from taskengine import RetryPolicy, Step, Workflow
    >>> from taskengine.testing import virtual_engine
    >>> fetch = Step(id="fetch", type="function", config={"function": "fetch"}, retry=RetryPolicy(max_attempts=3))
    >>> with virtual_engine() as engine:
    ...     engine.step("fetch").fails(2, error=OSError("no route")).returns("a page")
    ...     history = engine.run(Workflow(name="reader", steps=(fetch,))).history
    fetch: called 0 times
    >>> history.output_of("fetch"), int(history.attempts("fetch"))
    ('a page', 3)
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[Call] = []
        self._failures: deque[BaseException | type[BaseException]] = deque()
        self._then: Callable[..., Any] | None = None
        self._takes = timedelta()

    def returns(self, value: Any) -> Self:
        """Every attempt gives this value, which JSON must be able to hold."""
        return self.does(_giving(value))

    def raises(self, error: BaseException | type[BaseException]) -> Self:
        """Every attempt fails with this exception; the step's retry policy decides what follows."""
        return self.does(_raising(error))

    def fails(self, times: int = 1, *, error: BaseException | type[BaseException] = RuntimeError("a mocked failure")) -> Self:  # noqa: B008 -- never changed
        """The next so many attempts fail."""
        self._failures.extend([error] * times)
        return self

    def takes(self, duration: timedelta | None = None, **parts: float) -> Self:
        """Every attempt takes so much virtual time before it ends (or before the real function is called)."""
        self._takes = (duration or timedelta()) + timedelta(**parts)
        return self

    def does(self, function: Callable[..., Any]) -> Self:
        """Every attempt calls this function, with the parameters by name as the real one would get them."""
        self._then = function
        return self

    @property
    def is_mocked(self) -> bool:
        """Whether the real function is never called, so that it need not be there."""
        return self._then is not None

    def next_call(self) -> tuple[timedelta, Callable[..., Any] | None]:
        """How long the next attempt takes, and what it calls; ``None``: the real one."""
        return self._takes, _raising(self._failures.popleft()) if self._failures else self._then

    def __repr__(self) -> str:
        return f"{self.name}: called {numbered(len(self.calls), 'time')}"


def _giving(value: Any) -> Callable[..., Any]:
    async def give(**_: Any) -> Any:
        return value

    return give


def _raising(error: BaseException | type[BaseException]) -> Callable[..., Any]:
    async def fail(**_: Any) -> Any:
        raise error

    return fail


def in_loop(call: Callable[..., Any]) -> Callable[..., Any]:
    """A plain function as an async one that never waits."""

    @wraps(call)
    async def work(*args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)

    return work


class Steps:
    """All that a test has said. ``now`` is the virtual clock, ``is_plain`` whether a step's function runs in a thread."""

    def __init__(self, *, now: Callable[[], datetime], is_plain: Callable[[Step, str], bool], has_threads: bool) -> None:
        self._now = now
        self._is_plain = is_plain
        self._has_threads = has_threads  # else all work is done in the loop, and no two tasks begin theirs at the same instant
        self._by_step: dict[str, MockedStep] = {}
        self._by_function: dict[str, MockedStep] = {}
        self._known: dict[str, Workflow] = {}
        self._registry = FunctionRegistry()
        self._mocks = FunctionExecutor(self._registry)
        self._numbers = 0
        self.performed: Counter[str] = Counter()
        self.in_threads: set[object] = set()  # attempts at plain functions: time stands still
        self.outside: set[object] = set()  # attempts in child processes and the like: time goes at its real pace

    def step(self, step_id: str) -> MockedStep:
        """What is said about a step, or about the one task of it at a path."""
        name = step_id.strip("/")
        return self._by_step.setdefault(name, MockedStep(name))

    def function(self, name: str) -> MockedStep:
        """What is said about all steps of a function. What is said about one of them by its id comes first."""
        return self._by_function.setdefault(name, MockedStep(name))

    def know(self, workflow: Workflow) -> None:
        """A workflow that steps may be mocked of."""
        self._known[workflow.name] = workflow

    def must_fit(self) -> None:
        """Everything said is about a step that exists (else ``NotFoundError``) and is not the kernel's own (``ConflictError``)."""
        chains = dict(chain for workflow in self._known.values() for chain in _chains(workflow.steps))
        steps = {chain[-1]: step for chain, step in chains.items()}
        functions = {name for step in steps.values() if isinstance(name := step.config.get("function"), str)}
        for name in self._by_step:
            step = steps.get(name) or chains.get(_chain_of(name))
            if step is None:
                raise NotFoundError("unknown_step", f'no workflow here has a step "{name}"', hint=nearest(name, steps))
            if is_control(step) and not name.endswith(UNDO):
                raise ConflictError(
                    "not_performed",
                    f'step "{name}" is a {step.type}: no executor performs it, so it cannot be mocked',
                    hint="let time pass with clock.advance(), or send its signal",
                )
        for name in self._by_function:
            if name not in functions:
                raise NotFoundError("unknown_function", f'no step here calls a function "{name}"', hint=nearest(name, functions))

    def in_front_of(self, executors: Mapping[str, Executor]) -> Mapping[str, Executor]:
        """The engine's executors with this one before each of them."""
        return _Fronts(self, executors)

    def close(self) -> None:
        """Let the mocks' threads go."""
        self._mocks.close()

    def saying(self, step: Step, path: str = "") -> MockedStep | None:
        """What is said about this step: about the one at this path before all of its id."""
        said = self._by_step.get(path.strip("/"))
        if said is None and not path.endswith(f"/{UNDO}/"):
            said = self._by_step.get(step.id)
        return said or self._by_function.get(str(step.config.get("function", "")))

    def is_mocked(self, step: Step) -> bool:
        """Whether the real work of this step is never done."""
        said = self.saying(step)
        return said is not None and said.is_mocked

    @property
    def known(self) -> Iterable[Workflow]:
        """The workflows that steps may be mocked of."""
        return self._known.values()

    def begin(self, attempt: Attempt, inner: Executor | None) -> None:
        """Note the call, and perform it as was said."""
        takes, call = timedelta(milliseconds=0 if self._has_threads else attempt.task), None
        said = self.saying(attempt.step, attempt.path)
        if said is not None:
            said.calls.append(self._call(attempt))
            duration, call = said.next_call()
            takes += duration
        if takes:
            timer = asyncio.get_running_loop().call_later(takes.total_seconds(), lambda: self._perform(attempt, inner, call=call))
            attempt.on_stop(lambda: _abandon(attempt, timer))
        else:
            self._perform(attempt, inner, call=call)

    def _call(self, attempt: Attempt) -> Call:
        return Call(
            step=attempt.step.id,
            path=attempt.path,
            params=cast("dict[str, Any]", decode(attempt.input)),
            attempt=attempt.number,
            at=self._now(),
            execution_id=attempt.execution_id,
        )

    def _perform(self, attempt: Attempt, inner: Executor | None, *, call: Callable[..., Any] | None) -> None:
        if call is not None:
            self._numbers += 1
            name = f"mock {self._numbers}"
            self._registry.register(name, call)
            step = msgspec.structs.replace(
                attempt.step, type="function", config={"function": name, "params": attempt.step.config.get("params", {})}
            )
            is_plain = not self._registry.find(name).is_async
            if is_plain and not self._has_threads:
                self._registry.register(name, in_loop(call))
            place = self.in_threads if is_plain and self._has_threads else None
            self._mocks.begin(self._watched(attempt, place, step=step))
            return
        assert inner is not None, "a step that nothing performs is refused before it begins"
        place = self.outside
        if attempt.step.type == "function" and attempt.step.config.get("run_in") != "process":
            place = self.in_threads if self._is_plain(attempt.step, attempt.source) else None
        inner.begin(self._watched(attempt, place, step=attempt.step))

    def _watched(self, attempt: Attempt, place: set[object] | None, *, step: Step) -> Attempt:
        return cast("Attempt", _Watched(attempt, place, step=step, succeeded=self._note))

    def _note(self, step_id: str) -> None:
        self.performed[step_id] += 1


def _chains(steps: Iterable[Step], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Step]]:
    """Every step with the ids on the way to it."""
    for step in steps:
        chain = (*above, step.id)
        yield chain, step
        for block in step.blocks:
            yield from _chains(block.steps, chain)


def _chain_of(name: str) -> tuple[str, ...]:
    """The ids on the way to a task: of ``each/[0]/load`` each and load, what undoes a task is of its step."""
    parts = name.removesuffix(f"/{UNDO}").split("/")
    return tuple(parts[::2]) if len(parts) % 2 else ()  # a path ends with a step, behind the block that it is in


def _abandon(attempt: Attempt, timer: asyncio.TimerHandle) -> None:
    timer.cancel()
    attempt.free()
    attempt.end(Abandoned())


def nearest(name: str, names: Iterable[str]) -> str:
    """Did you mean … — or what there is."""
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{close[0]}"?' if close else f"there are: {', '.join(known) or 'none'}"


class _Watched:
    """An attempt that is noted in a place until its work has really stopped; all else is the attempt's own."""

    def __init__(self, attempt: Attempt, place: set[object] | None, *, step: Step, succeeded: Callable[[str], None]) -> None:
        self._attempt = attempt
        self._place = place
        self._succeeded = succeeded
        self.step = step
        if place is not None:
            place.add(self)

    def end(self, end: AttemptEnd) -> None:
        if isinstance(end, Succeeded):
            self._succeeded(self.step.id)
        self._attempt.end(end)

    def free(self) -> None:
        if self._place is not None:
            self._place.discard(self)
        self._attempt.free()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._attempt, name)


class _Front(Executor):
    """One step type."""

    def __init__(self, steps: Steps, inner: Executor | None) -> None:
        self._steps = steps
        self._inner = inner

    def missing(self, step: Step, source: str) -> str:
        """Nothing, when the step is mocked."""
        if self._steps.is_mocked(step):
            return ""
        if self._inner is None:
            return f'nothing here performs steps of type "{step.type}"'
        return self._inner.missing(step, source)

    def begin(self, attempt: Attempt) -> None:
        """As was said, or as the engine would."""
        self._steps.begin(attempt, self._inner)


class _Fronts(Mapping[str, Executor]):
    """A front for each step type, also for one that only mocks perform."""

    def __init__(self, steps: Steps, inner: Mapping[str, Executor]) -> None:
        self._steps = steps
        self._inner = inner

    def __getitem__(self, kind: str) -> Executor:
        return _Front(self._steps, self._inner.get(kind))

    def __iter__(self) -> Iterator[str]:
        return iter(self._inner)

    def __len__(self) -> int:
        return len(self._inner)
