"""The graph while a workflow function declares it: the steps so far, and what each depends on.

A step depends on what it reads and on what it is told to follow. What is read and surely succeeded before another dependency needs
no edge of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import msgspec

from taskengine.define.phrase import described, listed, nearest, quoted
from taskengine.define.placeholder import Placeholder
from taskengine.errors import DefinitionError, ExpressionError, LimitError
from taskengine.model.workflow import Join, RetryPolicy, Step

__all__ = ["Trace"]


class Trace:
    """One declaration."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[..., Any]] = {}
        self._steps: dict[str, Step] = {}
        self._said: dict[str, frozenset[str]] = {}
        self._before: dict[str, frozenset[str]] = {}  # what has surely succeeded when the step has

    def free_id(self, wanted: str) -> str:
        """The id, or with the next number behind it: ``fetch``, ``fetch_2``."""
        number, found = 1, wanted
        while found in self._steps:
            number += 1
            found = f"{wanted}_{number}"
        return found

    def add(self, step: Step, *, after: object, said: frozenset[str]) -> Placeholder:
        """Add a step; gives the placeholder of its result."""
        if step.id in self._steps:
            hint = "leave the id out to have them numbered"
            raise DefinitionError("duplicate_step_id", f"two steps have the id {quoted(step.id)}", hint=hint)
        told = list(dict.fromkeys(self._followed(after, of=step.id)))
        read = [name for name in self._read_by(step) if name not in told]
        if step.join is Join.ALL_SUCCESS:
            known = {*told, *read}
            read = [name for name in read if not any(name in self._before[other] for other in known if other != name)]
        order = list(self._steps)
        depends_on = tuple(told + sorted(read, key=order.index))
        self._steps[step.id] = msgspec.structs.replace(step, depends_on=depends_on)
        self._said[step.id] = said
        surely: frozenset[str] = frozenset()
        if step.join is Join.ALL_SUCCESS:
            surely = surely.union(depends_on, *(self._before[name] for name in depends_on))
        self._before[step.id] = surely
        return Placeholder(f"steps.{step.id}.output")

    def depends_on(self, step_id: str) -> tuple[str, ...]:
        """What a step that was added depends on."""
        return self._steps[step_id].depends_on

    def steps(self, *, timeout_ms: int | None, retry: RetryPolicy | None) -> tuple[Step, ...]:
        """All steps; those that say nothing else with this bound and policy."""
        defaults = {"timeout_ms": timeout_ms, "retry": retry}
        return tuple(
            msgspec.structs.replace(
                step, **{name: value for name, value in defaults.items() if value is not None and name not in self._said[step.id]}
            )
            for step in self._steps.values()
        )

    def _read_by(self, step: Step) -> list[str]:
        """The steps that the texts of a step read. A text that cannot be parsed reads nothing here; the checks report it."""
        from taskengine.expr import expression, template  # noqa: PLC0415 -- declaring imports it, importing this does not

        names: set[str] = set()
        try:
            if step.when is not None:
                names |= expression(step.when).names
            names |= template([step.config, step.input_mapping]).names
        except (ExpressionError, LimitError):
            return []
        parts = [name.split(".") for name in names]
        found = {part[1] for part in parts if part[0] == "steps" and len(part) > 1}
        return [name for name in self._steps if name in found]

    def _followed(self, after: object, *, of: str) -> Iterable[str]:
        if isinstance(after, Placeholder):
            found = [name for name in self._steps if after.__expression__.startswith(f"steps.{name}.")]
            if not found:
                raise DefinitionError(
                    "unknown_dependency", f"step {quoted(of)} cannot come after {after!r}: it is no step's result"
                )
            yield found[0]
        elif isinstance(after, str):
            if after not in self._steps:
                meant = nearest(after, list(self._steps))
                hint = f"did you mean {quoted(meant)}?" if meant else f"steps so far: {listed(self._steps)}"
                raise DefinitionError("unknown_dependency", f"step {quoted(of)} cannot come after {quoted(after)}", hint=hint)
            yield after
        elif isinstance(after, list | tuple):
            for one in cast("list[object]", after):
                yield from self._followed(one, of=of)
        else:
            hint = "after=rows, after=[rows, days]"
            raise DefinitionError("wrong_type", f"after: expected results of tasks, found {described(after)}", hint=hint)
