"""What a function may ask about the attempt it performs: its parameter named ``ctx``, or annotated ``TaskContext``."""

from __future__ import annotations

from typing import Any

from taskengine.errors import NotFoundError
from taskengine.model.ids import task_id
from taskengine.model.value import decode
from taskengine.ports.executor import Attempt

__all__ = ["TaskContext"]


class TaskContext:
    """One attempt, seen from inside. Safe to use from the thread that the function runs in."""

    __slots__ = ("_attempt", "_params")

    def __init__(self, attempt: Attempt, params: dict[str, Any]) -> None:
        self._attempt = attempt
        self._params = params

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
        return self._attempt.execution_id + self._attempt.path

    @property
    def params(self) -> dict[str, Any]:
        """The rendered parameters of the step."""
        return self._params

    @property
    def is_cancelled(self) -> bool:
        """Whether the attempt was told to stop. A function in a thread has to look at it by itself."""
        return self._attempt.is_stopping

    def get_upstream_result(self, step_id: str) -> Any:
        """The output of a step that this one depends on (``None`` when it was skipped). ``NotFoundError`` for any other."""
        output = self._attempt.upstream(step_id)
        if output is None:
            raise NotFoundError(
                "no_such_dependency", f'step "{self.step_id}" does not depend on "{step_id}"', hint="name it in depends_on"
            )
        return decode(output)
