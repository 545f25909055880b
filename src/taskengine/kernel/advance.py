"""One turn: decide, evolve, settle to a bounded fixed point, on the live state. What the shell calls.

The events are folded at once and belong to one append; their effects are performed after the commit. When the append fails, the
caller drops the state and reads it again: nothing here is ever undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from taskengine.errors import InternalError
from taskengine.kernel.decide import decide
from taskengine.kernel.evolve import evolve
from taskengine.kernel.plan import Plan
from taskengine.kernel.settle import settle
from taskengine.kernel.state import Execution
from taskengine.model.command import Admit, Command
from taskengine.model.effect import Effect, Launch
from taskengine.model.event import Event

__all__ = ["Turn", "advance", "fold"]

# Every settled event moves a task forward, so their number is bounded by the tasks' moves; more than this is a bug of ours.
_EVENTS_PER_TASK: Final = 8
_EVENTS_AT_LEAST: Final = 1_000


class Turn(msgspec.Struct, frozen=True, gc=False):
    """What one command caused: the facts in order, and how what is owed has changed."""

    events: list[Event]
    effects: list[Effect]


def advance(state: Execution, command: Command) -> Turn:
    """Decide a command, fold what it causes and everything that follows by itself.

    Raises what ``decide`` raises; the state is unchanged then.
    """
    at = command.at if command.at > state.at else state.at
    events: list[Event] = []
    effects: list[Effect] = []
    if isinstance(command, Admit):
        _admit(state, command, at, events, effects)
    else:
        _fold(state, decide(state, command, at), events, effects)
        _settle(state, at, events, effects)
    return Turn(events, effects)


def fold(execution_id: str, plan: Plan, events: Iterable[Event], *, state: Execution | None = None) -> Execution:
    """Replay a history, or go on from a state that a snapshot gave."""
    folded = Execution(execution_id, plan) if state is None else state
    for event in events:
        evolve(folded, event)
    return folded


def _admit(state: Execution, command: Admit, at: int, events: list[Event], effects: list[Effect]) -> None:
    slots, suspect_slots = command.slots, command.suspect_slots
    while slots > 0 or suspect_slots > 0:
        decided = decide(state, Admit(at=at, slots=slots, suspect_slots=suspect_slots), at)
        if not decided:
            return
        before = len(effects)
        _fold(state, decided, events, effects)
        for effect in effects[before:]:
            if isinstance(effect, Launch):
                if effect.is_suspect:
                    suspect_slots -= 1
                else:
                    slots -= 1
        _settle(state, at, events, effects)


def _fold(state: Execution, decided: Sequence[Event], events: list[Event], effects: list[Effect]) -> None:
    for event in decided:
        events.append(event)
        effects.extend(evolve(state, event))


def _settle(state: Execution, at: int, events: list[Event], effects: list[Effect]) -> None:
    bound = _EVENTS_AT_LEAST + _EVENTS_PER_TASK * state.plan.size
    while following := settle(state, at):
        _fold(state, following, events, effects)
        if len(events) > bound:
            raise InternalError("does_not_settle", f"execution {state.execution_id} made {len(events)} events in one turn")
