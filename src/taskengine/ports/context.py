"""What a function may ask about the attempt it performs, and tell about it.

It is the parameter named ``ctx``, or annotated ``TaskContext``; anywhere below the function ``current_task()`` gives it.
"""

from __future__ import annotations

from asyncio import get_running_loop
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from threading import get_ident
from typing import Any, Final

from taskengine.errors import NotFoundError
from taskengine.model.ids import task_id
from taskengine.model.value import Json, decode
from taskengine.ports.executor import Attempt

__all__ = ["CURRENT", "TaskContext", "current_task"]

CURRENT: Final[ContextVar[TaskContext | None]] = ContextVar("taskengine-task", default=None)


def current_task() -> TaskContext | None:
    """The attempt that the caller works for; ``None`` outside of any."""
    return CURRENT.get()


class TaskContext:
    """One attempt, seen from inside. Safe to use from the thread that the function runs in."""

    __slots__ = ("_attempt", "_loop", "_params", "_thread")

    def __init__(self, attempt: Attempt, params: dict[str, Any]) -> None:
        self._attempt = attempt
        self._params = params
        self._loop = get_running_loop()
        self._thread = get_ident()

    @property
    def execution_id(self) -> str:
        """The execution's id, which is also the trace id."""
        return self._attempt.execution_id

    @property
    def task_id(self) -> str:
        """The task's id; the same over all attempts."""
        return task_id(self._attempt.execution_id, self._attempt.task)

    @property
    def step_id(self) -> str:
        """The step's id in the workflow."""
        return self._attempt.step.id

    @property
    def path(self) -> str:
        """The task's path in the execution, e.g. ``/load/``."""
        return self._attempt.path

    @property
    def attempt(self) -> int:
        """Which attempt this is, counted from 1."""
        return self._attempt.number

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this task, whoever makes it: give it to whatever must not happen twice."""
        return self._attempt.idempotency_key

    @property
    def params(self) -> dict[str, Any]:
        """The rendered parameters of the step."""
        return self._params

    @property
    def is_cancelled(self) -> bool:
        """Whether the attempt was told to stop. A function in a thread has to look at it by itself."""
        return self._attempt.is_stopping

    @property
    def last_progress(self) -> Any:
        """The ``data`` that an earlier attempt (or this one) gave to ``progress`` last: where to go on. ``None`` without any."""
        return self._attempt.last_progress

    def get_upstream_result(self, step_id: str) -> Any:
        """The output of a step that this one depends on (``None`` when it was skipped). ``NotFoundError`` for any other."""
        output = self._attempt.upstream(step_id)
        if output is None:
            raise NotFoundError(
                "no_such_dependency", f'step "{self.step_id}" does not depend on "{step_id}"', hint="name it in depends_on"
            )
        return decode(output)

    def heard(self) -> None:
        """Something came from what it waits for: the ``heartbeat`` begins anew, and earlier losses of the task still count."""
        self._tell(self._attempt.heard)

    def heartbeat(self) -> None:
        """Say that the work is alive; with ``heartbeat`` on the step, silence for longer than that ends the attempt."""
        self._tell(self._attempt.beat)

    def progress(self, fraction: float | None = None, message: str = "", *, data: Json = None) -> None:
        """Say how far the work is, 0 to 1, and what the next attempt needs to go on from here (``data``).

        Shown live, written down at most once a second with the latest values, and with the end of the attempt. Also a heartbeat.
        ``ValueError`` for a fraction outside of 0 to 1.
        """
        if fraction is not None and not 0 <= fraction <= 1:
            raise ValueError(f"progress is between 0 and 1, not {fraction}")
        self._tell(lambda: self._attempt.progress(fraction, message=message, data=data))

    def log(self, message: str, *, level: str = "info") -> None:
        """Add a line to the task's log."""
        self._tell(lambda: self._attempt.log(message, level=level, source="function"))

    def note(self, message: str, *, level: str, source: str) -> None:
        """Add a line that somebody else said (``source``) to the task's log."""
        self._tell(lambda: self._attempt.log(message, level=level, source=source))

    def _tell(self, call: Callable[[], None]) -> None:
        """Attempts are spoken to in the loop."""
        if get_ident() == self._thread:
            call()
            return
        with suppress(RuntimeError):  # the loop is gone, and nobody listens any more
            self._loop.call_soon_threadsafe(call)
