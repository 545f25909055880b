"""Opening a database: what is asked of it, what is refused, and migrations that may be killed anywhere."""

# ruff: noqa: ASYNC220, ASYNC221, ASYNC240 -- the test's loop has nothing else to do

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.sqlite import SqliteStore
from taskengine.adapters.sqlite.connection import Connection, Row, Value, connect
from taskengine.adapters.sqlite.files import file_system_of
from taskengine.adapters.sqlite.schema import APPLICATION_ID, VERSION, migrations, split
from taskengine.errors import StorageError
from taskengine.testing.conformance.samples import birth, opened
from tests.conformance.seams import Watched, inline


async def refusal(store: SqliteStore) -> StorageError:
    with pytest.raises(StorageError) as refused:
        await store.open()
    await store.close()
    return refused.value


def names_in(path: Path) -> list[str]:
    with sqlite3.connect(path) as database:
        names = [row[0] for row in database.execute("SELECT name FROM sqlite_schema ORDER BY name")]
    database.close()
    return names


# ── durability ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("durability", "expected"), [("full", ("wal", "full")), ("relaxed", ("wal", "normal"))])
async def test_a_store_gets_the_durability_it_asks_for(tmp_path: Path, durability: str, expected: tuple[str, str]) -> None:
    store = inline(tmp_path / "store.db", durability=durability)
    await store.open()
    assert await store.durability() == expected
    await store.close()


@pytest.mark.parametrize(("pragma", "answer"), [("PRAGMA journal_mode = WAL", "delete"), ("PRAGMA synchronous", 1)])
async def test_a_store_that_does_not_get_it_refuses_to_open(tmp_path: Path, pragma: str, answer: Value) -> None:
    class Stubborn(Watched):
        def read(self, sql: str, parameters: Sequence[Value] = (), /) -> list[Row]:
            return [(answer,)] if sql == pragma else super().read(sql, parameters)

    def stubborn(path: Path, *, is_reader: bool) -> Connection:
        return Stubborn(connect(path, is_reader=is_reader), lambda *_: None)

    refused = await refusal(SqliteStore(tmp_path / "store.db", lanes=InlineLane, connect=stubborn))
    assert refused.name == "durability_refused"


async def test_a_reader_cannot_write(tmp_path: Path) -> None:
    async with opened(lambda: inline(tmp_path / "store.db")):
        reader = connect(tmp_path / "store.db", is_reader=True)
        with pytest.raises(Exception, match="readonly"):
            reader.write("DELETE FROM event")
        reader.close()


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = inline(tmp_path / "store.db")
        await store.open()
        await store.join("node_a", now=1)
        await store.commit([birth("ex_1")])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        await store.close()
    finally:
        os.umask(before)
    names = ["store.db", "store.db-ballast", "store.db-node-node_a.lock", "store.db-shm", "store.db-wal"]
    assert modes == dict.fromkeys(names, 0o600)


async def test_a_closed_store_leaves_one_file_and_its_ballast(tmp_path: Path) -> None:
    async with opened(lambda: inline(tmp_path / "store.db")) as store:
        await store.join("node_a", now=1)
        await store.leave("node_a", now=2)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["store.db", "store.db-ballast"]


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.s3fs", "ceph"])
async def test_a_network_file_system_is_refused(tmp_path: Path, kind: str) -> None:
    refused = await refusal(SqliteStore(tmp_path / "store.db", lanes=InlineLane, file_system=lambda _: kind))
    assert refused.name == "network_file_system"
    assert kind in refused.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "xfs", "tmpfs", "overlay", "apfs", "fuseblk", ""])
async def test_a_local_file_system_is_taken(tmp_path: Path, kind: str) -> None:
    async with opened(lambda: SqliteStore(tmp_path / "store.db", lanes=InlineLane, file_system=lambda _: kind)) as store:
        assert await store.load([]) == []


@pytest.mark.parametrize(
    ("place", "kind"),
    [("/", "ext4"), ("/srv/data", "nfs4"), ("/srv/data/deep/er", "nfs4"), ("/srv/database", "xfs"), ("/mnt/a b/c", "cifs")],
)
def test_the_file_system_is_that_of_the_innermost_mount(tmp_path: Path, place: str, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/vda / ext4 rw 0 0\n"
        "/dev/vdb /srv xfs rw 0 0\n"
        "/dev/vdc /srv/data ext4 rw 0 0\n"
        "host:/export /srv/data nfs4 rw 0 0\n"
        "//host/share /mnt/a\\040b cifs rw 0 0\n"
    )
    assert file_system_of(Path(place), mounts=mounts) == kind


def test_where_there_is_no_list_of_mounts_nothing_is_known(tmp_path: Path) -> None:
    assert file_system_of(tmp_path, mounts=tmp_path / "none") == ""


# ── whose database ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE theirs (a)")
    database.close()
    before = path.read_bytes()
    assert (await refusal(inline(path))).name == "not_ours"
    assert path.read_bytes() == before


@pytest.mark.parametrize("pragma", ["application_id = 7", "user_version = 7"])
async def test_a_database_marked_by_another_program_is_refused(tmp_path: Path, pragma: str) -> None:
    path = tmp_path / "store.db"
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA {pragma}")
    database.close()
    assert (await refusal(inline(path))).name == "not_ours"


async def test_a_newer_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(lambda: inline(path)):
        pass
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    refused = await refusal(inline(path))
    assert refused.name == "database_newer"
    assert refused.facts == {"version": VERSION + 1}


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"name: weather\n" * 1_000)
    assert (await refusal(inline(tmp_path / "store.db"))).name == "not_a_database"


@pytest.mark.parametrize("place", ["missing/store.db", "."])
async def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path, place: str) -> None:
    assert (await refusal(inline(tmp_path / place))).name == "database_not_accessible"


async def test_a_refused_store_opens_once_the_reason_is_gone(tmp_path: Path) -> None:
    store = inline(tmp_path / "later" / "store.db")
    with pytest.raises(StorageError):
        await store.open()
    (tmp_path / "later").mkdir()
    await store.open()
    await store.commit([birth("ex_1")])
    await store.close()


# ── migrations ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_migrations_are_numbered_without_gaps_up_to_the_version() -> None:
    assert [number for number, _ in migrations()] == list(range(1, VERSION + 1))


def test_scripts_are_split_between_statements_only() -> None:
    script = (
        "-- what; it is\nCREATE TABLE a (b); -- note\nCREATE TRIGGER t AFTER INSERT ON a\nBEGIN\n SELECT ';';\n SELECT 2;\nEND;\n"
    )
    first, second = split(script)
    assert first.startswith("CREATE TABLE a (b);")
    assert (second.startswith("CREATE TRIGGER"), second.endswith("END;")) == (True, True)


def test_a_script_that_ends_inside_a_statement_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="unfinished"):
        split("CREATE TABLE a (b);\nCREATE TABLE c (\n")


async def test_stores_that_open_a_new_file_at_once_all_open_it(tmp_path: Path) -> None:
    children = [
        subprocess.Popen([sys.executable, "-m", "tests.conformance.children", "open", str(tmp_path / "store.db")]) for _ in range(4)
    ]
    assert [child.wait(60) for child in children] == [0, 0, 0, 0]
    assert "execution" in names_in(tmp_path / "store.db")


def names_after(last: int) -> list[str]:
    """What a database holds after the first migrations."""
    with sqlite3.connect(":memory:") as database:
        for number, statements in migrations():
            if number <= last:
                database.executescript(";\n".join(statements))
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema ORDER BY name")]
    database.close()
    return names


@pytest.mark.processes
async def test_a_migration_may_be_killed_at_every_statement(tmp_path: Path) -> None:
    """A child forks one process for each statement of a first opening; each kills itself there, and the file opens afterwards."""
    child = [sys.executable, "-m", "tests.conformance.children", "kill-migrations", str(tmp_path)]
    done = subprocess.run(child, check=True, stdout=subprocess.PIPE, text=True)
    killed = [int(line) for line in done.stdout.split()]
    assert killed == [-signal.SIGKILL] * len(killed)
    assert len(killed) > sum(len(statements) for _, statements in migrations())
    async with opened(lambda: inline(tmp_path / "whole.db")):
        pass
    stages = [[], *(names_after(number) for number, _ in migrations())]
    assert stages[-1] == names_in(tmp_path / "whole.db")
    for number in range(len(killed)):
        path = tmp_path / f"{number}.db"
        before = names_in(path)
        assert before in stages, "a part of a migration is there"
        async with opened(lambda path=path: inline(path)) as store:
            await store.commit([birth("ex_1")])
        assert names_in(path) == names_in(tmp_path / "whole.db")
        with sqlite3.connect(path) as database:
            assert database.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
            assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()
