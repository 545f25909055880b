"""Exit codes: one table, documented, the same for every command."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from taskengine.errors import (
    ConflictError,
    DefinitionError,
    ExpressionError,
    InternalError,
    LimitError,
    NotFoundError,
    OutboundError,
    OverloadedError,
    StorageError,
    TaskEngineError,
)
from taskengine.model.status import Outcome, Status

__all__ = ["Exit", "exit_of_error", "exit_of_execution"]


class Exit(IntEnum):
    """What a command's end means."""

    OK = 0
    BUG = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    CONFLICT = 5
    UNREACHABLE = 6
    QUOTA = 7
    INVALID = 8
    FAILED = 10
    CANCELLED = 11
    PARTIAL = 12
    COMPENSATED = 13
    TIMED_OUT = 124
    INTERRUPTED = 130


# The first class that fits decides, so subclasses stand before their bases.
_OF_ERROR: Final[tuple[tuple[type[TaskEngineError], Exit], ...]] = (
    (OverloadedError, Exit.QUOTA),
    (StorageError, Exit.UNREACHABLE),
    (NotFoundError, Exit.NOT_FOUND),
    (ConflictError, Exit.CONFLICT),
    (DefinitionError, Exit.INVALID),
    (ExpressionError, Exit.INVALID),
    (LimitError, Exit.INVALID),
    (OutboundError, Exit.UNREACHABLE),
    (InternalError, Exit.BUG),
)
_OF_STATUS: Final = {Status.COMPLETED: Exit.OK, Status.FAILED: Exit.FAILED, Status.CANCELLED: Exit.CANCELLED}


def exit_of_error(error: TaskEngineError) -> Exit:
    """The code for an error; a class that the table does not know is a bug of ours."""
    return next((code for kind, code in _OF_ERROR if isinstance(error, kind)), Exit.BUG)


def exit_of_execution(status: str, outcome: str | None) -> Exit:
    """The code for the end of an execution."""
    if status == Status.COMPLETED and outcome == Outcome.PARTIAL:
        return Exit.PARTIAL
    return _OF_STATUS[Status(status)]
