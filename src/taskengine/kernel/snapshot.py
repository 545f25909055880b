"""The facts of a state as one JSON document, and back. Indexes are left out and rebuilt.

A document that does not decode is ignored by the caller, who folds the whole history instead.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from taskengine.kernel.plan import Plan
from taskengine.kernel.rebuild import Order, rebuild
from taskengine.kernel.saga import enrol
from taskengine.kernel.scope import Group, Saga, Scope, begun_group
from taskengine.kernel.state import BY_PERSON, Execution
from taskengine.kernel.task import Task
from taskengine.kernel.timing import Clock
from taskengine.model.status import Outcome, Phase, Status
from taskengine.model.value import ABSENT, Instant, Parent, Raw, TaskError, encode

__all__ = ["dump", "restore"]

_FORM: Final = 2


class _Scope(msgspec.Struct, frozen=True, array_like=True):
    """A scope, in the order in which they were opened; the numbers of its tasks follow from that."""

    container: int
    index: int
    is_swept: bool
    item: list[Raw] = []  # one, where its container has completed and a compensation may ask for it


class _Group(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the config of its container does not tell of a group, or tells no more."""

    case: int
    total: int | None
    window: int
    is_closed: bool
    outputs: list[tuple[int, Raw]]


class _Saga(msgspec.Struct, frozen=True, omit_defaults=True):
    originals: tuple[int, ...]
    error: TaskError | None = None
    outcome: Outcome | None = None


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
    paused: list[int]
    pause_started_at: Instant | None
    paused_ms: int
    due: list[tuple[int, int, Instant]]
    frozen: list[tuple[int, int, int]]
    signals: dict[str, list[Raw]]
    order: Order
    scopes: list[_Scope] = []
    groups: list[tuple[int, _Group]] = []
    sweeps: list[tuple[int, int]] = []
    parent: Parent | None = None
    undoable: list[int] = []
    undoes: bool = False
    early: list[int] = []
    unordered: list[int] = []
    saga: _Saga | None = None
    is_met: bool = False
    skipped_by_person: list[tuple[int, tuple[str, str]]] = []
    forked_from: str = ""
    forked_at: str = ""
    pins: dict[str, str] = {}
    input: Raw = ABSENT
    output: Raw = ABSENT
    pauses: int = 0


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
            scopes=_scopes(state),
            groups=[(number, _group(group)) for number, group in sorted(state.groups.items())],
            sweeps=list(state.sweeps.items()),
            is_met=state.is_met,
            skipped_by_person=list(state.skipped_by_person.items()),
            parent=state.parent,
            undoable=state.undoable,
            undoes=state.undoes,
            early=sorted(state.early),
            unordered=sorted(state.unordered),
            forked_from=state.forked_from,
            forked_at=state.forked_at,
            pins=state.pins,
            saga=None if state.saga is None else _Saga(state.saga.originals, state.saga.error, state.saga.outcome),
            pause_started_at=state.pause_started_at,
            pauses=state.pauses,
            paused_ms=state.paused_ms,
            due=[(task, clock, due) for (task, clock), due in state.timers.due.items()],
            frozen=[(task, clock, left) for (task, clock), left in state.timers.frozen.items()],
            signals={name: list(queue) for name, queue in state.signals.items()},
            order=Order.of(state),
        )
    )


def restore(execution_id: str, plan: Plan, document: bytes) -> Execution:
    """Decode and rebuild. Raises ``ValueError`` (``msgspec.DecodeError`` is one) for what is no snapshot of this plan."""
    kept = _decoder.decode(document)
    if kept.form != _FORM or len(kept.phase) < len(plan.steps):
        raise ValueError(f"form {kept.form} for {len(kept.phase)} tasks does not fit this plan")
    state = Execution(execution_id, plan)
    try:
        _fill(state, kept)
        rebuild(state, kept.order, is_same=True)
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
    state.parent, state.pins = kept.parent, kept.pins
    state.is_met, state.undoes, state.undoable = kept.is_met, kept.undoes, kept.undoable
    state.early, state.unordered = set(kept.early), set(kept.unordered)
    state.forked_from, state.forked_at = kept.forked_from, kept.forked_at
    for number, task in kept.live:
        task.input = _copy(task.input)
        state.live[number] = task
    _open(state, kept)
    if kept.saga is not None:
        state.saga = Saga(len(state.steps), kept.saga.originals, kept.saga.error, kept.saga.outcome)
        enrol(state, state.saga)
        state.root.is_swept = True
    state.phase = bytearray(kept.phase)
    if len(state.phase) != len(state.steps):
        raise ValueError(f"{len(state.phase)} tasks: it does not fit this plan, which gives {len(state.steps)}")
    state.outputs = {number: value.copy() for number, value in kept.outputs}
    state.skipped_by_person = dict(kept.skipped_by_person)
    state.paused = set(kept.paused)
    state.pause_started_at, state.paused_ms = kept.pause_started_at, kept.paused_ms
    state.pauses = kept.pauses or (BY_PERSON if state.is_paused else 0)
    for number, clock, due in kept.due:
        state.timers.set(number, Clock(clock), due)
    for number, clock, left in kept.frozen:
        state.timers.frozen[(number, clock)] = left
    state.signals = {name: deque(value.copy() for value in queue) for name, queue in kept.signals.items()}


def _copy(value: Raw) -> Raw:
    return value.copy() if value else ABSENT


def _scopes(state: Execution) -> list[_Scope]:
    opened = [scope for number, scope in enumerate(state.scopes) if number and scope.base == number]
    return [
        _Scope(scope.container, scope.index, scope.is_swept, [scope.item])
        if scope.item and state.phase[scope.container] == Phase.COMPLETED
        else _Scope(scope.container, scope.index, scope.is_swept)
        for scope in opened
    ]


def _open(state: Execution, kept: _Snapshot) -> None:
    """Groups and scopes, as the events opened them."""
    given = dict(kept.groups)
    if given:
        state.steps = list(state.steps)
    _begin_groups(state, range(len(state.scopes)), given)
    for one in kept.scopes:
        group, step = state.groups[one.container], state.steps[one.container]
        block = step.blocks[0 if len(step.blocks) == 1 else one.index]
        base = len(state.steps)
        is_over = kept.phase[one.container] == Phase.COMPLETED
        item = group.item_of(one.index)
        if is_over:
            item = one.item[0].copy() if one.item else ABSENT
        scope = Scope(base, block, one.container, state.scopes[one.container], one.index, item, is_swept=one.is_swept)
        group.bases.append(base)
        state.steps.extend(block.steps)  # type: ignore[attr-defined]
        state.scopes.extend([scope] * (block.size + 1))
        _begin_groups(state, range(base, len(state.steps)), given)
    state.sweeps = dict(kept.sweeps)


def _group(group: Group) -> _Group:
    return _Group(group.block, group.total, group.window, group.is_closed, list(group.outputs.items()))


def _begin_groups(state: Execution, numbers: range, given: dict[int, _Group]) -> None:
    for number in numbers:
        kept = given.get(number)
        if kept is None:
            continue
        task = state.live.get(number)  # forgotten when it has completed: nothing begins in it any more
        begun = None if task is None else begun_group(state.steps[number], task.input, kept.case)
        group = Group(kept.total, kept.window, block=kept.case) if begun is None else begun
        group.is_closed = kept.is_closed
        group.outputs = {index: output.copy() for index, output in kept.outputs}
        state.groups[number] = group
