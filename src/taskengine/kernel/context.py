"""What an expression may see: a JSON document with just the parts that it names. Made for each evaluation, from encoded pieces."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from taskengine.errors import ExpressionError
from taskengine.kernel.plan import Reading
from taskengine.kernel.state import Execution
from taskengine.model.secret import has_mark, mark_of
from taskengine.model.status import Phase
from taskengine.model.value import NONE, Raw, TaskError, encode

__all__ = ["context"]


class _StepView(msgspec.Struct, frozen=True):
    """A step as expressions see it. Only one that completed or was skipped has an output; ``none`` is a skipped one's."""

    status: str
    output: Raw | UnsetType = UNSET
    error: TaskError | None = None


class _ExecutionView(msgspec.Struct, frozen=True):
    id: str
    workflow: str
    version: str
    business_key: str
    priority: int


def context(state: Execution, reading: Reading, *, output: Raw | None = None) -> bytes:
    """The context for one expression or template; ``output`` is what the step itself gave."""
    document: dict[str, object] = {}
    for root in reading.roots:
        match root:
            case "input":
                document["input"] = state.input or NONE
            case "variables":
                document["variables"] = state.variables
            case "steps":
                document["steps"] = {state.plan.steps[number].id: _step(state, number) for number in reading.tasks}
            case "execution":
                document["execution"] = _execution(state)
            case "secrets":
                pass  # last, so that what looks like a mark in the rest is seen
            case "output" if output is not None:
                document["output"] = output or NONE
            case _:
                pass  # the expression itself will name what is missing
    if reading.secrets:
        if has_mark(encode(document)):
            raise ExpressionError("forged_secret", "what is rendered together with a secret holds the mark of one")
        document["secrets"] = {name: mark_of(name) for name in reading.secrets}
    return encode(document)


def _step(state: Execution, number: int) -> _StepView:
    task = state.live.get(number)
    return _StepView(
        status=state.status_of(number).value,
        output=state.outputs.get(number, NONE) if state.phase[number] in {Phase.COMPLETED, Phase.SKIPPED} else UNSET,
        error=None if task is None else task.error,
    )


def _execution(state: Execution) -> _ExecutionView:
    workflow = state.plan.workflow
    return _ExecutionView(
        id=state.execution_id,
        workflow=workflow.name,
        version=workflow.version,
        business_key=state.business_key,
        priority=state.priority,
    )
