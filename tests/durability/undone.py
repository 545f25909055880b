"""What must hold of every compensation, judged from the events and the documents alone: once each, and after what came later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from taskengine.model import event as ev
from taskengine.model.workflow import Step
from taskengine.testing.history import History

__all__ = ["undo_problems"]

_UNDO = "[undo]/"


def undo_problems(history: History) -> Iterator[str]:
    """Undone twice, undone without having been done, undone before what depended on it."""
    state = history.state
    completed = [state.path_of(event.task) for event in history.events if isinstance(event, ev.TaskCompleted)]
    undone = [path.removesuffix(_UNDO) for path in completed if path.endswith(_UNDO)]
    for path, times in Counter(undone).items():
        if times > 1:
            yield f"{path} was undone {times} times"
        if path not in completed:
            yield f"{path} was undone and had not been done"
    for place, path in enumerate(undone):
        for later in undone[place + 1 :]:
            if _is_before(path, later, history.workflow.steps):
                yield f"{path} was undone before {later}, which came after it"


def _is_before(path: str, later: str, steps: Sequence[Step]) -> bool:
    """Whether ``later`` could begin only after ``path`` had ended."""
    left, right = path.strip("/").split("/"), later.strip("/").split("/")
    while True:
        if left[0] != right[0]:
            return left[0] in _ancestors(right[0], steps)
        step = next(step for step in steps if step.id == left[0])
        if len(left) == 1 or len(right) == 1:
            return False
        if left[1] != right[1]:
            is_sequential = step.type == "loop" and step.config.get("max_concurrency", 1) == 1
            return is_sequential and int(left[1].strip("[]")) < int(right[1].strip("[]"))
        steps = _block(step, left[1])
        left, right = left[2:], right[2:]


def _block(step: Step, segment: str) -> Sequence[Step]:
    if step.type in {"map", "loop"}:
        return step.blocks[0].steps
    return next(
        block.steps
        for number, block in enumerate(step.blocks)
        if segment in {block.name, f"[{number}]"} or block is step.blocks[-1]
    )


def _ancestors(step_id: str, steps: Sequence[Step]) -> set[str]:
    by_id = {step.id: step for step in steps}
    found: set[str] = set()
    left = [*by_id[step_id].depends_on]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += by_id[one].depends_on
    return found
