"""What people decide through an engine: approvals with forms, steps left out, cancels that undo."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, Step, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.errors import CommandRefusedError, NotFoundError, ValidationError
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import Block, OnFailure
from taskengine.runtime.settings import NodeSettings

FORM = {
    "type": "object",
    "required": ["amount"],
    "properties": {"amount": {"type": "integer", "maximum": 100}, "currency": {"type": "string", "default": "EUR"}},
}


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return MemoryStore(MemoryDatabase()) if request.param == "memory" else tmp_path / "engine.db"


def asking(**config: Any) -> Workflow:
    return Workflow(name="ask", steps=(Step(id="ok", type="approval", config=config),), output="{{ steps.ok.output }}")


async def test_an_approval_takes_the_data_that_fits_its_form(store: Any) -> None:
    async with Engine(store) as engine:
        one = await engine.execute_workflow(asking(approvers=["ann"], form=FORM, deadline="1h"))
        with pytest.raises(ValidationError) as refused:
            await engine.decide(one.id, "/ok/", by="ann", data={"amount": 1_000})
        assert (refused.value.name, "data.amount" in refused.value.message) == ("invalid_input", True)
        assert "form" in refused.value.hint
        with pytest.raises(ValidationError):
            await engine.decide(one.id, "/ok/", by="ann")
        with pytest.raises(CommandRefusedError) as who:
            await engine.decide(one.id, "/ok/", by="eve", data={"amount": 3})
        assert who.value.name == "not_an_approver"
        await engine.decide(one.id, "/ok/", by="ann", comment="fine", data={"amount": 3})
        result = await one.result(timeout=10)
    data = {"amount": 3, "currency": "EUR"}
    assert result.output == {"approved": True, "by": "ann", "comment": "fine", "data": data}


async def test_who_rejects_need_not_fill_in_the_form_but_what_is_said_must_fit(store: Any) -> None:
    async with Engine(store) as engine:
        one = await engine.execute_workflow(asking(form=FORM, deadline="1h"))
        with pytest.raises(ValidationError):
            await engine.decide(one.id, "/ok/", approve=False, data={"amount": "much"})
        await engine.decide(one.id, "/ok/", approve=False, comment="no")
        result = await one.result(timeout=10)
    assert result.status is Status.FAILED
    assert result.error is not None
    assert (result.error.type, result.error.message) == ("Rejected", "/ok/ no")


async def test_a_form_is_found_inside_containers_and_may_be_of_any_type(store: Any) -> None:
    ok = Step(id="ok", type="approval", config={"form": {"type": "integer"}, "deadline": "1h"})
    each = Step(id="each", type="map", config={"items": [1]}, blocks=(Block(steps=(ok,), output="{{ steps.ok.output.data }}"),))
    inside = Step(id="both", type="parallel", blocks=(Block(name="left", steps=(each,)),))
    async with Engine(store) as engine:
        one = await engine.execute_workflow(Workflow(name="deep", steps=(inside,), output="{{ steps.both.output }}"))
        for data in (None, "five"):
            with pytest.raises(ValidationError):
                await engine.decide(one.id, "/both/left/each/[0]/ok/", data=data)
        with pytest.raises(NotFoundError) as refused:
            await engine.decide(one.id, "/both/right/each/[0]/ok/", data="five")
        assert refused.value.name == "unknown_path"
        await engine.decide(one.id, "/both/left/each/[0]/ok/", data=5)
        result = await one.result(timeout=10)
    assert result.output == {"left": [5]}


async def test_a_form_of_an_approval_that_undoes_a_step_is_judged_too(store: Any) -> None:
    undo = Step(id="", type="approval", config={"form": {"type": "integer"}, "deadline": "1h"})
    done = Step(id="done", type="parallel", compensate=undo, blocks=(Block(name="one", steps=(Step(id="a", type="noop"),)),))
    waits = Step(id="waits", type="wait", depends_on=("done",), config={"signal": "never", "deadline": "1h"})
    async with Engine(store) as engine:
        one = await engine.execute_workflow(Workflow(name="undoing", steps=(done, waits)))
        await engine.cancel_instance(one.id, compensate=True)
        with pytest.raises(ValidationError):
            await engine.decide(one.id, "/done/[undo]/", data="five")
        await engine.decide(one.id, "/done/[undo]/", data=5)
        result = await one.result(timeout=10)
    assert (result.status, result.outcome) == (Status.CANCELLED, Outcome.COMPENSATED)


async def test_data_without_a_form_is_kept_as_it_is(store: Any) -> None:
    async with Engine(store) as engine:
        one = await engine.execute_workflow(asking(deadline="1h"))
        with pytest.raises(ValidationError) as refused:
            await engine.decide(one.id, "/ok/", comment="\0")
        assert refused.value.name == "bad_label"
        await engine.decide(one.id, "/ok/", data=[1])
        result = await one.result(timeout=10)
    assert result.output == {"approved": True, "by": "", "comment": "", "data": [1]}


async def test_a_decision_reaches_the_node_that_has_the_execution(tmp_path: Path) -> None:
    async with Engine(tmp_path / "engine.db") as engine:
        one = await engine.execute_workflow(asking(deadline="1h"))
        async with Engine(tmp_path / "engine.db", settings=NodeSettings(can_run=False)) as control:
            await control.decide(one.id, "/ok/", by="ann", data=1)
        result = await one.result(timeout=10)
    assert result.output == {"approved": True, "by": "ann", "comment": "", "data": 1}


async def test_a_failed_step_is_skipped_and_the_rest_is_done(store: Any) -> None:
    def broken() -> None:
        raise ValueError("no")

    def report(load: object) -> str:
        return f"reported without it: {load}"

    steps = (
        Step(id="load", type="function", config={"function": "broken"}),
        Step(id="report", type="function", config={"function": "report"}, depends_on=("load",)),
    )
    workflow = Workflow(name="skip", steps=steps, output="{{ steps.report.output }}")
    async with Engine(store, functions={"broken": broken, "report": report}) as engine:
        one = await engine.execute_workflow(workflow)
        assert (await one.result(timeout=10)).status is Status.FAILED
        await engine.skip_task(one.id, "/load/", by="ann", reason="the host is gone")
        result = await one.result(timeout=10)
        with pytest.raises(CommandRefusedError) as refused:
            await engine.skip_task(one.id, "/report/")
    assert result.output == "reported without it: None"
    assert refused.value.name == "task_already_finished"


async def test_a_cancel_that_asks_for_it_undoes_what_was_done(store: Any) -> None:
    done: list[str] = []

    def book() -> str:
        done.append("booked")
        return "seat 7"

    def unbook(seat: str) -> None:
        done.append(f"gave back {seat}")

    undo = Step(id="", type="function", config={"function": "unbook"}, input_mapping={"seat": "{{ steps.book.output }}"})
    steps = (
        Step(id="book", type="function", config={"function": "book"}, compensate=undo),
        Step(id="pay", type="wait", config={"signal": "paid"}, depends_on=("book",)),
    )
    async with Engine(store, functions={"book": book, "unbook": unbook}) as engine:
        one = await engine.execute_workflow(Workflow(name="trip", steps=steps))
        while not (await engine.get_instance(one.id)).completed:
            await asyncio.sleep(0)
        await engine.cancel_instance(one.id, compensate=True)
        result = await one.result(timeout=10)
    assert (result.status, result.outcome) == (Status.CANCELLED, Outcome.COMPENSATED)
    assert done == ["booked", "gave back seat 7"]


async def test_the_form_of_an_approval_that_undoes_a_step_is_asked_too(store: Any) -> None:
    undo = Step(id="", type="approval", config={"form": FORM, "deadline": "1h"})
    done = Step(id="done", type="set", config={"n": 1}, compensate=undo)
    last = Step(id="last", type="fail", config={"message": "no"}, depends_on=("done",))
    undone = Workflow(name="undone", steps=(done, last), on_failure=OnFailure.COMPENSATE)
    async with Engine(store) as engine:
        one = await engine.execute_workflow(undone)
        with pytest.raises(ValidationError):
            await engine.decide(one.id, "/done/[undo]/", data={"unknown": []})
