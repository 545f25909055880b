"""Which operations the differential test does. What is sensible to ask is read from the oracle; what is foolish is asked too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from taskengine.ports.store import Append, ExecutionFilter, InboxAnswer, Mark, Outgoing, Store, Summary, TaskRow, Verdict
from taskengine.testing.conformance.samples import append, summary, task_row, workflow

__all__ = ["Operation", "Operations"]

T = TypeVar("T")

_EXECUTIONS: Final = tuple(f"ex_{number:02}" for number in range(40))
_NODES: Final = ("node_a", "node_b", "node_c", "node_d")
_OWNERS: Final = (*_NODES, "node_a", "node_a", "", "")
_STATUSES: Final = ("running", "waiting", "completed", "failed")
_LABELS: Final = ("", "", "", "1", "2", "1.10", "beta")
_KEYS: Final = tuple(f"key {number}" for number in range(400))
_LAST_INSTANT: Final = 100


class Operation(msgspec.Struct, frozen=True):
    """A call of a store's method."""

    method: str
    arguments: tuple[Any, ...] = ()
    named: dict[str, Any] = {}


Draw: TypeAlias = Callable[[Store], Awaitable[Operation]]


class Operations:
    """Draws one operation after the other; ``learn`` hears what came of each."""

    def __init__(self, choose: Callable[[int], int]) -> None:
        self._choose = choose
        self._last_message = 1
        self._weights: Sequence[tuple[int, Draw]] = (
            (30, self._commit),
            (12, self._read),
            (20, self._own),
            (18, self._message),
            (8, self._catalog),
            (16, self._view),
        )
        self._total = sum(weight for weight, _ in self._weights)

    async def draw(self, oracle: Store) -> Operation:
        """The next operation, fit for what the oracle holds now."""
        left = self._choose(self._total)
        for weight, make in self._weights:
            if left < weight:
                return await make(oracle)
            left -= weight
        raise AssertionError("the weights do not add up")

    def learn(self, operation: Operation, outcome: Any) -> None:
        """Numbers of messages become known when they are sent, and those of an append's when it is committed."""
        if operation.method == "send":
            self._last_message = outcome
        elif operation.method == "commit" and not isinstance(outcome, str):
            batch: Sequence[Append] = operation.arguments[0]
            committed = zip(batch, outcome, strict=True)
            self._last_message += sum(len(one.messages) for one, verdict in committed if verdict is Verdict.COMMITTED)

    # ── chance ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pick(self, values: Sequence[T]) -> T:
        return values[self._choose(len(values))]

    def _some(self, values: Sequence[T], *, most: int) -> list[T]:
        return list(dict.fromkeys(self._pick(values) for _ in range(1 + self._choose(most))))

    def _is_one_in(self, n: int) -> bool:
        return self._choose(n) == 0

    def _instant(self) -> int:
        return self._choose(_LAST_INSTANT)

    def _message_id(self) -> int:
        return max(1, self._last_message + 2 - self._choose(12))

    # ── journal ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _commit(self, oracle: Store) -> Operation:
        wanted = self._some(_EXECUTIONS, most=40 if self._is_one_in(8) else 4)
        known = {stored.summary.execution_id: stored.summary for stored in await oracle.load(wanted)}
        return Operation("commit", ([self._append(execution_id, known.get(execution_id)) for execution_id in wanted],))

    def _append(self, execution_id: str, row: Summary | None) -> Append:
        """Mostly one that goes through, sometimes one with a stale seq or token, a taken mark or an answered message."""
        expected_seq, expected_token = (row.seq, row.token) if row else (0, 1)
        if self._is_one_in(15):
            expected_seq = max(0, expected_seq + self._pick((-1, 1)))
        if self._is_one_in(20):
            expected_token += self._pick((-1, 1))
        events = self._choose(4) if expected_seq else 1 + self._choose(3)
        seq = expected_seq + events
        return append(
            self._row(execution_id, row, seq=seq, token=expected_token + self._is_one_in(6)),
            expected_seq=expected_seq,
            expected_token=expected_token,
            tasks=[self._task(execution_id) for _ in range(self._choose(3))],
            marks=[Mark(self._pick(_KEYS), b"%d" % seq, seq) for _ in range(self._is_one_in(5) + self._is_one_in(20))],
            answers=[InboxAnswer(self._message_id(), b"%d" % seq) for _ in range(self._is_one_in(8))],
            snapshot=b"\x00%d" % seq if self._is_one_in(4) else None,
            messages=[self._outgoing(seq) for _ in range(self._choose(4))] if self._is_one_in(6) else (),
        )

    def _outgoing(self, seq: int) -> Outgoing:
        return Outgoing(self._pick(_EXECUTIONS), b"out %d" % seq, self._instant())

    def _row(self, execution_id: str, row: Summary | None, *, seq: int, token: int) -> Summary:
        is_moved = row is None or self._is_one_in(4)
        owner = self._pick(_OWNERS) if row is None or is_moved else row.owner
        is_finished = owner == "" and self._is_one_in(3)
        return summary(
            execution_id,
            seq=seq,
            token=token,
            workflow_id=row.workflow_id if row and not self._is_one_in(30) else self._pick(("wf_1", "wf_2")),
            status=self._pick(_STATUSES),
            owner=owner,
            wake_at=self._instant() if owner == "" and not is_finished and self._is_one_in(2) else None,
            finished_at=self._instant() if is_finished else None,
            priority=self._choose(10),
            business_key=_business_key(execution_id),
            parent_id=_EXECUTIONS[0] if execution_id.endswith("4") else "",
        )

    def _task(self, execution_id: str) -> TaskRow:
        return task_row(execution_id, self._choose(1_000))

    async def _read(self, oracle: Store) -> Operation:
        match self._choose(4):
            case 0:
                return Operation("heads", (self._some(_EXECUTIONS, most=6),))
            case 1:
                return Operation("answer_of", (self._pick(_KEYS),))
            case _:
                return Operation("load", (self._some(_EXECUTIONS, most=8),))

    # ── ownership, inbox ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _own(self, oracle: Store) -> Operation:
        node_id = self._pick(_NODES)
        match self._choose(9):
            case 8:
                return Operation("release", (self._some(_EXECUTIONS, most=6),), {"by": node_id, "now": self._instant()})
            case 0:
                return Operation("join", (node_id,), {"now": self._instant()})
            case 1:
                return Operation("leave", (node_id,), {"now": self._instant()})
            case 2:
                return Operation("dead_nodes", (node_id,))
            case 3 | 4:
                return Operation("seize", (node_id,), {"by": self._pick(_NODES), "limit": 1 + self._choose(5)})
            case 5:
                return Operation("due", (), {"now": self._instant(), "limit": 1 + self._choose(10)})
            case 6:
                return Operation("other_nodes", (node_id,))
            case _:
                return Operation("changed")

    async def _message(self, oracle: Store) -> Operation:
        match self._choose(4):
            case 0:
                return Operation("send", (self._pick(_EXECUTIONS), b"go %d" % self._choose(100)), {"now": self._instant()})
            case 1:
                after = self._message_id() if self._is_one_in(2) else 0
                return Operation("pending", (self._pick(_NODES),), {"after": after, "limit": 1 + self._choose(10)})
            case 2:
                answers = [InboxAnswer(self._message_id(), b"no %d" % number) for number in range(self._choose(3))]
                return Operation("reply", (answers,))
            case _:
                return Operation("answer", (self._message_id(),))

    # ── catalog, views ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _catalog(self, oracle: Store) -> Operation:
        name, label = self._pick(("orders", "refunds", "audit")), self._pick(_LABELS)
        match self._choose(3):
            case 0:
                document = b"%d" % self._choose(30)
                at = self._instant()
                id_given = f"wf_{self._choose(5)}_{name}"
                return Operation(
                    "put_workflow", (workflow(name, version=label, document=document, created_at=at, workflow_id=id_given),)
                )
            case 1:
                return Operation("workflow", (self._pick((name, f"wf_{self._choose(5)}_{name}")), label))
            case _:
                return Operation("workflows", (), {"limit": 1 + self._choose(4)})

    async def _view(self, oracle: Store) -> Operation:
        match self._choose(4):
            case 0:
                before = self._pick(_EXECUTIONS) if self._is_one_in(2) else ""
                return Operation("executions", (self._filter(),), {"limit": 1 + self._choose(20), "before": before})
            case 1:
                return Operation("count", (self._filter(),))
            case 2:
                named = {"after": self._choose(20), "limit": 1 + self._choose(20)}
                return Operation("events", (self._pick(_EXECUTIONS),), named)
            case _:
                return Operation("tasks", (self._pick(_EXECUTIONS),))

    def _filter(self) -> ExecutionFilter:
        return ExecutionFilter(
            workflow_id=self._pick(("", "", "wf_1", "wf_2")),
            statuses=tuple(self._some(_STATUSES, most=2)) if self._is_one_in(3) else (),
            id_part=self._pick(("", "", "ex_1", "3", "ex_07", "9x")),
            business_key=self._pick(("", "", "order 1", "order 2")),
            is_root=self._pick((None, None, True, False)),
            is_open=self._pick((None, None, True, False)),
            owners=tuple(self._some(_OWNERS, most=2)) if self._is_one_in(3) else (),
        )


def _business_key(execution_id: str) -> str:
    """What it was given at its birth and keeps; some have none."""
    return "" if execution_id.endswith("3") else f"order {execution_id[-1]}"
