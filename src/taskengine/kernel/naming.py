"""Which task a path means, in the tree as far as it has grown. Reads only; ``Execution.find`` and ``number_of`` are its doors."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from taskengine.kernel.plan import unknown_path
from taskengine.kernel.scope import UNDO, Scope

if TYPE_CHECKING:
    from taskengine.kernel.state import Execution

__all__ = ["find", "number_of"]

_LIKE: Final = 3  # paths that an error names


def find(state: Execution, path: str) -> int | None:
    """The task at a path; of several rounds of a container, in the last one."""
    number = state.plan.by_path.get(path)
    if state.saga is not None and path.endswith(f"/{UNDO}/"):
        return state.saga.undoes.get(find(state, path[: -len(UNDO) - 1]) or 0)
    if number is not None or not state.groups or not (path.startswith("/") and path.endswith("/")):
        return number
    scope, segments = state.root, path[1:-1].split("/")
    for place in range(0, len(segments), 2):
        local = scope.block.by_id.get(segments[place])
        if local is None:
            return None
        number = scope.base + local
        if place + 1 == len(segments):
            return number
        child = _child(state, number, segments[place + 1])
        if child is None:
            return None
        scope = child
    return scope.base


def _child(state: Execution, number: int, segment: str) -> Scope | None:
    group = state.groups.get(number)
    bases = group.bases if group is not None else []
    if segment.startswith("[") and state.steps[number].step.type in {"map", "loop"}:
        index = int(segment[1:-1]) if segment[1:-1].isdecimal() else len(bases)
        return state.scopes[bases[index]] if index < len(bases) else None
    return next((state.scopes[base] for base in bases if state.scopes[base].segment == segment), None)


def number_of(state: Execution, path: str) -> int:
    """The task at a path. Raises ``NotFoundError``, which names paths that end so."""
    number = find(state, path)
    if number is None:
        step = path.strip("/").rpartition("/")[2]
        like = (one for one in range(1, len(state.phase)) if state.steps[one].id == step)
        raise unknown_path(path, [state.path_of(one) for one in islice(like, _LIKE)])
    return number
