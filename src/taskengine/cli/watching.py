"""``instance watch``: follow an execution, wherever it runs, to its end. Whoever watches stops nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from taskengine.cli.command import Database, EngineCommand, database_option, output_option
from taskengine.cli.complete import execution_argument
from taskengine.cli.exits import Exit
from taskengine.cli.language import say
from taskengine.cli.run import timeout_option

if TYPE_CHECKING:
    from taskengine.app.inspect import Inspector
    from taskengine.cli.perform import Ending

__all__ = ["follow", "watch"]

_LOOK_EVERY_S: Final = 0.1
_OWNER_EVERY_S: Final = 2.0


@click.command(
    "watch",
    cls=EngineCommand,
    examples=("task-engine instance watch @latest", "task-engine instance watch 9K3F --timeout 10m -o json"),
)
@execution_argument
@timeout_option("Stop watching after so long (30s, 10m) and exit with 124; the execution goes on.")
@database_option
@output_option("table", "json", "yaml", "name", text="json, yaml: the execution at its end; name: its id.")
def watch(*, execution: str, timeout: int | None, database: Database, output: str) -> None:
    """Follow an execution to its end; the exit code is its outcome. Ctrl-C stops watching, not the execution."""
    click.get_current_context().exit(follow(execution, database=database, output=output, timeout_ms=timeout))


def follow(execution: str, *, database: Database, output: str, timeout_ms: int | None) -> Exit:
    """Show how it goes on until it ends; the exit code that says how it did."""
    from taskengine.cli.ending import exit_of, outcome_line, reasons
    from taskengine.cli.looking import looked_at
    from taskengine.cli.output import emit, note
    from taskengine.cli.terminal import look

    ending = looked_at(database, lambda inspector: _followed(inspector, execution, database=database, timeout_ms=timeout_ms))
    note(outcome_line(ending, style=look(sys.stderr)))
    for line in reasons(ending):
        note(f"  {line}")
    if output in {"json", "yaml"}:
        emit(ending.execution, output)
    elif output == "name":
        click.echo(ending.execution.id)
    if ending.stopped_by:
        again = database.command(f"instance watch {ending.execution.id}")
        note(say("only the watching ended; to watch again: {command}", command=again))
    return exit_of(ending)


async def _followed(inspector: Inspector, word: str, *, database: Database, timeout_ms: int | None) -> Ending:
    import asyncio

    import msgspec

    from taskengine.cli.loop import Interrupts
    from taskengine.cli.perform import ending_of, view_on

    interrupts = Interrupts()
    execution_id = (await inspector.find(word)).execution_id
    follower = await inspector.follower(execution_id)
    view = view_on(is_watched=True, after=0)
    loop = asyncio.get_running_loop()
    give_up_at = None if timeout_ms is None else loop.time() + timeout_ms / 1_000
    stopped_by, look_at_owner_at, is_attended = "", loop.time(), True
    try:
        while True:
            changes = await follower.read()
            view.show(follower, changes, now=inspector.now())
            if follower.state.is_finished and not changes:
                break
            if interrupts.asked.done() or (give_up_at is not None and loop.time() >= give_up_at):
                stopped_by = "interrupt" if interrupts.asked.done() else "timeout"
                break
            if loop.time() >= look_at_owner_at:
                look_at_owner_at = loop.time() + _OWNER_EVERY_S
                is_attended = await _is_attended(inspector, execution_id, was=is_attended, database=database)
            if not changes:
                await asyncio.wait({interrupts.asked}, timeout=_LOOK_EVERY_S)
    finally:
        view.close()
    ending = await ending_of(inspector, execution_id)
    return msgspec.structs.replace(ending, stopped_by=stopped_by)


async def _is_attended(inspector: Inspector, execution_id: str, *, was: bool, database: Database) -> bool:
    """Whether a living process is at it; said once when there is none, or none any more."""
    from taskengine.cli.output import note

    summary = await inspector.find(execution_id)
    is_attended = summary.finished_at is not None or await inspector.is_attended(summary)
    if was and not is_attended:
        note(say("No process runs it; to go on with it: {command}", command=database.command(f"run --resume {execution_id}")))
    return is_attended
