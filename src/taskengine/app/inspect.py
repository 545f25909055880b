"""What people see of executions: read-only views, composed from a store and the kernel's fold. Changes nothing, owns no node.

An execution is restored from its snapshot and tail, whoever owns it; lists are made from rows alone and cost nothing per task.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET

from taskengine.adapters.lanes import ThreadLane
from taskengine.app.approval import question, until_when
from taskengine.app.compare import Side
from taskengine.app.engine import open_store
from taskengine.app.find import find_execution
from taskengine.app.follow import Follower, Past, cut_off, past
from taskengine.app.interventions import has_any, stopped_by, who_cancelled, who_paused
from taskengine.app.library import Library
from taskengine.app.tree import (
    decides,
    depth_of,
    failed_itself,
    is_partial,
    is_scope,
    parent_of,
    place_of,
    step_id_of,
    type_of,
    undone_by,
)
from taskengine.errors import NotFoundError
from taskengine.kernel.plan import Plan
from taskengine.kernel.state import Execution
from taskengine.kernel.story import story, why
from taskengine.model.codec import decode_event
from taskengine.model.event import Event, ExecutionFailed, ExecutionForked, TaskCompleted, TaskScheduled, TaskStarted
from taskengine.model.ids import task_id
from taskengine.model.secret import shown
from taskengine.model.status import Outcome, Phase
from taskengine.model.value import Instant, Json, Raw, TaskError, decode
from taskengine.ports.store import ExecutionFilter, Store, Stored, StoredWorkflow, Summary, TaskRow
from taskengine.runtime.catalog import PlanCatalog
from taskengine.runtime.environment import Environment
from taskengine.runtime.residency import SnapshotUnreadable, restore_execution, whole_history
from taskengine.wire.event import Places, WireEvent, wire_event
from taskengine.wire.execution import Progress, WireExecution, WireLine, WireLogLine, WirePart, WireTask, WireTaskDetail, span
from taskengine.wire.instant import iso_instant

__all__ = ["Inspector", "Listed", "Whole", "execution_view", "inspecting", "why_now"]

_PAGE: Final = 1_000
_BEGINNINGS: Final = (TaskScheduled, TaskStarted)
_LATE_MS: Final = 2_000  # after which nobody seems to be there to take up what is due


@asynccontextmanager
async def inspecting(path: str | Path) -> AsyncGenerator[Inspector]:
    """Open a database to look at it. It is migrated when it is old, and made when it is not there."""
    environment = Environment(ThreadLane)
    store = open_store(path, environment)
    await store.open()
    try:
        yield Inspector(store, environment)
    finally:
        await store.close()


class Listed(NamedTuple):
    """Executions, how many there are, and the ids of those that have not ended and that no living process runs or would take up."""

    items: list[WireExecution]
    total: int
    unattended: frozenset[str]


class Inspector:
    """Views over one store. Errors are the store's, and ``NotFoundError`` for what is not there."""

    def __init__(self, store: Store, environment: Environment) -> None:
        self._store = self.store = store
        self._catalog = PlanCatalog(store, {})
        self.library = Library(store)
        self.now = environment.now
        self._last_places = ("", 0, Places(()))  # of the execution whose containers were looked at last

    async def find(self, word: str) -> Summary:
        """The execution that a person means; see ``app.find``."""
        return await find_execution(self._store, word)

    # Lists

    async def listed(
        self, *, statuses: tuple[str, ...], workflow: str, limit: int, business_key: str = "", is_root: bool | None = None
    ) -> Listed:
        """The newest executions and how many there are; ``limit`` 0 lists all. ``workflow`` is a name or an id.

        ``is_root``: only those that no other execution started, or only those that one did.
        """
        wanted = ExecutionFilter(statuses=statuses, business_key=business_key, is_root=is_root)
        if workflow:
            wanted = msgspec.structs.replace(wanted, workflow_id=(await self.library.find(workflow)).workflow_id)
        rows: list[Summary] = []
        while page := await self._store.executions(
            wanted, limit=min(_PAGE, limit - len(rows)) if limit else _PAGE, before=rows[-1].execution_id if rows else ""
        ):
            rows.extend(page)
            if len(rows) == limit:
                break
        alone = await self._unattended([row for row in rows if row.finished_at is None])
        return Listed([await self._listed(row) for row in rows], await self._store.count(wanted), alone)

    async def _listed(self, row: Summary) -> WireExecution:
        known = await self._catalog.known(row.workflow_id, row.workflow_version)
        progress = Progress(total=row.total, completed=row.completed, failed=row.failed)
        return _execution(row, known.plan.workflow.name, progress=progress)

    async def unfinished(self, workflow: str) -> list[Summary]:
        """Executions of a workflow (any version; empty: of all) that have not ended and that no living node holds; newest first.

        Those that others started only when there are none but these: they are gone on with where their parent is.
        """
        known = await self._store.workflow(workflow, "") if workflow else None
        if workflow and known is None:
            return []
        dead = {"", *await self._store.dead_nodes("")}
        wanted = ExecutionFilter(workflow_id=known.workflow_id if known else "", is_root=True, is_open=True, owners=tuple(dead))
        roots = await self._store.executions(wanted, limit=_PAGE)
        return roots or await self._store.executions(msgspec.structs.replace(wanted, is_root=None), limit=_PAGE)

    async def errors(self, execution_ids: list[str]) -> dict[str, TaskError]:
        """What ended each of these executions, where an error did. One read for all of them; their histories are not folded."""
        heads = await self._store.heads(execution_ids) if execution_ids else {}
        last = {one: decode_event(head.last_event) for one, head in heads.items() if head.last_event}
        return {one: event.error for one, event in last.items() if isinstance(event, ExecutionFailed)}

    async def bodies(self, execution_id: str) -> list[bytes]:
        """Every event of an execution as it is stored, in order."""
        return await whole_history(self._store, execution_id)

    async def interventions(self, summary: Summary, state: Execution) -> list[str]:
        """Who paused, cancelled or terminated it, as far as that still holds; see ``app.interventions``."""
        if not has_any(state):
            return []
        history = [decode_event(body) for body in await self.bodies(summary.execution_id)]
        return [*who_paused(state, history), *filter(None, [stopped_by(state, history)])]

    async def stored(self, summary: Summary) -> StoredWorkflow:
        """The version of its workflow that an execution runs."""
        return (await self._catalog.known(summary.workflow_id, summary.workflow_version)).stored

    # One execution

    async def state(self, execution_id: str) -> tuple[Summary, Execution]:
        """The row and the state as committed, whoever owns the execution."""
        found = await self._store.load((execution_id,))
        if not found:
            raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
        stored, plan = found[0], await self.plan(found[0].summary)
        try:
            return stored.summary, restore_execution(stored, plan)
        except SnapshotUnreadable:
            bodies = await whole_history(self._store, execution_id)
            return stored.summary, restore_execution(Stored(stored.summary, 0, None, bodies), plan)

    async def whole(self, word: str) -> Whole:
        """The execution that a person means, with every task."""
        summary, state = await self.state((await self.find(word)).execution_id)
        rows = {row.task: row for row in await self._store.tasks(summary.execution_id)}
        is_attended = state.is_finished or await self.is_attended(summary)
        cut_off_at = None if state.saga is None else cut_off(decode_event(body) for body in await self.bodies(summary.execution_id))
        return Whole(
            summary,
            state=state,
            rows=rows,
            now=self.now(),
            is_attended=is_attended,
            cut_off_at=cut_off_at,
            interventions=await self.interventions(summary, state),
        )

    async def task(self, word: str, path: str) -> WireTaskDetail:
        """One task of it, with its story. ``NotFoundError("unknown_path")``: paths look like ``/load/``."""
        summary, state = await self.state((await self.find(word)).execution_id)
        number = state.number_of(path)
        rows = [row for row in await self._store.tasks(state.execution_id) if row.task == number]
        history = [decode_event(body) for body in await whole_history(self._store, state.execution_id)]
        given = [event.input for event in history if isinstance(event, _BEGINNINGS) and event.task == number and event.input]
        is_done = bool(rows) and state.phase[number] == Phase.COMPLETED
        return WireTaskDetail(
            task=_task(
                state, number, past=past(state, number, ended=_past(rows[-1]) if rows else None, cut_off_at=cut_off(history))
            ),
            inputs=_json(given[-1] if given else state.steps[number].constant_input),
            output=_json(getattr(history[rows[-1].seq - 1], "output", Raw()) if is_done else _taken_over(history, number)),
            why=why_now(state, path, is_taken=state.is_finished or (bool(summary.owner) and await self.is_attended(summary)))
            + _done_to(state, number, history=history),
            story=[WireLine(line.seq, iso_instant(line.at), line.text) for line in story(state, history, path)],
            asks=question(state, number),
            parts=[_part(state, base) for base in group.bases] if (group := state.groups.get(number)) is not None else [],
        )

    async def side(self, word: str) -> Side:
        """The execution that a person means, for a comparison."""
        whole = await self.whole(word)
        state = whole.state
        history = [decode_event(body) for body in await whole_history(self._store, state.execution_id)]
        outputs: dict[int, Raw] = {}
        taken_over: set[str] = set()
        for event in history:
            if isinstance(event, TaskCompleted):
                outputs[event.task] = event.output
            elif isinstance(event, ExecutionForked):
                outputs.update((one.task, one.output) for one in event.tasks)
                taken_over |= {state.path_of(one.task) for one in event.tasks}
        return Side(
            whole.view,
            variables={name: _json(value) for name, value in state.variables.items()},
            tasks={task.path: task for task in whole.tasks},
            outputs={
                state.path_of(number): _json(output)
                for number, output in outputs.items()
                if state.phase[number] == Phase.COMPLETED and output
            },
            taken_over=frozenset(taken_over),
        )

    async def is_attended(self, summary: Summary, *, besides: str = "") -> bool:
        """Whether a living node (but ``besides``) owns the execution, or is there to take it up when nobody owns it."""
        return not await self._unattended([summary], besides=besides)

    async def living(self) -> int:
        """How many living processes use the database, whatever they run."""
        return await self._store.other_nodes("") - len(await self._store.dead_nodes(""))

    async def _unattended(self, rows: list[Summary], *, besides: str = "") -> frozenset[str]:
        if not rows:
            return frozenset()
        dead = await self._store.dead_nodes(besides)
        has_others = await self._store.other_nodes(besides) > len(dead)
        # A process that takes up what others left would have: those that live only run what they were given.
        late = self.now() - _LATE_MS
        return frozenset(
            row.execution_id
            for row in rows
            if (row.owner in dead if row.owner else not has_others or (row.wake_at is not None and row.wake_at <= late))
        )

    async def follower(self, execution_id: str) -> Follower:
        """The execution from its first event on, to be read as it goes on."""
        found = await self._store.load((execution_id,))
        return Follower(self._store, Execution(execution_id, await self.plan(found[0].summary)))

    async def events(self, summary: Summary, *, after: int, limit: int) -> AsyncIterator[WireEvent]:
        """The history after a number, in order; ``limit`` 0 gives all of it."""
        places = await self._places(summary)
        left = limit or summary.seq
        while left > 0 and (page := await self._store.events(summary.execution_id, after=after, limit=min(left, _PAGE))):
            for stored in page:
                yield wire_event(summary.execution_id, stored.seq, body=stored.body, places=places)
            left -= len(page)
            after = page[-1].seq

    async def _places(self, summary: Summary) -> Places:
        """Where its tasks stand: as the workflow says, and below containers as the history does."""
        plan = await self.plan(summary)
        if not any(step.blocks for step in plan.steps):
            return Places((step.id, step.path) for step in plan.steps)
        execution_id, seq, places = self._last_places
        if execution_id == summary.execution_id and seq >= summary.seq:
            return places
        _, state = await self.state(summary.execution_id)
        places = Places((step_id_of(state, number), state.path_of(number)) for number in range(len(state.steps)))
        self._last_places = (summary.execution_id, state.seq, places)
        return places

    async def logs(self, execution_id: str, *, task: str, after: int, limit: int) -> list[WireLogLine]:
        """Lines that its work left, in order. ``NotFoundError("unknown_path")``: paths look like ``/load/``."""
        places = await self._places(await self.find(execution_id))
        number = places.number_of(f"/{task.strip('/')}/") if task.strip("/") else None
        lines = await self._store.logs(execution_id, task=number, after=after, limit=limit)
        if any(line.task >= len(places) for line in lines):  # of what has begun meanwhile
            places = await self._places(await self.find(execution_id))
        return [
            WireLogLine(
                log_id=line.log_id,
                at=iso_instant(line.at),
                trace_id=line.execution_id,
                task_id=task_id(line.execution_id, line.task),
                step_id=places.step(line.task)[0],
                path=places.step(line.task)[1],
                attempt=line.attempt,
                level=line.level,
                source=line.source,
                message=line.message,
            )
            for line in lines
        ]

    async def version(self, summary: Summary, version: str) -> Plan:
        """A version of an execution's workflow: its own when none is named; ``latest`` is one. ``NotFoundError``: there is none."""
        label = "" if version == "latest" else version or summary.workflow_version
        await self.library.find(summary.workflow_id, label)  # its error names the versions that there are
        return (await self._catalog.known(summary.workflow_id, label)).plan

    async def plan(self, summary: Summary) -> Plan:
        """The compiled workflow of an execution."""
        return (await self._catalog.known(summary.workflow_id, summary.workflow_version)).plan


def _taken_over(history: Sequence[Event], number: int) -> Raw:
    """What a task gave in the execution that this one is a fork of."""
    taken = [one for event in history[:2] if isinstance(event, ExecutionForked) for one in event.tasks if one.task == number]
    return taken[0].output if taken else Raw()


def _done_to(state: Execution, number: int, *, history: Sequence[Event]) -> str:
    """Who paused or cancelled it; nothing where that says nothing of the task."""
    if not number or state.phase[number] >= Phase.COMPLETED:
        return who_cancelled(state, number, history=history) if number else ""
    told = who_paused(state, history) if state.phase[number] != Phase.RUNNING else []
    held = "the execution" if state.is_paused else state.path_of(state.held_by(number))
    return next((one.removeprefix(f"{held} is paused") for one in told if one.startswith(f"{held} is paused")), "")


class Whole:
    """One execution at one moment: its row, its state, what is known of every task, and whether a living process is at it."""

    def __init__(
        self,
        summary: Summary,
        *,
        state: Execution,
        rows: Mapping[int, TaskRow],
        now: Instant,
        is_attended: bool,
        cut_off_at: Instant | None = None,
        interventions: Sequence[str] = (),
    ) -> None:
        self.is_attended = is_attended
        self.interventions = interventions
        self._cut_off_at = cut_off_at
        self.state = state
        self.now = now
        self.view = execution_view(summary, state)
        self._rows = rows

    def past(self, number: int) -> Past:
        """What is known of a task's work."""
        row = self._rows.get(number)
        return past(self.state, number, ended=None if row is None else _past(row), cut_off_at=self._cut_off_at)

    @property
    def tasks(self) -> list[WireTask]:
        """Every task in the order of the document, each before those below it."""
        return [_task(self.state, number, past=self.past(number)) for number in self._numbers()]

    @property
    def failures(self) -> list[WireTask]:
        """The tasks that failed by themselves and that the execution failed with; what undoes others comes last."""
        numbers = [number for number in self._numbers() if failed_itself(self.state, number) and decides(self.state, number)]
        numbers.sort(key=lambda number: undone_by(self.state, number) > 0)
        return [_task(self.state, number, past=self.past(number)) for number in numbers]

    @property
    def tolerated(self) -> list[WireTask]:
        """The tasks that failed by themselves without failing the execution: handled, or good enough for the rule around them."""
        numbers = [number for number in self._numbers() if failed_itself(self.state, number) and not decides(self.state, number)]
        return [_task(self.state, number, past=self.past(number)) for number in numbers]

    def _numbers(self) -> Sequence[int]:
        state = self.state
        numbers = range(1, len(state.steps))
        return sorted(numbers, key=lambda number: place_of(state, number)) if state.groups or state.saga is not None else numbers


def why_now(state: Execution, path: str, *, is_taken: bool) -> str:
    """Why a task is where it is. ``is_taken``: a living process has the execution; else what the state calls running was lost."""
    number = state.number_of(path)
    if number and not is_taken and state.phase[number] == Phase.RUNNING:
        return f"attempt {state.live[number].attempt} was lost with its process"
    return why(state, path) + until_when(state, number)


def execution_view(summary: Summary, state: Execution) -> WireExecution:
    """One execution as it is shown, from its row and its state."""
    count = state.count
    running, waiting = count(Phase.RUNNING) + count(Phase.EXPANDED), count(Phase.WAITING) + count(Phase.RETRYING)
    pending = count(Phase.PENDING) + count(Phase.READY)
    cut_off = running + waiting + pending if state.is_swept or state.is_finished else 0
    progress = Progress(
        total=state.size,
        completed=count(Phase.COMPLETED),
        failed=count(Phase.FAILED),
        running=0 if cut_off else running,
        waiting=0 if cut_off else waiting,
        pending=0 if cut_off else pending,
        cancelled=count(Phase.CANCELLED) + cut_off,
        skipped=count(Phase.SKIPPED),
    )
    error = state.error
    return msgspec.structs.replace(
        _execution(summary, state.plan.workflow.name, progress=progress),
        input=_json(state.input),
        output=_json(state.output),
        error_code=None if error is None else error.type,
        error_message=None if error is None else error.message,
        forked_from=state.forked_from or UNSET,
        forked_at=state.forked_at or UNSET,
        as_of=iso_instant(summary.updated_at) if summary.owner else UNSET,
    )


def _execution(row: Summary, workflow: str, *, progress: Progress) -> WireExecution:
    started, finished, duration, duration_ms = span(row.created_at, row.finished_at)
    return WireExecution(
        id=row.execution_id,
        workflow_id=row.workflow_id,
        workflow_name=workflow,
        workflow_version=row.workflow_version,
        status=row.status,
        state=row.status,
        outcome=row.outcome or None,
        version=row.seq,
        progress=progress,
        priority=row.priority,
        business_key=row.business_key or None,
        parent_execution_id=row.parent_id or None,
        created_at=iso_instant(row.created_at),
        started_at=started,
        finished_at=finished,
        duration=duration,
        duration_ms=duration_ms,
    )


def _past(row: TaskRow) -> Past:
    return Past(row.attempt, row.started_at, row.finished_at)


def _task(state: Execution, number: int, *, past: Past) -> WireTask:
    plan, is_block = state.steps[number], is_scope(state, number)
    above = parent_of(state, number)
    live = state.live.get(number)
    started, finished, duration, duration_ms = span(past.started_at, past.ended_at)
    status = state.status_of(number).value
    error = None if live is None else live.error
    outcome = None if live is None or live.outcome is None else live.outcome.value
    if is_partial(state, number):
        outcome = Outcome.PARTIAL.value
    return WireTask(
        id=task_id(state.execution_id, number),
        trace_id=state.execution_id,
        parent_id=task_id(state.execution_id, above) if above else state.execution_id,
        path=state.path_of(number),
        depth=depth_of(state, number),
        step_id=step_id_of(state, number),
        name=state.scopes[number].segment if is_block else plan.step.name or plan.id,
        type=type_of(state, number),
        status=status,
        state=status,
        outcome=outcome,
        attempt=past.attempt,
        idempotency_key=state.key_of(number),
        started_at=started,
        finished_at=finished,
        duration=duration,
        duration_ms=duration_ms,
        progress=None if live is None or status != "running" else _json(live.progress),
        error_code=None if error is None else error.type,
        error_msg=None if error is None else error.message,
    )


def _part(state: Execution, base: int) -> WirePart:
    """A block at work, in short."""
    task = _task(state, base, past=Past(0, None, None))
    return WirePart(name=task.name, status=task.status, outcome=task.outcome, error_code=task.error_code, error_msg=task.error_msg)


def _json(raw: Raw) -> Json:
    return decode(shown(bytes(raw))) if raw else None
