"""Rows of the store that tell of ended tasks."""

from __future__ import annotations

from taskengine.model import event as ev
from taskengine.ports.store import TaskRow
from taskengine.runtime.resident import Resident

__all__ = ["task_row"]


def task_row(resident: Resident, event: ev.Event, *, status: str, seq: int) -> TaskRow:
    """The row of a task that has ended; what is remembered of its beginning is forgotten with it."""
    number: int = getattr(event, "task")  # noqa: B009 -- every event in _ENDS has one; the union cannot say so
    began_at = resident.began.get(number)
    state = resident.state
    if number not in state.live:
        resident.began.pop(number, None)
    return TaskRow(
        resident.execution_id,
        number,
        state.steps[number].path if state.scopes[number] is state.root and number < state.undo_from else state.path_of(number),
        status,
        getattr(event, "outcome", None) or ("quarantined" if isinstance(event, ev.TaskQuarantined) else ""),
        getattr(event, "attempt", 0),
        began_at,
        event.at,
        seq,
    )
