"""A workflow compiled for running: steps numbered, dependencies as numbers, expressions parsed, and who reads whose output.

Made once per workflow version by ``kernel.compile`` and shared by all its executions; nothing here changes afterwards. A block is a
small graph: its steps are numbered from 1, and number 0 is the block's own node in the task tree. The root block is the workflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from taskengine.errors import NotFoundError
from taskengine.expr import Expression, Template
from taskengine.model.value import Raw
from taskengine.model.workflow import Join, RetryPolicy, Step, Workflow

__all__ = ["BlockPlan", "FilterPlan", "Plan", "Reading", "StepPlan", "SuccessPlan"]


class Reading(msgspec.Struct, frozen=True):
    """What an expression reads: the first words of its names, and the steps behind ``steps``.

    ``tasks`` are steps of its own block; ``outer`` are steps of the blocks around it: (blocks up, number there).
    """

    roots: frozenset[str] = frozenset()
    tasks: tuple[int, ...] = ()
    secrets: tuple[str, ...] = ()
    outer: tuple[tuple[int, int], ...] = ()


class FilterPlan(msgspec.Struct, frozen=True):
    """What can be known of the filter of a wait without its data."""

    paths: tuple[tuple[str | int, ...], ...] = ()  # parts of the signal that must equal something else
    keys: tuple[Expression, ...] = ()  # ... what they must equal
    variables: tuple[str, ...] = ()  # that it reads; "": any of them


class SuccessPlan(msgspec.Struct, frozen=True):
    """A success rule; without any field no child may have failed."""

    at_least: int | None
    percent: float | None
    when: Expression | None
    when_reads: Reading

    @property
    def is_strict(self) -> bool:
        """Whether one failure is enough to break it."""
        return self.at_least is None and self.percent is None and self.when is None


class StepPlan(msgspec.Struct, frozen=True):
    """One step, ready to be judged and performed. Numbers are those of its block."""

    number: int
    id: str
    path: str  # of a step of the root block; below it, the last part of its path
    step: Step
    dependencies: tuple[int, ...]
    dependents: tuple[int, ...]
    join: Join
    is_plain: bool  # one dependency at most and the join all_success: it needs no counting
    when: Expression | None
    when_reads: Reading
    input: Template
    input_reads: Reading
    has_constant_input: bool
    constant_input: Raw  # what ``input`` gives when it holds no expression, else ABSENT
    output: Template | None
    output_reads: Reading
    reads: tuple[int, ...]  # steps of its block whose output this one may read while it lives
    is_control: bool
    priority: int | None  # None: the execution's
    retry: RetryPolicy
    fails_execution: bool
    has_clocks: bool
    blocks: tuple[BlockPlan, ...]
    success: SuccessPlan | None
    filter: Expression | None  # which signals a wait takes
    filter_reads: Reading
    filter_plan: FilterPlan
    compensation: StepPlan | None
    is_special: bool  # its completion means more than that its dependents may go on


class BlockPlan:
    """A compiled block. ``steps[0]`` is its own node, which is never performed."""

    __slots__ = (
        "by_id",
        "has_undo",
        "is_repeated",
        "kept",
        "name",
        "outer",
        "output",
        "output_reads",
        "readers",
        "repeat",
        "repeat_reads",
        "roots",
        "sinks",
        "steps",
        "stops_when",
        "undo_reads",
        "when",
        "when_reads",
    )

    by_id: dict[str, int]
    steps: tuple[StepPlan, ...]
    roots: tuple[int, ...]  # steps without dependencies
    sinks: tuple[int, ...]  # steps without dependents: what they give the block gives, unless it says otherwise
    readers: tuple[tuple[int, ...], ...]  # for each step, who may read its output
    output: Template | None
    output_reads: Reading
    name: str
    when: Expression | None  # a case's condition, judged where the container stands
    when_reads: Reading
    repeat: Expression | None  # of a loop, judged between two iterations
    repeat_reads: Reading
    stops_when: bool  # ... the loop ends when it is: ``until`` true, ``while`` false
    is_repeated: bool  # the body of a map or loop: it has an item or an index
    kept: frozenset[int]  # steps whose outputs are kept until the block ends
    has_undo: bool  # whether something in it can be undone
    undo_reads: frozenset[int]  # ... and after it, because a compensation may read them
    outer: tuple[frozenset[int], ...]  # steps around it whose outputs are read inside: nearest block first

    @property
    def size(self) -> int:
        """How many steps it has."""
        return len(self.steps) - 1

    def every_step(self) -> Iterator[StepPlan]:
        """Its steps, what undoes them, and those of the blocks inside."""
        for step in self.steps[1:]:
            yield step
            if step.compensation is not None:
                yield step.compensation
            for block in step.blocks:
                yield from block.every_step()


class Plan(BlockPlan):
    """A compiled workflow: the root block, whose node is the execution."""

    __slots__ = ("business_key", "business_key_reads", "by_path", "called", "posts", "success", "workflow")

    workflow: Workflow
    by_path: dict[str, int]  # of the root block's steps
    called: tuple[str, ...]  # the workflows that steps start by a name that is no template, without saying which version
    posts: bool  # whether a step tells other executions something
    success: SuccessPlan | None
    business_key: Template | None
    business_key_reads: Reading

    def number_of(self, path: str) -> int:
        """The task at a path such as ``/load/``, of those that every execution has; 0 for ``/``. Raises ``NotFoundError``."""
        number = self.by_path.get(path)
        if number is None:
            raise unknown_path(path)
        return number


def unknown_path(path: str, like: Sequence[str] = ()) -> NotFoundError:
    """The error for a path at which there is no task. ``like``: paths that were perhaps meant."""
    hint = f"did you mean {' or '.join(like)}?" if like else "paths look like / or /load/ or /each/[3]/load/"
    return NotFoundError("unknown_path", f"there is no task {path} in this execution", hint=hint)


def steps_of(block: BlockPlan, numbers: Sequence[int]) -> list[str]:
    """The ids of steps of a block."""
    return [block.steps[number].id for number in numbers]
