"""One turn: decide, evolve, settle to a bounded fixed point, on the live state. What the shell calls.

The events are folded at once and belong to one append; their effects are performed after the commit. When the append fails, the
caller drops the state and reads it again: nothing here is ever undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from taskengine.kernel.decide import admitted, decide
from taskengine.kernel.evolve import apply
from taskengine.kernel.plan import Plan
from taskengine.kernel.settle import settle
from taskengine.kernel.sieve import Effort
from taskengine.kernel.state import Execution
from taskengine.model.command import Admit, Command
from taskengine.model.effect import Effect
from taskengine.model.event import Event, TaskScheduled
from taskengine.model.value import Instant

__all__ = ["Turn", "advance", "fold"]

# What a turn may cost: events, and tasks that they open. The rest follows in the next turn.
_LONGEST_TURN: Final = 2_000
_MOST_JUDGED: Final = 500  # pairs of a waiting step with a filter and a signal
_MOST_READ: Final = 4 * 1024 * 1024  # bytes that expressions read; the one that goes beyond is the last


class Turn(msgspec.Struct, gc=False):
    """What one command caused: the facts in order, and how what is owed has changed.

    ``is_cut``: more follows by itself; the shell sends a ``Tick`` after it has looked at other executions. ``begun`` and
    ``suspects_begun``: the slots that it took.
    """

    events: list[Event]
    effects: list[Effect]
    is_cut: bool = False
    begun: int = 0
    suspects_begun: int = 0


def advance(state: Execution, command: Command, *, slots: int = 0, most_judged: int = _MOST_JUDGED) -> Turn:
    """Decide a command, fold what it causes and everything that follows by itself.

    Raises what ``decide`` raises; the state is unchanged then. A state that was folded or restored wants one turn (a ``Tick``, a
    ``Lost``) before it is asked what is ready: conditions found true before a crash are no events and are evaluated again.
    ``slots``: how many attempts may begin in this very turn, as if an ``Admit`` followed. ``most_judged``: pairs of a waiting step
    with a filter and a signal; what is left follows in the next turn.
    """
    at = max(state.at, command.at)
    turn = Turn([], [])
    effort = Effort(most_judged)
    state.read_left = _MOST_READ
    if isinstance(command, Admit) and state.seq:
        _settle(state, at, turn, effort)  # what is due comes before what is new
        _admit(state, at, turn, effort, slots=command.slots, suspect_slots=command.suspect_slots)
    else:
        _fold(state, decide(state, command, at), turn)
        _settle(state, at, turn, effort)
        if slots and state.ready.members and not turn.is_cut:
            _admit(state, at, turn, effort, slots=slots, suspect_slots=0)
    return turn


def fold(execution_id: str, plan: Plan, events: Iterable[Event], *, state: Execution | None = None) -> Execution:
    """Replay a history, or go on from a state that a snapshot gave."""
    folded = Execution(execution_id, plan) if state is None else state
    for event in events:
        apply(folded, event, [])
    return folded


def _admit(state: Execution, at: Instant, turn: Turn, effort: Effort, *, slots: int, suspect_slots: int) -> None:
    while slots > turn.begun or suspect_slots > turn.suspects_begun:
        if state.read_left <= 0:
            turn.is_cut = True
            return
        has_slot, has_suspect_slot = slots > turn.begun, suspect_slots > turn.suspects_begun
        decided = admitted(state, at, has_slot=has_slot, has_suspect_slot=has_suspect_slot)
        if not decided:
            return
        _fold(state, decided, turn)
        begun = decided[0]
        if isinstance(begun, TaskScheduled):
            if begun.is_suspect:
                turn.suspects_begun += 1
            else:
                turn.begun += 1
        _settle(state, at, turn, effort)


def _fold(state: Execution, decided: Sequence[Event], turn: Turn) -> None:
    for event in decided:
        turn.events.append(event)
        apply(state, event, turn.effects)


def _settle(state: Execution, at: Instant, turn: Turn, effort: Effort) -> None:
    size = len(state.phase)
    while following := settle(state, at, effort):
        _fold(state, following, turn)
        if len(turn.events) + len(state.phase) - size > _LONGEST_TURN or state.read_left <= 0:
            turn.is_cut = True
            return
    if effort.left <= 0 or state.read_left <= 0:
        turn.is_cut = True
