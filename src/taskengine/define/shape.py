"""From the plain data of a document to the model: every key known, every value of its type, everything normalised.

What is wrong is reported and left out, so that one mistake does not hide the others; ``Doubts`` says what was left out, so that
nothing is claimed about it. Whether the result makes sense is judged in `checks.py`, which judges builders' workflows too.
Places are those of the canonical document; where this one is written shorter, ``Problems.spellings`` says so.
"""

from __future__ import annotations

from typing import Any

import msgspec

from taskengine.define.finding import Aim, Problems, Spot
from taskengine.define.given import BROKEN, Doubts, is_list, is_mapping
from taskengine.define.language import (
    BLOCK_KEYS,
    BRANCH,
    CASE,
    COMPENSATION,
    DEFAULTS,
    ELSE,
    LIMITS,
    RETRY,
    STEP,
    STEPS,
    WORKFLOW,
    Table,
)
from taskengine.define.phrase import nearest, quoted
from taskengine.define.rules import MAX_NESTING
from taskengine.define.values import WRONG, duration, wrong_type
from taskengine.model.workflow import CONTAINERS, CONTROL_STEPS, Block, Limits, RetryPolicy, Step, Workflow

__all__ = ["read_workflow"]


def read_workflow(data: object, problems: Problems, *, doubts: Doubts) -> Workflow | None:
    """Read a document's data; None when there is nothing to make a workflow of. Reading what was normalised changes nothing."""
    document = Spot(problems)
    if not is_mapping(data):
        wrong_type(data, document, expected="a workflow: a mapping with name and steps")
        return None
    return _Reading(doubts).workflow(data, document)


class _Reading:
    """One document on its way to the model."""

    def __init__(self, doubts: Doubts) -> None:
        self._doubts = doubts
        self._default_timeout: int | None = None
        self._default_retry: dict[str, Any] = {}
        self._depth = 0  # containers around what is read

    def workflow(self, data: dict[str, Any], at: Spot) -> Workflow:
        known, wrong = _fields(data, WORKFLOW, at=at, where="the workflow")
        self._doubts.unread |= wrong
        kind = known.pop("kind", "graph")
        if kind != "graph":
            advice = "leave `kind` out, or write `kind: graph`"
            at.below("kind").report("not_in_this_version", what=f"the kind {quoted(kind)}", advice=advice)
        self._defaults(known.pop("defaults", {}), at.below("defaults"))
        limits, _ = _fields(known.get("limits", {}), LIMITS, at=at.below("limits"), where="limits")
        known["limits"] = Limits(**limits)
        known["steps"] = self._steps(known.get("steps", BROKEN), at.below("steps"))
        if ("steps",) in self._doubts.vague:
            self._doubts.unread.add("steps")
        if "name" not in known:
            self._doubts.unread.add("name")
            known["name"] = ""
        return Workflow(**known)

    def _defaults(self, data: dict[str, Any], at: Spot) -> None:
        known, _ = _fields(data, DEFAULTS, at=at, where="defaults")
        self._default_timeout = known.get("timeout_ms")
        self._default_retry, _ = _fields(known.get("retry", {}), RETRY, at=at.below("retry"), where="retry")

    def _steps(self, data: object, at: Spot) -> tuple[Step, ...]:
        if is_list(data):
            steps: list[Step] = []
            for index, step in enumerate(data):
                if at.problems.is_full:
                    break
                steps.append(self._step(step, at.below(index), index=index))
            return tuple(steps)
        self._doubts.vague.add(at.keys)
        if data is not BROKEN:
            is_step = is_mapping(data) and "type" in data
            is_named = is_mapping(data) and all(is_mapping(step) for step in data.values())
            advice = "begin each step with `- id: …`" if is_named or is_step else ""
            wrong_type(data, at, expected="a list of steps", advice=advice)
        return ()

    def _step(self, data: object, at: Spot, *, index: int) -> Step:
        known: dict[str, Any] = {}
        wrong: set[str] = set()
        where = f"steps[{index}]"
        if is_mapping(data):
            name = data.get("id")
            where = f"step {quoted(name)}" if isinstance(name, str) and name else where
            kind = data.get("type")
            table = STEPS.get(kind, STEP) if isinstance(kind, str) else STEP
            known, wrong = _fields(data, table, at=at, where=where)
        else:
            wrong_type(data, at, expected="a step: a mapping with id and type")
            self._doubts.loose.add(at.keys)
            self._doubts.vague.add(at.keys)
        if "id" not in known:
            self._doubts.nameless.add(at.keys)
            known["id"] = f"?{index}"  # no document can hold it
        if "type" not in known:
            self._doubts.typeless.add(at.keys)
            known["type"] = ""
        if "depends_on" in wrong or "" in known.get("depends_on", ()):
            self._doubts.loose.add(at.keys)
        known.pop("is_parallel", None)
        self._bound(known, at)
        known["blocks"] = self._blocks(known, at, wrong=wrong)
        if "compensate" in known:
            known["compensate"] = self._compensation(known["compensate"], at.below("compensate"), where=where)
        return Step(**known)

    def _compensation(self, data: dict[str, Any], at: Spot, *, where: str) -> Step:
        known, _ = _fields(data, COMPENSATION, at=at, where=f"compensate of {where}")
        if "type" not in known:
            self._doubts.typeless.add(at.keys)
        known.setdefault("type", "")
        known["id"] = ""
        self._bound(known, at)
        return Step(**known)

    # ── blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _blocks(self, known: dict[str, Any], at: Spot, *, wrong: set[str]) -> tuple[Block, ...]:
        """The blocks of a container, taken out of what is known of the step."""
        kind = known["type"]
        parts = {key: known.pop(key) for keys in BLOCK_KEYS.values() for key in keys if key in known}
        takes = BLOCK_KEYS.get(kind, ())
        if at.keys not in self._doubts.typeless:
            for key in parts:
                if key not in takes:
                    at.below(key).report("key_of_other_type", aim=Aim.KEY, key=quoted(key), kind=kind, advice=_advice(key, kind))
        if kind not in CONTAINERS:
            return ()
        if not wrong.isdisjoint(takes) or not parts.keys() <= {*takes}:
            self._doubts.vague.add(at.keys)
        if self._depth >= MAX_NESTING:
            self._doubts.vague.add(at.keys)
            at.report("nested_too_deep", limit=MAX_NESTING)
            return ()
        self._depth += 1
        blocks = self._parts(kind, parts, at=at)
        self._depth -= 1
        return blocks

    def _parts(self, kind: str, parts: dict[str, Any], *, at: Spot) -> tuple[Block, ...]:
        match kind:
            case "condition":
                cases = self._cases(parts["cases"], at.below("cases")) if "cases" in parts else ()
                return (*cases, self._else(parts["else"], at.below("else"))) if "else" in parts else cases
            case "parallel":
                return self._branches(parts["branches"], at.below("branches")) if "branches" in parts else ()
            case _:
                steps = self._steps(parts["steps"], at.below("steps")) if "steps" in parts else ()
                return (Block(steps=steps, output=parts.get("output")),) if parts else ()

    def _cases(self, data: object, at: Spot) -> tuple[Block, ...]:
        if not is_list(data):
            self._doubts.vague.add(at.keys[:-1])
            wrong_type(data, at, expected="a list of cases", advice='write cases: [{when: "input.x > 1", steps: […]}]')
            return ()
        read = [self._block(one, at.below(place), table=CASE, where=f"cases[{place}]") for place, one in enumerate(data)]
        # A case whose condition could not be read is no `else`.
        return tuple(block if block.when is not None else msgspec.structs.replace(block, when="true") for block in read)

    def _else(self, data: object, at: Spot) -> Block:
        if is_list(data):
            at.problems.spellings[(*at.keys, "steps")] = ()
            return Block(steps=self._steps(data, at.below("steps")))
        return self._block(data, at, table=ELSE, where="else")

    def _branches(self, data: object, at: Spot) -> tuple[Block, ...]:
        """A mapping of names, or a list. A branch may be a list of steps, or a mapping with them."""
        if is_mapping(data):
            blocks: list[Block] = []
            for place, (name, branch) in enumerate(data.items()):
                at.problems.spellings[(*at.keys, place)] = (name,)
                blocks.append(self._branch(branch, at.below(place), name=name))
            return tuple(blocks)
        if is_list(data):
            return tuple(self._branch(branch, at.below(place), name="") for place, branch in enumerate(data))
        self._doubts.vague.add(at.keys[:-1])
        wrong_type(data, at, expected="branches by name", advice="write branches: {left: [{id: …}], right: [{id: …}]}")
        return ()

    def _branch(self, data: object, at: Spot, *, name: str) -> Block:
        if is_list(data):
            at.problems.spellings[(*at.keys, "steps")] = ()
            return Block(name=name, steps=self._steps(data, at.below("steps")))
        where = f"branch {quoted(name)}" if name else f"branches[{at.keys[-1]}]"
        block = self._block(data, at, table=BRANCH, where=where)
        if name and block.name and block.name != name:
            at.below("name").report("conflicting_keys", key='"name"', other=f"the key {quoted(name)}")
        return Block(name=name or block.name, steps=block.steps, output=block.output)

    def _block(self, data: object, at: Spot, *, table: Table, where: str) -> Block:
        if not is_mapping(data):
            self._doubts.vague.add((*at.keys, "steps"))
            wrong_type(data, at, expected="a mapping with steps", advice="for example {steps: [{id: …}]}")
            return Block()
        known, wrong = _fields(data, table, at=at, where=where)
        if "steps" in wrong:
            self._doubts.vague.add((*at.keys, "steps"))
        known["steps"] = self._steps(known["steps"], at.below("steps")) if "steps" in known else ()
        return Block(**known)

    def _bound(self, known: dict[str, Any], at: Spot) -> None:
        """Retry and timeout: the step's own, then the defaults. Control steps make no attempts, so the defaults are not for them.

        ``config.timeout`` bounds an attempt as ``timeout`` does: the smaller of two holds.
        """
        is_work = known["type"] not in CONTROL_STEPS
        own, _ = _fields(known.get("retry", {}), RETRY, at=at.below("retry"), where="retry")
        known["retry"] = _policy({**self._default_retry, **own} if is_work else own)
        bounds = [known["timeout_ms"]] if "timeout_ms" in known else []
        if "config" in known:
            config = {key: value for key, value in known["config"].items() if value is not None}
            written = config.pop("timeout", None)
            bound = WRONG if written is None else duration(written, at.below("config", "timeout"))
            bounds += [bound] if isinstance(bound, int) else []
            known["config"] = config
        if bounds:
            known["timeout_ms"] = min(bounds)
        elif is_work and self._default_timeout is not None:
            known["timeout_ms"] = self._default_timeout


def _policy(known: dict[str, Any]) -> RetryPolicy:
    """The longest pause, when it is not said, is at least the first one."""
    policy = RetryPolicy(**known)
    if "max_interval_ms" in known or policy.initial_interval_ms <= policy.max_interval_ms:
        return policy
    return RetryPolicy(**known, max_interval_ms=policy.initial_interval_ms)


def _fields(data: dict[str, Any], table: Table, *, at: Spot, where: str) -> tuple[dict[str, Any], set[str]]:
    """What each key gives, attribute → value, and the attributes that could not be read. Null is the same as nothing written."""
    known: dict[str, Any] = {}
    written: dict[str, str] = {}
    for key, value in data.items():
        if at.problems.is_full:
            break
        spot = at.below(key)
        meant = key if key in table.fields else _unknown(key, data, table=table, at=spot, where=where)
        if not meant or value is None:
            continue
        field = table.fields[meant]
        if field.means or meant != key:
            at.problems.spellings[(*at.keys, field.means or meant)] = (key,)
        if field.attribute in written:
            other = quoted(written[field.attribute])
            spot.report("conflicting_keys", aim=Aim.KEY, key=quoted(key), other=other)
            continue
        written[field.attribute] = key
        read = field.read(value, spot)
        if read is not WRONG:
            known[field.attribute] = read
    for key, example in table.required.items():
        if table.fields[key].attribute not in written and not (key == "type" and "task" in data):
            at.below(key).report("missing_key", where=where, key=quoted(key), advice=f"for example {example}")
    return known, set(written).difference(known)


def _unknown(key: str, data: dict[str, Any], *, table: Table, at: Spot, where: str) -> str:
    """Report a key that is not in the table; the key that was meant, when that is plain and not written as well."""
    if key in table.later:
        what = f"{quoted(key)} in {where}" if where != "the workflow" else quoted(key)
        at.report("not_in_this_version", aim=Aim.KEY, what=what, advice=table.later[key])
        return ""
    if key in table.elsewhere:
        at.report("unknown_key", aim=Aim.KEY, key=quoted(key), where=where, advice=table.elsewhere[key])
        return ""
    meant = table.others.get(key.casefold(), "") or nearest(key, [*table.fields, *table.later])
    advice = f"did you mean {quoted(meant)}?" if meant else ""
    note = "" if meant else f"known keys: {', '.join(table.fields)}"
    at.report("unknown_key", aim=Aim.KEY, key=quoted(key), where=where, advice=advice, note=note)
    return meant if meant in table.fields and data.get(meant) is None else ""


def _advice(key: str, kind: str) -> str:
    """What a key of blocks that stands on a step of another type should be."""
    takes = BLOCK_KEYS.get(kind)
    if takes:
        return f"a {kind} step has {' and '.join(takes)}"
    owners = [owner for owner, keys in BLOCK_KEYS.items() if key in keys]
    if key == "output":
        return "write output_mapping to say what later steps see"
    return f"only a {' or '.join(owners)} step has {key}"
