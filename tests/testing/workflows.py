"""Workflows and functions that the tests of the test kit use. Plain data; nothing is run here."""

from __future__ import annotations

import asyncio
from typing import Any

from taskengine import Join, OnError, RetryPolicy, Step, Workflow, task, workflow

PATIENT = RetryPolicy(max_attempts=4, initial_interval_ms=1_000, jitter=0.0)


def call(step_id: str, function: str, *after: str, **more: Any) -> Step:
    """A function step; ``params`` and fields of the step by name."""
    params = more.pop("params", {})
    return Step(id=step_id, type="function", depends_on=after, config={"function": function, "params": params}, **more)


def flow(*steps: Step, name: str = "flow", output: Any = None) -> Workflow:
    return Workflow(name=name, steps=steps, output=output)


def wait(step_id: str, *after: str, **config: Any) -> Step:
    return Step(id=step_id, type="wait", depends_on=after, config=config)


def double(x: int) -> int:
    return 2 * x


async def slowly(hours: float) -> str:
    await asyncio.sleep(hours * 3_600)
    return f"after {hours:g} hours"


def broken() -> None:
    raise ValueError("it is broken")


FUNCTIONS = {"double": double, "slowly": slowly, "broken": broken}

# Fetch is tried again, double follows, a branch that is not wanted is skipped, a failure is handled.
ORDER = flow(
    call("fetch", "double", params={"x": "{{ input.x }}"}, retry=PATIENT),
    call("again", "double", "fetch", params={"x": "{{ steps.fetch.output }}"}),
    call("never", "broken", "fetch", when="steps.fetch.output > 100"),
    call("bad", "broken", "fetch", on_error=OnError.CONTINUE),
    call("clean", "slowly", "bad", join=Join.ANY_FAILED, handles=("bad",), params={"hours": 2}),
    name="order",
    output="{{ steps.again.output }}",
)


@task
def extract(source: str) -> list[int]:
    return [len(source), 2, 3]


@task
async def total(rows: list[int]) -> int:
    await asyncio.sleep(60)
    return sum(rows)


@workflow
def declared(source: str) -> Any:
    """The same things declared by decorators."""
    return total(extract(source))
