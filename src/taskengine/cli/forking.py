"""``instance fork``: a new execution from the middle of another one. It is started here and run by whoever runs executions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from taskengine.cli.command import Database, EngineCommand, by_option, database_option, output_option, verbosity
from taskengine.cli.complete import execution_argument
from taskengine.cli.control import path_of
from taskengine.cli.language import say

if TYPE_CHECKING:
    from taskengine.wire.execution import WireExecution

__all__ = ["fork"]


@click.command(
    "fork",
    cls=EngineCommand,
    examples=(
        "task-engine instance fork @failed --from load",
        "task-engine instance fork @latest --from load --input city=Graz --version latest",
    ),
)
@execution_argument
@click.option(
    "--from", "step", required=True, metavar="STEP", help="The step that begins anew, with all after it; / for all steps."
)
@click.option(
    "--input", "inputs", multiple=True, metavar="K=V|@FILE", help="A value of the input that is another one now. Repeatable."
)
@click.option("--version", default="", metavar="VERSION", help="This version of the workflow (latest is one) instead of the same.")
@by_option
@database_option
@output_option("table", "json", "yaml", "name")
def fork(*, execution: str, step: str, inputs: tuple[str, ...], version: str, by: str, database: Database, output: str) -> None:
    """Start a new execution from the history of one up to a step; the first one stays as it is.

    What had ended before the step or beside it is taken over with what it gave and is not performed again.
    """
    from taskengine.app.engine import Engine
    from taskengine.app.inspect import Inspector, execution_view, inspecting
    from taskengine.cli.database import must_exist
    from taskengine.cli.inputs import edited
    from taskengine.cli.loop import in_loop, log_to_stderr
    from taskengine.runtime.settings import NodeSettings

    path = must_exist(database)
    log_to_stderr(verbosity())

    async def perform() -> tuple[WireExecution, bool]:
        async with Engine(path, settings=NodeSettings(can_run=False)) as engine:
            inspector = Inspector(engine.store, engine.node.environment)
            summary, state = await inspector.state((await inspector.find(execution)).execution_id)
            schema = (await inspector.version(summary, version)).workflow.input_schema
            begun = await engine.fork(
                summary.execution_id,
                path_of(step),
                input=edited(state.input, inputs, schema=schema) if inputs else None,
                version=version,
                by=by,
            )
        # Looked at when this process's own part in it is over: what needs no process may have ended it.
        async with inspecting(path) as inspector:
            summary, state = await inspector.state(begun.id)
            return execution_view(summary, state), await inspector.is_attended(summary)

    view, is_attended = in_loop(perform)
    _show(view, database=database, output=output, is_attended=is_attended)


def _show(view: WireExecution, *, database: Database, output: str, is_attended: bool) -> None:
    from taskengine.cli.output import emit, note
    from taskengine.cli.terminal import look

    if output in {"json", "yaml"}:
        emit(view, output)
    elif output == "name":
        click.echo(view.id)
    else:
        click.echo(f"{view.id} {say('is a fork of {origin}, from {path} on', origin=view.forked_from, path=view.forked_at)}")
    if view.finished_at is not None:
        note(say("it has ended already: {status}", status=say(view.status)))
    elif not is_attended:
        note(say("No process runs it; to go on with it: {command}", command=database.command(f"run --resume {view.id}")))
    note(f"{look(sys.stderr).styled(say('next:'), 'hint')} {database.command(f'instance status {view.id}')}")
