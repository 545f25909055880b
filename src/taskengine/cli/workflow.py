"""``workflow check``: read documents, say what is wrong with them. Starts nothing and imports none of their functions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from taskengine.cli.command import EngineCommand, LazyGroup, output_option
from taskengine.cli.language import say
from taskengine.errors import NotFoundError

if TYPE_CHECKING:
    from taskengine.define import Checked

__all__ = ["check", "workflow"]

workflow = LazyGroup(
    "workflow",
    help="Check, keep, show and run workflows. A WORKFLOW is a name or an id; of an id, four characters will do.",
    lazy={
        "check": ("taskengine.cli.workflow:check", "Say what is wrong with documents, and where."),
        "upload": ("taskengine.cli.library:upload", "Keep documents in the database."),
        "list": ("taskengine.cli.library:list_", "The workflows that the database keeps."),
        "show": ("taskengine.cli.library:show", "One workflow, its steps and its executions."),
        "execute": ("taskengine.cli.run:execute", "Run a kept workflow here and now."),
        "versions": ("taskengine.cli.library:versions", "Every version of a workflow."),
        "export": ("taskengine.cli.library:export", "Print a kept workflow as a document."),
        "graph": ("taskengine.cli.drawing:graph", "Draw a document as text, Mermaid or SVG."),
        "schema": ("taskengine.cli.drawing:schema", "Print the JSON Schema of documents."),
    },
)


@click.command(
    "check",
    cls=EngineCommand,
    examples=("task-engine workflow check etl.yaml", "task-engine workflow check *.yaml -o json"),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@output_option("table", "json", "yaml", "name", text="name: the files that can be run.")
def check(files: tuple[str, ...], output: str) -> None:
    """Check workflow documents without running them.

    Exits with 0 when all of them can be run, with 8 when one has an error, with 3 when one is not there.
    """
    from taskengine.cli.exits import Exit
    from taskengine.define import load_file

    results: list[Checked | NotFoundError] = []
    for file in files:
        try:
            results.append(load_file(file, finds_functions=True))
        except NotFoundError as error:
            results.append(error)
    _show(results, output=output)
    is_invalid = any(not isinstance(result, NotFoundError) and result.errors for result in results)
    is_missing = any(isinstance(result, NotFoundError) for result in results)
    click.get_current_context().exit(Exit.INVALID if is_invalid else Exit.NOT_FOUND if is_missing else Exit.OK)


def _show(results: list[Checked | NotFoundError], *, output: str) -> None:
    from taskengine.cli.errors import report_error
    from taskengine.cli.output import emit

    if output in {"json", "yaml"}:
        emit({"files": [_described(result) for result in results]}, output)
        return
    for result in results:
        if isinstance(result, NotFoundError):
            report_error(result, output=output, verbosity=0)
        elif output == "name":
            if result.workflow is not None:
                click.echo(result.file)
        else:
            click.echo(_rendered(result), nl=False, color=True)


def _rendered(checked: Checked) -> str:
    from taskengine.cli.terminal import look
    from taskengine.define import render_findings
    from taskengine.define.phrase import numbered, visible

    style = look(sys.stdout)
    text = render_findings(checked, color=style.has_color) if checked.findings else ""
    if checked.workflow is None:
        return text
    steps = numbered(checked.workflow.step_count, "step")
    version = f" {checked.workflow.version}" if checked.workflow.version else ""
    verdict = say("valid")
    if checked.warnings:
        verdict += f", {numbered(len(checked.warnings), 'warning')}"
    mark = "paused" if checked.warnings else "completed"  # its colour: not all is well
    told = style.colored(f"{style.mark('completed')} {verdict}", mark)
    return f"{text}{told}  {visible(checked.file)}: {checked.workflow.name}{version}, {steps}\n"


def _described(result: Checked | NotFoundError) -> dict[str, Any]:
    if isinstance(result, NotFoundError):
        missing = {"code": result.code, "name": result.name, "severity": "error", "message": result.message, "hint": result.hint}
        return {"file": result.facts.get("file", ""), "is_valid": False, "findings": [missing]}
    workflow = result.workflow
    return {
        "file": result.file,
        "is_valid": workflow is not None,
        "name": None if workflow is None else workflow.name,
        "version": None if workflow is None else workflow.version or None,
        "task_count": None if workflow is None else workflow.step_count,
        "findings": list(result.findings),
    }
