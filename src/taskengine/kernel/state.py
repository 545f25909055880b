"""The state of one execution: a mutable fold of its history. Only ``kernel.evolve`` assigns to it; everybody else reads.

Facts (phases, live tasks, outputs, clocks, pauses, signals) are what a snapshot keeps. Indexes (counters, queues) are derived from
facts, kept up by evolve at O(1) an event, and rebuilt by ``kernel.rebuild``; ``kernel.invariant`` checks that both agree.
"""

from __future__ import annotations

import heapq
from collections import deque
from typing import Final

import msgspec

from taskengine.kernel.plan import Plan
from taskengine.kernel.timing import Timers
from taskengine.model.status import STATUS_OF, Outcome, Phase, Status
from taskengine.model.value import ABSENT, Instant, Raw, TaskError

__all__ = ["LOSSES_BEFORE_SUSPECT", "SUSPECT_LOSSES", "Execution", "ReadyQueue", "Task"]

LOSSES_BEFORE_SUSPECT: Final = 2
SUSPECT_LOSSES: Final = 5


class Task(msgspec.Struct, gc=False, omit_defaults=True):
    """What is remembered of a task that was begun and has not completed."""

    attempt: int = 0  # of the last attempt, over all rounds
    used: int = 0  # attempts of this round that count against max_attempts
    losses: int = 0
    suspect_losses: int = 0
    input: Raw = ABSENT
    error: TaskError | None = None
    outcome: Outcome | None = None
    started_at: Instant | None = None
    signal: str = ""  # the name a waiting step waits for
    is_launched: bool = False  # the attempt is owed by the world
    is_suspect: bool = False  # ... and runs as a suspect
    is_cancelling: bool = False
    is_stuck: bool = False  # lost and not idempotent: a person decides
    is_handled: bool = False  # its failure was handled by a later step

    def begin_round(self) -> None:
        """Forget how the last round went; the attempts, the input and the first start stay."""
        self.used = self.losses = self.suspect_losses = 0
        self.error = self.outcome = None
        self.signal = ""
        self.is_launched = self.is_cancelling = self.is_stuck = self.is_handled = False


class ReadyQueue:
    """Tasks that may be admitted, most urgent first, then in the order of the document. Stale entries are dropped when met."""

    __slots__ = ("_heap", "_members")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        self._members: set[int] = set()

    def add(self, number: int, priority: int) -> None:
        """Put a task in; a task is in at most once."""
        if number not in self._members:
            self._members.add(number)
            heapq.heappush(self._heap, (-priority, number))

    def discard(self, number: int) -> None:
        """Take a task out, if it is in."""
        self._members.discard(number)
        heap = self._heap
        while heap and heap[0][1] not in self._members:
            heapq.heappop(heap)

    def first(self) -> tuple[int, int] | None:
        """(priority, task) of the most urgent one."""
        if not self._members:
            return None
        priority, number = self._heap[0]
        return -priority, number

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, number: int) -> bool:
        return number in self._members


class Execution:
    """One run of a plan."""

    __slots__ = (
        "at",
        "business_key",
        "cancel_reason",
        "counts",
        "error",
        "execution_id",
        "failures",
        "finished_at",
        "flaws",
        "input",
        "is_cancelling",
        "is_swept",
        "left",
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
        "unhandled",
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
        self.left: list[int] = plan.in_degrees.copy()
        self.tally: dict[int, list[int]] = {}
        self.counts: list[int] = [0] * len(Phase)
        self.counts[Phase.PENDING] = plan.size
        self.unread: dict[int, int] = {}
        self.ready = ReadyQueue()
        self.suspects = ReadyQueue()
        self.unjudged: dict[int, None] = {}
        self.skips: dict[int, None] = {}
        self.listeners: dict[str, dict[int, None]] = {}
        self.matchable: dict[str, None] = {}
        self.signal_count = 0
        self.failures: dict[int, None] = {}
        self.unhandled = 0
        self.flaws = 0
        self.wake_at: Instant | None = None

    # What everybody asks

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
        if self.counts[Phase.RUNNING] and not self.is_finished:
            return False
        return self.is_finished or self.is_paused or not (self.ready or self.suspects)

    @property
    def open_count(self) -> int:
        """Tasks that have not ended."""
        if self.is_swept:
            return 0
        counts = self.counts
        return counts[0] + counts[1] + counts[2] + counts[3] + counts[4]

    def status_of(self, number: int) -> Status:
        """A task's status, with what it inherits from the execution."""
        phase = self.phase[number]
        if phase <= Phase.RETRYING:
            if self.is_swept:
                return Status.CANCELLED
            if phase != Phase.RUNNING and (self.is_paused or self.plan.steps[number].path in self.paused):
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
        if self.is_finished:
            return None
        timeout_ms = self.plan.workflow.limits.timeout_ms
        whole = self.started_at + timeout_ms if timeout_ms is not None and self.started_at is not None else None
        if self.is_paused or self.is_cancelling or not self.timers.due:
            return whole
        first = self.timers.first()
        if first is None:
            return whole
        task_due = first[0] + self.paused_ms
        return task_due if whole is None or task_due < whole else whole
