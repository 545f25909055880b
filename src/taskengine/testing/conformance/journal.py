"""The journal's promises: atomic, fenced, marked once, in order, whole."""

# ruff: noqa: D102 -- the name of a test is its sentence

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from taskengine.ports.store import Append, ExecutionFilter, Head, InboxAnswer, Mark, Store, Stored, Verdict
from taskengine.testing.conformance.samples import NewStore, append, birth, event, follow, mark, opened, outgoing, summary, task_row

__all__ = ["JournalContract"]

COMMITTED, CONFLICT, DUPLICATE = Verdict.COMMITTED, Verdict.CONFLICT, Verdict.DUPLICATE
_ALL = ExecutionFilter()


class JournalContract:
    """``Journal``."""

    async def test_an_execution_is_read_back_as_it_was_written(self, new_store: NewStore) -> None:
        row = summary("ex_1", seq=3, status="waiting", outcome="partial", business_key="é'\"\\ 😀\n", priority=9, total=7)
        async with opened(new_store) as store:
            assert await store.commit([append(row, expected_seq=0, snapshot=None)]) == [COMMITTED]
            events = [event("ex_1", seq) for seq in (1, 2, 3)]
            assert await store.load(["ex_1"]) == [Stored(summary=row, snapshot_seq=0, snapshot=None, events=events)]

    async def test_a_commit_of_nothing_is_nothing(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            assert await store.commit([]) == []
            assert await store.load([]) == []
            assert await store.heads([]) == {}

    async def test_events_are_numbered_from_one_without_gaps(self, new_store: NewStore) -> None:
        first = birth("ex_1", events=2)
        async with opened(new_store) as store:
            await store.commit([first])
            await store.commit([follow(first.summary, events=3)])
            assert [stored.seq for stored in await store.events("ex_1", after=0, limit=100)] == [1, 2, 3, 4, 5]

    async def test_unknown_executions_are_left_out(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.commit([birth("ex_1")])
            assert [stored.summary.execution_id for stored in await store.load(["ex_0", "ex_1", "ex_2"])] == ["ex_1"]
            assert list(await store.heads(["ex_0", "ex_1", "ex_2"])) == ["ex_1"]
            assert await store.answer_of("never written") is None

    async def test_an_execution_asked_for_twice_is_given_once(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.commit([birth("ex_1")])
            assert len(await store.load(["ex_1", "ex_1"])) == 1

    async def test_a_commit_can_be_read_by_every_store_at_once(self, new_store: NewStore) -> None:
        async with opened(new_store) as store, opened(new_store) as other:
            first = birth("ex_1")
            await store.commit([first])
            assert [stored.summary for stored in await other.load(["ex_1"])] == [first.summary]
            assert [found.execution_id for found in await store.executions(_ALL, limit=10)] == ["ex_1"]

    # ── the fence ────────────────────────────────────────────────────────────────────────────────────────────────────

    @pytest.mark.parametrize(("seq", "token"), [(2, 1), (4, 1), (0, 1), (3, 0), (3, 2), (3, -1)])
    @pytest.mark.parametrize("owner", ["node_a", "node_b", ""])
    async def test_an_append_with_another_seq_or_token_is_a_conflict(
        self, new_store: NewStore, *, seq: int, token: int, owner: str
    ) -> None:
        first = birth("ex_1", events=3)
        late = append(summary("ex_1", seq=seq + 1, owner=owner, status="paused"), expected_seq=seq, expected_token=token)
        async with opened(new_store) as store:
            await store.commit([first])
            before = await _everything(store)
            assert await store.commit([late]) == [CONFLICT]
            assert await _everything(store) == before

    @pytest.mark.parametrize("owner", ["node_a", ""])
    async def test_an_append_to_a_stream_that_does_not_exist_is_a_conflict(self, new_store: NewStore, *, owner: str) -> None:
        async with opened(new_store) as store:
            late = append(summary("ex_1", seq=2, owner=owner), expected_seq=1)
            assert await store.commit([late]) == [CONFLICT]
            assert await store.load(["ex_1"]) == []
            assert await store.events("ex_1", after=0, limit=10) == []
            assert await store.commit([birth("ex_1")]) == [COMMITTED]

    async def test_an_execution_is_born_once(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            assert await store.commit([birth("ex_1")]) == [COMMITTED]
            assert await store.commit([birth("ex_1", status="failed")]) == [CONFLICT]
            assert [stored.summary.status for stored in await store.load(["ex_1"])] == ["running"]

    async def test_an_execution_born_without_events_is_born(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            assert await store.commit([birth("ex_1", events=0)]) == [COMMITTED]
            assert await store.commit([birth("ex_1", events=0, status="failed")]) == [CONFLICT]
            assert await store.commit([birth("ex_1", events=2)]) == [CONFLICT]
            assert await store.heads(["ex_1"]) == {"ex_1": Head(seq=0, token=1, owner="node_a", last_event=b"")}

    async def test_a_row_is_replaced_as_a_whole_but_for_the_key_and_the_parent_of_its_birth(self, new_store: NewStore) -> None:
        first = birth("ex_1")
        changes: dict[str, Any] = {
            "workflow_id": "wf_2",
            "workflow_version": "1.1",
            "status": "failed",
            "outcome": "timed_out",
            "token": 8,
            "owner": "node_b",
            "wake_at": 12,
            "priority": 0,
            "created_at": 1,
            "updated_at": 2,
            "finished_at": 3,
            "total": 4,
            "completed": 5,
            "failed": 6,
        }
        assert {"execution_id", "seq", "business_key", "parent_id", *changes} == set(first.summary.__struct_fields__)
        async with opened(new_store) as store:
            await store.commit([first])
            row = first.summary
            for name, value in changes.items():
                change = follow(row, **{name: value})
                assert await store.commit([change]) == [COMMITTED], name
                row = change.summary
                assert [stored.summary for stored in await store.load(["ex_1"])] == [row], name

    async def test_an_append_without_events_may_move_an_execution(self, new_store: NewStore) -> None:
        first = birth("ex_1")
        async with opened(new_store) as store:
            await store.commit([first])
            parked = follow(first.summary, events=0, owner="", wake_at=7)
            assert await store.commit([parked]) == [COMMITTED]
            assert [stored.summary for stored in await store.load(["ex_1"])] == [parked.summary]
            taken = follow(parked.summary, events=0, owner="node_b", wake_at=None)
            assert await store.commit([taken]) == [COMMITTED]
            assert (await store.heads(["ex_1"]))["ex_1"].owner == "node_b"

    # ── all or nothing ───────────────────────────────────────────────────────────────────────────────────────────────

    async def test_everything_of_an_append_is_written_together(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            message_id = await store.send("ex_1", b"go", now=1)
            assert await store.commit([_full_append(message_id)]) == [COMMITTED]
            (stored,) = await store.load(["ex_1"])
            assert (stored.summary.seq, stored.snapshot_seq, stored.snapshot, list(stored.events)) == (2, 2, b"state\x00", [])
            assert [task.task for task in await store.tasks("ex_1")] == [1, 2]
            assert await store.answer_of("key") == b"first"
            assert await store.answer(message_id) == b"done"
            left = await store.pending("node_a", after=0, limit=10)
            assert [(message.execution_id, message.body) for message in left] == [("ex_9", b"begin")]

    @pytest.mark.parametrize("reason", ["seq", "mark", "message"])
    async def test_a_refused_append_leaves_nothing_behind(self, new_store: NewStore, *, reason: str) -> None:
        async with opened(new_store) as store:
            message_id = await store.send("ex_1", b"go", now=1)
            answered = await store.send("ex_1", b"and", now=1)
            await store.reply([InboxAnswer(answered, b"no")])
            await store.commit([append(summary("ex_0", seq=1), expected_seq=0, marks=[mark("taken")])])
            before = await _everything(store)
            refused = {
                "seq": _full_append(message_id, expected_seq=5),
                "mark": _full_append(message_id, mark("taken")),
                "message": _full_append(message_id, also_answers=answered),
            }[reason]
            assert await store.commit([refused]) == [DUPLICATE if reason == "mark" else CONFLICT]
            assert await _everything(store) == before
            assert await store.answer_of("key") is None
            assert await store.answer(message_id) is None
            assert await store.commit([_full_append(message_id)]) == [COMMITTED]

    async def test_a_refused_append_does_not_hinder_the_others_of_its_batch(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            first = birth("ex_1")
            await store.commit([first, append(summary("ex_2", seq=1), expected_seq=0, marks=[mark("taken")])])
            batch = [
                birth("ex_3"),
                birth("ex_2"),
                follow(first.summary),
                append(summary("ex_4", seq=1), expected_seq=0, marks=[mark("taken")]),
                append(summary("ex_5", seq=9), expected_seq=8),
                birth("ex_6", events=2),
            ]
            assert await store.commit(batch) == [COMMITTED, CONFLICT, COMMITTED, DUPLICATE, CONFLICT, COMMITTED]
            heads = await store.heads([f"ex_{number}" for number in range(1, 7)])
            assert {execution_id: head.seq for execution_id, head in heads.items()} == {"ex_1": 2, "ex_2": 1, "ex_3": 1, "ex_6": 2}

    async def test_a_batch_of_refusals_writes_nothing(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.commit([birth("ex_1")])
            before = await _everything(store)
            assert await store.commit([birth("ex_1"), append(summary("ex_2", seq=2), expected_seq=1)]) == [CONFLICT, CONFLICT]
            assert await _everything(store) == before

    async def test_a_cancelled_caller_leaves_a_commit_whole(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            for turns in range(6):
                name = f"ex_{turns}"
                committing = asyncio.create_task(store.commit([birth(name, events=2), birth(f"{name}_too")]))
                for _ in range(turns):
                    await asyncio.sleep(0)
                committing.cancel()
                await asyncio.wait([committing])
                # Whatever is asked next is answered after it, for writes keep their order.
                assert await store.commit([birth(f"{name}_next")]) == [COMMITTED]
                seqs = {found: head.seq for found, head in (await store.heads([name, f"{name}_too"])).items()}
                assert seqs in ({}, {name: 2, f"{name}_too": 1})

    # ── marks ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_a_mark_is_written_once_and_keeps_its_first_answer(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            first = append(summary("ex_1", seq=1), expected_seq=0, marks=[mark("key", b"first")])
            again = append(summary("ex_2", seq=1), expected_seq=0, marks=[mark("other"), mark("key", b"second")])
            assert await store.commit([first]) == [COMMITTED]
            assert await store.commit([again]) == [DUPLICATE]
            assert await store.answer_of("key") == b"first"
            assert await store.answer_of("other") is None

    async def test_the_first_of_a_batch_takes_the_mark(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            batch = [append(summary(f"ex_{n}", seq=1), expected_seq=0, marks=[mark("key", b"%d" % n)]) for n in range(3)]
            assert await store.commit(batch) == [COMMITTED, DUPLICATE, DUPLICATE]
            assert await store.answer_of("key") == b"0"

    async def test_a_refused_append_takes_no_mark(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            stale = append(summary("ex_1", seq=3), expected_seq=2, marks=[mark("key", b"stale")])
            good = append(summary("ex_2", seq=1), expected_seq=0, marks=[mark("key", b"good")])
            assert await store.commit([stale, good]) == [CONFLICT, COMMITTED]
            assert await store.answer_of("key") == b"good"

    async def test_a_conflict_comes_before_a_duplicate(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            first = append(summary("ex_1", seq=1), expected_seq=0, marks=[mark("key")])
            assert await store.commit([first]) == [COMMITTED]
            assert await store.commit([first]) == [CONFLICT]

    async def test_an_append_that_repeats_its_own_mark_is_a_duplicate(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            twice = append(summary("ex_1", seq=1), expected_seq=0, marks=[mark("key"), mark("key")])
            assert await store.commit([twice]) == [DUPLICATE]
            assert await store.answer_of("key") is None

    # ── snapshots, heads, amounts ────────────────────────────────────────────────────────────────────────────────────

    async def test_the_newest_snapshot_is_read_with_what_came_after(self, new_store: NewStore) -> None:
        first = append(summary("ex_1", seq=2), expected_seq=0, snapshot=b"at two")
        second = follow(first.summary, events=3)
        third = append(summary("ex_1", seq=6), expected_seq=5, snapshot=b"at six")
        async with opened(new_store) as store:
            await store.commit([first])
            await store.commit([second])
            (stored,) = await store.load(["ex_1"])
            assert (stored.snapshot_seq, stored.snapshot) == (2, b"at two")
            assert list(stored.events) == [event("ex_1", seq) for seq in (3, 4, 5)]
            await store.commit([third])
            (stored,) = await store.load(["ex_1"])
            assert (stored.snapshot_seq, stored.snapshot, list(stored.events)) == (6, b"at six", [])

    async def test_heads_tell_where_streams_end(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.commit([birth("ex_1", events=3, token=4), birth("ex_2", owner="")])
            assert await store.heads(["ex_1", "ex_2"]) == {
                "ex_1": Head(seq=3, token=4, owner="node_a", last_event=event("ex_1", 3)),
                "ex_2": Head(seq=1, token=1, owner="", last_event=event("ex_2", 1)),
            }

    @pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 64, 95, 500, 513])
    async def test_a_batch_of_any_size_goes_in_whole(self, new_store: NewStore, *, count: int) -> None:
        births = [
            append(
                summary(f"ex_{n:04}", seq=2),
                expected_seq=0,
                tasks=[task_row(f"ex_{n:04}", n)],
                marks=[Mark(f"k{n}", b"%d" % n, n)],
                snapshot=b"%d" % n,
                messages=[outgoing("ex_other", b"%d" % n)],
            )
            for n in range(count)
        ]
        steps = [follow(first.summary, owner="node_b" if n % 3 == 0 else "node_a") for n, first in enumerate(births)]
        async with opened(new_store) as store:
            assert await store.commit(births) == [COMMITTED] * count
            assert await store.commit(steps) == [COMMITTED] * count
            found = sorted(await store.load([f"ex_{n:04}" for n in range(count)]), key=lambda stored: stored.summary.execution_id)
            assert [stored.summary for stored in found] == [step.summary for step in steps]
            assert [stored.snapshot for stored in found] == [b"%d" % n for n in range(count)]
            assert [list(stored.events) for stored in found] == [[event(f"ex_{n:04}", 3)] for n in range(count)]
            assert [task.task for task in await store.tasks(f"ex_{count - 1:04}")] == [count - 1]
            assert await store.answer_of(f"k{count - 1}") == b"%d" % (count - 1)
            left = await store.pending("node_a", after=0, limit=1_000)
            assert [message.body for message in left] == [b"%d" % n for n in range(count)]

    async def test_long_tails_are_read_whole_and_in_order(self, new_store: NewStore) -> None:
        lengths = {"ex_1": 700, "ex_2": 1, "ex_3": 1_299, "ex_4": 2_500, "ex_5": 3}
        async with opened(new_store) as store:
            await store.commit([birth(execution_id, events=length) for execution_id, length in lengths.items()])
            found = {stored.summary.execution_id: stored.events for stored in await store.load(list(lengths))}
        assert {execution_id: list(events) for execution_id, events in found.items()} == {
            execution_id: [event(execution_id, seq) for seq in range(1, length + 1)] for execution_id, length in lengths.items()
        }

    async def test_a_large_event_comes_back_byte_for_byte(self, new_store: NewStore) -> None:
        body = bytes(range(256)) * 8_192
        large = msgspec.structs.replace(birth("ex_1"), events=[body], snapshot=body[::-1])
        small = birth("ex_2")
        async with opened(new_store) as store:
            await store.commit([large, small])
            assert (await store.heads(["ex_1"]))["ex_1"].last_event == body
            (stored,) = await store.load(["ex_1"])
            assert stored.snapshot == body[::-1]
            assert [stored.body for stored in await store.events("ex_1", after=0, limit=1)] == [body]

    async def test_empty_bodies_are_bodies(self, new_store: NewStore) -> None:
        empty = msgspec.structs.replace(birth("ex_1"), events=[b""])
        async with opened(new_store) as store:
            await store.commit([empty, msgspec.structs.replace(birth("ex_2"), snapshot=b"")])
            found = {stored.summary.execution_id: stored for stored in await store.load(["ex_1", "ex_2"])}
            assert (found["ex_1"].snapshot, list(found["ex_1"].events)) == (None, [b""])
            assert (found["ex_2"].snapshot, found["ex_2"].snapshot_seq) == (b"", 1)


def _full_append(message_id: int, *more: Mark, expected_seq: int = 0, also_answers: int = 0) -> Append:
    answers = [InboxAnswer(message_id, b"done")] + [InboxAnswer(also_answers, b"too")] * bool(also_answers)
    return append(
        summary("ex_1", seq=expected_seq + 2),
        expected_seq=expected_seq,
        tasks=[task_row("ex_1", 1), task_row("ex_1", 2)],
        marks=[mark("key", b"first"), *more],
        answers=answers,
        snapshot=b"state\x00",
        messages=[outgoing("ex_9", b"begin")],
    )


async def _everything(store: Store) -> object:
    """All that can be seen of the few executions these tests write."""
    names = [f"ex_{number}" for number in range(10)]
    return (
        sorted(await store.load(names), key=lambda stored: stored.summary.execution_id),
        [await store.events(name, after=0, limit=100) for name in names],
        [await store.tasks(name) for name in names],
        await store.pending("node_a", after=0, limit=100),
        await store.executions(_ALL, limit=100),
    )
