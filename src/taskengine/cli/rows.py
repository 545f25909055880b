"""Tasks as rows for people: which of them are worth a line when there are more than there is room for. Made of state alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from taskengine.app.approval import until_when
from taskengine.app.follow import Past
from taskengine.app.tree import containers_of, failed_itself, is_partial, is_scope, place_of, undone_by
from taskengine.cli.language import say
from taskengine.kernel.plan import Plan
from taskengine.kernel.scope import UNDO
from taskengine.kernel.skips import skipped_because
from taskengine.kernel.state import Execution
from taskengine.kernel.story import FREE_SLOT, NOT_TAKEN_UP, why
from taskengine.kernel.timing import Clock
from taskengine.model.duration import format_duration
from taskengine.model.status import Phase, Status
from taskengine.model.value import Instant, Raw

__all__ = ["Row", "counted", "may_grow", "progress", "rounded", "rows", "told"]

# Of many tasks these are shown one by one, in this order when not even they have room.
_NOTEWORTHY: Final = (Phase.FAILED, Phase.RETRYING, Phase.RUNNING, Phase.WAITING)
_A_SECOND: Final = 1_000


class Row(NamedTuple):
    """One task. ``indent`` puts it below its container; ``mark`` names the sign: the status, or ``retrying``."""

    indent: str
    label: str
    name: str
    mark: str
    status: str
    attempt: int
    duration: str
    note: str


def rows(
    state: Execution, *, past: Callable[[int], Past], now: Instant, room: int, is_attended: bool = True
) -> tuple[list[Row], bool]:
    """At most ``room`` rows in the order of the tree, and whether tasks were left out.

    Blocks at work have no row: their steps stand below the container, named with the block. ``is_attended``: somebody goes on.
    """
    numbers: Iterable[int] = range(1, len(state.steps))
    is_folded = state.size > room
    if is_folded:
        numbers = _noteworthy(state, room)
    elif state.groups:
        numbers = (number for number in numbers if not is_scope(state, number) or failed_itself(state, number))
    if state.groups or state.saga is not None:
        numbers = sorted(numbers, key=lambda number: place_of(state, number))
    found = [_row(state, number, past=past(number), now=now) for number in numbers]
    return (found if is_attended else [_left(row) for row in found]), is_folded


def _left(row: Row) -> Row:
    """A row of an execution that no process is at: nothing but a process gives slots."""
    return row._replace(note=NOT_TAKEN_UP) if row.note == FREE_SLOT else row


def _noteworthy(state: Execution, room: int) -> list[int]:
    """The tasks that need attention most, with the containers around them; containers at work have a row of their own."""
    ranked = sorted(
        (number for number in state.live if Phase(state.phase[number]) in _NOTEWORTHY and _is_shown(state, number)),
        key=lambda number: (_NOTEWORTHY.index(Phase(state.phase[number])), number),
    )
    at_work = [number for number in state.groups if state.phase[number] == Phase.EXPANDED]
    chosen = dict.fromkeys(number for number in at_work if state.scopes[number].up is None)
    for number in (*ranked, *at_work):
        chosen |= dict.fromkeys([*containers_of(state, number), number])
        if len(chosen) >= room:
            break
    return sorted(list(chosen)[: max(0, room)])


def _is_shown(state: Execution, number: int) -> bool:
    """Whether it is more than the end of what is below it."""
    return not (number in state.groups or is_scope(state, number)) or failed_itself(state, number)


def _row(state: Execution, number: int, *, past: Past, now: Instant) -> Row:
    plan, phase = state.steps[number], Phase(state.phase[number])
    status = state.status_of(number)
    label = _label(state, number)
    ended_at = now if past.ended_at is None else past.ended_at
    duration_ms = None if past.started_at is None else max(0, ended_at - past.started_at)
    return Row(
        indent="  " * (len(containers_of(state, number)) + bool(undone_by(state, number))),
        label=label,
        name=plan.step.name or label,
        mark="retrying" if phase is Phase.RETRYING and status is Status.WAITING else status.value,
        status=status.value,
        attempt=past.attempt,
        duration="" if duration_ms is None else rounded(duration_ms),
        note=_note(state, number, now=now),
    )


def _label(state: Execution, number: int) -> str:
    if undone_by(state, number):
        return UNDO
    scope = state.scopes[number]
    if scope.up is None:
        return state.steps[number].id
    return scope.segment if number == scope.base else f"{scope.segment}/{state.steps[number].id}"


def _note(state: Execution, number: int, *, now: Instant) -> str:
    """Why it is not done yet, or what went wrong."""
    phase, live = Phase(state.phase[number]), state.live.get(number)
    error = f"{live.error.type}: {live.error.message}".rstrip(": ") if live is not None and live.error is not None else ""
    due_at = state.timers.due.get((number, Clock.RETRY))
    if number in state.groups and phase in {Phase.EXPANDED, Phase.COMPLETED}:
        return _fold(state, number)
    match phase:
        case Phase.FAILED:
            return error
        case Phase.RUNNING if live is not None:
            return ", ".join(
                part for part in (told(live.progress), f"attempt {live.attempt} after {error}" if error else "") if part
            )
        case Phase.RETRYING if due_at is not None and not state.is_paused and error:
            return f"again in {rounded(max(0, due_at - state.own_time(now)))} after {error}"
        case Phase.PENDING | Phase.READY | Phase.WAITING | Phase.RETRYING if not state.is_finished:
            return why(state, state.path_of(number)).removesuffix(" (join all_success)") + until_when(state, number)
        case Phase.SKIPPED:
            return skipped_because(state, number)
        case _:
            return ""


def _fold(state: Execution, number: int) -> str:
    """``37/100 done, 2 failed, 5 running``: what a container has come to; of a condition, the case it took."""
    group = state.groups[number]
    is_open = state.phase[number] == Phase.EXPANDED and not state.is_finished
    if is_open and (state.is_paused or state.is_held(number)):
        return why(state, state.path_of(number))
    if state.steps[number].step.type == "condition":
        taken = ", ".join(state.scopes[base].segment for base in group.bases) or "no case holds"
        return taken + (", partial" if is_partial(state, number) else "")
    counts = Counter(Phase(state.phase[base]) for base in group.bases)
    total = group.total if is_open else len(group.bases)
    parts = [f"{counts[Phase.COMPLETED]}{'' if total is None else f'/{total}'} done"]
    words = ((Phase.FAILED, "failed"), (Phase.CANCELLED, "cancelled"), (Phase.EXPANDED, "running"))
    parts += [f"{counts[phase]} {word}" for phase, word in words if counts[phase]]
    flawed = sum(is_partial(state, base) for base in group.bases)
    return ", ".join(parts + ([f"{flawed} of them partial"] if flawed else []))


def told(progress: Raw) -> str:
    """``40%, 12 of 30 files``: what a running attempt has said of its progress, empty when it has not."""
    if not progress:
        return ""
    said = _decode_said(progress)
    return ", ".join(part for part in ("" if said.fraction is None else f"{100 * said.fraction:.0f}%", said.message) if part)


class _Said(msgspec.Struct, frozen=True):
    fraction: float | None = None
    message: str = ""


_decode_said: Final = msgspec.json.Decoder(_Said).decode


def rounded(duration_ms: int) -> str:
    """A duration that still grows: to a tenth of a second once it is longer than one."""
    return format_duration(duration_ms if duration_ms < _A_SECOND else duration_ms // 100 * 100)


def progress(state: Execution) -> str:
    """``3/5 (60%)``, or ``3/5 so far`` while steps are still to come. What a completed execution has skipped is done."""
    total, done = state.size, state.count(Phase.COMPLETED)
    if state.status is Status.COMPLETED:
        done += state.count(Phase.SKIPPED)
    if may_grow(state):
        return f"{done:,}/{total:,} {say('so far')}"
    return f"{done:,}/{total:,} ({100 * done // total if total else 100}%)"


def may_grow(state: Execution) -> bool:
    """Whether a container may still open steps that are not counted yet. Costs as much as the document has containers outside."""
    return not (state.is_finished or state.is_swept or state.saga is not None) and any(
        state.phase[number] < Phase.COMPLETED and (is_deep or not _has_opened_all(state, number))
        for number, is_deep in _containers(state.plan)
    )


def _has_opened_all(state: Execution, number: int) -> bool:
    group = state.groups.get(number)
    return group is not None and (group.is_closed or (group.total is not None and group.opened >= group.total))


@lru_cache(maxsize=8)
def _containers(plan: Plan) -> tuple[tuple[int, bool], ...]:
    """The containers that stand in no other, and whether they hold others: those may grow until they end."""
    return tuple(
        (number, any(inner.blocks for block in step.blocks for inner in block.every_step()))
        for number, step in enumerate(plan.steps)
        if step.blocks
    )


def counted(state: Execution) -> str:
    """``4,812 completed, 40 running``: every status that some task has."""
    counts: dict[str, int] = {}
    for phase in Phase:
        if state.count(phase):
            word = _word(state, phase)
            counts[word] = counts.get(word, 0) + state.count(phase)
    order = (Status.FAILED, Status.RUNNING, Status.WAITING, Status.PAUSED, Status.PENDING, Status.CANCELLED, Status.SKIPPED)
    words = [Status.COMPLETED.value, *(status.value for status in order)]
    return ", ".join(f"{counts[word]:,} {say(word)}" for word in words if word in counts)


def _word(state: Execution, phase: Phase) -> str:
    if phase < Phase.COMPLETED and state.is_swept:
        return Status.CANCELLED.value
    if phase < Phase.COMPLETED and phase is not Phase.RUNNING and state.is_paused:
        return Status.PAUSED.value
    return {
        Phase.READY: Status.PENDING.value,
        Phase.RETRYING: Status.WAITING.value,
        Phase.EXPANDED: Status.RUNNING.value,
    }.get(phase, phase.name.lower())
