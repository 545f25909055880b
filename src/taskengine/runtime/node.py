"""One engine process: executions in memory, their turns, and what follows each commit.

The law: a command is one synchronous turn on the live state (decide, evolve, settle, admit); its events go into the open batch at
once; effects, acknowledgements and results come after the commit. A failed append drops the state, everything running for it is
stopped, and whoever waits reads it again. Nothing here knows a database, a function or a file.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from taskengine.errors import StorageError
from taskengine.kernel.advance import Turn, advance
from taskengine.kernel.plan import StepPlan
from taskengine.kernel.snapshot import dump
from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.codec import encode_event
from taskengine.model.effect import Effect, Halt, Launch, Release, WakeAt
from taskengine.model.ids import NODE
from taskengine.model.status import Phase
from taskengine.model.value import Raw, TaskError
from taskengine.ports.executor import Executor
from taskengine.ports.secrets import Secrets
from taskengine.ports.store import Append, Mark, Store, Summary, Verdict
from taskengine.runtime.admission import Admission
from taskengine.runtime.attempt import RunningAttempt
from taskengine.runtime.commit import OVERTAKEN, Fate, GroupCommit
from taskengine.runtime.environment import Environment
from taskengine.runtime.letters import kin_of, outgoing
from taskengine.runtime.logs import LogBook
from taskengine.runtime.resident import Pending, Resident, Result
from taskengine.runtime.rows import ENDS, task_row
from taskengine.runtime.settings import NodeSettings
from taskengine.runtime.timers import WakeTimers

__all__ = ["Node"]

_log: Final = logging.getLogger("taskengine.node")


class Node:
    """Owns the residents. ``residency`` brings them in and lets them go, ``services`` watch time and other nodes."""

    def __init__(
        self,
        store: Store,
        environment: Environment,
        *,
        executors: Mapping[str, Executor],
        settings: NodeSettings,
        secrets: Secrets | None = None,
    ) -> None:
        self.node_id = environment.new_id(NODE)
        self.store = store
        self.environment = environment
        self.executors = executors
        self._performing: dict[str, Executor] = {}  # those that have been asked for: a plain dictionary, on the way of every step
        self.settings = settings
        self.residents: dict[str, Resident] = {}
        self.waiters: dict[str, list[asyncio.Future[Result]]] = {}  # who waits for an execution's end
        self.kin: set[str] = set()  # children and parents of what runs here: they are run here too
        self.attempts: set[RunningAttempt] = set()  # whose work has not stopped yet
        self.admission = Admission(settings.concurrency if settings.can_run else 0, self._grant)
        self.timers = WakeTimers(environment, self._tick, longest_sleep_ms=settings.longest_sleep_ms)
        self.commit = GroupCommit(
            store, environment, cap=settings.batch_cap, build=self._build, settled=self._settled, broken=self.dismiss
        )
        self.book = LogBook(store, settings=settings, is_journal_idle=lambda: self.commit.is_idle)
        self._secrets = secrets
        self.on_parked: Callable[[Resident], None] = lambda _: None
        self.on_finished: Callable[[Resident], None] = lambda _: None
        self.on_lost: Callable[[str], None] = lambda _: None  # a state was dropped; the store may still say that it is ours
        self.on_messages: Callable[[], None] = lambda: None  # a commit left messages, which may be for executions of this node
        self.on_events: Callable[[Resident, Sequence[ev.Event]], None] | None = None
        self.has_news = True  # others may have left something for us that was not looked at yet
        self.is_closed = False  # reports are dropped from here on: the attempts were given back
        self.admission.is_closed = not settings.can_run

    def may_bring_in(self, execution_id: str) -> bool:
        """Whether this node goes on with an unowned execution by itself: with any, or only with those somebody here waits for."""
        return self.settings.recovers or execution_id in self.waiters or execution_id in self.kin

    # Turns

    def turn(
        self,
        resident: Resident,
        command: cmd.Command,
        *,
        waiter: asyncio.Future[Verdict] | None = None,
        marks: Sequence[Mark] = (),
        is_held: bool = False,
    ) -> Turn:
        """Apply one command now. ``waiter`` hears the verdict of the append that carries it (at once when it caused nothing).

        ``is_held``: its attempts do not begin before ``let_go``. Raises what the kernel refuses with; nothing has changed then.
        """
        slots = 0 if is_held else self.admission.spare
        turn, pending = self._advance(resident, command, slots=slots, is_noted=bool(marks))
        if turn.begun:
            self.admission.take(turn.begun)
        if pending is not None:
            if marks:
                pending.marks = (*pending.marks, *marks)
            if waiter is not None:
                pending.waiters.append(waiter)
            if not is_held:
                self.admission.want(resident)
        elif waiter is not None and not waiter.done():
            waiter.set_result(Verdict.COMMITTED)
        self.admission.serve()
        return turn

    def let_go(self, execution_id: str) -> None:
        """Let attempts of an execution begin that was held."""
        resident = self.residents.get(execution_id)
        if resident is not None:
            self.admission.want(resident)
            self.admission.serve()

    def _advance(
        self, resident: Resident, command: cmd.Command, *, slots: int = 0, is_noted: bool = False
    ) -> tuple[Turn, Pending | None]:
        """Fold a command and put what it caused into the open batch.

        What breaks half-way (a bug, a text that JSON cannot hold) leaves a state that the batch does not have: it is dropped.
        """
        state = resident.state
        seq = state.seq
        try:
            turn = advance(state, command, slots=slots)
            if turn.is_cut and not resident.is_cut:
                resident.is_cut = True
                asyncio.get_running_loop().call_soon(self._tick, resident.execution_id)
            return turn, self._note(resident, turn) if turn.events or is_noted else None
        except BaseException:
            if state.seq != seq:
                self._lose(resident)
            raise

    def _go_on(self, resident: Resident, command: cmd.Command) -> None:
        """A turn that nobody asked for: what goes wrong in it is this execution's trouble, not the writer's or the timers'."""
        try:
            self.turn(resident, command)
        except Exception:  # noqa: BLE001 -- whatever it is, the others go on
            _log.exception("turn.failed", extra={"execution_id": resident.execution_id})
            self._lose(resident)

    def _lose(self, resident: Resident) -> None:
        if not resident.is_dropped:
            self.drop(resident, Verdict.CONFLICT)
            self.on_lost(resident.execution_id)

    def append_nothing(self, resident: Resident) -> Pending:
        """Put the execution into the open batch as it is: to park it, or to answer its inbox."""
        pending = resident.pending
        if pending is None:
            pending = resident.pending = Pending(resident, resident.state.seq)
            self.commit.add(pending)
        return pending

    def _note(self, resident: Resident, turn: Turn) -> Pending:
        state, events = resident.state, turn.events
        pending = resident.pending
        if pending is None:
            pending = resident.pending = Pending(resident, state.seq - len(events))
            self.commit.add(pending)
        seq = state.seq - len(events)
        for event in events:
            seq += 1
            pending.events.append(encode_event(event))
            kind = type(event)
            if kind is ev.TaskScheduled or kind is ev.TaskStarted:
                resident.began.setdefault(event.task, event.at)  # type: ignore[union-attr]
                continue
            if kind in ENDS:
                pending.tasks.append(task_row(resident, event, seq=seq))
        if turn.effects:
            pending.effects.extend(turn.effects)
            if state.is_related:
                pending.messages += outgoing(turn.effects, state.at)
                self.kin |= kin_of(turn.effects)
        if self.on_events is not None:
            self.on_events(resident, events)
        return pending

    def _grant(self, resident: Resident, *, slots: int = 0, suspect_slots: int = 0) -> tuple[int, int]:
        command = cmd.Admit(at=self.environment.now(), slots=slots, suspect_slots=suspect_slots)
        try:
            turn, _ = self._advance(resident, command)
        except Exception:  # noqa: BLE001 -- it came from somebody else's turn
            _log.exception("turn.failed", extra={"execution_id": resident.execution_id})
            self._lose(resident)
            return 0, 0
        if turn.events:  # it may begin nothing and yet make something ready: a timeout, an input that cannot be made
            self.admission.want(resident)
        return turn.begun, turn.suspects_begun

    def _tick(self, execution_id: str) -> None:
        resident = self.residents.get(execution_id)
        if resident is not None:
            resident.wake_at, resident.is_cut = None, False
            self._go_on(resident, cmd.Tick(at=self.environment.now()))
            if not resident.is_dropped:
                self.arm(resident)
                self._after_commit(resident)  # it may have come to rest without an event

    def arm(self, resident: Resident) -> None:
        """Let the timers know when the execution wants to be woken."""
        wake_at = resident.state.wake_at
        if wake_at != resident.wake_at:
            resident.wake_at = wake_at
            if wake_at is not None:
                self.timers.set(resident.execution_id, wake_at)

    # Commits

    def _build(self, pending: Pending) -> Append | None:
        """Close a pending: its summary as the state stands now, who owns the row from now on, and a snapshot when it is time.

        ``None`` when an earlier append of the execution was refused, so that this one has nothing to stand on.
        """
        resident = pending.resident
        if resident.is_dropped:
            return None
        state = resident.state
        assert pending.events or not pending.messages
        pending.expected_token = resident.token
        wake_at = None
        owner = self.node_id
        if state.is_finished:
            owner = ""
        elif not self.settings.can_run:
            owner = ""
            wake_at = state.wake_at if state.is_idle else self.environment.now()
        elif not resident.running and state.is_idle:
            owner = ""
            wake_at = state.wake_at
        if owner and resident.stored_owner != self.node_id:
            resident.token += 1
        resident.stored_owner = owner
        resident.unsettled += 1
        return Append(
            Summary(
                resident.execution_id,
                resident.workflow_id,
                state.plan.workflow.version,
                state.status.value,
                state.outcome.value if state.outcome is not None else "",
                state.seq,
                resident.token,
                owner,
                wake_at,
                state.priority,
                state.business_key,
                resident.created_at,
                state.at,
                state.finished_at,
                state.size,
                state.count(Phase.COMPLETED),
                state.count(Phase.FAILED),
                state.parent.execution_id if state.parent is not None else "",
            ),
            pending.expected_seq,
            pending.expected_token,
            pending.events,
            pending.tasks,
            pending.marks,
            pending.answers,
            self._snapshot(resident, is_parking=not owner),
            pending.messages,
        )

    def _snapshot(self, resident: Resident, *, is_parking: bool) -> bytes | None:
        state = resident.state
        since = state.seq - resident.snapshot_seq
        least = self.settings.park_snapshot_after if is_parking else self.settings.snapshot_every
        if since < least or state.is_finished or since < _size(state):
            return None
        resident.snapshot_seq = state.seq
        return dump(state)

    def _settled(self, batch: Sequence[Pending], fates: Sequence[Fate]) -> None:
        for pending, fate in zip(batch, fates, strict=True):
            resident = pending.resident
            resident.unsettled -= 1
            verdict = Verdict.COMMITTED if fate is OVERTAKEN else fate
            if pending.messages and verdict is Verdict.COMMITTED:
                self.on_messages()
            if fate is Verdict.COMMITTED and not resident.is_dropped:
                if pending.effects:
                    self._perform(resident, pending.effects)
            else:
                if not resident.is_dropped:
                    self.drop(resident, verdict)
                    self.on_lost(resident.execution_id)
                self._release(pending.effects)
            for waiter in pending.waiters:
                if not waiter.done():
                    waiter.set_result(verdict)
            if not resident.is_dropped:
                self._after_commit(resident)
        self.admission.serve()

    def _after_commit(self, resident: Resident) -> None:
        if resident.pending is not None or resident.unsettled:
            return
        if resident.state.is_finished:
            self.residents.pop(resident.execution_id, None)
            self.kin.discard(resident.execution_id)
            resident.is_dropped = True
            waiters = self.waiters.pop(resident.execution_id, None)
            if waiters:
                result = resident.result()
                for waiter in waiters:
                    if not waiter.done():
                        waiter.set_result(result)
            self.on_finished(resident)
        elif not resident.stored_owner:
            self.on_parked(resident)
        elif not resident.running and resident.state.is_idle:
            self.append_nothing(resident)  # this commit stopped what ran: now it may be parked

    def must_be_open(self) -> None:
        """``StorageError``: ``engine_stopped`` once nothing more is taken, ``writer_broken`` when nothing more can be written."""
        if self.is_closed:
            raise _stopped("nothing was written")
        if self.commit.is_broken and self.commit.trouble is not None:
            raise self.commit.trouble

    def dismiss(self) -> None:
        """Everything is written that will be: whoever still waits for it is told so."""
        waiting: list[asyncio.Future[Any]] = [one for waiters in self.waiters.values() for one in waiters]
        waiting += [one for pending in self.commit.left() for one in pending.waiters]
        for waiter in waiting:
            if not waiter.done():
                waiter.set_exception(_stopped("it may have been written, or go on elsewhere"))
                waiter.exception()  # seen, whether or not somebody still waits

    def drop(self, resident: Resident, verdict: Verdict) -> None:
        """Forget a state that the store does not have; stop what runs for it. Its waiters look again."""
        if resident.is_dropped:
            return
        resident.is_dropped = True
        if resident.execution_id in self.waiters:
            self.has_news = True
        if self.residents.get(resident.execution_id) is resident:
            del self.residents[resident.execution_id]
        _log.info("execution.dropped", extra={"execution_id": resident.execution_id, "verdict": verdict.value})
        for attempt in tuple(resident.running.values()):
            attempt.forget()
            attempt.stop()
        resident.running.clear()

    # Effects

    def _perform(self, resident: Resident, effects: Sequence[Effect]) -> None:
        """What the world owes it now. What goes wrong here is this execution's trouble, not the writer's: it is read again."""
        for index, effect in enumerate(effects):
            if type(effect) is Release:
                continue  # the slot is free when the work has stopped, which is not the same
            try:
                self._perform_one(resident, effect)
            except Exception:  # noqa: BLE001 -- an executor, or whatever stops work: the others go on
                _log.exception("effect.failed", extra={"execution_id": resident.execution_id})
                self._lose(resident)
                self._release(effects[index + 1 :])
                return

    def _perform_one(self, resident: Resident, effect: Effect) -> None:
        match effect:
            case Launch():
                self._launch(resident, effect)
            case Halt():
                attempt = resident.running.get(effect.task)
                if attempt is not None and attempt.number == effect.attempt:
                    if effect.is_final:
                        attempt.forget()
                        del resident.running[effect.task]
                    attempt.stop()
            case WakeAt():
                self.arm(resident)
            case _:
                pass

    def _release(self, effects: Sequence[Effect]) -> None:
        """The slots of attempts that will not be launched."""
        for effect in effects:
            if isinstance(effect, Launch):
                self.admission.release(is_suspect=effect.is_suspect)

    def _launch(self, resident: Resident, effect: Launch) -> None:
        number, state = effect.task, resident.state
        live = state.live.get(number)
        is_owed = _is_owed(resident, number, attempt=effect.attempt)
        if not is_owed or number in resident.running:  # ended while the commit was on its way, or performed before
            if number not in resident.running:
                self.admission.release(is_suspect=effect.is_suspect)
            return
        attempt = RunningAttempt(resident, task=number, number=effect.attempt, is_suspect=effect.is_suspect, hearer=self)
        resident.running[number] = attempt
        self.attempts.add(attempt)
        try:
            self._begin(attempt, state.steps[number])
        except BaseException:
            attempt.free()  # nothing was begun
            raise
        if live is not None and live.is_cancelling:
            attempt.stop()

    def _begin(self, attempt: RunningAttempt, step: StepPlan) -> None:
        if step.input_reads.secrets and not self._unseal(attempt, step.input_reads.secrets):
            return
        kind = step.step.type
        executor = self._performing.get(kind)
        if executor is None:
            executor = self._performing[kind] = self.executors[kind]
        executor.begin(attempt)

    def _unseal(self, attempt: RunningAttempt, names: Sequence[str]) -> bool:
        """Put the secrets into its input; without one of them the attempt fails."""
        fault: TaskError | None = None
        values: dict[str, str] = {}
        for name in names:
            try:
                value = self._secrets.get(name) if self._secrets is not None else None
            except Exception as error:  # noqa: BLE001 -- the source is the host's; what it says may hold what is secret
                message = f"the source of the secret {name} raised {type(error).__name__}"
                fault = TaskError(type="SecretUnavailable", message=message)
                break
            if value is None:
                where = f": {self._secrets.where(name)}" if self._secrets is not None else ""
                fault = TaskError(type="SecretNotFound", message=f"there is no secret {name}{where}")
                break
            values[name] = value
        if fault is None:
            try:
                attempt.unseal(values)
            except KeyError as error:  # a mark that no expression made: nothing may be put in its place
                message = f"the input holds the mark of a secret that its step does not name: {error}"
                fault = TaskError(type="ForgedSecret", message=message, is_final=True)
        if fault is not None:
            attempt.end(cmd.Failed(fault))
            attempt.free()
        return fault is None

    def progressed(self, attempt: RunningAttempt, progress: Raw) -> None:
        """An attempt is alive."""
        if self._hears(attempt):
            command = cmd.Progress(at=self.environment.now(), task=attempt.task, attempt=attempt.number, progress=progress)
            self._go_on(attempt.resident, command)

    def silent(self, attempt: RunningAttempt) -> None:
        """An attempt has not been heard of for too long."""
        if self._hears(attempt):
            self._go_on(attempt.resident, cmd.Silent(at=self.environment.now(), task=attempt.task, attempt=attempt.number))

    def _hears(self, attempt: RunningAttempt) -> bool:
        is_over = attempt.is_ended or attempt.resident.is_dropped or self.is_closed
        return not is_over and _is_owed(attempt.resident, attempt.task, attempt=attempt.number)

    def ended(self, attempt: RunningAttempt, end: cmd.AttemptEnd) -> None:
        """An attempt has ended."""
        resident = attempt.resident
        if resident.running.get(attempt.task) is attempt:
            del resident.running[attempt.task]
        if resident.is_dropped or self.is_closed or not _is_owed(resident, attempt.task, attempt=attempt.number):
            self.admission.serve()  # its slot was freed just before
            return
        report = cmd.Report(at=self.environment.now(), task=attempt.task, attempt=attempt.number, end=end)
        self._go_on(resident, report)

    def freed(self, attempt: RunningAttempt) -> None:
        """The work of an attempt has stopped."""
        self.attempts.discard(attempt)
        self.admission.release(is_suspect=attempt.is_suspect)
        if attempt.is_ended:
            self.admission.serve()


def _size(state: Execution) -> int:
    """How many events a snapshot is long. One is written when there were as many, so that it costs O(1) an event."""
    return len(state.live) + len(state.outputs) + (len(state.phase) >> 4)


def _stopped(what: str) -> StorageError:
    return StorageError("engine_stopped", f"the engine has stopped; {what}", hint="ask an engine that runs")


def _is_owed(resident: Resident, task: int, *, attempt: int) -> bool:
    """Whether the state wants this attempt performed; it may have ended it while a commit was on its way."""
    state = resident.state
    live = state.live.get(task)
    return live is not None and live.is_launched and live.attempt == attempt and state.status_at_end is None
