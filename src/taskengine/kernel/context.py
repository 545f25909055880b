"""What an expression may see: a JSON document with just the parts that it names. Made for each evaluation, from encoded pieces."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import UNSET, UnsetType

from taskengine.errors import ExpressionError
from taskengine.kernel.plan import Reading
from taskengine.kernel.scope import Scope
from taskengine.kernel.state import Execution
from taskengine.model.secret import has_mark, mark_of
from taskengine.model.status import Phase, Status
from taskengine.model.value import NONE, Raw, TaskError, encode

__all__ = ["context", "tasks_read"]


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


def context(state: Execution, reading: Reading, scope: Scope, **given: object) -> bytes:
    """The context for one expression or template in a scope; ``given`` are names that only its place knows (``output``, …)."""
    document: dict[str, object] = {}
    for root in reading.roots:
        match root:
            case "input":
                document["input"] = state.input or NONE
            case "variables":
                document["variables"] = state.variables
            case "steps":
                document["steps"] = _steps(state, reading, scope)
            case "execution":
                document["execution"] = _execution(state)
            case "secrets":
                pass  # last, so that what looks like a mark in the rest is seen
            case "item" | "index":
                _iteration(document, root, scope)
            case _:
                pass  # given, or the expression itself will name what is missing
    if given:
        document.update({root: value for root, value in given.items() if root in reading.roots})
    if reading.secrets:
        _add_secrets(document, reading.secrets)
    encoded = encode(document)
    state.read_left -= len(encoded)
    return encoded


def _add_secrets(document: dict[str, object], names: tuple[str, ...]) -> None:
    if has_mark(encode(document)):
        raise ExpressionError("forged_secret", "what is rendered together with a secret holds the mark of one")
    document["secrets"] = {name: mark_of(name) for name in names}


def _steps(state: Execution, reading: Reading, scope: Scope) -> dict[str, _StepView]:
    steps = state.steps
    if scope.base < 0:  # before the first iteration of a loop
        views = {scope.block.steps[local].id: _StepView(Status.PENDING.value, NONE) for local in reading.tasks}
    else:
        views = {steps[scope.base + local].id: _step(state, scope.base + local) for local in reading.tasks}
    for number in _outer(reading, scope):
        views[steps[number].id] = _step(state, number)
    return views


def tasks_read(reading: Reading, scope: Scope) -> list[int]:
    """The tasks behind the steps that an expression reads in a scope."""
    return [*(scope.base + local for local in reading.tasks), *_outer(reading, scope)]


def _outer(reading: Reading, scope: Scope) -> Iterator[int]:
    for up, local in reading.outer:
        around: Scope | None = scope
        for _ in range(up):
            assert around is not None
            around = around.up
        assert around is not None
        yield around.base + local


def _iteration(document: dict[str, object], root: str, scope: Scope) -> None:
    """The item or the index of the nearest map or loop around."""
    around = scope.iteration
    if around is not None and root == "index":
        document[root] = around.index
    elif around is not None and around.item:
        document[root] = around.item


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
