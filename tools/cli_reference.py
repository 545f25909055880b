"""Write ``docs/reference/cli.md`` from the tree of commands: ``python -m tools.cli_reference``. Nothing there is by hand."""

from __future__ import annotations

import sys
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING

import click

from taskengine.cli.command import PROGRAM, EngineCommand, LazyGroup
from taskengine.cli.main import EPILOG, cli

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = Path(__file__).resolve().parents[1] / "docs" / "reference" / "cli.md"
EVERYWHERE = {"verbose", "lang", "help"}  # said once, at the top


def reference() -> str:
    """The whole page."""
    lines = [
        "# The command line",
        "",
        "Made from the commands themselves by `python -m tools.cli_reference`; `te` is the same program under a shorter name.",
        "",
        "Every command has `-h`, `--help`; `-v` logs, `-vv` logs and tracebacks; `--lang en|zh`. Data goes to stdout, everything",
        "else to stderr. An ID may be cut to four or more characters of its beginning or end; `@latest`, `@failed` and `key:KEY`",
        "are IDs too.",
        "",
        "```text",
        *cleandoc(EPILOG.removeprefix("\b\n")).splitlines(),
        "```",
        "",
    ]
    for words, command in walk(cli, (PROGRAM,)):
        lines += entry(" ".join(words), command)
    return "\n".join(lines).rstrip() + "\n"


def walk(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], EngineCommand]]:
    """Every command, in the order of the help."""
    if isinstance(command, LazyGroup):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, (*words, name))
    elif isinstance(command, EngineCommand):
        yield words, command


def entry(name: str, command: EngineCommand) -> list[str]:
    """One command: how it is called, what it is for, its options, its examples."""
    context = click.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    lines = [f"## {name}", "", f"`{usage}`", "", *escaped(cleandoc(command.help or "")).splitlines(), ""]
    rows = [
        (record[0], record[1])
        for option in command.params
        if isinstance(option, click.Option) and option.name not in EVERYWHERE and (record := option.get_help_record(context))
    ]
    if rows:
        lines += ["| option | |", "|---|---|", *(f"| `{escaped(names)}` | {escaped(text)} |" for names, text in rows), ""]
    return [*lines, "```text", *command.examples, "```", ""]


def escaped(text: str) -> str:
    """Bars divide columns, and angles are tags."""
    return text.replace("|", "\\|").replace("<", "\\<")


def main() -> int:
    """Write the page."""
    TARGET.write_text(reference(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
