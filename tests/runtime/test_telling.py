"""Signals to whoever has a business key: from steps, and by the word that people write."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from taskengine import Engine, RetryPolicy, Step, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.app.find import find_execution
from taskengine.app.telling import SignalExecutor
from taskengine.errors import ConflictError, NotFoundError, StorageError
from taskengine.model import event as ev
from taskengine.model.codec import decode_event
from taskengine.model.command import Abandoned, Failed
from taskengine.model.status import Status
from taskengine.model.value import Raw, TaskError
from taskengine.testing import virtual_engine
from taskengine.testing.virtual.engine import Ended

ORDER = Workflow(
    name="order",
    business_key="{{ input.number }}",
    input_schema={"type": "object"},
    steps=(Step(id="paid", type="wait", config={"signal": "paid"}),),
    output="{{ steps.paid.output }}",
)


def payment(**changes: Any) -> Workflow:
    config = {"signal": "paid", "business_key": "{{ input.order }}", "data": {"amount": "{{ input.amount }}"}}
    return Workflow(
        name="payment", steps=(Step(id="tell", type="signal", config=config, **changes),), output="{{ steps.tell.output }}"
    )


def error_of(ended: Ended) -> TaskError:
    assert ended.error is not None
    return ended.error


async def test_a_step_tells_the_open_execution_with_the_key() -> None:
    async with virtual_engine() as engine:
        order = await engine.execute_workflow(ORDER, params={"number": "order 7"})
        other = await engine.execute_workflow(ORDER, params={"number": "order 8"})
        told = await engine.run(payment(), params={"order": "order 7", "amount": 3})
        assert told.output == {"execution_id": order.id}
        assert (await order.result()).output == {"amount": 3}
        assert (await engine.get_instance(other.id)).finished_at is None
        await other.signal("paid")
        assert (await other.result()).status is Status.COMPLETED


async def test_nobody_or_several_with_the_key_fail_the_step_by_name() -> None:
    async with virtual_engine() as engine:
        nobody = await engine.run(payment(), params={"order": "order 7", "amount": 3})
        assert (nobody.status, error_of(nobody).type) == (Status.FAILED, "NotFoundError")
        assert 'no open execution has the business key "order 7"' in error_of(nobody).message
        twins = [await engine.execute_workflow(ORDER, params={"number": "order 7"}) for _ in range(2)]
        several = await engine.run(payment(), params={"order": "order 7", "amount": 3})
        assert "several open executions" in error_of(several).message
        await twins[0].cancel()
        assert (await engine.run(payment(), params={"order": "order 7", "amount": 3})).output == {"execution_id": twins[1].id}
        assert (await twins[1].result()).output == {"amount": 3}


async def test_a_retry_policy_waits_for_somebody_with_the_key() -> None:
    async with virtual_engine() as engine:
        patient = payment(retry=RetryPolicy(max_attempts=5, initial_interval_ms=60_000, jitter=0.0))
        telling = await engine.execute_workflow(patient, params={"order": "late", "amount": 1})
        order = await engine.execute_workflow(ORDER, params={"number": "late"})
        assert (await telling.result()).status is Status.COMPLETED
        assert (await order.result()).output == {"amount": 1}


@pytest.mark.parametrize(
    ("order", "said"), [(7, "business_key is a text"), ("", "business_key is a text"), (None, "business_key is a text")]
)
async def test_a_key_that_is_no_text_fails_the_step(order: Any, said: str) -> None:
    async with virtual_engine() as engine:
        ended = await engine.run(payment(), params={"order": order, "amount": 3})
        assert (error_of(ended).type, said in error_of(ended).message) == ("ValidationError", True)


class _Forgetful(MemoryStore):
    """The commit that would complete the step fails once: the attempt is lost after its signal was sent."""

    is_broken = True

    async def commit(self, batch: Any) -> Any:
        events = [decode_event(body) for append in batch for body in append.events]
        if _Forgetful.is_broken and any(
            isinstance(event, ev.TaskCompleted) and b"execution_id" in bytes(event.output or b"") for event in events
        ):
            _Forgetful.is_broken = False
            raise StorageError("disk_full", "no room")
        return await super().commit(batch)


async def test_an_attempt_that_is_made_again_sends_the_signal_once() -> None:
    database = MemoryDatabase()
    async with Engine(_Forgetful(database)) as engine:
        order = await engine.execute_workflow(ORDER, params={"number": "once"})
        telling = await engine.execute_workflow(payment(), params={"order": "once", "amount": 3})
        assert (await order.result(timeout=10)).output == {"amount": 3}
        told = await telling.result(timeout=10)
        received = [event for event in await _events(engine, order.id) if isinstance(event, ev.SignalReceived)]
        assert (_Forgetful.is_broken, told.status, len(received)) == (False, Status.COMPLETED, 1)


async def _events(engine: Engine, execution_id: str) -> list[ev.Event]:
    return [decode_event(one.body) for one in await engine.store.events(execution_id, after=0, limit=100)]


async def test_people_find_an_execution_by_its_key() -> None:
    async with virtual_engine() as engine:
        store = engine.engine.store
        first = await engine.execute_workflow(ORDER, params={"number": "order 7"})
        assert (await find_execution(store, "key:order 7")).execution_id == first.id
        assert (await engine.find_instance("order 7")).execution_id == first.id
        await first.cancel()
        assert (await find_execution(store, "key:order 7")).execution_id == first.id  # the newest, when none is open
        with pytest.raises(NotFoundError, match="no open execution"):
            await engine.find_instance("order 7")
        for _ in range(2):
            await engine.execute_workflow(ORDER, params={"number": "order 7"})
        with pytest.raises(NotFoundError, match="several open"):
            await find_execution(store, "key:order 7")
        for word in ("key:", "key:other"):
            with pytest.raises(NotFoundError, match="no open execution"):
                await find_execution(store, word)


class _Attempt:
    """What an attempt says of itself, and how it ended."""

    input = Raw(b'{"business_key": "order 7", "signal": "paid"}')
    execution_id, task, is_free = "ex_1", 1, False
    end_: Any = None

    def on_stop(self, stop: Any) -> None:
        del stop

    def free(self) -> None:
        self.is_free = True

    def end(self, end: Any) -> None:
        self.end_ = end


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (ConflictError("engine_not_started", "the engine is not running"), Abandoned),
        (ConflictError("owner_silent", "no answer"), Failed),
        (RuntimeError("a bug"), Failed),
    ],
)
async def test_an_attempt_ends_whatever_happens_and_a_stop_is_no_failure(error: Exception, end: type) -> None:
    async def tell(*_: Any, **__: Any) -> str:
        raise error

    attempt: Any = _Attempt()
    SignalExecutor(tell).begin(attempt)
    async with asyncio.timeout(10):
        while attempt.end_ is None:
            await asyncio.sleep(0)
    assert (type(attempt.end_), attempt.is_free) == (end, True)
