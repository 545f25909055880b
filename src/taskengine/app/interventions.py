"""Who paused, cancelled or terminated an execution, when and why, as far as that still holds. Told from its history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from taskengine.kernel.state import Execution
from taskengine.model.event import Event, ExecutionTerminated, SubtreeCancelled, SubtreePaused
from taskengine.model.status import Outcome, Phase, Status
from taskengine.wire.instant import iso_instant

__all__ = ["has_any", "stopped_by", "who_cancelled", "who_paused"]

_SHOWN: Final = 5  # paused tasks that are named
_Deed: TypeAlias = SubtreePaused | SubtreeCancelled | ExecutionTerminated


def has_any(state: Execution) -> bool:
    """Whether there is something to tell, so that the history is worth reading."""
    return bool(state.is_paused or state.paused or state.is_cancelling or state.status is Status.CANCELLED)


def who_paused(state: Execution, history: Iterable[Event]) -> list[str]:
    """A sentence for each pause that holds: of the whole execution, and of the tasks at which one was asked for."""
    held = {state.path_of(number) for number in state.paused}
    if state.is_paused:
        held.add("/")
    if state.is_finished or not held:
        return []
    last = {event.path: event for event in history if isinstance(event, SubtreePaused) and event.path in held}
    told = [f"{_subject(path)} is paused{_by(last.get(path), since='since')}" for path in sorted(held)]
    return [*told[:_SHOWN], *([f"{len(told) - _SHOWN} more are paused"] if len(told) > _SHOWN else [])]


def stopped_by(state: Execution, history: Iterable[Event]) -> str:
    """Who cancelled or terminated the whole execution; empty where nobody did."""
    if not state.is_cancelling and state.status is not Status.CANCELLED:
        return ""
    is_terminated = state.outcome is Outcome.TERMINATED
    asked = [
        event
        for event in history
        if isinstance(event, ExecutionTerminated if is_terminated else SubtreeCancelled) and _path_of(event) == "/"
    ]
    if not asked:
        return ""
    return f"it was {'terminated' if is_terminated else 'cancelled'}{_by(asked[-1], since='at')}"


def who_cancelled(state: Execution, number: int, *, history: Iterable[Event]) -> str:
    """Who cancelled a task, or something around it: `` by ada at …: why``; empty where nobody did."""
    if state.phase[number] != Phase.CANCELLED:
        return ""
    path = state.path_of(number)
    asked = [event for event in history if isinstance(event, SubtreeCancelled) and path.startswith(event.path)]
    return _by(asked[-1], since="at") + (f" ({asked[-1].path})" if asked[-1].path != path else "") if asked else ""


def _path_of(event: object) -> str:
    return getattr(event, "path", "/")


def _subject(path: str) -> str:
    return "the execution" if path == "/" else path


def _by(deed: _Deed | None, *, since: str) -> str:
    if deed is None:
        return ""
    by = f" by {deed.by}" if deed.by else ""
    return f"{by} {since} {iso_instant(deed.at)}" + (f": {deed.reason}" if deed.reason else "")
