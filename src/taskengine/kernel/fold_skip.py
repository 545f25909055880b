"""A step that will not happen, applied. Part of evolve; only its table calls this."""

from __future__ import annotations

from taskengine.kernel import graph, listening, saga, subtree
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.effect import Effect
from taskengine.model.status import Phase

__all__ = ["skipped"]


def skipped(state: Execution, event: ev.TaskSkipped, effects: list[Effect]) -> None:
    """Tell the dependents; a skipped task is forgotten but for its phase and the number of its attempts."""
    number = event.task
    if state.phase[number] == Phase.EXPANDED:
        subtree.sweep(state, number, effects)
    task = state.live.get(number)
    if task is not None:
        if task.signal:
            listening.stop_listening(state, number, task.signal)
        task.begin_round()
        if task.attempt == 0:
            del state.live[number]  # else its attempts are remembered, so that none is numbered twice
    graph.leave_queues(state, number)
    state.timers.drop_all(number)
    if event.reason is ev.SkipReason.PERSON:
        state.skipped_by_person[number] = (event.by, event.note)
    had_begun = Phase.PENDING < state.phase[number] < Phase.COMPLETED
    graph.enter(state, number, Phase.SKIPPED)
    if number >= state.undo_from:
        saga.ended(state, number, had_begun=had_begun)
        return
    graph.note_order(state, number)
    graph.settle_dependents(state, number, graph.ended_as(state, number))
