"""``workflow upload|list|show|versions|export``: the workflows that a database keeps. Starts no execution."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskengine.cli.command import Database, EngineCommand, database_option, output_option, verbosity
from taskengine.cli.complete import workflow_names
from taskengine.cli.language import say
from taskengine.cli.looking import looked_at

if TYPE_CHECKING:
    from taskengine.define import Checked
    from taskengine.ports.store import StoredWorkflow
    from taskengine.wire.workflow import WireWorkflow

__all__ = ["export", "list_", "show", "upload", "versions"]

_version_option = click.option("--version", "label", default="", metavar="VERSION", help="This version instead of the latest.")


@click.command(
    "upload",
    cls=EngineCommand,
    examples=("task-engine workflow upload hello.yaml", "task-engine workflow upload flows/*.yaml --db work.db"),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@database_option
@output_option("table", "json", "yaml", "name", text="name: the workflows' ids.")
def upload(*, files: tuple[str, ...], database: Database, output: str) -> None:
    """Check workflow documents and keep them in the database: all of them, or none when one has an error.

    A document without a version gets the next number when it changed. Functions named by file are looked for beside the document.
    """
    from taskengine.cli.calls import with_absent
    from taskengine.cli.exits import Exit
    from taskengine.define import load_file, render_findings

    checked = with_absent([load_file(file) for file in files], database=database.path)
    for one in checked:
        if one.workflow is None and output == "json":
            one.require()
        if one.findings:
            from taskengine.cli.terminal import look

            click.echo(render_findings(one, color=look(sys.stderr).has_color), err=True, nl=False, color=True)
    if any(one.workflow is None for one in checked):
        from taskengine.cli.output import note

        note(say("nothing was uploaded"))
        click.get_current_context().exit(Exit.INVALID)
    kept = _keep(checked, database=database)
    _show_uploads(kept, output=output, database=database)


def _keep(checked: list[Checked], *, database: Database) -> list[tuple[StoredWorkflow, bool]]:
    """Each as stored, and whether it is new."""
    from taskengine.app.engine import Engine
    from taskengine.cli.database import prepare
    from taskengine.cli.loop import in_loop, log_to_stderr
    from taskengine.runtime.settings import NodeSettings

    path = prepare(database)
    found = [(one.require(), str(Path(one.file).absolute().parent)) for one in checked]
    log_to_stderr(verbosity())

    async def keep() -> list[tuple[StoredWorkflow, bool]]:
        kept: list[tuple[StoredWorkflow, bool]] = []
        async with Engine(path, settings=NodeSettings(can_run=False)) as engine:
            for workflow, folder in found:
                before = {stored.version for stored in await engine.store.versions(workflow.name)}
                stored = await engine.deploy(workflow, source=folder)
                kept.append((stored, stored.version not in before))
        return kept

    return in_loop(keep)


def _show_uploads(kept: list[tuple[StoredWorkflow, bool]], *, output: str, database: Database) -> None:
    from taskengine.cli.output import emit, note
    from taskengine.cli.terminal import look

    if output in {"json", "yaml"}:
        items = [{"id": one.workflow_id, "name": one.name, "version": one.version, "is_new": is_new} for one, is_new in kept]
        emit({"items": items, "total": len(items)}, output)
        return
    style = look(sys.stdout)
    for one, is_new in kept:
        if output == "name":
            click.echo(one.workflow_id)
            continue
        word = say("uploaded") if is_new else say("unchanged")
        click.echo(f"{style.status('completed', word=word)}  {one.name} {one.version}  {one.workflow_id}", color=True)
    note(f"{look(sys.stderr).styled(say('next:'), 'hint')} {database.command(f'workflow execute {_word(kept[0][0].name)}')}")


def _word(name: str) -> str:
    from shlex import quote

    return quote(name)


@click.command(
    "list",
    cls=EngineCommand,
    examples=("task-engine workflow list", "task-engine workflow list --limit 0 -o json"),
)
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, metavar="N", help="How many; 0 for all.")
@database_option
@output_option("table", "json", "yaml", "name")
def list_(*, limit: int, database: Database, output: str) -> None:
    """List the workflows that the database keeps, by name."""
    from taskengine.cli.output import emit, note
    from taskengine.cli.tables import workflows_table

    found, has_more = looked_at(database, lambda inspector: inspector.library.listed(limit=limit))
    if output in {"json", "yaml"}:
        emit({"items": found, "has_more": has_more}, output)
    else:
        for line in [one.id for one in found] if output == "name" else workflows_table(found):
            click.echo(line, color=True)
    if has_more:
        note(say("there are more; --limit 0 for all"))
    if not found and output == "table":
        note(say("no workflows yet; to keep one: {command}", command=database.command("workflow upload FILE")))


@click.command(
    "show",
    cls=EngineCommand,
    examples=("task-engine workflow show hello", "task-engine workflow show hello --version 1 -o json"),
)
@click.argument("workflow", metavar="WORKFLOW", shell_complete=workflow_names)
@_version_option
@database_option
@output_option("table", "json", "yaml", "name")
def show(*, workflow: str, label: str, database: Database, output: str) -> None:
    """Show a workflow (name or id): its steps, and what became of its executions."""
    from taskengine.cli.output import emit
    from taskengine.cli.tables import workflow_lines

    async def look_at(inspector: Any) -> WireWorkflow:
        found: WireWorkflow = await inspector.library.shown(await inspector.library.find(workflow, label))
        return found

    found = looked_at(database, look_at)
    if output in {"json", "yaml"}:
        emit(found, output)
    elif output == "name":
        click.echo(found.id)
    else:
        for line in workflow_lines(found):
            click.echo(line, color=True)


@click.command(
    "versions",
    cls=EngineCommand,
    examples=("task-engine workflow versions hello", "task-engine workflow versions hello -o name"),
)
@click.argument("workflow", metavar="WORKFLOW", shell_complete=workflow_names)
@database_option
@output_option("table", "json", "yaml", "name")
def versions(*, workflow: str, database: Database, output: str) -> None:
    """List the versions of a workflow, the latest first."""
    from taskengine.cli.output import emit
    from taskengine.cli.terminal import table

    async def look_at(inspector: Any) -> Any:
        return await inspector.library.versions(await inspector.library.find(workflow))

    found = looked_at(database, look_at)
    if output in {"json", "yaml"}:
        emit({"items": found, "total": len(found)}, output)
    elif output == "name":
        for one in found:
            click.echo(one.version)
    else:
        lines = [(one.version, str(one.task_count), one.created_at, "latest" if one.is_latest else "") for one in found]
        for line in table(("VERSION", "TASKS", "CREATED", ""), lines, right=frozenset({1})):
            click.echo(line)


@click.command(
    "export",
    cls=EngineCommand,
    examples=("task-engine workflow export hello > hello.yaml", "task-engine workflow export hello --version 1 -o json"),
)
@click.argument("workflow", metavar="WORKFLOW", shell_complete=workflow_names)
@_version_option
@database_option
@output_option("yaml", "json", text="The form of the document.")
def export(*, workflow: str, label: str, database: Database, output: str) -> None:
    """Print a workflow (name or id) as the document that says the same: checked, normalised, without comments."""
    from taskengine.app.library import document_of
    from taskengine.cli.output import emit

    emit(document_of(looked_at(database, lambda inspector: inspector.library.find(workflow, label))), output)
