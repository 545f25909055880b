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
    from taskengine.wire.execution import WireExplanation

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
    from taskengine.cli.tables import fitted
    from taskengine.cli.terminal import look
    from taskengine.define.phrase import visible

    style = look(sys.stdout)
    lines = [f"{visible(found.workflow_name)}  {found.id}  {style.status(found.status)}", visible(found.why)]
    lines += [visible(found.attended)] if found.attended else []
    rows = [
        [
            f"{style.mark('retrying' if one.kind == 'retry' else one.status)} {visible(one.step_id)}",
            style.colored(one.status, one.status),
            visible(one.text) + (f" (until {one.until})" if one.until else ""),
        ]
        for one in found.reasons[:shown]
    ]
    lines += ["", *fitted(["TASK", "STATUS", "WHY"], rows)] if rows else []
    for line in lines:
        click.echo(line, color=True)
    if len(found.reasons) > shown:
        note(say("showing {shown} of {total}; --all shows every one", shown=shown, total=f"{len(found.reasons):,}"))
    for command in found.next[:3]:
        note(f"{look(sys.stderr).styled(say('next:'), 'hint')} {command}")
