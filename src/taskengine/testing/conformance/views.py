"""The views' promises: what is shown is what is stored, filtered, in order, in pages."""

# ruff: noqa: D102 -- the name of a test is its sentence

from __future__ import annotations

from typing import Final

import pytest

from taskengine.ports.store import Append, ExecutionFilter
from taskengine.testing.conformance.samples import NewStore, append, birth, event, follow, opened, summary, task_row

__all__ = ["ViewsContract"]

_SHOWN: Final[dict[str, Append]] = {
    first.summary.execution_id: first
    for first in (
        birth("ex_01A", workflow_id="wf_1", status="running", business_key="order 7"),
        birth("ex_02B", workflow_id="wf_2", status="failed", owner="", finished_at=9, business_key="order 7"),
        birth("ex_03A", workflow_id="wf_1", status="waiting", owner="", wake_at=5, parent_id="ex_01A"),
        birth("ex_04B", workflow_id="wf_1", status="completed", owner="", finished_at=9),
        birth("ex_05A", workflow_id="wf_2", status="running", owner="node_b"),
    )
}

_CASES: Final[list[tuple[ExecutionFilter, list[str]]]] = [
    (ExecutionFilter(), ["ex_05A", "ex_04B", "ex_03A", "ex_02B", "ex_01A"]),
    (ExecutionFilter(workflow_id="wf_1"), ["ex_04B", "ex_03A", "ex_01A"]),
    (ExecutionFilter(workflow_id="wf_3"), []),
    (ExecutionFilter(statuses=("running",)), ["ex_05A", "ex_01A"]),
    (ExecutionFilter(statuses=("failed", "waiting")), ["ex_03A", "ex_02B"]),
    (ExecutionFilter(business_key="order 7"), ["ex_02B", "ex_01A"]),
    (ExecutionFilter(business_key="order 7", is_open=True), ["ex_01A"]),
    (ExecutionFilter(business_key="order"), []),
    (ExecutionFilter(is_root=True), ["ex_05A", "ex_04B", "ex_02B", "ex_01A"]),
    (ExecutionFilter(is_root=False), ["ex_03A"]),
    (ExecutionFilter(is_open=True), ["ex_05A", "ex_03A", "ex_01A"]),
    (ExecutionFilter(is_open=False), ["ex_04B", "ex_02B"]),
    (ExecutionFilter(owners=("node_a", "node_b")), ["ex_05A", "ex_01A"]),
    (ExecutionFilter(owners=("",)), ["ex_04B", "ex_03A", "ex_02B"]),
    (ExecutionFilter(id_part="ex_0"), ["ex_05A", "ex_04B", "ex_03A", "ex_02B", "ex_01A"]),
    (ExecutionFilter(id_part="ex_02"), ["ex_02B"]),
    (ExecutionFilter(id_part="A"), ["ex_05A", "ex_03A", "ex_01A"]),
    (ExecutionFilter(id_part="4B"), ["ex_04B"]),
    (ExecutionFilter(id_part="_0"), []),
    (ExecutionFilter(id_part="ex_01A and more"), []),
    (ExecutionFilter(workflow_id="wf_1", is_open=True, id_part="A", statuses=("running",), owners=("node_a",)), ["ex_01A"]),
]


class ViewsContract:
    """``Views``."""

    @pytest.mark.parametrize(("wanted", "expected"), _CASES)
    async def test_a_filter_shows_what_it_says_newest_first(
        self, new_store: NewStore, *, wanted: ExecutionFilter, expected: list[str]
    ) -> None:
        async with opened(new_store) as store:
            await store.commit(list(_SHOWN.values()))
            assert await store.executions(wanted, limit=10) == [_SHOWN[execution_id].summary for execution_id in expected]
            assert await store.count(wanted) == len(expected)

    async def test_pages_follow_each_other_without_gaps_or_repeats(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.commit([birth(f"ex_{number:03}") for number in range(25)])
            pages: list[list[str]] = []
            cursor = ""
            while page := await store.executions(ExecutionFilter(), limit=10, before=cursor):
                pages.append([row.execution_id for row in page])
                cursor = page[-1].execution_id
            assert [len(page) for page in pages] == [10, 10, 5]
            assert [execution_id for page in pages for execution_id in page] == [
                f"ex_{number:03}" for number in reversed(range(25))
            ]

    async def test_a_list_shows_each_execution_as_it_is_now(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            first = birth("ex_1")
            second = follow(first.summary, status="completed", owner="", finished_at=8)
            await store.commit([first])
            await store.commit([second])
            assert await store.executions(ExecutionFilter(), limit=10) == [second.summary]
            assert await store.count(ExecutionFilter(is_open=True)) == 0

    async def test_a_history_is_read_in_pages(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.commit([birth("ex_1", events=5), birth("ex_2", events=9)])
            page = await store.events("ex_1", after=1, limit=3)
            assert [(stored.seq, stored.body) for stored in page] == [(seq, event("ex_1", seq)) for seq in (2, 3, 4)]
            assert [stored.seq for stored in await store.events("ex_1", after=4, limit=3)] == [5]
            assert await store.events("ex_1", after=5, limit=3) == []
            assert await store.events("ex_3", after=0, limit=3) == []

    async def test_tasks_are_shown_in_the_order_they_ended(self, new_store: NewStore) -> None:
        rows = [task_row("ex_1", number) for number in (5, 1, 3, 3)]
        async with opened(new_store) as store:
            await store.commit([append(summary("ex_1", seq=1), expected_seq=0, tasks=rows[:2])])
            await store.commit([append(summary("ex_1", seq=2), expected_seq=1, tasks=rows[2:]), birth("ex_2")])
            assert await store.tasks("ex_1") == rows
            assert await store.tasks("ex_2") == []
