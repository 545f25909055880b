"""What a ``wait`` step wants in its ``config``: one way to wait. A value that a template makes is judged when the step starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from taskengine.define.finding import Aim, Spot
from taskengine.define.given import BROKEN
from taskengine.define.keys import WAYS
from taskengine.define.phrase import described, quoted
from taskengine.define.spans import instant_fault
from taskengine.define.texts import is_template
from taskengine.define.values import duration, wrong_type

__all__ = ["check_expression", "check_signal", "check_wait"]


def check_wait(config: dict[str, Any], at: Spot) -> None:
    """Report what is wrong."""
    ways = [way for way in WAYS if way in config]
    if len(ways) != 1:
        found = " and ".join(ways) or "none of them"
        at.report("one_way_to_wait", found=found, advice="for example config: {duration: 30s}")
    if "deadline" in config and "signal" not in ways:
        at.below("deadline").report("deadline_without_signal", aim=Aim.KEY)
    if "filter" in config:
        if "signal" not in ways:
            at.below("filter").report("key_needs_other", aim=Aim.KEY, key='"filter"', other='"signal"')
        check_expression(config["filter"], at.below("filter"))
    for key, check in _WAIT_VALUES.items():
        value = config.get(key, BROKEN)
        if value is not BROKEN and not is_template(value):
            check(value, at.below(key))


def _check_instant(value: object, at: Spot) -> None:
    if not isinstance(value, str):
        wrong_type(value, at, expected="an instant such as 2026-11-21T09:00:00Z")
        return
    fault = instant_fault(value)
    if fault:
        at.report("bad_instant", found=quoted(value), reason=fault)


def check_expression(value: object, at: Spot) -> None:
    """Report what is no text; whether it can be read is for `references` to say."""
    if not isinstance(value, str):
        wrong_type(value, at, expected="an expression in quotes")


def check_signal(value: object, at: Spot) -> None:
    """Report what cannot be the name of a signal."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        at.report("wrong_type", expected="the name of a signal", found=described(value), advice="")


def _check_duration(value: object, at: Spot) -> None:
    duration(value, at)


_WAIT_VALUES: Final[Mapping[str, Callable[[Any, Spot], None]]] = {
    "duration": _check_duration,
    "until": _check_instant,
    "signal": check_signal,
    "deadline": _check_duration,
}
