"""One running attempt, as the node holds it and as an executor sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from taskengine.kernel.state import Execution
from taskengine.model.command import AttemptEnd
from taskengine.model.value import ABSENT, Raw
from taskengine.model.workflow import Step
from taskengine.ports.executor import Stop
from taskengine.runtime.resident import Resident

__all__ = ["RunningAttempt"]

_EMPTY: Final = Raw(b"{}")


class RunningAttempt:
    """Begins at its launch, ends once, frees its slot once."""

    __slots__ = (
        "_ended",
        "_freed",
        "_is_free",
        "_state",
        "_stop",
        "input",
        "is_ended",
        "is_stopping",
        "is_suspect",
        "number",
        "resident",
        "task",
    )

    def __init__(
        self,
        resident: Resident,
        *,
        task: int,
        number: int,
        is_suspect: bool,
        ended: Callable[[RunningAttempt, AttemptEnd], None],
        freed: Callable[[RunningAttempt], None],
    ) -> None:
        self.resident = resident
        self.task = task
        self.number = number
        self.is_suspect = is_suspect
        self.is_ended = False
        self.is_stopping = False
        self._is_free = False
        self._state: Execution = resident.state
        self._stop: Stop | None = None
        self._ended = ended
        self._freed = freed
        live = resident.state.live.get(task)
        given = live.input if live is not None else ABSENT
        self.input: Raw = given or resident.state.plan.steps[task].constant_input or _EMPTY

    @property
    def execution_id(self) -> str:
        """The execution, which is also the trace."""
        return self.resident.execution_id

    @property
    def source(self) -> str:
        """Where the workflow's document came from."""
        return self.resident.source

    @property
    def step(self) -> Step:
        """The step being performed."""
        return self._state.plan.steps[self.task].step

    @property
    def path(self) -> str:
        """The task's path in the execution."""
        return self._state.plan.steps[self.task].path

    def upstream(self, step_id: str) -> Raw | None:
        """The output of a dependency."""
        plan = self._state.plan
        number = plan.by_id.get(step_id)
        if number is None or number not in plan.steps[self.task].dependencies:
            return None
        return self._state.outputs.get(number, Raw(b"null"))

    def on_stop(self, stop: Stop) -> None:
        """Keep it; call it at once when a stop was asked for before."""
        self._stop = stop
        if self.is_stopping:
            stop()

    def stop(self) -> None:
        """Ask the work to stop."""
        if not self.is_stopping:
            self.is_stopping = True
            if self._stop is not None:
                self._stop()

    def forget(self) -> None:
        """Whatever it still reports is of no interest."""
        self.is_ended = True

    def end(self, end: AttemptEnd) -> None:
        """The first report counts."""
        if not self.is_ended:
            self.is_ended = True
            self._ended(self, end)

    def free(self) -> None:
        """The slot is free."""
        if not self._is_free:
            self._is_free = True
            self._freed(self)
