"""The workflow that a test means: as data, what a program declared, or the path of a document. Reads; runs nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from taskengine.define import load_file, render_findings
from taskengine.define.declared import Declares
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Workflow

__all__ = ["is_document", "read_document", "workflow_of"]


def is_document(workflow: Any) -> bool:
    """Whether this is the path of one."""
    return isinstance(workflow, Path) or (isinstance(workflow, str) and workflow.endswith((".yaml", ".yml", ".json")))


def read_document(path: str | Path) -> tuple[Workflow, str]:
    """The workflow in a file, and the folder where its functions are looked for. ``DefinitionError`` shows every finding."""
    checked = load_file(path)
    if checked.workflow is None:
        raise DefinitionError("invalid_document", f"{path} cannot be run:\n{render_findings(checked, color=False)}")
    return checked.workflow, str(Path(path).resolve().parent)


def workflow_of(workflow: Workflow | Declares | str | Path) -> Workflow:
    """The workflow itself."""
    if isinstance(workflow, str | Path):
        return read_document(workflow)[0]
    return workflow if isinstance(workflow, Workflow) else workflow.declared().workflow
