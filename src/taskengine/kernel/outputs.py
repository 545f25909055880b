"""What tasks gave, kept as long as somebody may read it. Part of evolve."""

from __future__ import annotations

from taskengine.kernel.plan import StepPlan
from taskengine.kernel.scope import Scope
from taskengine.kernel.state import Execution
from taskengine.model.status import Phase
from taskengine.model.value import NONE, Raw

__all__ = ["keep", "let_go", "release"]


def keep(state: Execution, number: int, scope: Scope, output: Raw) -> None:
    """Keep it while somebody may read it: steps that have not completed, or the block itself at its end."""
    block, phase, base = scope.block, state.phase, scope.base
    local = number - base
    unread = 1 if local in block.kept else 0
    for reader in block.readers[local]:
        if phase[base + reader] != Phase.COMPLETED:
            unread += 1
    if unread:
        state.outputs[number] = output or NONE
        state.unread[number] = unread


def let_go(state: Execution, step: StepPlan, base: int) -> None:
    """What a completed step has read it will not read again; an output that nobody else waits for is forgotten."""
    unread = state.unread
    for local in step.reads:
        number = base + local
        left = unread.get(number, 0)
        if left > 1:
            unread[number] = left - 1
        elif left:
            del unread[number], state.outputs[number]


def release(state: Execution, scope: Scope) -> None:
    """Forget the outputs of a scope that has ended, but for those that a compensation may read."""
    if not state.outputs:
        return
    for number in range(scope.base + 1, scope.base + 1 + scope.block.size):
        if number in state.outputs:
            if number - scope.base in scope.block.undo_reads:
                state.unread[number] = 1
            else:
                del state.outputs[number], state.unread[number]
