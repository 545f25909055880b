"""Workflow documents: read, checked, stored, and findings shown. Each name is loaded when it is first used.

Commands that only word a message (`phrase.py`) load nothing else of this room, and YAML is loaded when there is YAML to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from taskengine.define.canonical import from_document, to_document
    from taskengine.define.checks import check
    from taskengine.define.codes import BY_NAME, CODES, Code
    from taskengine.define.document import load_file, load_text
    from taskengine.define.finding import Checked, Finding
    from taskengine.define.render import render_findings

__all__ = [
    "BY_NAME",
    "CODES",
    "Checked",
    "Code",
    "Finding",
    "check",
    "from_document",
    "load_file",
    "load_text",
    "render_findings",
    "to_document",
]

_HOMES = {
    "BY_NAME": "codes",
    "CODES": "codes",
    "Checked": "finding",
    "Code": "codes",
    "Finding": "finding",
    "check": "checks",
    "from_document": "canonical",
    "load_file": "document",
    "load_text": "document",
    "render_findings": "render",
    "to_document": "canonical",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'taskengine.define' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 -- see above

    return getattr(import_module(f"taskengine.define.{home}"), name)
