"""``instance list|history|status|tasks|events``: what was committed, as tables and as data. Changes nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from taskengine.cli.command import Database, EngineCommand, database_option, output_option, verbosity
from taskengine.cli.complete import execution_argument, workflow_names
from taskengine.cli.language import say

if TYPE_CHECKING:
    from taskengine.app.inspect import Inspector, Listed

__all__ = ["events", "history", "list_", "looked_at", "status", "tasks"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
_PAGE = 20
_SPELLINGS = {"success": "completed", "succeeded": "completed", "canceled": "cancelled"}


def looked_at(database: Database, look_at: Callable[[Inspector], Coroutine[Any, Any, T]]) -> T:
    """Open the database, which must be there, and look at it."""
    from taskengine.app.inspect import inspecting
    from taskengine.cli.database import must_exist
    from taskengine.cli.loop import in_loop, log_to_stderr

    path = must_exist(database)
    log_to_stderr(verbosity())

    async def main() -> T:
        async with inspecting(path) as inspector:
            return await look_at(inspector)

    return in_loop(main)


def _statuses(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """The closed words, in any case and in the spellings of others; several in one value are separated by commas."""
    from taskengine.model.status import Status

    known = {status.value: status.value for status in Status} | _SPELLINGS
    words = [word.strip().lower() for value in values for word in value.split(",")]
    unknown = [word for word in words if word not in known]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is no status; there are {', '.join(Status)}")
    return tuple(dict.fromkeys(known[word] for word in words))


def _status_option(command: F) -> F:
    return click.option(
        "--status",
        "statuses",
        multiple=True,
        metavar="STATUS",
        callback=_statuses,
        help="Only these: running, waiting, paused, completed, failed, cancelled.",
    )(command)


def _limit_option(command: F) -> F:
    option = click.option(
        "--limit", type=click.IntRange(min=0), default=_PAGE, show_default=True, metavar="N", help="How many; 0 for all."
    )
    return option(command)


@click.command(
    "list",
    cls=EngineCommand,
    examples=(
        "task-engine instance list",
        "task-engine instance list --status failed,cancelled --limit 0",
        "task-engine instance list --status running -o name",
        'task-engine instance list --business-key "order 7"',
        "task-engine instance list --all",
    ),
)
@_status_option
@click.option(
    "--workflow", default="", metavar="NAME", shell_complete=workflow_names, help="Only executions of this workflow (name or id)."
)
@click.option("--business-key", default="", metavar="KEY", help="Only executions with this business key.")
@click.option("--all", "is_all", is_flag=True, help="Also executions that others started.")
@_limit_option
@database_option
@output_option("table", "json", "yaml", "name")
def list_(
    *, statuses: tuple[str, ...], workflow: str, business_key: str, is_all: bool, limit: int, database: Database, output: str
) -> None:
    """List executions, newest first. Those that others started are left out; --all, --workflow and --business-key show them.

    DURATION is the time from start to end on the clock: pauses, waits and times without a process are in it.
    """
    is_root = None if is_all or workflow or business_key else True
    from taskengine.cli.tables import executions_table

    async def look_at(inspector: Inspector) -> Any:
        found = await inspector.listed(
            statuses=statuses, workflow=workflow, business_key=business_key, limit=limit, is_root=is_root
        )
        return found, inspector.now()

    found, now = looked_at(database, look_at)
    _show_list(found, database=database, output=output, lines=lambda: executions_table(found, now=now))


@click.command(
    "history",
    cls=EngineCommand,
    examples=("task-engine instance history hello --limit 5", "task-engine instance history hello --status failed"),
)
@click.argument("workflow", metavar="WORKFLOW", shell_complete=workflow_names)
@_status_option
@_limit_option
@database_option
@output_option("table", "json", "yaml", "name")
def history(*, workflow: str, statuses: tuple[str, ...], limit: int, database: Database, output: str) -> None:
    """List the executions of one workflow (name or id), newest first, with what ended them."""
    from msgspec.structs import replace

    from taskengine.cli.tables import history_table

    async def look_at(inspector: Inspector) -> Any:
        found = await inspector.listed(statuses=statuses, workflow=workflow, limit=limit)
        errors = await inspector.errors([one.id for one in found.items if one.status == "failed"])
        items = [
            replace(one, error_code=errors[one.id].type, error_message=errors[one.id].message) if one.id in errors else one
            for one in found.items
        ]
        return found._replace(items=items)

    found = looked_at(database, look_at)
    _show_list(found, database=database, output=output, lines=lambda: history_table(found))


def _show_list(found: Listed, *, database: Database, output: str, lines: Callable[[], list[str]]) -> None:
    from taskengine.cli.output import emit, note

    items, total = found.items, found.total
    if output in {"json", "yaml"}:
        emit({"items": items, "total": total, "has_more": len(items) < total}, output)
    elif output == "name":
        _print(one.id for one in items)
    else:
        _print(lines())
        left = next((one.id for one in items if one.id in found.unattended and one.status != "paused"), "")
        if left:
            command = database.command(f"run --resume {left}")
            note(say("no process: nothing runs it or would take it up; to go on with the newest: {command}", command=command))
    if len(items) < total:
        note(say("showing {shown} of {total}; --limit 0 for all", shown=f"{len(items):,}", total=f"{total:,}"))


@click.command(
    "status",
    cls=EngineCommand,
    examples=(
        "task-engine instance status @latest",
        "task-engine instance status @failed --task load",
        "task-engine instance status 01M7XZ -o json",
    ),
)
@execution_argument
@click.option("--task", default="", metavar="PATH", help="One task, its story and why it is where it is: load or /load/.")
@click.option("--all", "is_all", is_flag=True, help="A line for each task, however many there are.")
@click.option("--watch", "is_watched", is_flag=True, help="Follow it to its end first; the exit code is its outcome.")
@database_option
@output_option("table", "json", "yaml", "name")
def status(*, execution: str, task: str, is_all: bool, is_watched: bool, database: Database, output: str) -> None:
    """Show an execution: how far it is, and a line for each task.

    DURATION of a task is the time from its first attempt to its end: retries, pauses and times without a process are in it.
    """
    if is_watched and task:
        raise click.UsageError("--watch follows a whole execution; leave --task out.")
    if is_watched:
        from taskengine.cli.watching import follow

        click.get_current_context().exit(follow(execution, database=database, output=output, timeout_ms=None))
    from msgspec import UNSET, structs

    from taskengine.cli import tables
    from taskengine.cli.control import path_of
    from taskengine.cli.output import emit

    if task:
        detail = looked_at(database, lambda inspector: inspector.task(execution, path_of(task)))
        if output == "table":
            _print(tables.task_lines(detail))
        elif output == "name":
            _print([detail.task.id])
        else:
            emit(detail, output)
        return
    found = looked_at(database, lambda inspector: inspector.whole(execution))
    if output == "table":
        _print(tables.execution_lines(found, database=database, is_all=is_all))
    elif output == "name":
        _print([found.view.id])
    else:
        said = {name: value for name, value in structs.asdict(found.view).items() if value is not UNSET}
        emit({**said, "tasks": found.tasks}, output)


@click.command(
    "tasks",
    cls=EngineCommand,
    examples=(
        "task-engine instance tasks @latest",
        "task-engine instance tasks @failed --status failed -o json",
    ),
)
@execution_argument
@click.option("--status", "wanted", multiple=True, metavar="STATUS", callback=_statuses, help="Only tasks that are this now.")
@database_option
@output_option("table", "json", "yaml", "name")
def tasks(*, execution: str, wanted: tuple[str, ...], database: Database, output: str) -> None:
    """Show every task of an execution: path, status, attempts, times, error.

    What a container opens has a line of its own: a branch, a case, an item, an iteration. It is no step, and is not counted.
    """
    from taskengine.cli.output import emit
    from taskengine.cli.tables import tasks_table

    whole = looked_at(database, lambda inspector: inspector.whole(execution))
    found = [task for task in whole.tasks if not wanted or task.status in wanted]
    if output in {"json", "yaml"}:
        emit({"items": found, "total": len(whole.tasks)}, output)
    elif output == "name":
        _print(task.id for task in found)
    else:
        _print(tasks_table(found))


@click.command(
    "events",
    cls=EngineCommand,
    examples=(
        "task-engine instance events @latest",
        "task-engine instance events @latest --after 120 -o jsonl",
    ),
)
@execution_argument
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="SEQ", help="Only events after this number.")
@click.option("--limit", type=click.IntRange(min=0), default=0, metavar="N", help="How many; 0 for all.")
@database_option
@output_option("table", "json", "jsonl", "yaml")
def events(*, execution: str, after: int, limit: int, database: Database, output: str) -> None:
    """Show what happened to an execution, in order."""
    from taskengine.cli.output import emit, emit_line
    from taskengine.cli.tables import event_lines

    async def look_at(inspector: Inspector) -> list[Any]:
        summary = await inspector.find(execution)
        if output == "jsonl":
            async for event in inspector.events(summary, after=after, limit=limit):
                emit_line(event)
            return []
        return [event async for event in inspector.events(summary, after=after, limit=limit)]

    found = looked_at(database, look_at)
    if output in {"json", "yaml"}:
        emit(found, output)
    elif output == "table":
        _print(event_lines(found))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line, color=True)
    sys.stdout.flush()
