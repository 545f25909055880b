"""What is remembered of one task. Part of the state; only evolve assigns to it."""

from __future__ import annotations

import msgspec

from taskengine.model.status import Outcome
from taskengine.model.value import ABSENT, Instant, Raw, TaskError

__all__ = ["Task"]


class Task(msgspec.Struct, gc=False, omit_defaults=True):
    """What is remembered of a task that was begun and has not completed."""

    attempt: int = 0  # of the last attempt, over all rounds
    used: int = 0  # attempts of this round that count against max_attempts
    losses: int = 0
    suspect_losses: int = 0
    input: Raw = ABSENT
    progress: Raw = ABSENT  # what was last reported, by this attempt or an earlier one of the round
    error: TaskError | None = None
    outcome: Outcome | None = None
    started_at: Instant | None = None
    signal: str = ""  # the name a waiting step waits for
    is_launched: bool = False  # the attempt is owed by the world
    is_suspect: bool = False  # ... and runs as a suspect
    is_cancelling: bool = False  # ... and was asked to stop
    is_overdue: bool = False  # ... and its time has run out
    is_stuck: bool = False  # lost and not idempotent: a person decides
    is_handled: bool = False  # its failure was handled by a later step
    escalated_to: tuple[str, ...] = ()  # of an approval: who may decide too
    child: str = ""  # the execution that it has started and waits for
    swept_by: int = -1  # the task whose cancel asked it to stop, when that is a group around it

    def stand_down(self) -> None:
        """The attempt, and whatever the task waited for, is over."""
        self.signal = ""
        self.is_launched = self.is_suspect = self.is_cancelling = self.is_overdue = self.is_stuck = False
        self.swept_by = -1
        self.child = ""

    def begin_round(self) -> None:
        """Forget how the last round went; the attempts' number, the input and the first start stay."""
        self.stand_down()
        self.used = self.losses = self.suspect_losses = 0
        self.error = self.outcome = None
        self.progress = ABSENT
        self.is_handled = False
        self.escalated_to = ()
