"""Executors: what performs the attempts of a step type.

One call to begin, exactly one end, and a word when the work has really stopped.
"""

from __future__ import annotations

from typing import Protocol

from taskengine.model.command import AttemptEnd
from taskengine.model.value import Json, Raw
from taskengine.model.workflow import Step

__all__ = ["Attempt", "Executor", "Stop"]


class Stop(Protocol):
    """Asks running work to stop. Idempotent, returns at once."""

    def __call__(self) -> None:
        """Ask it."""
        ...


class Attempt(Protocol):
    """One attempt as an executor sees it. All methods are called in the event loop."""

    @property
    def execution_id(self) -> str:
        """The execution, which is also the trace."""
        ...

    @property
    def source(self) -> str:
        """Where the workflow's document came from: functions named by file are looked for there."""
        ...

    @property
    def step(self) -> Step:
        """The step being performed."""
        ...

    @property
    def path(self) -> str:
        """The task's path in the execution."""
        ...

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this task, whoever makes it."""
        ...

    @property
    def number(self) -> int:
        """Which attempt this is, from 1."""
        ...

    @property
    def input(self) -> Raw:
        """The rendered input, JSON, with the values of secrets in it: for the work alone."""
        ...

    @property
    def task(self) -> int:
        """The task's number in the execution."""
        ...

    @property
    def is_stopping(self) -> bool:
        """Whether the work was asked to stop."""
        ...

    def upstream(self, step_id: str) -> Raw | None:
        """The output of a step that this one depends on; ``None`` when there is no such dependency.

        Inside a map or a loop ``item`` and ``index`` are what the nearest of them goes through, where no dependency is so named.
        """
        ...

    @property
    def last_progress(self) -> Json:
        """The ``data`` that this task reported last, by an earlier attempt; ``None`` when there is none."""
        ...

    def heard(self) -> None:
        """Something came from the work, a line or a byte: the step's ``heartbeat`` begins anew, and no more than that."""
        ...

    def beat(self) -> None:
        """The work says that it is alive: the step's ``heartbeat`` begins anew, and earlier losses of the task count no more."""
        ...

    def progress(self, fraction: float | None, *, message: str = "", data: Json = None) -> None:
        """How far the work is, 0 to 1 (``None``: nobody knows). The latest is written down, not too often, and with the end.

        A sign of life like ``beat``. ``ValueError``: not between 0 and 1; ``TypeError``: data that JSON cannot hold.
        """
        ...

    def log(self, message: str, *, level: str = "info", source: str = "engine") -> None:
        """Add a line to the task's log: soon written, not durable with anything, cut when long, dropped beyond the caps."""
        ...

    def redact(self, text: str) -> None:
        """From now on this text is a secret of the attempt: it is taken out of what it gives, how it fails, and what it logs."""
        ...

    def on_stop(self, stop: Stop) -> None:
        """Say how the work is stopped; called at once when that was asked for before."""
        ...

    def end(self, end: AttemptEnd) -> None:
        """Report how the attempt ended. The first report counts, later ones are dropped."""
        ...

    def free(self) -> None:
        """The work has really stopped: its slot is free. Exactly once, after ``end`` or with it."""
        ...


class Executor(Protocol):
    """Performs the attempts of its step type."""

    def missing(self, step: Step, source: str) -> str:
        """What this node lacks to perform the step (a function's name), or an empty text.

        ``source``: where the workflow's document came from.
        """
        ...

    def begin(self, attempt: Attempt) -> None:
        """Start the work and return at once. Never raises for what the user's code does."""
        ...
