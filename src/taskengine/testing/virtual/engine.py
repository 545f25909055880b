"""The engine under test: a whole one, in virtual time, with a test's own steps in front. Everything here runs inside of its loop.

Composes; owns no rule of the engine. It decides one thing: when time may pass. That is while a call of the test waits, and nothing
else can happen first (``pace``).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from taskengine.adapters.function.registry import Function
from taskengine.adapters.secrets import EnvironmentSecrets
from taskengine.app.engine import Engine
from taskengine.define.blocks import every_step
from taskengine.errors import ConflictError, NotFoundError
from taskengine.kernel.story import why
from taskengine.model.status import Outcome, Phase, Status
from taskengine.model.value import Json, TaskError
from taskengine.model.workflow import Step, Workflow
from taskengine.ports.secrets import Secrets
from taskengine.ports.store import Store
from taskengine.runtime.resident import Result
from taskengine.runtime.settings import NodeSettings
from taskengine.testing.documents import is_document, read_document
from taskengine.testing.history import History, read_history
from taskengine.testing.virtual.clock import Clock, VirtualEnvironment
from taskengine.testing.virtual.loop import Pace, VirtualLoop
from taskengine.testing.virtual.secrets import MockedSecrets
from taskengine.testing.virtual.steps import MockedStep, Steps, in_loop

__all__ = ["SETTINGS", "Ended", "TestedEngine", "VirtualEngine", "VirtualExecution"]

T = TypeVar("T")

_DAY_MS: Final = 86_400_000
_LONGEST_WAIT: Final = timedelta(days=3_650)
_NAMED: Final = 5  # steps in a message
# Nobody else is at the store, and a clock that only jumps when told to need not be looked at.
SETTINGS: Final = NodeSettings(
    alone_poll_ms=_DAY_MS, together_poll_ms=_DAY_MS, longest_sleep_ms=_DAY_MS, stop_grace_ms=0, cache=100_000
)


class TestedEngine(Engine):
    """An engine that tells a test kit what it knows of a function."""

    __test__ = False  # pytest: no tests in here

    def function(self, name: str, source: str) -> Function:
        """A registered or importable function. ``NotFoundError``."""
        return self._performing.registry.find(name, source)


class Ended(msgspec.Struct, frozen=True):
    """How an execution ended, and its history."""

    result: Result
    history: History

    @property
    def id(self) -> str:
        """The execution's id."""
        return self.result.execution_id

    @property
    def status(self) -> Status:
        """Completed, failed or cancelled."""
        return self.result.status

    @property
    def outcome(self) -> Outcome | None:
        """What refines the status: timed_out, terminated, partial."""
        return self.result.outcome

    @property
    def output(self) -> Any:
        """The output as Python data."""
        return self.result.output

    @property
    def error(self) -> TaskError | None:
        """Why it failed."""
        return self.result.error


class VirtualExecution:
    """An execution that was started and may still go on."""

    def __init__(self, engine: VirtualEngine, execution_id: str) -> None:
        self._engine = engine
        self.id = execution_id

    async def result(self, *, timeout: timedelta | None = None) -> Ended:  # noqa: ASYNC109 -- of virtual time
        """Wait for its end; time passes. ``ConflictError("stands_still")``: it waits for what nobody here will do."""
        return await self._engine.ended(self.id, within=timeout or _LONGEST_WAIT)

    async def history(self) -> History:
        """What has happened so far."""
        return await self._engine.history(self.id)

    async def signal(self, name: str, data: Json = None) -> None:
        """Send it a signal."""
        await self._engine.engine.signal(self.id, name, data=data)

    async def set_variables(self, **values: Json) -> None:
        """Give its variables new values."""
        await self._engine.engine.set_variables(self.id, values)

    async def pause(self, path: str = "/") -> None:
        """Start nothing new at or below ``path``."""
        await self._engine.engine.pause_instance(self.id, path=path)

    async def resume(self, path: str = "/") -> None:
        """End that pause."""
        await self._engine.engine.resume_instance(self.id, path=path)

    async def cancel(self, path: str = "/", *, compensate: bool = False) -> None:
        """Ask what runs to stop; ``compensate``: then undo what was done."""
        await self._engine.engine.cancel_instance(self.id, path=path, compensate=compensate)

    async def terminate(self, path: str = "/") -> None:
        """End it now."""
        await self._engine.engine.terminate_instance(self.id, path=path)

    async def retry(self, path: str = "/") -> None:
        """A new round for what failed or was cancelled."""
        await self._engine.engine.retry_instance(self.id, path=path)

    async def skip(self, path: str, *, by: str = "", reason: str = "") -> None:
        """Go on without a task, as if it had been done."""
        await self._engine.engine.skip_task(self.id, path, by=by, reason=reason)

    async def approve(self, path: str, *, by: str = "", comment: str = "", data: Json = None) -> None:
        """Say yes where it waits for a decision."""
        await self._engine.engine.decide(self.id, path, by=by, comment=comment, data=data)

    async def reject(self, path: str, *, by: str = "", comment: str = "", data: Json = None) -> None:
        """Say no where it waits for a decision."""
        await self._engine.engine.decide(self.id, path, approve=False, by=by, comment=comment, data=data)

    def __repr__(self) -> str:
        return f"VirtualExecution({self.id!r})"


class VirtualEngine:
    """What a test holds. ``clock`` is the virtual clock, ``engine`` the engine itself."""

    def __init__(
        self,
        loop: VirtualLoop,
        *,
        store: str | Path | Store,
        functions: Mapping[str, Callable[..., Any]],
        settings: NodeSettings,
        starts_at: datetime,
        seed: int,
        services: Mapping[str, Any] | None = None,
        secrets: Secrets | None = None,
        builtins: Sequence[str] = (),
        has_threads: bool = True,
    ) -> None:
        environment = VirtualEnvironment(loop, starts_at=starts_at, seed=seed)
        self.clock = Clock(environment)
        self._loop = loop
        self._steps = Steps(now=lambda: self.clock.now, is_plain=self._is_plain, has_threads=has_threads)
        self.engine = TestedEngine(
            store,
            functions=functions,
            settings=settings,
            environment=environment,
            services=services,
            secrets=MockedSecrets(
                secrets if secrets is not None else EnvironmentSecrets(os.environ),
                known=lambda: self._steps.known,
                is_mocked=self._steps.is_mocked,
            ),
            builtins=builtins,
            around=self._steps.in_front_of,
        )
        self._has_threads = has_threads  # else plain functions run in the loop, one after the other, always in the same order
        self._calls = 0  # of the test, that have not ended and do not wait for an execution
        self._waiting: dict[asyncio.Future[Result], str] = {}
        loop.ask, loop.give_up = self._pace, self._give_up

    # ── what is under test ───────────────────────────────────────────────────────────────────────────────────────────

    def step(self, step_id: str) -> MockedStep:
        """Say what a step does instead of the real thing, or only look at its ``calls``: ``engine.step("load").returns(5)``.

        Inside of a map or a loop an id means every task of the step, a path (``each/[0]/load``) the one there, whose word comes
        first. An id that no workflow has is a ``NotFoundError`` when an execution is started.
        """
        return self._steps.step(step_id)

    def function(self, name: str) -> MockedStep:
        """The same for every step that calls this function."""
        return self._steps.function(name)

    @property
    def performed(self) -> Mapping[str, int]:
        """How often the work of each step was done to its end here, whether or not its result was taken."""
        return self._steps.performed

    def register(self, name: str, function: Callable[..., Any]) -> None:
        """Make a function known under a name."""
        self.engine.register(name, function)

    async def deploy(self, workflow: Any, *, source: str = "") -> Any:
        """Keep a workflow: whatever an engine takes, or the path of a document, whose functions may stand beside it."""
        if is_document(workflow):
            workflow, source = read_document(workflow)
        stored = await self.engine.deploy(workflow, source=source)
        known = msgspec.json.decode(stored.document, type=Workflow)
        self._steps.know(known)
        if not self._has_threads:
            for _, step in every_step(known):
                self._bring_into_loop(step, source)
        return stored

    def _bring_into_loop(self, step: Step, source: str) -> None:
        name = step.config.get("function")
        if step.type == "function" and isinstance(name, str) and step.config.get("run_in") != "process":
            with suppress(NotFoundError):  # mocked, or refused when it is started
                function = self.engine.function(name, source)
                if not function.is_async:
                    self.engine.register(name, in_loop(function.call))

    async def execute_workflow(
        self, workflow: Any, *, params: Mapping[str, Json] | None = None, source: str = "", **more: Any
    ) -> VirtualExecution:
        """Start an execution, as ``Engine.execute_workflow`` does. What can happen without time passing has happened then."""
        if not isinstance(workflow, str) or is_document(workflow):
            workflow = await self.deploy(workflow, source=source)
        self._steps.must_fit()
        execution = await self.engine.execute_workflow(workflow, params=params, **more)
        return VirtualExecution(self, execution.id)

    async def run(
        self,
        workflow: Any,
        *,
        params: Mapping[str, Json] | None = None,
        source: str = "",
        timeout: timedelta | None = None,  # noqa: ASYNC109 -- of virtual time
        **more: Any,
    ) -> Ended:
        """Start an execution and wait for its end."""
        execution = await self.execute_workflow(workflow, params=params, source=source, **more)
        return await execution.result(timeout=timeout)

    async def history(self, execution_id: str) -> History:
        """What has happened so far."""
        return await read_history(self.engine.store, execution_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def perform(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """A call of the test: time may pass while it waits, and it returns when this instant is over."""
        self._calls += 1
        try:
            return await work()
        finally:
            self._calls -= 1
            await self._loop.quiet()

    async def ended(self, execution_id: str, *, within: timedelta) -> Ended:
        """Wait for an execution's end."""
        end: asyncio.Future[Result] = self._loop.create_future()
        waits = self._loop.create_task(self.engine.wait_for_instance(execution_id))
        waits.add_done_callback(lambda task: _pass_on(task, end))
        self._waiting[end] = execution_id
        self._calls -= 1
        try:
            async with asyncio.timeout(within.total_seconds()):
                result = await end
        except TimeoutError:
            raise self._standstill(execution_id, f"has not ended within {within} of virtual time") from None
        finally:
            self._calls += 1
            del self._waiting[end]
            waits.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait((waits,))
        return Ended(result, await self.history(execution_id))

    def _pace(self) -> Pace:
        steps = self._steps
        if steps.in_threads or not (self._calls or self._waiting):
            return Pace.STAND
        if steps.outside:
            return Pace.REAL
        if self._calls:  # also while it starts and stops, when there is no node to ask
            return Pace.JUMP
        known = {*self.engine.node.residents, *self._waiting.values()}
        return Pace.JUMP if any(map(self._may_move, known)) else Pace.STUCK

    def _may_move(self, execution_id: str) -> bool:
        resident = self.engine.node.residents.get(execution_id)
        if resident is None:
            return True  # parked, or on its way into memory: the store knows when it is due
        is_busy = resident.pending is not None or resident.unsettled or resident.running or resident.is_queued
        return bool(is_busy) or resident.state.wake_at is not None

    def _give_up(self) -> None:
        for end, execution_id in self._waiting.items():
            if not end.done():
                end.set_exception(self._standstill(execution_id, "will not go on by itself"))

    def _standstill(self, execution_id: str, what: str) -> ConflictError:
        resident = self.engine.node.residents.get(execution_id)
        reasons: list[str] = []
        if resident is not None:
            state = resident.state
            numbers = [number for number in range(1, len(state.steps)) if state.phase[number] < Phase.COMPLETED]
            moved = [number for number in numbers if state.phase[number] > Phase.PENDING] or numbers
            reasons = [f"{path} {why(state, path)}" for path in map(state.path_of, moved[:_NAMED])]
        message = f"{execution_id} {what}; it is {self.clock.now.isoformat()}" + "".join(f"\n  {reason}" for reason in reasons)
        hint = "send what it waits for, or say what the step does: engine.step(...).returns(...)"
        return ConflictError("stands_still", message, hint=hint)

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Start the engine."""
        await self.engine.start()

    async def stop(self, *, is_checked: bool = True) -> None:
        """Stop it. Raises what ``must_fit`` raises when something was said of a step that never was."""
        await self.engine.stop()
        self._steps.close()
        if is_checked:
            self._steps.must_fit()

    def _is_plain(self, step: Step, source: str) -> bool:
        try:
            return not self.engine.function(str(step.config.get("function", "")), source).is_async
        except NotFoundError:
            return False  # its attempt fails at once


def _pass_on(task: asyncio.Task[Result], end: asyncio.Future[Result]) -> None:
    if task.cancelled() or end.done():
        return
    error = task.exception()
    if error is not None:
        end.set_exception(error)
    else:
        end.set_result(task.result())
