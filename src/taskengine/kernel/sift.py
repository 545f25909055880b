"""What can be known of a wait's filter before there is any data: by which parts of a signal it is found, and what it depends on."""

from __future__ import annotations

from taskengine.expr import Expression, equalities
from taskengine.kernel.plan import FilterPlan

__all__ = ["filter_plan"]

_NOTHING = FilterPlan()


def filter_plan(sieve: Expression | None) -> FilterPlan:
    """Read the filter's text."""
    if sieve is None:
        return _NOTHING
    found = equalities(sieve, "event")
    names = [name.split(".") for name in sieve.names]
    variables = {parts[1] if len(parts) > 1 else "" for parts in names if parts[0] == "variables"}
    return FilterPlan(tuple(one.path for one in found), tuple(one.value for one in found), tuple(sorted(variables)))
