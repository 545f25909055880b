"""Time in a virtual engine: it jumps when everything waits, stands still while a thread works, and waits for the test."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from taskengine import Step
from taskengine.errors import ConflictError
from taskengine.testing import virtual_engine
from tests.testing.workflows import FUNCTIONS, ORDER, call, flow, slowly, wait

START = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = flow(wait("month", duration="30d"), call("double", "double", "month", params={"x": 21}), output="{{ steps.double.output }}")
DOCUMENT = """
name: two
steps:
  - id: a
    type: function
    config: {function: "sums:add", params: {x: 1}}
output: "{{ steps.a.output }}"
"""
APPROVAL = flow(wait("approval", signal="approved", deadline="7d"), call("nap", "slowly", "approval", params={"hours": 3}))


def test_a_wait_of_thirty_days_passes_at_once() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        ended = engine.run(MONTH)
        assert (ended.status, ended.output) == ("completed", 42)
        assert engine.clock.now == START + timedelta(days=30)
        assert ended.history.took("month") == timedelta(days=30)


async def test_the_same_in_an_async_test() -> None:
    async with virtual_engine(functions=FUNCTIONS) as engine:
        ended = await engine.run(MONTH)
        assert ended.output == 42
        assert await engine.clock.advance(days=1) == START + timedelta(days=31)
        summary = await engine.get_instance(ended.id)  # whatever an engine can do, in its own loop
        assert summary == await engine.engine.get_instance(ended.id)


def test_the_same_on_a_database(tmp_path: Path) -> None:
    with virtual_engine(tmp_path / "work.db", functions=FUNCTIONS) as engine:
        ended = engine.run(MONTH)
    assert ended.output == 42
    with virtual_engine(tmp_path / "work.db", functions=FUNCTIONS, starts_at=START + timedelta(days=31), seed=1) as engine:
        assert engine.history(ended.id).story() == ended.history.story()


def test_async_functions_sleep_in_virtual_time() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        ended = engine.run(flow(call("nap", "slowly", params={"hours": 48}), output="{{ steps.nap.output }}"))
        assert ended.output == "after 48 hours"
        assert ended.history.took("nap") == timedelta(hours=48)


def test_time_stands_still_between_the_calls_of_a_test() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        execution = engine.execute_workflow(MONTH)
        assert execution.history().status == "waiting"
        assert engine.clock.now == START
        engine.clock.advance(days=29, hours=23)
        execution.history().never_ran("double")
        assert engine.clock.advance(hours=1) == START + timedelta(days=30)
        execution.history().ran("double", times=1)


def test_time_does_not_go_back() -> None:
    with virtual_engine() as engine, pytest.raises(ValueError, match="does not go back"):
        engine.clock.advance(days=-1)


def test_time_stands_still_while_a_thread_works() -> None:
    entered, may_go = threading.Event(), threading.Event()

    def blocks() -> str:
        entered.set()
        assert may_go.wait(60)
        return "done"

    with virtual_engine(functions={"blocks": blocks}) as engine:
        step = call("work", "blocks", timeout_ms=1_000)
        execution = engine.execute_workflow(flow(step, output="{{ steps.work.output }}"))
        assert entered.wait(60)
        ended: list[object] = []
        waiter = threading.Thread(target=lambda: ended.append(execution.result()))
        waiter.start()
        # The attempt's timeout is one virtual second: it would pass at once if time did.
        assert engine.clock.now == START
        may_go.set()
        waiter.join(60)
        assert execution.result().output == "done"
        assert execution.result().history.took() == timedelta()


def test_time_stands_still_while_a_function_waits_for_a_thread_of_its_own() -> None:
    async def asks_a_thread() -> bool:
        has_passed = threading.Event()
        timer = asyncio.get_running_loop().call_later(1, has_passed.set)
        answer = await asyncio.to_thread(has_passed.wait, 0.1)  # long enough for time to jump, if it did
        timer.cancel()
        return answer

    with virtual_engine(functions={"asks": asks_a_thread}) as engine:
        ended = engine.run(flow(call("ask", "asks"), output="{{ steps.ask.output }}"))
        assert (ended.output, ended.history.took()) == (False, timedelta())


def test_a_call_returns_when_all_that_can_happen_at_this_instant_has_happened() -> None:
    async def instantly() -> None:
        pass

    chain = [call(f"s{number}", "instantly", *[f"s{number - 1}"] * (number > 0)) for number in range(100)]
    with virtual_engine(functions={"instantly": instantly}) as engine:
        execution = engine.execute_workflow(flow(wait("month", duration="30d"), *chain))
        execution.history().completed("s99")
        later = engine.execute_workflow(flow(wait("month", duration="30d"), *chain[1:], chain[0], name="later"))
        later.history().completed("s99")
        assert engine.clock.now == START


async def test_a_connection_takes_the_time_it_takes() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        await asyncio.sleep(0.05)  # of the real time; nothing else happens meanwhile
        writer.write(line)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def echo() -> str:
        async with asyncio.timeout(3_600):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"hello\n")
            text = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return text.decode().strip()

    async with server, virtual_engine(functions={"echo": echo}) as engine:
        ended = await engine.run(flow(call("echo", "echo"), output="{{ steps.echo.output }}"))
        assert ended.output == "hello"
        assert ended.history.took() < timedelta(minutes=1)


def test_a_child_process_takes_the_time_it_takes() -> None:
    script = {"script": "inline:print(1 + 1)", "runtime": "python"}
    child = Step(id="child", type="script", config=script, timeout_ms=60_000)
    with virtual_engine() as engine:
        ended = engine.run(flow(child, wait("month", "child", duration="30d")))
    ended.history.completed("child", "month")
    # Its timeout of a minute would have passed at once if time had jumped.
    assert timedelta() < ended.history.took("child") < timedelta(minutes=1)


def test_services_reach_functions_as_on_any_engine() -> None:
    def asks(numbers: list[int]) -> int:
        return sum(numbers)

    with virtual_engine(functions={"asks": asks}, services={"numbers": [1, 2, 3]}) as engine:
        assert engine.run(flow(call("ask", "asks"), output="{{ steps.ask.output }}")).output == 6


def test_a_signal_goes_on_where_it_was_sent() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        execution = engine.execute_workflow(APPROVAL)
        engine.clock.advance(days=6)
        execution.signal("approved", {"by": "Ada"})
        ended = execution.result()
        assert ended.history.output_of("approval") == {"by": "Ada"}
        assert engine.clock.now == START + timedelta(days=6, hours=3)


def test_a_deadline_that_nobody_meets_passes_by_itself() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        ended = engine.run(APPROVAL)
        ended.history.failed("approval", error="Timeout")
        assert engine.clock.now == START + timedelta(days=7)


def test_waiting_for_what_nobody_will_do_is_an_error_that_says_what_it_is() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        execution = engine.execute_workflow(flow(wait("approval", signal="approved")))
        with pytest.raises(ConflictError, match="/approval/ waits for signal approved") as caught:
            execution.result()
        assert caught.value.name == "stands_still"
        execution.signal("approved")
        assert execution.result().status == "completed"


async def test_another_task_of_an_async_test_may_still_act() -> None:
    async with virtual_engine(functions=FUNCTIONS, patience_s=60) as engine:
        execution = await engine.execute_workflow(flow(wait("approval", signal="approved")))
        result = asyncio.create_task(execution.result())
        await asyncio.sleep(0)
        await execution.signal("approved")
        assert (await result).status == "completed"


async def test_an_async_test_in_which_nobody_acts_is_told_so() -> None:
    async with virtual_engine(patience_s=0.01) as engine:
        with pytest.raises(ConflictError, match="waits for signal approved"):
            await engine.run(flow(wait("approval", signal="approved")))


def test_a_wait_for_the_result_may_have_an_end() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        execution = engine.execute_workflow(MONTH)
        with pytest.raises(ConflictError, match="has not ended within 1 day"):
            execution.result(timeout=timedelta(days=1))
        assert engine.clock.now == START + timedelta(days=1)
        assert execution.result().output == 42


def test_control_works_as_on_any_engine() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        execution = engine.execute_workflow(MONTH)
        execution.pause()
        engine.clock.advance(days=60)
        assert execution.history().status == "paused"
        execution.resume()
        assert execution.result().history.took() == timedelta(days=90)
        other = engine.execute_workflow(MONTH)
        other.cancel()
        other.result().history.cancelled()
        third = engine.execute_workflow(MONTH)
        third.terminate()
        assert third.result().outcome == "terminated"
        third.retry()
        assert third.result().status == "completed"


def test_an_execution_that_runs_may_be_cancelled() -> None:
    with virtual_engine(functions=FUNCTIONS) as engine:
        execution = engine.execute_workflow(flow(call("nap", "slowly", params={"hours": 9})))
        engine.clock.advance(hours=1)
        execution.cancel()
        execution.result().history.cancelled("nap")
        assert engine.clock.now == START + timedelta(hours=1)


def test_the_same_test_writes_the_same_history() -> None:
    def story(seed: int) -> tuple[str, str]:
        with virtual_engine(functions={**FUNCTIONS, "double": slow_double}, seed=seed) as engine:
            engine.step("fetch").fails(2)
            ended = engine.run(ORDER, params={"x": 1})
            return ended.id, ended.history.story()

    assert story(1) == story(1)
    assert story(1) != story(2)


async def slow_double(x: int) -> int:
    await asyncio.sleep(1)
    return 2 * x


def test_a_document_runs_with_the_functions_beside_it(tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(DOCUMENT, encoding="utf-8")
    (tmp_path / "sums.py").write_text("def add(x):\n    return x + 1\n", encoding="utf-8")
    with virtual_engine() as engine:
        assert engine.run(tmp_path / "two.yaml").output == 2
        assert engine.run(str(tmp_path / "two.yaml")).output == 2


def test_a_document_that_cannot_run_shows_its_findings(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: bad\nsteps:\n  - id: a\n    type: noop\n    depends_on: [b]\n", encoding="utf-8")
    with virtual_engine() as engine, pytest.raises(Exception, match=r"bad\.yaml:5") as caught:
        engine.run(tmp_path / "bad.yaml")
    assert type(caught.value).__name__ == "DefinitionError"


def test_what_a_test_leaves_running_ends_with_it() -> None:
    before = threading.active_count()
    with virtual_engine(functions={"slowly": slowly}) as engine:
        engine.execute_workflow(flow(call("nap", "slowly", params={"hours": 9}), wait("month", duration="30d")))
    assert threading.active_count() == before


def test_an_exception_of_the_test_goes_through() -> None:
    def act() -> None:
        with virtual_engine() as engine:
            engine.step("unknown").returns(1)
            raise RuntimeError("the test's own")

    with pytest.raises(RuntimeError, match="the test's own"):
        act()


def test_many_steps_that_sleep_at_the_same_time_sleep_together() -> None:
    naps = tuple(call(f"nap_{hours}", "slowly", params={"hours": hours}) for hours in range(1, 40))
    with virtual_engine(functions=FUNCTIONS) as engine:
        ended = engine.run(flow(*naps, Step(id="all", type="noop", depends_on=tuple(step.id for step in naps))))
        assert ended.history.took() == timedelta(hours=39)


def test_importing_the_kit_loads_nothing_of_it() -> None:
    code = "import sys, taskengine.testing; print([name for name in sys.modules if name.startswith('taskengine.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['taskengine.testing']"
