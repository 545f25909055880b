"""``dev``, the command: its options. The work is in ``cli.dev``."""

from __future__ import annotations

from pathlib import Path

import click

from taskengine.cli.command import Database, EngineCommand, database_option
from taskengine.cli.run import input_option

__all__ = ["dev"]


@click.command(
    "dev",
    cls=EngineCommand,
    examples=("task-engine dev hello.yaml", "task-engine dev hello.yaml --input name=Ada"),
)
@click.argument("file", metavar="FILE")
@input_option
@database_option
def dev(*, file: str, given: tuple[str, ...], database: Database) -> None:
    """Run the workflow in FILE, and again whenever FILE or a Python file beside it is saved.

    A version with a mistake is told and not run; the last good one goes on. Ctrl-C ends it, with 0.
    """
    from taskengine.cli.database import prepare
    from taskengine.cli.dev import Watcher
    from taskengine.cli.loop import in_loop
    from taskengine.define import load_file

    load_file(file)  # raises for a file that is not there
    prepare(database)
    words = [word for one in given for word in ("--input", one)]
    if database.is_named:
        words += ["--db", str(database.path)]
    in_loop(Watcher(Path(file), [*words, "--grace", "1s", "--plain"]).watch)
