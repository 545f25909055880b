"""Why a step was skipped, told from the state by the table of joins. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from taskengine.kernel.graph import ended_as
from taskengine.kernel.join import SKIPPED, UNHAPPY, Verdict, verdict
from taskengine.kernel.state import Execution
from taskengine.model.status import Status
from taskengine.model.workflow import Join

__all__ = ["skipped_because"]

_SHOWN: Final = 5  # dependencies that are named


def skipped_because(state: Execution, number: int) -> str:
    """What kept a skipped step from running: the dependencies that did, its condition, or a person."""
    if number in state.skipped_by_person:
        by, note = state.skipped_by_person[number]
        return (f"by {by}" if by else "by a person") + (f": {note}" if note else "")
    step, base = state.steps[number], state.scopes[number].base
    dependencies = [base + local for local in step.dependencies]
    tally = [0, 0, 0, 0]
    for one in dependencies:
        tally[ended_as(state, one)] += 1
    if verdict(step.join, tally) is not Verdict.SKIP:
        return f"its condition is false: {step.step.when}" if step.step.when else "its join cannot hold"
    names = {one: state.steps[one].id for one in dependencies}
    if step.join is Join.ANY_SUCCESS:
        return f"none of {_listed(names.values())} completed"
    if step.join is Join.ANY_FAILED:
        return f"none of {_listed(names.values())} failed"
    blamed = {UNHAPPY, SKIPPED} if step.join is Join.ALL_SUCCESS else {UNHAPPY}
    culprits = [one for one in names if ended_as(state, one) in blamed]
    return _listed([f"{names[one]} {_ended(state, one)}" for one in culprits])


def _listed(texts: Collection[str]) -> str:
    return ", ".join(list(texts)[:_SHOWN]) + (" …" if len(texts) > _SHOWN else "")


def _ended(state: Execution, number: int) -> str:
    status = state.status_of(number)
    return "failed" if status is Status.FAILED else f"was {status.value}"
