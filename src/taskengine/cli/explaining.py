"""``instance explain``: why an execution is not further, who is there to go on with it, and the commands that move it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from taskengine.cli.command import Database, EngineCommand, database_option, output_option
from taskengine.cli.complete import execution_argument
from taskengine.cli.language import say
from taskengine.cli.looking import looked_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskengine.cli.terminal import Look
    from taskengine.model.value import Instant
    from taskengine.wire.execution import WireExplanation, WireReason

__all__ = ["explain"]

_SHOWN: Final = 20


@click.command(
    "explain",
    cls=EngineCommand,
    examples=("task-engine instance explain @latest", "task-engine instance explain 9K3F --all -o json"),
)
@execution_argument
@click.option("--all", "is_all", is_flag=True, help="A line for each open task, however many there are.")
@database_option
@output_option("table", "json", "yaml", "name", text="name: the ids of the tasks that are open.")
def explain(*, execution: str, is_all: bool, database: Database, output: str) -> None:
    """Say why an execution is not further, task by task, and what moves it."""
    from taskengine.app import explain as explaining
    from taskengine.cli.output import emit

    found = looked_at(database, lambda inspector: explaining.explain(inspector, execution, database=database.flag))
    if output in {"json", "yaml"}:
        emit(found, output)
    elif output == "name":
        for reason in found.reasons:
            click.echo(reason.task_id)
    else:
        _show(found, shown=len(found.reasons) if is_all else _SHOWN)


def _show(found: WireExplanation, *, shown: int) -> None:
    from taskengine.cli.output import note
    from taskengine.cli.terminal import look, width_of, wrapped
    from taskengine.define.phrase import visible
    from taskengine.model.duration import parse_instant

    style = look(sys.stdout)
    lines = [f"{visible(found.workflow_name)}  {found.id}  {style.status(found.status)}"]
    room = width_of(sys.stdout)
    for text in (visible(found.why), visible(found.attended)):
        lines += wrapped(text, room) if room else [text] if text else []
    lines += ["", *_reasons(found.reasons[:shown], now=parse_instant(found.at), style=style)] if found.reasons else []
    for line in lines:
        click.echo(line, color=True)
    if len(found.reasons) > shown:
        note(say("showing {shown} of {total}; --all shows every one", shown=shown, total=f"{len(found.reasons):,}"))
    for command in found.next[:3]:
        note(f"{look(sys.stderr).styled(say('next:'), 'hint')} {command}")


def _reasons(reasons: Sequence[WireReason], *, now: Instant, style: Look) -> list[str]:
    """A line for each task; why it waits is never cut, it goes on below."""
    from taskengine.cli.tables import until
    from taskengine.cli.terminal import cells, table, width_of, wrapped
    from taskengine.define.phrase import visible

    heads = ["TASK", "STATUS", "UNTIL"]
    rows = [
        [
            f"{style.mark('retrying' if one.kind == 'retry' else one.status)} {visible(one.path.strip('/'))}",
            style.colored(say(one.status), one.status),
            until(one.until, now=now, style=style),
        ]
        for one in reasons
    ]
    if not any(row[2] for row in rows):
        heads, rows = heads[:2], [row[:2] for row in rows]
    # A last column of one width keeps the table's own columns aligned.
    head, *fronts = table([*heads, "WHY"], [[*row, "."] for row in rows])
    place, room = cells(head) - cells(say("WHY")), width_of(sys.stdout)
    lines = [head]
    for front, one in zip(fronts, reasons, strict=True):
        first, *more = wrapped(visible(one.text), max(20, room - place)) if room else [visible(one.text)]
        lines += [front.removesuffix(".") + first, *(" " * place + line for line in more)]
    return lines
