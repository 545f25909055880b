"""The fact that an execution is a fork, applied. Part of evolve; only its table calls this."""

from __future__ import annotations

from typing import Final

from taskengine.kernel import graph
from taskengine.kernel.rebuild import rebuild
from taskengine.kernel.state import Execution
from taskengine.kernel.task import Task
from taskengine.model import event as ev
from taskengine.model.effect import Effect
from taskengine.model.status import Phase, Status
from taskengine.model.value import NONE

__all__ = ["forked"]

_PHASE: Final = {Status.COMPLETED: Phase.COMPLETED, Status.FAILED: Phase.FAILED, Status.SKIPPED: Phase.SKIPPED}


def forked(state: Execution, event: ev.ExecutionForked, _: list[Effect]) -> None:
    """What is taken over has ended. It is never undone, and what it opened stays with the origin."""
    state.forked_from = event.origin
    state.forked_at = event.path
    for taken in event.tasks:
        number = taken.task
        state.timers.drop_all(number)
        state.phase[number] = _PHASE[taken.status]
        if taken.skipped_by is not None:
            state.skipped_by_person[number] = taken.skipped_by
        if taken.status is Status.COMPLETED:
            state.outputs[number] = taken.output or NONE
        elif taken.status is Status.FAILED:
            state.live[number] = Task(error=taken.error, outcome=taken.outcome, is_handled=taken.is_handled)
    rebuild(state)
    for number in [one for one, readers in state.unread.items() if not readers]:
        del state.unread[number], state.outputs[number]
    for taken in event.tasks:
        if taken.status is Status.COMPLETED:  # of another version it may handle what it did not
            graph.handle(state, taken.task, state.steps[taken.task].dependencies)
