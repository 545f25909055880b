"""How long until the next attempt. Exponential backoff with jitter from the execution's seed, so that a replay agrees."""

from __future__ import annotations

from typing import Final

from taskengine.model.value import TaskError
from taskengine.model.workflow import RetryPolicy

__all__ = ["delay_ms", "may_retry"]

_MASK: Final = (1 << 64) - 1


def may_retry(policy: RetryPolicy, used: int, error: TaskError) -> bool:
    """Whether another attempt follows after ``used`` ones of this round."""
    return used < policy.max_attempts and not error.is_final and not error.matches(policy.non_retryable_errors)


def delay_ms(policy: RetryPolicy, used: int, *, seed: int, task: int) -> int:
    """Milliseconds to wait after the ``used``-th attempt: interval, times coefficient for each one before, capped, ± jitter."""
    try:
        interval = policy.initial_interval_ms * policy.backoff_coefficient ** (used - 1)
    except OverflowError:
        interval = float(policy.max_interval_ms)
    interval = min(interval, float(policy.max_interval_ms))
    share = _splitmix(seed ^ (task << 20) ^ used) / _MASK  # 0 … 1
    return max(0, round(interval * (1 + policy.jitter * (2 * share - 1))))


def _splitmix(value: int) -> int:
    """One step of splitmix64 (Steele, Lea and Flood 2014): 64 well mixed bits from any integer."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
