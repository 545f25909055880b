"""The state of one execution: a mutable fold of its history. Only ``kernel.evolve`` assigns to it; everybody else reads.

Facts (phases, live tasks, outputs, clocks, pauses, signals) are what a snapshot keeps. Indexes (counters, queues) are derived from
facts, kept up by evolve at O(1) an event, and rebuilt by ``kernel.rebuild``; ``kernel.invariant`` checks that both agree. One index
is settle's: a ready task moves from ``unjudged`` to ``ready`` when its condition was found true, which no event says.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from taskengine.kernel.plan import Plan
from taskengine.kernel.timing import Timers
from taskengine.model.status import STATUS_OF, Outcome, Phase, Status
from taskengine.model.value import ABSENT, Instant, Raw, TaskError

__all__ = ["LOSSES_BEFORE_SUSPECT", "SUSPECT_LOSSES", "Execution", "ReadyQueue", "Task"]

LOSSES_BEFORE_SUSPECT: Final = 2
SUSPECT_LOSSES: Final = 5
_STALE_ENTRIES: Final = 64  # so many are not worth a tidying


class Task(msgspec.Struct, gc=False, omit_defaults=True):
    """What is remembered of a task that was begun and has not completed."""

    attempt: int = 0  # of the last attempt, over all rounds
    used: int = 0  # attempts of this round that count against max_attempts
    losses: int = 0
    suspect_losses: int = 0
    input: Raw = ABSENT
    progress: Raw = ABSENT  # what was last reported, by this attempt or an earlier one of the round
    error: TaskError | None = None
    outcome: Outcome | None = None
    started_at: Instant | None = None
    signal: str = ""  # the name a waiting step waits for
    is_launched: bool = False  # the attempt is owed by the world
    is_suspect: bool = False  # ... and runs as a suspect
    is_cancelling: bool = False  # ... and was asked to stop
    is_overdue: bool = False  # ... and its time has run out
    is_stuck: bool = False  # lost and not idempotent: a person decides
    is_handled: bool = False  # its failure was handled by a later step

    def stand_down(self) -> None:
        """The attempt, and whatever the task waited for, is over."""
        self.signal = ""
        self.is_launched = self.is_suspect = self.is_cancelling = self.is_overdue = self.is_stuck = False

    def begin_round(self) -> None:
        """Forget how the last round went; the attempts' number, the input and the first start stay."""
        self.stand_down()
        self.used = self.losses = self.suspect_losses = 0
        self.error = self.outcome = None
        self.progress = ABSENT
        self.is_handled = False


class ReadyQueue:
    """Tasks that may be admitted, most urgent first, then in the order of the document. Stale entries are dropped when met."""

    __slots__ = ("_heap", "_members")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        self._members: dict[int, int] = {}

    def add(self, number: int, priority: int) -> None:
        """Put a task in; a task is in at most once."""
        if number not in self._members:
            self._members[number] = -priority
            heapq.heappush(self._heap, (-priority, number))

    def discard(self, number: int) -> None:
        """Take a task out, if it is in."""
        heap, members = self._heap, self._members
        if members.pop(number, None) is None:
            return
        while heap and heap[0][1] not in members:
            heapq.heappop(heap)
        if heap and len(heap) > _STALE_ENTRIES + 4 * len(members):
            self._heap = [(key, member) for member, key in members.items()]
            heapq.heapify(self._heap)

    def first(self) -> tuple[int, int] | None:
        """(priority, task) of the most urgent one."""
        if not self._members:
            return None
        key, number = self._heap[0]
        return -key, number

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(priority, task) of each, most urgent first."""
        return ((-key, number) for key, number in sorted((key, number) for number, key in self._members.items()))

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, number: int) -> bool:
        return number in self._members


class Execution:
    """One execution of a plan."""

    __slots__ = (
        "at",
        "business_key",
        "cancel_reason",
        "counts",
        "error",
        "execution_id",
        "expires_at",
        "failures",
        "finished_at",
        "flaws",
        "input",
        "is_cancelling",
        "is_swept",
        "listeners",
        "live",
        "matchable",
        "outcome",
        "output",
        "outputs",
        "pause_started_at",
        "paused",
        "paused_ms",
        "phase",
        "plan",
        "priority",
        "ready",
        "seed",
        "seq",
        "signal_count",
        "signals",
        "skips",
        "started_at",
        "status_at_end",
        "suspects",
        "tally",
        "timers",
        "unjudged",
        "unread",
        "variables",
        "wake_at",
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
        self.input: Raw = ABSENT
        self.variables: dict[str, Raw] = {}
        self.started_at: Instant | None = None
        self.expires_at: Instant | None = None  # when its own timeout ends it; a retry begins that anew
        self.finished_at: Instant | None = None
        self.status_at_end: Status | None = None
        self.outcome: Outcome | None = None
        self.error: TaskError | None = None
        self.output: Raw = ABSENT
        self.is_cancelling = False
        self.is_swept = False  # ended by cancel, terminate or timeout: open phases count as cancelled
        self.cancel_reason = ""
        self.phase = bytearray(len(plan.steps))
        self.live: dict[int, Task] = {}
        self.outputs: dict[int, Raw] = {}
        self.paused: set[str] = set()
        self.pause_started_at: Instant | None = None
        self.paused_ms = 0
        self.timers = Timers()
        self.signals: dict[str, deque[Raw]] = {}
        # indexes
        self.tally: dict[int, list[int]] = {}  # of steps with several dependencies, from the first end on
        self.counts: list[int] = [plan.size] + [0] * (len(Phase) - 1)  # of tasks in each phase
        self.unread: dict[int, int] = {}
        self.ready = ReadyQueue()
        self.suspects = ReadyQueue()
        self.unjudged: dict[int, None] = {}
        self.skips: dict[int, None] = {}
        self.listeners: dict[str, dict[int, None]] = {}
        self.matchable: dict[str, None] = {}
        self.signal_count = 0
        self.failures: set[int] = set()  # unhandled: they fail the execution
        self.flaws = 0  # what makes it partial
        self.wake_at: Instant | None = None

    @property
    def is_finished(self) -> bool:
        """Whether a terminal event was written."""
        return self.status_at_end is not None

    @property
    def is_paused(self) -> bool:
        """Whether the whole execution is paused."""
        return self.pause_started_at is not None

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
        if self.is_finished:
            return True
        if self.counts[Phase.RUNNING]:
            return False
        return self.is_paused or not (self.ready or self.suspects or self.unjudged)

    @property
    def open_count(self) -> int:
        """Tasks that have not ended."""
        return 0 if self.is_swept else sum(self.counts[: Phase.COMPLETED])

    def status_of(self, number: int) -> Status:
        """A task's status, with what it inherits from the execution."""
        phase = self.phase[number]
        if phase <= Phase.RETRYING:
            if self.is_swept:
                return Status.CANCELLED
            if phase != Phase.RUNNING and (self.is_paused or self.is_held(number)):
                return Status.PAUSED
        return STATUS_OF[phase]

    def own_time(self, at: Instant) -> Instant:
        """The execution's own time, which stands still in a pause."""
        return (at if self.pause_started_at is None else self.pause_started_at) - self.paused_ms

    def is_held(self, number: int) -> bool:
        """Whether a pause of the task itself keeps it from starting."""
        return bool(self.paused) and self.plan.steps[number].path in self.paused

    def due_at(self) -> Instant | None:
        """When time alone makes something happen."""
        first = self.timers.first() if self.timers.due and self.pause_started_at is None else None
        if first is None:
            return self.expires_at
        due_at = first[0] + self.paused_ms
        return due_at if self.expires_at is None or due_at < self.expires_at else self.expires_at
