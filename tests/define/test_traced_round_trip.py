"""Whatever a document says, a function with ``@workflow`` can say: random workflows, said again by calling functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, given, settings

from taskengine import Step, Workflow, case, condition, loop, map_over, parallel, step, workflow
from taskengine.define import check, from_document, load_text, to_document
from taskengine.define.blocks import every_step
from taskengine.model.workflow import Block
from tests.define.workflows import workflows

SECONDS = ("timeout_ms", "total_timeout_ms", "queue_timeout_ms", "heartbeat_ms")
WORDS = ("name", "description", "when", "join", "handles", "input_mapping", "output_mapping", "retry", "isolation", "priority")


def spoken(found: Workflow) -> Any:
    """The same workflow, said by a function; nothing is left to defaults."""
    limits = found.limits
    said = workflow(
        name=found.name,
        version=found.version,
        description=found.description,
        owner=found.owner,
        tags=found.tags,
        timeout=None if limits.timeout_ms is None else limits.timeout_ms / 1_000,
        max_concurrency=limits.max_concurrency,
        priority=limits.priority,
        input=found.input_schema,
        variables=found.variables,
        success=found.success,
        on_failure=found.on_failure,
        business_key=found.business_key,
        is_template=found.is_template,
    )
    return said(body_of(Block(steps=found.steps, output=found.output)))


def body_of(block: Block) -> Callable[[], object]:
    def body() -> object:
        for one in block.steps:
            say(one)
        return block.output

    return body


def say(one: Step) -> None:
    words: dict[str, Any] = {word: getattr(one, word) for word in WORDS if getattr(one, word) is not None}
    words |= {word[:-3]: getattr(one, word) / 1_000 for word in SECONDS if getattr(one, word) is not None}
    words |= {"idempotent": one.is_idempotent, "on_error": one.on_error, "tags": one.tags, "after": list(one.depends_on)}
    undo = one.compensate
    if undo is not None:
        words["compensate"] = lambda: say(msgspec.structs.replace(undo, id="undo"))
    blocks = one.blocks
    if blocks:
        words["success"] = one.success
    match one.type:
        case "condition":
            last = blocks[-1] if blocks[-1].when is None else None
            cases = [case(block.when, body_of(block), name=block.name) for block in blocks if block.when is not None]
            more = {} if last is None else {"otherwise": body_of(last), "otherwise_name": last.name}
            condition(*cases, id=one.id, **more, **words)
        case "parallel":
            bodies = [body_of(block) for block in blocks]
            named = {block.name: body for block, body in zip(blocks, bodies, strict=True)}
            parallel(named if all(named) and len(named) == len(bodies) else bodies, id=one.id, **one.config, **words)
        case "map":
            map_over(one.config["items"], body_of(blocks[0]), id=one.id, config=one.config, **words)
        case "loop":
            ends = {"while_" if word == "while" else word: value for word, value in one.config.items()}
            loop(body_of(blocks[0]), id=one.id, **ends, **words)
        case _:
            step(one.type, one.config, id=one.id, **words)


def sayable(found: Workflow) -> Workflow:
    """Sound; ids are not shown twice, branches have names or not, and no two steps set one variable in no order."""
    assume(not any(finding.severity == "error" for finding in check(found)))
    setters = [key for _, one in every_step(found) if one.type == "set" and one.id for key in one.config]
    assume(len(setters) == len(set(setters)))
    for _, one in every_step(found):
        assume(one.name != one.id)
        assume(one.type != "parallel" or len({bool(block.name) for block in one.blocks}) == 1)
    return found


@given(found=workflows().map(sayable))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_functions_say_everything_that_a_document_can(found: Workflow) -> None:
    said = spoken(found).workflow
    assert said == found
    assert from_document(to_document(said)) == found
    assert load_text(spoken(found).to_yaml(), file="w.yaml").require() == found
