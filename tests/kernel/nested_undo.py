"""What undoes what, and when it may, said a second time: by the places in the tree, without walking any graph backwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from taskengine.model import event as ev
from taskengine.model.workflow import OnFailure, Workflow

if TYPE_CHECKING:
    from tests.kernel.nested_watch import Tree


def window(tree: Tree, container: int) -> int:
    """How many blocks of a container are at work at once; 0: all."""
    step = tree.steps[container]
    assert step is not None
    return step.config.get("max_concurrency", 1 if step.type == "loop" else 0)


def are_related(tree: Tree, one: int, other: int) -> bool:
    """Whether the graph says of two tasks that one stands after the other, so that they are undone in the order of their ends."""
    ways = [list(tree.chain(number)) for number in (one, other)]
    common = next(number for number in ways[0] if number in ways[1])
    if common in {one, other}:
        return True  # what stands inside of it
    below_one, below_other = (way[way.index(common) - 1] for way in ways)
    if tree.steps[common] is not None:
        return window(tree, common) == 1
    return depends(tree, below_one, below_other) or depends(tree, below_other, below_one)


def depends(tree: Tree, later: int, earlier: int) -> bool:
    """Whether a step of a block depends on another one of it, at any distance."""
    step, path = tree.steps[later], tree.paths[tree.around[later]]
    assert step is not None
    direct = [tree.numbers[f"{path}{name}/"] for name in step.depends_on]
    return earlier in direct or any(depends(tree, one, earlier) for one in direct)


class Undoing:
    """What was done, what shall be undone, and what was."""

    def __init__(self, workflow: Workflow, tree: Tree) -> None:
        self.tree = tree
        self.undoes_failures = workflow.on_failure is OnFailure.COMPENSATE
        self.done: list[int] = []  # completed and undoable, in order
        self.is_wanted = False  # a cancel asked for it
        self.originals: dict[int, int] = {}  # by the task that undoes it
        self.undone: set[int] = set()
        self.begun: set[int] = set()
        self.failed: set[int] = set()

    @property
    def has_begun(self) -> bool:
        """Whether anything is, or was, being undone."""
        return bool(self.originals)

    def see(self, event: ev.Event) -> None:
        """Look at one event."""
        match event:
            case ev.SubtreeCancelled(path="/", compensates=compensates):
                self.is_wanted = compensates
            case ev.TaskCompleted(task=task):
                self._completed(task)
            case ev.TaskSkipped(task=task, reason=reason) if task in self.originals:
                assert reason is ev.SkipReason.PERSON, "nobody asked for it"
                assert task in self.begun, "it was not tried"
                self.failed.discard(task)
                self._completed(task)
            case ev.TaskFailed(task=task) | ev.TaskCancelled(task=task) | ev.TaskQuarantined(task=task) if task in self.originals:
                self.failed.add(task)
            case ev.ExecutionTerminated():
                self.failed |= {task for task in self.begun if self.originals[task] not in self.undone}
            case ev.CompensationStarted(tasks=tasks):
                self._began(tasks)
            case ev.CompensationFailed(tasks=tasks):
                self._gave_up(tasks)
            case ev.ExecutionRetried(tasks=tasks):
                self.is_wanted = False
                self.failed -= set(tasks)
                assert not self.has_begun or set(tasks) <= self.originals.keys() - self.undone, "only what is not undone"
            case _:
                self._end(event)

    def _end(self, event: ev.Event) -> None:
        match event:
            case ev.CompensationCompleted():
                assert self.undone == set(self.originals.values())
            case ev.ExecutionFailed(outcome=outcome) | ev.ExecutionCancelled(outcome=outcome):
                self._ended(event, is_compensated=outcome == "compensated")
            case ev.ExecutionTimedOut():
                assert not (self.undoes_failures and self.done), "nothing was undone"
            case _:
                pass

    def _began(self, tasks: tuple[int, ...]) -> None:
        assert not self.has_begun, "undone twice"
        assert self.done, "there is nothing to undo"
        assert list(tasks) == self.done[::-1], "what was done is undone, last first"
        for original in tasks:
            self.originals[self.tree.undo(original)] = original

    def _completed(self, task: int) -> None:
        step = self.tree.steps[task]
        if task in self.originals:
            assert self.originals[task] not in self.undone, "undone twice"
            self.undone.add(self.originals[task])
        elif step is not None and step.compensate is not None:
            self.done.append(task)

    def may_begin(self, task: int) -> None:
        """An undoing begins: all that came after what it undoes has been undone."""
        original = self.originals[task]
        self.begun.add(task)
        later = self.done[self.done.index(original) + 1 :]
        left = [one for one in later if one not in self.undone and are_related(self.tree, one, original)]
        assert not left, f"{self.tree.paths[task]} begins before {[self.tree.paths[one] for one in left]}"

    def _gave_up(self, tasks: tuple[int, ...]) -> None:
        """What is left has failed, or was done before something that has."""
        assert list(tasks) == [task for task, original in self.originals.items() if original not in self.undone]
        broken = {self.originals[task] for task in self.failed}
        for task in tasks:
            original = self.originals[task]
            later = self.done[self.done.index(original) + 1 :]
            blamed = original in broken or any(one in later for one in broken)
            assert blamed, f"{self.tree.paths[task]} was given up for nothing"

    def _ended(self, event: ev.Event, *, is_compensated: bool) -> None:
        is_complete = self.has_begun and self.undone == set(self.originals.values())
        assert is_compensated == is_complete, f"{event}: everything is undone: {is_complete}"
        wanted = self.is_wanted if isinstance(event, ev.ExecutionCancelled) else self.undoes_failures
        assert self.has_begun or not (wanted and self.done), f"{event}: nothing was undone"
