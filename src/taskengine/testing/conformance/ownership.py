"""Ownership's promises: the living are left alone, the dead are found, and nobody gets what another got."""

# ruff: noqa: D102 -- the name of a test is its sentence

from __future__ import annotations

import asyncio

import pytest

from taskengine.errors import StorageError
from taskengine.ports.store import Verdict
from taskengine.testing.conformance.samples import NewStore, birth, follow, opened

__all__ = ["OwnershipContract"]


class OwnershipContract:
    """``Ownership``."""

    async def test_nodes_count_each_other(self, new_store: NewStore) -> None:
        async with opened(new_store) as store, opened(new_store) as other:
            assert await store.other_nodes("node_a") == 0
            await store.join("node_a", now=1)
            await other.join("node_b", now=1)
            assert (await store.other_nodes("node_a"), await other.other_nodes("node_b")) == (1, 1)
            assert await store.other_nodes("node_c") == len(["node_a", "node_b"])

    async def test_joining_again_changes_nothing(self, new_store: NewStore) -> None:
        async with opened(new_store) as store, opened(new_store) as other:
            await store.join("node_a", now=1)
            await store.join("node_a", now=2)
            assert await other.other_nodes("node_b") == 1
            assert await other.dead_nodes("node_b") == []

    async def test_a_living_nodes_id_is_refused_to_others(self, new_store: NewStore) -> None:
        async with opened(new_store) as store, opened(new_store) as other:
            await store.join("node_a", now=1)
            with pytest.raises(StorageError) as refused:
                await other.join("node_a", now=1)
            assert refused.value.name == "node_exists"
            assert await other.dead_nodes("node_b") == []

    async def test_a_living_node_is_not_dead(self, new_store: NewStore) -> None:
        async with opened(new_store) as store, opened(new_store) as other:
            await store.join("node_a", now=1)
            await other.join("node_b", now=1)
            for _ in range(10):
                dead = await asyncio.gather(store.dead_nodes("node_a"), other.dead_nodes("node_b"))
                assert not any(dead)

    async def test_a_node_whose_store_went_without_leaving_is_dead(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.join("node_c", now=1)
            for name in ("node_b", "node_a"):
                async with opened(new_store) as other:
                    await other.join(name, now=1)
            assert await store.dead_nodes("node_c") == ["node_a", "node_b"]
            assert await store.dead_nodes("node_a") == ["node_b"]

    async def test_a_dead_nodes_id_may_be_used_again(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            async with opened(new_store) as other:
                await other.join("node_a", now=1)
            await store.join("node_a", now=2)
            assert await store.dead_nodes("node_b") == []

    async def test_a_leaving_node_gives_back_what_it_had_open(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.join("node_a", now=1)
            open_one, parked = birth("ex_1"), birth("ex_2", owner="", wake_at=500)
            finished, of_another = birth("ex_3", owner="", finished_at=3), birth("ex_4", owner="node_b")
            await store.commit([open_one, parked, finished, of_another])
            await store.leave("node_a", now=77)
            found = {stored.summary.execution_id: stored.summary for stored in await store.load(["ex_1", "ex_2", "ex_3", "ex_4"])}
            assert (found["ex_1"].owner, found["ex_1"].wake_at, found["ex_1"].token) == ("", 77, 1)
            assert found["ex_2"] == parked.summary
            assert found["ex_3"] == finished.summary
            assert found["ex_4"] == of_another.summary
            assert await store.due(now=77, limit=10) == (["ex_1"], 500)

    async def test_a_node_that_left_is_forgotten(self, new_store: NewStore) -> None:
        async with opened(new_store) as store, opened(new_store) as other:
            await store.join("node_a", now=1)
            await store.leave("node_a", now=2)
            await store.leave("node_a", now=3)
            assert await other.other_nodes("node_b") == 0
            assert await other.dead_nodes("node_b") == []
            await other.join("node_a", now=4)

    async def test_nobody_leaves_for_another(self, new_store: NewStore) -> None:
        async with opened(new_store) as store, opened(new_store) as other:
            await store.join("node_a", now=1)
            await store.commit([birth("ex_1")])
            await other.leave("node_a", now=5)
            assert (await store.heads(["ex_1"]))["ex_1"].owner == "node_a"
            assert await other.other_nodes("node_b") == 1

    # ── seize ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_a_dead_nodes_open_executions_are_seized_with_a_higher_token(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.join("node_b", now=1)
            async with opened(new_store) as dead:
                await dead.join("node_a", now=1)
                await dead.commit([birth("ex_1", token=4), birth("ex_2", owner="", finished_at=5), birth("ex_3", owner="node_b")])
            assert await store.seize("node_a", by="node_b", limit=10) == ["ex_1"]
            heads = await store.heads(["ex_1", "ex_2", "ex_3"])
            assert {name: (head.owner, head.token) for name, head in heads.items()} == {
                "ex_1": ("node_b", 5),
                "ex_2": ("", 1),
                "ex_3": ("node_b", 1),
            }

    async def test_the_old_token_is_refused_after_a_seizure(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            first = birth("ex_1")
            async with opened(new_store) as dead:
                await dead.join("node_a", now=1)
                await dead.commit([first])
            await store.seize("node_a", by="node_b", limit=10)
            assert await store.commit([follow(first.summary)]) == [Verdict.CONFLICT]
            (stored,) = await store.load(["ex_1"])
            assert await store.commit([follow(stored.summary)]) == [Verdict.COMMITTED]

    async def test_seizing_is_bounded_and_goes_on_where_it_stopped(self, new_store: NewStore) -> None:
        names = [f"ex_{number}" for number in range(7)]
        async with opened(new_store) as store:
            async with opened(new_store) as dead:
                await dead.join("node_a", now=1)
                await dead.commit([birth(name) for name in reversed(names)])
            assert await store.seize("node_a", by="node_b", limit=3) == names[:3]
            assert await store.dead_nodes("node_b") == ["node_a"]
            assert await store.seize("node_a", by="node_b", limit=3) == names[3:6]
            assert await store.seize("node_a", by="node_b", limit=3) == names[6:]
            assert await store.dead_nodes("node_b") == []
            assert await store.seize("node_a", by="node_b", limit=3) == []

    async def test_a_dead_node_that_had_nothing_is_forgotten(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            async with opened(new_store) as dead:
                await dead.join("node_a", now=1)
            assert await store.seize("node_a", by="node_b", limit=3) == []
            assert await store.dead_nodes("node_b") == []
            assert await store.other_nodes("node_b") == 0

    async def test_a_living_node_loses_nothing(self, new_store: NewStore) -> None:
        async with opened(new_store) as store, opened(new_store) as other:
            await store.join("node_a", now=1)
            await store.commit([birth("ex_1")])
            assert await other.seize("node_a", by="node_b", limit=10) == []
            assert await store.seize("node_a", by="node_b", limit=10) == []
            assert (await store.heads(["ex_1"]))["ex_1"].owner == "node_a"
            assert await other.other_nodes("node_b") == 1

    async def test_two_seizers_never_get_the_same_execution(self, new_store: NewStore) -> None:
        names = {f"ex_{number:03}" for number in range(100)}
        async with opened(new_store) as left, opened(new_store) as right:
            async with opened(new_store) as dead:
                await dead.join("node_a", now=1)
                await dead.commit([birth(name) for name in names])
            seized: dict[str, list[str]] = {"node_b": [], "node_c": []}
            while await left.dead_nodes("node_b"):
                ours, theirs = await asyncio.gather(
                    left.seize("node_a", by="node_b", limit=7), right.seize("node_a", by="node_c", limit=7)
                )
                seized["node_b"] += ours
                seized["node_c"] += theirs
            assert sorted(seized["node_b"] + seized["node_c"]) == sorted(names)
            heads = await left.heads(sorted(names))
            assert {name: head.owner for name, head in heads.items()} == {
                name: owner for owner, owned in seized.items() for name in owned
            }

    async def test_executions_are_given_back_by_their_owner_only(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            ours, theirs, kept = birth("ex_1"), birth("ex_2", owner="node_b"), birth("ex_3")
            finished = birth("ex_4", owner="", finished_at=3)
            await store.commit([ours, theirs, kept, finished])
            for now in (50, 60):
                await store.release(["ex_1", "ex_2", "ex_4", "ex_9"], by="node_a", now=now)
                found = {
                    stored.summary.execution_id: stored.summary for stored in await store.load(["ex_1", "ex_2", "ex_3", "ex_4"])
                }
                assert (found["ex_1"].owner, found["ex_1"].wake_at, found["ex_1"].token) == ("", 50, 1)
                assert [found[name] for name in ("ex_2", "ex_3", "ex_4")] == [theirs.summary, kept.summary, finished.summary]
            assert await store.due(now=50, limit=10) == (["ex_1"], None)

    # ── due, changed ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_what_is_due_comes_by_time_and_id(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            wakes = {"ex_1": 30, "ex_2": 10, "ex_3": 20, "ex_4": 10, "ex_5": 31, "ex_6": None, "ex_7": 40}
            await store.commit([birth(name, owner="", wake_at=wake_at) for name, wake_at in wakes.items()])
            assert await store.due(now=9, limit=10) == ([], 10)
            assert await store.due(now=30, limit=10) == (["ex_2", "ex_4", "ex_3", "ex_1"], 31)
            assert await store.due(now=30, limit=2) == (["ex_2", "ex_4"], 31)
            assert await store.due(now=40, limit=10) == (["ex_2", "ex_4", "ex_3", "ex_1", "ex_5", "ex_7"], None)

    async def test_what_somebody_owns_is_not_due(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.commit([birth("ex_1", wake_at=5), birth("ex_2", owner="", wake_at=5)])
            assert await store.due(now=10, limit=10) == (["ex_2"], None)
            assert await store.due(now=1, limit=10) == ([], 5)

    async def test_what_others_wrote_is_noticed_once(self, new_store: NewStore) -> None:
        async with opened(new_store) as store, opened(new_store) as other:
            await other.changed()
            await store.commit([birth("ex_1")])
            assert await other.changed()
            assert not await other.changed()
            await store.send("ex_1", b"go", now=1)
            assert await other.changed()

    async def test_what_a_store_wrote_itself_is_no_news(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            assert not await store.changed()
            await store.commit([birth("ex_1")])
            await store.join("node_a", now=1)
            assert not await store.changed()
