"""What each step type wants in its ``config``: one checker for each type that this version runs, and the names of the others.

The checkers work on plain data with a path, so they serve documents and builders alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from taskengine.define.finding import Aim, Spot
from taskengine.define.keys import ALIASES, CONFIG, TYPE_ALIASES
from taskengine.define.phrase import described, nearest, quoted
from taskengine.define.rules import function_fits
from taskengine.model.workflow import Step

__all__ = ["LATER_TYPES", "TYPES", "check_type"]

_FUNCTION_INSTEAD: Final = "a function step can do the same: type: function"
# Step types of the language that later versions bring → what does the same today.
LATER_TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("webhook", "database", "sql", "email"), _FUNCTION_INSTEAD),
    **dict.fromkeys(("agent", "llm", "mcp", "stream", "ray", "pyspark"), _FUNCTION_INSTEAD),
}
_INPUTS: Final = frozenset({"input", "inputs", "params", "parameters", "arguments", "args"})
_RUN_IN: Final = ("process",)
# Keys of a step that are often written one level too deep: type → those of its own, and those of every step.
_BESIDE: Final[Mapping[str, tuple[str, ...]]] = {
    "condition": ("cases", "else", "success"),
    "parallel": ("branches", "success"),
    "map": ("steps", "output", "success"),
    "loop": ("steps", "output", "success"),
}
_OF_ANY_STEP: Final = frozenset(
    {"compensate", "depends_on", "handles", "input_mapping", "join", "on_error", "output_mapping", "retry", "total_timeout"}
)


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
        meant = TYPE_ALIASES.get(step.type.casefold(), "")
        note, advice = f"known types: {', '.join(TYPES)}", f"did you mean {quoted(meant)}?" if meant else ""
        word, words = "" if meant else step.type, [*TYPES, *LATER_TYPES]
        at.below("type").report("unknown_step_type", found=quoted(step.type), note=note, word=word, known=words, advice=advice)


def _check_keys(step: Step, at: Spot, *, takes: tuple[str, ...]) -> None:
    where = f"config of step {quoted(step.id)}" if step.id else f"config of this {step.type}"
    if step.type == "set":
        return  # every key names a variable
    for key in step.config:
        if at.problems.is_full:
            return
        if key in takes:
            continue
        meant = ALIASES.get(step.type, {}).get(key.casefold(), "") or nearest(key, takes)
        advice = f"did you mean {quoted(meant)}?" if meant else ""
        if key in _OF_ANY_STEP or key in _BESIDE.get(step.type, ()):
            advice = "write it beside `config`"
        elif step.type == "function" and not meant:
            advice = "arguments of the function belong under `params`"
        elif step.type == "workflow" and key in _INPUTS:
            advice = "what the workflow gets stands under `input_mapping` of the step"
        note = f"a {step.type} step takes {', '.join(takes) or 'no config'}"
        at.below(key).report("unknown_key", aim=Aim.KEY, key=quoted(key), where=where, advice=advice, note=note)


def _check_function(config: dict[str, Any], at: Spot) -> None:
    name = config.get("function", "")
    if "function" not in config:
        advice = "for example config: {function: extract}"
        at.below("function").report("missing_key", where="config of a function step", key='"function"', advice=advice)
    elif not isinstance(name, str):
        _wrong_type(name, at.below("function"), expected="the name of a function")
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
        _wrong_type(params, at.below("params"), expected="a mapping (parameter: value)")


def _wrong_type(value: object, at: Spot, *, expected: str) -> None:
    from taskengine.define.values import wrong_type  # noqa: PLC0415 -- few are wrong

    wrong_type(value, at, expected=expected)


def _check_wait(config: dict[str, Any], at: Spot) -> None:
    from taskengine.define.wait import check_wait  # noqa: PLC0415 -- each type's rules are loaded when it is used

    check_wait(config, at)


def _check_http(config: dict[str, Any], at: Spot) -> None:
    from taskengine.define.http import check_http  # noqa: PLC0415 -- likewise

    check_http(config, at)


def _check_script(config: dict[str, Any], at: Spot) -> None:
    from taskengine.define.script import check_script  # noqa: PLC0415 -- likewise

    check_script(config, at)


def _check_noop(config: dict[str, Any], at: Spot) -> None:
    """A noop takes nothing; ``_check_keys`` has said so."""


def _checking(kind: str) -> Callable[[dict[str, Any], Spot], None]:
    """What checks the config of a step that the engine performs itself."""

    def check(config: dict[str, Any], at: Spot) -> None:
        from taskengine.define.control import check_control  # noqa: PLC0415 -- likewise

        check_control(kind, config, at=at)

    return check


_CHECKERS: Final[Mapping[str, Callable[[dict[str, Any], Spot], None]]] = {
    "function": _check_function,
    "http": _check_http,
    "script": _check_script,
    "wait": _check_wait,
    "noop": _check_noop,
}
# Type → the keys of its config, and what checks their values.
TYPES: Final[Mapping[str, tuple[tuple[str, ...], Callable[[dict[str, Any], Spot], None]]]] = {
    kind: (keys, _CHECKERS.get(kind) or _checking(kind)) for kind, keys in CONFIG.items()
}
