"""Performs ``function`` steps: binds parameters, calls, turns whatever comes back into the end of an attempt.

An async function is stopped by cancelling it. A thread cannot be stopped: its attempt ends at once, its slot stays taken until the
function returns, and what it returns then is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from taskengine.adapters.function.binding import bind, encode_result, plain
from taskengine.adapters.function.records import frames_of
from taskengine.adapters.function.registry import Function, FunctionRegistry
from taskengine.errors import NotFoundError
from taskengine.model.command import Abandoned, AttemptEnd, Failed, Succeeded
from taskengine.model.plain import NotPlainError, written
from taskengine.model.value import Raw, TaskError, is_deeper
from taskengine.model.workflow import Step
from taskengine.ports.context import CURRENT, TaskContext
from taskengine.ports.executor import Attempt

if TYPE_CHECKING:
    from taskengine.adapters.function.process import ProcessFunctions
    from taskengine.adapters.function.threads import Threads

__all__ = ["FunctionExecutor", "describe"]

_ABANDONED: Final = Abandoned()
_MAX_MESSAGE: Final = 2_000
_PROCESS: Final = "process"


class FunctionExecutor:
    """One for a node."""

    def __init__(
        self,
        registry: FunctionRegistry,
        *,
        services: Mapping[str, Any] | None = None,
        apart: Callable[[], ProcessFunctions] | None = None,
        max_payload: int = 16 * 1024 * 1024,
        max_nesting: int = 64,
    ) -> None:
        self._registry = registry
        self._services = services or {}
        self._apart = apart  # what performs those with `run_in: process`
        self._max_payload = max_payload
        self._max_nesting = max_nesting
        self._threads: Threads | None = None

    def missing(self, step: Step, source: str) -> str:
        """Which function cannot be found, and why."""
        name = step.config.get("function")
        if not isinstance(name, str) or not name:
            return "config.function names no function"
        try:
            function = self._registry.find(name, source)
        except NotFoundError as error:
            return error.message + (f" ({error.hint})" if error.hint else "")
        return self._missing_apart(function) if step.config.get("run_in") == _PROCESS else ""

    def _missing_apart(self, function: Function) -> str:
        from taskengine.adapters.function.process import fault_of

        return fault_of(function) if self._apart is not None else "this node has no processes for run_in: process"

    def begin(self, attempt: Attempt) -> None:
        """Bind and call."""
        try:
            config = attempt.step.config
            function = self._registry.find(config["function"], attempt.source)
            if "run_in" in config and config["run_in"] == _PROCESS and self._apart is not None:
                self._apart().begin(attempt, function)
                return
            arguments = bind(function, attempt, services=self._services)
        except KeyboardInterrupt:
            raise  # somebody wants the process to stop
        except BaseException as error:  # noqa: BLE001 -- the types of the parameters are the user's
            attempt.end(Failed(describe(error)))
            attempt.free()
            return
        if function.is_async:
            task = asyncio.get_running_loop().create_task(self._await(function.call, arguments, attempt=attempt))
            attempt.on_stop(partial(_cancel, task, attempt))
        else:
            self._run(function.call, arguments, attempt=attempt)

    def close(self) -> None:
        """Let the threads go."""
        if self._threads is not None:
            self._threads.close()

    async def _await(self, call: Callable[..., Any], arguments: dict[str, Any], *, attempt: Attempt) -> None:
        end: AttemptEnd
        task = asyncio.current_task()
        CURRENT.set(TaskContext(attempt, arguments))  # in this task's own context
        try:
            end = self.judge(await call(**arguments))
        except asyncio.CancelledError as error:
            # Somebody cancelled this task; or the function let the cancellation of something else through, which is its failure.
            end = _ABANDONED if task is not None and task.cancelling() else Failed(describe(error))
        except KeyboardInterrupt:
            raise  # somebody wants the process to stop
        except BaseException as error:  # whatever the user's code raises; an exit would end the loop
            if isinstance(error, GeneratorExit) and _is_thrown_away(task):
                raise
            attempt.log(frames_of(error), level="error", source="traceback")
            end = Failed(describe(error))
        attempt.free()
        attempt.end(end)

    def _run(self, call: Callable[..., Any], arguments: dict[str, Any], *, attempt: Attempt) -> None:
        loop = asyncio.get_running_loop()
        context = TaskContext(attempt, arguments)

        def work() -> None:
            end: AttemptEnd
            CURRENT.set(context)
            try:
                end = self.judge(call(**arguments))
            except BaseException as error:  # noqa: BLE001 -- SystemExit in a thread is a failure of the step, not of the engine
                context.note(frames_of(error), level="error", source="traceback")
                end = Failed(describe(error))
            CURRENT.set(None)
            try:
                loop.call_soon_threadsafe(_finish, attempt, end)
            except RuntimeError:
                return  # the loop is gone: the attempt is lost with the process

        attempt.on_stop(lambda: attempt.end(_ABANDONED))
        self._made_threads().run(work)

    def _made_threads(self) -> Threads:
        if self._threads is None:
            from taskengine.adapters.function.threads import Threads

            self._threads = Threads("taskengine-function")
        return self._threads

    def judge(self, value: Any) -> AttemptEnd:
        """What a returned value means: a result, or a failure when it cannot be one."""
        try:
            output = written(value, encoder=encode_result, hook=plain)
        except NotPlainError as error:
            return Failed(TaskError(type="ValidationError", message=f"the result cannot be written as JSON: {error}"))
        if len(output) > self._max_payload:
            message = f"the result has {len(output)} bytes, {self._max_payload} are allowed"
            return Failed(TaskError(type="PayloadTooLarge", message=message, bases=("ValidationError",)))
        if is_deeper(output, self._max_nesting):
            message = f"the result is nested deeper than {self._max_nesting} levels"
            return Failed(TaskError(type="PayloadTooDeep", message=message, bases=("ValidationError",)))
        return Succeeded(Raw(output))


def _cancel(task: asyncio.Task[None], attempt: Attempt) -> None:
    """Cancel it; a task that is cancelled before its first step never enters its body, so its end is reported here."""
    task.add_done_callback(lambda _: _finish(attempt, _ABANDONED))
    task.cancel()


def _is_thrown_away(task: asyncio.Task[Any] | None) -> bool:
    """Whether it is not running, so that what it gets comes from being collected with its loop: nobody hears an end any more."""
    return task is None or asyncio.current_task(task.get_loop()) is not task


def _finish(attempt: Attempt, end: AttemptEnd) -> None:
    attempt.free()
    attempt.end(end)


def describe(error: BaseException) -> TaskError:
    """An exception as data: its class, what it says (shortened), and its bases by name. Never raises."""
    try:
        message = str(error)
    except Exception as unsaid:  # noqa: BLE001 -- also how it is told is the user's code
        message = f"(its text cannot be made: {type(unsaid).__name__})"
    message = message.encode("utf-8", "backslashreplace").decode()  # a file's name may hold what no JSON text can
    if len(message) > _MAX_MESSAGE:
        message = message[:_MAX_MESSAGE] + " …"
    bases = tuple(kind.__name__ for kind in type(error).__mro__[1:] if kind not in {object, BaseException})
    return TaskError(type=type(error).__name__, message=message, bases=bases)
