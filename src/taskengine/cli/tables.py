"""Executions, tasks and events as text for people. Gives lines; nobody prints here. Nothing is cut where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from taskengine.app.approval import wanted_by
from taskengine.app.inspect import Listed, Whole
from taskengine.cli.command import Database
from taskengine.cli.language import say
from taskengine.cli.rows import Row, counted, progress, rounded, rows
from taskengine.cli.terminal import Look, cells, look, table, width_of, wrapped
from taskengine.define.phrase import visible
from taskengine.kernel.state import Execution
from taskengine.model.duration import parse_instant
from taskengine.model.status import Status
from taskengine.model.value import Instant
from taskengine.wire.event import WireEvent
from taskengine.wire.execution import WireExecution, WirePart, WireTask, WireTaskDetail
from taskengine.wire.workflow import WireWorkflow

__all__ = [
    "event_lines",
    "execution_lines",
    "executions_table",
    "fitted",
    "history_table",
    "task_lines",
    "tasks_table",
    "workflow_lines",
    "workflows_table",
]

_TASKS_SHOWN: Final = 40  # on a terminal; --all shows every one
_BRIEF: Final = 1_000  # characters of JSON where there is no terminal
_DATA_LINES: Final = 6
_NAME: Final = 16  # columns of a workflow's name where there is little room
_SHORT_NAME: Final = 8
_SHORT_ID: Final = 8  # characters of an id's end that name the execution in a command
_INDENT: Final = "      "
_EVERYTHING: Final = 1 << 60
_AGES: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"))
_encode: Final = msgspec.json.Encoder().encode


def executions_table(found: Listed, *, now: Instant) -> list[str]:
    """A line for each execution. A terminal that is too narrow shows shorter names and ids, each still enough for a command."""
    if not found.items:
        return []
    style, room = look(sys.stdout), width_of(sys.stdout)
    heads = ["ID", "WORKFLOW", "VERSION", "STATUS", "PROGRESS", "STARTED", "DURATION"]
    lines = [
        [
            one.id,
            visible(one.workflow_name),
            one.workflow_version,
            _status(one, found, style=style),
            _progress(one),
            _when(one.started_at, now=now, style=style),
            one.duration or "",
        ]
        for one in found.items
    ]
    for names, characters in ((0, 0), (_NAME, 0), (_NAME, _SHORT_ID), (_SHORT_NAME, _SHORT_ID)):
        shown = [[line[0][-characters:], style.crop(line[1], names), *line[2:]] for line in lines]
        whole = table(heads, shown, right=frozenset({4, 6}))
        if not room or max(cells(line) for line in whole) <= room:
            return whole
    heads, shown = _without(heads, shown, column=2)
    return table(heads, shown, right=frozenset({3, 5}))


def _progress(one: WireExecution) -> str:
    """``3/5``, as ``rows.progress`` counts it."""
    total = one.progress.total
    done = total - one.progress.failed if one.status == Status.COMPLETED else one.progress.completed
    return f"{done:,}/{total:,}"


def _status(one: WireExecution, found: Listed, *, style: Look) -> str:
    """Mark and word; what has not ended and will not go on by itself is told apart."""
    alone = f" ({say('no process')})" if one.id in found.unattended and one.status != "paused" else ""
    return style.status(one.status) + (f" ({one.outcome})" if one.outcome else "") + alone


def history_table(found: Listed) -> list[str]:
    """A line for each execution of one workflow, with what ended it."""
    if not found.items:
        return []
    style = look(sys.stdout)
    has_errors = any(isinstance(one.error_code, str) for one in found.items)
    lines = [
        [
            one.id,
            one.workflow_version,
            _status(one, found, style=style),
            one.started_at or "",
            one.duration or "",
            *([_error_of(one)] if has_errors else []),
        ]
        for one in found.items
    ]
    heads = ["ID", "VERSION", "STATUS", "STARTED", "DURATION", *(["ERROR"] if has_errors else [])]
    return fitted(heads, lines, right=frozenset({4})) if has_errors else table(heads, lines, right=frozenset({4}))


def _error_of(one: WireExecution) -> str:
    return f"{one.error_code}: {visible(str(one.error_message or ''))}".rstrip(": ") if isinstance(one.error_code, str) else ""


def tasks_table(tasks: Sequence[WireTask]) -> list[str]:
    """A line for each task, as data: nothing is folded."""
    if not tasks:
        return []
    style = look(sys.stdout)
    lines = [
        [
            visible(one.path),
            one.type,
            style.status(one.status) + (f" ({one.outcome})" if one.outcome else ""),
            str(one.attempt or ""),
            one.started_at or "",
            one.duration or "",
            f"{one.error_code}: {visible(one.error_msg or '')}".rstrip(": ") if one.error_code else "",
        ]
        for one in tasks
    ]
    return fitted(["PATH", "TYPE", "STATUS", "ATTEMPT", "STARTED", "DURATION", "ERROR"], lines, right=frozenset({3, 5}))


def fitted(heads: list[str], lines: list[list[str]], *, right: frozenset[int] = frozenset()) -> list[str]:
    """A table whose last column is cut to the terminal's width; nothing is cut where there is none."""
    room = width_of(sys.stdout)
    if room and lines:
        style = look(sys.stdout)
        fixed = max(cells(line) for line in table(heads[:-1], [line[:-1] for line in lines], right=right)) + 2
        lines = [[*line[:-1], style.crop(line[-1], max(10, room - fixed))] for line in lines]
    return table(heads, lines, right=right)


def execution_lines(whole: Whole, *, database: Database, is_all: bool) -> list[str]:
    """The header, the progress, and a line for each task."""
    style, view, state = look(sys.stdout), whole.view, whole.state
    outcome = f" ({view.outcome})" if view.outcome else ""
    lines = [f"{visible(view.workflow_name)} {view.workflow_version}  {view.id}  {style.status(view.status)}{outcome}"]
    times = [say("started {at}", at=_when(view.started_at, now=whole.now, style=style))]
    if view.duration:
        times.append(say("took {duration}", duration=view.duration))
    elif state.started_at is not None:
        times.append(say("for {duration}", duration=rounded(max(0, whole.now - state.started_at))))
    paused_ms = _paused_ms(state, now=whole.now)
    if paused_ms:
        times.append(say("{duration} of it paused", duration=rounded(paused_ms)))
    lines.append(", ".join(times))
    lines.append(f"{say('Progress')}: {progress(state)}  {counted(state)}" if state.size else say("Progress: no tasks"))
    if isinstance(view.forked_from, str):
        lines.append(say("fork of {origin}, from {path} on", origin=view.forked_from, path=visible(str(view.forked_at))))
    if isinstance(view.error_code, str):
        lines.append(f"{say('Error')}: {view.error_code}: {visible(str(view.error_message or ''))}".rstrip(": "))
    if view.output is not None and view.output is not msgspec.UNSET:
        lines.append(f"{say('Output')}: {_brief(view.output)}")
    lines += [visible(one) for one in whole.interventions]
    if not whole.is_attended:
        lines.append(say("No process runs it; to go on with it: {command}", command=database.command(f"run --resume {view.id}")))
    room = _EVERYTHING if is_all or not style.is_terminal else _TASKS_SHOWN
    shown, is_folded = rows(state, past=whole.past, now=whole.now, room=room, is_attended=whole.is_attended)
    lines += ["", *_task_table(shown, style=style)] if shown else []
    if is_folded:
        told = "{shown} of {total} tasks shown, those that need attention; --all shows every one"
        lines.append(f"  {say(told, shown=len(shown), total=f'{state.size:,}')}")
    return lines


def _paused_ms(state: Execution, *, now: Instant) -> int:
    """How long the whole execution was paused until now, or until its end."""
    ended_at = now if state.finished_at is None else state.finished_at
    return state.paused_ms + (0 if state.pause_started_at is None else max(0, ended_at - state.pause_started_at))


def _task_table(shown: list[Row], *, style: Look) -> list[str]:
    """Mark and name first; columns that nobody needs are left out."""
    has_names = any(row.name != row.label for row in shown)
    heads = ["TASK", "NAME", "STATUS", "ATTEMPT", "DURATION", ""]
    lines = [
        [
            f"{row.indent}{style.mark(row.mark)} {visible(row.label)}",
            visible(row.name),
            style.colored(say(row.status), row.mark),
            str(row.attempt or ""),
            row.duration,
            visible(row.note),
        ]
        for row in shown
    ]
    if not has_names:
        heads, lines = _without(heads, lines, column=1)
    right = frozenset(index for index, head in enumerate(heads) if head in {"ATTEMPT", "DURATION"})
    return fitted(heads, lines, right=right)


def _without(heads: list[str], lines: list[list[str]], *, column: int) -> tuple[list[str], list[list[str]]]:
    return heads[:column] + heads[column + 1 :], [line[:column] + line[column + 1 :] for line in lines]


def task_lines(detail: WireTaskDetail) -> list[str]:
    """One task: what it is, what went in and out, its story, and why it is where it is."""
    style, task = look(sys.stdout), detail.task
    outcome = f" ({task.outcome})" if task.outcome else ""
    facts = [
        ("task", f"{task.path}  {task.id}"),
        ("name", visible(task.name) if task.name != task.step_id else ""),
        ("type", task.type),
        ("status", f"{style.status(task.status)}{outcome}"),
        ("why", visible(detail.why)),
        ("attempt", str(task.attempt or "")),
        ("started", task.started_at or ""),
        ("duration", task.duration or ""),
        ("error", f"{task.error_code}: {visible(task.error_msg or '')}".rstrip(": ") if task.error_code else ""),
        *_asked(detail),
        ("input", _brief(detail.inputs)),
        ("output", _brief(detail.output)),
    ]
    lines = [f"{style.styled(f'{name:<9}', 'dim')} {value}" for name, value in facts if value]
    lines += ["", *_parts(detail.parts, style=style)] if detail.parts else []
    if detail.story:
        lines += [
            "",
            *table(
                ("SEQ", "AT", "WHAT"), [(str(one.seq), one.at, visible(one.text)) for one in detail.story], right=frozenset({0})
            ),
        ]
    return lines


def _asked(detail: WireTaskDetail) -> list[tuple[str, str]]:
    """What is asked of people, and of whom."""
    asks = detail.asks
    if asks is None:
        return []
    return [
        ("asks", visible(asks.message)),
        ("of", visible(", ".join(asks.approvers)) or "anybody"),
        ("form", visible(wanted_by(asks)) or _brief(asks.form)),
    ]


def _parts(parts: Sequence[WirePart], *, style: Look) -> list[str]:
    """A line for each block that a container has opened, those that failed first when there is no room for all."""
    shown = sorted(parts, key=lambda one: one.status != Status.FAILED)[:_TASKS_SHOWN] if style.is_terminal else parts
    lines = [
        [
            visible(one.name),
            style.status(one.status) + (f" ({one.outcome})" if one.outcome else ""),
            f"{one.error_code}: {visible(one.error_msg or '')}".rstrip(": ") if one.error_code else "",
        ]
        for one in parts
        if one in shown
    ]
    told = say("{shown} of {total} shown; -o json shows every one", shown=f"{len(lines):,}", total=f"{len(parts):,}")
    left = [f"  {told}"] if len(lines) < len(parts) else []
    return [*fitted(["PART", "STATUS", ""], lines), *left]


def _brief(value: Any) -> str:
    """JSON on one line, cut to what a terminal shows well."""
    if value is None:
        return ""
    room = width_of(sys.stdout)
    return look(sys.stdout).crop(_encode(value).decode(), max(10, room - 10) if room else _BRIEF)


def event_lines(found: Sequence[WireEvent]) -> list[str]:
    """A line for each event."""
    if not found:
        return []
    rest = [" ".join(f"{name}={_encode(value).decode()}" for name, value in event.data.items()) for event in found]
    lines = [
        [str(event.seq), event.at, event.type, visible(event.path), str(event.attempt or ""), visible(event.by), visible(data)]
        for event, data in zip(found, rest, strict=True)
    ]
    heads = ["SEQ", "AT", "TYPE", "PATH", "ATTEMPT", "BY", "DATA"]
    right = frozenset({0, 4})
    room = width_of(sys.stdout)
    whole = table(heads, lines, right=right)
    if not room or all(cells(line) <= room for line in whole):
        return whole
    # Too narrow for everything on one line: the data of an event stands below it.
    style = look(sys.stdout)
    fronts = [line[:-1] for line in lines]
    if max(cells(line) for line in table(heads[:-1], fronts, right=right)) > room:
        fronts = [[front[0], front[1].partition("T")[2], *front[2:]] for front in fronts]  # the day is in -o json
    head, *short = table(heads[:-1], fronts, right=right)
    return [
        head,
        *(line for event, data in zip(short, rest, strict=True) for line in (event, *_below(data, room=room, style=style))),
    ]


def _below(data: str, *, room: int, style: Look) -> list[str]:
    """Data on lines of its own, indented, at most a few of them."""
    lines = wrapped(visible(data), max(20, room - len(_INDENT)))
    if len(lines) > _DATA_LINES:
        lines = [*lines[:_DATA_LINES], f"({len(data):,} characters; -o json shows all of them)"]
    return [_INDENT + style.styled(line, "dim") for line in lines]


def _when(at: str | None, *, now: Instant, style: Look) -> str:
    """Relative on a terminal, the instant itself in a pipe."""
    if at is None or not style.is_terminal:
        return at or ""
    age_ms = max(0, now - parse_instant(at))
    for size_ms, unit in _AGES:
        if age_ms >= size_ms:
            return say("{age} ago", age=f"{age_ms // size_ms}{unit}")
    return say("just now")


def workflows_table(workflows: Sequence[WireWorkflow]) -> list[str]:
    """A line for each workflow."""
    if not workflows:
        return []
    lines = [
        (
            one.id,
            visible(one.name),
            one.version,
            str(one.task_count),
            one.created_at,
            str(one.execution_count),
            say(one.last_execution_status or ""),
        )
        for one in workflows
    ]
    return table(("ID", "NAME", "VERSION", "TASKS", "CREATED", "RUNS", "LAST"), lines, right=frozenset({3, 5}))


def workflow_lines(one: WireWorkflow) -> list[str]:
    """One workflow: what it is, its steps, what became of its executions."""
    style = look(sys.stdout)
    rate = "" if not isinstance(one.success_rate, float) else f", {one.success_rate:.0%} completed"
    last = f", the last {say(one.last_execution_status or '')} at {one.last_executed_at}" if one.last_executed_at else ""
    facts = [
        ("workflow", f"{visible(one.name)}  {one.version}  {one.id}"),
        ("about", visible(one.description)),
        ("owner", visible(one.owner_id or "")),
        ("tags", visible(", ".join(one.tags))),
        ("created", one.created_at),
        ("functions", f"looked for in {visible(one.source)}" if one.source else ""),
        ("runs", f"{one.execution_count:,}{rate}{last}"),
        ("input", ", ".join(one.definition.get("input", {}).get("properties", {}))),
    ]
    lines = [f"{style.styled(f'{name:<9}', 'dim')} {value}" for name, value in facts if value]
    steps = [
        [visible(step["id"]), visible(step.get("name", "")), step["type"], visible(", ".join(step.get("depends_on", ())))]
        for step in one.definition["steps"]
    ]
    heads = ["STEP", "NAME", "TYPE", "AFTER"]
    if not any(step[1] for step in steps):
        heads, steps = _without(heads, steps, column=1)
    return [*lines, "", *fitted(heads, steps)]


def until(at: str | None, *, now: Instant, style: Look) -> str:
    """When something is due: how long that is on a terminal, the instant itself in a pipe."""
    if at is None or not style.is_terminal:
        return at or ""
    left_ms = parse_instant(at) - now
    for size_ms, unit in _AGES:
        if left_ms >= size_ms:
            return f"in {left_ms // size_ms}{unit}"
    return "now"
