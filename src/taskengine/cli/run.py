"""``run`` and ``workflow execute``: a workflow here and now, without a server. The exit code is the execution's outcome."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from taskengine.cli.command import NEWEST, Database, EngineCommand, by_option, database_option, output_option, verbosity
from taskengine.cli.complete import workflow_names

if TYPE_CHECKING:
    from taskengine.app.inspect import Inspector
    from taskengine.cli.perform import Order
    from taskengine.model.value import Json
    from taskengine.model.workflow import Workflow
    from taskengine.ports.store import StoredWorkflow

__all__ = ["execute", "input_option", "run", "run_options", "timeout_option"]

F = TypeVar("F", bound=Callable[..., Any])


def _milliseconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    from taskengine.model.duration import parse_duration_ms

    try:
        return parse_duration_ms(float(value) if value.replace(".", "", 1).isdecimal() else value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def run_options(command: F) -> F:
    """The options of every command that starts an execution here and follows it."""
    for option in (
        output_option("table", "json", "yaml", "name", text="table: the output; json, yaml: the execution; name: its id."),
        database_option,
        by_option,
        click.option(
            "--grace",
            metavar="DURATION",
            default="5s",
            show_default=True,
            callback=_milliseconds,
            help="How long a stop lets running attempts finish before they are given back.",
        ),
        timeout_option("Stop after so long (30s, 10m); --resume goes on."),
        click.option("--plain", "is_plain", is_flag=True, help="Lines instead of a live picture, also on a terminal."),
        click.option(
            "--watch/--no-watch",
            "is_watched",
            default=True,
            show_default=True,
            help="Show progress on stderr: live on a terminal, lines in a pipe.",
        ),
    ):
        command = option(command)
    return command


def timeout_option(text: str) -> Callable[[F], F]:
    """``--timeout DURATION``, in milliseconds."""
    return click.option("--timeout", metavar="DURATION", callback=_milliseconds, help=text)


def input_option(command: F) -> F:
    """``--input``, as often as one likes."""
    return click.option(
        "-i",
        "--input",
        "given",
        multiple=True,
        metavar="K=V|@FILE",
        help="A value of the input, or a JSON file (@- is stdin). Repeatable.",
    )(command)


@click.command(
    "run",
    cls=EngineCommand,
    examples=(
        "task-engine run hello.yaml --input name=Ada",
        "task-engine run etl.yaml --input @input.json --db etl.db",
        "task-engine run etl.yaml --resume --db etl.db",
        "task-engine run --resume 9K3F",
        "task-engine run etl.yaml --no-watch -o json > execution.json",
    ),
)
@click.argument("file", required=False, default="", metavar="[FILE]")
@input_option
@click.option(
    "--resume",
    is_flag=False,
    flag_value=NEWEST,
    metavar="[ID]",
    help="Start nothing; go on with this execution, or with the newest unfinished one. FILE may be left out.",
)
@click.option("--draft", "is_draft", is_flag=True, help="Keep a changed document as the next version, whatever version it names.")
@run_options
def run(
    *,
    file: str,
    given: tuple[str, ...],
    resume: str | None,
    is_draft: bool,
    is_watched: bool,
    is_plain: bool,
    timeout: int | None,
    grace: int,
    by: str,
    database: Database,
    output: str,
) -> None:
    """Run the workflow in FILE here and now, and follow it to its end.

    Everything is recorded in the database: after a crash, a reboot or Ctrl-C, --resume goes on where it stopped.
    """
    if resume is not None and given:
        raise click.UsageError("--resume goes on with the input it was started with; leave --input out.")
    if not file and resume is None:
        raise click.UsageError("Missing argument 'FILE'. Name a workflow document, or --resume ID to go on with an execution.")
    from taskengine.cli.database import must_exist, prepare
    from taskengine.cli.perform import Order

    stored: StoredWorkflow | None = None
    params: dict[str, Json] = {}
    if file:
        workflow = _checked(file, database=database, output=output)
    else:
        from taskengine.app.library import workflow_of

        resume, stored = _kept(resume or NEWEST, database=database)
        workflow = workflow_of(stored)
    if resume is None:
        from taskengine.cli.inputs import read_inputs

        params = read_inputs(given, workflow.input_schema)
        prepare(database)
    else:
        must_exist(database)
    finish(
        Order(
            file=file,
            folder=stored.source if stored is not None else str(Path(file).absolute().parent),
            workflow=workflow,
            database=database,
            params=params,
            resume=resume or "",
            is_watched=is_watched,
            is_plain=is_plain,
            timeout_ms=timeout,
            grace_ms=grace,
            by=by,
            is_draft=is_draft,
        ),
        output=output,
    )


def _kept(resume: str, *, database: Database) -> tuple[str, StoredWorkflow]:
    """The execution to go on with, and the version that it runs, from the database alone."""
    from taskengine.cli.looking import looked_at
    from taskengine.errors import NotFoundError

    async def look_at(inspector: Inspector) -> tuple[str, StoredWorkflow]:
        if resume == NEWEST:
            found = await inspector.unfinished("")
            if not found:
                what = f"no execution is unfinished in {database.path}"
                raise NotFoundError("nothing_to_resume", what, hint=f"start one: {database.command('run FILE')}")
            summary = found[0]
        else:
            summary = await inspector.find(resume)
        return summary.execution_id, await inspector.stored(summary)

    return looked_at(database, look_at)


@click.command(
    "execute",
    cls=EngineCommand,
    examples=(
        "task-engine workflow execute hello --input name=Ada",
        "task-engine workflow execute wf_01M7XZ --version 2 --priority 9",
    ),
)
@click.argument("workflow", metavar="WORKFLOW", shell_complete=workflow_names)
@input_option
@click.option("--version", "label", default="", metavar="VERSION", help="This version instead of the latest.")
@click.option("--priority", type=click.IntRange(0, 9), metavar="N", help="0 to 9, 9 first; instead of the document's.")
@run_options
def execute(
    *,
    workflow: str,
    given: tuple[str, ...],
    label: str,
    priority: int | None,
    is_watched: bool,
    is_plain: bool,
    timeout: int | None,
    grace: int,
    by: str,
    database: Database,
    output: str,
) -> None:
    """Run a workflow that the database keeps, here and now, and follow it to its end."""
    from taskengine.app.library import workflow_of
    from taskengine.cli.inputs import read_inputs
    from taskengine.cli.looking import looked_at
    from taskengine.cli.perform import Order

    stored = looked_at(database, lambda inspector: inspector.library.find(workflow, label))
    known = workflow_of(stored)
    finish(
        Order(
            file="",
            folder=stored.source,
            workflow=known,
            stored=stored,
            database=database,
            params=read_inputs(given, known.input_schema),
            resume="",
            is_watched=is_watched,
            is_plain=is_plain,
            timeout_ms=timeout,
            grace_ms=grace,
            by=by,
            priority=priority,
        ),
        output=output,
    )


def _checked(file: str, *, database: Database, output: str) -> Workflow:
    """The workflow; findings are shown on the way, and errors among them end the command."""
    from taskengine.cli.calls import with_absent
    from taskengine.cli.terminal import look
    from taskengine.define import load_file, render_findings

    [checked] = with_absent([load_file(file)], database=database.path)
    if checked.workflow is None and output == "json":
        checked.require()
    if checked.findings:
        click.echo(render_findings(checked, color=look(sys.stderr).has_color), err=True, nl=False, color=True)
    if checked.workflow is None:
        from taskengine.cli.exits import Exit

        click.get_current_context().exit(Exit.INVALID)
    return checked.workflow


def finish(order: Order, *, output: str) -> None:
    """Perform the order, say how it ended, and end the command with that."""
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
