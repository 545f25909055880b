"""The simulated world's own promises: virtual time, drawn order, processes that stop and die, named failures, and nothing real."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from taskengine.testing.simulation import (
    Chance,
    Latency,
    Picker,
    PriorityPicker,
    SimEnvironment,
    SimLoop,
    SimulationError,
    StarvingPicker,
    UniformPicker,
)

PICKERS: list[Callable[[Chance], Picker]] = [UniformPicker, StarvingPicker, PriorityPicker]


class Always(Latency):
    """Not drawn."""

    def __init__(self, seconds: float) -> None:
        super().__init__(Chance(1))
        self._seconds = seconds

    def __call__(self) -> float:
        return self._seconds


def new_loop(seed: int = 1, picker: Callable[[Chance], Picker] = UniformPicker, *, max_steps: int = 100_000) -> SimLoop:
    return SimLoop(picker(Chance(seed)), max_steps=max_steps)


def order(seed: int, picker: Callable[[Chance], Picker]) -> list[int]:
    """Ten tasks that each take three turns; in which order they were seen."""
    seen: list[int] = []

    async def count(number: int) -> None:
        for _ in range(3):
            seen.append(number)
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(count(number) for number in range(10)))

    new_loop(seed, picker).run(main())
    return seen


def test_a_day_passes_in_no_time() -> None:
    loop = new_loop()

    async def main() -> float:
        await asyncio.sleep(86_400)
        return loop.time()

    assert loop.run(main()) == 86_400
    assert loop.steps < 10


@pytest.mark.parametrize("picker", PICKERS)
def test_the_order_is_drawn_from_the_seed(picker: Callable[[Chance], Picker]) -> None:
    assert order(1, picker) == order(1, picker)
    assert order(1, picker) != order(2, picker)
    assert sorted(order(1, picker)) == sorted(list(range(10)) * 3)


def test_nothing_ready_and_nothing_scheduled_is_a_deadlock() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(SimulationError) as raised:
        new_loop().run(main())
    assert raised.value.name == "deadlock"


def test_steps_without_end_are_a_livelock() -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(SimulationError) as raised:
        new_loop(max_steps=1_000).run(main())
    assert raised.value.name == "livelock"


def test_an_exception_that_nobody_takes_ends_the_run() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(int, "no number")
        await asyncio.sleep(1)

    with pytest.raises(SimulationError) as raised:
        new_loop().run(main())
    assert raised.value.name == "unhandled"
    assert isinstance(raised.value.__cause__, ValueError)


def test_a_thread_is_refused() -> None:
    async def main() -> None:
        await asyncio.to_thread(int)

    with pytest.raises(SimulationError) as raised:
        new_loop().run(main())
    assert raised.value.name == "real_world"


def test_a_call_from_another_thread_is_refused() -> None:
    loop = new_loop()
    refused: list[str] = []

    def call() -> None:
        try:
            loop.call_soon_threadsafe(int)
        except SimulationError as error:
            refused.append(error.name)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    loop.close()
    assert refused == ["real_world"]


def test_a_process_that_is_killed_runs_no_cleanup() -> None:
    loop = new_loop()
    domain = loop.domain("process")
    told: list[str] = []

    async def live() -> None:
        try:
            await asyncio.sleep(10)
        finally:
            told.append("cleaned up")

    async def main() -> list[str]:
        domain.spawn(live())
        await asyncio.sleep(1)
        domain.kill()
        await asyncio.sleep(100)
        return list(told)

    assert loop.run(main()) == []


def test_what_a_process_starts_dies_with_it() -> None:
    loop = new_loop()
    domain = loop.domain("process")
    told: list[str] = []

    async def live() -> None:
        asyncio.get_running_loop().call_later(5, told.append, "timer")
        await asyncio.create_task(asyncio.sleep(5))
        told.append("task")

    async def main() -> None:
        domain.spawn(live())
        await asyncio.sleep(1)
        domain.kill()
        await asyncio.sleep(100)

    loop.run(main())
    assert told == []


def test_a_process_that_is_paused_stands_still_and_finds_its_timers_run_out() -> None:
    loop = new_loop()
    domain = loop.domain("process")
    told: list[float] = []

    async def live() -> None:
        while True:
            await asyncio.sleep(1)
            told.append(loop.time())

    async def main() -> None:
        domain.spawn(live())
        await asyncio.sleep(2.5)
        domain.pause()
        await asyncio.sleep(10)
        domain.resume()
        await asyncio.sleep(2)

    loop.run(main())
    assert told == [1, 2, 12.5, 13.5, 14.5][: len(told)]
    assert len(told) >= 4


def test_a_lane_keeps_the_order_of_its_calls_and_lets_others_run_in_between() -> None:
    loop = new_loop()
    chance = Chance(3)
    environment = SimEnvironment(loop, chance, latency=Latency(chance))
    lane = environment.lanes("store")
    done: list[int] = []
    meanwhile = 0

    async def tick() -> None:
        nonlocal meanwhile
        while True:
            meanwhile += 1
            await asyncio.sleep(0.001)

    async def main() -> list[None]:
        ticking = asyncio.create_task(tick())
        answers = await asyncio.gather(*(lane.call(done.append, number) for number in range(50)))
        ticking.cancel()
        return answers

    assert loop.run(main()) == [None] * 50
    assert sorted(done) == list(range(50))
    assert meanwhile > 10


def test_a_caller_that_is_cancelled_does_not_stop_the_call() -> None:
    loop = new_loop()
    chance = Chance(1)
    lane = SimEnvironment(loop, chance, latency=Always(0.5)).lanes("store")
    done: list[str] = []

    async def main() -> None:
        calling = asyncio.create_task(lane.call(done.append, "done"))
        await asyncio.sleep(0.1)
        calling.cancel()
        await asyncio.sleep(5)

    loop.run(main())
    assert done == ["done"]


def test_two_environments_of_one_seed_make_the_same_ids_and_never_the_same_twice() -> None:
    def ids() -> list[str]:
        loop = new_loop()
        environment = SimEnvironment(loop, Chance(7, "n1"), latency=Latency(Chance(7)))
        loop.close()
        return [environment.new_id("ex_") for _ in range(20)]

    assert ids() == ids()
    assert len(set(ids())) == 20
    assert ids() == sorted(ids())
