"""The journal on SQLite: one transaction a batch, a bounded number of statements a transaction.

``commit`` first bets that every append holds its conditions: it writes them all and looks only at how many rows were changed. When
the bet is lost nothing is kept; it finds out which appends cannot go, and writes the others. Called in the writer's lane; ``load``
and the rest in the reader's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import astuple

from taskengine.adapters.sqlite import statements as sql
from taskengine.adapters.sqlite.connection import Connection, SqliteError, Value, roll_back
from taskengine.adapters.sqlite.failures import is_busy, is_constraint, is_full
from taskengine.errors import InternalError
from taskengine.ports.store import Append, CommitUnknownError, Head, InboxAnswer, Stored, Summary, Verdict

__all__ = ["answer_of", "commit", "heads", "load"]

_EXECUTIONS_AT_ONCE: Final = 500
_encode = msgspec.json.Encoder().encode


# ── commit ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def commit(connection: Connection, batch: Sequence[Append]) -> list[Verdict]:
    """Write what holds its conditions, in one transaction. ``CommitUnknownError`` when SQLite cannot say what became of it."""
    lines = Lines(batch)
    connection.write("BEGIN IMMEDIATE")
    try:
        is_whole = lines.write(connection)
    except SqliteError as error:
        roll_back(connection)
        if not is_constraint(error):
            raise
        is_whole = False
    except BaseException:
        roll_back(connection)
        raise
    if is_whole:
        _end(connection)
        return [Verdict.COMMITTED] * len(batch)
    roll_back(connection)
    return _commit_judged(connection, batch)


class Lines:
    """A batch as parameters, a flat list for each kind of row: built before the transaction, so that the lock is held briefly."""

    def __init__(self, batch: Sequence[Append], *, is_judged: bool = False) -> None:
        self.steps: list[Value] = []
        self.moves: list[Value] = []
        self.events: list[Value] = []
        self.tasks: list[Value] = []
        self.marks: list[Value] = []
        self.snapshots: list[Value] = []
        self.answers: list[InboxAnswer] = []
        self.messages: list[Value] = []
        for append in batch:
            summary = append.summary
            execution_id = summary.execution_id
            seq = append.expected_seq
            is_step = not is_judged and summary.owner != "" and summary.token == append.expected_token
            summaries = self.steps if is_step or seq == 0 else self.moves
            summaries += astuple(summary)
            summaries += (seq, append.expected_token)
            events = self.events
            for body in append.events:
                seq += 1
                events += (execution_id, seq, body)
            assert seq == summary.seq
            if append.tasks:
                for task in append.tasks:
                    self.tasks += astuple(task)
            if append.marks:
                for mark in append.marks:
                    self.marks += (mark.key, mark.answer, mark.created_at)
            if append.snapshot is not None:
                self.snapshots += (execution_id, seq, append.snapshot)
            self.answers += append.answers
            if append.messages:
                for message in append.messages:
                    self.messages += astuple(message)

    def write(self, connection: Connection) -> bool:
        """Whether every row went in; otherwise the transaction must be rolled back."""
        return (
            _insert(connection, sql.STEP_SUMMARY, values=self.steps)
            and _insert(connection, sql.MOVE_SUMMARY, values=self.moves)
            and _insert(connection, sql.INSERT_MARKS, values=self.marks)
            and _insert(connection, sql.INSERT_EVENTS, values=self.events)
            and _insert(connection, sql.INSERT_TASKS, values=self.tasks)
            and _insert(connection, sql.REPLACE_SNAPSHOTS, values=self.snapshots)
            and all(connection.write(sql.ANSWER_MESSAGE, (answer.message_id, answer.answer)) == 1 for answer in self.answers)
            and _insert(connection, sql.INSERT_MESSAGES, values=self.messages)  # after the answers: they are not to these
        )


def _insert(connection: Connection, statement: sql.MultiRow, *, values: list[Value]) -> bool:
    """Whether as many rows were changed as there are in ``values``."""
    start = 0
    for text, rows in statement.pieces(len(values) // statement.width):
        end = start + rows * statement.width
        if connection.write(text, values[start:end]) != rows:
            return False
        start = end
    return True


def _end(connection: Connection) -> None:
    try:
        connection.write("COMMIT")
    except SqliteError as error:
        # Busy: nothing happened yet. Full: the log lacks the frame that makes the transaction one, so it did not take place.
        # Anything else, a failed fsync above all: the frame may be there, and recovery after a crash may find it.
        if connection.in_transaction or is_busy(error) or is_full(error):
            roll_back(connection)
            raise
        raise CommitUnknownError(
            "commit_unknown",
            f"the commit may or may not have taken place: {error}",
            hint="the engine reads again what is there; look at the system's log for what ails the disk",
            sqlite_code=error.code,
        ) from error


def _commit_judged(connection: Connection, batch: Sequence[Append]) -> list[Verdict]:
    """Look at each append on its own, leave out those that cannot go, write the others."""
    connection.write("BEGIN IMMEDIATE")
    try:
        judge = Judge(connection)
        verdicts = [judge.decide(append) for append in batch]
        good = [append for append, verdict in zip(batch, verdicts, strict=True) if verdict is Verdict.COMMITTED]
        is_whole = Lines(good, is_judged=True).write(connection)
        _require(is_whole=is_whole)
    except BaseException:
        roll_back(connection)
        raise
    _end(connection)
    return verdicts


def _require(*, is_whole: bool) -> None:
    if not is_whole:
        raise InternalError("append_refused", "an append was judged good and did not go through")


class Judge:
    """What each append of a batch would meet, those before it included. For the open transaction only."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._marks: set[str] = set()
        self._messages: set[int] = set()

    def decide(self, append: Append) -> Verdict:
        """The verdict; what a good one takes is not there any more for those that follow."""
        messages = [answer.message_id for answer in append.answers]
        marks = [mark.key for mark in append.marks]
        if not self._is_expected(append) or _has_repeats(messages) or not all(map(self._is_pending, messages)):
            return Verdict.CONFLICT
        if _has_repeats(marks) or any(map(self._is_marked, marks)):
            return Verdict.DUPLICATE
        self._messages.update(messages)
        self._marks.update(marks)
        return Verdict.COMMITTED

    def _is_expected(self, append: Append) -> bool:
        execution_id, expected = append.summary.execution_id, append.expected_seq
        fence = self._connection.read(sql.READ_FENCE, (execution_id,))
        return fence == ([(expected, append.expected_token)] if expected else []) and not self._connection.read(
            sql.HAS_EVENT_ABOVE, (execution_id, expected)
        )

    def _is_pending(self, message_id: int) -> bool:
        return message_id not in self._messages and bool(self._connection.read(sql.IS_PENDING, (message_id,)))

    def _is_marked(self, key: str) -> bool:
        return key in self._marks or bool(self._connection.read(sql.ANSWER_OF_MARK, (key,)))


def _has_repeats(values: Sequence[str] | Sequence[int]) -> bool:
    return len(set(values)) < len(values)


# ── read ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def load(connection: Connection, execution_ids: Sequence[str]) -> list[Stored]:
    """Rows, snapshots and what came after them, a few hundred executions in one view of the database at a time."""
    wanted = list(dict.fromkeys(execution_ids))
    found: list[Stored] = []
    for start in range(0, len(wanted), _EXECUTIONS_AT_ONCE):
        connection.write("BEGIN")
        try:
            found += _load_in_view(connection, wanted[start : start + _EXECUTIONS_AT_ONCE])
        finally:
            roll_back(connection)
    return found


def _load_in_view(connection: Connection, wanted: list[str]) -> list[Stored]:
    ids = _encode(wanted).decode()
    summaries = [Summary(*row) for row in connection.read(sql.LOAD_SUMMARIES, (ids,))]
    snapshots = {execution_id: (seq, state) for execution_id, seq, state in connection.read(sql.LOAD_SNAPSHOTS, (ids,))}
    above = {summary.execution_id: snapshots.get(summary.execution_id, (0, None))[0] for summary in summaries}
    # Most parked executions have nothing after their snapshot.
    tails: dict[str, list[bytes]] = {summary.execution_id: [] for summary in summaries}
    behind = [[execution_id, above[execution_id]] for execution_id, seq in map(_end_of, summaries) if seq > above[execution_id]]
    for execution_id, _, body in sorted(connection.read(sql.LOAD_EVENTS, (_encode(behind).decode(),))):
        tails[execution_id].append(body)
    return [
        Stored(
            summary=summary,
            snapshot_seq=above[summary.execution_id],
            snapshot=snapshots.get(summary.execution_id, (0, None))[1],
            events=tails[summary.execution_id],
        )
        for summary in summaries
    ]


def _end_of(summary: Summary) -> tuple[str, int]:
    return summary.execution_id, summary.seq


def heads(connection: Connection, execution_ids: Sequence[str]) -> dict[str, Head]:
    """The ends of the streams."""
    rows = connection.read(sql.HEADS, (_encode(list(execution_ids)).decode(),))
    return {
        execution_id: Head(seq=seq, token=token, owner=owner, last_event=body) for execution_id, seq, token, owner, body in rows
    }


def answer_of(connection: Connection, mark: str) -> bytes | None:
    """The answer that a mark holds."""
    rows = connection.read(sql.ANSWER_OF_MARK, (mark,))
    return rows[0][0] if rows else None
