"""``version``: which program this is and what it stands on."""

from __future__ import annotations

import platform

import click

from taskengine import __version__
from taskengine.cli.command import PROGRAM, EngineCommand, output_option

__all__ = ["version"]


@click.command("version", cls=EngineCommand, examples=("task-engine version", "task-engine version -o json"))
@output_option("table", "json", "yaml", "name")
def version(output: str) -> None:
    """Say which version this is."""
    from sqlite3 import sqlite_version

    from taskengine.cli.output import emit

    facts = {"version": __version__, "python": platform.python_version(), "sqlite": sqlite_version}
    if output == "name":
        click.echo(__version__)
    elif output == "table":
        click.echo(f"{PROGRAM} {__version__} (Python {facts['python']}, SQLite {facts['sqlite']})")
    else:
        emit(facts, output)
