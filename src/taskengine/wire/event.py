"""An event on the wire: one shape for all types, made from the stored form without knowing the type.

What every event may have stands at the top (who, which task, which attempt); the rest is ``data``. A type that a newer version
wrote is shown like any other: whoever only reads has no reason to refuse it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from taskengine.errors import NotFoundError, StorageError
from taskengine.model.ids import task_id
from taskengine.model.secret import shown
from taskengine.model.value import Json
from taskengine.wire.instant import iso_instant

__all__ = ["Places", "WireEvent", "wire_event"]


class WireEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``<trace_id>:<seq>`` is its id. Fields that an event does not have are left out."""

    seq: int
    type: str
    at: str
    trace_id: str
    task_id: str = ""
    step_id: str = ""
    path: str = ""
    attempt: int = 0
    by: str = ""
    data: dict[str, Any]


class Places:
    """Which step and path a task's number means in one workflow version. Number 0 is the execution, its path ``/``."""

    __slots__ = ("_by_path", "_steps")

    def __init__(self, steps: Iterable[tuple[str, str]]) -> None:
        self._steps = tuple(steps)
        self._by_path = {path: number for number, (_, path) in enumerate(self._steps)}

    def __len__(self) -> int:
        return len(self._steps)

    def step(self, number: int) -> tuple[str, str]:
        """Its id and path; empty for a number that the version does not have."""
        return self._steps[number] if 0 <= number < len(self._steps) else ("", "")

    def number_of(self, path: str) -> int:
        """The task at a path. Raises ``NotFoundError``."""
        if path not in self._by_path:
            raise NotFoundError(
                "unknown_path", f"there is no task {path} in this execution", hint="paths look like / or /load/ or /each/[3]/load/"
            )
        return self._by_path[path]

    def number(self, path: str) -> int:
        """The task at a path; 0 for the execution's and for one that the version does not have."""
        return self._by_path.get(path, 0)


_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def wire_event(execution_id: str, seq: int, *, body: bytes, places: Places) -> WireEvent:
    """A stored event as it is shown. Raises ``StorageError`` for what is no event."""
    try:
        fields = _decode(shown(body))
    except msgspec.DecodeError as error:
        raise StorageError("unreadable_event", f"event {seq} of {execution_id} cannot be read: {error}") from error
    kind, at, task = fields.pop("type", ""), fields.pop("at", 0), fields.pop("task", 0)
    path, attempt, by = fields.pop("path", ""), fields.pop("attempt", 0), fields.pop("by", "")
    if not (isinstance(kind, str) and isinstance(at, int) and isinstance(task, int) and isinstance(path, str)):
        raise StorageError("unreadable_event", f"event {seq} of {execution_id} is no event")
    if path and not task:
        task = places.number(path)
    step_id, place = places.step(task) if task else ("", path)
    return WireEvent(
        seq=seq,
        type=kind,
        at=iso_instant(at),
        trace_id=execution_id,
        task_id=task_id(execution_id, task) if task else "",
        step_id=step_id,
        path=place,
        attempt=attempt if isinstance(attempt, int) else 0,
        by=by if isinstance(by, str) else "",
        data={name: _shown(execution_id, name, value=value) for name, value in fields.items()},
    )


def _shown(execution_id: str, name: str, *, value: Json) -> Json:
    """Instants as text, and tasks by their ids: the numbers mean nothing outside."""
    if name.endswith("_at") and isinstance(value, int):
        return iso_instant(value)
    if name == "first" and isinstance(value, int):
        return task_id(execution_id, value)
    if name == "tasks" and isinstance(value, list):
        return [_task(execution_id, one) for one in value]
    return value


def _task(execution_id: str, one: Json) -> Json:
    if isinstance(one, dict) and isinstance(number := one.get("task"), int):
        return {**one, "task": task_id(execution_id, number)}
    return task_id(execution_id, one) if isinstance(one, int) else one
