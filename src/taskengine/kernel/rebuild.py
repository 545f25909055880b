"""Make the indexes of a state anew from its facts: after a snapshot, and when a finished execution is retried. O(size)."""

from __future__ import annotations

from taskengine.kernel import graph
from taskengine.kernel.join import kind_of
from taskengine.kernel.state import Execution, ReadyQueue
from taskengine.model.status import Phase

__all__ = ["rebuild"]


def rebuild(state: Execution) -> None:
    """Recompute every index; facts are only changed where an index implies one (a pending task whose join has become clear)."""
    state.tally = {}
    state.counts = [0] * len(Phase)
    state.unread = {}
    state.ready, state.suspects = ReadyQueue(), ReadyQueue()
    state.unjudged, state.skips = {}, {}
    state.listeners, state.matchable = {}, {}
    state.signal_count = sum(len(queue) for queue in state.signals.values())
    state.failures, state.flaws = set(), 0
    phases = state.phase
    for phase in memoryview(phases)[1:]:
        state.counts[phase] += 1
    for number in range(1, len(phases)):
        if phases[number] > Phase.RETRYING:
            _count_end(state, number)
    if not state.seq:
        return
    for number in range(1, len(phases)):
        match phases[number]:
            case Phase.PENDING:
                graph.judge_join(state, number)
            case Phase.READY:
                graph.enqueue(state, number)
            case Phase.WAITING if state.live[number].signal:
                graph.listen(state, number, state.live[number].signal)
            case _:
                pass


def _count_end(state: Execution, number: int) -> None:
    phases, steps = state.phase, state.plan.steps
    kind = kind_of(phases[number])
    for dependent in steps[number].dependents:
        if len(steps[dependent].dependencies) > 1 and phases[dependent] != Phase.COMPLETED:
            graph.count_end(state, steps[dependent], kind)
    if phases[number] == Phase.CANCELLED or (phases[number] == Phase.FAILED and not state.live[number].is_handled):
        graph.count_failure(state, number, 1)
    if number in state.outputs:
        unread = sum(1 for reader in state.plan.readers[number] if phases[reader] != Phase.COMPLETED)
        state.unread[number] = unread + (number in state.plan.output_reads.tasks)
