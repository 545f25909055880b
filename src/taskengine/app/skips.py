"""Why a step was skipped, told from the state by the kernel's own table of joins. Pure."""

from __future__ import annotations

from taskengine.kernel.join import SKIPPED, UNHAPPY, Verdict, kind_of, verdict
from taskengine.kernel.state import Execution
from taskengine.model.status import Status
from taskengine.model.workflow import Join

__all__ = ["skipped_because"]


def skipped_because(state: Execution, number: int) -> str:
    """What kept a skipped step from running: the dependencies that did, or its condition."""
    step = state.plan.steps[number]
    tally = [0, 0, 0, 0]
    for one in step.dependencies:
        tally[kind_of(state.phase[one])] += 1
    if verdict(step.join, tally) is not Verdict.SKIP:
        return f"its condition is false: {step.step.when}" if step.step.when else "its join cannot hold"
    names = {one: state.plan.steps[one].id for one in step.dependencies}
    if step.join is Join.ANY_SUCCESS:
        return f"none of {', '.join(names.values())} completed"
    if step.join is Join.ANY_FAILED:
        return f"none of {', '.join(names.values())} failed"
    blamed = {UNHAPPY, SKIPPED} if step.join is Join.ALL_SUCCESS else {UNHAPPY}
    culprits = [one for one in names if kind_of(state.phase[one]) in blamed]
    return ", ".join(f"{names[one]} {_ended(state, one)}" for one in culprits)


def _ended(state: Execution, number: int) -> str:
    status = state.status_of(number)
    return "failed" if status is Status.FAILED else f"was {status.value}"
