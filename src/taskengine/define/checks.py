"""The checks of a workflow as a whole: what a document and a builder can both get wrong. Order: values, types, graph, references.

``examine`` reports with paths and without places; `document.py` calls it for what it read, ``check`` serves builders and the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import isfinite
from typing import Any, Final

import msgspec

from taskengine.define.blocks import blocks_of, every_step
from taskengine.define.config import check_type
from taskengine.define.finding import Finding, Problems, Spot
from taskengine.define.given import Doubts, is_list, is_mapping
from taskengine.define.graph import HANDLING, Graph, check_dependencies
from taskengine.define.idle import check_idle_words
from taskengine.define.phrase import described, quoted
from taskengine.define.rules import (
    BACKOFF,
    CONCURRENCY,
    DURATION,
    JITTER,
    MAX_ATTEMPTS,
    MAX_DEPTH,
    MAX_NAME,
    MAX_NESTING,
    MAX_STEPS,
    MAX_VERSION,
    PRIORITY,
    id_fault,
    name_fault,
    slug,
    version_fits,
)
from taskengine.define.scopes import Scope, dependency_advice, scopes_of
from taskengine.define.texts import has_texts
from taskengine.model.plain import is_endless
from taskengine.model.workflow import CONTAINERS, OnFailure, RetryPolicy, Step, Workflow, is_control

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
    if not problems.found:
        return ()
    from taskengine.define.place import findings_of  # noqa: PLC0415 -- the words are loaded when there is something to say

    return findings_of(problems)


def examine(workflow: Workflow, problems: Problems, *, doubts: Doubts, max_steps: int) -> None:
    """Report what is wrong or doubtful, but nothing about what could not be read."""
    top = Spot(problems)
    _check_identity(workflow, top, doubts=doubts)
    _check_numbers(workflow.limits, top.below("limits"), bounds=_LIMIT_BOUNDS)
    if not _is_within(workflow, top, max_steps=max_steps):
        return
    is_bounded = workflow.limits.timeout_ms is not None
    for keys, step in every_step(workflow):
        if problems.is_full:
            return
        at = Spot(problems, keys)
        if keys not in doubts.typeless:
            check_type(step, at)
            if step.type in CONTAINERS or step.blocks or step.success is not None:
                from taskengine.define.containers import check_container  # noqa: PLC0415 -- many have none

                check_container(step, at, doubts=doubts)
        _check_step(step, at, is_bounded=is_bounded)
    _check_end(workflow, top, doubts=doubts)
    if workflow.input_schema:
        from taskengine.define.schema import check_schema  # noqa: PLC0415 -- many have none

        check_schema(workflow.input_schema, top.below("input"))
    scopes = scopes_of(workflow, doubts)
    for scope in scopes:
        _check_ids(scope, problems, doubts=doubts)
        check_dependencies(scope.graph, problems, advice=partial(dependency_advice, scope))
    _check_calls(workflow.name, scopes[0].graph, problems=problems)
    is_set = workflow.variables and any(step.type == "set" for scope in scopes for step in scope.graph.steps)
    if is_set or has_texts(workflow, scopes):
        from taskengine.define.references import check_references  # noqa: PLC0415 -- the language is loaded where it is spoken

        check_references(workflow, scopes, problems=problems)


def _check_calls(name: str, graph: Graph, *, problems: Problems) -> None:
    """Report steps that start their own workflow anew and are never skipped."""
    own = [number for number, step in enumerate(graph.steps) if step.type == "workflow" and step.config.get("workflow") == name]
    skippable = graph.skippable() if own else []
    for number in own:
        if not skippable[number] and number not in graph.unsure:
            at = Spot(problems, (*graph.keys, number, "config", "workflow"))
            at.report("calls_itself", step=quoted(graph.steps[number].id))


def _check_end(workflow: Workflow, at: Spot, *, doubts: Doubts) -> None:
    """Report a rule of success that cannot be, and compensation of nothing."""
    if workflow.success is not None:
        from taskengine.define.containers import check_rule  # noqa: PLC0415 -- likewise

        check_rule(workflow.success, at.below("success"))
    is_asked = workflow.on_failure is OnFailure.COMPENSATE and not doubts.vague
    if is_asked and all(step.compensate is None for _, step in every_step(workflow)):
        at.below("on_failure").report("nothing_to_compensate")


def _is_within(workflow: Workflow, at: Spot, *, max_steps: int) -> bool:
    """Whether there are not too many steps to look at."""
    count = 0
    for keys, _ in every_step(workflow):
        count += keys[-1] != "compensate"
        if count > max_steps:
            at.below(*keys).report("too_many_steps", limit=max_steps)
            return False
    return True


def _check_identity(workflow: Workflow, at: Spot, *, doubts: Doubts) -> None:
    fault = name_fault(workflow.name)
    if fault and "name" not in doubts.unread:
        at.below("name").report("bad_name", reason=fault, limit=MAX_NAME)
    if workflow.version and not version_fits(workflow.version):
        at.below("version").report("bad_version", found=quoted(workflow.version), limit=MAX_VERSION)
    if not workflow.steps and "steps" not in doubts.unread:
        at.below("steps").report("no_steps")


def _check_ids(scope: Scope, problems: Problems, *, doubts: Doubts) -> None:
    graph = scope.graph
    for number, step in enumerate(graph.steps):
        keys = (*graph.keys, number)
        if keys in doubts.nameless:
            continue
        spot = Spot(problems, (*keys, "id"))
        fault = id_fault(step.id)
        if fault:
            meant = slug(step.id)
            spot.report("bad_step_id", found=quoted(step.id), reason=fault, advice=f"write {meant}" if meant else "")
        first = graph.numbers[step.id]
        if first != number:
            spot.report("duplicate_step_id", also=((*graph.keys, first, "id"),), step=quoted(step.id))
            continue
        for outer, _ in scope.around():
            if step.id in outer.graph.numbers:
                also = (*outer.graph.keys, outer.graph.numbers[step.id], "id")
                spot.report("id_used_around", also=(also,), step=quoted(step.id))
                break


def _check_step(step: Step, at: Spot, *, is_bounded: bool) -> None:
    _check_numbers(step, at, bounds=_STEP_BOUNDS)
    if step.retry != _NO_RETRY:
        _check_retry(step.retry, at.below("retry"))
    if step.handles and step.join not in HANDLING:
        at.below("handles").report("handles_without_join", step=quoted(step.id), join=step.join.value)
    _check_waiting(step, at, is_bounded=is_bounded)
    if is_control(step):
        check_idle_words(step, at)


def _check_waiting(step: Step, at: Spot, *, is_bounded: bool) -> None:
    """Warn of what may take forever, or as long as the engine lets it."""
    config = step.config
    is_open = not is_bounded and step.timeout_ms is None and step.total_timeout_ms is None and config.get("deadline") is None
    signal = config.get("signal")
    if step.type == "wait" and is_open and signal is not None:
        shown = quoted(signal) if isinstance(signal, str) else "…"
        at.below("config", "signal").report("wait_without_timeout", step=quoted(step.id), signal=shown)
    elif step.type == "approval" and is_open:
        at.report("approval_without_deadline", step=quoted(step.id))
    elif step.type == "loop" and "items" not in config and config.get("max_iterations") is None:
        way = next((way for way in ("while", "until") if config.get(way) is not None), "")
        if way:
            at.below("config", way).report("unbounded_loop", step=quoted(step.id))


def _check_retry(policy: RetryPolicy, at: Spot) -> None:
    _check_numbers(policy, at, bounds=_RETRY_BOUNDS)
    if policy.initial_interval_ms > policy.max_interval_ms:
        from taskengine.define.spans import format_exactly  # noqa: PLC0415 -- likewise

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
        _check_value(value, top.below(key))
    try:
        for keys, step in every_step(workflow):
            for attribute in ("config", "input_mapping", "output_mapping"):
                _check_value(getattr(step, attribute), Spot(problems, (*keys, attribute)))
            for way, block in blocks_of(step):
                _check_value(block.output, Spot(problems, (*keys, *way, "output")))
        if problems.found:
            return False
        msgspec.convert(msgspec.to_builtins(workflow), Workflow)
    except RecursionError:
        top.below("steps").report("nested_too_deep", limit=MAX_NESTING)
        return False
    except (msgspec.ValidationError, TypeError, AttributeError) as error:
        top.report("wrong_type", expected="a workflow whose attributes have their types", found=f"otherwise: {error}", advice="")
        return False
    return True


def _check_value(value: Any, at: Spot) -> None:
    if _check_size(value, at):
        _check_json(value, at, deepest=max(len(at.keys) - 1, 2) + MAX_DEPTH)  # the way to a step is no level of the value


def _check_size(value: Any, at: Spot) -> bool:
    """Whether looking into the value has an end: a program can use one list a million times, which no document can."""
    if is_endless(value, values=_MOST, characters=_MOST):
        at.report("not_json", found=f"a value that is nested without end or has more than {_MOST} parts when it is written out")
        return False
    return True


def _check_json(value: Any, at: Spot, *, deepest: int) -> None:
    fault = _json_fault(value)
    if len(at.keys) > deepest:
        at.report("too_deep", limit=MAX_DEPTH)
    elif fault:
        at.report("not_json", found=fault)
    elif is_mapping(value):
        for key, item in value.items():
            key_fault = _key_fault(key)
            if key_fault:
                at.report("not_json", found=f"{key_fault} as a key")
            else:
                _check_json(item, at.below(key), deepest=deepest)
    elif is_list(value):
        for index, item in enumerate(value):
            _check_json(item, at.below(index), deepest=deepest)


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
