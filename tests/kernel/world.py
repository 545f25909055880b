"""The outside of an execution in the machine: performs effects in any order, some twice, and forgets everything in a crash."""

from __future__ import annotations

from taskengine.model.effect import Effect, Halt, Launch, Release, WakeAt
from tests.kernel.tape import Tape

# What was heard of an attempt only ever goes forward, so that order and repetition do no harm.
LAUNCHED, HALTING, OVER = 1, 2, 3


def heard(effect: Effect) -> tuple[tuple[int, int], int] | None:
    """Which attempt an effect is about, and how far it is now."""
    match effect:
        case Launch(task=task, attempt=attempt):
            return (task, attempt), LAUNCHED
        case Halt(task=task, attempt=attempt, is_final=is_final):
            return (task, attempt), OVER if is_final else HALTING
        case Release(task=task, attempt=attempt):
            return (task, attempt), OVER
        case WakeAt():
            return None


class World:
    """What has been heard of each attempt, and which effects are still to be performed."""

    def __init__(self) -> None:
        self.attempts: dict[tuple[int, int], int] = {}
        self.pending: list[Effect] = []
        self.performed = 0

    def commit(self, effects: list[Effect]) -> None:
        """These may be performed from now on."""
        self.pending.extend(effects)

    def perform(self, tape: Tape | None = None) -> None:
        """All of them: in order, or as the tape shuffles them, each once or twice."""
        pending, self.pending = self.pending, []
        while pending:
            index = 0 if tape is None else tape.below(len(pending))
            effect = pending[index]
            if tape is None or not tape.chance(20):
                del pending[index]
            about = heard(effect)
            if about is not None:
                key, how_far = about
                self.attempts[key] = max(how_far, self.attempts.get(key, 0))
            self.performed += 1

    def running(self) -> list[tuple[int, int]]:
        """Attempts that were launched and have not been let go, oldest first."""
        return [key for key, how_far in self.attempts.items() if how_far < OVER]

    def crash(self) -> None:
        """Only the history survives."""
        self.attempts.clear()
        self.pending.clear()
