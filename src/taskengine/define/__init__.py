"""Workflow documents: read, checked, stored, and findings shown. Light to import; YAML is loaded when there is YAML to read."""

from __future__ import annotations

from taskengine.define.canonical import from_document, to_document
from taskengine.define.check import check
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
