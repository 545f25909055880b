"""The inbox's promises: a command is kept, shown to who must obey it, and taken out once, with its answer."""

# ruff: noqa: D102 -- the name of a test is its sentence

from __future__ import annotations

import pytest

from taskengine.ports.store import InboxAnswer, Message, Store, Verdict
from taskengine.testing.conformance.samples import NewStore, append, birth, follow, mark, opened, outgoing, summary

__all__ = ["InboxContract"]

COMMITTED, CONFLICT, DUPLICATE = Verdict.COMMITTED, Verdict.CONFLICT, Verdict.DUPLICATE


class InboxContract:
    """``Inbox``."""

    @pytest.mark.parametrize(("owner", "is_shown"), [("node_a", True), ("", True), ("node_b", False)])
    async def test_a_message_is_shown_to_the_owner_or_to_all_when_there_is_none(
        self, new_store: NewStore, *, owner: str, is_shown: bool
    ) -> None:
        async with opened(new_store) as store, opened(new_store) as other:
            await store.commit([birth("ex_1", owner=owner)])
            message_id = await other.send("ex_1", b"go\x00", now=1)
            shown = [Message(message_id=message_id, execution_id="ex_1", body=b"go\x00")]
            assert await store.pending("node_a", after=0, limit=10) == (shown if is_shown else [])

    async def test_a_message_for_an_execution_that_does_not_exist_is_shown_to_all(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            message_id = await store.send("ex_1", b"go", now=1)
            assert [message.message_id for message in await store.pending("node_a", after=0, limit=10)] == [message_id]

    async def test_messages_come_in_order_above_the_cursor_and_bounded(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.commit([birth("ex_1"), birth("ex_2", owner="node_b")])
            sent = [await store.send("ex_1", b"%d" % number, now=number) for number in range(5)]
            await store.send("ex_2", b"not ours", now=6)
            assert sent == sorted(set(sent))
            assert [message.body for message in await store.pending("node_a", after=0, limit=3)] == [b"0", b"1", b"2"]
            assert [message.body for message in await store.pending("node_a", after=sent[2], limit=9)] == [b"3", b"4"]
            assert await store.pending("node_a", after=sent[-1], limit=9) == []

    async def test_a_message_is_taken_out_with_the_commit_that_answers_it(self, new_store: NewStore) -> None:
        async with opened(new_store) as store, opened(new_store) as sender:
            first = birth("ex_1")
            await store.commit([first])
            message_id = await sender.send("ex_1", b"go", now=1)
            assert await sender.answer(message_id) is None
            obeyed = append(summary("ex_1", seq=2), expected_seq=1, answers=[InboxAnswer(message_id, b"done")])
            assert await store.commit([obeyed]) == [Verdict.COMMITTED]
            assert await sender.answer(message_id) == b"done"
            assert await store.pending("node_a", after=0, limit=10) == []

    async def test_a_message_answered_already_is_not_obeyed(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            first = birth("ex_1")
            await store.commit([first])
            message_id = await store.send("ex_1", b"go", now=1)
            await store.reply([InboxAnswer(message_id, b"refused")])
            obeyed = append(summary("ex_1", seq=2), expected_seq=1, answers=[InboxAnswer(message_id, b"done")])
            assert await store.commit([obeyed]) == [Verdict.CONFLICT]
            assert await store.answer(message_id) == b"refused"
            assert await store.commit([follow(first.summary)]) == [Verdict.COMMITTED]

    async def test_a_message_that_was_never_sent_is_not_obeyed(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            invented = append(summary("ex_1", seq=1), expected_seq=0, answers=[InboxAnswer(99, b"done")])
            assert await store.commit([invented]) == [Verdict.CONFLICT]
            assert await store.answer(99) is None

    async def test_the_first_of_a_batch_obeys_a_message(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            message_id = await store.send("ex_1", b"go", now=1)
            batch = [
                append(summary(f"ex_{number}", seq=1), expected_seq=0, answers=[InboxAnswer(message_id, b"%d" % number)])
                for number in range(3)
            ]
            assert await store.commit(batch) == [Verdict.COMMITTED, Verdict.CONFLICT, Verdict.CONFLICT]
            assert await store.answer(message_id) == b"0"

    async def test_an_append_that_answers_a_message_twice_is_a_conflict(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            message_id = await store.send("ex_1", b"go", now=1)
            answers = [InboxAnswer(message_id, b"one"), InboxAnswer(message_id, b"two")]
            assert await store.commit([append(summary("ex_1", seq=1), expected_seq=0, answers=answers)]) == [Verdict.CONFLICT]
            assert await store.answer(message_id) is None

    async def test_the_first_reply_stays(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            message_id = await store.send("ex_1", b"go", now=1)
            await store.reply([InboxAnswer(message_id, b"first"), InboxAnswer(message_id, b"second")])
            await store.reply([InboxAnswer(message_id, b"third")])
            assert await store.answer(message_id) == b"first"
            assert await store.pending("node_a", after=0, limit=10) == []

    async def test_a_reply_to_nothing_is_nothing(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.reply([InboxAnswer(99, b"no")])
            await store.reply([])
            assert await store.answer(99) is None

    async def test_an_empty_answer_is_an_answer(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            message_id = await store.send("ex_1", b"", now=1)
            await store.reply([InboxAnswer(message_id, b"")])
            assert await store.answer(message_id) == b""
            assert await store.pending("node_a", after=0, limit=10) == []

    async def test_numbers_of_messages_go_on_after_reopening(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            message_id = await store.send("ex_1", b"go", now=1)
            await store.reply([InboxAnswer(message_id, b"done")])
        async with opened(new_store) as store:
            assert await store.send("ex_1", b"again", now=2) > message_id
            assert await store.answer(message_id) == b"done"

    # ── messages in the transaction of an append ─────────────────────────────────────────────────────────────────────

    async def test_a_message_of_an_append_is_shown_as_one_that_was_sent(self, new_store: NewStore) -> None:
        async with opened(new_store) as store, opened(new_store) as other:
            sent = await other.send("ex_2", b"before", now=1)
            await store.commit([birth("ex_2", owner="node_b")])
            out = [outgoing("ex_2", b"to an owner\x00"), outgoing("ex_3", b"to nobody")]
            assert await store.commit([append(summary("ex_1", seq=1), expected_seq=0, messages=out)]) == [COMMITTED]
            shown = await other.pending("node_b", after=sent, limit=10)
            assert [(message.execution_id, message.body) for message in shown] == [
                ("ex_2", b"to an owner\x00"),
                ("ex_3", b"to nobody"),
            ]
            assert await other.pending("node_a", after=0, limit=10) == [shown[1]]
            assert [await other.answer(message.message_id) for message in shown] == [None, None]
            assert await other.send("ex_2", b"after", now=2) > shown[1].message_id > shown[0].message_id > sent

    async def test_a_message_of_an_append_is_answered_as_one_that_was_sent(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            out = [outgoing("ex_2", b"go"), outgoing("ex_2", b"no")]
            await store.commit([append(summary("ex_1", seq=1), expected_seq=0, messages=out)])
            obeyed, refused = await store.pending("node_a", after=0, limit=10)
            begun = append(summary("ex_2", seq=1), expected_seq=0, answers=[InboxAnswer(obeyed.message_id, b"done")])
            assert await store.commit([begun]) == [COMMITTED]
            await store.reply([InboxAnswer(refused.message_id, b"refused")])
            assert [await store.answer(one.message_id) for one in (obeyed, refused)] == [b"done", b"refused"]
            assert await store.pending("node_a", after=0, limit=10) == []

    async def test_messages_of_a_batch_keep_its_order_and_refused_appends_leave_none(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.commit([append(summary("ex_0", seq=1), expected_seq=0, marks=[mark("taken")])])
            batch = [
                append(summary("ex_5", seq=1), expected_seq=0, messages=[outgoing("ex_9", b"5a"), outgoing("ex_8", b"5b")]),
                append(summary("ex_0", seq=4), expected_seq=3, messages=[outgoing("ex_9", b"conflict")]),
                append(summary("ex_1", seq=1, owner=""), expected_seq=0, messages=[outgoing("ex_8", b"1")]),
                append(summary("ex_2", seq=1), expected_seq=0, marks=[mark("taken")], messages=[outgoing("ex_9", b"duplicate")]),
            ]
            assert await store.commit(batch) == [COMMITTED, CONFLICT, COMMITTED, DUPLICATE]
            assert await _bodies(store) == [b"5a", b"5b", b"1"]
            after = append(summary("ex_0", seq=2), expected_seq=1, messages=[outgoing("ex_9", b"0a"), outgoing("ex_9", b"0b")])
            assert await store.commit([after]) == [COMMITTED]
            assert await _bodies(store) == [b"5a", b"5b", b"1", b"0a", b"0b"]

    async def test_an_append_answers_one_message_and_leaves_another(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            message_id = await store.send("ex_1", b"go", now=1)
            answers = [InboxAnswer(message_id, b"done")]
            obeyed = append(summary("ex_1", seq=1), expected_seq=0, answers=answers, messages=[outgoing("ex_1", b"to itself")])
            assert await store.commit([obeyed]) == [COMMITTED]
            assert await _bodies(store) == [b"to itself"]

    async def test_a_batch_cannot_answer_the_messages_that_it_leaves(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            last = await store.send("ex_9", b"go", now=1)
            leaving = append(summary("ex_1", seq=1), expected_seq=0, messages=[outgoing("ex_2", b"out")])
            guessing = append(summary("ex_2", seq=1), expected_seq=0, answers=[InboxAnswer(last + 1, b"guessed")])
            assert await store.commit([leaving, guessing]) == [COMMITTED, CONFLICT]
            assert await store.answer(last + 1) is None
            assert await _bodies(store) == [b"go", b"out"]


async def _bodies(store: Store) -> list[bytes]:
    return [message.body for message in await store.pending("node_a", after=0, limit=100)]
