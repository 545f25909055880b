"""What makes an execution better that did not end well: only what the kernel would not refuse is advised. Reads only."""

from __future__ import annotations

from shlex import quote

from taskengine.app.tree import containers_of, decides, failed_itself
from taskengine.errors import CommandRefusedError
from taskengine.kernel.decide import decide
from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model.status import Outcome, Status

__all__ = ["Advice", "advice"]

_EXPRESSION = "ExpressionError"


class Advice(str):
    """Words of the command that begins it again, without the program; empty: nothing does."""

    __slots__ = ()

    @property
    def is_fork(self) -> bool:
        """Whether the document has to be corrected first: what is recorded would fail again in the same way."""
        return self.startswith("instance fork ")


def advice(state: Execution) -> Advice:
    """How an execution that failed or was cancelled begins again; empty where nothing does."""
    if state.status not in {Status.FAILED, Status.CANCELLED} or state.outcome is Outcome.COMPENSATED:
        return Advice()
    blamed = [number for number in range(1, len(state.steps)) if failed_itself(state, number) and decides(state, number)]
    wrong = [number for number in blamed if _is_of_document(state, number)]
    if state.saga is None and (_is_of_own_rule(state) if not blamed else len(wrong) == len(blamed)):
        return _fork(state, wrong[0] if wrong else 0)
    try:
        decide(state, cmd.Retry(at=state.at), state.at)
    except CommandRefusedError:
        return Advice() if state.saga is not None else _fork(state, 0)
    return Advice(f"instance retry {state.execution_id}")


def _is_of_document(state: Execution, number: int) -> bool:
    """Whether it failed in an expression of the document, which says the same every time."""
    error = state.live[number].error
    return error is not None and error.type == _EXPRESSION


def _is_of_own_rule(state: Execution) -> bool:
    return state.error is not None and state.error.type == _EXPRESSION


def _fork(state: Execution, number: int) -> Advice:
    """From the step that failed, or from the last one: as little as possible is done again."""
    if number:
        around = containers_of(state, number)
        step = state.steps[around[0] if around else number].id
    else:
        step = state.steps[state.plan.size].id if state.plan.size else "/"
    return Advice(f"instance fork {state.execution_id} --from {quote(step)} --version latest")
