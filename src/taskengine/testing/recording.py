"""Histories in files: JSON lines that can be read, compared and kept in a repository. Owns the form, not what it means.

The first line says what was recorded (the workflow as it was, and by which version), one line for each event follows as it is
stored, the last line holds the final state and its hash. The same history gives the same bytes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from taskengine.errors import StorageError
from taskengine.kernel.state import Execution
from taskengine.model.codec import decode_event, encode_event
from taskengine.model.event import Event, ExecutionStarted
from taskengine.model.value import decode
from taskengine.model.workflow import Workflow

if TYPE_CHECKING:
    from taskengine.testing.history import History

__all__ = ["Recording", "final_state", "read_recording", "record", "state_hash"]

FORM: Final = 1


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    form: int
    made_by: str
    execution_id: str
    workflow: Workflow


class _Foot(msgspec.Struct, frozen=True, kw_only=True):
    final: dict[str, Any]
    sha256: str


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds."""

    path: Path
    execution_id: str
    workflow: Workflow
    events: list[Event]
    final: dict[str, Any]
    sha256: str


def record(history: History, path: str | Path) -> Path:
    """Write a history to a file, which is replaced as a whole."""
    from taskengine import __version__

    head = _Head(form=FORM, made_by=f"task-engine {__version__}", execution_id=history.execution_id, workflow=history.workflow)
    final = final_state(history.state)
    lines = [_line(head), *map(encode_event, history.events), _line(_Foot(final=final, sha256=state_hash(final)))]
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b"\n".join(lines) + b"\n")
    return target


def read_recording(path: str | Path) -> Recording:
    """Read a file back. ``StorageError``: ``unreadable_history`` or ``unreadable_event`` with its line, ``UnknownEventError``."""
    file = Path(path)
    lines = file.read_bytes().splitlines()
    try:
        head = msgspec.json.decode(lines[0], type=_Head)
        foot = msgspec.json.decode(lines[-1], type=_Foot)
    except (msgspec.DecodeError, IndexError, RecursionError) as error:
        hint = "the first and the last line are written by History.record"
        raise StorageError("unreadable_history", f"{file} is no recorded history: {error}", hint=hint) from error
    if head.form != FORM:
        raise StorageError("unreadable_history", f"{file} has form {head.form}, this version reads {FORM}")
    events: list[Event] = []
    for number, line in enumerate(lines[1:-1], 2):
        try:
            events.append(decode_event(line))
        except StorageError as error:
            error.message = f"{file}:{number}: {error.message}"
            error.args = (error.message,)
            raise
    if not events or not isinstance(events[0], ExecutionStarted):
        raise StorageError("unreadable_history", f"{file}:2: a history begins with ExecutionStarted")
    return Recording(
        path=file,
        execution_id=head.execution_id,
        workflow=head.workflow,
        events=events,
        final=foot.final,
        sha256=foot.sha256,
    )


def final_state(state: Execution) -> dict[str, Any]:
    """Everything about a state that people could see, by names instead of numbers, in no form of the engine's own."""
    tasks: dict[str, dict[str, Any]] = {}
    for number in range(1, len(state.steps)):
        live = state.live.get(number)
        told: dict[str, Any] = {"status": state.status_of(number).value}
        if live is not None:
            told |= {"attempt": live.attempt, "error": None if live.error is None else msgspec.to_builtins(live.error)}
            told |= {"outcome": live.outcome, "waits_for": live.signal}
        if number in state.outputs:
            told["output"] = decode(state.outputs[number])
        tasks[state.path_of(number)] = told
    return {
        "status": state.status.value,
        "outcome": state.outcome,
        "output": decode(state.output) if state.output else None,
        "error": None if state.error is None else msgspec.to_builtins(state.error),
        "events": state.seq,
        "at": state.at,
        "due_at": state.due_at(),
        "finished_at": state.finished_at,
        "priority": state.priority,
        "business_key": state.business_key,
        "variables": {name: decode(value) for name, value in state.variables.items()},
        "paused": sorted(map(state.path_of, state.paused)) + ["/"] * state.is_paused,
        "signals": {name: [decode(data) for data in queue] for name, queue in state.signals.items()},
        "tasks": tasks,
    }


def state_hash(final: dict[str, Any]) -> str:
    """A hash of the whole of it."""
    return hashlib.sha256(_line(final)).hexdigest()


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")
