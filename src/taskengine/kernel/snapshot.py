"""The facts of a state as one JSON document, and back. Indexes are left out and rebuilt.

A document that does not decode is ignored by the caller, who folds the whole history instead.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from taskengine.kernel import graph
from taskengine.kernel.plan import Plan
from taskengine.kernel.rebuild import rebuild
from taskengine.kernel.state import Execution, Task
from taskengine.kernel.timing import Clock
from taskengine.model.status import Outcome, Status
from taskengine.model.value import ABSENT, Instant, Raw, TaskError, encode

__all__ = ["dump", "restore"]

_FORM: Final = 1


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    form: int
    seq: int
    at: Instant
    seed: int
    priority: int
    business_key: str
    variables: dict[str, Raw]
    started_at: Instant | None
    expires_at: Instant | None
    finished_at: Instant | None
    status_at_end: Status | None
    outcome: Outcome | None
    error: TaskError | None
    is_cancelling: bool
    is_swept: bool
    cancel_reason: str
    phase: bytes
    live: list[tuple[int, Task]]
    outputs: list[tuple[int, Raw]]
    paused: list[str]
    pause_started_at: Instant | None
    paused_ms: int
    due: list[tuple[int, int, Instant]]
    frozen: list[tuple[int, int, int]]
    signals: dict[str, list[Raw]]
    # what the facts do not tell of the indexes: their order, and which conditions have been found true
    listening: list[int]
    matchable: list[str]
    unjudged: list[int]
    skips: list[int]
    input: Raw = ABSENT
    output: Raw = ABSENT


_decoder: Final = msgspec.json.Decoder(_Snapshot)


def dump(state: Execution) -> bytes:
    """Encode the facts. O(size of the state), never of the history."""
    return encode(
        _Snapshot(
            form=_FORM,
            seq=state.seq,
            at=state.at,
            seed=state.seed,
            priority=state.priority,
            business_key=state.business_key,
            input=state.input or ABSENT,
            variables=state.variables,
            started_at=state.started_at,
            expires_at=state.expires_at,
            finished_at=state.finished_at,
            status_at_end=state.status_at_end,
            outcome=state.outcome,
            error=state.error,
            output=state.output or ABSENT,
            is_cancelling=state.is_cancelling,
            is_swept=state.is_swept,
            cancel_reason=state.cancel_reason,
            phase=bytes(state.phase),
            live=list(state.live.items()),
            outputs=list(state.outputs.items()),
            paused=sorted(state.paused),
            pause_started_at=state.pause_started_at,
            paused_ms=state.paused_ms,
            due=[(task, clock, due) for (task, clock), due in state.timers.due.items()],
            frozen=[(task, clock, left) for (task, clock), left in state.timers.frozen.items()],
            signals={name: list(queue) for name, queue in state.signals.items()},
            listening=[number for listeners in state.listeners.values() for number in listeners],
            matchable=list(state.matchable),
            unjudged=list(state.unjudged),
            skips=list(state.skips),
        )
    )


def restore(execution_id: str, plan: Plan, document: bytes) -> Execution:
    """Decode and rebuild. Raises ``ValueError`` (``msgspec.DecodeError`` is one) for what is no snapshot of this plan."""
    kept = _decoder.decode(document)
    if kept.form != _FORM or len(kept.phase) != len(plan.steps):
        raise ValueError(f"form {kept.form} for {len(kept.phase)} tasks does not fit this plan")
    state = Execution(execution_id, plan)
    try:
        _fill(state, kept)
        rebuild(state)
        _order(state, kept)
    except (LookupError, AssertionError) as error:
        raise ValueError(f"the snapshot of {execution_id} contradicts itself: {error!r}") from error
    state.wake_at = state.due_at()
    return state


def _fill(state: Execution, kept: _Snapshot) -> None:
    """The facts. Payloads are copied: else each would keep the whole document in memory."""
    state.seq, state.at, state.seed = kept.seq, kept.at, kept.seed
    state.priority, state.business_key = kept.priority, kept.business_key
    state.input, state.output = _copy(kept.input), _copy(kept.output)
    state.variables = {name: value.copy() for name, value in kept.variables.items()}
    state.started_at, state.expires_at, state.finished_at = kept.started_at, kept.expires_at, kept.finished_at
    state.status_at_end, state.outcome, state.error = kept.status_at_end, kept.outcome, kept.error
    state.is_cancelling, state.is_swept, state.cancel_reason = kept.is_cancelling, kept.is_swept, kept.cancel_reason
    state.phase = bytearray(kept.phase)
    for number, task in kept.live:
        task.input = _copy(task.input)
        state.live[number] = task
    state.outputs = {number: value.copy() for number, value in kept.outputs}
    state.paused = set(kept.paused)
    state.pause_started_at, state.paused_ms = kept.pause_started_at, kept.paused_ms
    for number, clock, due in kept.due:
        state.timers.set(number, Clock(clock), due)
    for number, clock, left in kept.frozen:
        state.timers.frozen[(number, clock)] = left
    state.signals = {name: deque(value.copy() for value in queue) for name, queue in kept.signals.items()}


def _copy(value: Raw) -> Raw:
    return value.copy() if value else ABSENT


def _order(state: Execution, kept: _Snapshot) -> None:
    """Who has waited longest, and what has been judged, is nothing that the phases tell."""
    state.listeners.clear()
    for number in kept.listening:
        state.listeners.setdefault(state.live[number].signal, {})[number] = None
    for name in kept.matchable:
        state.matchable[name] = state.matchable.pop(name)
    for number in state.unjudged.keys() - kept.unjudged:
        del state.unjudged[number]  # its condition has been found true
        graph.admit_later(state, state.plan.steps[number])
    for number in kept.unjudged:
        state.unjudged[number] = state.unjudged.pop(number)
    for number in kept.skips:
        state.skips[number] = state.skips.pop(number)
