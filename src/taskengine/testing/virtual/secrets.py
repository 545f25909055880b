"""The secrets of an engine under test: the real ones, and a stand-in for those that only mocked steps use.

A mock does no real work, so nothing needs the value. One that some real step uses too must be there, as it must for any engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from taskengine.kernel.compile import compile_plan
from taskengine.model.workflow import Step, Workflow
from taskengine.ports.secrets import Secrets

__all__ = ["MockedSecrets"]


class MockedSecrets:
    """``known``: the workflows that were deployed; ``is_mocked``: whether the real work of a step is never done."""

    def __init__(self, inner: Secrets, *, known: Callable[[], Iterable[Workflow]], is_mocked: Callable[[Step], bool]) -> None:
        self._inner = inner
        self._known = known
        self._is_mocked = is_mocked

    def get(self, name: str) -> str | None:
        """The value, else the stand-in, else nothing."""
        value = self._inner.get(name)
        if value is not None:
            return value
        users = [
            planned.step
            for workflow in self._known()
            for planned in compile_plan(workflow).every_step()
            if name in planned.input_reads.secrets
        ]
        return f"secret-{name}-of-a-mocked-step" if users and all(self._is_mocked(step) for step in users) else None

    def where(self, name: str) -> str:
        """What to set, or to mock."""
        return f"{self._inner.where(name)}; or mock every step that uses it"
