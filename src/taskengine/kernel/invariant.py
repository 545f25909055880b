"""Everything that must hold between two events, as a list of sentences. Runs after every fold in tests; O(size of the state)."""

from __future__ import annotations

from collections.abc import Iterator

from taskengine.kernel.graph import ended_as, tally_of
from taskengine.kernel.join import LEFT, Verdict, verdict
from taskengine.kernel.scope import Group, Scope
from taskengine.kernel.state import LOSSES_BEFORE_SUSPECT, SUSPECT_LOSSES, Execution
from taskengine.kernel.task import Task
from taskengine.kernel.timing import Clock
from taskengine.model.status import Phase

__all__ = ["broken", "check"]

_SEVERAL = 2  # dependencies, from which on a step counts them

_CLOCK_FITS = {
    Clock.ATTEMPT: frozenset({Phase.RUNNING}),
    Clock.TOTAL: frozenset({Phase.READY, Phase.RUNNING, Phase.RETRYING, Phase.WAITING, Phase.EXPANDED}),
    Clock.QUEUE: frozenset({Phase.READY}),
    Clock.WAIT: frozenset({Phase.WAITING}),
    Clock.RETRY: frozenset({Phase.RETRYING}),
    Clock.ESCALATE: frozenset({Phase.WAITING}),
}


def check(state: Execution) -> None:
    """Raise ``AssertionError`` naming every rule that does not hold."""
    problems = list(broken(state))
    assert not problems, f"{state.execution_id} after event {state.seq}: " + "; ".join(problems)


def broken(state: Execution) -> Iterator[str]:
    """The rules that do not hold."""
    yield from _counters(state)
    if state.seq:
        yield from _joins(state)
        yield from _queues(state)
        yield from _listeners(state)
        yield from _live_tasks(state)
        yield from _ends(state)
        yield from _outputs(state)
        yield from _clocks(state)


def _counters(state: Execution) -> Iterator[str]:
    counts = [0] * len(Phase)
    for phase in state.phase[1:]:
        counts[phase] += 1
    blocks = [0] * len(Phase)
    for scope in _scopes(state):
        if scope.base:
            blocks[state.phase[scope.base]] += 1
    if blocks != state.blocks:
        yield f"blocks are {state.blocks}, not {blocks}"
    if counts != state.counts:
        yield f"counts are {state.counts}, not {counts}"
    for scope in _scopes(state):
        yield from _scope(state, scope)
    for number, group in state.groups.items():
        yield from _group(state, number, group)
    if any(state.phase[number] != Phase.SKIPPED for number in state.skipped_by_person):
        yield f"a person has skipped {sorted(state.skipped_by_person)}, not all of them are"
    if state.signal_count != sum(map(len, state.signals.values())) or not all(state.signals.values()):
        yield "signals are not counted right"


def _scopes(state: Execution) -> Iterator[Scope]:
    return (scope for number, scope in enumerate(state.scopes) if scope.base == number)


def _scope(state: Execution, scope: Scope) -> Iterator[str]:
    path, numbers = state.path_of(scope.base), range(scope.base + 1, scope.base + 1 + scope.block.size)
    left = sum(1 for number in numbers if state.phase[number] < Phase.COMPLETED)
    if left != scope.left:
        yield f"{path} has {scope.left} steps left, not {left}"
    is_open = state.seq > 0 and (scope.base == 0 or state.phase[scope.base] == Phase.EXPANDED)
    if scope.is_swept:
        return
    is_over = state.is_finished or (state.saga is not None and not scope.base)
    if not is_over and (scope.base in state.closing) != (is_open and not left):
        yield f"{path} is to be closed: {scope.base in state.closing}"
    failures: set[int] = set()
    flaws = 0
    for number in numbers:
        phase = state.phase[number]
        if phase == Phase.CANCELLED:
            flaws += 1
        elif phase == Phase.FAILED and not state.live[number].is_handled:
            if state.steps[number].fails_execution:
                failures.add(number)
            else:
                flaws += 1
        elif phase == Phase.COMPLETED and number in state.groups:
            flaws += state.groups[number].is_partial
    if (failures, flaws) != (scope.failures or set(), scope.flaws):
        yield f"{path}: failures and flaws are {scope.failures}, {scope.flaws}, not {failures}, {flaws}"


def _group(state: Execution, number: int, group: Group) -> Iterator[str]:
    path = state.path_of(number)
    phases = [state.phase[base] for base in group.bases]
    ends = [phases.count(phase) for phase in (Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED)]
    if ends != [group.completed, group.failed, group.cancelled]:
        yield f"{path} counts {group.completed}, {group.failed}, {group.cancelled} ends, not {ends}"
    if group.total is not None and group.opened > group.total:
        yield f"{path} has opened {group.opened} of {group.total}"
    if state.phase[number] != Phase.EXPANDED:
        if number in state.spreading or Phase.EXPANDED in phases:
            yield f"{path} is {Phase(state.phase[number]).name} and goes on"
    elif number in state.spreading and (state.is_held(number) or number in state.sweeps):
        yield f"{path} is held and spreads"
    if number in state.sweeps:
        running = sum(1 for task in state.live.values() if task.swept_by == number)
        if running != state.sweeps[number]:
            yield f"{path} waits for {state.sweeps[number]} attempts, not {running}"


def _joins(state: Execution) -> Iterator[str]:
    for number, step in enumerate(state.steps[: state.undo_from]):
        scope = state.scopes[number]
        if number == scope.base or scope.is_swept:
            continue
        phase, path = state.phase[number], step.path
        tally = [0, 0, 0, 0]
        for dependency in step.dependencies:
            tally[ended_as(state, scope.base + dependency)] += 1
        if phase == Phase.COMPLETED or len(step.dependencies) < _SEVERAL or tally[LEFT] == len(step.dependencies):
            if number in state.tally:
                yield f"{path} counts and need not"
        elif tally != state.tally.get(number):
            yield f"{path} counts {state.tally.get(number)}, not {tally}"
        if phase == Phase.PENDING:
            yield from _pending(state, number)
        elif number in state.skips:
            yield f"{path} is to be skipped and {Phase(phase).name}"


def _pending(state: Execution, number: int) -> Iterator[str]:
    said, path = verdict(state.steps[number].join, tally_of(state, number)), state.path_of(number)
    if said is Verdict.START:
        yield f"{path} could start and is pending"
    if (said is Verdict.SKIP) != (number in state.skips):
        yield f"{path} is to be skipped: {number in state.skips}, its join says {said.value}"


def _queues(state: Execution) -> Iterator[str]:
    for number in range(1, len(state.phase)):
        path = state.steps[number].path
        places = (number in state.ready) + (number in state.suspects) + (number in state.unjudged)
        is_wanted = state.phase[number] == Phase.READY and not state.is_held(number)
        if places != is_wanted:
            yield f"{path} is {Phase(state.phase[number]).name} and in {places} queues"
        is_suspect = number in state.live and state.live[number].losses >= LOSSES_BEFORE_SUSPECT
        if number in (state.ready if is_suspect else state.suspects):
            yield f"{path} is a suspect: {is_suspect}, and in the other queue"
    for queue in (state.ready, state.suspects):
        first = queue.first()
        if (first is None) != (not queue) or (first is not None and first[1] not in queue):
            yield f"a queue of {len(queue)} begins with {first}"


def _listeners(state: Execution) -> Iterator[str]:
    for number, task in state.live.items():
        is_listening = number in state.listeners.get(task.signal, {})
        if is_listening != (bool(task.signal) and not state.is_held(number)):
            yield f"{state.path_of(number)} listens: {is_listening}"
    if sum(map(len, state.listeners.values())) > len(state.live) or not all(state.listeners.values()):
        yield "somebody listens who is not there"
    expected = {name for name in state.listeners if name in state.signals}
    sifted = {name for name in expected if all(state.steps[number].filter is not None for number in state.listeners[name])}
    if not expected - sifted <= set(state.matchable) <= expected:
        yield f"matchable signals are {set(state.matchable)}, not {expected}"


def _live_tasks(state: Execution) -> Iterator[str]:
    for number, task in state.live.items():
        phase = Phase(state.phase[number])
        path = state.path_of(number)
        if phase == Phase.COMPLETED or (phase == Phase.SKIPPED and not task.attempt):
            yield f"{path} is {phase.name} and still live"
        if (phase == Phase.RUNNING and not state.is_finished) != task.is_launched:
            yield f"{path} is {phase.name} and launched: {task.is_launched}"
        yield from (f"{path} is {phase.name} and {problem}" for problem in _task(task, phase, state))
        if not 0 <= task.used <= max(1, state.steps[number].retry.max_attempts) or task.used > task.attempt:
            yield f"{path} has used {task.used} of {task.attempt} attempts"
    for number in range(1, len(state.phase)):
        if state.phase[number] in {Phase.RUNNING, Phase.WAITING, Phase.RETRYING, Phase.FAILED} and number not in state.live:
            yield f"{state.path_of(number)} is {Phase(state.phase[number]).name} and nothing is remembered of it"


def _task(task: Task, phase: Phase, state: Execution) -> Iterator[str]:
    if (task.is_suspect or task.is_cancelling or task.is_overdue) and not (task.is_launched or task.child):
        yield "something is asked of an attempt that is over"
    if (task.is_stuck or task.signal or task.child) and phase != Phase.WAITING:
        yield "it waits"
    if phase == Phase.FAILED and task.error is None:
        yield "there is no error"
    if phase in {Phase.PENDING, Phase.CANCELLED, Phase.SKIPPED} and task.error is not None:
        yield f"its error is {task.error.type}"
    if task.is_handled and phase != Phase.FAILED:
        yield "it is handled"
    if task.suspect_losses > SUSPECT_LOSSES or task.suspect_losses > task.losses:
        yield f"it was lost {task.losses} times, {task.suspect_losses} alone"
    if state.is_cancelling and task.is_launched and not task.is_cancelling:
        yield "nobody asked it to stop"


def _ends(state: Execution) -> Iterator[str]:
    if state.is_finished:
        if state.open_count:
            yield f"{state.open_count} tasks are open at the end"
        if state.finished_at is None:
            yield "finished without an instant"
        if state.timers.due or state.timers.frozen or state.wake_at is not None:
            yield "a clock runs at the end"
    elif state.is_swept or state.finished_at is not None or state.outcome is not None:
        yield "it has the marks of an end and goes on"
    if bool(state.pauses) != state.is_paused and not state.is_finished:
        yield f"it is paused: {state.is_paused}, by {state.pauses}"
    if state.is_cancelling and (state.is_paused or state.paused) and not state.is_finished:
        yield "it is being cancelled and paused"
    bound = state.plan.workflow.limits.max_concurrency
    if bound is not None and state.counts[Phase.RUNNING] > bound:
        yield f"{state.counts[Phase.RUNNING]} run, {bound} may"


def _outputs(state: Execution) -> Iterator[str]:
    if set(state.outputs) != set(state.unread):
        yield "outputs and their readers differ"
    for number in range(1, min(len(state.phase), state.undo_from)):
        scope = state.scopes[number]
        local = number - scope.base
        if not local or _is_done_with(state, scope):
            continue  # what a scope that has ended keeps is for compensations, or for the condition of its loop
        readers = sum(1 for reader in scope.block.readers[local] if state.phase[scope.base + reader] != Phase.COMPLETED)
        readers += local in scope.block.kept
        is_kept = number in state.outputs
        if is_kept != (state.phase[number] == Phase.COMPLETED and readers > 0):
            yield f"the output of {state.path_of(number)} is kept: {is_kept}, readers: {readers}"
        elif is_kept and state.unread[number] != readers:
            yield f"{state.path_of(number)} has {readers} readers, not {state.unread[number]}"


def _is_done_with(state: Execution, scope: Scope) -> bool:
    return scope.base > 0 and Phase.COMPLETED in {state.phase[scope.base], state.phase[scope.container]}


def _clocks(state: Execution) -> Iterator[str]:
    for number, clock in (*state.timers.due, *state.timers.frozen):
        phase = Phase(state.phase[number])
        if phase not in _CLOCK_FITS[Clock(clock)]:
            yield f"{state.path_of(number)} is {phase.name} and its {Clock(clock).name} clock runs"
    if any(state.is_held(number) for number, _ in state.timers.due):
        yield "the clock of a paused task runs"
    if any(not state.is_held(number) for number, _ in state.timers.frozen):
        yield "the clock of a task that is not paused stands still"
    if state.due_at() != state.wake_at:
        yield f"wake_at is {state.wake_at}, not {state.due_at()}"
    if (state.expires_at is None) != (state.plan.workflow.limits.timeout_ms is None or state.is_finished or state.saga is not None):
        yield f"it expires at {state.expires_at}"
