"""What must hold whenever anything was written, looked at through a store of its own after every call of every node.

The audit folds each history for itself, event by event as they appear, and compares: with the row beside it, with the rules of the
kernel, with what clients were told, and with what functions were called. It ends the run at the first promise that is broken.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from taskengine.kernel import invariant
from taskengine.kernel.advance import advance
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.evolve import evolve
from taskengine.kernel.plan import Plan
from taskengine.kernel.snapshot import dump, restore
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.codec import decode_event
from taskengine.model.command import Tick
from taskengine.model.status import Phase
from taskengine.model.value import Instant
from taskengine.model.workflow import Workflow
from taskengine.ports.store import Append, ExecutionFilter, Store, Summary, Verdict
from taskengine.runtime.residency import SnapshotUnreadable, restore_execution
from taskengine.runtime.resident import Result
from taskengine.testing.simulation.disk import at_once
from taskengine.testing.simulation.failures import SimulationError

__all__ = ["Audit", "Record"]

_log: Final = logging.getLogger("taskengine.simulation")
CLOCKS_WRONG_BY_MS: Final = 60_000  # at most, in every scenario
_EVERYTHING: Final = 1_000_000
_ENDS: Final = (ev.TaskCompleted, ev.TaskFailed, ev.TaskQuarantined, ev.TaskCancelled, ev.TaskSkipped)
_BEGINNINGS: Final = (ev.TaskScheduled, ev.TaskStarted)
_DEEDS: Final[dict[type, str]] = {
    ev.ExecutionStarted: "start",
    ev.SignalReceived: "signal",
    ev.SubtreePaused: "pause",
    ev.SubtreeResumed: "resume",
    ev.SubtreeCancelled: "cancel",
    ev.ExecutionTerminated: "terminate",
    ev.TaskCancelled: "terminate",
    ev.ExecutionRetried: "retry",
    ev.TaskRetryScheduled: "retry",
    ev.TaskSkipped: "skip",
    ev.VariablesSet: "set",
    ev.ApprovalDecided: "decide",
    ev.ExecutionForked: "fork",
}


class Record:
    """One execution as the audit knows it: the history it has seen, folded."""

    def __init__(self, summary: Summary, plan: Plan) -> None:
        self.execution_id = summary.execution_id
        self.plan = plan
        self.summary = summary
        self.state = Execution(summary.execution_id, plan)
        self.bodies: list[bytes] = []
        self.scheduled: dict[tuple[int, int], tuple[int, str]] = {}  # (task, attempt) → seq, and who owned it from then on
        self.stopped: dict[int, int] = {}  # task → attempts up to this one may not begin any more: a client was told so
        self.last_owner = summary.owner
        self.begun_by = ""
        self.left_by = ""  # the node that gave it back, while nobody has gone on with it
        self.ends: list[tuple[int, int]] = []  # (task, seq) of everything that ended a task
        self.results: list[Result] = []  # one for each time it ended


class Audit:
    """Sees everything. ``now`` is the true time, ``fail`` ends the run."""

    def __init__(self, store: Store, *, now: Callable[[], Instant], fail: Callable[[SimulationError], None]) -> None:
        self.records: dict[str, Record] = {}
        self.event_counts: Counter[str] = Counter()
        self.verdicts: Counter[str] = Counter()
        self.on_event: Callable[[Record, ev.Event], None] = _nothing  # a scenario's own promises, after every fold
        self._store = store
        self._now = now
        self._fail = fail
        self._plans: dict[tuple[str, str], Plan] = {}
        self._done_at: dict[tuple[str, str], int] = {}  # the event's number in its history
        self._conflicts: set[tuple[str, str]] = set()  # (node, execution): a state that the node had to drop
        self._deeds: Counter[tuple[str, str]] = Counter()
        self._log = hashlib.sha256()
        self._calls: dict[tuple[str, int, int], str] = {}  # every function call there ever was → the node that made it
        at_once(store.open())

    @property
    def fingerprint(self) -> str:
        """A hash over every stored event of every execution, every verdict and every call: equal for equal runs."""
        whole = self._log.copy()
        for execution_id in sorted(self.records):
            for body in self.records[execution_id].bodies:
                whole.update(body)
        return whole.hexdigest()

    # ── after every write ────────────────────────────────────────────────────────────────────────────────────────────

    def look(self) -> None:
        """See what was written since the last look."""
        try:
            if at_once(self._store.changed()):
                self.look_again()
        except SimulationError as error:
            self._fail(error)

    def look_again(self) -> None:
        """Look at every row, changed or not."""
        for summary in at_once(self._store.executions(ExecutionFilter(), limit=_EVERYTHING)):
            record = self.records.get(summary.execution_id)
            if record is None:
                plan = self._plan(summary.workflow_id, summary.workflow_version)
                record = self.records[summary.execution_id] = Record(summary, plan)
            elif record.summary == summary:
                continue
            self._follow(record, summary)

    def committed(self, node: str, batch: Sequence[Append], *, verdicts: Sequence[Verdict]) -> None:
        """A store has answered a commit; the look at what it wrote was before."""
        for append, verdict in zip(batch, verdicts, strict=True):
            self.verdicts[verdict.value] += 1
            if verdict is Verdict.CONFLICT:
                self._conflicts.add((node, append.summary.execution_id))
            self.note(f"{node} {append.summary.execution_id} {append.expected_seq} {verdict.value}")

    def note(self, line: str) -> None:
        """Something that must happen alike in every run of a seed."""
        self._log.update(line.encode() + b"\n")
        _log.debug(line)

    def _follow(self, record: Record, summary: Summary) -> None:
        before, record.summary = record.summary, summary
        record.left_by = before.owner if summary.owner == "" and summary.seq == before.seq else ""
        known = len(record.bodies)
        found = at_once(self._store.events(summary.execution_id, after=known, limit=_EVERYTHING))
        self._require(
            [one.seq for one in found] == list(range(known + 1, summary.seq + 1)),
            "history_with_gaps",
            f"{summary.execution_id} has {[one.seq for one in found]} after {known}, its row says {summary.seq}",
        )
        for one in found:
            self._fold(record, one.body)
        self._check_row(record, before)
        problems = list(invariant.broken(record.state))
        self._require(not problems, "state_broken", f"{summary.execution_id} after event {summary.seq}: {'; '.join(problems)}")

    def _fold(self, record: Record, body: bytes) -> None:
        event = decode_event(body)
        state = record.state
        record.bodies.append(body)
        name = type(event).__name__
        where = f"{record.execution_id}:{len(record.bodies)} {name}"
        self.event_counts[name] += 1
        _log.debug("event %s %s", where, body)
        self._require(event.at >= state.at, "time_goes_back", f"{where} is of {event.at}, the one before of {state.at}")
        if isinstance(event, _BEGINNINGS):
            is_stopped = state.is_paused or state.is_cancelling or state.is_finished or state.is_held(event.task)
            self._require(not is_stopped, "began_while_stopped", f"{where} of task {event.task}")
        if isinstance(event, ev.TaskScheduled):
            record.scheduled[event.task, event.attempt] = (len(record.bodies), record.summary.owner)
        deed, tag = _deed(record, event)
        if deed and tag:
            self._deeds[deed, tag] += 1
            self._done_at[deed, tag] = len(record.bodies)
        try:
            evolve(state, event)
        except (AssertionError, KeyError, IndexError) as error:
            raise SimulationError("history_cannot_be_folded", f"{where}: {error!r}") from error
        if isinstance(event, _ENDS):
            record.ends.append((event.task, len(record.bodies)))
        if state.is_finished and state.status_at_end is not None:
            record.results.append(Result(record.execution_id, state.status_at_end, state.outcome, state.output, state.error))
        self.on_event(record, event)

    def _check_row(self, record: Record, before: Summary) -> None:
        state, row = record.state, record.summary
        where = f"{row.execution_id} after event {row.seq}"
        head = (row.status, row.outcome, row.priority, row.business_key, row.updated_at, row.finished_at)
        says = (*head, row.total, row.completed, row.failed)
        truth = (state.status.value, (state.outcome or ""), state.priority, state.business_key, state.at, state.finished_at)
        is_so = (*truth, state.size, state.count(Phase.COMPLETED), state.count(Phase.FAILED))
        self._require(says == is_so, "row_differs", f"{where}: the row says {says}, the history {is_so}")
        self._require(
            row.token >= before.token and row.seq >= before.seq, "token_goes_back", f"{where}: {before.token} → {row.token}"
        )
        is_other_owner = row.owner not in {"", record.last_owner}
        self._require(
            not is_other_owner or row.token > before.token,
            "owner_without_token",
            f"{where}: {record.last_owner} → {row.owner} with token {row.token}",
        )
        record.last_owner = row.owner or record.last_owner
        if state.is_finished:
            self._require(row.owner == "" and row.wake_at is None, "finished_and_owned", f"{where}: {row.owner} {row.wake_at}")
        elif row.owner == "":
            due_at = state.due_at()
            # Given back means: wake it now, by the clock of whoever gave it back.
            is_woken = row.wake_at is not None and (due_at is None or row.wake_at <= max(due_at, self._now() + CLOCKS_WRONG_BY_MS))
            needs_nothing = due_at is None and _rests(state)
            self._require(is_woken or needs_nothing, "nobody_wakes_it", f"{where}: wakes at {row.wake_at}, due at {due_at}")
        else:
            self._require(row.wake_at is None, "owned_and_woken", f"{where}: {row.owner} {row.wake_at}")

    def _plan(self, workflow_id: str, version: str) -> Plan:
        plan = self._plans.get((workflow_id, version))
        if plan is None:
            stored = at_once(self._store.workflow(workflow_id, version))
            assert stored is not None
            workflow = msgspec.json.decode(stored.document, type=Workflow)
            plan = compile_plan(msgspec.structs.replace(workflow, version=stored.version))
            self._plans[workflow_id, version] = plan
        return plan

    def take_away(self, execution_id: str) -> bool:
        """Move an execution away from its owner, fenced by a new token; whether that was done.

        Not while it is paused: its owner would write nothing, and so not find out for as long as that lasts.
        """
        self.look()
        row, state = self.records[execution_id].summary, self.records[execution_id].state
        if not row.owner or state.is_paused or state.paused:
            return False
        given_back = msgspec.structs.replace(row, owner="", wake_at=self._now(), token=row.token + 1)
        at_once(self._store.commit([Append(given_back, row.seq, row.token, ())]))
        self.note(f"take {execution_id}")
        self.look_again()
        self.records[execution_id].left_by = ""
        return True

    # ── what functions do ────────────────────────────────────────────────────────────────────────────────────────────

    def called(self, execution_id: str, task: int, *, attempt: int, node: str, node_id: str) -> None:
        """A function begins. Once for each attempt, and only for one that the history has."""
        where = f"{execution_id} task {task} attempt {attempt} on {node}"
        self.note(f"call {where}")
        record = self.records.get(execution_id)
        is_committed = record is not None and (task, attempt) in record.scheduled
        self._judge(is_committed, "effect_before_commit", where)
        call = (execution_id, task, attempt)
        self._judge(call not in self._calls, "attempt_performed_twice", f"{where}, before on {self._calls.get(call)}")
        self._calls[call] = node
        if record is not None and record.summary.owner == node_id:
            self._judge(record.stopped.get(task, 0) < attempt, "started_after_stop", where)

    # ── what clients are told ────────────────────────────────────────────────────────────────────────────────────────

    def times(self, deed: str, tag: str) -> int:
        """How often a client's deed is in the histories."""
        return self._deeds[deed, tag]

    def acknowledged(self, deed: str, tag: str, *, execution_id: str, path: str = "/") -> None:
        """A client was told that its deed is durable."""
        self.note(f"ack {deed} {tag} {execution_id}")
        times = self.times(deed, tag)
        self._judge(times == 1, "acknowledged_not_once", f"{deed} {tag} on {execution_id} is in the history {times} times")
        record = self.records.get(execution_id)
        self._judge(record is not None, "acknowledged_not_durable", f"{deed} {tag}: there is no {execution_id}")
        if record is not None and deed in {"cancel", "terminate"}:
            for (task, attempt), (seq, _) in record.scheduled.items():
                if seq < self._done_at[deed, tag] and record.state.path_of(task).startswith(path):
                    record.stopped[task] = max(record.stopped.get(task, 0), attempt)

    def told_result(self, result: Result) -> None:
        """A client was told how an execution ended."""
        self.note(f"result {result.execution_id} {result.status}")
        record = self.records.get(result.execution_id)
        is_true = record is not None and result in record.results
        self._judge(is_true, "wrong_result", f"{result} is none of {record.results if record else []}")

    def must_have_given_back(self, node: str, *, node_id: str) -> None:
        """A node has stopped gracefully: no attempt of what it had in hand is left that nobody performs."""
        for record in self.records.values():
            if record.left_by != node_id or (node, record.execution_id) in self._conflicts:
                continue
            running = [(task, live.attempt) for task, live in record.state.live.items() if live.is_launched]
            left = [one for one in running if record.scheduled[one][1] == node_id]
            self._judge(not left, "not_given_back", f"{record.execution_id} was left by {node_id} with attempts {left}")

    # ── at the end ───────────────────────────────────────────────────────────────────────────────────────────────────

    def close_the_books(self, nodes: Iterable[str]) -> None:
        """Everything once more, from the beginning: histories, task rows, snapshots, messages, nodes. Raises what is broken."""
        self.look_again()
        for record in self.records.values():
            stored = at_once(self._store.events(record.execution_id, after=0, limit=_EVERYTHING))
            self._require(
                [one.body for one in stored] == record.bodies, "history_changed", f"{record.execution_id}: events were changed"
            )
            self._check_tasks(record)
            self._check_snapshot(record)
        for node_id in nodes:
            left = at_once(self._store.pending(node_id, after=0, limit=_EVERYTHING))
            self._require(not left, "message_left", f"{len(left)} unanswered for {node_id}: {left[:3]}")

    def _check_tasks(self, record: Record) -> None:
        rows = at_once(self._store.tasks(record.execution_id))
        found = [(row.task, row.seq) for row in rows]
        self._require(found == record.ends, "task_rows_differ", f"{record.execution_id}: rows {found}, history {record.ends}")
        expected = list(expected_rows(record))
        for row, wanted in zip(rows, expected, strict=True):
            says = (row.path, row.status, row.outcome, row.attempt, row.finished_at, row.started_at)
            self._require(
                says == wanted, "task_row_differs", f"{record.execution_id}:{row.seq}: the row says {says}, the history {wanted}"
            )

    def _check_snapshot(self, record: Record) -> None:
        stored = at_once(self._store.load((record.execution_id,)))[0]
        if stored.snapshot is None:
            return
        try:
            state = restore_execution(stored, record.plan)
        except SnapshotUnreadable as error:
            raise SimulationError("snapshot_unreadable", record.execution_id) from error
        self._require(
            _facts(state) == _facts(record.state),
            "snapshot_differs",
            f"{record.execution_id}: the snapshot of {stored.snapshot_seq} and its tail give another state",
        )

    @staticmethod
    def _require(condition: bool, name: str, message: str) -> None:  # noqa: FBT001, PLR0917 -- reads like an assertion
        if not condition:
            raise SimulationError(name, message)

    def _judge(self, condition: bool, name: str, message: str) -> None:  # noqa: FBT001, PLR0917 -- reads like an assertion
        """The same inside of a node's own code, which must not see it."""
        if not condition:
            self._fail(SimulationError(name, message))


def _nothing(_record: Record, _event: ev.Event) -> None:
    """Nobody looks at events besides."""


def _deed(record: Record, event: ev.Event) -> tuple[str, str]:
    """What a client has done with it, and the tag that it left there."""
    match event:
        case ev.ExecutionStarted(by=by):
            record.begun_by = by
            tag = by
        case ev.ExecutionForked():  # right behind its start, which says by whom
            tag = record.begun_by
        case ev.ApprovalDecided(comment=comment):  # decided by a name that may: the tag is in what was said
            tag = comment
        case _:
            tag = getattr(event, "by", "")
    return _DEEDS.get(type(event), ""), tag


def expected_rows(record: Record) -> Iterable[tuple[str, str, str, int, int, int | None]]:
    """The task rows that a history causes: told from the events alone."""
    began: dict[int, int] = {}
    for body in record.bodies:
        event = decode_event(body)
        if isinstance(event, _BEGINNINGS):
            began.setdefault(event.task, event.at)
        elif isinstance(event, _ENDS):
            status, outcome = _end_of(event)
            path = record.state.path_of(event.task)
            yield path, status, outcome, getattr(event, "attempt", 0), event.at, began.get(event.task)


def _rests(state: Execution) -> bool:
    """Whether it is idle. No event says what was looked at in vain: a copy looks once more."""
    if state.is_idle:
        return True
    again = restore(state.execution_id, state.plan, dump(state))
    return not advance(again, Tick(at=state.at)).events and again.is_idle


def _facts(state: Execution) -> dict[str, object]:
    """What a snapshot would hold, but for what no event says: which of the ready steps were judged already."""
    facts: dict[str, Any] = msgspec.json.decode(dump(state))
    del facts["order"]["unjudged"], facts["order"]["spreading"], facts["order"]["matchable"]
    return facts


def _end_of(event: ev.Event) -> tuple[str, str]:
    match event:
        case ev.TaskCompleted(outcome=outcome):
            return "completed", outcome or ""
        case ev.TaskQuarantined():
            return "failed", "quarantined"
        case ev.TaskFailed(outcome=outcome):
            return "failed", outcome or ""
        case ev.TaskCancelled(outcome=outcome):
            return "cancelled", outcome or ""
        case _:
            return "skipped", ""
