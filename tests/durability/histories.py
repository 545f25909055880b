"""What must hold of every history that a crash leaves: sentences about a store's rows, each a problem when broken.

Reads through the public port and the kernel; decides nothing about crashes. Shared by all suites in this folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Final

import msgspec

from taskengine.kernel.advance import fold
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.invariant import broken
from taskengine.kernel.plan import Plan
from taskengine.kernel.state import Execution
from taskengine.model import event as ev
from taskengine.model.codec import decode_event
from taskengine.model.status import Phase
from taskengine.model.workflow import Workflow
from taskengine.ports.store import ExecutionFilter, Store, Summary

__all__ = ["History", "effect_problems", "histories", "premature_effects", "problems"]

_PAGE: Final = 1_000


class History(msgspec.Struct, frozen=True):
    """One execution as stored: its row, its events with their numbers, its plan, and the state that the events fold to."""

    summary: Summary
    seqs: list[int]
    events: list[ev.Event]
    plan: Plan
    state: Execution

    def number_of(self, kind: type, *, by: str) -> int:
        """How many events of a kind a caller caused."""
        return sum(1 for event in self.events if isinstance(event, kind) and getattr(event, "by", "") == by)


async def histories(store: Store) -> list[History]:
    """Everything there is."""
    plans: dict[tuple[str, str], Plan] = {}
    found: list[History] = []
    before = ""
    while page := await store.executions(ExecutionFilter(), limit=_PAGE, before=before):
        for summary in page:
            plan = await _plan(store, summary, plans)
            stored = await _events(store, summary.execution_id)
            events = [decode_event(body) for _, body in stored]
            state = fold(summary.execution_id, plan, events)
            found.append(History(summary, [seq for seq, _ in stored], events, plan, state))
        before = page[-1].execution_id
    return found


async def _plan(store: Store, summary: Summary, known: dict[tuple[str, str], Plan]) -> Plan:
    key = (summary.workflow_id, summary.workflow_version)
    if key not in known:
        stored = await store.workflow(*key)
        assert stored is not None, f"the workflow of {summary.execution_id} is not there"
        workflow = msgspec.json.decode(stored.document, type=Workflow)
        known[key] = compile_plan(msgspec.structs.replace(workflow, version=stored.version))
    return known[key]


async def _events(store: Store, execution_id: str) -> list[tuple[int, bytes]]:
    rows: list[tuple[int, bytes]] = []
    while page := await store.events(execution_id, after=rows[-1][0] if rows else 0, limit=_PAGE):
        rows += [(one.seq, one.body) for one in page]
    return rows


def problems(history: History) -> Iterator[str]:
    """Gaps, a row that is not what its events fold to, a broken rule of the kernel, a result taken twice, a start in a pause."""
    execution_id, state, row = history.summary.execution_id, history.state, history.summary
    if history.seqs != list(range(1, len(history.seqs) + 1)):
        yield f"{execution_id} has gaps: {history.seqs}"
    for problem in broken(state):
        yield f"{execution_id}: {problem}"
    folded = (
        state.seq,
        state.status.value,
        state.outcome.value if state.outcome is not None else "",
        state.finished_at,
        state.counts[Phase.COMPLETED],
        state.counts[Phase.FAILED],
        state.business_key,
    )
    shown = (row.seq, row.status, row.outcome, row.finished_at, row.completed, row.failed, row.business_key)
    if folded != shown:
        yield f"{execution_id} folds to {folded}, its row says {shown}"
    yield from _taken_twice(history)
    yield from _started_in_pause(history)


def _taken_twice(history: History) -> Iterator[str]:
    """Attempts are numbered upwards, and each has one end."""
    last: dict[int, int] = {}
    ends: Counter[tuple[int, int]] = Counter()
    for event in history.events:
        match event:
            case ev.TaskScheduled(task=task, attempt=attempt):
                if attempt != last.get(task, 0) + 1:
                    yield f"{history.summary.execution_id} schedules attempt {attempt} of task {task} after {last.get(task, 0)}"
                last[task] = attempt
            case ev.TaskCompleted(task=task, attempt=attempt) | ev.TaskFailed(task=task, attempt=attempt):
                ends[task, attempt] += 1
            case _:
                pass
    for (task, attempt), count in ends.items():
        if count > 1:
            yield f"{history.summary.execution_id} takes {count} results of attempt {attempt} of task {task}"


def _started_in_pause(history: History) -> Iterator[str]:
    paused: set[str] = set()
    for event in history.events:
        match event:
            case ev.SubtreePaused(path=path):
                paused.add(path)
            case ev.SubtreeResumed(path=path):
                paused.discard(path)
            case ev.SubtreeCancelled():
                paused.clear()
            case ev.TaskScheduled(task=task) if paused & {"/", history.plan.steps[task].path}:
                yield f"{history.summary.execution_id} schedules task {task} while it is paused"
            case _:
                pass


def effect_problems(found: Iterable[History], effects: Collection[tuple[str, str, int]]) -> Iterator[str]:
    """Effects against histories: none before its attempt was committed, at least one for each result taken."""
    found = list(found)
    yield from premature_effects(found, effects)
    done = {(execution_id, path) for execution_id, path, _ in effects}
    for history in found:
        for event in history.events:
            if isinstance(event, ev.TaskCompleted):
                step = history.plan.steps[event.task]
                if step.step.type == "function" and (history.summary.execution_id, step.path) not in done:
                    yield f"{step.path} of {history.summary.execution_id} has a result and no effect"


def premature_effects(found: Iterable[History], effects: Collection[tuple[str, str, int]]) -> Iterator[str]:
    """Effects whose attempt no history knows."""
    scheduled = {
        (history.summary.execution_id, history.plan.steps[event.task].path, event.attempt)
        for history in found
        for event in history.events
        if isinstance(event, ev.TaskScheduled)
    }
    for effect in set(effects) - scheduled:
        yield f"{effect} took place and no commit says that it may"
