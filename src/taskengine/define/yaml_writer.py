"""A workflow as YAML for people: the canonical document in the order of the language, texts quoted where our reader needs it.

What is written here reads back as the same workflow; that is what the quoting is for.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import yaml

from taskengine.define.canonical import to_document
from taskengine.define.language import LIMITS, RETRY, STEP, WORKFLOW, Table
from taskengine.define.scalars import OutOfRange, resolve
from taskengine.model.workflow import Workflow

__all__ = ["to_yaml"]

_WIDTH: Final = 120


def to_yaml(workflow: Workflow) -> str:
    """The document. Raises ``DefinitionError`` for what JSON cannot hold."""
    document: dict[str, Any] = msgspec.json.decode(to_document(workflow))
    ordered = _ordered(document, WORKFLOW)
    if "limits" in ordered:
        ordered["limits"] = _ordered(ordered["limits"], LIMITS)
    ordered["steps"] = [_step(step) for step in ordered["steps"]]
    return yaml.dump(ordered, Dumper=_Writer, allow_unicode=True, sort_keys=False, width=_WIDTH)


def _step(step: dict[str, Any]) -> dict[str, Any]:
    ordered = _ordered(step, STEP)
    if "retry" in ordered:
        ordered["retry"] = _ordered(ordered["retry"], RETRY)
    return ordered


def _ordered(mapping: dict[str, Any], table: Table) -> dict[str, Any]:
    return {key: mapping[key] for key in table.fields if key in mapping}


class _Writer(yaml.SafeDumper):
    """No aliases, which the reader refuses; every text quoted that would read back as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(_writer: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style=None if _is_plain(text) else '"')


def _is_plain(text: str) -> bool:
    """Whether the text may stand without quotes as far as its meaning goes; the library judges its form."""
    try:
        return isinstance(resolve(text), str) and text.isprintable() and "{{" not in text
    except OutOfRange:
        return False


_Writer.add_representer(str, _represent_text)
