"""What people who are asked have to know: the form of their answer, and how they give it. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import Any

from taskengine.kernel.approval import is_asking
from taskengine.kernel.plan import BlockPlan, Plan, StepPlan
from taskengine.kernel.state import UNDO, Execution
from taskengine.kernel.timing import Clock
from taskengine.wire.instant import iso_instant

__all__ = ["decision_commands", "form_at", "until_when"]


def form_at(plan: Plan, path: str) -> Mapping[str, Any] | None:
    """The form of the approval at a path of any execution of a plan; nothing where there is none, or no such step."""
    is_undoing = path.endswith(f"/{UNDO}/")
    step = _step_at(plan, path.removesuffix(f"{UNDO}/"))
    if is_undoing and step is not None:
        step = step.compensation
    return step.step.config.get("form") if step is not None and step.step.type == "approval" else None


def _step_at(plan: Plan, path: str) -> StepPlan | None:
    """The step at a path, whichever scopes an execution has opened: ids and scopes take turns in it."""
    block: BlockPlan = plan
    step: StepPlan | None = None
    for place, segment in enumerate(path.strip("/").split("/")):
        if place % 2 == 0:
            number = block.by_id.get(segment)
            if number is None:
                return None
            step = block.steps[number]
        else:
            assert step is not None
            named = {one.name or f"[{index}]": one for index, one in enumerate(step.blocks)}
            body = step.blocks[0] if step.step.type in {"map", "loop"} else named.get(segment)
            if body is None:
                return None
            block, step = body, None
    return step


def until_when(state: Execution, number: int) -> str:
    """`` until …``: when nobody can decide any more; empty where there is no end, or the clock stands still."""
    due_at = state.timers.due.get((number, Clock.WAIT)) if is_asking(state, number) and not state.is_paused else None
    return "" if due_at is None else f" until {iso_instant(due_at + state.paused_ms)}"


def decision_commands(state: Execution, number: int, *, flag: str) -> list[str]:
    """What approves and what rejects, to be pasted."""
    target = quote(f"{state.execution_id}{state.path_of(number).rstrip('/')}")
    return [f"task-engine task {word} {target}{flag}" for word in ("approve", "reject")]
