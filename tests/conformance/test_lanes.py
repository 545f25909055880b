"""Lanes: calls run one after the other, and each caller gets its own answer, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator

import pytest

from taskengine.adapters.lanes import InlineLane, ThreadLane
from taskengine.errors import InternalError
from taskengine.ports.lane import Lane


@pytest.fixture(params=[ThreadLane, InlineLane])
def lane(request: pytest.FixtureRequest) -> Iterator[Lane]:
    made: Lane = request.param("test")
    yield made
    made.close()


@pytest.fixture
async def unheard() -> AsyncGenerator[list[object]]:
    """What the loop could tell nobody but its log."""
    contexts: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))
    yield contexts
    assert contexts == []


@pytest.fixture
def thread_lane() -> Iterator[ThreadLane]:
    made = ThreadLane("test")
    yield made
    made.close()


async def test_a_call_returns_what_its_function_returns(lane: Lane) -> None:
    assert await lane.call(divmod, 17, 5) == (3, 2)
    assert await lane.call(int, "ff", base=16) == 255


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, asyncio.CancelledError])
async def test_a_call_raises_what_its_function_raises(lane: Lane, kind: type[BaseException]) -> None:
    def fail() -> None:
        raise kind("on purpose")

    with pytest.raises(kind):
        await lane.call(fail)
    assert await lane.call(abs, -1) == 1


async def test_a_function_that_stops_an_iteration_fails_its_call(lane: Lane) -> None:
    with pytest.raises(RuntimeError, match="StopIteration"):
        await lane.call(next, iter(()))
    assert await lane.call(abs, -1) == 1


async def test_calls_run_in_the_order_they_were_made(lane: Lane) -> None:
    done: list[int] = []
    await asyncio.gather(*(lane.call(done.append, number) for number in range(500)))
    assert done == list(range(500))


async def test_calls_of_one_lane_share_one_thread_that_is_not_the_loops(thread_lane: ThreadLane) -> None:
    threads = {await thread_lane.call(threading.get_ident) for _ in range(5)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_cancelled_caller_disturbs_nobody(thread_lane: ThreadLane, unheard: list[object]) -> None:
    begun, may_end = threading.Event(), threading.Event()
    done: list[str] = []

    def slow() -> str:
        begun.set()
        may_end.wait()
        done.append("slow")
        return "slow"

    first = asyncio.create_task(thread_lane.call(slow))
    second = asyncio.create_task(thread_lane.call(lambda: "second"))
    await asyncio.sleep(0)
    begun.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert not second.done()
    may_end.set()
    assert await second == "second"
    assert done == ["slow"]


async def test_a_cancelled_callers_failure_is_nobodys(thread_lane: ThreadLane, unheard: list[object]) -> None:
    may_end = threading.Event()

    def fail() -> None:
        may_end.wait()
        raise ValueError("for nobody")

    waiting = asyncio.create_task(thread_lane.call(fail))
    await asyncio.sleep(0)
    waiting.cancel()
    may_end.set()
    assert await thread_lane.call(abs, -1) == 1
    assert waiting.cancelled()


def test_a_loop_that_is_gone_stops_nobody(thread_lane: ThreadLane) -> None:
    may_end = threading.Event()

    async def leave_behind() -> None:
        waiting = asyncio.create_task(thread_lane.call(may_end.wait))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave_behind())
    may_end.set()
    assert asyncio.run(thread_lane.call(abs, -1)) == 1


def test_several_loops_may_use_one_lane(thread_lane: ThreadLane) -> None:
    async def many(number: int) -> list[int]:
        return await asyncio.gather(*(thread_lane.call(lambda value: value, number * 1_000 + n) for n in range(100)))

    results: dict[int, list[int]] = {}

    def run(number: int) -> None:
        results[number] = asyncio.run(many(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [number * 1_000 + n for n in range(100)] for number in range(4)}


async def test_closing_finishes_what_was_begun_and_ends_the_thread(thread_lane: ThreadLane) -> None:
    done: list[int] = []
    calls = [asyncio.create_task(thread_lane.call(done.append, number)) for number in range(50)]
    await asyncio.sleep(0)
    before = threading.active_count()
    thread_lane.close()
    assert done == list(range(50))
    assert threading.active_count() == before - 1
    await asyncio.gather(*calls)


async def test_a_closed_lane_refuses(lane: Lane) -> None:
    lane.close()
    lane.close()
    with pytest.raises(InternalError) as closed:
        await lane.call(abs, -1)
    assert closed.value.name == "lane_closed"


async def test_a_lane_that_was_never_used_closes(lane: Lane) -> None:
    lane.close()


async def test_a_call_leaves_nothing_behind(thread_lane: ThreadLane) -> None:
    """The last call's arguments and answer are not kept until the next one."""

    class Large:
        pass

    gone = threading.Event()

    def watch(large: Large) -> Callable[[], None]:
        import weakref

        weakref.finalize(large, gone.set)
        return lambda: None

    large = Large()
    await thread_lane.call(watch, large)
    del large
    assert await asyncio.to_thread(gone.wait, 10)
