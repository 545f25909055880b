"""The logs' promises: lines are shown in the order in which they were written, of one execution or of one of its tasks."""

# ruff: noqa: D102 -- the name of a test is its sentence

from __future__ import annotations

from taskengine.ports.store import LogLine
from taskengine.testing.conformance.samples import NewStore, opened

__all__ = ["LogsContract"]


def _line(number: int, *, execution_id: str = "ex_1", task: int = 1) -> LogLine:
    return LogLine(execution_id, task, 1, number, "info", "stdout", f"line {number}\n\x00 ü")


class LogsContract:
    """``Logs``."""

    async def test_lines_are_shown_in_the_order_in_which_they_were_written(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.write_logs([_line(number) for number in range(3, 0, -1)])
            await store.write_logs([])
            await store.write_logs([_line(9)])
            shown = await store.logs("ex_1", task=None, after=0, limit=10)
            assert [line.at for line in shown] == [3, 2, 1, 9]
            assert [line.log_id for line in shown] == sorted({line.log_id for line in shown})
            assert shown[0].message == "line 3\n\x00 ü"

    async def test_lines_are_shown_of_one_execution_and_of_one_task(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.write_logs([_line(number, execution_id=f"ex_{number % 2}", task=number % 3) for number in range(60)])
            assert [line.at for line in await store.logs("ex_1", task=None, after=0, limit=3)] == [1, 3, 5]
            assert [line.at for line in await store.logs("ex_1", task=2, after=0, limit=2)] == [5, 11]
            assert await store.logs("ex_2", task=None, after=0, limit=3) == []

    async def test_pages_of_lines_follow_each_other(self, new_store: NewStore) -> None:
        async with opened(new_store) as store:
            await store.write_logs([_line(number) for number in range(1_100)])
            shown: list[int] = []
            after = 0
            while page := await store.logs("ex_1", task=1, after=after, limit=400):
                shown += [line.at for line in page]
                after = page[-1].log_id
            assert shown == list(range(1_100))

    async def test_lines_are_there_for_every_process(self, new_store: NewStore) -> None:
        async with opened(new_store) as one, opened(new_store) as other:
            await one.write_logs([_line(1)])
            await other.write_logs([_line(2)])
            assert [line.at for line in await one.logs("ex_1", task=None, after=0, limit=10)] == [1, 2]
