"""``db``: check, back up and prune the database, while engines may be using it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from taskengine.cli.command import Database, EngineCommand, LazyGroup, database_option, output_option
from taskengine.cli.language import say

__all__ = ["backup", "check", "db", "prune"]

db = LazyGroup(
    "db",
    help="Check, back up and prune the database. Engines may be using it meanwhile.",
    lazy={
        "check": ("taskengine.cli.upkeep:check", "Is the file whole, and does every history hold?"),
        "backup": ("taskengine.cli.upkeep:backup", "Copy the database as it is at one moment."),
        "prune": ("taskengine.cli.upkeep:prune", "Forget executions that ended long ago."),
    },
)


@click.command("check", cls=EngineCommand, examples=("task-engine db check", "task-engine db check --quick --db work.db"))
@click.option("--quick", "is_quick", is_flag=True, help="Look at the file alone, not at each history.")
@database_option
@output_option("table", "json", "yaml")
def check(*, is_quick: bool, database: Database, output: str) -> None:
    """Read everything: the file must be whole, and each history must fold to what its row says.

    Exits with 0 when all of it holds, with 6 when something does not.
    """
    from taskengine.app import upkeep
    from taskengine.cli.database import must_exist
    from taskengine.cli.exits import Exit
    from taskengine.cli.loop import in_loop
    from taskengine.cli.output import emit
    from taskengine.cli.terminal import look
    from taskengine.define.phrase import numbered, visible

    path = Path(must_exist(database))
    found = in_loop(lambda: upkeep.check(path, is_quick=is_quick))
    if output != "table":
        emit(found, output)
    else:
        style = look(sys.stdout)
        for problem in found.problems:
            click.echo(f"{style.status('failed', word='wrong')}  {visible(problem)}", color=True)
        if not found.problems:
            told = say("the file is whole")
            if not is_quick:
                executions, events = numbered(found.executions, "execution"), numbered(found.events, "event")
                told += say("; every history holds: {executions}, {events}", executions=executions, events=events)
            click.echo(f"{style.status('completed', word='ok')}  {told}", color=True)
    click.get_current_context().exit(Exit.UNREACHABLE if found.problems else Exit.OK)


@click.command(
    "backup", cls=EngineCommand, examples=("task-engine db backup before-upgrade.db", "task-engine db backup --force copy.db")
)
@click.argument("copy", metavar="FILE", type=click.Path(dir_okay=False))
@click.option("--force", "is_forced", is_flag=True, help="Replace FILE when it is there.")
@database_option
@output_option("table", "json", "yaml", "name", text="name: the file's name.")
def backup(*, copy: str, is_forced: bool, database: Database, output: str) -> None:
    """Copy the database to FILE as it is at one moment, checked and synced; engines go on meanwhile.

    To use the copy: --db FILE, or put it where the original was while nothing runs.
    """
    from taskengine.app import upkeep
    from taskengine.cli.database import must_exist
    from taskengine.cli.output import emit
    from taskengine.errors import ConflictError

    path, file = Path(must_exist(database)), Path(copy)
    if file.exists() and (not is_forced or file.samefile(path)):
        hint = "name another file" if file.samefile(path) else "name another file, or replace it: --force"
        raise ConflictError("file_exists", f"there is a file {file} already", hint=hint)
    size = upkeep.copy_to(path, file)
    if output in {"json", "yaml"}:
        emit({"file": str(file), "bytes": size}, output)
    elif output == "name":
        click.echo(str(file))
    else:
        click.echo(say("{file} has {size} bytes and is whole", file=file, size=f"{size:,}"))


@click.command(
    "prune",
    cls=EngineCommand,
    examples=("task-engine db prune --older-than 30d --dry-run", "task-engine db prune --older-than 30d"),
)
@click.option(
    "--older-than", "age", required=True, metavar="DURATION", help="Executions that ended longer ago than this: 30d, 12h."
)
@click.option("--dry-run", "is_dry", is_flag=True, help="Only say how many there are.")
@database_option
@output_option("table", "json", "yaml")
def prune(*, age: str, is_dry: bool, database: Database, output: str) -> None:
    """Forget executions that ended long ago, with their histories. What has not ended is never touched.

    The room is used again; the file keeps its size.
    """
    from taskengine.app import upkeep
    from taskengine.cli.database import must_exist
    from taskengine.cli.output import emit
    from taskengine.define.phrase import numbered
    from taskengine.model.duration import parse_duration_ms

    path = Path(must_exist(database))
    try:
        older_than_ms = parse_duration_ms(age)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--older-than") from None
    count = upkeep.prune(path, older_than_ms=older_than_ms, is_dry=is_dry)
    if output != "table":
        emit({"executions": count, "is_dry_run": is_dry}, output)
    elif is_dry:
        click.echo(say("{executions} would be forgotten", executions=numbered(count, "execution")))
    else:
        click.echo(say("forgotten: {executions}", executions=numbered(count, "execution")))
