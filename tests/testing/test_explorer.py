"""The crash explorer finds what a crash changes, says where, and accepts what survives; each kind of mistake is planted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taskengine import RetryPolicy, Step, TaskContext
from taskengine.errors import ConflictError, NotFoundError
from taskengine.model.workflow import Block
from taskengine.testing import CrashError, HistoryError, explore_crashes
from tests.testing.workflows import FUNCTIONS, ORDER, call, flow, wait

SHOP = flow(
    wait("cool_down", duration="30d"),
    call("charge", "charge", "cool_down", params={"amount": 10}),
    call("mail", "mail", "charge"),
    name="shop",
    output="{{ steps.charge.output }}",
)


class Bank:
    """What functions leave behind outside of the engine."""

    def __init__(self) -> None:
        self.booked: list[int] = []
        self.by_key: dict[str, int] = {}

    def reset(self) -> None:
        self.__init__()

    async def careless(self, amount: int) -> int:
        await asyncio.sleep(5)
        self.booked.append(amount)
        return amount

    def careful(self, ctx: TaskContext, amount: int) -> int:
        self.by_key.setdefault(ctx.idempotency_key, amount)
        return amount

    def left(self) -> list[int]:
        return [*self.booked, *self.by_key.values()]


def mail() -> str:
    return "sent"


STORES = pytest.mark.parametrize("is_sqlite", [False, True], ids=["memory", "sqlite"])


@STORES
def test_a_function_that_heeds_its_idempotency_key_survives_every_crash(*, is_sqlite: bool, tmp_path: Path) -> None:
    bank = Bank()
    found = explore_crashes(
        SHOP,
        functions={"charge": bank.careful, "mail": mail},
        reset=bank.reset,
        effects=bank.left,
        sqlite_in=tmp_path if is_sqlite else None,
    )
    # Four commits: the start with the wait, its end with the charge's beginning, and one for each end.
    assert (found.points, found.events) == (8, 10)
    assert found.repeated == {"charge": 1, "mail": 1}
    found.history.order("cool_down", "charge", "mail")
    assert list(tmp_path.iterdir()) == []


@STORES
def test_a_function_that_books_twice_is_found_at_the_first_point(*, is_sqlite: bool, tmp_path: Path) -> None:
    bank = Bank()
    with pytest.raises(CrashError) as caught:
        explore_crashes(
            SHOP,
            functions={"charge": bank.careless, "mail": mail},
            reset=bank.reset,
            effects=bank.left,
            sqlite_in=tmp_path if is_sqlite else None,
        )
    message = str(caught.value)
    assert message.startswith("1 of 8 crashes change what happens. The first one, right before this was durable: events 7 to 8")
    assert "TaskCompleted of charge" in message
    assert "effects: [10, 10], undisturbed [10]" in message
    assert "the work of charge was done 2 times, undisturbed 1" in message
    assert "attempt 1 was lost with its process" in message
    assert "idempotency_key" in message
    (finding,) = caught.value.findings
    assert (finding.point.seq, finding.point.is_after) == (7, False)


def test_work_that_must_be_done_once_is_found_without_effects() -> None:
    bank = Bank()
    with pytest.raises(CrashError, match="mail must be done once, it was done 2 times") as caught:
        explore_crashes(SHOP, functions={"charge": bank.careful, "mail": mail}, once=["mail"])
    assert [one.point.events[0] for one in caught.value.findings] == ["TaskCompleted of mail"]


def test_an_output_that_depends_on_the_attempt_is_found() -> None:
    def tells(ctx: TaskContext) -> int:
        return ctx.attempt

    with pytest.raises(CrashError, match="output: 2, undisturbed 1"):
        explore_crashes(flow(call("only", "tells"), output="{{ steps.only.output }}"), functions={"tells": tells})


def test_a_step_that_fails_after_a_crash_is_found() -> None:
    made: list[str] = []

    def makes() -> None:
        if made:
            raise FileExistsError("it is there already")
        made.append("file")

    with pytest.raises(CrashError) as caught:
        explore_crashes(flow(call("only", "makes")), functions={"makes": makes}, reset=made.clear)
    first = caught.value.findings[0]
    assert "status: 'failed', undisturbed 'completed'" in first.differences
    assert "error: 'FileExistsError', undisturbed None" in first.differences


def test_a_step_that_is_not_idempotent_waits_for_a_person_and_that_may_be_accepted() -> None:
    careful = flow(call("only", "mail", is_idempotent=False))
    with pytest.raises(CrashError, match="stands still: /only/ its attempt was lost and the step is not idempotent"):
        explore_crashes(careful, functions={"mail": mail})
    found = explore_crashes(careful, functions={"mail": mail}, once=["only"], may_wait_for_a_person=True)
    assert found.repeated == {}


def test_work_that_was_done_twice_is_not_accepted_because_another_step_waits() -> None:
    bank = Bank()
    with pytest.raises(CrashError, match=r"effects: \[10, 10\]"):
        explore_crashes(
            SHOP, functions={"charge": bank.careless, "mail": mail}, reset=bank.reset, effects=bank.left, may_wait_for_a_person=True
        )


def test_steps_beside_each_other_are_crashed_one_after_the_other() -> None:
    beside = flow(*(call(name, "mail") for name in ("a", "b", "c")), call("last", "mail", "a", "b", "c"))
    found = explore_crashes(beside, functions={"mail": mail})
    # One commit for the beginning and one for the end of each: three ends that came together would be one.
    assert found.points == 10
    assert found.repeated == {"a": 1, "b": 1, "c": 1, "last": 1}


def test_retries_conditions_and_failures_survive_every_crash() -> None:
    found = explore_crashes(ORDER, {"x": 4}, functions=FUNCTIONS)
    assert found.history.output == 16
    assert found.points >= 10


def test_signals_are_sent_once_whatever_crashes() -> None:
    approval = flow(
        wait("approval", signal="approved", deadline="7d"),
        call("book", "double", "approval", params={"x": "{{ steps.approval.output }}"}),
        wait("second", "book", signal="approved", deadline="7d"),
        output="{{ steps.book.output }}",
    )
    found = explore_crashes(approval, functions=FUNCTIONS, signals={"approved": 4}, status="failed")
    assert found.history.output is None  # the second one was never sent
    found.history.failed("second", error="Timeout")
    found.history.completed("book")


def test_mocks_stand_in_every_engine() -> None:
    found = explore_crashes(SHOP, prepare=lambda engine: (engine.step("charge").returns(3), engine.step("mail").returns(None)))
    assert found.history.output == 3


def test_a_workflow_that_fails_anyway_is_not_explored_unless_that_is_meant() -> None:
    broken = flow(call("only", "broken"))
    with pytest.raises(HistoryError, match="the execution should be completed, it is failed: ValueError"):
        explore_crashes(broken, functions=FUNCTIONS)
    assert explore_crashes(broken, functions=FUNCTIONS, status="failed").points == 4


def test_a_mock_that_is_a_plain_function_is_explored_in_the_same_order_each_time() -> None:
    rows: list[int] = []
    with pytest.raises(CrashError, match="effects: 2, undisturbed 1"):
        explore_crashes(
            flow(call("only", "missing")),
            prepare=lambda engine: engine.step("only").does(lambda: rows.append(threading.get_ident())),
            reset=rows.clear,
            effects=lambda: len(rows),
        )


def test_effects_may_be_what_the_functions_go_on_writing_to() -> None:
    bank = Bank()
    with pytest.raises(CrashError, match=r"effects: \[10, 10\], undisturbed \[10\]"):
        explore_crashes(
            SHOP, functions={"charge": bank.careless, "mail": mail}, reset=bank.booked.clear, effects=lambda: bank.booked
        )


async def test_it_can_be_called_where_a_loop_runs() -> None:
    assert explore_crashes(flow(call("only", "mail")), functions={"mail": mail}).points == 4


def test_an_execution_that_stands_still_by_itself_is_not_explored() -> None:
    with pytest.raises(ConflictError, match="undisturbed, the execution stands still: /ok/ waits for signal approved"):
        explore_crashes(flow(wait("ok", signal="approved")))


def test_functions_that_do_other_things_each_time_are_not_explored() -> None:
    runs: list[int] = []

    def moody() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise OSError("not yet")

    with pytest.raises(ConflictError) as caught:
        explore_crashes(flow(call("only", "moody", retry=RetryPolicy(max_attempts=9))), functions={"moody": moody})
    assert caught.value.name == "not_repeatable"


def test_a_step_that_does_not_exist_cannot_be_required_once() -> None:
    with pytest.raises(NotFoundError, match="maill") as caught:
        explore_crashes(SHOP, functions={"charge": mail, "mail": mail}, once=["maill"])
    assert caught.value.hint == 'did you mean "mail"?'


@pytest.mark.parametrize("wrong", [dict, lambda: {"charge": mail}], ids=["none", "one"])
def test_a_function_that_is_missing_is_named(wrong: Callable[[], dict[str, Any]]) -> None:
    with pytest.raises(NotFoundError):
        explore_crashes(SHOP, functions=wrong())


CHILD = flow(call("a", "careful", params={"amount": 3}), name="child", output="{{ steps.a.output }}")
EACH = Step(
    id="each",
    type="map",
    config={"items": [1, 2]},
    blocks=(
        Block(
            steps=(
                call("pay", "careful", params={"amount": "{{ item }}"}),
                Step(id="sub", type="workflow", config={"workflow": "child"}),
            )
        ),
    ),
)


def test_what_stands_in_containers_and_what_sub_workflows_do_is_compared_too() -> None:
    bank = Bank()
    seen: list[set[str]] = []

    def examine(histories: Any) -> list[str]:
        seen.append(set(histories))
        return sorted(f"{name} {history.output}" for name, history in histories.items())

    found = explore_crashes(
        flow(EACH, name="tree"),
        functions={"careful": bank.careful},
        workflows=[CHILD],
        reset=bank.reset,
        effects=lambda: sorted(bank.left()),
        examine=examine,
        choose=lambda points: points[::2],
    )
    assert (set(map(frozenset, seen)), len(seen)) == (
        {frozenset({"tree", "tree/each/[0]/sub", "tree/each/[1]/sub"})},
        found.points + 1,
    )
    with pytest.raises(CrashError) as caught:
        explore_crashes(
            flow(EACH, name="tree"),
            functions={"careful": bank.careless},
            workflows=[CHILD],
            reset=bank.reset,
            effects=lambda: sorted(bank.left()),
            once=["a"],
        )
    assert "2 executions (TaskCompleted of a, " in str(caught.value)
    told = [line for finding in caught.value.findings for line in finding.differences]
    assert any(line.startswith("a must be done once, it was done ") for line in told), told
