"""Document 001, "Builder" and the SDK example, in Python spelling: tasks with names in any letters, put together and run."""

from __future__ import annotations

from typing import Any

import pytest

from taskengine import Engine, TaskBuilder, TaskContext, WorkflowBuilder
from taskengine.errors import DefinitionError

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
