"""The last words of ``run``: how it ended, its output as data, and the next command to paste."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from taskengine.cli.exits import Exit, exit_of_execution
from taskengine.cli.language import say
from taskengine.cli.output import emit, note
from taskengine.cli.perform import Ending, Order
from taskengine.cli.terminal import Look, look
from taskengine.define.phrase import visible
from taskengine.model.status import Outcome, Status
from taskengine.wire.execution import WireExecution, WireTask

__all__ = ["exit_of", "outcome_line", "reasons", "show_ending"]

_FAILED_SHOWN: Final = 5
_LINES_SHOWN: Final = 10  # of one error


def exit_of(ending: Ending) -> Exit:
    """The exit code."""
    if ending.stopped_by:
        return Exit.TIMED_OUT if ending.stopped_by == "timeout" else Exit.INTERRUPTED
    return exit_of_execution(ending.execution.status, ending.execution.outcome)


def show_ending(ending: Ending, *, order: Order, output: str) -> None:
    """Outcome and hints on stderr, data on stdout."""
    style, execution = look(sys.stderr), ending.execution
    note(outcome_line(ending, style=style))
    for line in reasons(ending):
        note(f"  {line}")
    if output in {"json", "yaml"}:
        emit(execution, output)
    elif output == "name":
        sys.stdout.write(f"{execution.id}\n")
    elif not ending.stopped_by and execution.status == Status.COMPLETED and execution.output is not None:
        emit(execution.output, "json")
    sys.stdout.flush()
    for label, command in _next(ending, order=order):
        note(f"{style.styled(f'{say(label)}:', 'hint')} {command}")


def outcome_line(ending: Ending, *, style: Look) -> str:
    """How it ended, in one line."""
    execution = ending.execution
    done = _done(execution)
    if ending.stopped_by:
        why = say("timed out") if ending.stopped_by == "timeout" else say("interrupted")
        return f"{style.status('paused', word=why)}  {execution.workflow_name} {execution.id}  {done}; {say('nothing is lost')}"
    outcome = f" ({execution.outcome})" if execution.outcome else ""
    took = f" in {execution.duration}" if execution.duration else ""
    return f"{style.status(execution.status)}{outcome}  {execution.workflow_name} {execution.id}  {done}{took}"


def _done(execution: WireExecution) -> str:
    """``3/5 steps, 1 failed, 1 skipped``, by the rule of ``rows.progress``."""
    progress = execution.progress
    counts = ((progress.failed, "failed"), (progress.cancelled, "cancelled"), (progress.skipped, "skipped"))
    told = [(count, word) for count, word in counts if isinstance(count, int) and count]
    if execution.finished_at is None and isinstance(progress.waiting, int) and progress.waiting:
        told.append((progress.waiting, "waiting"))
    skipped = progress.skipped if isinstance(progress.skipped, int) and execution.status == Status.COMPLETED else 0
    done = f"{progress.completed + skipped:,}/{progress.total:,} {say('steps')}"
    return ", ".join([done, *(f"{count:,} {say(word)}" for count, word in told)])


def reasons(ending: Ending) -> list[str]:
    """What failed, a line each; what its error says beyond its first line stands below it. What was tolerated comes last."""
    execution = ending.execution
    lines = _failures(ending.failed)
    if not lines and isinstance(execution.error_code, str):
        lines.append(f"{execution.error_code}: {visible(_text(execution.error_message))}".rstrip(": "))
    if ending.tolerated:
        heading = "failed too, but did not decide it" if lines else "failed, and was tolerated or handled"
        lines.append(f"{say(heading)}:")
        lines += [f"  {line}" for line in _failures(ending.tolerated)]
    return lines


def _failures(tasks: Sequence[WireTask]) -> list[str]:
    lines: list[str] = []
    for task in tasks[:_FAILED_SHOWN]:
        first, *more = (task.error_msg or "").splitlines() or [""]
        attempt = f" (attempt {task.attempt})" if task.attempt > 1 else ""
        lines.append(f"{visible(_label(task))}: {task.error_code}: {visible(first)}".rstrip(": ") + attempt)
        lines += [f"    {visible(line)}" for line in more[-_LINES_SHOWN:]]
    if len(tasks) > _FAILED_SHOWN:
        lines.append(say("and {count} more", count=f"{len(tasks) - _FAILED_SHOWN:,}"))
    return lines


def _label(task: WireTask) -> str:
    return task.path.strip("/")


def _text(value: str | msgspec.UnsetType | None) -> str:
    return value if isinstance(value, str) else ""


def _next(ending: Ending, *, order: Order) -> list[tuple[str, str]]:
    execution = ending.execution
    if ending.stopped_by:
        return [("go on", order.resume_command(execution.id))]
    if execution.status == Status.COMPLETED:
        return [("next", order.database.command(f"instance status {execution.id}"))]
    why = ("see why", _status(ending, order=order))
    if execution.outcome == Outcome.COMPENSATED:
        return [why]  # it is as if it had never been
    if not ending.advice:
        return [why]
    if ending.advice.is_fork:
        upload = order.database.command(f"workflow upload {shlex.quote(order.file) if order.file else 'FILE'}")
        return [why, ("correct the document, then", f"{upload} && {order.database.command(ending.advice)}")]
    return [why, ("try again", f"{order.database.command(ending.advice)} && {order.resume_command(execution.id)}")]


def _status(ending: Ending, *, order: Order) -> str:
    task = f" --task {shlex.quote(_label(ending.failed[0]))}" if ending.failed else ""
    return order.database.command(f"instance status {ending.execution.id}{task}")
