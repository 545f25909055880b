"""An execution and all that came of it: by names that are the same in every run, and what can be compared of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from taskengine.model.event import ExecutionStarted
from taskengine.ports.store import ExecutionFilter, Summary
from taskengine.testing.history import History
from taskengine.testing.virtual.engine import VirtualEngine

__all__ = ["facts_of", "family", "named", "settle", "without_ids"]

_MOST: Final = 1_000  # executions of one store
_SHORTEST_S: Final = 0.01  # between two looks, of virtual time
_LONGEST_S: Final = 86_400.0
_LOOKS: Final = 4  # that find nothing moving: a message may be under way between two executions


async def settle(engine: VirtualEngine) -> list[str]:
    """Let time pass until nothing goes on by itself any more; the ids of all executions, the oldest first."""
    step_s, seen, quiet = _SHORTEST_S, -1, 0
    while True:
        rows = await engine.engine.store.executions(ExecutionFilter(), limit=_MOST)
        now = sum(row.seq for row in rows)
        moves = now != seen or any(row.finished_at is None and _moves(engine, row) for row in rows)
        quiet = 0 if moves else quiet + 1
        if quiet == _LOOKS:
            return sorted(row.execution_id for row in rows)
        step_s = _SHORTEST_S if now != seen else min(2 * step_s, _LONGEST_S)
        seen = now
        await asyncio.sleep(step_s)


def _moves(engine: VirtualEngine, row: Summary) -> bool:
    resident = engine.engine.node.residents.get(row.execution_id)
    if resident is None:
        return row.wake_at is not None or bool(row.owner)
    is_busy = resident.pending is not None or resident.unsettled or resident.running or resident.is_queued
    return bool(is_busy) or resident.state.wake_at is not None


async def family(engine: VirtualEngine, root: History) -> dict[str, History]:
    """Everything in the store, by name, when nothing goes on by itself any more; ``root`` as it was told already."""
    ids = await settle(engine)
    return named([root if one == root.execution_id else await engine.history(one) for one in ids])


def named(histories: Sequence[History]) -> dict[str, History]:
    """Executions by name. Those that nobody's step started are named like their workflow."""
    by_id = {history.execution_id: history for history in histories}
    found: dict[str, History] = {}
    for history in histories:
        name = _name(history, by_id)
        while name in found:  # another attempt at the same step
            name += "'"
        found[name] = history
    return found


def _name(history: History, by_id: Mapping[str, History]) -> str:
    started = history.events[0]
    assert isinstance(started, ExecutionStarted)
    if started.parent is None:
        return history.workflow.name
    above = by_id[started.parent.execution_id]
    return _name(above, by_id) + above.state.path_of(started.parent.task).rstrip("/")


def facts_of(history: History) -> dict[str, Any]:
    """How an execution ended, and each of its steps."""
    state = history.state
    steps = {state.path_of(number).strip("/"): state.status_of(number).value for number in range(1, len(state.steps))}
    return {
        "status": state.status.value,
        "outcome": state.outcome,
        "output": history.output,
        "error": None if state.error is None else state.error.type,
        "steps": steps,
    }


def without_ids(facts: dict[str, Any], histories: Mapping[str, History]) -> dict[str, Any]:
    """The same facts, with the names of executions in place of their ids, which are others in every run."""
    text = msgspec.json.encode(facts)
    for name, history in histories.items():
        text = text.replace(history.execution_id.encode(), name.encode())
    told: dict[str, Any] = msgspec.json.decode(text)
    return told
