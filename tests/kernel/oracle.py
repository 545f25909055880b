"""What joins, handled failures and the end of an execution mean, said a second time and without the kernel's code.

Works on plain words: how each step has ended so far (``None``: it has not).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taskengine.model.value import TaskError
from taskengine.model.workflow import Join, OnError, Step, Workflow

BAD = ("failed", "cancelled")


def said(join: Join, ends: Sequence[str | None]) -> str:
    """``start``, ``skip`` or ``wait``."""
    fine = {
        Join.ALL_SUCCESS: lambda end: end == "completed",
        Join.NONE_FAILED: lambda end: end not in BAD,
        Join.ALL_DONE: lambda _: True,
    }
    wanted = {Join.ANY_SUCCESS: ("completed",), Join.ANY_FAILED: BAD}
    if join in wanted:
        if any(end in wanted[join] for end in ends):
            return "start"
        return "wait" if None in ends else "skip"
    if not all(fine[join](end) for end in ends if end is not None):
        return "skip"
    return "wait" if None in ends else "start"


def is_handled(workflow: Workflow, failed: Step, error: TaskError, ends: Mapping[str, str | None]) -> bool:
    """Whether a completed step names this failure and has a join that is made for failures."""
    return any(
        ends[step.id] == "completed"
        and failed.id in step.depends_on
        and step.join in {Join.ANY_FAILED, Join.ALL_DONE}
        and ({error.type, *error.bases} & set(step.handles))
        for step in workflow.steps
    )


def outcome(workflow: Workflow, ends: Mapping[str, str | None], errors: Mapping[str, TaskError]) -> str:
    """How an execution ends whose every step has ended: ``completed``, ``partial`` or ``failed``."""
    is_partial = False
    for step in workflow.steps:
        if ends[step.id] == "cancelled":
            is_partial = True
        if ends[step.id] == "failed" and not is_handled(workflow, step, errors[step.id], ends):
            if step.on_error is OnError.FAIL:
                return "failed"
            is_partial = True
    return "partial" if is_partial else "completed"
