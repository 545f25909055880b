"""How containers go on and end: the next scopes, what a scope gave, whether a success rule holds. Decisions only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import truth
from taskengine.kernel.attempt import completion, expression_failure
from taskengine.kernel.context import context
from taskengine.kernel.plan import SuccessPlan
from taskengine.kernel.scope import Group, Scope
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.status import STATUS_OF, TERMINAL, Outcome, Phase, Status
from taskengine.model.value import NONE, Instant, Raw, TaskError, encode, raw

__all__ = ["blame", "closed_scope", "ends_of_steps", "holds", "spread"]

_AT_ONCE: Final = 500  # tasks that one event opens, so that no turn is long; at least one scope
_WHOLE: Final = 100.0


class _End(msgspec.Struct, frozen=True):
    """How a child of a group ended, as a success rule sees it."""

    status: Status
    output: Raw


# ── scopes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def closed_scope(state: Execution, base: int, at: Instant) -> Sequence[ev.Event]:
    """All steps of a scope have ended."""
    scope = state.scopes[base]
    if scope.failures:
        first = min(scope.failures)
        outcome = state.live[first].outcome
        return (ev.TaskFailed(at=at, task=base, attempt=1, error=blame(state, first), outcome=outcome),)
    try:
        output = _given(state, scope)
    except (ExpressionError, LimitError) as error:
        return expression_failure(base, 1, at, f"output: {error}")
    outcome = Outcome.PARTIAL if scope.flaws else None
    return (ev.TaskCompleted(at=at, task=base, attempt=1, output=output, outcome=outcome),)


def _given(state: Execution, scope: Scope) -> Raw:
    block, base = scope.block, scope.base
    if block.output is not None:
        return raw(block.output.render(context(state, block.output_reads, scope)))
    if len(block.sinks) == 1:
        return state.outputs.get(base + block.sinks[0], NONE)
    return raw_object((block.steps[local].id, state.outputs.get(base + local, NONE)) for local in block.sinks)


def raw_object(pairs: Iterable[tuple[str, Raw]]) -> Raw:
    """A JSON object of values that are encoded already."""
    return Raw(b"{" + b",".join(encode(key) + b":" + bytes(value) for key, value in pairs) + b"}")


def blame(state: Execution, number: int) -> TaskError:
    """A task's failure as the failure of what is around it: it says where it happened."""
    error = state.live[number].error
    assert error is not None
    path = state.path_of(number)
    message = error.message if path in error.message else f"{path} {error.message}".rstrip()
    return TaskError(type=error.type, message=message, bases=error.bases)


# ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def spread(state: Execution, number: int, at: Instant) -> Sequence[ev.Event]:
    """The next scopes of a container, or its end. Empty: it waits for those that are open."""
    group = state.groups[number]
    if not group.is_closed:
        following = _next(state, number, group, at)
        if following:
            return following
    if group.running:
        del state.spreading[number]
        return ()
    return _end(state, number, group, at)


def _next(state: Execution, number: int, group: Group, at: Instant) -> Sequence[ev.Event]:
    step = state.steps[number]
    opened = group.opened
    if step.step.type == "loop" and group.window == 1 and group.failed + group.cancelled and _is_strict(step.success):
        return (ev.GroupClosed(at=at, task=number),)
    if group.total is None:
        return () if group.running else _iterate(state, number, group, at)
    room = group.total - opened if group.window == 0 else min(group.total - opened, group.window - group.running)
    if room <= 0:
        return ()
    size = max(block.size for block in step.blocks) + 1
    count = min(room, max(1, _AT_ONCE // size))
    index = group.block if group.block >= 0 else opened
    return (ev.ChildrenRegistered(at=at, task=number, first=len(state.phase), index=index, count=count),)


def _is_strict(rule: SuccessPlan | None) -> bool:
    return rule is None or rule.is_strict


def _iterate(state: Execution, number: int, group: Group, at: Instant) -> Sequence[ev.Event]:
    """Whether a loop by condition makes another iteration; judged in the scope of the one that has just ended."""
    block = state.steps[number].blocks[0]
    opened = group.opened
    if block.repeat is not None and (opened or not block.stops_when):
        scope = state.scopes[group.bases[-1]] if opened else _before(state, number)
        output = group.outputs.get(opened - 1, NONE)
        attempt = state.live[number].attempt
        try:
            is_true = truth(block.repeat, context(state, block.repeat_reads, scope, output=output, index=opened))
        except (ExpressionError, LimitError) as error:
            return expression_failure(number, attempt, at, f"{'until' if block.stops_when else 'while'}: {error}")
        if is_true == block.stops_when:
            return (ev.GroupClosed(at=at, task=number),)
    if opened >= group.limit:
        reached = TaskError(type="LimitReached", message=f"{opened} iterations and no end: max_iterations is {group.limit}")
        return (ev.TaskFailed(at=at, task=number, attempt=state.live[number].attempt, error=reached),)
    return (ev.ChildrenRegistered(at=at, task=number, first=len(state.phase), index=opened),)


def _before(state: Execution, number: int) -> Scope:
    """A scope in which nothing has happened yet, for the condition before the first iteration."""
    return Scope(-1, state.steps[number].blocks[0], number, state.scopes[number])


def _end(state: Execution, number: int, group: Group, at: Instant) -> Sequence[ev.Event]:
    step = state.steps[number]
    attempt = state.live[number].attempt
    try:
        is_met = _is_met(state, number, group)
    except (ExpressionError, LimitError) as error:
        return expression_failure(number, attempt, at, f"success: {error}")
    if not is_met:
        return (_failed(state, number, group, at),)
    outcome = Outcome.PARTIAL if group.is_partial else None
    return completion(state, number, attempt, at, output=_collected(group, step.step.type, state, number), outcome=outcome)


def _is_met(state: Execution, number: int, group: Group) -> bool:
    rule = state.steps[number].success
    if rule is None or rule.is_strict:
        return not (group.failed or group.cancelled)
    return holds(state, rule, _ends_of_scopes(state, group), state.scopes[number])


def _failed(state: Execution, number: int, group: Group, at: Instant) -> ev.Event:
    attempt = state.live[number].attempt
    failed = [base for base in group.bases if state.phase[base] == Phase.FAILED]
    if not failed:
        what = f"{group.cancelled} of {group.opened} were cancelled" if group.cancelled else "too few completed"
        return ev.TaskFailed(at=at, task=number, attempt=attempt, error=TaskError(type="SuccessRuleBroken", message=what))
    error = blame(state, failed[0])
    if group.opened > 1:
        message = f"{len(failed)} of {group.opened} failed, the first: {error.message}"
        error = TaskError(type=error.type, message=message, bases=error.bases)
    return ev.TaskFailed(at=at, task=number, attempt=attempt, error=error, outcome=state.live[failed[0]].outcome)


def _collected(group: Group, kind: str, state: Execution, number: int) -> Raw:
    """What a container gives."""
    outputs = group.outputs
    if kind == "condition" or group.total is None:
        return outputs.get(state.scopes[group.bases[-1]].index, NONE) if group.bases else NONE
    if kind == "parallel":
        blocks = state.steps[number].blocks
        return raw_object((block.name or f"[{index}]", outputs.get(index, NONE)) for index, block in enumerate(blocks))
    return Raw(b"[" + b",".join(bytes(outputs.get(index, NONE)) for index in range(group.opened)) + b"]")


# ── success rules ────────────────────────────────────────────────────────────────────────────────────────────────────


def holds(state: Execution, rule: SuccessPlan, ends: Iterable[_End], scope: Scope) -> bool:
    """Whether a rule holds over the children. Raises ``ExpressionError`` and ``LimitError``."""
    found = list(ends)
    counts = {status: sum(1 for end in found if end.status is status) for status in _COUNTED}
    completed = counts[Status.COMPLETED]
    if rule.at_least is not None:
        return completed >= rule.at_least
    if rule.percent is not None:
        return completed * _WHOLE >= rule.percent * len(found)
    if rule.when is None:
        return not (counts[Status.FAILED] or counts[Status.CANCELLED])
    children = {"total": len(found), **{status.value: count for status, count in counts.items()}, "results": found}
    return truth(rule.when, context(state, rule.when_reads, scope, children=children))


_COUNTED: Final = (Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.SKIPPED)


def _ends_of_scopes(state: Execution, group: Group) -> Iterator[_End]:
    for base in group.bases:
        output = group.outputs.get(state.scopes[base].index, NONE)
        yield _End(STATUS_OF[state.phase[base]], output)


def ends_of_steps(state: Execution) -> Iterator[_End]:
    """How the workflow's own steps have ended; what has not is cut off, and counts as cancelled."""
    for number in range(1, state.plan.size + 1):
        task = state.live.get(number)
        status = STATUS_OF[state.phase[number]]
        if (task is not None and task.is_handled) or number in state.skipped_by_person:
            status = Status.COMPLETED
        yield _End(status if status in TERMINAL else Status.CANCELLED, state.outputs.get(number, NONE))
