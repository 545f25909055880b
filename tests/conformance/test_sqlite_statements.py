"""How SQLite runs our statements: by an index, in a bounded number, whatever the batch."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from taskengine.adapters.sqlite import statements as sql
from taskengine.adapters.sqlite.statements import MultiRow
from taskengine.ports.store import InboxAnswer, Summary, TaskRow, Verdict
from taskengine.testing.conformance.samples import NewStore, append, birth, follow, mark, opened, outgoing, summary, task_row
from tests.conformance.seams import Seam, inline

# Table and index that each hot statement must go by.
CHOSEN: dict[str, list[tuple[str, str]]] = {
    "READ_FENCE": [("execution", "PRIMARY KEY")],
    "HAS_EVENT_ABOVE": [("event", "event_seq (execution_id=? AND seq>?)")],
    "IS_PENDING": [("inbox", "PRIMARY KEY")],
    "ANSWER_MESSAGE": [("inbox", "PRIMARY KEY")],
    "ANSWER": [("inbox", "PRIMARY KEY")],
    "ANSWER_OF_MARK": [("mark", "PRIMARY KEY")],
    "LOAD_SUMMARIES": [("execution", "PRIMARY KEY")],
    "LOAD_SNAPSHOTS": [("snapshot", "(execution_id=?)")],
    "LOAD_EVENTS": [("event", "event_seq (execution_id=? AND seq>?)")],
    "HEADS": [("execution", "PRIMARY KEY"), ("event", "event_seq (execution_id=? AND seq=?)")],
    "OWNED": [("execution", "execution_owned (owner=?)")],
    "GIVE_BACK": [("execution", "execution_owned (owner=?)")],
    "RELEASE": [("execution", "execution_id=?)")],
    "SEIZE": [("execution", "PRIMARY KEY")],
    "DUE": [("execution", "execution_wake (wake_at>? AND wake_at<?)")],
    "NEXT_WAKE": [("execution", "execution_wake (wake_at>?)")],
    "FORGET_NODE": [("node", "PRIMARY KEY")],
    "IS_NODE": [("node", "PRIMARY KEY")],
    "PENDING": [("inbox", "inbox_pending (message_id>?)"), ("execution", "PRIMARY KEY")],
    "READ_WORKFLOW": [("workflow", "(name=? AND version=?)")],
    "VERSIONS": [("workflow", "(name=?)")],
    "WHOLE_VERSIONS": [("workflow", "(name=?)")],
    "NAME_OF_WORKFLOW": [("workflow", "(name=?)"), ("workflow", "workflow_id (workflow_id=?)")],
    "EVENTS": [("event", "event_seq (execution_id=? AND seq>?)")],
    "LOGS": [("log", "log_execution (execution_id=? AND rowid>?)")],
    "TASKS": [("task", "task_execution (execution_id=?)")],
}
# Lists for people are read along an index, in its order, until the page is full.
LISTS = {
    "": "SCAN execution",
    f"WHERE {sql.BELOW}": "PRIMARY KEY (execution_id<?)",
    f"WHERE {sql.OF_WORKFLOW}": "execution_workflow (workflow_id=?)",
    f"WHERE {sql.OF_WORKFLOW} AND {sql.BELOW}": "execution_workflow (workflow_id=? AND execution_id<?)",
}


@pytest.fixture
def new_store(tmp_path: Path) -> NewStore:
    return lambda: inline(tmp_path / "store.db")


async def plan(directory: Path, statement: str) -> list[str]:
    async with opened(lambda: inline(directory / "store.db")):
        database = sqlite3.connect(directory / "store.db")
        count = max([int(number) for number in re.findall(r"\?(\d)", statement)], default=statement.count("?"))
        details = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", [None] * count)]
        database.close()
    return details


@pytest.mark.parametrize("name", list(CHOSEN))
async def test_a_hot_statement_goes_by_its_index(tmp_path: Path, name: str) -> None:
    details = await plan(tmp_path, getattr(sql, name))
    for table, index in CHOSEN[name]:
        assert any(detail.startswith(f"SEARCH {table} USING") and index in detail for detail in details), details
    slow = re.compile(r"SCAN (execution|event|task|log|snapshot|mark|inbox|workflow|node)\b|.*TEMP B-TREE")
    assert not [detail for detail in details if slow.match(detail)], details


@pytest.mark.parametrize("where", list(LISTS))
async def test_a_list_is_read_in_order_and_not_sorted(tmp_path: Path, where: str) -> None:
    (detail,) = await plan(tmp_path, f"{sql.EXECUTIONS} {where} {sql.NEWEST_FIRST}")
    assert LISTS[where] in detail


def test_every_hot_statement_is_on_the_list() -> None:
    lists = {"EXECUTIONS", "COUNT_EXECUTIONS", "COUNT_OTHER_NODES", "OTHER_NODES", "WORKFLOW_NAMES", "PRUNABLE", "COUNT_PRUNABLE"}
    looking = {
        name
        for name, value in vars(sql).items()
        if isinstance(value, str) and not name.startswith("_") and value.strip().startswith(("SELECT", "UPDATE", "DELETE"))
    }
    assert looking - lists == set(CHOSEN)


# ── the number of statements ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("count", [1, 20, 200, 500])
async def test_the_number_of_statements_does_not_grow_with_the_batch(tmp_path: Path, count: int) -> None:
    births = [
        append(
            summary(f"ex_{number:03}", seq=2),
            expected_seq=0,
            tasks=[task_row(f"ex_{number:03}", number)],
            marks=[mark(f"key {number}")],
            snapshot=b"{}",
            messages=[outgoing("ex_other", b"go")],
        )
        for number in range(count)
    ]
    steps = [follow(first.summary, events=1, owner="" if number % 2 else "node_a") for number, first in enumerate(births)]
    seam = Seam()
    async with opened(lambda: inline(tmp_path / "store.db", seam)) as store:
        for batch in (births, steps):
            seam.statements.clear()
            assert await store.commit(batch) == [Verdict.COMMITTED] * count
            kinds = len({statement.split("VALUES")[0] for statement in seam.statements})
            # At most two for each kind of row, and one more where there are more rows than the largest statement takes.
            assert len(seam.statements) <= 2 * kinds + 1


def test_any_number_of_rows_is_cut_into_few_pieces_that_add_up() -> None:
    statement = MultiRow("INSERT INTO t (a, b)", width=2, tail="ON CONFLICT DO NOTHING")
    texts: set[str] = set()
    for count in range(1_025):
        pieces = list(statement.pieces(count))
        texts.update(text for text, _ in pieces)
        assert sum(size for _, size in pieces) == count
        assert len(pieces) <= 2 + count // 512
        assert all(text.count("(?, ?)") == size for text, size in pieces)
    assert len(texts) == 47


async def test_a_step_that_stays_with_its_owner_writes_no_index_of_executions(tmp_path: Path) -> None:
    """By the program that SQLite compiles: only the statement for moves opens the indexes on owner and wake_at for writing."""
    async with opened(lambda: inline(tmp_path / "store.db")):
        database = sqlite3.connect(tmp_path / "store.db")
        roots = dict(database.execute("SELECT name, rootpage FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'execution'"))

        def deletes(statement: MultiRow) -> set[str]:
            """Indexes from which the update part takes the old entry."""
            ((text, _),) = statement.pieces(1)
            program = database.execute(f"EXPLAIN {text}", [None] * statement.width).fetchall()
            cursors = {row[2]: name for row in program if row[1] == "OpenWrite" for name, root in roots.items() if row[3] == root}
            return {cursors[row[2]] for row in program if row[1] in {"IdxDelete", "Delete"} and row[2] in cursors}

        assert deletes(sql.STEP_SUMMARY).isdisjoint({"execution_owned", "execution_wake", "execution_workflow"})
        assert deletes(sql.MOVE_SUMMARY) >= {"execution_owned", "execution_wake", "execution_workflow"}
        database.close()


async def test_only_appends_that_move_an_execution_use_the_statement_for_moves(tmp_path: Path) -> None:
    seam = Seam()
    first = birth("ex_1")
    step = follow(first.summary)
    parked = follow(step.summary, owner="", wake_at=5)
    taken = follow(parked.summary, owner="node_b", wake_at=None, token=2)
    async with opened(lambda: inline(tmp_path / "store.db", seam)) as store:
        used: list[str] = []
        for change in (first, step, parked, taken):
            seam.statements.clear()
            assert await store.commit([change]) == [Verdict.COMMITTED]
            used += [statement for statement in seam.statements if "INTO execution" in statement]
    ((steps, _),), ((moves, _),) = sql.STEP_SUMMARY.pieces(1), sql.MOVE_SUMMARY.pieces(1)
    assert used == [steps, steps, moves, moves]


# ── the rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_columns_are_the_fields_of_the_port(tmp_path: Path) -> None:
    async with opened(lambda: inline(tmp_path / "store.db")):
        database = sqlite3.connect(tmp_path / "store.db")
        columns = {table: [row[1] for row in database.execute(f"PRAGMA table_info({table})")] for table in ("execution", "task")}
        database.close()
    assert sorted(columns["execution"]) == sorted([*Summary.__struct_fields__, "prior_seq", "prior_token"])
    assert columns["task"] == ["task_row_id", *TaskRow.__struct_fields__]


async def test_a_batch_that_is_refused_in_part_reads_before_it_writes_again(tmp_path: Path) -> None:
    seam = Seam()
    async with opened(lambda: inline(tmp_path / "store.db", seam)) as store:
        first = birth("ex_1")
        await store.commit([first])
        seam.statements.clear()
        stale = append(summary("ex_1", seq=1), expected_seq=0, answers=[InboxAnswer(1, b"")])
        assert await store.commit([stale, birth("ex_2")]) == [Verdict.CONFLICT, Verdict.COMMITTED]
        begun = [index for index, statement in enumerate(seam.statements) if statement == "BEGIN IMMEDIATE"]
        assert len(begun) == 2
        assert seam.statements[begun[1] - 1] == "ROLLBACK"
        assert seam.statements[begun[1] + 1] == sql.READ_FENCE
        assert seam.statements[-1] == "COMMIT"
