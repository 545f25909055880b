"""The state of one execution: a mutable fold of its history. Only ``kernel.evolve`` assigns to it; everybody else reads.

Facts (phases, live tasks, outputs, clocks, pauses, signals) are what a snapshot keeps. Indexes (counters, queues) are derived from
facts, kept up by evolve at O(1) an event, and rebuilt by ``kernel.rebuild``; ``kernel.invariant`` checks that both agree. One index
is settle's: a ready task moves from ``unjudged`` to ``ready`` when its condition was found true, which no event says; and what was
looked at in vain leaves ``spreading`` and ``matchable``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

from taskengine.kernel import naming
from taskengine.kernel.plan import Plan, StepPlan
from taskengine.kernel.queue import NOBODY, ReadyQueue
from taskengine.kernel.scope import UNDO, Group, Saga, Scope
from taskengine.kernel.sieve import Sieve
from taskengine.kernel.task import Task
from taskengine.kernel.timing import Timers
from taskengine.model.status import STATUS_OF, Outcome, Phase, Status
from taskengine.model.value import ABSENT, Instant, Parent, Raw, TaskError

__all__ = ["BY_PERSON", "INHERITED", "LOSSES_BEFORE_SUSPECT", "NEVER", "SUSPECT_LOSSES", "Execution"]

BY_PERSON: Final = 1  # who holds the whole execution: people,
INHERITED: Final = 2  # and what started it
LOSSES_BEFORE_SUSPECT: Final = 2
NEVER: Final = 1 << 62  # no task has that number
SUSPECT_LOSSES: Final = 5
_PHASES: Final = len(Phase)


class Execution:
    """One execution of a plan."""

    __slots__ = (
        "at",
        "blocks",
        "business_key",
        "cancel_reason",
        "children",
        "closing",
        "counts",
        "early",
        "error",
        "execution_id",
        "expires_at",
        "finished_at",
        "forked_at",
        "forked_from",
        "groups",
        "input",
        "is_cancelling",
        "is_met",
        "is_related",
        "is_swept",
        "listeners",
        "live",
        "matchable",
        "outcome",
        "output",
        "outputs",
        "parent",
        "pause_started_at",
        "paused",
        "paused_ms",
        "pauses",
        "phase",
        "pins",
        "plan",
        "priority",
        "read_left",
        "ready",
        "root",
        "saga",
        "scopes",
        "seed",
        "seq",
        "sieves",
        "signal_count",
        "signals",
        "skipped_by_person",
        "skips",
        "spreading",
        "started_at",
        "status_at_end",
        "steps",
        "suspects",
        "sweeps",
        "tally",
        "timers",
        "undo_from",
        "undoable",
        "undoes",
        "unjudged",
        "unordered",
        "unread",
        "variables",
        "wake_at",
        "watched",
    )

    def __init__(self, execution_id: str, plan: Plan) -> None:
        # facts
        self.execution_id = execution_id
        self.plan = plan
        self.seq = 0
        self.at: Instant = 0
        self.seed = 0
        self.priority = plan.workflow.limits.priority
        self.business_key = ""
        self.parent: Parent | None = None
        self.pins: dict[str, str] = {}  # by name: the versions of what it starts that were the latest when it began
        self.input: Raw = ABSENT
        self.variables: dict[str, Raw] = {}
        self.forked_from = self.forked_at = ""  # the execution that it is a fork of, and the step that it began from
        self.started_at: Instant | None = None
        self.expires_at: Instant | None = None  # when its own timeout ends it; a retry begins that anew
        self.finished_at: Instant | None = None
        self.status_at_end: Status | None = None
        self.outcome: Outcome | None = None
        self.error: TaskError | None = None
        self.output: Raw = ABSENT
        self.is_cancelling = False
        self.is_met = False  # its success rule held when it was cancelled
        self.is_swept = False  # ended by cancel, terminate or timeout: open phases count as cancelled
        self.cancel_reason = ""
        self._make_tree(plan)
        self.live: dict[int, Task] = {}
        self.outputs: dict[int, Raw] = {}
        self.paused: set[int] = set()  # tasks at which a pause was asked for; 0 is told by pause_started_at
        self.pauses = 0  # of the whole: BY_PERSON, INHERITED or both
        self.pause_started_at: Instant | None = None
        self.paused_ms = 0
        self.timers = Timers()
        self.signals: dict[str, deque[Raw]] = {}
        self._make_indexes()

    def _make_tree(self, plan: Plan) -> None:
        self.phase = bytearray(len(plan.steps))
        self.steps: Sequence[StepPlan] = plan.steps  # by task; a list of its own once a container has opened scopes
        self.root = Scope(0, plan, -1, None, left=plan.size)
        self.scopes: list[Scope] = [self.root] * len(plan.steps)  # by task: the scope it belongs to, a scope's node to its own
        self.groups: dict[int, Group] = {}  # by container
        self.sweeps: dict[int, int] = {}  # by group that is being cancelled: attempts below it that have not ended
        self.undoable: list[int] = []  # completed tasks that can be undone, in the order of their completion
        self.early: set[int] = set()  # steps that ended, and did not complete, before what they depend on
        self.unordered: set[int] = set()  # blocks and containers in which something ended otherwise than the graph has it
        self.undoes = False  # a cancel asked for compensation
        self.saga: Saga | None = None
        self.undo_from = NEVER  # the first task that undoes another
        self.skipped_by_person: dict[int, tuple[str, str]] = {}  # who and why; joins see these tasks as done

    def _make_indexes(self) -> None:
        self.is_related = self.plan.posts  # whether it may tell other executions something
        self.tally: dict[int, list[int]] = {}  # of steps with several dependencies, from the first end on
        self.counts: list[int] = [self.plan.size] + [0] * (_PHASES - 1)  # of tasks in each phase
        self.blocks = [0] * _PHASES  # ... and how many of these are blocks at work, which are no steps
        self.unread: dict[int, int] = {}
        self.ready = ReadyQueue()
        self.suspects = NOBODY
        self.unjudged: dict[int, None] = {}
        self.skips: dict[int, None] = {}
        self.listeners: dict[str, dict[int, None]] = {}
        self.matchable: dict[str, None] = {}
        self.sieves: dict[str, Sieve] = {}  # by name of a signal that somebody with a filter listens for
        self.watched: dict[int | str, dict[int, None]] = {}  # by task or variable: listeners whose filters read it
        self.signal_count = 0
        self.children: dict[int, str] = {}  # by task: executions that it has started and waits for
        self.closing: dict[int, None] = {}  # scopes, by node, all of whose steps have ended
        self.spreading: dict[int, None] = {}  # containers that may open a scope, or end
        self.wake_at: Instant | None = None
        self.read_left = 0  # bytes that expressions may still read in this turn; no part of what was or is

    @property
    def is_finished(self) -> bool:
        """Whether a terminal event was written."""
        return self.status_at_end is not None

    @property
    def is_paused(self) -> bool:
        """Whether the whole execution is paused."""
        return self.pause_started_at is not None

    @property
    def size(self) -> int:
        """How many steps there are so far. Blocks at work are none."""
        return len(self.phase) - 1 - sum(self.blocks)

    def count(self, phase: Phase) -> int:
        """How many steps are in a phase."""
        return self.counts[phase] - self.blocks[phase]

    @property
    def status(self) -> Status:
        """The execution's status, derived."""
        if self.status_at_end is not None:
            return self.status_at_end
        if self.seq == 0:
            return Status.PENDING
        if self.is_paused:
            return Status.PAUSED
        counts = self.counts
        if counts[Phase.RUNNING] or counts[Phase.READY]:
            return Status.RUNNING
        return Status.WAITING if counts[Phase.WAITING] or counts[Phase.RETRYING] else Status.RUNNING

    @property
    def is_idle(self) -> bool:
        """Whether nothing can happen before a timer, a signal or a command: it may be parked."""
        if self.counts[Phase.RUNNING] or self.closing or self.status_at_end is not None:
            return self.status_at_end is not None
        if self.is_cancelling and self.children:
            return True  # what is ready begins no more: it waits for the ends of those
        return self.pause_started_at is not None or not (self.ready.members or self.suspects.members or self.is_moving)

    @property
    def is_moving(self) -> bool:
        """Whether settling would find something to say: a turn was cut, or nobody has looked since it was read."""
        is_undone = self.saga is not None and not self.saga.open
        return bool(self.unjudged or self.spreading or self.skips or self.matchable or self.closing or is_undone)

    @property
    def open_count(self) -> int:
        """Steps that have not ended."""
        return 0 if self.is_swept else sum(self.counts[: Phase.COMPLETED]) - sum(self.blocks[: Phase.COMPLETED])

    def status_of(self, number: int) -> Status:
        """A task's status, with what it inherits from the execution."""
        phase = self.phase[number]
        if phase < Phase.COMPLETED:
            if self.is_swept:
                return Status.CANCELLED
            if phase != Phase.RUNNING and (self.is_paused or self.is_held(number)):
                return Status.PAUSED
        return STATUS_OF[phase]

    def own_time(self, at: Instant) -> Instant:
        """The execution's own time, which stands still in a pause."""
        return (at if self.pause_started_at is None else self.pause_started_at) - self.paused_ms

    def is_held(self, number: int) -> bool:
        """Whether a pause of the task, or of a group around it, keeps it from starting."""
        return bool(self.paused) and self.held_by(number) > 0

    def held_by(self, number: int) -> int:
        """The task that is paused, of this one and the groups around it; 0 when none is."""
        return next((one for one in self.at_or_above(number) if one in self.paused), 0)

    def at_or_above(self, number: int) -> Iterator[int]:
        """The task and the groups around it, from the inside; what undoes a task stands below that."""
        if number >= self.undo_from and self.saga is not None:
            yield number
            number = self.saga.originals[number - self.undo_from]
        while number > 0:
            yield number
            scope = self.scopes[number]
            number = scope.base if number != scope.base else scope.container

    def key_of(self, number: int) -> str:
        """The idempotency key of a task: the same for every attempt of it, and of the step whose execution this is."""
        parent = self.parent
        return (self.execution_id if parent is None or not parent.key else parent.key.rstrip("/")) + self.path_of(number)

    def path_of(self, number: int) -> str:
        """Where a task stands in the tree."""
        scope, step = self.scopes[number], self.steps[number]
        if self.saga is not None and number >= self.undo_from:
            return f"{self.path_of(self.saga.originals[number - self.undo_from])}{UNDO}/"
        if scope.up is None:
            return step.path
        return f"{self.path_of(scope.container)}{scope.segment}/{step.path}"

    def find(self, path: str) -> int | None:
        """The task at a path; of several rounds of a container, in the last one."""
        return naming.find(self, path)

    def number_of(self, path: str) -> int:
        """The task at a path. Raises ``NotFoundError``."""
        return naming.number_of(self, path)

    def due_at(self) -> Instant | None:
        """When time alone makes something happen."""
        first = self.timers.first() if self.timers.due and self.pause_started_at is None else None
        if first is None:
            return self.expires_at
        due_at = first[0] + self.paused_ms
        return due_at if self.expires_at is None or due_at < self.expires_at else self.expires_at
