"""What a suite has really seen, counted; nothing that should be seen may be rare."""

from __future__ import annotations

from collections import Counter

from taskengine.model.command import Command
from taskengine.model.event import EVENT_TYPES
from taskengine.model.workflow import Join

COMMANDS = tuple(kind.__name__ for part in Command.__args__ for kind in getattr(part, "__args__", (part,)))
REFUSALS = (
    "already_cancelling",
    "already_paused",
    "already_started",
    "compensates_all",
    "compensating",
    "execution_already_finished",
    "execution_not_finished",
    "group_completed",
    "group_skipped",
    "not_a_step",
    "not_an_approver",
    "not_paused",
    "not_started",
    "not_waiting_for_approval",
    "nothing_to_retry",
    "paused",
    "signal_queue_full",
    "stale_attempt",
    "task_already_finished",
    "task_not_failed",
    "task_running",
    "unknown_path",
    "unknown_variable",
)
VERDICTS = tuple(
    f"{join} {verdict}"
    for join in Join
    for verdict in ("wait", "start", "skip")
    if (join, verdict) != (Join.ALL_DONE, "skip")  # it never gives up
)
OTHERS = (
    "crash, all folded",
    "crash, snapshot and tail",
    "effects in any order",
    "outcome completed",
    "outcome partial",
    "outcome failed",
)
# What only nested workflows have: blocks, variables, people, children, undoing, forks. The rest is seen with plain steps.
NESTED = frozenset(
    [
        *(
            ("event", name)
            for name in (
                "ApprovalDecided",
                "ApprovalEscalated",
                "ChildrenRegistered",
                "CompensationCompleted",
                "CompensationFailed",
                "CompensationStarted",
                "ExecutionForked",
                "GroupClosed",
                "SignalSent",
                "VariablesSet",
            )
        ),
        *((f"command {how}", name) for how in ("accepted", "refused") for name in ("ChildEnded", "Fork", "SetVariables")),
        ("command accepted", "Decide"),
        *(
            ("refusal", name)
            for name in (
                "compensates_all",
                "compensating",
                "group_completed",
                "group_skipped",
                "not_an_approver",
                "paused",
                "task_running",
                "unknown_variable",
            )
        ),
    ]
)


class Seen:
    """Counters by kind and name."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, kind: str, name: str, times: int = 1) -> None:
        """Count it."""
        self.counts[kind, name] += times

    @staticmethod
    def expected() -> list[tuple[str, str]]:
        """Everything that there is."""
        return [
            *(("event", kind.__name__) for kind in EVENT_TYPES),
            *((f"command {how}", name) for how in ("accepted", "refused") for name in COMMANDS),
            *(("refusal", name) for name in REFUSALS),
            *(("join", name) for name in VERDICTS),
            *(("other", name) for name in OTHERS),
        ]

    def table(self) -> str:
        """Readable, rarest last within each kind."""
        lines: list[str] = []
        for kind in dict.fromkeys(kind for kind, _ in self.expected()):
            names = {name: count for (of, name), count in self.counts.items() if of == kind}
            names.update({name: 0 for of, name in self.expected() if of == kind and name not in names})
            ordered = sorted(names.items(), key=lambda pair: -pair[1])
            lines.append(f"{kind}: " + ", ".join(f"{name} {count}" for name, count in ordered))
        return "\n".join(lines)

    def require(self, least: int, *, is_nested: bool = False) -> None:
        """Red when something was seen too rarely, or something was seen that nobody knew of."""
        print(f"\n{self.table()}")
        wanted = required(is_nested=is_nested)
        rare = [f"{kind} {name}: {self.counts[kind, name]}" for kind, name in wanted if self.counts[kind, name] < least]
        assert not rare, f"seen fewer than {least} times: {', '.join(rare)}"
        unknown = self.counts.keys() - set(self.expected())
        assert not unknown, f"not on the list: {sorted(unknown)}"


def required(*, is_nested: bool) -> list[tuple[str, str]]:
    """What one of the two suites has to see; together they see everything."""
    return [one for one in Seen.expected() if (one in NESTED or one[0] == "event" if is_nested else one not in NESTED)]
