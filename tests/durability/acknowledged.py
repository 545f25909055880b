"""What a client of the scenario was told, and what follows from it for the histories that a crash leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from taskengine.model import event as ev
from tests.durability.histories import History
from tests.durability.scenario import EXPECTED

__all__ = ["Acknowledged"]

# Kind of acknowledgement: the event it stands for, and who caused it.
_CAUSED: Final = {
    "signal": ("approve", ev.SignalReceived),
    "pause": ("pause", ev.SubtreePaused),
    "resume": ("resume", ev.SubtreeResumed),
}


class Acknowledged(msgspec.Struct, frozen=True):
    """By kind and key, with the answer."""

    answers: dict[tuple[str, str], object]

    @property
    def keys(self) -> set[str]:
        """What was asked for by these keys was granted."""
        return {key for _, key in self.answers}

    @property
    def starts(self) -> dict[str, str]:
        """The executions that were started, by key."""
        return {key: str(answer) for (kind, key), answer in self.answers.items() if kind == "start"}

    def missing(self, found: Iterable[History]) -> Iterator[str]:
        """What was acknowledged is there once; what was not is there once at most."""
        found = list(found)
        by_id = {history.summary.execution_id: history for history in found}
        starts = Counter(history.summary.business_key for history in found)
        for key in EXPECTED:
            if starts[key] > 1:
                yield f"{key} was started {starts[key]} times"
        for key, execution_id in self.starts.items():
            if execution_id not in by_id or by_id[execution_id].summary.business_key != key:
                yield f"{key} was started as {execution_id}, which is not there"
        for kind, (by, event) in _CAUSED.items():
            count = sum(history.number_of(event, by=by) for history in found)
            if count > 1 or ((kind, by) in self.answers and count != 1):
                yield f"{kind} took place {count} times"
        for (kind, key), answer in self.answers.items():
            if kind == "result":
                history = by_id.get(self.starts[key])
                actual = history and [history.state.status.value, msgspec.json.decode(history.state.output or b"null")]
                if actual != answer:
                    yield f"the result of {key} was {answer} and is {actual}"

    def unlike(self, before: Acknowledged) -> Iterator[str]:
        """What is not as it was told before, and results that are not the right ones."""
        for (kind, key), answer in before.answers.items():
            if self.answers.get((kind, key), answer) != answer:
                yield f"{kind} {key} was {answer} before and is {self.answers[kind, key]}"
        for key, expected in EXPECTED.items():
            result = self.answers.get(("result", key))
            if result != ["completed", expected]:
                yield f"{key} ended as {result}, not with {expected}"
