"""The document that is stored: the same language as everywhere, as JSON, normalised and sorted: equal workflows are equal bytes.

``from_document(to_document(workflow)) == workflow`` for every workflow that `check` finds no error in. Both walk `language.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from taskengine.define.blocks import blocks_of
from taskengine.define.finding import Problems
from taskengine.define.given import Doubts
from taskengine.define.language import BLOCK_KEYS, BODY, BRANCH, CASE, COMPENSATION, ELSE, LIMITS, RETRY, STEP, WORKFLOW, Table
from taskengine.define.place import findings_of
from taskengine.define.shape import read_workflow
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Block, Limits, RetryPolicy, Step, Workflow

__all__ = ["from_document", "to_document"]

# Attributes that are structures of their own.
_SECTIONS: Final = frozenset({"limits", "steps", "retry", "blocks", "compensate"})
_encode = msgspec.json.Encoder(order="sorted").encode


def to_document(workflow: Workflow) -> bytes:
    """Canonical JSON: defaults are left out, durations are text. Raises ``DefinitionError`` for what JSON cannot hold."""
    document = _written(workflow, WORKFLOW)
    limits = _written(workflow.limits, LIMITS)
    if limits:
        document["limits"] = limits
    try:
        document["steps"] = [_step(step) for step in workflow.steps]
        return _encode(document)
    except (TypeError, OverflowError, UnicodeEncodeError, RecursionError) as error:
        message = f"the workflow {workflow.name!r} holds a value that JSON cannot: {error}"
        raise DefinitionError("not_json", message, hint="check(workflow) says where") from None


def from_document(document: bytes) -> Workflow:
    """The workflow of a stored document. Raises ``DefinitionError`` when it is not one that ``to_document`` wrote."""
    problems = Problems()
    try:
        data: Any = msgspec.json.decode(document)
    except (msgspec.DecodeError, RecursionError) as error:
        message = f"the stored workflow cannot be read: {error}"
        raise DefinitionError("unreadable_document", message, hint="restore it from a backup, or upload it again") from None
    workflow = read_workflow(data, problems, doubts=Doubts())
    if workflow is None or problems.found:
        first = findings_of(problems)[0]
        message = f"the stored workflow cannot be read: {first.path}: {first.message}"
        raise DefinitionError("unreadable_document", message, hint="it may come from a newer version; upgrade, or upload it again")
    return workflow


def _step(step: Step, table: Table = STEP) -> dict[str, Any]:
    document = _written(step, table)
    retry = _written(step.retry, RETRY)
    if retry:
        document["retry"] = retry
    if step.blocks and step.type in BLOCK_KEYS:
        _add_blocks(step, document)
    if step.compensate is not None:
        document["compensate"] = _step(step.compensate, COMPENSATION)
    return document


def _add_blocks(step: Step, document: dict[str, Any]) -> None:
    for keys, block in blocks_of(step):
        key = keys[0] if keys else ""
        if key == "cases":
            document.setdefault("cases", []).append(_block(block, CASE))
        elif key == "branches":
            document.setdefault("branches", []).append(_block(block, BRANCH))
        elif key == "else":
            document["else"] = _block(block, ELSE)
        else:
            document |= _block(block, BODY)


def _block(block: Block, table: Table) -> dict[str, Any]:
    return {**_written(block, table), "steps": [_step(step) for step in block.steps]}


def _written(value: Workflow | Limits | Step | Block | RetryPolicy, table: Table) -> dict[str, Any]:
    """Key → value for every attribute that differs from its default, each under its own key; sections are the caller's."""
    plans = _PLANS[id(table)]
    return {plan.key: plan.write(held) for plan in plans if (held := getattr(value, plan.attribute)) != plan.default}


class _Plan(msgspec.Struct, frozen=True):
    """How one attribute is written."""

    key: str
    attribute: str
    default: Any
    write: Callable[[Any], Any]


def _plans(kind: type[msgspec.Struct], table: Table) -> tuple[_Plan, ...]:
    defaults = {field.name: _default(field) for field in msgspec.structs.fields(kind) if field.name not in _SECTIONS}
    fields = [(key, field) for key, field in table.fields.items() if field.attribute in defaults and not field.means]
    return tuple(_Plan(key, field.attribute, defaults[field.attribute], field.write) for key, field in fields)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    """The default of an attribute; for one that has none, a value that nothing equals."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


_PLANS: Final = {
    id(table): _plans(kind, table)
    for kind, table in (
        (Workflow, WORKFLOW),
        (Limits, LIMITS),
        (Step, STEP),
        (Step, COMPENSATION),
        (Block, CASE),
        (Block, BODY),
        (Block, BRANCH),
        (Block, ELSE),
        (RetryPolicy, RETRY),
    )
}
