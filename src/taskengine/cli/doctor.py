"""``doctor``: does this machine, this place and this database have what the engine needs? A line each, with a hint where not."""

from __future__ import annotations

import sys
from typing import Final

import click

from taskengine.cli.command import Database, EngineCommand, database_option, output_option

__all__ = ["doctor"]

_MARKS: Final = {"ok": "completed", "warn": "retrying", "fail": "failed"}


@click.command(
    "doctor",
    cls=EngineCommand,
    examples=("task-engine doctor", "task-engine doctor --db work.db -o json"),
)
@database_option
@output_option("table", "json", "yaml", "name", text="name: the names of what is not fine.")
def doctor(*, database: Database, output: str) -> None:
    """Look at Python, SQLite, the disk, the database, its locks and its clock.

    Exits with 0 when nothing fails (warnings are no failures), with 6 when something does.
    """
    from taskengine.app.upkeep import look_around
    from taskengine.cli.exits import Exit
    from taskengine.cli.loop import in_loop
    from taskengine.cli.output import emit
    from taskengine.cli.terminal import look
    from taskengine.define.phrase import visible

    found = in_loop(lambda: look_around(database.path))
    has_failed = any(one.level == "fail" for one in found)
    if output in {"json", "yaml"}:
        emit({"items": found, "is_fine": not has_failed}, output)
    elif output == "name":
        for one in found:
            if one.level != "ok":
                click.echo(one.name)
    else:
        style = look(sys.stdout)
        for one in found:
            mark = style.status(_MARKS[one.level], word=f"{one.level:<4}")
            click.echo(f"{mark}  {one.name:<11}  {visible(one.what)}", color=True)
            if one.hint:
                click.echo(f"{'':21}{style.styled('hint:', 'hint')} {visible(one.hint)}", color=True)
    click.get_current_context().exit(Exit.UNREACHABLE if has_failed else Exit.OK)
