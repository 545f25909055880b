"""What an execution tells others, looked at letter by letter: children begin, pause, go on and stop as their tasks do.

Nobody is left to run who is not waited for, nothing is said twice, and whoever started the execution hears of every end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.effect import Effect, Post, StartChild
from taskengine.model.value import Parent

PEER = "ex_11111111111111111111111111"
PARENT = Parent(execution_id="ex_22222222222222222222222222", task=1, attempt=1, root_id="ex_33333333333333333333333333")
_ENDS = (ev.ExecutionCompleted, ev.ExecutionFailed, ev.ExecutionCancelled, ev.ExecutionTerminated, ev.ExecutionTimedOut)


class Child(msgspec.Struct):
    """An execution that a step has started, as far as it was told."""

    task: int
    is_detached: bool
    is_paused: bool = False
    is_cancelled: bool = False
    is_over: bool = False


class Letters:
    """Everything that was posted."""

    def __init__(self, parent: Parent | None, pins: dict[str, str]) -> None:
        self.parent, self.pins = parent, pins
        self.children: dict[str, Child] = {}
        self.marks: set[str] = set()
        self.sent: Counter[str] = Counter()
        self.is_undoing = False  # in this commit begins the undoing of what the execution itself has done

    def take(self, events: Sequence[ev.Event], effects: Sequence[Effect]) -> None:
        """The letters of one commit, in order."""
        self.is_undoing = any(isinstance(event, ev.CompensationStarted) for event in events)
        for effect in effects:
            if isinstance(effect, Post):
                assert effect.mark not in self.marks, f"{effect.mark} is posted twice"
                self.marks.add(effect.mark)
                self._letter(effect)
                self.sent[type(effect.letter).__name__] += 1
        self.sent["ends"] += sum(isinstance(event, _ENDS) for event in events)
        self.sent["signals"] += sum(isinstance(event, ev.SignalSent) for event in events)
        assert self.sent["Signal"] == self.sent["signals"]
        assert self.sent["ChildEnded"] == (0 if self.parent is None else self.sent["ends"])

    def _letter(self, post: Post) -> None:
        match post.letter:
            case StartChild(parent=parent, workflow=workflow, version=version):
                assert version == self.pins.get(workflow, ""), "a child has the version that was the latest at the start"
                assert post.execution_id not in self.children, "a child begins once"
                self.children[post.execution_id] = Child(parent.task, parent.is_detached)
            case cmd.Signal():
                assert post.execution_id == PEER
            case cmd.ChildEnded():
                assert self.parent is not None
                assert post.execution_id == self.parent.execution_id
            case _:
                self._control(self.children[post.execution_id], post.letter)

    def _control(self, child: Child, letter: object) -> None:
        assert not child.is_detached, f"{letter} to one that goes its own way"
        assert not child.is_over, f"{letter} to one that is over"
        match letter:
            case cmd.Pause():
                assert not child.is_paused, "paused twice"
                child.is_paused = True
            case cmd.Resume():
                assert child.is_paused or child.is_cancelled, "it was not paused"
                child.is_paused = False
            case cmd.Cancel(compensates=compensates):
                assert not child.is_cancelled, "cancelled twice"
                child.is_over = self.is_undoing  # it undoes what it has done, and nobody waits for it
                assert compensates or not self.is_undoing
                child.is_cancelled, child.is_paused = True, False
            case cmd.Terminate():
                child.is_over = True
            case _:
                raise AssertionError(letter)

    def ended(self, child: str) -> None:
        """It has ended by itself, and the execution has heard of it."""
        self.children[child].is_over = True

    def must_fit(self, state: Execution, *, paused: set[int], cancelled: set[int]) -> None:
        """Children are where their tasks are; ``paused`` and ``cancelled`` are the tasks of which that was acknowledged."""
        waited_for = {name: child for name, child in self.children.items() if not (child.is_over or child.is_detached)}
        assert {child.task: name for name, child in waited_for.items()} == state.children
        for child in waited_for.values():
            path = state.path_of(child.task)
            assert child.is_cancelled == state.live[child.task].is_cancelling, (
                f"the child of {path} is cancelled: {child.is_cancelled}"
            )
            assert child.is_cancelled or child.task not in cancelled, f"the child of {path} goes on"
            is_paused = child.task in paused and not child.is_cancelled  # a cancel ends the pauses of the child by itself
            assert child.is_cancelled or child.is_paused == is_paused, f"the child of {path} is paused: {child.is_paused}"
