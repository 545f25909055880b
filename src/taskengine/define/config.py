"""What each step type wants in its ``config``: one checker for each type that this version runs, and the names of the others.

The checkers work on plain data with a path, so they serve documents and builders alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from taskengine.define.finding import Aim, Spot
from taskengine.define.http import KEYS as HTTP_KEYS
from taskengine.define.http import check_http
from taskengine.define.phrase import described, nearest, quoted
from taskengine.define.rules import function_fits
from taskengine.define.script import KEYS as SCRIPT_KEYS
from taskengine.define.script import check_script
from taskengine.define.spans import instant_fault
from taskengine.define.tree import BROKEN
from taskengine.define.values import duration, wrong_type
from taskengine.model.workflow import Step

__all__ = ["LATER_TYPES", "TYPES", "check_type", "is_template"]

_FUNCTION_INSTEAD: Final = "a function step can do the same: type: function"
# Step types of the language that later versions bring → what does the same today.
LATER_TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("webhook", "database", "sql", "email"), _FUNCTION_INSTEAD),
    **dict.fromkeys(("agent", "llm", "mcp", "stream", "ray", "pyspark"), _FUNCTION_INSTEAD),
    **dict.fromkeys(("parallel", "map"), "steps that do not depend on each other already run in parallel"),
    "condition": "give the steps a `when`",
    "approval": "wait for a signal: type: wait",
    **dict.fromkeys(("loop", "workflow", "set", "signal", "aggregate", "fail"), ""),
}
_WAYS: Final = ("duration", "until", "signal")
_RUN_IN: Final = ("process",)


def is_template(value: object) -> bool:
    """Whether the value is only known when the step starts."""
    return isinstance(value, str) and "{{" in value


def check_type(step: Step, at: Spot) -> None:
    """Report an unknown type, or what is wrong with the config of a known one."""
    known = TYPES.get(step.type)
    if known is not None:
        takes, checker = known
        _check_keys(step, at.below("config"), takes=takes)
        checker(step.config, at.below("config"))
    elif step.type in LATER_TYPES:
        what = f"the step type {quoted(step.type)}"
        at.below("type").report("not_in_this_version", what=what, advice=LATER_TYPES[step.type])
    else:
        words = [*TYPES, *LATER_TYPES]
        note = f"known types: {', '.join(TYPES)}"
        at.below("type").report("unknown_step_type", found=quoted(step.type), note=note, word=step.type, known=words, advice="")


def _check_keys(step: Step, at: Spot, *, takes: tuple[str, ...]) -> None:
    where = f"config of step {quoted(step.id)}"
    for key in step.config:
        if at.problems.is_full:
            return
        if key in takes:
            continue
        meant = nearest(key, takes)
        advice = f"did you mean {quoted(meant)}?" if meant else ""
        if step.type == "function" and not meant:
            advice = "arguments of the function belong under `params`"
        note = f"a {step.type} step takes {', '.join(takes) or 'no config'}"
        at.below(key).report("unknown_key", aim=Aim.KEY, key=quoted(key), where=where, advice=advice, note=note)


def _check_function(config: dict[str, Any], at: Spot) -> None:
    name = config.get("function", "")
    if "function" not in config:
        advice = "for example config: {function: extract}"
        at.below("function").report("missing_key", where="config of a function step", key='"function"', advice=advice)
    elif not isinstance(name, str):
        wrong_type(name, at.below("function"), expected="the name of a function")
    elif not function_fits(name):
        at.below("function").report("bad_function", found=quoted(name))
    run_in = config.get("run_in", _RUN_IN[0])
    if run_in not in _RUN_IN:
        found, note = (
            quoted(run_in) if isinstance(run_in, str) else described(run_in),
            "without it: async in the loop, plain in a thread",
        )
        at.below("run_in").report("unknown_choice", what="run_in", found=found, note=note, advice="write run_in: process", word="")
    params = config.get("params", {})
    if not isinstance(params, dict):
        wrong_type(params, at.below("params"), expected="a mapping (parameter: value)")


def _check_wait(config: dict[str, Any], at: Spot) -> None:
    ways = [way for way in _WAYS if way in config]
    if len(ways) != 1:
        found = " and ".join(ways) or "none of them"
        at.report("one_way_to_wait", found=found, advice="for example config: {duration: 30s}")
    if "deadline" in config and "signal" not in ways:
        at.below("deadline").report("deadline_without_signal", aim=Aim.KEY)
    for key, check in _WAIT_VALUES.items():
        value = config.get(key, BROKEN)
        if value is not BROKEN and not is_template(value):
            check(value, at.below(key))


def _check_noop(config: dict[str, Any], at: Spot) -> None:
    """A noop takes nothing; ``_check_keys`` has said so."""


def _check_instant(value: object, at: Spot) -> None:
    if not isinstance(value, str):
        wrong_type(value, at, expected="an instant such as 2026-11-21T09:00:00Z")
        return
    fault = instant_fault(value)
    if fault:
        at.report("bad_instant", found=quoted(value), reason=fault)


def _check_signal(value: object, at: Spot) -> None:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        at.report("wrong_type", expected="the name of a signal", found=described(value), advice="")


def _check_duration(value: object, at: Spot) -> None:
    duration(value, at)


_WAIT_VALUES: Final[Mapping[str, Callable[[Any, Spot], None]]] = {
    "duration": _check_duration,
    "until": _check_instant,
    "signal": _check_signal,
    "deadline": _check_duration,
}
# Type → the keys of its config, and what checks their values.
TYPES: Final[Mapping[str, tuple[tuple[str, ...], Callable[[dict[str, Any], Spot], None]]]] = {
    "function": (("function", "params", "run_in"), _check_function),
    "http": (HTTP_KEYS, check_http),
    "script": (SCRIPT_KEYS, check_script),
    "wait": ((*_WAYS, "deadline"), _check_wait),
    "noop": ((), _check_noop),
}
