"""``workflow graph`` and ``workflow schema``: what a document looks like, and what documents may say. Starts and stores nothing."""

from __future__ import annotations

import sys

import click

from taskengine.cli.command import EngineCommand

__all__ = ["graph", "schema"]


@click.command(
    "graph",
    cls=EngineCommand,
    examples=(
        "task-engine workflow graph etl.yaml",
        "task-engine workflow graph etl.yaml --format svg > etl.svg",
        "task-engine workflow graph etl.yaml --format mermaid",
    ),
)
@click.argument("file")
@click.option(
    "--format",
    "form",
    type=click.Choice(["ascii", "mermaid", "svg"]),
    default="ascii",
    show_default=True,
    help="ascii: for terminals; mermaid: for Markdown; svg: a picture.",
)
def graph(file: str, form: str) -> None:
    """Draw the workflow in FILE: its steps, what they wait for, their conditions and joins.

    A document with errors is not drawn; they are shown instead, and the command exits with 8.
    """
    from taskengine.cli.exits import Exit
    from taskengine.cli.terminal import look
    from taskengine.define import load_file, render_findings

    checked = load_file(file)
    if checked.workflow is None:
        click.echo(render_findings(checked, color=look(sys.stderr).has_color), err=True, nl=False, color=True)
        click.get_current_context().exit(Exit.INVALID)
    drawn = {"ascii": checked.workflow.to_ascii, "mermaid": checked.workflow.to_mermaid, "svg": checked.workflow.to_svg}
    click.echo(drawn[form](), nl=False)


@click.command(
    "schema",
    cls=EngineCommand,
    examples=("task-engine workflow schema > workflow.schema.json",),
)
def schema() -> None:
    """Print the JSON Schema (draft 2020-12) of workflow documents.

    Editors complete and check documents with it: name the file in a first line `# yaml-language-server: $schema=FILE`.
    """
    from taskengine.define.json_schema import schema_text

    click.echo(schema_text(), nl=False)
