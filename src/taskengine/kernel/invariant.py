"""Everything that must hold between two events, as a list of sentences. Runs after every fold in tests; O(size of the state)."""

from __future__ import annotations

from collections.abc import Iterator

from taskengine.kernel.join import OK, Verdict, kind_of, verdict
from taskengine.kernel.state import LOSSES_BEFORE_SUSPECT, Execution
from taskengine.kernel.timing import Clock
from taskengine.model.status import Phase
from taskengine.model.workflow import Join

__all__ = ["broken", "check"]


def check(state: Execution) -> None:
    """Raise ``AssertionError`` naming every rule that does not hold."""
    problems = list(broken(state))
    assert not problems, f"{state.execution_id} after event {state.seq}: " + "; ".join(problems)


def broken(state: Execution) -> Iterator[str]:
    """The rules that do not hold."""
    yield from _counters(state)
    yield from _queues(state)
    yield from _live_tasks(state)
    yield from _ends(state)
    yield from _outputs(state)
    yield from _clocks(state)


def _counters(state: Execution) -> Iterator[str]:
    numbers = range(1, len(state.phase))
    counts = [0] * len(Phase)
    for number in numbers:
        counts[state.phase[number]] += 1
    if counts != state.counts:
        yield f"counts are {state.counts}, not {counts}"
    if state.seq == 0:
        return
    unhandled = flaws = 0
    for number in numbers:
        step = state.plan.steps[number]
        ended = [state.phase[dependency] for dependency in step.dependencies if state.phase[dependency] > Phase.RETRYING]
        if state.left[number] != len(step.dependencies) - len(ended):
            yield f"{step.path} waits for {state.left[number]}, not for {len(step.dependencies) - len(ended)}"
        tally = [0, 0, 0]
        for phase in ended:
            kind = kind_of(phase)
            tally[kind] += not (kind == OK and step.join is Join.ALL_SUCCESS)
        if tally != state.tally.get(number, [0, 0, 0]):
            yield f"{step.path} counts {state.tally.get(number)}, not {tally}"
        if state.phase[number] in {Phase.FAILED, Phase.CANCELLED} and not state.live[number].is_handled:
            if state.phase[number] == Phase.FAILED and step.fails_execution:
                unhandled += 1
            else:
                flaws += 1
    if (unhandled, flaws) != (state.unhandled, state.flaws) or unhandled != len(state.failures):
        yield f"unhandled and flaws are {state.unhandled}, {state.flaws}, not {unhandled}, {flaws}"
    if state.signal_count != sum(map(len, state.signals.values())) or not all(state.signals.values()):
        yield "signals are not counted right"


def _queues(state: Execution) -> Iterator[str]:
    if state.seq == 0:
        return
    for step in state.plan.steps[1:]:
        number = step.number
        places = (number in state.ready) + (number in state.suspects) + (number in state.unjudged)
        is_wanted = state.phase[number] == Phase.READY and not state.is_held(number)
        if places != is_wanted:
            yield f"{step.path} is {Phase(state.phase[number]).name} and in {places} queues"
        task = state.live.get(number)
        if number in state.suspects and (task is None or task.losses < LOSSES_BEFORE_SUSPECT):
            yield f"{step.path} is queued as a suspect and is none"
        if number in state.ready and task is not None and task.losses >= LOSSES_BEFORE_SUSPECT:
            yield f"{step.path} is a suspect and queued as none"
        if state.phase[number] == Phase.PENDING:
            yield from _pending(state, number)
        elif number in state.skips:
            yield f"{step.path} is to be skipped and {Phase(state.phase[number]).name}"
        is_listening = task is not None and bool(task.signal) and number in state.listeners.get(task.signal, {})
        should_listen = (
            state.phase[number] == Phase.WAITING and task is not None and bool(task.signal) and not state.is_held(number)
        )
        if is_listening != should_listen:
            yield f"{step.path} listens: {is_listening}"
    expected = {name for name in state.listeners if name in state.signals}
    if set(state.matchable) != expected:
        yield f"matchable signals are {set(state.matchable)}, not {expected}"


def _pending(state: Execution, number: int) -> Iterator[str]:
    step = state.plan.steps[number]
    tally = [0, 0, 0]
    for dependency in step.dependencies:
        if state.phase[dependency] > Phase.RETRYING:
            tally[kind_of(state.phase[dependency])] += 1
    match verdict(step.join, state.left[number], tally):
        case Verdict.START:
            yield f"{step.path} could start and is pending"
        case Verdict.SKIP if number not in state.skips:
            yield f"{step.path} cannot happen any more and is not to be skipped"
        case Verdict.WAIT if number in state.skips:
            yield f"{step.path} is to be skipped and may still happen"
        case _:
            pass


def _live_tasks(state: Execution) -> Iterator[str]:
    for number, task in state.live.items():
        phase = Phase(state.phase[number])
        path = state.plan.steps[number].path
        if phase in {Phase.COMPLETED, Phase.SKIPPED}:
            yield f"{path} is {phase.name} and still live"
        is_running = phase == Phase.RUNNING and not state.is_finished
        if is_running != task.is_launched:
            yield f"{path} is {phase.name} and launched: {task.is_launched}"
        if task.used < 0 or task.used > max(1, state.plan.steps[number].retry.max_attempts):
            yield f"{path} has used {task.used} attempts"
        if task.is_stuck and phase != Phase.WAITING:
            yield f"{path} is stuck and {phase.name}"
        if phase == Phase.FAILED and task.error is None:
            yield f"{path} failed without an error"
    for number in range(1, len(state.phase)):
        if state.phase[number] in {Phase.RUNNING, Phase.WAITING, Phase.RETRYING, Phase.FAILED} and number not in state.live:
            yield f"{state.plan.steps[number].path} is {Phase(state.phase[number]).name} and nothing is remembered of it"


def _ends(state: Execution) -> Iterator[str]:
    if state.is_finished:
        if state.open_count:
            yield f"{state.open_count} tasks are open at the end"
        if state.finished_at is None:
            yield "finished without an instant"
        if state.timers.due or state.timers.frozen or state.wake_at is not None:
            yield "a clock runs at the end"
    bound = state.plan.workflow.limits.max_concurrency
    if bound is not None and state.counts[Phase.RUNNING] > bound:
        yield f"{state.counts[Phase.RUNNING]} run, {bound} may"


def _outputs(state: Execution) -> Iterator[str]:
    if set(state.outputs) != set(state.unread):
        yield "outputs and their readers differ"
    for number in range(1, len(state.phase)):
        readers = sum(1 for reader in state.plan.readers[number] if state.phase[reader] != Phase.COMPLETED)
        readers += number in state.plan.output_reads
        is_kept = number in state.outputs
        if is_kept != (state.phase[number] == Phase.COMPLETED and readers > 0):
            yield f"the output of {state.plan.steps[number].path} is kept: {is_kept}, readers: {readers}"
        elif is_kept and state.unread[number] != readers:
            yield f"{state.plan.steps[number].path} has {readers} readers, not {state.unread[number]}"


def _clocks(state: Execution) -> Iterator[str]:
    for number, clock in (*state.timers.due, *state.timers.frozen):
        phase = Phase(state.phase[number])
        path = state.plan.steps[number].path
        fits = {
            Clock.ATTEMPT: phase == Phase.RUNNING,
            Clock.TOTAL: phase in {Phase.READY, Phase.RUNNING, Phase.RETRYING, Phase.WAITING},
            Clock.QUEUE: phase == Phase.READY,
            Clock.WAIT: phase == Phase.WAITING,
            Clock.RETRY: phase == Phase.RETRYING,
        }
        if not fits[Clock(clock)]:
            yield f"{path} is {phase.name} and its {Clock(clock).name} clock runs"
    if any(state.is_held(number) for number, _ in state.timers.due):
        yield "the clock of a paused task runs"
    if any(not state.is_held(number) for number, _ in state.timers.frozen):
        yield "the clock of a task that is not paused stands still"
    if state.due_at() != state.wake_at:
        yield f"wake_at is {state.wake_at}, not {state.due_at()}"
