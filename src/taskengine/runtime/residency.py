"""Bringing executions into memory and letting them go again.

Reads are shared: everything asked for in one turn of the loop is read together. A resident that only waits is parked (its row has
no owner and a ``wake_at``); parked ones stay cached, the longest unused go first. An attempt that a stored history shows as
running cannot be running here when it is read, so it is lost, and said so before anything else.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from taskengine.errors import InternalError, StorageError, TaskEngineError, UnknownEventError
from taskengine.kernel.advance import fold
from taskengine.kernel.outstanding import outstanding
from taskengine.kernel.plan import Plan
from taskengine.kernel.snapshot import restore
from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model.codec import decode_event
from taskengine.model.effect import Halt, Launch
from taskengine.model.event import ExecutionStarted
from taskengine.model.value import Instant
from taskengine.ports.store import Stored, Summary, Verdict, Views
from taskengine.runtime.catalog import KnownWorkflow, PlanCatalog
from taskengine.runtime.node import Node
from taskengine.runtime.resident import Resident

__all__ = [
    "Elsewhere",
    "Residency",
    "SnapshotUnreadable",
    "restore_execution",
    "whole_history",
]

_log: Final = logging.getLogger("taskengine.residency")
_REFUSED_FOR_MS: Final = 30_000
_DAMAGED: Final = frozenset({"unreadable_event", "unreadable_history"})
_PAGE: Final = 5_000
_YIELD_EVERY: Final = 32  # executions restored in one turn of the loop


class Elsewhere(Exception):  # noqa: N818 -- not an error: the way to the inbox
    """A living node owns the execution."""

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner


class SnapshotUnreadable(Exception):  # noqa: N818 -- not an error: the history says the same, slower
    """The snapshot does not decode, or is not one of this plan."""


class Residency:
    """The way in and out of a node's memory."""

    def __init__(self, node: Node, catalog: PlanCatalog) -> None:
        self._node = node
        self._catalog = catalog
        self._parked: OrderedDict[str, Resident] = OrderedDict()
        self._asked: dict[str, asyncio.Future[Resident | None]] = {}
        self._outdated: set[str] = set()  # asked for, and seized while they may have been read
        self._pins: dict[str, int] = {}
        self._reader: asyncio.Task[None] | None = None
        self.missing: dict[str, None] = {}  # perhaps ours by the store, and not in memory: dropped, or could not be read
        self._strays: dict[str, None] = {}  # ours by the store, to be given back
        self.on_evicted: Callable[[Resident], None] = lambda _: None
        self.refused: dict[str, tuple[Instant, str]] = {}  # what this node could not own, until when, and why
        node.on_parked = self._park
        node.on_finished = self._forget
        node.on_lost = self._note_lost

    async def resident(self, execution_id: str) -> Resident | None:
        """The execution in memory; ``None`` when there is no such execution.

        Raises ``Elsewhere`` when a living node owns it, and the named error that keeps this node from owning it
        (an unknown event, a damaged history, a workflow it cannot compile).
        """
        found = self._node.residents.get(execution_id)
        if found is not None:
            if execution_id in self._parked:
                self._parked.move_to_end(execution_id)
            return found
        asked = self._asked.get(execution_id)
        if asked is None:
            asked = self._asked[execution_id] = asyncio.get_running_loop().create_future()
            if self._reader is None or self._reader.done():
                self._reader = asyncio.get_running_loop().create_task(self._read(), name="taskengine-reader")
        # Until whoever asks has it in hand it must not be let go again; from there on the caller goes on without a pause.
        self._pins[execution_id] = self._pins.get(execution_id, 0) + 1
        try:
            return await asyncio.shield(asked)
        finally:
            self._pins[execution_id] -= 1
            if not self._pins[execution_id]:
                del self._pins[execution_id]

    async def fetch(self, execution_ids: Sequence[str]) -> None:
        """Bring many in; what cannot be owned is noted in ``refused``, what cannot be read just now in ``missing``, and left."""
        for execution_id in execution_ids:
            self.missing.pop(execution_id, None)  # first: it may be brought in, and lost again, before all of them are here
        results = await asyncio.gather(*(self.resident(one) for one in execution_ids), return_exceptions=True)
        for execution_id, result in zip(execution_ids, results, strict=True):
            if isinstance(result, TaskEngineError) and execution_id not in self.refused:
                self.missing[execution_id] = None
            elif isinstance(result, BaseException) and not isinstance(result, TaskEngineError | Elsewhere):
                raise result

    def note_seized(self, execution_ids: Iterable[str]) -> None:
        """These are ours from now on: what is in memory or on its way there is older, so it is read again."""
        for execution_id in execution_ids:
            if execution_id in self._asked:
                self._outdated.add(execution_id)
            older = self._node.residents.get(execution_id)
            if older is not None:
                self._node.drop(older, Verdict.CONFLICT)

    def _note_lost(self, execution_id: str) -> None:
        self.missing[execution_id] = None
        self._node.has_news = True  # whoever waits for it looks again: it may have ended elsewhere

    async def give_back(self, execution_ids: Iterable[str]) -> None:
        """Let others have these, which the store has as ours. ``StorageError``: the next call tries them again."""
        node, strays = self._node, self._strays
        strays.update(dict.fromkeys(execution_ids))
        for execution_id in [one for one in strays if one in node.residents]:
            del strays[execution_id]
        given = list(strays)
        if given:
            await node.store.release(given, by=node.node_id, now=node.environment.now())
            for execution_id in given:
                strays.pop(execution_id, None)

    async def _read(self) -> None:
        await asyncio.sleep(0)  # whoever asks in this turn of the loop rides along
        while self._asked:
            batch = list(self._asked)[: self._node.settings.load_batch]
            try:
                stored = {one.summary.execution_id: one for one in await self._node.store.load(batch)}
            except StorageError as error:
                for execution_id in batch:
                    self._answer(execution_id, error)
                continue
            for index, execution_id in enumerate(batch):
                if index % _YIELD_EVERY == 0:
                    await asyncio.sleep(0)
                try:
                    found = await self._bring_in(execution_id, stored.get(execution_id))
                except Elsewhere as error:
                    if execution_id in self._outdated:
                        self._outdated.discard(execution_id)  # it is still asked for
                    else:
                        self._answer(execution_id, error)
                except TaskEngineError as error:
                    self._answer(execution_id, error)
                else:
                    self._answer(execution_id, found)

    async def _bring_in(self, execution_id: str, stored: Stored | None) -> Resident | None:
        """As ``_admit``; where even that breaks the execution is left alone for a while, so that the others get into memory."""
        try:
            return await self._admit(stored)
        except (TaskEngineError, Elsewhere):
            raise
        except Exception as error:
            node, reason = self._node, f"{type(error).__name__}: {error}"
            _log.exception("execution.refused", extra={"execution_id": execution_id, "reason": reason})
            self.refused[execution_id] = (node.environment.now() + _REFUSED_FOR_MS, reason)
            resident = node.residents.get(execution_id)
            if resident is not None:
                node.drop(resident, Verdict.CONFLICT)
            raise InternalError("not_restored", f"execution {execution_id} cannot be brought into memory: {reason}") from error

    def _answer(self, execution_id: str, answer: Resident | BaseException | None) -> None:
        asked = self._asked.pop(execution_id)
        self._outdated.discard(execution_id)
        if asked.done():
            return
        if isinstance(answer, BaseException):
            asked.set_exception(answer)
            asked.exception()  # seen, whether or not somebody still waits
        else:
            asked.set_result(answer)

    async def _admit(self, stored: Stored | None) -> Resident | None:
        """Make a resident of what was read; refuse by name what cannot be owned."""
        if stored is None:
            return None
        node, summary = self._node, stored.summary
        existing = node.residents.get(summary.execution_id)
        if existing is not None:
            return existing
        if summary.owner and summary.owner != node.node_id:
            raise Elsewhere(summary.owner)
        try:
            known = await self.known(summary)
            if node.settings.can_run and not summary.finished_at:
                self._catalog.must_be_performable(known)
            state = await self._restore(stored, known.plan)
        except TaskEngineError as error:
            if not _is_lasting(error):
                raise
            self.refused[summary.execution_id] = (node.environment.now() + _REFUSED_FOR_MS, error.message)
            _log.warning(
                "execution.refused",
                extra={"execution_id": summary.execution_id, "error": error.name, "reason": error.message},
            )
            raise
        self.refused.pop(summary.execution_id, None)
        resident = Resident(
            state,
            workflow_id=summary.workflow_id,
            source=known.stored.source,
            token=summary.token,
            stored_owner=summary.owner,
            created_at=summary.created_at,
        )
        resident.snapshot_seq = stored.snapshot_seq
        node.residents[summary.execution_id] = resident
        self._note_kin(state)
        if not node.settings.recovers:
            node.on_messages()  # there may be some for it and its kin, which were not this node's business before
        self._take_up(resident)
        if resident.pending is None:
            self._park(resident)
        node.arm(resident)
        return resident

    def _take_up(self, resident: Resident) -> None:
        """What ran is lost with the node that ran it; all else goes on where it stood."""
        node, state = self._node, resident.state
        lost = tuple((owed.task, owed.attempt) for owed in outstanding(state) if isinstance(owed, Launch | Halt))
        if lost:
            node.turn(resident, cmd.Lost(at=node.environment.now(), attempts=tuple(sorted(lost)), is_counted=True))
            return
        if state.is_moving and not state.is_finished:  # a turn was cut; or was judged, which is no fact: it is judged again
            node.turn(resident, cmd.Tick(at=node.environment.now()))
        node.admission.want(resident)
        node.admission.serve()

    def _note_kin(self, state: Execution) -> None:
        """Children and a parent that waits are run where the execution is."""
        if state.is_related and not state.is_finished:
            self._node.kin.update(state.children.values())
            if state.parent is not None and not state.parent.is_detached:
                self._node.kin.add(state.parent.execution_id)

    async def known(self, summary: Summary) -> KnownWorkflow:
        """The version that an execution runs."""
        return await self._catalog.known(summary.workflow_id, summary.workflow_version)

    async def read(self, stored: Stored) -> Execution:
        """The state of an execution for reading only, whoever owns it."""
        known = await self.known(stored.summary)
        return await self._restore(stored, known.plan)

    async def _restore(self, stored: Stored, plan: Plan) -> Execution:
        """The state; when its snapshot cannot be read, from the whole history instead."""
        try:
            return restore_execution(stored, plan)
        except SnapshotUnreadable:
            _log.warning("snapshot.ignored", extra={"execution_id": stored.summary.execution_id})
        bodies = await whole_history(self._node.store, stored.summary.execution_id)
        return restore_execution(Stored(stored.summary, 0, None, bodies), plan)

    def _park(self, resident: Resident) -> None:
        """It only waits: keep it among the cached, and let the longest unused go."""
        parked = self._parked
        parked[resident.execution_id] = resident
        parked.move_to_end(resident.execution_id)
        if not self._node.settings.recovers:
            return  # nobody would fetch it in time
        for _ in range(len(parked) - self._node.settings.cache):
            execution_id, oldest = parked.popitem(last=False)
            if execution_id in self._pins:
                parked[execution_id] = oldest
            elif oldest.is_at_rest and self._node.residents.get(execution_id) is oldest:
                del self._node.residents[execution_id]
                self._node.timers.drop(execution_id)
                oldest.is_dropped = True
                self.on_evicted(oldest)

    def _forget(self, resident: Resident) -> None:
        self._parked.pop(resident.execution_id, None)
        self._node.timers.drop(resident.execution_id)


def _is_lasting(error: TaskEngineError) -> bool:
    """Whether reading it again would end the same way: the store may only be in trouble for a while."""
    return not isinstance(error, StorageError) or isinstance(error, UnknownEventError) or error.name in _DAMAGED


def restore_execution(stored: Stored, plan: Plan) -> Execution:
    """The state from the snapshot and what came after it.

    Raises ``SnapshotUnreadable`` (fold the whole history instead), ``UnknownEventError`` and ``StorageError`` (a damaged history).
    """
    execution_id = stored.summary.execution_id
    state: Execution | None = None
    if stored.snapshot is not None:
        try:
            state = restore(execution_id, plan, stored.snapshot)
        except (ValueError, KeyError, IndexError, AssertionError) as error:
            raise SnapshotUnreadable(execution_id) from error
    events = [decode_event(body) for body in stored.events]
    if state is None and (not events or not isinstance(events[0], ExecutionStarted)):
        raise StorageError("unreadable_history", f"the history of {execution_id} does not begin with its start")
    try:
        return fold(execution_id, plan, events, state=state)
    except (AssertionError, KeyError, IndexError, TypeError) as error:
        raise StorageError("unreadable_history", f"the history of {execution_id} cannot be folded: {error}") from error


async def whole_history(views: Views, execution_id: str, *, after: int = 0) -> list[bytes]:
    """Every stored event after a number, in order."""
    bodies: list[bytes] = []
    while found := await views.events(execution_id, after=after + len(bodies), limit=_PAGE):
        bodies.extend(one.body for one in found)
        if len(found) < _PAGE:
            break
    return bodies
