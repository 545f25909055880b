"""Two executions side by side: only what is different, named by its place."""

from __future__ import annotations

from typing import Any

import pytest

from taskengine import Engine, Step, Workflow
from taskengine.app.compare import compared, first_difference
from taskengine.app.inspect import Inspector
from taskengine.model.value import Json


@pytest.mark.parametrize(
    ("a", "b", "place"),
    [
        (1, 1, None),
        (1, 2, ""),
        (1, True, ""),
        (1, 1.0, ""),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "a[1].b"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, None),
        ({"a": 1}, {"a": 1, "c": None}, "c"),
        ([1, 2], [1], "[1]"),
        ({"a": [[0], [0]]}, {"a": [[0], [1]]}, "a[1][0]"),
        ([], {}, ""),
    ],
)
def test_the_first_difference_inside_json_has_a_path(a: Json, b: Json, place: str | None) -> None:
    found = first_difference(a, b)
    assert (None if found is None else found[0]) == place


def table(n: int) -> dict[str, Any]:
    return {"rows": [{"n": 0}, {"n": n}]}


def check(rows: list[Any]) -> int:
    if rows[1]["n"] < 0:
        raise ValueError("too few")
    return 1


WORKFLOW = Workflow(
    name="w",
    version="1",
    variables={"k": 1},
    steps=(
        Step(id="same", type="noop"),
        Step(id="table", type="function", config={"function": "table", "params": {"n": "{{ input.n }}"}}),
        Step(
            id="check",
            type="function",
            config={"function": "check", "params": {"rows": "{{ steps.table.output.rows }}"}},
            depends_on=("table",),
        ),
        Step(id="last", type="noop", depends_on=("check",)),
    ),
)


async def test_only_what_is_different_is_told() -> None:
    async with Engine(":memory:", functions={"table": table, "check": check}) as engine:
        one = await engine.execute_workflow(WORKFLOW, params={"n": 1})
        two = await engine.execute_workflow(WORKFLOW, params={"n": -1}, variables={"k": 2})
        three = await engine.execute_workflow(WORKFLOW, params={"n": 1})
        for execution in (one, two, three):
            await execution.result(timeout=10)
        inspector = Inspector(engine.store, engine.node.environment)
        a, b, c = [await inspector.side(execution.id) for execution in (one, two, three)]
        found = compared(a, b)
        assert [(line.path, line.where, line.a, line.b) for line in found.differences if line.what != "duration"] == [
            ("/", "status", "completed", "failed"),
            ("/", "input.n", 1, -1),
            ("/", "variables.k", 1, 2),
            ("/", "error", None, "ValueError: /check/ too few"),
            ("/table/", "output.rows[1].n", 1, -1),
            ("/check/", "status", "completed", "failed"),
            ("/check/", "error", None, "ValueError: too few"),
            ("/check/", "output", 1, None),
            ("/last/", "status", "completed", "skipped"),
        ]
        nothing_given = next(line for line in found.differences if (line.path, line.what) == ("/check/", "output"))
        assert (nothing_given.is_in_a, nothing_given.is_in_b) == (True, False)
        assert {line.path for line in found.differences} == {"/", "/table/", "/check/", "/last/"}
        assert not found.is_same
        same = compared(a, c)
        assert (same.is_same, same.differences) == (True, [])
        every = compared(a, c, is_all=True).differences
        assert {line.path for line in every} == {"/", "/same/", "/table/", "/check/", "/last/"}
        assert all(line.is_same for line in every if line.what != "duration")


async def test_a_fork_is_compared_with_its_origin() -> None:
    newer = Workflow(name="w", version="2", steps=(*WORKFLOW.steps[:2], Step(id="more", type="noop")), variables={"k": 1})
    async with Engine(":memory:", functions={"table": table, "check": check}) as engine:
        origin = await engine.execute_workflow(WORKFLOW, params={"n": 1})
        await origin.result(timeout=10)
        await engine.deploy(newer)
        fork = await engine.fork(origin.id, "/more/", version="2")
        await fork.result(timeout=10)
        inspector = Inspector(engine.store, engine.node.environment)
        found = compared(await inspector.side(origin.id), await inspector.side(fork.id))
        told = [(line.path, line.where, line.is_in_a, line.is_in_b) for line in found.differences]
        assert ("/", "workflow_version", True, True) in told
        assert ("/more/", "status", False, True) in told
        assert ("/check/", "status", True, False) in told
        assert "/table/" not in {line.path for line in found.differences}  # taken over, it gives what it gave
