"""How one task's end reaches the others: joins, skips, handled failures, outputs nobody reads any more. Called by evolve alone.

Everything here is O(dependents) of the task that moved, once per move; nothing walks the whole graph.
"""

from __future__ import annotations

from taskengine.kernel.join import OK, SKIPPED, UNHAPPY, Verdict, kind_of, verdict
from taskengine.kernel.plan import StepPlan
from taskengine.kernel.state import LOSSES_BEFORE_SUSPECT, Execution
from taskengine.kernel.timing import Clock
from taskengine.model.status import MOVES, Phase
from taskengine.model.workflow import Join

__all__ = [
    "admit_later",
    "count_failure",
    "enqueue",
    "enter",
    "handle",
    "judge_join",
    "leave_queues",
    "listen",
    "reopen",
    "settle_dependents",
    "start_clock",
    "stop_listening",
]


def enter(state: Execution, number: int, phase: Phase) -> None:
    """Move a task to a phase and keep the counters. Every phase of every task is assigned here."""
    before = state.phase[number]
    assert phase in MOVES[Phase(before)], f"task {number} cannot go from {Phase(before).name} to {phase.name}"
    state.counts[before] -= 1
    state.counts[phase] += 1
    state.phase[number] = phase


def settle_dependents(state: Execution, number: int, kind: int) -> None:
    """Tell the dependents that a task has ended, and how (OK, UNHAPPY, SKIPPED)."""
    left, steps, phase = state.left, state.plan.steps, state.phase
    for dependent in steps[number].dependents:
        left[dependent] -= 1
        step = steps[dependent]
        if step.join is Join.ALL_SUCCESS and kind == OK:  # the common case, without a tally
            if left[dependent] == 0 and phase[dependent] == Phase.PENDING and dependent not in state.skips:
                _make_ready(state, dependent)
            continue
        tally = state.tally.setdefault(dependent, [0, 0, 0])
        tally[kind] += 1
        if phase[dependent] == Phase.PENDING:
            judge_join(state, dependent)
        elif kind == UNHAPPY and phase[dependent] == Phase.COMPLETED:
            handle(state, dependent, (number,))


def judge_join(state: Execution, number: int) -> None:
    """A pending task's dependencies may have said enough: make it ready, or note that it will be skipped."""
    step = state.plan.steps[number]
    tally = state.tally.get(number)
    if tally is None or step.join is Join.ALL_SUCCESS:  # ALL_SUCCESS counts its good ones by ``left`` alone
        unhappy, skipped = (tally[UNHAPPY], tally[SKIPPED]) if tally else (0, 0)
        tally = [len(step.dependencies) - state.left[number] - unhappy - skipped, unhappy, skipped]
    match verdict(step.join, state.left[number], tally):
        case Verdict.START:
            state.skips.pop(number, None)
            _make_ready(state, number)
        case Verdict.SKIP:
            state.skips[number] = None
        case Verdict.WAIT:
            state.skips.pop(number, None)


def _make_ready(state: Execution, number: int) -> None:
    enter(state, number, Phase.READY)
    step = state.plan.steps[number]
    if step.step.queue_timeout_ms is not None and not step.is_control:
        start_clock(state, number, Clock.QUEUE, state.at + step.step.queue_timeout_ms)
    enqueue(state, number)


def enqueue(state: Execution, number: int) -> None:
    """Put a ready task where it is looked for next: to be judged by its condition, or to be admitted. Held ones nowhere."""
    if state.is_held(number):
        return
    step = state.plan.steps[number]
    task = state.live.get(number)
    if step.is_control or (step.when is not None and (task is None or task.attempt == 0)):
        state.unjudged[number] = None
    else:
        admit_later(state, step)


def admit_later(state: Execution, step: StepPlan) -> None:
    """A judged task waits for a slot; suspects wait for the one that is kept for them."""
    task = state.live.get(step.number)
    is_suspect = task is not None and task.losses >= LOSSES_BEFORE_SUSPECT
    (state.suspects if is_suspect else state.ready).add(step.number, step.priority)


def leave_queues(state: Execution, number: int) -> None:
    """Take a task out of every queue: it has begun, ended, or is held."""
    state.ready.discard(number)
    if state.suspects:
        state.suspects.discard(number)
    state.unjudged.pop(number, None)
    state.skips.pop(number, None)


def listen(state: Execution, number: int, signal: str) -> None:
    """A waiting step listens for a signal, unless it is held."""
    if state.is_held(number):
        return
    state.listeners.setdefault(signal, {})[number] = None
    if signal in state.signals:
        state.matchable[signal] = None


def stop_listening(state: Execution, number: int, signal: str) -> None:
    """It ended, or is held."""
    listeners = state.listeners.get(signal)
    if listeners is not None and number in listeners:
        del listeners[number]
        if not listeners:
            del state.listeners[signal]
            state.matchable.pop(signal, None)


def start_clock(state: Execution, number: int, clock: Clock, due_at: int) -> None:
    """Start a task's clock for an instant of the world, seen from now; it stands still at once when the task is held."""
    own = state.own_time(state.at)
    due = own + (due_at - state.at)
    state.timers.set(number, clock, due)
    if state.is_held(number):
        state.timers.freeze(number, own)


def handle(state: Execution, handler: int, failed: tuple[int, ...]) -> None:
    """A completed step handles those of its dependencies' failures that it names, if its join is made for failures."""
    step = state.plan.steps[handler]
    if not step.step.handles or step.join not in {Join.ANY_FAILED, Join.ALL_DONE}:
        return
    for number in failed:
        task = state.live.get(number)
        if state.phase[number] != Phase.FAILED or task is None or task.is_handled or task.error is None:
            continue
        if task.error.matches(step.step.handles):
            task.is_handled = True
            count_failure(state, number, -1)


def count_failure(state: Execution, number: int, sign: int) -> None:
    """Keep the two counters that decide how the execution ends: unhandled failures, and what makes it partial."""
    if state.phase[number] == Phase.FAILED and state.plan.steps[number].fails_execution:
        state.unhandled += sign
        if sign > 0:
            state.failures[number] = None
        else:
            state.failures.pop(number, None)
    else:
        state.flaws += sign


def reopen(state: Execution, numbers: tuple[int, ...]) -> None:
    """Let ended tasks begin again, and with them everything that was skipped because of them."""
    chosen = set(numbers)
    queue = list(numbers)
    for number in queue:
        for dependent in state.plan.steps[number].dependents:
            if state.phase[dependent] == Phase.SKIPPED and dependent not in chosen:
                chosen.add(dependent)
                queue.append(dependent)
    touched = {dependent for number in queue for dependent in _unsettle(state, number)}
    for number in sorted(chosen | touched):
        task = state.live.get(number)
        if number in chosen and task is not None and task.attempt > 0:
            enter(state, number, Phase.READY)
            enqueue(state, number)
        elif state.phase[number] == Phase.PENDING:
            judge_join(state, number)


def _unsettle(state: Execution, number: int) -> list[int]:
    """Take back what a task's end told the others; return those that were ready because of it and are pending again."""
    touched: list[int] = []
    before = state.phase[number]
    task = state.live.get(number)
    if before in {Phase.FAILED, Phase.CANCELLED} and not (task and task.is_handled):
        count_failure(state, number, -1)
    kind = kind_of(before)
    for dependent in state.plan.steps[number].dependents:
        state.left[dependent] += 1
        tally = state.tally.get(dependent)
        if tally is not None and not (kind == OK and state.plan.steps[dependent].join is Join.ALL_SUCCESS):
            tally[kind] -= 1
        state.skips.pop(dependent, None)
        if state.phase[dependent] == Phase.READY and (dependent not in state.live or state.live[dependent].attempt == 0):
            leave_queues(state, dependent)
            state.timers.drop(dependent, Clock.QUEUE)
            enter(state, dependent, Phase.PENDING)
            touched.append(dependent)
    if task is None or task.attempt == 0:
        enter(state, number, Phase.PENDING)
    if task is not None:
        task.begin_round()
    return touched
