"""From the config of a ``script`` step to the order for its child: program, arguments, environment, limits, folders.

The environment is made anew: of the engine's own only what finds programs and says the time zone is passed on.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from taskengine.adapters.process.frames import BOX, Limits, Order
from taskengine.define.given import is_list, is_mapping
from taskengine.model.duration import parse_duration_ms
from taskengine.model.ids import task_id
from taskengine.model.script import COUNTED, DEFAULTS, LIMITS, RUNTIMES, SIZED, inline_code, parse_size, runtime_of, script_of
from taskengine.ports.executor import Attempt

__all__ = ["OrderError", "clean_environment", "order_of", "program_of"]

_PASSED_ON: Final = ("PATH", "TZ")


class OrderError(Exception):
    """The rendered config cannot be a child."""


def order_of(config: Mapping[str, Any], attempt: Attempt) -> Order:
    """The order. ``OrderError`` says what the templates made wrong."""
    script: str = script_of(attempt.step.config)
    folder = Path(attempt.source or ".").resolve()
    runtime = runtime_of(script, config.get("runtime"))
    code = inline_code(script)
    files: tuple[tuple[str, str], ...] = ()
    if code is None:
        file = str(folder / script)
    else:
        name = "script" + RUNTIMES[runtime][0] if runtime in RUNTIMES else "script"
        files, file = ((name, code),), f"{BOX}/{name}"
    arguments = [_text(one, "args") for one in _list(config.get("args"))]
    isolation = attempt.step.isolation
    return Order(
        argv=(program_of(runtime), file, *arguments),
        env={
            **clean_environment(),
            "TASK_ENGINE_EXECUTION_ID": attempt.execution_id,
            "TASK_ENGINE_TASK_ID": task_id(attempt.execution_id, attempt.task),
            "TASK_ENGINE_STEP_ID": attempt.step.id,
            "TASK_ENGINE_ATTEMPT": str(attempt.number),
            "TASK_ENGINE_IDEMPOTENCY_KEY": attempt.execution_id + attempt.path,
            **{_name(name): _text(one, f"env.{name}") for name, one in _mapping(config.get("env"), "env").items()},
        },
        cwd=str(folder / _text(config.get("cwd") or ".", "cwd")),
        limits=_limits(_mapping(config.get("limits"), "limits")),
        has_box=True,
        isolation=isolation.value if isolation is not None else "process",
        allows_network=config.get("network") is True,
        keeps=tuple(dict.fromkeys(one for one in (str(folder), sys.prefix, sys.base_prefix) if Path(one).is_dir())),
        files=files,
    )


def program_of(runtime: str) -> str:
    """What is started for a runtime: Python is the one that runs the engine, with what is installed there."""
    return sys.executable if runtime == "python" else runtime


def clean_environment() -> dict[str, str]:
    """What a child finds besides what is meant for it."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", **passed}


def _limits(given: Mapping[str, Any]) -> Limits:
    values: dict[str, Any] = dict(DEFAULTS)
    for key, value in given.items():
        if key not in LIMITS:
            raise OrderError(f"limits.{key} is not known; known are {', '.join(LIMITS)}")
        try:
            if key in SIZED:
                values[key] = parse_size(value)
            elif key in COUNTED:
                values[key] = _count(value)
            else:
                values[key] = parse_duration_ms(value) / 1000
        except ValueError as error:
            raise OrderError(f"limits.{key}: {error}") from None
    return Limits(**values)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is no number above zero")
    return value


def _name(name: str) -> str:
    if not name or "=" in name or "\0" in name:
        raise OrderError(f"{name!r} cannot be the name of a variable")
    return name


def _text(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise OrderError(f"{where} gave {type(value).__name__}, which is no text and no number")
    text = str(value)
    if "\0" in text:
        raise OrderError(f"{where} gave a text with a NUL, which no program can be given")
    return text


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not is_list(value):
        raise OrderError(f"args gave {type(value).__name__}, which is no list")
    return value


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not is_mapping(value):
        raise OrderError(f"{where} gave {type(value).__name__}, which is no mapping")
    return value
