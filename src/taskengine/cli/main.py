"""The entry point of ``task-engine`` and ``te``: the tree of commands, and the last word on how a process ends.

Nothing heavy is imported here: a group only knows where its commands are.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Any

import click

from taskengine import __version__
from taskengine.cli.command import PROGRAM, LazyGroup
from taskengine.cli.language import is_chinese, say, say_whole
from taskengine.cli.leaving import leave

__all__ = ["cli", "main"]

EPILOG = """\b
Exit codes:
  0 ok              5 conflict        10 failed
  1 a bug           6 storage         11 cancelled
  2 usage           7 overloaded      12 partly completed
  3 not found       8 invalid         124 timed out, 130 interrupted"""

cli = LazyGroup(
    PROGRAM,
    help="Durable workflows: they survive crashes, restarts and power cuts.",
    epilog=EPILOG,
    context_settings={"max_content_width": 110},
    lazy={
        "demo": ("taskengine.cli.start:demo", "Run a small example and watch it."),
        "init": ("taskengine.cli.start:init", "Make a small project to begin with."),
        "dev": ("taskengine.cli.developing:dev", "Run a workflow again whenever it is saved."),
        "run": ("taskengine.cli.run:run", "Run a workflow here and now, or go on with one."),
        "workflow": ("taskengine.cli.workflow:workflow", "Check, keep, show and run workflows."),
        "instance": ("taskengine.cli.instance:instance", "See and control executions."),
        "task": ("taskengine.cli.task:task", "Decide, try again, skip or stop one task."),
        "explain": ("taskengine.cli.codes:explain", "What an error code means, and what to do."),
        "doctor": ("taskengine.cli.doctor:doctor", "Look whether this place and this database are fine."),
        "db": ("taskengine.cli.upkeep:db", "Check, back up and prune the database."),
        "completion": ("taskengine.cli.completion:completion", "What a shell needs to complete commands and ids."),
        "version": ("taskengine.cli.version:version", "Say which version this is."),
    },
)


def _version(ctx: click.Context, _param: click.Parameter, is_asked: bool) -> None:  # noqa: FBT001 -- click calls it
    if is_asked:
        click.echo(f"{PROGRAM} {__version__}")
        ctx.exit()


cli.params.append(
    click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Say which version this is."
    )
)


def main() -> None:
    """Run the command line and exit."""
    sys.excepthook = _report_bug
    _prepare_streams()
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        _show(error)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    leave(code if isinstance(code, int) else 0)


def _show(error: click.ClickException) -> None:
    """What was wrong with the command line, in the language that it asks for."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        error.show()
        return
    with context.scope(cleanup=False):
        if is_chinese():
            click.echo(f"{context.get_usage()}\n", err=True)
            click.echo(f"{say('error')}: {say_whole(error.format_message())}", err=True)
            click.echo(f"  {say('hint')}: {context.command_path} --help", err=True)
        else:
            error.show()


def _prepare_streams() -> None:
    """Write the escape of a character that a stream cannot hold, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _report_bug(*failure: Any) -> None:
    """The last resort for what no command foresaw: type, exception and traceback, as the interpreter gives them."""
    from taskengine.cli.errors import report_bug

    report_bug(failure[1])
