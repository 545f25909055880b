"""What an expression may see: a JSON document with just the parts that it names. Made for each evaluation, from encoded pieces."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from taskengine.kernel.state import Execution
from taskengine.model.value import NONE, Raw, TaskError, encode

__all__ = ["context"]


class _StepView(msgspec.Struct, frozen=True, gc=False):
    output: Raw
    status: str
    error: TaskError | None = None


class _ExecutionView(msgspec.Struct, frozen=True, gc=False):
    id: str
    workflow: str
    version: str
    business_key: str
    priority: int


def context(state: Execution, names: Iterable[str], reads: Iterable[int], *, output: Raw | None = None) -> bytes:
    """The context for names such as ``input.x`` or ``steps.load.output``; ``reads`` are the tasks behind ``steps``."""
    document: dict[str, object] = {}
    for root in {name.partition(".")[0] for name in names}:
        match root:
            case "input":
                document["input"] = state.input or NONE
            case "variables":
                document["variables"] = state.variables
            case "steps":
                document["steps"] = {state.plan.steps[number].id: _step(state, number) for number in reads}
            case "execution":
                workflow = state.plan.workflow
                document["execution"] = _ExecutionView(
                    id=state.execution_id,
                    workflow=workflow.name,
                    version=workflow.version,
                    business_key=state.business_key,
                    priority=state.priority,
                )
            case "output" if output is not None:
                document["output"] = output or NONE
            case _:
                pass  # the expression itself will name what is missing
    return encode(document)


def _step(state: Execution, number: int) -> _StepView:
    task = state.live.get(number)
    return _StepView(
        output=state.outputs.get(number, NONE),
        status=state.status_of(number).value,
        error=None if task is None else task.error,
    )
