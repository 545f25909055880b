"""``instance logs``: what the work of an execution said, line by line. Changes nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from taskengine.cli.command import Database, EngineCommand, database_option, output_option
from taskengine.cli.complete import execution_argument

if TYPE_CHECKING:
    from taskengine.app.inspect import Inspector
    from taskengine.cli.terminal import Look
    from taskengine.wire.execution import WireLogLine

__all__ = ["logs"]

_PAGE: Final = 1_000
_LOOK_EVERY_S: Final = 0.2
_PAINT: Final = {"error": "error", "warning": "warning", "debug": "dim"}


@click.command(
    "logs",
    cls=EngineCommand,
    examples=(
        "task-engine instance logs @latest",
        "task-engine instance logs @failed --task load",
        "task-engine instance logs @latest --follow -o jsonl",
    ),
)
@execution_argument
@click.option("--task", default="", metavar="PATH", help="Only this task: load or /load/.")
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="ID", help="Only lines after this one.")
@click.option("--limit", type=click.IntRange(min=0), default=0, metavar="N", help="How many; 0 for all.")
@click.option("--follow", "is_followed", is_flag=True, help="Go on until the execution has ended.")
@database_option
@output_option("table", "json", "jsonl", "yaml")
def logs(*, execution: str, task: str, after: int, limit: int, is_followed: bool, database: Database, output: str) -> None:
    """Show what functions, scripts and calls have logged: their own lines, stdout and stderr, tracebacks."""
    from taskengine.cli.looking import looked_at
    from taskengine.cli.output import emit, emit_line
    from taskengine.cli.terminal import look

    style = look(sys.stdout)
    whole: list[WireLogLine] = []  # for forms that are one document

    def show(lines: list[WireLogLine]) -> None:
        for line in lines:
            if output in {"json", "yaml"}:
                whole.append(line)
            elif output == "jsonl":
                emit_line(line)
            else:
                _show(line, style)
        sys.stdout.flush()

    async def look_at(inspector: Inspector) -> None:
        import asyncio

        seen, left = after, limit or sys.maxsize
        execution_id = (await inspector.find(execution)).execution_id
        while left:
            is_over = not is_followed or (await inspector.find(execution_id)).finished_at is not None
            lines = await inspector.logs(execution_id, task=task, after=seen, limit=min(left, _PAGE))
            show(lines)
            left -= len(lines)
            if lines:
                seen = lines[-1].log_id
            elif is_over:
                return
            else:
                await asyncio.sleep(_LOOK_EVERY_S)

    looked_at(database, look_at)
    if output in {"json", "yaml"}:
        emit(whole, output)


def _show(line: WireLogLine, style: Look) -> None:
    """When, who, and what was said; the lines after the first stand below it."""
    from taskengine.define.phrase import visible

    first, *more = line.message.splitlines() or [""]
    at = line.at[11:23] if style.is_terminal else line.at
    who = visible(line.path.strip("/")) + (f"#{line.attempt}" if line.attempt > 1 else "")
    said = style.styled(f"{line.level:<7}", _PAINT.get(line.level, "")) if line.level in _PAINT else f"{line.level:<7}"
    head = f"{style.styled(at, 'dim')} {who} {said} {style.styled(visible(line.source), 'dim')}:"
    click.echo(f"{head} {visible(first)}", color=True)
    for text in more:
        click.echo(f"    {visible(text)}", color=True)
