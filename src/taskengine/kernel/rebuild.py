"""Make the indexes of a state anew from its facts: after a snapshot was read, and when a person retries a finished execution. O(size)."""

from __future__ import annotations

from taskengine.kernel import graph
from taskengine.kernel.join import OK, kind_of
from taskengine.kernel.state import Execution, ReadyQueue
from taskengine.kernel.timing import Clock
from taskengine.model.status import Phase
from taskengine.model.workflow import Join

__all__ = ["rebuild"]


def rebuild(state: Execution) -> None:
    """Recompute every index; facts are only changed where an index implies one (a pending task whose join has become clear)."""
    state.left = state.plan.in_degrees.copy()
    state.tally = {}
    state.counts = [0] * len(Phase)
    state.unread = {}
    state.ready, state.suspects = ReadyQueue(), ReadyQueue()
    state.unjudged, state.skips = {}, {}
    state.listeners, state.matchable = {}, {}
    state.signal_count = sum(len(queue) for queue in state.signals.values())
    state.failures, state.unhandled, state.flaws = {}, 0, 0
    phase = state.phase
    for step in state.plan.steps[1:]:
        state.counts[phase[step.number]] += 1
    for step in state.plan.steps[1:]:
        number = step.number
        if phase[number] > Phase.RETRYING:
            _count_end(state, number)
    for step in state.plan.steps[1:]:
        number = step.number
        match phase[number]:
            case Phase.PENDING if state.seq:
                graph.judge_join(state, number)
            case Phase.READY:
                queue_ms = step.step.queue_timeout_ms
                if queue_ms is not None and not step.is_control and not state.timers.has(number, Clock.QUEUE):
                    task = state.live.get(number)
                    if task is None or task.attempt == 0:
                        graph.start_clock(state, number, Clock.QUEUE, state.at + queue_ms)
                graph.enqueue(state, number)
            case Phase.WAITING:
                signal = state.live[number].signal
                if signal:
                    graph.listen(state, number, signal)
            case _:
                pass


def _count_end(state: Execution, number: int) -> None:
    phase, steps = state.phase, state.plan.steps
    kind = kind_of(phase[number])
    for dependent in steps[number].dependents:
        state.left[dependent] -= 1
        if kind != OK or steps[dependent].join is not Join.ALL_SUCCESS:
            state.tally.setdefault(dependent, [0, 0, 0])[kind] += 1
    if phase[number] in {Phase.FAILED, Phase.CANCELLED} and not state.live[number].is_handled:
        graph.count_failure(state, number, 1)
    if number in state.outputs:
        unread = sum(1 for reader in state.plan.readers[number] if phase[reader] != Phase.COMPLETED)
        state.unread[number] = unread + (number in state.plan.output_reads)
