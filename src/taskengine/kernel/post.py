"""What one execution tells another: that it shall begin, stop, pause or go on, how it has ended, and signals. Part of evolve.

A letter rides in the transaction of the event that causes it. Its mark is made of that event: it counts once, however it comes.
"""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from taskengine.kernel.state import Execution
from taskengine.kernel.task import Task
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.effect import Effect, Post, StartChild
from taskengine.model.ids import EXECUTION, ulid
from taskengine.model.status import Status
from taskengine.model.value import ABSENT, NONE, Instant, Parent, Raw

__all__ = ["child_id", "left", "parent_of", "pause", "resume", "signal", "start", "stop", "tell_parent", "terminate"]


class _Config(msgspec.Struct, frozen=True):
    """A sub-workflow step's rendered config."""

    workflow: str
    version: str = ""
    input: Raw = NONE
    detach: bool = False


_decode = msgspec.json.Decoder(_Config, strict=False).decode


def child_id(state: Execution, number: int, attempt: int, at: Instant) -> str:
    """The id of the execution that an attempt starts: a function of the attempt, so that it is never started twice."""
    digest = blake2b(f"{state.execution_id}/{number}/{attempt}/{state.seed}".encode(), digest_size=10).digest()
    return EXECUTION + ulid(at, int.from_bytes(digest, "big"))


def parent_of(state: Execution, number: int, attempt: int, *, is_detached: bool) -> Parent:
    """What a child knows of where it comes from."""
    above = state.parent
    root_id, depth = (state.execution_id, 0) if above is None else (above.root_id, above.depth)
    return Parent(
        execution_id=state.execution_id,
        task=number,
        attempt=attempt,
        root_id=root_id,
        depth=depth + 1,
        is_detached=is_detached,
        key=state.key_of(number),
    )


def _post(state: Execution, execution_id: str, letter: cmd.Command | StartChild, effects: list[Effect]) -> None:
    mark = f"command:{execution_id}:{state.execution_id}:{state.seq}:{type(letter).__name__}"
    effects.append(Post(execution_id, letter, mark))


def start(state: Execution, event: ev.TaskStarted, effects: list[Effect]) -> None:
    """A sub-workflow step begins its child."""
    config = _decode(event.input)
    parent = parent_of(state, event.task, event.attempt, is_detached=config.detach)
    seed = int.from_bytes(blake2b(event.child.encode(), digest_size=6).digest(), "big")
    version = config.version or state.pins.get(config.workflow, "")
    letter = StartChild(at=event.at, workflow=config.workflow, version=version, input=config.input.copy(), parent=parent, seed=seed)
    _post(state, event.child, letter, effects)


def pause(state: Execution, number: int, effects: list[Effect]) -> None:
    """The child of a task shall pause."""
    _post(state, state.children[number], cmd.Pause(at=state.at, by=state.execution_id, is_inherited=True), effects)


def resume(state: Execution, number: int, effects: list[Effect]) -> None:
    """The child of a task shall go on."""
    _post(state, state.children[number], cmd.Resume(at=state.at, by=state.execution_id, is_inherited=True), effects)


def stop(state: Execution, number: int, task: Task, effects: list[Effect]) -> None:
    """The child of a task is cancelled; the task ends when the child has."""
    if not task.is_cancelling:
        task.is_cancelling = True
        reason = f"task {number} was cancelled"
        cancel = cmd.Cancel(at=state.at, by=state.execution_id, reason=reason, compensates=state.undoes)
        _post(state, task.child, cancel, effects)


def terminate(state: Execution, task: Task, effects: list[Effect]) -> None:
    """The child of a task ends now, and nobody waits for it."""
    _post(state, task.child, cmd.Terminate(at=state.at, by=state.execution_id), effects)


def left(state: Execution, number: int, task: Task, effects: list[Effect]) -> None:
    """The task waits for its child no more; one that was not waited for to the end is terminated."""
    del state.children[number]
    if task.is_overdue:
        terminate(state, task, effects)


def signal(state: Execution, event: ev.SignalSent, effects: list[Effect]) -> None:
    """A step has sent a signal."""
    letter = cmd.Signal(at=event.at, name=event.name, data=event.data or NONE, by=state.execution_id)
    _post(state, event.execution_id, letter, effects)


def tell_parent(state: Execution, status: Status, effects: list[Effect]) -> None:
    """The execution has ended: whoever started it and waits is told."""
    parent = state.parent
    if parent is None or parent.is_detached:
        return
    letter = cmd.ChildEnded(
        at=state.at,
        task=parent.task,
        attempt=parent.attempt,
        child=state.execution_id,
        status=status,
        output=state.output if status is Status.COMPLETED else ABSENT,
        error=state.error,
    )
    _post(state, parent.execution_id, letter, effects)
