"""Words that do nothing on a step that the engine performs itself: there is no attempt to repeat, or no time that could pass."""

from __future__ import annotations

from typing import Final

from taskengine.define.finding import Aim, Spot
from taskengine.define.phrase import quoted
from taskengine.model.workflow import CONTAINERS, RetryPolicy, Step

__all__ = ["check_idle_words"]

_NO_RETRY: Final = RetryPolicy()
_AT_ONCE: Final = frozenset({"noop", "set", "fail", "aggregate", "signal"})
_BOUNDS: Final = ("timeout", "total_timeout")
_OF_WORK: Final = ("queue_timeout", "heartbeat")


def check_idle_words(step: Step, at: Spot) -> None:
    """Warn of a retry policy where nothing is tried again, and of bounds where nothing takes time or waits for a slot."""
    if step.retry != _NO_RETRY and step.type != "workflow":
        if step.type in CONTAINERS:
            advice = "give it to the steps inside, or put them into a workflow and call that: type: workflow"
        else:
            advice = "remove it; function, http, script and workflow steps make attempts"
        at.below("retry").report("retry_without_effect", aim=Aim.KEY, kind=step.type, advice=advice)
    for key in (*_BOUNDS, *_OF_WORK) if step.type in _AT_ONCE else _OF_WORK:
        if getattr(step, f"{key}_ms") is not None:
            if step.type in CONTAINERS:
                advice = "give it to the steps inside"
            else:
                advice = "remove it; the step ends at once" if step.type in _AT_ONCE else "write timeout, or total_timeout"
            at.below(key).report("bound_without_effect", aim=Aim.KEY, key=quoted(key), kind=step.type, advice=advice)
