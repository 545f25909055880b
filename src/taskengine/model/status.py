"""The closed sets: status of an execution or task, its refinement, and the phases a task goes through inside the kernel.

``Phase`` is what the fold keeps, one byte a task; ``Status`` is what people see. ``MOVES`` is the whole table of what may
follow what while an execution goes on; beginning a finished one again sets the phases anew.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Final

__all__ = ["MOVES", "OPEN", "SETTLED", "STATUS_OF", "TERMINAL", "Outcome", "Phase", "Status"]


class Status(StrEnum):
    """What an execution or a task is, as shown everywhere."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


TERMINAL: Final = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.SKIPPED})


class Outcome(StrEnum):
    """Refines a terminal status."""

    TIMED_OUT = "timed_out"
    TERMINATED = "terminated"
    QUARANTINED = "quarantined"
    PARTIAL = "partial"
    COMPENSATED = "compensated"


class Phase(IntEnum):
    """Where one task is. READY is derived from its dependencies, never written as an event."""

    PENDING = 0
    READY = 1
    RUNNING = 2
    WAITING = 3
    RETRYING = 4
    EXPANDED = 5
    COMPLETED = 6
    FAILED = 7
    CANCELLED = 8
    SKIPPED = 9


STATUS_OF: Final = (
    Status.PENDING,
    Status.PENDING,
    Status.RUNNING,
    Status.WAITING,
    Status.WAITING,
    Status.RUNNING,
    Status.COMPLETED,
    Status.FAILED,
    Status.CANCELLED,
    Status.SKIPPED,
)
OPEN: Final = frozenset({Phase.PENDING, Phase.READY, Phase.RUNNING, Phase.WAITING, Phase.RETRYING, Phase.EXPANDED})
SETTLED: Final = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED})

MOVES: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.PENDING: frozenset({Phase.READY, Phase.SKIPPED, Phase.CANCELLED}),
    Phase.READY: frozenset(
        {
            Phase.RUNNING,
            Phase.WAITING,
            Phase.EXPANDED,
            Phase.COMPLETED,
            Phase.FAILED,
            Phase.SKIPPED,
            Phase.CANCELLED,
            Phase.PENDING,
        }
    ),
    Phase.RUNNING: frozenset({Phase.READY, Phase.WAITING, Phase.RETRYING, Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED}),
    Phase.WAITING: frozenset({Phase.READY, Phase.RETRYING, Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED}),
    Phase.RETRYING: frozenset({Phase.READY, Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED}),
    Phase.EXPANDED: frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED, Phase.SKIPPED}),
    Phase.COMPLETED: frozenset(),
    Phase.FAILED: frozenset({Phase.PENDING}),
    Phase.CANCELLED: frozenset({Phase.PENDING}),
    Phase.SKIPPED: frozenset({Phase.PENDING}),
}
