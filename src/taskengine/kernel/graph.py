"""How one task's end reaches the others: joins, skips, handled failures, queues. Called by the fold alone.

Everything here is O(dependents) of the task that moved, once per move; nothing walks the whole graph.
"""

from __future__ import annotations

from collections.abc import Iterable

from taskengine.kernel import listening
from taskengine.kernel.join import LEFT, OK, UNHAPPY, Verdict, kind_of, verdict
from taskengine.kernel.queue import NOBODY, ReadyQueue
from taskengine.kernel.state import LOSSES_BEFORE_SUSPECT, Execution
from taskengine.kernel.timing import Clock
from taskengine.model.status import MOVES, Phase
from taskengine.model.value import Instant
from taskengine.model.workflow import Join

__all__ = [
    "admit_later",
    "count_end",
    "count_failure",
    "ended_as",
    "enqueue",
    "enter",
    "handle",
    "judge_join",
    "leave_queues",
    "make_ready",
    "note_order",
    "note_reopened",
    "settle_dependents",
    "start_clock",
    "tally_of",
]

_CHANGES_ORDER = frozenset({Phase.COMPLETED, Phase.EXPANDED})
_MOVES = tuple(MOVES[phase] for phase in Phase)


def enter(state: Execution, number: int, phase: Phase) -> None:
    """Move a task to a phase and keep the counters."""
    before = state.phase[number]
    assert phase in _MOVES[before], f"task {number} cannot go from {Phase(before).name} to {phase.name}"
    state.counts[before] -= 1
    state.counts[phase] += 1
    state.phase[number] = phase
    if number in state.watched:
        listening.changed(state, (number,))
    if phase >= Phase.COMPLETED:
        scope = state.scopes[number]
        if scope.base == number:
            state.blocks[before] -= 1
            state.blocks[phase] += 1
        elif number < state.undo_from:
            scope.left -= 1
            if not scope.left and not scope.is_swept:
                state.closing[scope.base] = None
    elif before >= Phase.COMPLETED:
        scope = state.scopes[number]
        scope.left += 1
        state.closing.pop(scope.base, None)


# ── joins ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def ended_as(state: Execution, number: int) -> int:
    """How a task's end counts for joins (OK, UNHAPPY, SKIPPED, LEFT): what a person has skipped counts as done."""
    return OK if number in state.skipped_by_person else kind_of(state.phase[number])


def tally_of(state: Execution, number: int) -> list[int]:
    """How a step's dependencies have ended so far. Kept where there are several, else read off the only one."""
    kept = state.tally.get(number)
    if kept is None:
        dependencies = state.steps[number].dependencies
        kept = [0, 0, 0, len(dependencies)]
        if len(dependencies) == 1:
            kept[LEFT] = 0
            kept[ended_as(state, state.scopes[number].base + dependencies[0])] = 1
    return kept


def settle_dependents(state: Execution, number: int, kind: int) -> None:
    """Tell the dependents that a task has ended, and how (OK, UNHAPPY, SKIPPED)."""
    scope = state.scopes[number]
    if scope.is_swept:
        return  # nothing in it happens any more
    steps, phase, base = state.steps, state.phase, scope.base
    for local in steps[number].dependents:
        dependent = base + local
        step = steps[dependent]
        if step.is_plain:
            if phase[dependent] == Phase.PENDING:
                if kind == OK:
                    make_ready(state, dependent)
                else:
                    state.skips[dependent] = None
            continue
        if phase[dependent] == Phase.COMPLETED:
            if kind == UNHAPPY:
                handle(state, dependent, (number,))
            continue
        if len(step.dependencies) > 1:
            count_end(state, dependent, kind)
        if phase[dependent] == Phase.PENDING:
            judge_join(state, dependent)


def count_end(state: Execution, number: int, kind: int) -> None:
    """Count the end of one of a step's several dependencies."""
    tally = state.tally.get(number)
    if tally is None:
        tally = state.tally[number] = [0, 0, 0, len(state.steps[number].dependencies)]
    tally[kind] += 1
    tally[LEFT] -= 1


def judge_join(state: Execution, number: int) -> None:
    """A pending task's dependencies may have said enough: make it ready, or note that it will be skipped."""
    match verdict(state.steps[number].join, tally_of(state, number)):
        case Verdict.START:
            make_ready(state, number)
        case Verdict.SKIP:
            state.skips[number] = None
        case Verdict.WAIT:
            pass


def handle(state: Execution, rescuer: int, failed: Iterable[int]) -> None:
    """A completed step handles those of its dependencies' failures that it names, if its join is made for failures."""
    step = state.steps[rescuer]
    if not step.step.handles or step.join not in {Join.ANY_FAILED, Join.ALL_DONE}:
        return
    for number in failed:
        if state.phase[number] != Phase.FAILED:
            continue
        task = state.live[number]
        if not task.is_handled and task.error is not None and task.error.matches(step.step.handles):
            count_failure(state, number, -1)
            task.is_handled = True


def count_failure(state: Execution, number: int, sign: int) -> None:
    """Keep what decides how the scope ends: its unhandled failures, and how much makes it partial."""
    scope = state.scopes[number]
    if scope.is_swept:
        return
    if state.phase[number] == Phase.CANCELLED or not state.steps[number].fails_execution:
        scope.flaws += sign
    elif sign > 0:
        scope.fail(number)
    elif scope.failures:
        scope.failures.discard(number)
        if not scope.failures:
            scope.failures = None


# ── the order of ends, which is the order of undoing ────────────────────────────────────────────────────────────────────


def note_order(state: Execution, number: int) -> None:
    """A step has ended, or a container has begun; perhaps before a step that it depends on, which its join did not wait for.

    What has not completed is only ``early``: it changes the order when something that depends on it completes, or begins by right.
    """
    scope = state.scopes[number]
    if not scope.block.has_undo:
        return
    before = [scope.base + local for local in state.steps[number].dependencies]
    if any(one in state.early or state.phase[one] < Phase.COMPLETED for one in before):
        if state.phase[number] in _CHANGES_ORDER or number in state.skipped_by_person:
            state.unordered.add(scope.base)
        else:
            state.early.add(number)


def note_reopened(state: Execution, number: int) -> None:
    """A step that had ended will end once more; perhaps after those that depend on it, or what is in them."""
    state.early.discard(number)
    scope = state.scopes[number]
    if scope.block.has_undo:
        after = [scope.base + local for local in state.steps[number].dependents]
        if any(state.phase[one] == Phase.EXPANDED or ended_as(state, one) in {OK, UNHAPPY} for one in after):
            state.unordered.add(scope.base)


# ── queues and clocks ────────────────────────────────────────────────────────────────────────────────────────────────


def make_ready(state: Execution, number: int) -> None:
    """A task may begin its next attempt as soon as it is its turn; from now on its queue timeout runs."""
    enter(state, number, Phase.READY)
    step = state.steps[number]
    if step.has_clocks and step.step.queue_timeout_ms is not None and not step.is_control:
        start_clock(state, number, Clock.QUEUE, state.at + step.step.queue_timeout_ms)
    enqueue(state, number)


def enqueue(state: Execution, number: int) -> None:
    """Put a ready task where it is looked for next: to be judged by its condition, or to be admitted. Held ones nowhere."""
    if state.paused and state.is_held(number):
        return
    step = state.steps[number]
    if step.is_control or (step.when is not None and not (number in state.live and state.live[number].attempt)):
        state.unjudged[number] = None
    else:
        admit_later(state, number)


def admit_later(state: Execution, number: int) -> None:
    """A judged task waits for a slot; suspects wait for the one that is kept for them."""
    task = state.live.get(number)
    queue = state.ready
    if task is not None and task.losses >= LOSSES_BEFORE_SUSPECT:
        if state.suspects is NOBODY:
            state.suspects = ReadyQueue()
        queue = state.suspects
    priority = state.steps[number].priority
    queue.add(number, state.priority if priority is None else priority)


def leave_queues(state: Execution, number: int) -> None:
    """Take a task out of every queue: it has begun, ended, or is held."""
    state.ready.discard(number)
    if state.suspects:
        state.suspects.discard(number)
    if state.unjudged:
        state.unjudged.pop(number, None)
    if state.skips:
        state.skips.pop(number, None)


def start_clock(state: Execution, number: int, clock: Clock, due_at: Instant) -> None:
    """Start a task's clock for an instant of the world, seen from now; it stands still at once when the task is held."""
    own = state.own_time(state.at)
    state.timers.set(number, clock, own + (due_at - state.at))
    if state.is_held(number):
        state.timers.freeze(number, own)
