"""Follows a history from the outside, event by event, and says what may not have happened.

It knows the workflow and the events, nothing of the kernel: it keeps its own statuses, runs its own clocks, judges joins with
``tests.kernel.oracle`` and computes how the execution must end. It is simple and slow where the kernel is quick.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field

from taskengine.model import event as ev
from taskengine.model.status import Outcome
from taskengine.model.value import ABSENT, Instant, Raw, TaskError
from taskengine.model.workflow import CONTROL_STEPS, Step, Workflow
from tests.kernel import oracle

OPEN = {"pending", "ready", "running", "waiting", "stuck", "retrying"}
SUSPECT_FROM = 2
QUARANTINED_AT = 5
_METHODS = {kind: re.sub(r"([A-Z])", r"_\1", kind.__name__).lower() for kind in ev.EVENT_TYPES}


@dataclass
class Record:
    """One task."""

    number: int
    step: Step
    status: str = "pending"
    attempt: int = 0
    used: int = 0
    losses: int = 0
    losses_alone: int = 0
    signal: str = ""
    error: TaskError | None = None
    is_suspect: bool = False
    is_cancelling: bool = False
    has_fired: bool = False
    timed_out: str = ""
    judged: str = ""
    is_done_without: bool = False  # a person has skipped it
    clocks: dict[str, int] = field(default_factory=dict)  # what is left of each, ms

    @property
    def end(self) -> str | None:
        return None if self.status in OPEN else self.status

    @property
    def end_for_joins(self) -> str | None:
        return "completed" if self.is_done_without else self.end

    @property
    def is_control(self) -> bool:
        return self.step.type in CONTROL_STEPS

    def become(self, status: str) -> None:
        assert self.status in OPEN or status == "pending", f"{self.step.id} is {self.status} and becomes {status}"
        self.status = status
        self.is_suspect = self.is_cancelling = self.has_fired = False
        self.timed_out = self.signal = ""
        if status not in OPEN:
            self.clocks.clear()

    def begin_round(self) -> None:
        assert self.status != "completed"
        self.used = self.losses = self.losses_alone = 0
        self.error = None
        self.judged = ""
        self.clocks.clear()


class Observer:
    """The law as a bystander sees it."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.records = [Record(number, step) for number, step in enumerate(workflow.steps, 1)]
        self.by_id = {record.step.id: record for record in self.records}
        self.at: Instant = 0
        self.priority = workflow.limits.priority
        self.expires_at: Instant | None = None
        self.is_paused = self.is_cancelling = False
        self.held: set[str] = set()
        self.signals: dict[str, deque[Raw]] = {}
        self.taken = 0
        self.end: str | None = None
        self.is_swept = False
        self.owed: set[tuple[int, int]] = set()
        self.verdicts: Counter[str] = Counter()
        self.count = 0

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def see(self, event: ev.Event) -> None:
        """One more event. Raises ``AssertionError`` for what may not be."""
        assert event.at >= self.at, "time went back"
        assert (self.count == 0) == isinstance(event, ev.ExecutionStarted), "begins with its start, and once"
        assert self.end is None or isinstance(event, ev.ExecutionRetried), f"{event} after the end"
        self._pass(event.at - self.at)
        self.at = event.at
        self.count += 1
        getattr(self, _METHODS[type(event)])(event)
        if self.end is None:
            self._judge()

    def at_rest(self, at: Instant) -> None:
        """Nothing that should have happened by itself until ``at`` is still to come."""
        if self.end is not None or self.count == 0:
            return
        assert any(record.status in OPEN for record in self.records), "all have ended and the execution goes on"
        assert self.expires_at is None or at < self.expires_at, "the execution's timeout passed unseen"
        running = [record for record in self.records if record.status == "running"]
        assert running or not self.is_cancelling, "cancelled, nothing runs, and it goes on"
        elapsed = at - self.at
        for record in running if self.is_cancelling else self.records:
            for clock, left in record.clocks.items():
                assert not self._runs(record) or left > elapsed, f"{record.step.id}: its {clock} clock ran out unseen"
        if not self.is_paused and not self.is_cancelling:
            for record in self.records:
                self._rests(record)

    def _rests(self, record: Record) -> None:
        name, is_held = record.step.id, record.step.id in self.held
        assert not (record.status == "pending" and self._said(record) == "skip"), f"{name} cannot happen and is not skipped"
        assert not (record.status == "ready" and record.is_control and not is_held), f"{name} is not performed"
        if record.status == "waiting" and record.signal and not is_held:
            assert record.signal not in self.signals, f"{name} does not take its signal"

    def _said(self, record: Record) -> str:
        return oracle.said(record.step.join, [self.by_id[name].end_for_joins for name in record.step.depends_on])

    def _runs(self, record: Record) -> bool:
        return not self.is_paused and record.step.id not in self.held

    def _pass(self, elapsed: int) -> None:
        for record in self.records:
            if self._runs(record):
                for clock in record.clocks:
                    record.clocks[clock] -= elapsed

    def _judge(self) -> None:
        for record in self.records:
            if record.status == "pending":
                ends = [self.by_id[name].end_for_joins for name in record.step.depends_on]
                said = oracle.said(record.step.join, ends)
                judged = f"{record.step.join} {said}"
                if judged != record.judged and (any(ends) or not ends):
                    record.judged = judged
                    self.verdicts[judged] += 1
                if said == "start":
                    self._ready(record)

    def _ready(self, record: Record) -> None:
        record.status = "ready"
        if record.step.queue_timeout_ms is not None and not record.is_control:
            record.clocks["queue"] = record.step.queue_timeout_ms

    def _may_begin(self, record: Record) -> None:
        assert record.status == "ready", f"{record.step.id} begins and is {record.status}"
        self._may_go_on(record)

    def _may_go_on(self, record: Record) -> None:
        name = record.step.id
        assert not self.is_paused, f"{name} goes on in a paused execution"
        assert name not in self.held, f"{name} goes on and is paused"
        assert not self.is_cancelling, f"{name} goes on in a cancelled execution"
        assert not record.is_cancelling, f"{name} goes on and is cancelled"

    # ── an attempt ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _task_scheduled(self, event: ev.TaskScheduled) -> None:
        record = self.records[event.task - 1]
        assert not record.is_control
        self._may_begin(record)
        assert event.attempt == record.attempt + 1, "attempts are numbered without gaps"
        assert event.is_suspect == (record.losses >= SUSPECT_FROM)
        assert not event.input or event.attempt == 1, "the input is written once"
        rivals = [one for one in self.records if self._is_rival(one, is_suspect=event.is_suspect)]
        first = min(rivals, key=lambda one: (-self._priority(one), one.number))
        assert record is first, f"{first.step.id} is more urgent than {record.step.id}"
        record.become("running")
        record.attempt, record.is_suspect = event.attempt, event.is_suspect
        record.used += 1
        assert record.used <= record.step.retry.max_attempts
        record.clocks.pop("queue", None)
        if record.step.timeout_ms is not None:
            record.clocks["attempt"] = record.step.timeout_ms
        if record.step.total_timeout_ms is not None:
            record.clocks.setdefault("total", record.step.total_timeout_ms)
        bound = self.workflow.limits.max_concurrency
        assert bound is None or sum(one.status == "running" for one in self.records) <= bound
        self.owed.add((event.task, event.attempt))

    def _is_rival(self, record: Record, *, is_suspect: bool) -> bool:
        is_waiting = record.status == "ready" and not record.is_control and record.step.id not in self.held
        return is_waiting and (record.losses >= SUSPECT_FROM) == is_suspect

    def _priority(self, record: Record) -> int:
        return self.priority if record.step.priority is None else record.step.priority

    def _task_started(self, event: ev.TaskStarted) -> None:
        record = self.records[event.task - 1]
        assert record.step.type == "wait"
        self._may_begin(record)
        assert event.attempt == record.attempt + 1
        record.become("waiting")
        record.attempt, record.signal = event.attempt, event.signal

    def _task_progress_reported(self, event: ev.TaskProgressReported) -> None:
        record = self.records[event.task - 1]
        assert record.status == "running"
        assert event.attempt == record.attempt
        assert event.progress or record.losses, "it tells nothing"
        record.losses = record.losses_alone = 0

    def _task_completed(self, event: ev.TaskCompleted) -> None:
        record = self.records[event.task - 1]
        match record.status:
            case "running":
                assert event.attempt == record.attempt
            case "waiting":
                self._may_go_on(record)
                assert event.attempt == record.attempt
                assert "wait" not in record.clocks, "its timer fired or was cancelled"
                if record.signal:
                    self._take(record, event)
                else:
                    assert record.has_fired
            case "ready":
                self._may_begin(record)
                assert record.step.type == "noop"
                assert event.attempt == record.attempt + 1
            case status:
                raise AssertionError(f"{record.step.id} completes and is {status}")
        self.owed.discard((event.task, event.attempt))
        record.become("completed")

    def _take(self, record: Record, event: ev.TaskCompleted) -> None:
        queue = self.signals[record.signal]
        data = queue.popleft()
        self.taken += 1
        if not queue:
            del self.signals[record.signal]
        if not record.step.output_mapping:
            assert event.output == data, "signals are taken in order"

    def _task_failed(self, event: ev.TaskFailed) -> None:
        record = self.records[event.task - 1]
        assert event.attempt in {record.attempt, record.attempt + 1}
        is_final = record.timed_out not in {"", "attempt", "heartbeat"} or event.error.type == "ExpressionError"
        if record.status == "running" and not is_final:
            assert not self._may_retry(record, event.error), "another attempt was due"
        if record.status in {"waiting", "retrying"} and not record.timed_out:
            assert event.error.type == "ExpressionError"
        if record.status == "ready" and not record.timed_out:
            self._may_begin(record)
        assert not record.timed_out or event.outcome is Outcome.TIMED_OUT
        self._fail(record, event.attempt, event.error)

    def _fail(self, record: Record, attempt: int, error: TaskError) -> None:
        assert not record.is_cancelling or error.type == "ExpressionError"
        self.owed.discard((record.number, attempt))
        record.become("failed")
        record.attempt, record.error = attempt, error

    @staticmethod
    def _may_retry(record: Record, error: TaskError) -> bool:
        policy = record.step.retry
        return (
            record.used < policy.max_attempts
            and not error.is_final
            and not ({error.type, *error.bases} & set(policy.non_retryable_errors))
        )

    def _task_quarantined(self, event: ev.TaskQuarantined) -> None:
        record = self.records[event.task - 1]
        assert record.losses_alone == QUARANTINED_AT
        assert record.status in {"ready", "stuck"}
        self._fail(record, event.attempt, TaskError(type="Quarantined"))

    def _task_cancelled(self, event: ev.TaskCancelled) -> None:
        record = self.records[event.task - 1]
        assert record.is_cancelling or event.outcome is Outcome.TERMINATED
        assert event.attempt == record.attempt
        assert "wait" not in record.clocks
        self.owed.discard((event.task, event.attempt))
        record.become("cancelled")
        record.error = None

    def _task_skipped(self, event: ev.TaskSkipped) -> None:
        record = self.records[event.task - 1]
        assert not self.is_cancelling
        if event.reason is ev.SkipReason.PERSON:
            assert record.status in OPEN - {"running"}, f"{record.step.id} is {record.status} and skipped"
            record.error = None
            record.is_done_without = True
            record.become("skipped")
            return
        assert not self.is_paused
        if event.reason is ev.SkipReason.JOIN:
            assert record.status == "pending"
            assert self._said(record) == "skip"
        else:
            self._may_begin(record)
            assert record.step.when is not None
            assert record.attempt == 0
        record.become("skipped")

    def _task_retry_scheduled(self, event: ev.TaskRetryScheduled) -> None:
        record = self.records[event.task - 1]
        assert event.attempt == record.attempt
        if event.is_new_round:
            self._new_round(record)
            return
        assert record.status == "running"
        assert not record.is_cancelling
        assert event.error is not None
        assert self._may_retry(record, event.error)
        assert event.due_at >= event.at + event.error.retry_after_ms
        self.owed.discard((event.task, event.attempt))
        record.become("retrying")
        record.clocks.pop("attempt", None)
        record.clocks["retry"] = event.due_at - event.at

    def _new_round(self, record: Record) -> None:
        assert not self.is_cancelling
        if record.status in {"retrying", "stuck"}:
            record.begin_round()
            record.become("ready")
            self._ready(record)
            return
        assert record.status in {"failed", "cancelled"}
        for one in self._reopened([record]):
            one.become("pending")
            one.begin_round()
            for dependent in self._dependents(one):
                if dependent.status == "ready" and dependent.attempt == 0:
                    dependent.become("pending")
                    dependent.clocks.clear()

    def _dependents(self, record: Record) -> list[Record]:
        return [one for one in self.records if record.step.id in one.step.depends_on]

    def _reopened(self, chosen: list[Record]) -> list[Record]:
        """With everything that did not happen because of them."""
        reopened = list(chosen)
        for record in reopened:
            for dependent in self._dependents(record):
                is_cut_off = self.is_swept and dependent.status in {"pending", "ready"} and dependent.attempt == 0
                is_skipped = dependent.status == "skipped" and not dependent.is_done_without
                if dependent not in reopened and (is_skipped or is_cut_off):
                    reopened.append(dependent)
        return reopened

    def _task_attempt_lost(self, event: ev.TaskAttemptLost) -> None:
        record = self.records[event.task - 1]
        assert record.status == "running"
        assert event.attempt == record.attempt
        assert not record.is_cancelling
        record.used -= 1
        if event.is_counted:
            record.losses += 1
            record.losses_alone += record.is_suspect
        record.clocks.pop("attempt", None)
        self.owed.discard((event.task, event.attempt))
        record.become("stuck")
        if record.step.is_idempotent:
            self._ready(record)

    # ── clocks ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _task_timed_out(self, event: ev.TaskTimedOut) -> None:
        record = self.records[event.task - 1]
        if event.kind is ev.TimeoutKind.HEARTBEAT:  # the shell's clock: it runs as long as the attempt does
            assert record.status == "running"
            record.timed_out = event.kind.value
            return
        assert record.clocks[event.kind.value] <= 0, f"{record.step.id}: its {event.kind} clock has {record.clocks} left"
        assert self._runs(record), f"{record.step.id}: a timer fires in a pause"
        record.timed_out = event.kind.value

    def _timer_set(self, event: ev.TimerSet) -> None:
        record = self.records[event.task - 1]
        assert record.status == "waiting"
        record.clocks["wait"] = event.due_at - event.at

    def _timer_fired(self, event: ev.TimerFired) -> None:
        record = self.records[event.task - 1]
        self._may_go_on(record)
        clock = "retry" if record.status == "retrying" else "wait"
        assert record.clocks.pop(clock) <= 0, "a timer is early"
        if clock == "retry":
            record.become("ready")
            self._ready(record)
        else:
            assert not record.signal
            record.has_fired = True

    def _timer_cancelled(self, event: ev.TimerCancelled) -> None:
        self.records[event.task - 1].clocks.pop("wait")

    # ── the execution ────────────────────────────────────────────────────────────────────────────────────────────────

    def _execution_started(self, event: ev.ExecutionStarted) -> None:
        if event.priority is not None:
            self.priority = event.priority
        self._begin_timeout()

    def _begin_timeout(self) -> None:
        timeout_ms = self.workflow.limits.timeout_ms
        self.expires_at = None if timeout_ms is None else self.at + timeout_ms

    def _subtree_paused(self, event: ev.SubtreePaused) -> None:
        assert not self.is_cancelling
        if event.path == "/":
            assert not self.is_paused
            self.is_paused = True
        else:
            assert event.path.strip("/") not in self.held
            self.held.add(event.path.strip("/"))

    def _subtree_resumed(self, event: ev.SubtreeResumed) -> None:
        if event.path == "/":
            assert self.is_paused
            self.is_paused = False
        else:
            self.held.remove(event.path.strip("/"))

    def _subtree_cancelled(self, event: ev.SubtreeCancelled) -> None:
        assert not self.is_cancelling
        if event.path != "/":
            self.held.discard(event.path.strip("/"))
            self.by_id[event.path.strip("/")].is_cancelling = True
            return
        self.is_cancelling = True
        self.is_paused = False
        self.held.clear()
        for record in self.records:
            if record.status == "running":
                record.is_cancelling = True
            else:
                record.clocks.clear()  # nothing that waits goes on

    def _signal_received(self, event: ev.SignalReceived) -> None:
        self.signals.setdefault(event.name, deque()).append(event.data)

    def _ends(self) -> dict[str, str | None]:
        return {record.step.id: record.end for record in self.records}

    def _finish(self, status: str) -> None:
        assert None not in self._ends().values(), "something is still open"
        errors = {record.step.id: record.error for record in self.records if record.error is not None}
        expected = oracle.outcome(self.workflow, self._ends(), errors)
        assert expected == status, f"it is {status} and should be {expected}"
        self._end(status)

    def _end(self, status: str, *, is_swept: bool = False) -> None:
        self.end = status
        self.is_swept = is_swept
        self.owed.clear()
        for record in self.records:
            record.clocks.clear()

    def _execution_completed(self, event: ev.ExecutionCompleted) -> None:
        assert (event.output == ABSENT) == (self.workflow.output is None)
        self._finish("partial" if event.outcome is Outcome.PARTIAL else "completed")

    def _execution_failed(self, event: ev.ExecutionFailed) -> None:
        if event.error.message.startswith("output: "):
            assert None not in self._ends().values()
            self._end("failed")
        else:
            self._finish("failed")

    def _execution_cancelled(self, event: ev.ExecutionCancelled) -> None:
        assert self.is_cancelling
        has_expired = self.expires_at is not None and event.at >= self.expires_at
        assert has_expired or all(record.status != "running" for record in self.records), "it ends and something runs"
        self._end("cancelled", is_swept=True)

    def _execution_terminated(self, event: ev.ExecutionTerminated) -> None:
        self._end("terminated", is_swept=True)

    def _execution_timed_out(self, event: ev.ExecutionTimedOut) -> None:
        assert not self.is_cancelling
        assert self.expires_at is not None
        assert event.at >= self.expires_at, "the execution's timeout is early"
        self._end("timed_out", is_swept=True)

    def _execution_retried(self, event: ev.ExecutionRetried) -> None:
        assert self.end is not None
        if event.path == "/":
            assert event.tasks == tuple(one.number for one in self.records if self._fails_at_end(one)), "what is to be done again"
        reopened = self._reopened([self.records[number - 1] for number in event.tasks])
        for record in self.records:
            if record in reopened or record.status in OPEN:
                is_kept_out = record not in reopened and event.path != "/"
                record.begin_round()
                record.become("cancelled" if is_kept_out else "pending")
        self.end = None
        self.is_paused = self.is_cancelling = self.is_swept = False
        self.held.clear()
        self._begin_timeout()

    def _fails_at_end(self, record: Record) -> bool:
        if record.status == "failed":
            assert record.error is not None
            return not oracle.is_handled(self.workflow, record.step, record.error, self._ends())
        return record.status in {"cancelled", "running", "waiting", "stuck", "retrying"}

    def is_idle(self) -> bool:
        """Whether only time, a signal or a command can make something happen."""
        if self.end is not None:
            return True
        if any(record.status == "running" for record in self.records):
            return False
        ready = [record for record in self.records if record.status == "ready" and record.step.id not in self.held]
        return self.is_paused or not ready

    def waiting_signals(self) -> int:
        """How many signals nobody has taken."""
        return sum(len(queue) for queue in self.signals.values())
