"""Rows of the store that tell of ended tasks."""

from __future__ import annotations

from typing import Any, Final

from taskengine.model import event as ev
from taskengine.model.status import Outcome, Status
from taskengine.ports.store import TaskRow
from taskengine.runtime.resident import Resident

__all__ = ["ENDS", "task_row"]

# Events that end a task: its status, and its outcome where the event itself has none.
ENDS: Final[dict[type, tuple[str, str]]] = {
    ev.TaskCompleted: (Status.COMPLETED.value, ""),
    ev.TaskFailed: (Status.FAILED.value, ""),
    ev.TaskQuarantined: (Status.FAILED.value, Outcome.QUARANTINED.value),
    ev.TaskCancelled: (Status.CANCELLED.value, ""),
    ev.TaskSkipped: (Status.SKIPPED.value, ""),
}


def task_row(resident: Resident, event: Any, *, seq: int) -> TaskRow:
    """The row of a task that has ended, by one of ``ENDS``; what is remembered of its beginning is forgotten with it."""
    number: int = event.task
    state, began = resident.state, resident.began
    status, outcome = ENDS[type(event)]
    return TaskRow(
        resident.execution_id,
        number,
        state.steps[number].path if state.scopes[number] is state.root and number < state.undo_from else state.path_of(number),
        status,
        getattr(event, "outcome", None) or outcome,
        getattr(event, "attempt", 0),
        began.get(number) if number in state.live else began.pop(number, None),
        event.at,
        seq,
    )
