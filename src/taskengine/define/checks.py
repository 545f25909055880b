"""The checks of a workflow as a whole: what a document and a builder can both get wrong. Order: values, types, graph, references.

``examine`` reports with paths and without places; `document.py` calls it for what it read, ``check`` serves builders and the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final

import msgspec

from taskengine.define.config import check_type
from taskengine.define.finding import Finding, Problems, Spot
from taskengine.define.graph import HANDLING, Graph, check_dependencies
from taskengine.define.phrase import described, quoted
from taskengine.define.place import findings_of
from taskengine.define.references import check_references
from taskengine.define.rules import (
    BACKOFF,
    CONCURRENCY,
    DURATION,
    JITTER,
    MAX_ATTEMPTS,
    MAX_NAME,
    MAX_STEPS,
    MAX_VERSION,
    PRIORITY,
    id_fault,
    name_fault,
    slug,
    version_fits,
)
from taskengine.define.shape import Doubts
from taskengine.define.spans import format_exactly
from taskengine.define.tree import MAX_DEPTH
from taskengine.define.values import is_list, is_mapping
from taskengine.model.plain import is_endless
from taskengine.model.workflow import RetryPolicy, Step, Workflow

__all__ = ["check", "examine"]

_STEP_BOUNDS: Final = {
    "timeout_ms": DURATION,
    "total_timeout_ms": DURATION,
    "queue_timeout_ms": DURATION,
    "heartbeat_ms": DURATION,
    "priority": PRIORITY,
}
_LIMIT_BOUNDS: Final = {"timeout_ms": DURATION, "max_concurrency": CONCURRENCY, "priority": PRIORITY}
_RETRY_BOUNDS: Final = {
    "max_attempts": MAX_ATTEMPTS,
    "initial_interval_ms": DURATION,
    "max_interval_ms": DURATION,
    "backoff_coefficient": BACKOFF,
    "jitter": JITTER,
}
_MOST: Final = 1_048_576  # values and characters that one value of a program may have: as a document
_NO_RETRY: Final = RetryPolicy()


def check(workflow: Workflow, *, max_steps: int = MAX_STEPS) -> tuple[Finding, ...]:
    """Everything that is wrong or doubtful about a workflow, whoever made it; findings have a path and no line."""
    problems = Problems()
    if _is_plain(workflow, problems):
        examine(workflow, problems, doubts=Doubts(), max_steps=max_steps)
    return findings_of(problems)


def examine(workflow: Workflow, problems: Problems, *, doubts: Doubts, max_steps: int) -> None:
    """Report what is wrong or doubtful, but nothing about what could not be read."""
    top = Spot(problems)
    _check_identity(workflow, top, doubts=doubts)
    _check_numbers(workflow.limits, top.below("limits"), bounds=_LIMIT_BOUNDS)
    if len(workflow.steps) > max_steps:
        top.below("steps", max_steps).report("too_many_steps", limit=max_steps)
        return
    _check_ids(workflow, top, doubts=doubts)
    for number, step in enumerate(workflow.steps):
        if problems.is_full:
            return
        at = top.below("steps", number)
        if number not in doubts.typeless:
            check_type(step, at)
        _check_step(step, at, is_bounded=workflow.limits.timeout_ms is not None)
    if workflow.input_schema:
        from taskengine.define.schema import check_schema  # noqa: PLC0415 -- many have none

        check_schema(workflow.input_schema, top.below("input"))
    graph = Graph(workflow, doubts)
    check_dependencies(graph, problems)
    check_references(workflow, graph, problems=problems)


def _check_identity(workflow: Workflow, at: Spot, *, doubts: Doubts) -> None:
    fault = name_fault(workflow.name)
    if fault and "name" not in doubts.unread:
        at.below("name").report("bad_name", reason=fault, limit=MAX_NAME)
    if workflow.version and not version_fits(workflow.version):
        at.below("version").report("bad_version", found=quoted(workflow.version), limit=MAX_VERSION)
    if not workflow.steps and "steps" not in doubts.unread:
        at.below("steps").report("no_steps")


def _check_ids(workflow: Workflow, at: Spot, *, doubts: Doubts) -> None:
    first: dict[str, int] = {}
    for number, step in enumerate(workflow.steps):
        if number in doubts.nameless:
            continue
        spot = at.below("steps", number, "id")
        fault = id_fault(step.id)
        if fault:
            meant = slug(step.id)
            spot.report("bad_step_id", found=quoted(step.id), reason=fault, advice=f"write {meant}" if meant else "")
        if first.setdefault(step.id, number) != number:
            spot.report("duplicate_step_id", also=(("steps", first[step.id], "id"),), step=quoted(step.id))


def _check_step(step: Step, at: Spot, *, is_bounded: bool) -> None:
    _check_numbers(step, at, bounds=_STEP_BOUNDS)
    if step.retry != _NO_RETRY:
        _check_retry(step.retry, at.below("retry"))
    if step.handles and step.join not in HANDLING:
        at.below("handles").report("handles_without_join", step=quoted(step.id), join=step.join.value)
    if step.type == "wait" and not is_bounded and _waits_forever(step):
        signal = step.config["signal"]
        shown = quoted(signal) if isinstance(signal, str) else "…"
        at.below("config", "signal").report("wait_without_timeout", step=quoted(step.id), signal=shown)


def _waits_forever(step: Step) -> bool:
    is_open = step.config.get("signal") is not None and step.config.get("deadline") is None
    return is_open and step.timeout_ms is None and step.total_timeout_ms is None


def _check_retry(policy: RetryPolicy, at: Spot) -> None:
    _check_numbers(policy, at, bounds=_RETRY_BOUNDS)
    if policy.initial_interval_ms > policy.max_interval_ms:
        initial, longest = format_exactly(policy.initial_interval_ms), format_exactly(policy.max_interval_ms)
        at.below("initial_interval").report("retry_intervals_swapped", initial=initial, longest=longest)


def _check_numbers(owner: msgspec.Struct, at: Spot, *, bounds: Mapping[str, tuple[float, float]]) -> None:
    for attribute, (low, high) in bounds.items():
        value = getattr(owner, attribute)
        if value is None or low <= value <= high:
            continue
        name = attribute.removesuffix("_ms")
        unit = " ms" if attribute.endswith("_ms") else ""
        at.below(name).report("out_of_range", what=name, expected=f"from {low:g} to {high:g}{unit}", found=f"{value}{unit}")


# ── what only a program can get wrong ────────────────────────────────────────────────────────────────────────────────


def _is_plain(workflow: Workflow, problems: Problems) -> bool:
    """Whether every value could stand in a document and every attribute has its type."""
    top = Spot(problems)
    for value, key in ((workflow.input_schema, "input"), (workflow.output, "output"), (workflow.variables, "variables")):
        if _check_size(value, top.below(key)):
            _check_json(value, top.below(key))
    for number, step in enumerate(workflow.steps):
        for attribute in ("config", "input_mapping", "output_mapping"):
            value, spot = getattr(step, attribute), top.below("steps", number, attribute)
            if _check_size(value, spot):
                _check_json(value, spot)
    if problems.found:
        return False
    try:
        msgspec.convert(msgspec.to_builtins(workflow), Workflow)
    except (msgspec.ValidationError, TypeError) as error:
        top.report("wrong_type", expected="a workflow whose attributes have their types", found=f"otherwise: {error}", advice="")
        return False
    return True


def _check_size(value: Any, at: Spot) -> bool:
    """Whether looking into the value has an end: a program can use one list a million times, which no document can."""
    if is_endless(value, values=_MOST, characters=_MOST):
        at.report("not_json", found=f"a value that is nested without end or has more than {_MOST} parts when it is written out")
        return False
    return True


def _check_json(value: Any, at: Spot) -> None:
    fault = _json_fault(value)
    if len(at.keys) > MAX_DEPTH + 2:  # the step's list and number are no levels of the value
        at.report("too_deep", limit=MAX_DEPTH)
    elif fault:
        at.report("not_json", found=fault)
    elif is_mapping(value):
        for key, item in value.items():
            key_fault = _key_fault(key)
            if key_fault:
                at.report("not_json", found=f"{key_fault} as a key")
            else:
                _check_json(item, at.below(key))
    elif is_list(value):
        for index, item in enumerate(value):
            _check_json(item, at.below(index))


def _json_fault(value: object) -> str:
    """What a value is that JSON or a database cannot hold, not looking inside of it; empty when it can be held."""
    match value:
        case None | bool() | dict() | list():
            return ""
        case str():
            return "" if _is_storable(value) else "a text with NUL or half a character"
        case int():
            return "" if -(2**63) <= value < 2**64 else "a number of more than 64 bits"
        case float():
            return "" if isfinite(value) else f"the number {value}"
        case _:
            return described(value)


def _key_fault(key: object) -> str:
    return _json_fault(key) if isinstance(key, str) else described(key)


def _is_storable(text: str) -> bool:
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
