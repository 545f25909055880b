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


def came_after(tree: Tree, ends: Ends, later: int, earlier: int) -> bool:
    """Whether one task stands after another, so that it is undone before it."""
    ways = [list(tree.chain(number)) for number in (later, earlier)]
    common = next(number for number in ways[0] if number in ways[1])
    if common in {later, earlier}:
        return common == later  # what stands inside of it is undone after it
    below_later, below_earlier = (way[way.index(common) - 1] for way in ways)
    if tree.steps[common] is not None:
        return window(tree, common) == 1 and ends.is_later(below_later, below_earlier)
    return follows(tree, ends, below_later, below_earlier)


def follows(tree: Tree, ends: Ends, later: int, earlier: int) -> bool:
    """Whether a step of a block came after another one of it, at any distance."""
    direct = [one for one in neighbours(tree, later) if ends.is_later(later, one)]
    return earlier in direct or any(follows(tree, ends, one, earlier) for one in direct)


def depends(tree: Tree, later: int, earlier: int) -> bool:
    """Whether a step of a block depends on another one of it, at any distance."""
    step, path = tree.steps[later], tree.paths[tree.around[later]]
    assert step is not None
    direct = [tree.numbers[f"{path}{name}/"] for name in step.depends_on]
    return earlier in direct or any(depends(tree, one, earlier) for one in direct)


def neighbours(tree: Tree, number: int) -> list[int]:
    """The steps of its block that a step depends on, or that depend on it."""
    around = tree.around[number]
    beside = [one for one, other in enumerate(tree.around) if other == around and not tree.paths[one].endswith("[undo]/")]
    return [one for one in beside if is_edge(tree, number, one) or is_edge(tree, one, number)]


def is_edge(tree: Tree, later: int, earlier: int) -> bool:
    """Whether a step names another one of its block as its dependency."""
    step, path = tree.steps[later], tree.paths[tree.around[later]]
    assert step is not None
    return earlier in [tree.numbers[f"{path}{name}/"] for name in step.depends_on]


class Ends:
    """When each task ended last, by the events. What has not ended, ends after everything else."""

    def __init__(self) -> None:
        self.at: dict[int, int] = {}
        self.unsure: set[int] = set()  # it may have been begun again, which no event says
        self.unhappy: set[int] = set()
        self._events = 0

    def see(self, event: ev.Event) -> None:
        """Look at one event."""
        self._events += 1
        match event:
            case ev.TaskCompleted(task=task):
                self._end(task, is_happy=True)
            case ev.TaskFailed(task=task) | ev.TaskCancelled(task=task) | ev.TaskQuarantined(task=task) | ev.TaskSkipped(task=task):
                self._end(task, is_happy=False)
            case ev.ExecutionForked(tasks=tasks):
                self.at.update((taken.task, self._events) for taken in tasks)
            case ev.TaskRetryScheduled(is_new_round=True) | ev.ExecutionRetried():
                self.unsure |= self.unhappy
            case _:
                pass

    def _end(self, task: int, *, is_happy: bool) -> None:
        self.at[task] = self._events
        self.unsure.discard(task)
        (self.unhappy.discard if is_happy else self.unhappy.add)(task)

    def is_later(self, one: int, other: int) -> bool:
        """Whether it is sure that one ended after another."""
        if self.unsure & {one, other}:
            return False
        return self.at.get(one, self._events + 1) > self.at.get(other, self._events + 1)


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
        self.ends = Ends()

    @property
    def has_begun(self) -> bool:
        """Whether anything is, or was, being undone."""
        return bool(self.originals)

    def see(self, event: ev.Event) -> None:
        """Look at one event."""
        if not self.has_begun:
            self.ends.see(event)
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
        left = [one for one in self.done if one not in {*self.undone, original} and came_after(self.tree, self.ends, one, original)]
        assert not left, f"{self.tree.paths[task]} begins before {[self.tree.paths[one] for one in left]}"

    def _gave_up(self, tasks: tuple[int, ...]) -> None:
        """What is left has failed, or stands before something that has."""
        assert list(tasks) == [task for task, original in self.originals.items() if original not in self.undone]
        broken = {self.originals[task] for task in self.failed}
        for task in tasks:
            original = self.originals[task]
            blamed = original in broken or any(came_after(self.tree, self.ends, one, original) for one in broken)
            assert blamed, f"{self.tree.paths[task]} was given up for nothing"

    def _ended(self, event: ev.Event, *, is_compensated: bool) -> None:
        is_complete = self.has_begun and self.undone == set(self.originals.values())
        assert is_compensated == is_complete, f"{event}: everything is undone: {is_complete}"
        wanted = self.is_wanted if isinstance(event, ev.ExecutionCancelled) else self.undoes_failures
        assert self.has_begun or not (wanted and self.done), f"{event}: nothing was undone"
