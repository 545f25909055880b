"""``init`` and ``demo``: files to begin with, written into a folder where nothing is overwritten; ``demo`` runs them at once."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Final

import click

from taskengine.cli.command import DEFAULT_DATABASE, PROGRAM, Database, EngineCommand
from taskengine.cli.language import say

__all__ = ["demo", "init"]

_DEMO: Final = "task-engine-demo"
_GRACE_MS: Final = 1_000


@click.command("init", cls=EngineCommand, examples=("task-engine init hello", "task-engine init ."))
@click.argument("folder", required=False, default=".", metavar="[DIR]", type=click.Path(file_okay=False))
def init(folder: str) -> None:
    """Make a small project in DIR: a workflow, its functions, a README. Existing files are left alone."""
    from taskengine.cli.output import note
    from taskengine.cli.terminal import look

    place = Path(folder)
    for name in write_project("hello", place):
        click.echo(str(place / name))
    here = "" if place.resolve() == Path.cwd() else f"cd {shlex.quote(folder)} && "
    note(f"{look(sys.stderr).styled(say('next:'), 'hint')} {here}{PROGRAM} run hello.yaml --input name=Ada")


@click.command("demo", cls=EngineCommand, examples=("task-engine demo", "task-engine demo /tmp/shop"))
@click.argument("folder", required=False, default=_DEMO, metavar="[DIR]", type=click.Path(file_okay=False))
def demo(folder: str) -> None:
    """Run a small order of a shop in DIR (made when it is not there), with a payment that fails once, and watch it."""
    from taskengine.cli.database import prepare
    from taskengine.cli.ending import exit_of, show_ending
    from taskengine.cli.exits import Exit
    from taskengine.cli.loop import in_fast_loop
    from taskengine.cli.output import note
    from taskengine.cli.perform import Order, perform
    from taskengine.cli.terminal import look
    from taskengine.define import load_file

    place = Path(folder)
    if not is_project("demo", place):
        write_project("demo", place)
    path = place / DEFAULT_DATABASE
    prepare(Database(path, is_named=False, is_default=True))  # makes its folder
    document = place / "shop.yaml"
    order = Order(
        file=str(document),
        folder=str(place.absolute()),
        workflow=load_file(document).require(),
        database=Database(path, is_named=True, is_default=False),
        params={},
        resume="",
        is_watched=True,
        timeout_ms=None,
        grace_ms=_GRACE_MS,
        by="",
    )
    ending = in_fast_loop(lambda: perform(order))
    show_ending(ending, order=order, output="table")
    if exit_of(ending) is Exit.OK:
        label = look(sys.stderr).styled(say("your turn:"), "hint")
        command = f"cd {shlex.quote(folder)} && {PROGRAM} dev shop.yaml"
        note(f"{label} {command}  " + say("(then change shop.py and save)"))
    click.get_current_context().exit(exit_of(ending))


def write_project(name: str, place: Path) -> list[str]:
    """Write the files of a project; their names. ``ConflictError("file_exists")`` before anything is written."""
    from taskengine.errors import ConflictError, StorageError

    files = _files(name)
    there = [file for file in files if (place / file).exists()]
    if there:
        raise ConflictError(
            "file_exists",
            f"{place / there[0]} is there already, and nothing is overwritten",
            hint=f"name another folder: {PROGRAM} {'init' if name == 'hello' else 'demo'} DIR",
        )
    try:
        place.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            (place / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            "folder_not_writable", f"{place} cannot be written: {error.strerror}", hint="name a folder where this user may write"
        ) from None
    return list(files)


def is_project(name: str, place: Path) -> bool:
    """Whether all files of a project are there, changed or not."""
    return all((place / file).is_file() for file in _files(name))


def _files(name: str) -> dict[str, str]:
    """The files of a project. Where the sources' own rules would be in the way they are kept with ``.txt`` at their end."""
    from importlib.resources import files

    folder = files("taskengine.cli") / "projects" / name
    found = sorted(folder.iterdir(), key=lambda file: file.name)
    return {file.name.removesuffix(".txt"): file.read_text(encoding="utf-8") for file in found if file.is_file()}
