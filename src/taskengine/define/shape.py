"""From the plain data of a document to the model: every key known, every value of its type, everything normalised.

What is wrong is reported and left out, so that one mistake does not hide the others; ``Doubts`` says what was left out, so that
nothing is claimed about it. Whether the result makes sense is judged in `checks.py`, which judges builders' workflows too.
"""

from __future__ import annotations

from typing import Any

from taskengine.define.finding import Aim, Problems, Spot
from taskengine.define.language import DEFAULTS, LIMITS, RETRY, STEP, WORKFLOW, Table
from taskengine.define.phrase import nearest, quoted
from taskengine.define.tree import BROKEN
from taskengine.define.values import WRONG, duration, is_list, is_mapping, wrong_type
from taskengine.model.workflow import CONTROL_STEPS, Limits, RetryPolicy, Step, Workflow

__all__ = ["Doubts", "read_workflow"]


class Doubts:
    """What could not be read, and what therefore is not to be judged."""

    def __init__(self) -> None:
        self.unread: set[str] = set()  # attributes of the workflow
        self.nameless: set[int] = set()  # steps without an id: they hold a made-up one
        self.typeless: set[int] = set()  # steps without a type
        self.loose: set[int] = set()  # steps whose dependencies are not all known


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
                steps.append(self._step(step, at.below(index)))
            return tuple(steps)
        self._doubts.unread.add("steps")
        if data is not BROKEN:
            is_named = is_mapping(data) and all(is_mapping(step) for step in data.values())
            wrong_type(data, at, expected="a list of steps", advice="begin each step with `- id: …`" if is_named else "")
        return ()

    def _step(self, data: object, at: Spot) -> Step:
        index = at.keys[-1]
        assert isinstance(index, int)
        known: dict[str, Any] = {}
        wrong: set[str] = set()
        if is_mapping(data):
            name = data.get("id")
            where = f"step {quoted(name)}" if isinstance(name, str) and name else f"steps[{index}]"
            known, wrong = _fields(data, STEP, at=at, where=where)
        else:
            wrong_type(data, at, expected="a step: a mapping with id and type")
            self._doubts.loose.add(index)
        if "id" not in known:
            self._doubts.nameless.add(index)
            known["id"] = f"?{index}"  # no document can hold it
        if "type" not in known:
            self._doubts.typeless.add(index)
            known["type"] = ""
        if "depends_on" in wrong or "" in known.get("depends_on", ()):
            self._doubts.loose.add(index)
        known.pop("is_parallel", None)
        self._bound(known, at)
        return Step(**known)

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
            at.problems.spellings[(*at.keys, field.means or meant)] = key
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
