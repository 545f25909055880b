"""Nodes on one file: locks that the operating system keeps, and what becomes of a node that is killed."""

# ruff: noqa: ASYNC220, ASYNC240 -- the test's loop has nothing else to do

from __future__ import annotations

import asyncio
import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from taskengine.adapters.sqlite.locks import NodeLocks
from taskengine.errors import InternalError
from taskengine.testing.conformance.samples import birth, opened
from tests.amounts import amount
from tests.conformance.seams import inline

LOCKED = "store.db-node-node_a.lock"


@pytest.mark.processes
async def test_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(lambda: inline(path)) as store:
        await store.join("node_b", now=1)
        child = [sys.executable, "-m", "tests.conformance.children", "live", str(path), "node_a"]
        with subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as alive:
            assert alive.stdout is not None
            alive.stdout.readline()
            assert await store.changed()
            assert await store.other_nodes("node_b") == 1
            assert await store.dead_nodes("node_b") == []
            assert await store.seize("node_a", by="node_b", limit=10) == []
            alive.kill()
        assert await store.dead_nodes("node_b") == ["node_a"]
        assert (tmp_path / LOCKED).exists()
        assert await store.seize("node_a", by="node_b", limit=10) == ["ex_0", "ex_1", "ex_2"]
        assert {head.owner for head in (await store.heads(["ex_0", "ex_1", "ex_2"])).values()} == {"node_b"}
        assert await store.dead_nodes("node_b") == []
        assert not (tmp_path / LOCKED).exists()


def test_a_lock_is_held_by_one_and_seen_by_the_others(tmp_path: Path) -> None:
    left, right = NodeLocks(tmp_path / "store.db"), NodeLocks(tmp_path / "store.db")
    assert left.take("node_a")
    assert left.take("node_a")
    assert not right.take("node_a")
    assert (left.is_dead("node_a"), right.is_dead("node_a")) == (False, False)
    left.close()
    assert right.is_dead("node_a")
    assert (tmp_path / LOCKED).exists()
    assert right.take("node_a")
    right.drop("node_a")
    assert not (tmp_path / LOCKED).exists()


def test_lookers_do_not_take_each_other_for_the_owner(tmp_path: Path) -> None:
    owner, looker = NodeLocks(tmp_path / "store.db"), NodeLocks(tmp_path / "store.db")
    owner.take("node_a")
    owner.close()
    with (tmp_path / LOCKED).open("rb") as seen_by_another:
        fcntl.flock(seen_by_another, fcntl.LOCK_SH)
        assert looker.is_dead("node_a")
        with looker.hold_dead("node_a") as is_held:
            assert not is_held
    with looker.hold_dead("node_a") as is_held:
        assert is_held
        assert not owner.is_dead("node_a")


def test_a_living_nodes_lock_cannot_be_held_for_dead(tmp_path: Path) -> None:
    owner, other = NodeLocks(tmp_path / "store.db"), NodeLocks(tmp_path / "store.db")
    owner.take("node_a")
    for locks in (owner, other):
        with locks.hold_dead("node_a") as is_dead:
            assert not is_dead
    assert owner.is_held("node_a")
    owner.close()


def test_a_lock_without_its_file_is_nobodys(tmp_path: Path) -> None:
    assert NodeLocks(tmp_path / "store.db").is_dead("node_a")


@pytest.mark.parametrize("node_id", ["", "../node", "node/a", "node a", "n" * 101])
def test_a_node_id_that_is_no_file_name_is_a_bug(tmp_path: Path, node_id: str) -> None:
    with pytest.raises(InternalError):
        NodeLocks(tmp_path / "store.db").take(node_id)


def test_a_lock_whose_file_comes_and_goes_is_never_held_twice(tmp_path: Path) -> None:
    """Threads take and drop one node's lock as fast as they can: each drop removes the file under those who have just opened it."""
    holders: list[str] = []
    crowds: list[list[str]] = []
    taken = {"one": 0, "two": 0, "three": 0}
    rounds = amount(test=1_000, nightly=30_000)

    def take_and_drop(name: str) -> None:
        locks = NodeLocks(tmp_path / "store.db")
        while taken[name] < rounds:
            if locks.take("node_a"):
                holders.append(name)
                tmp_path.stat()  # a moment in which the others may run
                crowds.extend([list(holders)] if len(holders) > 1 else [])
                holders.remove(name)
                taken[name] += 1
                locks.drop("node_a")

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    threads = [threading.Thread(target=take_and_drop, args=(name,)) for name in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    assert crowds == []


async def test_a_seizer_that_is_killed_in_between_leaves_the_rest_for_others(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(lambda: inline(path)) as dead:
        await dead.join("node_a", now=1)
        await dead.commit([birth(f"ex_{number}") for number in range(4)])
    async with opened(lambda: inline(path)) as first:
        await first.join("node_b", now=2)
        assert await first.seize("node_a", by="node_b", limit=3) == ["ex_0", "ex_1", "ex_2"]
    async with opened(lambda: inline(path)) as second:
        await second.join("node_c", now=3)
        assert await second.dead_nodes("node_c") == ["node_a", "node_b"]
        assert await second.seize("node_b", by="node_c", limit=10) == ["ex_0", "ex_1", "ex_2"]
        assert await second.seize("node_a", by="node_c", limit=10) == ["ex_3"]
        assert {head.token for head in (await second.heads(["ex_0"])).values()} == {3}


async def test_nodes_that_come_and_go_at_once_are_never_taken_for_dead(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with opened(lambda: inline(path)) as watcher, opened(lambda: inline(path)) as left, opened(lambda: inline(path)) as right:
        for turn in range(20):
            await asyncio.gather(left.join(f"node_l{turn}", now=turn), right.join(f"node_r{turn}", now=turn))
            assert await watcher.dead_nodes("node_w") == []
            assert await watcher.other_nodes("node_w") == 2
            await asyncio.gather(left.leave(f"node_l{turn}", now=turn), right.leave(f"node_r{turn}", now=turn))
        assert await watcher.other_nodes("node_w") == 0
    assert not [file for file in tmp_path.iterdir() if file.suffix == ".lock"]
