"""A workflow as YAML for people: the canonical document in the order of the language, texts quoted where our reader needs it.

What is written here reads back as the same workflow; that is what the quoting is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import yaml

from taskengine.define.canonical import to_document
from taskengine.define.language import BRANCH, CASE, COMPENSATION, ELSE, LIMITS, RETRY, STEP, WORKFLOW, Table
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


def _step(step: dict[str, Any], table: Table = STEP) -> dict[str, Any]:
    ordered = _ordered(step, table)
    for key, read in _PARTS.items():
        if key in ordered:
            ordered[key] = read(ordered[key])
    return ordered


def _block(block: dict[str, Any], table: Table) -> dict[str, Any]:
    ordered = _ordered(block, table)
    return {**ordered, "steps": [_step(step) for step in ordered["steps"]]}


def _else(block: dict[str, Any]) -> Any:
    """Shorter where nothing but steps are said."""
    ordered = _block(block, ELSE)
    return ordered["steps"] if set(ordered) == {"steps"} else ordered


_PARTS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "retry": lambda retry: _ordered(retry, RETRY),
    "cases": lambda cases: [_block(case, CASE) for case in cases],
    "else": _else,
    "branches": lambda branches: [_block(branch, BRANCH) for branch in branches],
    "steps": lambda steps: [_step(step) for step in steps],
    "compensate": lambda step: _step(step, COMPENSATION),
}


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
