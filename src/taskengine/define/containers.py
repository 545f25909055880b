"""What is wrong with the blocks of a step, with its rule of success and with its compensation, whoever made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from taskengine.define.blocks import Placed, blocks_of
from taskengine.define.finding import Aim, Spot
from taskengine.define.given import Doubts, is_list
from taskengine.define.phrase import quoted
from taskengine.define.rules import CHILDREN, MAX_NESTING, PERCENT, id_fault, slug
from taskengine.model.workflow import CONTAINERS, Step, Success

__all__ = ["check_container", "check_rule"]

# Type → the key without which it has no blocks, and an example of it.
_NEEDS: Final[Mapping[str, tuple[str, str]]] = {
    "condition": ("cases", 'cases: [{when: "input.x > 1", steps: [{id: …}]}]'),
    "parallel": ("branches", "branches: {left: [{id: …}], right: [{id: …}]}"),
    "map": ("steps", "steps: [{id: …, type: …}], which run for each of the items"),
    "loop": ("steps", "steps: [{id: …, type: …}], which run in each round"),
}


def check_container(step: Step, at: Spot, *, doubts: Doubts) -> None:
    """Report what is wrong with the blocks, the rule and the compensation of one step."""
    if at.keys[-1] == "compensate" and step.type in CONTAINERS:
        at.below("type").report("bad_compensation", kind=step.type, advice="call a workflow that does it: type: workflow")
    elif step.type in CONTAINERS:
        _check_blocks(step, at, doubts=doubts)
    elif step.blocks:
        at.report("key_of_other_type", key="a block", kind=step.type, advice="only condition, parallel, map and loop hold steps")
    if step.success is not None:
        if step.type not in CONTAINERS:
            advice = "only condition, parallel, map and loop have children to count"
            at.below("success").report("key_of_other_type", aim=Aim.KEY, key='"success"', kind=step.type, advice=advice)
        check_rule(step.success, at.below("success"))
        _check_reach(step, at.below("success"))


def check_rule(rule: Success, at: Spot) -> None:
    """Report a rule of a program that says two things, or a number that cannot be."""
    said = [name for name in ("at_least", "percent", "when") if getattr(rule, name) is not None]
    if len(said) > 1:
        at.report("conflicting_keys", key=quoted(said[1]), other=quoted(said[0]))
    for name, (low, high) in (("at_least", CHILDREN), ("percent", PERCENT)):
        value = getattr(rule, name)
        if value is not None and not low <= value <= high:
            at.below("at_least").report("out_of_range", what="at_least", expected=f"from {low:g} to {high:g}", found=f"{value}")


def _check_blocks(step: Step, at: Spot, *, doubts: Doubts) -> None:
    if at.keys in doubts.vague:
        return
    key, example = _NEEDS[step.type]
    if at.keys.count("steps") > MAX_NESTING:
        if at.keys.count("steps") == MAX_NESTING + 1:
            at.report("nested_too_deep", limit=MAX_NESTING)
        return
    blocks = list(blocks_of(step))
    is_empty = not blocks or (step.type == "condition" and blocks[0].keys == ("else",))
    if is_empty:
        at.below(key).report(
            "missing_key", where=f"{step.type} step {quoted(step.id)}", key=quoted(key), advice=f"for example {example}"
        )
    seen: dict[str, int] = {}
    for place, placed in enumerate(blocks):
        spot = at.below(*placed.keys)
        steps = spot.below("steps")
        if not placed.block.steps and steps.keys not in doubts.vague:
            steps.report(
                "empty_block", where=_named(step, placed), advice="steps: [{id: nothing, type: noop}] does nothing on purpose"
            )
        if step.type == "condition" and placed.block.when is None and placed.keys != ("else",):
            spot.below("when").report(
                "missing_key", where=_named(step, placed), key='"when"', advice="only the last may be without: else"
            )
        if step.type == "parallel" and placed.block.name:
            _check_branch(placed.block.name, spot.below("name"), first=seen.setdefault(placed.block.name, place), place=place)


def _check_branch(name: str, at: Spot, *, first: int, place: int) -> None:
    fault = id_fault(name)
    if fault:
        meant = slug(name)
        at.report("bad_branch_name", found=quoted(name), reason=fault, advice=f"write {meant}" if meant else "")
    elif first != place:
        at.report("duplicate_branch", branch=quoted(name), also=((*at.keys[:-2], first, "name"),))


def _check_reach(step: Step, at: Spot) -> None:
    least = step.success.at_least if step.success is not None else None
    count = _child_count(step)
    if least is not None and count is not None and least > count:
        at.report("success_out_of_reach", step=quoted(step.id), count=count, least=least)


def _child_count(step: Step) -> int | None:
    """How many children the step will have; none where only the run shows it."""
    if not step.blocks:
        return None
    match step.type:
        case "condition":
            return 1
        case "parallel":
            return len(step.blocks)
        case _:
            items, batch = step.config.get("items"), step.config.get("batch_size", 1)
            if not is_list(items) or not isinstance(batch, int) or batch < 1:
                return None
            return -(-len(items) // batch)


def _named(step: Step, placed: Placed) -> str:
    """A block in words."""
    match placed.keys:
        case ("cases", place):
            return f"case {place} of step {quoted(step.id)}"
        case ("branches", place):
            return f"branch {quoted(placed.block.name) if placed.block.name else place} of step {quoted(step.id)}"
        case ("else",):
            return f"else of step {quoted(step.id)}"
        case _:
            return f"step {quoted(step.id)}"
