"""Tasks as rows for people: which of them are worth a line when there are more than there is room for. Made of state alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import msgspec

from taskengine.app.follow import Past
from taskengine.app.skips import skipped_because
from taskengine.kernel.state import Execution
from taskengine.kernel.story import why
from taskengine.kernel.timing import Clock
from taskengine.model.duration import format_duration
from taskengine.model.status import Phase, Status
from taskengine.model.value import Instant, Raw

__all__ = ["Row", "counted", "progress", "rounded", "rows", "told"]

# Of many tasks these are shown one by one, in this order when not even they have room.
_NOTEWORTHY: Final = (Phase.FAILED, Phase.RETRYING, Phase.RUNNING, Phase.WAITING)
_A_SECOND: Final = 1_000


class Row(NamedTuple):
    """One task. ``mark`` names the sign: the status, or ``retrying``."""

    step_id: str
    name: str
    mark: str
    status: str
    attempt: int
    duration: str
    note: str


def rows(state: Execution, *, past: Callable[[int], Past], now: Instant, room: int) -> tuple[list[Row], bool]:
    """At most ``room`` rows in the order of the document, and whether tasks were left out."""
    numbers: Iterable[int] = range(1, len(state.plan.steps))
    is_folded = state.plan.size > room
    if is_folded:
        noteworthy = sorted(
            (number for number in state.live if Phase(state.phase[number]) in _NOTEWORTHY),
            key=lambda number: (_NOTEWORTHY.index(Phase(state.phase[number])), number),
        )
        numbers = sorted(noteworthy[: max(0, room)])
    return [_row(state, number, past=past(number), now=now) for number in numbers], is_folded


def _row(state: Execution, number: int, *, past: Past, now: Instant) -> Row:
    plan, phase = state.plan.steps[number], Phase(state.phase[number])
    status = state.status_of(number)
    ended_at = now if past.ended_at is None else past.ended_at
    duration_ms = None if past.started_at is None else max(0, ended_at - past.started_at)
    return Row(
        step_id=plan.id,
        name=plan.step.name or plan.id,
        mark="retrying" if phase is Phase.RETRYING and status is Status.WAITING else status.value,
        status=status.value,
        attempt=past.attempt,
        duration="" if duration_ms is None else rounded(duration_ms),
        note=_note(state, number, now=now),
    )


def _note(state: Execution, number: int, *, now: Instant) -> str:
    """Why it is not done yet, or what went wrong."""
    phase, live = Phase(state.phase[number]), state.live.get(number)
    error = f"{live.error.type}: {live.error.message}".rstrip(": ") if live is not None and live.error is not None else ""
    due_at = state.timers.due.get((number, Clock.RETRY))
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
            return why(state, state.plan.steps[number].path).removesuffix(" (join all_success)")
        case Phase.SKIPPED:
            return skipped_because(state, number)
        case _:
            return ""


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
    """``3/5 (60%)``."""
    total, completed = state.plan.size, state.counts[Phase.COMPLETED]
    return f"{completed:,}/{total:,} ({100 * completed // total if total else 100}%)"


def counted(state: Execution) -> str:
    """``4,812 completed, 40 running``: every status that some task has."""
    counts: dict[str, int] = {}
    for phase in Phase:
        if state.counts[phase]:
            word = _word(state, phase)
            counts[word] = counts.get(word, 0) + state.counts[phase]
    order = (Status.FAILED, Status.RUNNING, Status.WAITING, Status.PAUSED, Status.PENDING, Status.CANCELLED, Status.SKIPPED)
    words = [Status.COMPLETED.value, *(status.value for status in order)]
    return ", ".join(f"{counts[word]:,} {word}" for word in words if word in counts)


def _word(state: Execution, phase: Phase) -> str:
    if phase <= Phase.RETRYING and state.is_swept:
        return Status.CANCELLED.value
    if phase <= Phase.RETRYING and phase is not Phase.RUNNING and state.is_paused:
        return Status.PAUSED.value
    return {
        Phase.READY: Status.PENDING.value,
        Phase.RETRYING: Status.WAITING.value,
    }.get(phase, phase.name.lower())
