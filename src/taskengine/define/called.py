"""Which workflows a workflow starts, as far as its document says. Where they are kept is for others to know."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from taskengine.define.blocks import every_step
from taskengine.define.finding import Keys, Problems, Spot
from taskengine.define.phrase import quoted
from taskengine.define.texts import is_template
from taskengine.model.workflow import Workflow

__all__ = ["called", "check_absent"]


def called(workflow: Workflow) -> frozenset[str]:
    """The names of other workflows that its steps start; what a template makes is only known later."""
    return frozenset(name for _, name, _ in _calls(workflow))


def check_absent(workflow: Workflow, problems: Problems, *, absent: Collection[str]) -> None:
    """Warn of the steps that start one of these."""
    for keys, name, step_id in _calls(workflow):
        if name in absent:
            at = Spot(problems, (*keys, "config", "workflow"))
            at.report("workflow_not_uploaded", step=quoted(step_id), workflow=quoted(name))


def _calls(workflow: Workflow) -> Iterator[tuple[Keys, str, str]]:
    ids: dict[Keys, str] = {}
    for keys, step in every_step(workflow):
        ids[keys] = step.id or ids[keys[:-1]]  # a compensation has no id and comes after its step
        name = step.config.get("workflow") if step.type == "workflow" else None
        if isinstance(name, str) and name and not is_template(name) and name != workflow.name:
            yield keys, name, ids[keys]
