"""What a ``script`` step wants in its ``config``. Files are not looked for: a document can be checked where its scripts are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from taskengine.define.finding import Aim, Spot
from taskengine.define.given import is_list, is_mapping
from taskengine.define.phrase import described, nearest, quoted
from taskengine.define.values import between, boolean, duration, text, wrong_type
from taskengine.model.script import COUNTED, LIMITS, RUNTIMES, SIZED, inline_code, parse_size, runtime_of, script_fault, script_of

__all__ = ["check_script"]

_COUNT: Final = (1, 100_000)


def check_script(config: dict[str, Any], at: Spot) -> None:
    """Report what is wrong."""
    script = script_of(config)
    where = at.below("inline" if "inline" in config and "script" not in config else "script")
    if "script" in config and "inline" in config:
        at.below("inline").report("conflicting_keys", aim=Aim.KEY, key='"inline"', other='"script"')
    elif script is None:
        advice = "for example config: {script: load.py}"
        at.below("script").report("missing_key", where="config of a script step", key='"script"', advice=advice)
    elif not isinstance(script, str):
        wrong_type(script, where, expected="text: a file's name, or code")
    else:
        _check_code(script, where, runtime=config.get("runtime"), beside=at)
    for key, check in _CHECKS.items():
        value = config.get(key)
        if value is not None and not _is_later(value):
            check(value, at.below(key))


def _check_code(script: str, at: Spot, *, runtime: object, beside: Spot) -> None:
    fault = script_fault(script)
    if fault:
        at.report("bad_script", found=quoted(script), reason=fault)
    elif runtime is None and not runtime_of(script, None):
        note = f"known runtimes: {', '.join(RUNTIMES)}"
        at.report("bad_script", found=quoted(script), reason="its name does not say what runs it", note=note)
    elif runtime is not None and runtime not in RUNTIMES:
        _refuse_runtime(runtime, beside.below("runtime"))
    elif inline_code(script) is None and "{{" in script:
        at.report("bad_script", found=quoted(script), reason="templates are not rendered here: give it params or args")


def _refuse_runtime(runtime: object, at: Spot) -> None:
    if isinstance(runtime, str):
        at.report(
            "unknown_choice",
            what="runtime",
            found=quoted(runtime),
            note=f"one of {', '.join(RUNTIMES)}",
            word=runtime,
            known=list(RUNTIMES),
        )
    else:
        wrong_type(runtime, at, expected=f"one of {', '.join(RUNTIMES)}")


def _check_params(value: object, at: Spot) -> None:
    if not is_mapping(value):
        wrong_type(value, at, expected="a mapping (parameter: value)")


def _check_args(value: object, at: Spot) -> None:
    if not is_list(value):
        wrong_type(value, at, expected="a list of arguments", advice="write args: [one, two]")
        return
    for index, one in enumerate(value):
        if isinstance(one, bool) or not isinstance(one, str | int | float):
            wrong_type(one, at.below(index), expected="text or a number")


def _check_env(value: object, at: Spot) -> None:
    if not is_mapping(value):
        wrong_type(value, at, expected="a mapping (variable: value)")
        return
    for name, one in value.items():
        if not name or "=" in name or "\0" in name:
            at.below(name).report("not_json", aim=Aim.KEY, found=f"{quoted(name)} as the name of a variable")
        elif isinstance(one, bool) or not isinstance(one, str | int | float):
            wrong_type(
                one, at.below(name), expected="text or a number", advice=f'write "{one}"'.lower() if isinstance(one, bool) else ""
            )


def _check_limits(value: object, at: Spot) -> None:
    if not is_mapping(value):
        wrong_type(value, at, expected="a mapping", advice="write limits: {memory: 512MiB, cpu: 30s}")
        return
    for key, one in value.items():
        if key not in LIMITS:
            meant = nearest(key, LIMITS)
            note = f"limits takes {', '.join(LIMITS)}"
            advice = f"did you mean {quoted(meant)}?" if meant else ""
            at.below(key).report("unknown_key", aim=Aim.KEY, key=quoted(key), where="limits", advice=advice, note=note)
        elif not _is_later(one):
            _LIMIT_CHECKS[key](one, at.below(key))


def _check_size(value: object, at: Spot) -> None:
    try:
        parse_size(value)
    except ValueError:
        at.report("wrong_type", expected="a size such as 512MiB", found=described(value), advice="")


def _is_later(value: object) -> bool:
    """Whether a template stands there: what it gives is only known when the step starts."""
    return isinstance(value, str) and "{{" in value


_LIMIT_CHECKS: Final[Mapping[str, Callable[[Any, Spot], object]]] = {
    "cpu": duration,
    **dict.fromkeys(SIZED, _check_size),
    **{key: between(key, _COUNT) for key in COUNTED},
}
_CHECKS: Final[Mapping[str, Callable[[Any, Spot], object]]] = {
    "params": _check_params,
    "args": _check_args,
    "env": _check_env,
    "cwd": text,
    "timeout": duration,
    "limits": _check_limits,
    "network": boolean,
}
