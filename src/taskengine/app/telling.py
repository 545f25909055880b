"""Performs ``signal`` steps that know a business key: who has it is looked up in the store when the step's turn comes.

The kernel sends a signal itself when the step names an execution. A key may be nobody's, or several's: then the step fails by name,
and its retry policy says whether to look again. The signal's id is the task's own, so that a repeated attempt sends nothing twice.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final, Protocol, cast

from taskengine.adapters.function.executor import describe
from taskengine.errors import TaskEngineError
from taskengine.model.command import Abandoned, AttemptEnd, Failed, Succeeded
from taskengine.model.value import Json, TaskError, decode, raw
from taskengine.model.workflow import Step
from taskengine.ports.executor import Attempt

__all__ = ["SignalExecutor", "Tell"]

_ABANDONED: Final = Abandoned()
_STOPPING: Final = frozenset({"engine_not_started", "engine_stopped"})


class Tell(Protocol):
    """Signals the open execution that has a business key."""

    async def __call__(self, business_key: str, name: str, *, data: Json, by: str, signal_id: str) -> str:
        """Its id, once the signal is durable. Raises ``TaskEngineError``."""
        ...


class SignalExecutor:
    """One for a node."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def missing(self, step: Step, source: str) -> str:
        """Nothing: every node can."""
        return ""

    def begin(self, attempt: Attempt) -> None:
        """Look for the execution and signal it."""
        task = asyncio.get_running_loop().create_task(self._perform(attempt))
        task.add_done_callback(partial(_finish, attempt))
        attempt.on_stop(partial(_cancel, task))

    async def _perform(self, attempt: Attempt) -> AttemptEnd:
        config = cast("dict[str, Any]", decode(attempt.input))  # a step's config is an object
        key, name = config.get("business_key"), config.get("signal")
        for what, value in (("business_key", key), ("signal", name)):
            if not isinstance(value, str) or not value:
                return Failed(TaskError(type="ValidationError", message=f"{what} is a text, not {value!r}"))
        signal_id = f"{attempt.execution_id}/{attempt.task}"
        try:
            told = await self._tell(str(key), str(name), data=config.get("data"), by=attempt.execution_id, signal_id=signal_id)
        except TaskEngineError as error:
            return _ABANDONED if error.name in _STOPPING else Failed(describe(error))  # a stop is no failure of the step
        return Succeeded(raw({"execution_id": told}))


def _cancel(task: asyncio.Task[AttemptEnd]) -> None:
    task.cancel()


def _finish(attempt: Attempt, done: asyncio.Task[AttemptEnd]) -> None:
    """Whatever has happened: an attempt that never ends would keep its slot."""
    attempt.free()
    error = None if done.cancelled() else done.exception()
    if done.cancelled():
        attempt.end(_ABANDONED)
    else:
        attempt.end(done.result() if error is None else Failed(describe(error)))
