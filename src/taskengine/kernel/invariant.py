"""Everything that must hold between two events, as a list of sentences. Runs after every fold in tests; O(size of the state)."""

from __future__ import annotations

from collections.abc import Iterator

from taskengine.kernel.graph import tally_of
from taskengine.kernel.join import LEFT, Verdict, kind_of, verdict
from taskengine.kernel.state import LOSSES_BEFORE_SUSPECT, SUSPECT_LOSSES, Execution, Task
from taskengine.kernel.timing import Clock
from taskengine.model.status import Phase

__all__ = ["broken", "check"]

_SEVERAL = 2  # dependencies, from which on a step counts them

_CLOCK_FITS = {
    Clock.ATTEMPT: frozenset({Phase.RUNNING}),
    Clock.TOTAL: frozenset({Phase.READY, Phase.RUNNING, Phase.RETRYING, Phase.WAITING}),
    Clock.QUEUE: frozenset({Phase.READY}),
    Clock.WAIT: frozenset({Phase.WAITING}),
    Clock.RETRY: frozenset({Phase.RETRYING}),
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
    if counts != state.counts:
        yield f"counts are {state.counts}, not {counts}"
    failures: set[int] = set()
    flaws = 0
    for number in range(1, len(state.phase)):
        phase = state.phase[number]
        if phase == Phase.CANCELLED:
            flaws += 1
        elif phase == Phase.FAILED and not state.live[number].is_handled:
            if state.plan.steps[number].fails_execution:
                failures.add(number)
            else:
                flaws += 1
    if (failures, flaws) != (state.failures, state.flaws):
        yield f"failures and flaws are {state.failures}, {state.flaws}, not {failures}, {flaws}"
    if state.signal_count != sum(map(len, state.signals.values())) or not all(state.signals.values()):
        yield "signals are not counted right"


def _joins(state: Execution) -> Iterator[str]:
    for step in state.plan.steps[1:]:
        number = step.number
        phase = state.phase[number]
        tally = [0, 0, 0, 0]
        for dependency in step.dependencies:
            tally[kind_of(state.phase[dependency])] += 1
        if phase == Phase.COMPLETED or len(step.dependencies) < _SEVERAL or tally[LEFT] == len(step.dependencies):
            if number in state.tally:
                yield f"{step.path} counts and need not"
        elif tally != state.tally.get(number):
            yield f"{step.path} counts {state.tally.get(number)}, not {tally}"
        if phase == Phase.PENDING:
            said = verdict(step.join, tally_of(state, number))
            if said is Verdict.START:
                yield f"{step.path} could start and is pending"
            if (said is Verdict.SKIP) != (number in state.skips):
                yield f"{step.path} is to be skipped: {number in state.skips}, its join says {said.value}"
        elif number in state.skips:
            yield f"{step.path} is to be skipped and {Phase(phase).name}"


def _queues(state: Execution) -> Iterator[str]:
    for step in state.plan.steps[1:]:
        number = step.number
        places = (number in state.ready) + (number in state.suspects) + (number in state.unjudged)
        is_wanted = state.phase[number] == Phase.READY and not state.is_held(number)
        if places != is_wanted:
            yield f"{step.path} is {Phase(state.phase[number]).name} and in {places} queues"
        is_suspect = number in state.live and state.live[number].losses >= LOSSES_BEFORE_SUSPECT
        if number in (state.ready if is_suspect else state.suspects):
            yield f"{step.path} is a suspect: {is_suspect}, and in the other queue"
    for queue in (state.ready, state.suspects):
        first = queue.first()
        if (first is None) != (not queue) or (first is not None and first[1] not in queue):
            yield f"a queue of {len(queue)} begins with {first}"


def _listeners(state: Execution) -> Iterator[str]:
    for number, task in state.live.items():
        is_listening = number in state.listeners.get(task.signal, {})
        if is_listening != (bool(task.signal) and not state.is_held(number)):
            yield f"{state.plan.steps[number].path} listens: {is_listening}"
    if sum(map(len, state.listeners.values())) > len(state.live) or not all(state.listeners.values()):
        yield "somebody listens who is not there"
    expected = {name for name in state.listeners if name in state.signals}
    if set(state.matchable) != expected:
        yield f"matchable signals are {set(state.matchable)}, not {expected}"


def _live_tasks(state: Execution) -> Iterator[str]:
    for number, task in state.live.items():
        phase = Phase(state.phase[number])
        path = state.plan.steps[number].path
        if phase == Phase.COMPLETED or (phase == Phase.SKIPPED and not task.attempt):
            yield f"{path} is {phase.name} and still live"
        if (phase == Phase.RUNNING and not state.is_finished) != task.is_launched:
            yield f"{path} is {phase.name} and launched: {task.is_launched}"
        yield from (f"{path} is {phase.name} and {problem}" for problem in _task(task, phase, state))
        if not 0 <= task.used <= max(1, state.plan.steps[number].retry.max_attempts) or task.used > task.attempt:
            yield f"{path} has used {task.used} of {task.attempt} attempts"
    for number in range(1, len(state.phase)):
        if state.phase[number] in {Phase.RUNNING, Phase.WAITING, Phase.RETRYING, Phase.FAILED} and number not in state.live:
            yield f"{state.plan.steps[number].path} is {Phase(state.phase[number]).name} and nothing is remembered of it"


def _task(task: Task, phase: Phase, state: Execution) -> Iterator[str]:
    if (task.is_suspect or task.is_cancelling or task.is_overdue) and not task.is_launched:
        yield "something is asked of an attempt that is over"
    if (task.is_stuck or task.signal) and phase != Phase.WAITING:
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
    if state.is_cancelling and (state.is_paused or state.paused) and not state.is_finished:
        yield "it is being cancelled and paused"
    bound = state.plan.workflow.limits.max_concurrency
    if bound is not None and state.counts[Phase.RUNNING] > bound:
        yield f"{state.counts[Phase.RUNNING]} run, {bound} may"


def _outputs(state: Execution) -> Iterator[str]:
    if set(state.outputs) != set(state.unread):
        yield "outputs and their readers differ"
    for number in range(1, len(state.phase)):
        readers = sum(1 for reader in state.plan.readers[number] if state.phase[reader] != Phase.COMPLETED)
        readers += number in state.plan.output_reads.tasks
        is_kept = number in state.outputs
        if is_kept != (state.phase[number] == Phase.COMPLETED and readers > 0):
            yield f"the output of {state.plan.steps[number].path} is kept: {is_kept}, readers: {readers}"
        elif is_kept and state.unread[number] != readers:
            yield f"{state.plan.steps[number].path} has {readers} readers, not {state.unread[number]}"


def _clocks(state: Execution) -> Iterator[str]:
    for number, clock in (*state.timers.due, *state.timers.frozen):
        phase = Phase(state.phase[number])
        if phase not in _CLOCK_FITS[Clock(clock)]:
            yield f"{state.plan.steps[number].path} is {phase.name} and its {Clock(clock).name} clock runs"
    if any(state.is_held(number) for number, _ in state.timers.due):
        yield "the clock of a paused task runs"
    if any(not state.is_held(number) for number, _ in state.timers.frozen):
        yield "the clock of a task that is not paused stands still"
    if state.due_at() != state.wake_at:
        yield f"wake_at is {state.wake_at}, not {state.due_at()}"
    if (state.expires_at is None) != (state.plan.workflow.limits.timeout_ms is None or state.is_finished):
        yield f"it expires at {state.expires_at}"
