"""Settings of a process that is ours, and not a host's."""

from __future__ import annotations

import gc
import sys

__all__ = ["use_own_process"]


def use_own_process() -> None:
    """Let the interpreter change threads often and collect garbage seldom.

    A busy neighbour thread must not hold the interpreter for long; and the garbage collector, which finds next to nothing here
    (facts hold no cycles), must not walk every live execution again and again.
    """
    sys.setswitchinterval(0.0005)
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
