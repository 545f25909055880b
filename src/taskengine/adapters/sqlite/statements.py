"""Every SQL statement of the SQLite store but its schema, named, in one place. Values are always bound.

sqlite3 gives up the interpreter's lock at each step of a statement, and beside a thread that computes it then waits for the lock as
long as that thread may keep it. A step that reads one row is over before the other thread wakes; one that writes is not. So writes
are bounded in statements, not in rows: many rows go into one, of a few fixed sizes, so that each is prepared once.
"""

# ruff: noqa: S608 -- the texts are put together from our own constants; values are bound

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from taskengine.ports.store import LogLine, Summary, TaskRow

__all__ = ["MultiRow"]

_ALL_SIZES_BELOW: Final = 32
_LARGEST: Final = 512


class MultiRow:
    """An insert of many rows: at most two statements for any count up to ``_LARGEST``, of 47 different ones."""

    def __init__(self, head: str, *, width: int, tail: str = "") -> None:
        self.width = width
        self._head = head
        self._tail = tail
        self._texts: dict[int, str] = {}

    def pieces(self, count: int) -> Iterator[tuple[str, int]]:
        """The statements that together insert ``count`` rows, each with its number of rows."""
        while count:
            size = min(count - count % _ALL_SIZES_BELOW, _LARGEST) or count
            yield self._texts.get(size) or self._text(size), size
            count -= size

    def _text(self, size: int) -> str:
        # Kept, so that the connection finds its prepared statement by the same string.
        row = f"({', '.join('?' * self.width)})"
        text = self._texts[size] = f"{self._head} VALUES {', '.join([row] * size)} {self._tail}".rstrip()
        return text


def _assignments(names: tuple[str, ...]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in names)


# ── commit ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

_SUMMARY: Final = Summary.__struct_fields__
_SUMMARY_COLUMNS: Final = ", ".join(_SUMMARY)
_FENCED: Final = (*_SUMMARY, "prior_seq", "prior_token")
_INDEXED: Final = frozenset({"execution_id", "workflow_id", "owner", "wake_at", "finished_at", "business_key", "parent_id"})
_UNINDEXED: Final = tuple(name for name in _FENCED if name not in _INDEXED)
_FENCE: Final = """
    excluded.prior_seq <> 0 AND execution.seq = excluded.prior_seq AND execution.token = excluded.prior_token"""

# A birth, or a step of an execution that stays with its owner: indexed columns must be as they were and are not touched.
# (The business key and the parent stay what they were at birth, so they need not be compared.)
STEP_SUMMARY: Final = MultiRow(
    f"INSERT INTO execution ({', '.join(_FENCED)})",
    width=len(_FENCED),
    tail=f"""ON CONFLICT (execution_id) DO UPDATE SET {_assignments(_UNINDEXED)}
    WHERE {_FENCE} AND execution.owner = excluded.owner AND execution.workflow_id = excluded.workflow_id
    AND execution.wake_at IS excluded.wake_at AND execution.finished_at IS excluded.finished_at""",
)
# Any other append: parked, taken, finished, given to another node.
MOVE_SUMMARY: Final = MultiRow(
    f"INSERT INTO execution ({', '.join(_FENCED)})",
    width=len(_FENCED),
    tail=f"ON CONFLICT (execution_id) DO UPDATE SET {_assignments(_FENCED[1:])} WHERE {_FENCE}",
)
INSERT_EVENTS: Final = MultiRow("INSERT INTO event (execution_id, seq, body)", width=3)
INSERT_TASKS: Final = MultiRow(
    f"INSERT INTO task ({', '.join(TaskRow.__struct_fields__)})",
    width=len(TaskRow.__struct_fields__),
)
INSERT_MARKS: Final = MultiRow("INSERT INTO mark (key, answer, created_at)", width=3, tail="ON CONFLICT (key) DO NOTHING")
REPLACE_SNAPSHOTS: Final = MultiRow(
    "INSERT INTO snapshot (execution_id, seq, state)",
    width=3,
    tail="ON CONFLICT (execution_id) DO UPDATE SET seq = excluded.seq, state = excluded.state",
)
INSERT_MESSAGES: Final = MultiRow("INSERT INTO inbox (execution_id, body, created_at)", width=3)
ANSWER_MESSAGE: Final = "UPDATE inbox SET answer = ?2 WHERE message_id = ?1 AND answer IS NULL"

# Asked for one append at a time, after a batch did not go through whole.
READ_FENCE: Final = "SELECT seq, token FROM execution WHERE execution_id = ?"
HAS_EVENT_ABOVE: Final = "SELECT 1 FROM event WHERE execution_id = ? AND seq > ? LIMIT 1"
IS_PENDING: Final = "SELECT 1 FROM inbox WHERE message_id = ? AND answer IS NULL"

# ── load ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

# ?1 is a JSON array of ids, so that one statement fits any number of them.
_WANTED: Final = "(SELECT value FROM json_each(?1))"
LOAD_SUMMARIES: Final = f"SELECT {_SUMMARY_COLUMNS} FROM execution WHERE execution_id IN {_WANTED}"
LOAD_SNAPSHOTS: Final = f"SELECT execution_id, seq, state FROM snapshot WHERE execution_id IN {_WANTED}"
# ?1 is a JSON array of [execution_id, seq]: the events above that. The id comes from there: the row's own may be damaged.
LOAD_EVENTS: Final = """
SELECT json_extract(wanted.value, '$[0]'), event.seq, event.body FROM json_each(?1) AS wanted
CROSS JOIN event ON event.execution_id = json_extract(wanted.value, '$[0]') AND event.seq > json_extract(wanted.value, '$[1]')"""
HEADS: Final = f"""
SELECT execution.execution_id, execution.seq, execution.token, execution.owner, coalesce(event.body, x'')
FROM execution LEFT JOIN event ON event.execution_id = execution.execution_id AND event.seq = execution.seq
WHERE execution.execution_id IN {_WANTED}"""
ANSWER_OF_MARK: Final = "SELECT answer FROM mark WHERE key = ?"

# ── ownership ────────────────────────────────────────────────────────────────────────────────────────────────────────────

ADD_NODE: Final = (
    "INSERT INTO node (node_id, joined_at) VALUES (?, ?) ON CONFLICT (node_id) DO UPDATE SET joined_at = excluded.joined_at"
)
FORGET_NODE: Final = "DELETE FROM node WHERE node_id = ?"
IS_NODE: Final = "SELECT 1 FROM node WHERE node_id = ?"
OTHER_NODES: Final = "SELECT node_id FROM node WHERE node_id <> ? ORDER BY node_id"
COUNT_OTHER_NODES: Final = "SELECT count(*) FROM node WHERE node_id <> ?"

_OWNED: Final = "owner = ?1 AND owner <> '' AND finished_at IS NULL"
GIVE_BACK: Final = f"UPDATE execution SET owner = '', wake_at = ?2 WHERE {_OWNED}"
OWNED: Final = f"SELECT execution_id FROM execution WHERE {_OWNED} ORDER BY execution_id LIMIT ?2"
RELEASE: Final = (
    f"UPDATE execution SET owner = '', wake_at = ?3 WHERE {_OWNED} AND execution_id IN (SELECT value FROM json_each(?2))"
)
SEIZE: Final = f"UPDATE execution SET owner = ?2, token = token + 1 WHERE execution_id IN {_WANTED}"

DUE: Final = """
SELECT execution_id FROM execution
WHERE wake_at IS NOT NULL AND wake_at <= ?1 AND owner = '' ORDER BY wake_at, execution_id LIMIT ?2"""
NEXT_WAKE: Final = """
SELECT wake_at FROM execution WHERE wake_at IS NOT NULL AND wake_at > ? AND owner = '' ORDER BY wake_at LIMIT 1"""
DATA_VERSION: Final = "PRAGMA data_version"

# ── inbox ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

SEND: Final = "INSERT INTO inbox (execution_id, body, created_at) VALUES (?, ?, ?) RETURNING message_id"
PENDING: Final = """
SELECT inbox.message_id, inbox.execution_id, inbox.body
FROM inbox LEFT JOIN execution ON execution.execution_id = inbox.execution_id
WHERE inbox.answer IS NULL AND inbox.message_id > ?2 AND coalesce(execution.owner, '') IN ('', ?1)
ORDER BY inbox.message_id LIMIT ?3"""
ANSWER: Final = "SELECT answer FROM inbox WHERE message_id = ?"

# ── catalog ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

_WORKFLOW: Final = "workflow_id, name, version, document, source, created_at"
ADD_WORKFLOW: Final = f"INSERT INTO workflow ({_WORKFLOW}) VALUES (?, ?, ?, ?, ?, ?)"
READ_WORKFLOW: Final = f"SELECT {_WORKFLOW} FROM workflow WHERE name = ? AND version = ?"
VERSIONS: Final = "SELECT version, created_at FROM workflow WHERE name = ?"
WHOLE_VERSIONS: Final = f"SELECT {_WORKFLOW} FROM workflow WHERE name = ?"
NAME_OF_WORKFLOW: Final = (
    "SELECT name FROM workflow WHERE name = ?1 UNION ALL SELECT name FROM workflow WHERE workflow_id = ?1 LIMIT 1"
)
WORKFLOW_NAMES: Final = "SELECT DISTINCT name FROM workflow ORDER BY name LIMIT ?"

# ── views ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

EXECUTIONS: Final = f"SELECT {_SUMMARY_COLUMNS} FROM execution"
COUNT_EXECUTIONS: Final = "SELECT count(*) FROM execution"
NEWEST_FIRST: Final = "ORDER BY execution_id DESC LIMIT ?"
OF_WORKFLOW: Final = "workflow_id = ?"
IS_ROOT: Final = "parent_id = ''"
IS_CHILD: Final = "parent_id <> ''"
OF_BUSINESS_KEY: Final = "business_key = ? AND business_key <> ''"  # in the words of the index
IS_OPEN: Final = "finished_at IS NULL"
IS_FINISHED: Final = "finished_at IS NOT NULL"
ID_PART: Final = "(substr(execution_id, 1, length(?)) = ? OR substr(execution_id, -length(?)) = ?)"
BELOW: Final = "execution_id < ?"


def one_of(column: str, count: int) -> str:
    """A condition on one of our own columns with ``count`` bound values."""
    return f"{column} IN ({', '.join('?' * count)})"


EVENTS: Final = "SELECT seq, body FROM event WHERE execution_id = ? AND seq > ? ORDER BY seq LIMIT ?"
TASKS: Final = f"SELECT {', '.join(TaskRow.__struct_fields__)} FROM task WHERE execution_id = ? ORDER BY task_row_id"

# ── logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

_LOG: Final = LogLine.__struct_fields__[:-1]
INSERT_LOGS: Final = MultiRow(f"INSERT INTO log ({', '.join(_LOG)})", width=len(_LOG))
LOGS: Final = f"""
SELECT {", ".join(_LOG)}, log_id FROM log
WHERE execution_id = ?1 AND log_id > ?2 AND (?3 IS NULL OR task = ?3) ORDER BY log_id LIMIT ?4"""

# ── for measurements ─────────────────────────────────────────────────────────────────────────────────────────────────────

JOURNAL_MODE: Final = "PRAGMA journal_mode"
SYNCHRONOUS: Final = "PRAGMA synchronous"
COUNT_ROWS: Final = {table: f"SELECT count(*) FROM {table}" for table in ("execution", "event", "task", "snapshot", "mark")}

# ── upkeep ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

INTEGRITY: Final = "PRAGMA integrity_check(20)"
# Ended before ?1, and nobody waits for an answer about it. ?2: how many at a time.
PRUNABLE: Final = """
SELECT execution_id FROM execution WHERE finished_at IS NOT NULL AND finished_at < ?1
AND NOT EXISTS (SELECT 1 FROM inbox WHERE inbox.execution_id = execution.execution_id AND inbox.answer IS NULL)
ORDER BY execution_id LIMIT ?2"""
COUNT_PRUNABLE: Final = f"SELECT count(*) FROM ({PRUNABLE})"
# ?1 is a JSON array of ids. Marks of commands are `command:<id>:…`; those of starts hold the id as their answer.
PRUNE: Final = (
    f"DELETE FROM event WHERE execution_id IN {_WANTED}",
    f"DELETE FROM task WHERE execution_id IN {_WANTED}",
    f"DELETE FROM snapshot WHERE execution_id IN {_WANTED}",
    f"DELETE FROM inbox WHERE execution_id IN {_WANTED}",
    f"DELETE FROM log WHERE execution_id IN {_WANTED}",
    f"""DELETE FROM mark WHERE key >= 'command:' AND key < 'command;'
    AND substr(key, 9, instr(substr(key, 9), ':') - 1) IN {_WANTED}""",
    f"DELETE FROM mark WHERE key >= 'start:' AND key < 'start;' AND CAST(answer AS TEXT) IN {_WANTED}",
    f"DELETE FROM execution WHERE execution_id IN {_WANTED}",
)
