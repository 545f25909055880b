"""What must be the same at the end, with a crash and without one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from taskengine.testing.history import History
from taskengine.testing.recording import final_state

__all__ = ["finals"]

_NOT_COMPARED: Final = ("at", "due_at", "finished_at", "events")  # a crash takes time and is an event


def finals(histories: Mapping[str, History]) -> dict[str, Any]:
    """Everything that people can see of how executions ended, but for when, and for attempts that were lost."""
    told: dict[str, Any] = {}
    for name, history in histories.items():
        final = {key: value for key, value in final_state(history.state).items() if key not in _NOT_COMPARED}
        for task in final["tasks"].values():
            task.pop("attempt", None)
        told[name] = final
    return told
