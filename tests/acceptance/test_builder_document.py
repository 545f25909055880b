"""Document 001, "Builder" and the SDK example, in Python spelling: tasks with names in any letters, put together and run.

``NewTaskBuilder("…").WithJobFunction("…", nil)`` is ``TaskBuilder("…").with_job_function("…")``; the realtime task comes later.
"""

from __future__ import annotations

from typing import Any

import pytest

from taskengine import Engine, TaskBuilder, TaskContext, WorkflowBuilder
from taskengine.errors import DefinitionError
from taskengine.model.status import Outcome, Status
from taskengine.model.workflow import RetryPolicy

pytestmark = pytest.mark.acceptance


def extract(source: str, limit: int) -> list[dict[str, Any]]:
    return [{"id": number, "source": source} for number in range(limit)]


def transform(ctx: TaskContext) -> list[dict[str, Any]]:
    return [{**row, "clean": True} for row in ctx.get_upstream_result("提取数据")]


def load(ctx: TaskContext) -> int:
    return sum(row["clean"] for row in ctx.get_upstream_result("转换数据"))


def tasks() -> list[Any]:
    return [
        TaskBuilder("提取数据", "从源系统提取")
        .with_job_function("my_extract", {"source": "{{ variables.source }}", "limit": 3})
        .with_timeout(60)
        .with_retry_count(3)
        .with_retry_interval(5)
        .build(),
        TaskBuilder("转换数据", "数据清洗转换").with_job_function("my_transform", None).with_dependencies("提取数据").build(),
        TaskBuilder("加载数据", "写入目标系统").with_job_function("my_load", None).with_dependencies("转换数据").build(),
    ]


def test_the_example_of_the_document_runs() -> None:
    builder = WorkflowBuilder("ETL流程", "数据ETL").with_params({"env": "production", "source": "mysql"})
    workflow = builder.with_tasks(*tasks()).with_output("{{ steps.加载数据.output }}").build()
    functions = {"my_extract": extract, "my_transform": transform, "my_load": load}
    with Engine(":memory:", functions=functions) as engine:
        assert engine.execute_workflow(workflow).result().output == 3


def test_building_checks_names_dependencies_and_cycles() -> None:
    first, second, third = tasks()
    with pytest.raises(DefinitionError, match="there twice"):
        WorkflowBuilder("a").with_tasks(first, first).build()
    with pytest.raises(DefinitionError, match="depends on"):
        WorkflowBuilder("a").with_tasks(first, third).build()
    back = TaskBuilder("提取数据").with_job_function("my_extract").with_dependencies("加载数据").build()
    with pytest.raises(DefinitionError, match="提取数据 → 转换数据 → 加载数据 → 提取数据"):
        WorkflowBuilder("a").with_tasks(back, second, third).build()


# ── the section "Builder", as it is written ──────────────────────────────────────────────────────────────────────────


def sync_tasks() -> list[Any]:
    task1 = (
        TaskBuilder("数据提取", "从数据源提取原始数据")
        .with_job_function("extract_data", {"source": "database", "table": "users", "limit": 1000})
        .with_timeout(60)
        .with_retry_count(3)
        .with_retry_interval(5)
        .build()
    )
    task2 = (
        TaskBuilder("数据转换", "转换数据格式")
        .with_job_function("transform_data", None)
        .with_dependencies("数据提取")
        .with_timeout(120)
        .build()
    )
    task3 = (
        TaskBuilder("数据写入", "写入目标数据库")
        .with_job_function("write_data", None)
        .with_compensation("rollback_write", None)
        .with_dependencies("数据转换")
        .build()
    )
    return [task1, task2, task3]


def sync_workflow(*more: Any) -> WorkflowBuilder:
    task1, task2, task3 = sync_tasks()
    return (
        WorkflowBuilder("数据同步工作流", "每日数据同步任务")
        .with_task(task1)
        .with_task(task2)
        .with_task(task3)
        .with_tasks(*more)
        .with_params({"env": "production", "source": "mysql"})
    )


def test_the_builders_say_what_the_document_says_of_them() -> None:
    workflow = sync_workflow().build().workflow
    first, second, third = workflow.steps
    assert first.timeout_ms == 60_000
    assert (first.retry.max_attempts, first.retry.initial_interval_ms) == (4, 5_000)
    assert second.depends_on == (first.id,)
    assert second.timeout_ms == 120_000
    assert third.retry == RetryPolicy()
    assert third.compensate is not None
    assert third.compensate.config == {"function": "rollback_write"}
    assert workflow.variables == {"env": "production", "source": "mysql"}
    with pytest.raises(DefinitionError, match="schedule"):  # comes in a later version
        WorkflowBuilder("数据同步工作流").with_cron_expr("0 0 2 * * *")


@pytest.mark.parametrize("is_failing", [False, True])
def test_the_saga_of_the_document_is_rolled_back_when_what_comes_after_it_fails(*, is_failing: bool) -> None:
    said: list[str] = []

    def extract_data(source: str, table: str, limit: int) -> int:
        return limit

    def transform_data(ctx: TaskContext) -> int:
        return ctx.get_upstream_result("数据提取") + 1

    def write_data(ctx: TaskContext) -> str:
        return f"{ctx.get_upstream_result('数据转换')} rows"

    def rollback_write() -> None:
        said.append("rolled back")

    def notify() -> None:
        if is_failing:
            raise ConnectionError("数据库连接超时")

    functions = {one.__name__: one for one in (extract_data, transform_data, write_data, rollback_write)}
    notice = TaskBuilder("通知").with_job_function(notify).with_dependencies("数据写入")
    with Engine(":memory:", functions=functions) as engine:
        result = engine.execute_workflow(sync_workflow(notice)).result(timeout=10)
    if is_failing:
        assert (result.status, result.outcome, said) == (Status.FAILED, Outcome.COMPENSATED, ["rolled back"])
    else:
        assert (result.status, said) == (Status.COMPLETED, [])


# ── the example of the SDK ───────────────────────────────────────────────────────────────────────────────────────────


async def test_the_program_of_the_document() -> None:
    class Database:
        rows = ("a", "b")

    def extract_data(db: Database) -> list[str]:
        return list(db.rows)

    def transform_data(ctx: TaskContext) -> list[str]:
        return [row.upper() for row in ctx.get_upstream_result("提取数据")]

    def load_data(ctx: TaskContext) -> int:
        return len(ctx.get_upstream_result("转换数据"))

    engine = Engine(
        ":memory:",
        functions={"my_extract": extract_data, "my_transform": transform_data, "my_load": load_data},
        services={"db": Database()},
    )
    await engine.start()
    try:
        task1 = TaskBuilder("提取数据", "从源系统提取").with_job_function("my_extract", None).with_timeout(60).build()
        task2 = (
            TaskBuilder("转换数据", "数据清洗转换").with_job_function("my_transform", None).with_dependencies("提取数据").build()
        )
        task3 = TaskBuilder("加载数据", "写入目标系统").with_job_function("my_load", None).with_dependencies("转换数据").build()
        wf = WorkflowBuilder("ETL流程", "数据ETL").with_task(task1).with_task(task2).with_task(task3).build()
        instances = [await engine.execute_workflow(wf) for _ in range(3)]
        for instance in instances:
            assert (await engine.wait_for_instance(instance.id)).status is Status.COMPLETED
        history = await engine.get_workflow_history(wf, limit=10, offset=0)
        assert [(one.execution_id, one.status) for one in history] == [(one.id, "completed") for one in reversed(instances)]
        assert [one.execution_id for one in await engine.get_workflow_history(wf.name, limit=1, offset=1)] == [instances[1].id]
    finally:
        await engine.stop()
