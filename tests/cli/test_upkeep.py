"""Upkeep: a doctor that finds what is wrong, a check that reads everything, a copy of one moment, and forgetting."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from taskengine.cli.main import cli
from tests.cli.programs import Folder

Run = Callable[..., Result]


@pytest.fixture
def te(past: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Commands on a copy of the database with three executions."""
    shutil.copy(past.path / ".task-engine" / "engine.db", tmp_path / "work.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASK_ENGINE_DB", "work.db")
    return lambda *words: CliRunner().invoke(cli, words)


def looked_at(te: Run, *words: str) -> dict[str, Any]:
    found = json.loads(te("doctor", "-o", "json", *words).stdout)
    return {one["name"]: (one["level"], one["hint"]) for one in found["items"]}


def test_a_doctor_finds_nothing_where_everything_is_fine(te: Run) -> None:
    te("instance", "list")  # makes what lies beside the database
    result = te("doctor")
    assert result.exit_code == 0
    assert "3 executions, 1 open" in result.stdout
    assert {level for level, _ in looked_at(te).values()} <= {"ok", "warn"}


def test_a_doctor_makes_no_database(te: Run, tmp_path: Path) -> None:
    assert looked_at(te, "--db", "absent/x.db")["database"] == (
        "warn",
        "task-engine run FILE makes it; --db or TASK_ENGINE_DB names another one",
    )
    assert not (tmp_path / "absent").exists()


def test_a_doctor_fails_on_a_file_that_is_no_database(te: Run, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_bytes(b"not a database, but long enough to be read as one " * 100)
    result = te("doctor", "--db", "text.db", "-o", "name")
    assert (result.exit_code, "database" in result.stdout.split()) == (6, True)


def test_a_doctor_sees_executions_whose_process_is_gone_and_stray_locks(te: Run, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "work.db") as connection:
        connection.execute("INSERT INTO node VALUES ('node_gone', 0)")
        connection.execute("UPDATE execution SET owner = 'node_gone', wake_at = NULL WHERE finished_at IS NULL")
    connection.close()
    (tmp_path / "work.db-node-node_stray.lock").touch()
    found = looked_at(te)
    assert found["orphans"][0] == "warn"
    assert "task-engine run --resume ID" in found["orphans"][1]
    assert found["locks"][0] == "warn"


def test_a_doctor_sees_a_clock_that_went_back(te: Run, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "work.db") as connection:
        connection.execute("UPDATE execution SET updated_at = updated_at + 86400000000")
    connection.close()
    assert looked_at(te)["clock"][0] == "warn"


def test_a_whole_database_holds_and_a_changed_row_does_not(te: Run, tmp_path: Path) -> None:
    result = te("db", "check", "-o", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"executions": 3, "events": 13, "problems": []}
    with sqlite3.connect(tmp_path / "work.db") as connection:
        connection.execute("UPDATE execution SET status = 'completed' WHERE status = 'failed'")
    connection.close()
    result = te("db", "check")
    assert result.exit_code == 6
    assert "the row says completed, the history failed" in result.stdout
    assert te("db", "check", "--quick").exit_code == 0  # the file itself is whole


def test_a_lost_event_is_found(te: Run, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "work.db") as connection:
        connection.execute("DELETE FROM event WHERE execution_id = (SELECT min(execution_id) FROM execution) AND seq = 2")
    connection.close()
    result = te("db", "check")
    assert result.exit_code == 6
    assert "✖ wrong  ex_" in result.stdout


def test_a_damaged_page_is_found(te: Run, tmp_path: Path) -> None:
    file = tmp_path / "work.db"
    data = bytearray(file.read_bytes())
    data[4096 : 4096 + 2048] = b"\xff" * 2048
    file.write_bytes(data)
    assert te("db", "check", "--quick").exit_code == 6


def test_a_copy_holds_the_same_and_nothing_lies_beside_it(te: Run, tmp_path: Path) -> None:
    assert te("db", "backup", "copy.db").exit_code == 0
    assert sorted(file.name for file in tmp_path.iterdir() if file.name.startswith("copy")) == ["copy.db"]
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert te("instance", "list", "-o", "json", "--db", "copy.db").stdout == te("instance", "list", "-o", "json").stdout
    assert te("db", "check", "--db", "copy.db").exit_code == 0


def test_a_copy_replaces_nothing_unless_it_is_told_to(te: Run, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine", encoding="utf-8")
    refused = te("db", "backup", "copy.db", "-o", "json")
    assert (refused.exit_code, json.loads(refused.stderr)["error"]["name"]) == (5, "file_exists")
    assert (tmp_path / "copy.db").read_text(encoding="utf-8") == "mine"
    assert te("db", "backup", "--force", "copy.db").exit_code == 0
    assert te("db", "backup", "--force", "work.db").exit_code == 5  # never onto itself
    assert te("db", "backup", "absent/copy.db").exit_code == 6


def test_only_what_has_ended_long_enough_ago_is_forgotten(te: Run) -> None:
    assert json.loads(te("db", "prune", "--older-than", "1h", "-o", "json").stdout) == {"executions": 0, "is_dry_run": False}
    assert te("db", "prune", "--older-than", "1ms", "--dry-run").stdout == "2 executions would be forgotten\n"
    assert len(te("instance", "list", "-o", "name").stdout.split()) == 3
    assert te("db", "prune", "--older-than", "1ms").stdout == "forgotten: 2 executions\n"
    (left,) = te("instance", "list", "-o", "name").stdout.split()
    assert te("instance", "status", left).exit_code == 0
    assert te("db", "check").stdout.endswith("; every history holds: 1 execution, 3 events\n")
    assert te("db", "check").exit_code == 0
    assert te("db", "prune", "--older-than", "soon").exit_code == 2


def test_nothing_is_left_of_what_was_forgotten(te: Run, tmp_path: Path) -> None:
    gone = te("instance", "list", "--status", "completed,failed", "-o", "name").stdout.split()
    with sqlite3.connect(tmp_path / "work.db") as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        connection.execute("INSERT INTO mark VALUES (?, x'', 0)", (f"command:{gone[0]}:signal:once",))
        connection.execute("INSERT INTO mark VALUES ('start:mine', ?, 0)", (gone[0].encode(),))
        connection.execute("INSERT INTO mark VALUES ('start:other', x'6578', 0)")
    connection.close()
    assert te("db", "prune", "--older-than", "1ms").exit_code == 0
    with sqlite3.connect(tmp_path / "work.db") as connection:
        for table in tables:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            if "execution_id" in columns:
                rows = {one for (one,) in connection.execute(f"SELECT DISTINCT execution_id FROM {table}")}
                assert not rows & set(gone), table
        assert [key for (key,) in connection.execute("SELECT key FROM mark")] == ["start:other"]
    connection.close()
