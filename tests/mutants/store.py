"""Mutants of the SQLite store: what its transactions, its fences and its syncs promise."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

SQLITE: Final = "adapters/sqlite/"
ORACLE: Final = "tests/conformance/test_sqlite.py::test_random_operations_give_the_oracles_answers"
CUTS: Final = "tests/durability/test_power_cuts.py::test_a_power_cut_anywhere_loses_nothing_acknowledged_and_leaves_nothing_half[0]"
LOG: Final = "tests/durability/test_log.py::"

MUTANTS: Final = (
    # fences
    Mutant(
        name="fence_without_token",
        breaks="an owner that has lost an execution may still append to it",
        file=f"{SQLITE}statements.py",
        text=" AND execution.token = excluded.prior_token",
        replacement="",
        test=ORACLE,
    ),
    Mutant(
        name="fence_without_seq",
        breaks="an append that does not know the end of its stream goes through when it has no events",
        file=f"{SQLITE}statements.py",
        text=" AND execution.seq = excluded.prior_seq",
        replacement="",
        test=ORACLE,
    ),
    Mutant(
        name="conflict_check_dropped",
        breaks="after a lost bet every append is taken for good",
        file=f"{SQLITE}journal.py",
        text="if not self._is_expected(append) or",
        replacement="if",
        test=ORACLE,
    ),
    Mutant(
        name="seized_under_the_same_token",
        breaks="a node that was taken for dead can still write after its executions were seized",
        file=f"{SQLITE}statements.py",
        text="token = token + 1",
        replacement="token = token",
        test=ORACLE,
    ),
    Mutant(
        name="answer_given_twice",
        breaks="a message that has an answer can be answered again",
        file=f"{SQLITE}statements.py",
        text=" WHERE message_id = ?1 AND answer IS NULL",
        replacement=" WHERE message_id = ?1",
        test=ORACLE,
    ),
    Mutant(
        name="snapshot_stale",
        breaks="a snapshot says that it is older than it is, so that events are folded twice",
        file=f"{SQLITE}journal.py",
        text="self.snapshots += (execution_id, seq, append.snapshot)",
        replacement="self.snapshots += (execution_id, append.expected_seq, append.snapshot)",
        test=ORACLE,
    ),
    # transactions
    Mutant(
        name="events_outside_the_transaction",
        breaks="rows are committed before the events that they stand for",
        file=f"{SQLITE}journal.py",
        text="            and _insert(connection, sql.INSERT_EVENTS, values=self.events)\n",
        replacement=(
            '            and connection.write("COMMIT") is not None\n'
            '            and connection.write("BEGIN IMMEDIATE") is not None\n'
            "            and _insert(connection, sql.INSERT_EVENTS, values=self.events)\n"
        ),
        test=CUTS,
    ),
    Mutant(
        name="mark_in_a_later_transaction",
        breaks="a deduplication mark is committed after the events that it guards",
        file=f"{SQLITE}journal.py",
        text=(
            "            and _insert(connection, sql.INSERT_MARKS, values=self.marks)\n"
            "            and _insert(connection, sql.INSERT_EVENTS, values=self.events)\n"
        ),
        replacement=(
            "            and _insert(connection, sql.INSERT_EVENTS, values=self.events)\n"
            '            and connection.write("COMMIT") is not None\n'
            '            and connection.write("BEGIN IMMEDIATE") is not None\n'
            "            and _insert(connection, sql.INSERT_MARKS, values=self.marks)\n"
        ),
        test=CUTS,
    ),
    Mutant(
        name="message_answered_in_a_later_transaction",
        breaks="a command is committed before it is taken out of the inbox",
        file=f"{SQLITE}journal.py",
        text="            and all(connection.write(sql.ANSWER_MESSAGE",
        replacement=(
            '            and connection.write("COMMIT") is not None\n'
            '            and connection.write("BEGIN IMMEDIATE") is not None\n'
            "            and all(connection.write(sql.ANSWER_MESSAGE"
        ),
        test=CUTS,
    ),
    Mutant(
        name="messages_in_a_later_transaction",
        breaks="an append is committed before the messages that it leaves for other executions",
        file=f"{SQLITE}journal.py",
        text="            and _insert(connection, sql.INSERT_MESSAGES",
        replacement=(
            '            and connection.write("COMMIT") is not None\n'
            '            and connection.write("BEGIN IMMEDIATE") is not None\n'
            "            and _insert(connection, sql.INSERT_MESSAGES"
        ),
        test=CUTS,
    ),
    Mutant(
        name="messages_of_the_refused",
        breaks="an append that is refused leaves its messages all the same",
        file=f"{SQLITE}journal.py",
        text="        is_whole = Lines(good, is_judged=True).write(connection)\n",
        replacement=(
            "        kept = Lines(good, is_judged=True)\n"
            "        kept.messages = Lines(batch).messages\n"
            "        is_whole = kept.write(connection)\n"
        ),
        test=ORACLE,
    ),
    Mutant(
        name="acknowledged_before_the_commit",
        breaks="a commit is acknowledged when it has begun",
        file=f"{SQLITE}store.py",
        text="        verdicts = await self._writer.run(journal.commit, batch)\n",
        replacement=(
            "        import asyncio\n"
            "        asyncio.ensure_future(self._writer.run(journal.commit, batch))\n"
            "        verdicts = [Verdict.COMMITTED] * len(batch)\n"
        ),
        test=CUTS,
    ),
    # syncs
    Mutant(
        name="synchronous_normal",
        breaks="commits are acknowledged before they are synced",
        file=f"{SQLITE}connection.py",
        text='    if mode != "wal" or level',
        replacement='    connection.write("PRAGMA synchronous = NORMAL")\n    if mode != "wal" or level',
        test=CUTS,
    ),
    Mutant(
        name="durability_not_read_back",
        breaks="a database that refuses to be careful is used all the same",
        file=f"{SQLITE}connection.py",
        text='    if mode != "wal" or level < {',
        replacement='    if mode != "wal" or level > 3 + {',
        test="tests/durability/test_power_cuts.py::test_a_database_that_answers_to_be_less_careful_is_refused",
    ),
    Mutant(
        name="failed_commit_taken_for_committed",
        breaks="a commit that the full disk refused is acknowledged",
        file=f"{SQLITE}journal.py",
        text="            roll_back(connection)\n            raise\n        raise CommitUnknownError(",
        replacement="            roll_back(connection)\n            return\n        raise CommitUnknownError(",
        test="tests/durability/test_lives.py::test_a_disk_that_is_full_for_a_while_loses_nothing_and_work_goes_on_when_there_is_room",
    ),
    Mutant(
        name="connection_kept_after_a_failed_sync",
        breaks="a connection whose commit is unknown is used again",
        file=f"{SQLITE}session.py",
        text="        except CommitUnknownError:\n            self._discard()\n            raise\n",
        replacement="        except CommitUnknownError:\n            raise\n",
        test="tests/conformance/test_sqlite_trouble.py::test_a_commit_that_nobody_can_vouch_for_is_unknown_and_told_by_the_heads",
    ),
    Mutant(
        name="log_not_renewed",
        breaks="what a failed sync left unwritten is built upon by the next process",
        file=f"{SQLITE}store.py",
        text="            if self._connections or self._locks.is_alone():\n",
        replacement="            if self._connections and self._locks.is_alone():\n",
        test="tests/durability/test_lives.py::"
        "test_a_process_killed_after_a_failed_sync_leaves_a_log_that_the_next_one_does_not_build_on",
    ),
    Mutant(
        name="unknown_commit_judged_by_what_is_not_synced",
        breaks="the heads answer from a log whose sync failed",
        file=f"{SQLITE}store.py",
        text="        if not self._writer.is_connected:\n",
        replacement="        if not self._writer:\n",
        test=f"{LOG}test_what_the_heads_say_after_an_unknown_commit_is_on_the_disk",
    ),
    # other processes
    Mutant(
        name="news_of_two_connections_compared",
        breaks="a change by another process is missed when the connection had to be made anew",
        file=f"{SQLITE}store.py",
        text="        return self._connections, connection.read",
        replacement="        return 0, connection.read",
        test=f"{LOG}test_a_store_that_had_to_connect_again_misses_no_news",
    ),
    Mutant(
        name="lock_file_left_behind",
        breaks="taking over a dead node makes its lock file again",
        file=f"{SQLITE}ownership.py",
        text="            locks.drop(dead_node)  # forgotten before; holding it has made its file again\n",
        replacement="",
        test="tests/durability/test_left_behind.py::test_taking_over_a_dead_node_leaves_no_lock_file",
    ),
)
