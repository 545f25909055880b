"""``run``: a workflow from its file, here and now, without a server. The exit code is the execution's outcome."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from taskengine.cli.command import NEWEST, Database, EngineCommand, by_option, database_option, output_option, verbosity

if TYPE_CHECKING:
    from taskengine.cli.perform import Order
    from taskengine.model.workflow import Workflow

__all__ = ["run"]


def _milliseconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    from taskengine.model.duration import parse_duration_ms

    try:
        return parse_duration_ms(float(value) if value.replace(".", "", 1).isdecimal() else value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command(
    "run",
    cls=EngineCommand,
    examples=(
        "task-engine run hello.yaml --input name=Ada",
        "task-engine run etl.yaml --input @input.json --db etl.db",
        "task-engine run etl.yaml --resume --db etl.db",
        "task-engine run etl.yaml --no-watch -o json > execution.json",
    ),
)
@click.argument("file")
@click.option(
    "-i",
    "--input",
    "given",
    multiple=True,
    metavar="K=V|@FILE",
    help="A value of the input, or a JSON file (@- is stdin). Repeatable.",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=NEWEST,
    metavar="[ID]",
    help="Start nothing; go on with this execution, or with the newest unfinished one of the workflow.",
)
@click.option(
    "--watch/--no-watch",
    "is_watched",
    default=True,
    show_default=True,
    help="Show progress on stderr: live on a terminal, lines in a pipe.",
)
@click.option("--timeout", metavar="DURATION", callback=_milliseconds, help="Stop after so long (30s, 10m); --resume goes on.")
@click.option(
    "--grace",
    metavar="DURATION",
    default="5s",
    show_default=True,
    callback=_milliseconds,
    help="How long a stop lets running attempts finish before they are given back.",
)
@by_option
@database_option
@output_option("table", "json", "yaml", "name", text="table: the output; json, yaml: the execution; name: its id.")
def run(
    *,
    file: str,
    given: tuple[str, ...],
    resume: str | None,
    is_watched: bool,
    timeout: int | None,
    grace: int,
    by: str,
    database: Database,
    output: str,
) -> None:
    """Run the workflow in FILE here and now, and follow it to its end.

    Everything is recorded in the database: after a crash, a reboot or Ctrl-C, --resume goes on where it stopped.
    """
    from taskengine.cli.perform import Order

    workflow = _checked(file, output=output)
    if resume is not None and given:
        raise click.UsageError("--resume goes on with the input it was started with; leave --input out.")
    from taskengine.cli.database import must_exist, prepare
    from taskengine.cli.inputs import read_inputs

    params = {} if resume is not None else read_inputs(given, workflow.input_schema)
    if resume is None:
        prepare(database)
    else:
        must_exist(database)
    _finish(
        Order(
            file=file,
            folder=str(Path(file).absolute().parent),
            workflow=workflow,
            database=database,
            params=params,
            resume=resume or "",
            is_watched=is_watched,
            timeout_ms=timeout,
            grace_ms=grace,
            by=by,
        ),
        output=output,
    )


def _checked(file: str, *, output: str) -> Workflow:
    """The workflow; findings are shown on the way, and errors among them end the command."""
    from taskengine.cli.terminal import look
    from taskengine.define import load_file, render_findings

    checked = load_file(file)
    if checked.workflow is None and output == "json":
        checked.require()
    if checked.findings:
        click.echo(render_findings(checked, color=look(sys.stderr).has_color), err=True, nl=False, color=True)
    if checked.workflow is None:
        from taskengine.cli.exits import Exit

        click.get_current_context().exit(Exit.INVALID)
    return checked.workflow


def _finish(order: Order, *, output: str) -> None:
    from taskengine.cli.ending import exit_of, show_ending
    from taskengine.cli.errors import silence
    from taskengine.cli.loop import in_fast_loop, log_to_stderr
    from taskengine.cli.perform import perform

    log_to_stderr(verbosity())
    ending = in_fast_loop(lambda: perform(order))
    try:
        show_ending(ending, order=order, output=output)
    except BrokenPipeError:
        silence()
    click.get_current_context().exit(exit_of(ending))
