"""A bystander for nested executions: keeps the tree, the acknowledged pauses and cancels, and looks at each beginning.

It knows the workflow and the events. What it means to begin: an attempt is scheduled, a step of the kernel's own starts or ends at
once, a container opens a scope.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.status import Phase
from taskengine.model.workflow import Block, Step, Workflow
from tests.kernel.nested_undo import Undoing, window

AT_ONCE = frozenset({"noop", "set", "aggregate", "signal"})


class Tree:
    """Which task stands where, by the numbers that the events give."""

    def __init__(self, workflow: Workflow) -> None:
        self.paths = ["/"]
        self.steps: list[Step | None] = [None]
        self.numbers = {"/": 0}
        self.around = [-1]  # the task that a task stands in
        self.cases: dict[int, int] = {}
        self.opened: dict[int, list[int]] = {}  # by container: scopes' numbers, in order
        self._add(workflow.steps, 0)

    def _add(self, steps: tuple[Step, ...], around: int) -> None:
        for step in steps:
            self._node(f"{self.paths[around]}{step.id}/", step, around)

    def _node(self, path: str, step: Step | None, around: int) -> int:
        self.numbers[path] = len(self.paths)
        self.paths.append(path)
        self.steps.append(step)
        self.around.append(around)
        return len(self.paths) - 1

    def undo(self, number: int) -> int:
        """The task that undoes another one; it stands where that stands."""
        step = self.steps[number]
        assert step is not None
        return self._node(f"{self.paths[number]}[undo]/", step.compensate, self.around[number])

    def open(self, event: ev.ChildrenRegistered) -> None:
        """New tasks."""
        step = self.steps[event.task]
        assert step is not None
        opened = self.opened.setdefault(event.task, [])
        assert event.first == len(self.paths), "tasks are numbered without gaps"
        for index in range(event.index, event.index + event.count):
            if step.type == "condition":
                assert not opened, "one case is taken"
            else:
                assert index == len(opened), "iterations are opened in order, each once"
            block = step.blocks[index if len(step.blocks) > 1 else 0]
            opened.append(self._node(f"{self.paths[event.task]}{segment(step, block, index)}/", None, event.task))
            self._add(block.steps, opened[-1])

    def ways_up(self, number: int) -> set[str]:
        """The path of a task and of everything around it."""
        return {self.paths[one] for one in self.chain(number)}

    def chain(self, number: int) -> Iterator[int]:
        """A task and what it stands in, outwards."""
        while number >= 0:
            yield number
            number = self.around[number]


def segment(step: Step, block: Block, index: int) -> str:
    """What a scope is called."""
    return block.name or ("else" if step.type == "condition" and block.when is None else f"[{index}]")


class Watch:
    """What has been acknowledged and not been taken back, and what each task has done."""

    def __init__(self, workflow: Workflow) -> None:
        self.tree = Tree(workflow)
        self.undoing = Undoing(workflow, self.tree)
        self.taken: set[int] = set()  # what a fork has taken over
        self.paused: set[str] = set()
        self.cancelled: set[str] = set()
        self.running: dict[int, int] = {}
        self.waiting: set[int] = set()
        self.attempts: Counter[int] = Counter()
        self.used: Counter[int] = Counter()
        self.completed: set[int] = set()
        self.seen: Counter[str] = Counter()
        self.has_ended = False

    def see(self, event: ev.Event) -> None:
        """Look at one event."""
        assert not self.has_ended or isinstance(event, ev.ExecutionRetried), f"{event} after the end"
        if self.begins(event):
            blocked = self.tree.ways_up(event.task) & (self.paused | self.cancelled)  # type: ignore[union-attr]
            assert not blocked, f"{event} begins below {blocked}"
            assert event.task not in self.completed, f"{event}: it has completed before"  # type: ignore[union-attr]
            assert event.task not in self.taken, f"{event}: it was taken over"  # type: ignore[union-attr]
            if event.task in self.undoing.originals:  # type: ignore[union-attr]
                self.undoing.may_begin(event.task)  # type: ignore[union-attr]
            self.seen["begun"] += 1
            self.seen["begun below"] += "/" in self.tree.paths[event.task].strip("/")  # type: ignore[union-attr]
        self.undoing.see(event)
        self._control(event)
        self._attempt(event)
        self.seen[type(event).__name__] += 1

    def begins(self, event: ev.Event) -> bool:
        """Whether something begins with this event."""
        if isinstance(event, ev.TaskCompleted):
            step = self.tree.steps[event.task]
            return step is not None and (step.type in AT_ONCE or event.task in self.waiting)
        return isinstance(event, ev.TaskScheduled | ev.TaskStarted | ev.ChildrenRegistered)

    def _control(self, event: ev.Event) -> None:
        match event:
            case ev.ChildrenRegistered():
                self.tree.open(event)
            case ev.ExecutionForked(tasks=tasks):
                self.taken = {one.task for one in tasks}
                self.completed = {one.task for one in tasks if one.status == "completed"}
            case ev.CompensationStarted():
                self.paused &= {"/"}
                self.cancelled.clear()
                self.running.clear()
                self.waiting.clear()
            case ev.SubtreePaused(path=path):
                self.paused.add(path)
            case ev.SubtreeResumed(path=path):
                self.paused.discard(path)
            case ev.SubtreeCancelled(path=path):
                self.cancelled.add(path)
                self.paused = {one for one in self.paused if not one.startswith(path)}
            case ev.ExecutionRetried() if self.has_ended:
                self.taken &= self.completed
                self.paused.clear()
                self.cancelled.clear()
                self.running.clear()
                self.waiting.clear()
                self.used.clear()
                self.has_ended = False
            case ev.ExecutionRetried(path=path, tasks=tasks):
                self._take_back(path, tasks)
            case (
                ev.ExecutionCompleted()
                | ev.ExecutionFailed()
                | ev.ExecutionCancelled()
                | ev.ExecutionTerminated()
                | ev.ExecutionTimedOut()
            ):
                self.has_ended = True
            case _:
                pass

    def _take_back(self, path: str, tasks: tuple[int, ...]) -> None:
        """A person wants something again: what was cancelled at it, around it or below it goes on as far as it is needed."""
        self.taken &= self.completed
        ways = set[str]().union(*(self.tree.ways_up(task) for task in tasks))
        self.cancelled = {one for one in self.cancelled if one not in ways and not one.startswith(path)}
        for number in range(1, len(self.tree.paths)):
            if number in tasks or self.tree.paths[number].startswith(path):
                self.used.pop(number, None)

    def _attempt(self, event: ev.Event) -> None:
        match event:
            case ev.TaskScheduled(task=task, attempt=attempt):
                step = self.tree.steps[task]
                assert step is not None
                assert step.type == "function"
                assert task not in self.running, f"{event}: it runs already"
                assert attempt == self.attempts[task] + 1, "attempts are numbered without gaps"
                self.attempts[task] = self.running[task] = attempt
                self.used[task] += 1
                assert self.used[task] <= step.retry.max_attempts, f"{self.tree.paths[task]}: too many attempts"
            case ev.TaskStarted(task=task, attempt=attempt, child=child):
                self.attempts[task] = attempt
                if not child:
                    self.waiting.add(task)
            case ev.TaskAttemptLost(task=task):
                self.used[task] -= 1
                del self.running[task]
            case ev.TaskRetryScheduled(task=task, is_new_round=is_new_round):
                self.running.pop(task, None)
                if is_new_round:
                    self.taken &= self.completed
                    self.used.pop(task, None)
                    self.cancelled.discard(self.tree.paths[task])
            case ev.TaskCompleted(task=task):
                assert task not in self.completed, f"{event} for the second time"
                self.completed.add(task)
                self._over(task)
            case ev.TaskFailed(task=task, attempt=attempt) | ev.TaskCancelled(task=task, attempt=attempt):
                self.attempts[task] = max(self.attempts[task], attempt) if self.tree.steps[task] is not None else 0
                self._over(task)
            case ev.TaskQuarantined(task=task) | ev.TaskSkipped(task=task):
                self._over(task)
            case _:
                pass

    def _over(self, task: int) -> None:
        """It has ended, and everything below it with it."""
        path = self.tree.paths[task]
        if self.tree.steps[task] is None or self.tree.opened.get(task):  # a group's end is the end of the pauses in it
            self.paused = {one for one in self.paused if not one.startswith(path)}
        for one in [one for one in self.running if self.tree.paths[one].startswith(path)]:
            del self.running[one]
        self.waiting = {one for one in self.waiting if not self.tree.paths[one].startswith(path)}

    def must_fit(self, state: Execution) -> None:
        """What can be seen from outside and the state agree; windows are respected where a scope is opened."""
        assert len(state.phase) == len(self.tree.paths)
        launched = {number: task.attempt for number, task in state.live.items() if task.is_launched}
        if not state.is_finished:
            assert launched == self.running
        for task, opened in self.tree.opened.items():
            step = self.tree.steps[task]
            assert step is not None
            most = window(self.tree, task)
            if most and not self.seen["ExecutionRetried"] and not self.seen["new round"]:
                at_work = sum(state.phase[base] == Phase.EXPANDED for base in opened)
                assert at_work <= most, f"{self.tree.paths[task]}: {at_work} iterations at once, {most} may"
