"""Every error that may leave the package: one base, a stable code, facts, one hint.

The first digit after ``TE`` says who must act: 1 definition, 2 expression, 3 not found or conflict, 4 permission, 5 executor,
6 storage, 9 a bug of ours. Messages are built here, never at the place that raises. The CLI, and later REST, render these.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "CommandRefusedError",
    "ConflictError",
    "DefinitionError",
    "ExpressionError",
    "InternalError",
    "LimitError",
    "NotFoundError",
    "OutboundError",
    "OverloadedError",
    "StorageError",
    "TaskEngineError",
    "UnknownEventError",
    "ValidationError",
]


class TaskEngineError(Exception):
    """Base of all. ``name`` is the snake_case word of the API, ``hint`` one thing to do next."""

    code: ClassVar[str] = "TE9000"

    def __init__(self, name: str, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.hint = hint
        self.facts = facts
        if hint:
            self.add_note(f"hint: {hint}")  # what a traceback, and pytest, show below the message


class DefinitionError(TaskEngineError):
    """A workflow document or builder says something that cannot be run."""

    code = "TE1000"


class ValidationError(DefinitionError):
    """What was given does not fit what was declared; ``facts`` carry ``faults``, each with ``path`` and ``said``."""

    code = "TE1800"


class LimitError(TaskEngineError):
    """A named limit was passed; ``facts`` carry ``limit`` and ``actual``."""

    code = "TE1900"


class ExpressionError(TaskEngineError):
    """An expression or template was refused or failed; ``facts`` carry ``source`` and, where known, ``offset``."""

    code = "TE2000"


class NotFoundError(TaskEngineError):
    """Nothing has that id or name."""

    code = "TE3000"


class ConflictError(TaskEngineError):
    """What was asked disagrees with what is already there."""

    code = "TE3100"


class CommandRefusedError(ConflictError):
    """The command is understood but the execution cannot obey it now; nothing was written."""

    code = "TE3200"


class OutboundError(TaskEngineError):
    """A call to the outside was not made or did not end well; ``facts`` carry ``url`` without its query."""

    code = "TE5100"


class StorageError(TaskEngineError):
    """The database refused, is full, is busy, or is not one of ours."""

    code = "TE6000"


class OverloadedError(StorageError):
    """A bounded queue is full; try again later."""

    code = "TE6100"


class UnknownEventError(StorageError):
    """The history holds an event type that this version does not know; the node refuses to own that execution."""

    code = "TE6200"


class InternalError(TaskEngineError):
    """An invariant of ours is broken: a bug."""

    code = "TE9000"
