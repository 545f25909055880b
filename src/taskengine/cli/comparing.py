"""``instance diff``: two executions side by side."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from taskengine.cli.command import Database, EngineCommand, database_option, output_option
from taskengine.cli.complete import execution_argument, execution_ids
from taskengine.cli.language import say
from taskengine.cli.looking import looked_at

if TYPE_CHECKING:
    from taskengine.app.inspect import Inspector
    from taskengine.wire.execution import WireComparison

__all__ = ["diff"]

_WIDEST = 60  # columns of a value, where there is no terminal that says how wide it is


@click.command(
    "diff",
    cls=EngineCommand,
    examples=("task-engine instance diff 9K3F 7QZ5", "task-engine instance diff @latest @failed --all"),
)
@execution_argument
@click.argument("other", metavar="OTHER", shell_complete=execution_ids)
@click.option("--all", "is_all", is_flag=True, help="Also what is the same.")
@database_option
@output_option("table", "json", "yaml", "name")
def diff(*, execution: str, other: str, is_all: bool, database: Database, output: str) -> None:
    """Say what is different between two executions: version, input, variables, and task by task status, attempts, error and output.

    Of an input or an output the first place that differs is shown.
    """
    from taskengine.app.compare import compared
    from taskengine.cli.output import emit, note

    async def look_at(inspector: Inspector) -> WireComparison:
        return compared(await inspector.side(execution), await inspector.side(other), is_all=is_all)

    found = looked_at(database, look_at)
    if output in {"json", "yaml"}:
        emit(found, output)
    elif output == "name":
        for path in dict.fromkeys(line.path for line in found.differences):
            click.echo(path)
    elif found.differences:
        for line in _lines(found):
            click.echo(line)
    else:
        note(say("no differences"))


def _lines(found: WireComparison) -> list[str]:
    from taskengine.cli.terminal import look, table, width_of

    style, room = look(sys.stdout), width_of(sys.stdout)
    names = [[line.path, line.where] for line in found.differences]
    fixed = sum(max(map(len, column)) + 2 for column in zip(*names, strict=True))
    widest = max(10, (room - fixed - 2) // 2) if room else _WIDEST
    values = [
        [style.crop(_shown(line.a, is_there=line.is_in_a), widest), style.crop(_shown(line.b, is_there=line.is_in_b), widest)]
        for line in found.differences
    ]
    return table(["PATH", "WHAT", found.a[-8:], found.b[-8:]], [[*one, *two] for one, two in zip(names, values, strict=True)])


def _shown(value: object, *, is_there: bool) -> str:
    from taskengine.define.phrase import visible
    from taskengine.model.value import encode

    if not is_there:
        return "-"
    return visible(value if isinstance(value, str) else encode(value).decode())
