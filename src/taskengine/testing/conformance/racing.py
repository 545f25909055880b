"""Two stores on one database, both at it at once: one of them wins, and the other is told."""

# ruff: noqa: D102 -- the name of a test is its sentence

from __future__ import annotations

import asyncio
from typing import Final

from taskengine.ports.store import InboxAnswer, Store, Verdict
from taskengine.testing.conformance.samples import NewStore, append, birth, follow, mark, opened, summary

__all__ = ["RacingContract"]

_ROUNDS: Final = 25
_ONE_WINS: Final = [Verdict.COMMITTED, Verdict.CONFLICT]


class RacingContract:
    """``Journal`` and ``Inbox`` with two stores."""

    async def test_of_two_stores_that_append_at_the_same_seq_one_is_committed(self, new_store: NewStore) -> None:
        async with opened(new_store) as left, opened(new_store) as right:
            first = birth("ex_1")
            await left.commit([first])
            row = first.summary
            for _ in range(_ROUNDS):
                ours, theirs = follow(row, owner="node_a"), follow(row, owner="node_b", events=2)
                verdicts = [*await asyncio.gather(left.commit([ours]), right.commit([theirs]))]
                assert sorted((verdict for (verdict,) in verdicts), key=_by_name) == _ONE_WINS
                row = (ours if verdicts[0] == [Verdict.COMMITTED] else theirs).summary
                assert [stored.summary for stored in await left.load(["ex_1"])] == [row]

    async def test_of_two_stores_that_give_birth_one_is_committed(self, new_store: NewStore) -> None:
        async with opened(new_store) as left, opened(new_store) as right:
            for turn in range(_ROUNDS):
                verdicts = await asyncio.gather(
                    left.commit([birth(f"ex_{turn}", owner="node_a")]), right.commit([birth(f"ex_{turn}", owner="node_b")])
                )
                assert sorted((verdict for (verdict,) in verdicts), key=_by_name) == _ONE_WINS

    async def test_of_two_stores_that_write_a_mark_one_is_committed(self, new_store: NewStore) -> None:
        async with opened(new_store) as left, opened(new_store) as right:
            for turn in range(_ROUNDS):
                verdicts = await asyncio.gather(
                    left.commit([append(summary(f"ex_l{turn}", seq=1), expected_seq=0, marks=[mark(f"k{turn}", b"left")])]),
                    right.commit([append(summary(f"ex_r{turn}", seq=1), expected_seq=0, marks=[mark(f"k{turn}", b"right")])]),
                )
                assert {verdict for (verdict,) in verdicts} == {Verdict.COMMITTED, Verdict.DUPLICATE}
                winner = b"left" if verdicts[0] == [Verdict.COMMITTED] else b"right"
                assert await right.answer_of(f"k{turn}") == winner

    async def test_of_two_stores_that_answer_a_message_one_is_committed(self, new_store: NewStore) -> None:
        async with opened(new_store) as left, opened(new_store) as right:
            for turn in range(_ROUNDS):
                message_id = await left.send(f"ex_{turn}", b"go", now=1)
                answers = [InboxAnswer(message_id, b"done")]
                verdicts = await asyncio.gather(
                    left.commit([append(summary(f"ex_l{turn}", seq=1), expected_seq=0, answers=answers)]),
                    right.commit([append(summary(f"ex_r{turn}", seq=1), expected_seq=0, answers=answers)]),
                )
                assert sorted((verdict for (verdict,) in verdicts), key=_by_name) == _ONE_WINS

    async def test_batches_that_overlap_are_each_written_as_far_as_they_can(self, new_store: NewStore) -> None:
        async with opened(new_store) as left, opened(new_store) as right:
            for turn in range(_ROUNDS):
                ours = [birth(f"ex_{turn}_{n:02}", owner="node_a") for n in range(20)]
                theirs = [birth(f"ex_{turn}_{n:02}", owner="node_b") for n in range(10, 30)]
                await asyncio.gather(left.commit(ours), right.commit(theirs))
                heads = await left.heads([f"ex_{turn}_{n:02}" for n in range(30)])
                assert [head.owner for _, head in sorted(heads.items())][:10] == ["node_a"] * 10
                assert [head.owner for _, head in sorted(heads.items())][20:] == ["node_b"] * 10
                # Each batch is one transaction: whoever was first got all that they share.
                assert len({head.owner for _, head in sorted(heads.items())[10:20]}) == 1

    async def test_two_stores_that_re_read_and_try_again_lose_nothing(self, new_store: NewStore) -> None:
        async def add(store: Store, events: int) -> None:
            while events:
                (stored,) = await store.load(["ex_1"])
                verdicts = await store.commit([follow(stored.summary)])
                events -= verdicts == [Verdict.COMMITTED]

        async with opened(new_store) as left, opened(new_store) as right:
            await left.commit([birth("ex_1")])
            await asyncio.gather(add(left, 40), add(right, 40))
            assert [stored.seq for stored in await left.events("ex_1", after=0, limit=100)] == list(range(1, 82))


def _by_name(verdict: Verdict) -> str:
    # "committed" sorts before "conflict".
    return verdict.value
