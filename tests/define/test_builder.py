"""The builders: what they build, how names become ids, and what they refuse by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from taskengine import Join, OnError, RetryPolicy, Step, TaskBuilder, WorkflowBuilder
from taskengine.define import load_text
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Isolation, Workflow
from tests.define import declaring


def one(task: TaskBuilder) -> Step:
    return task.build().step


def test_a_built_workflow_is_the_document_it_looks_like() -> None:
    document = """
      name: 数据同步工作流
      description: 每日数据同步任务
      variables: {env: production, source: mysql}
      limits: {timeout: 1h, max_concurrency: 4, priority: 6}
      steps:
        - id: 数据提取
          description: 从数据源提取原始数据
          type: function
          config: {function: extract_data, params: {source: database, limit: 1000}}
          timeout: 60
          retry: {max_attempts: 4, initial_interval: 5s, backoff_coefficient: 1}
        - id: Write_the_data
          name: Write the data
          type: function
          depends_on: [数据提取]
          when: steps.数据提取.output.count > 0
          config:
            function: tests.define.declaring:doubled
            params: {number: "{{ steps.数据提取.output.count }}"}
          timeout: 2m
    """
    built = (
        WorkflowBuilder("数据同步工作流", "每日数据同步任务")
        .with_task(
            TaskBuilder("Write the data")
            .with_job_function(declaring.doubled, number='{{ steps["数据提取"].output.count }}')
            .with_dependencies("数据提取")
            .with_condition("steps['数据提取'].output.count > 0")
            .with_timeout("2m")
        )
        .with_params({"env": "production"}, source="mysql")
        .with_timeout(timedelta(hours=1))
        .with_max_concurrency(4)
        .with_priority(6)
    )
    first = (
        TaskBuilder("数据提取", "从数据源提取原始数据")
        .with_job_function("extract_data", {"source": "database", "limit": 1000})
        .with_timeout(60)
        .with_retry_count(3)
        .with_retry_interval(5)
        .build()
    )
    workflow = built.with_task(first).build().workflow
    read = load_text(document, file="sync.yaml").require()
    assert msgspec.structs.replace(workflow, steps=tuple(reversed(workflow.steps))) == read


def test_every_attribute_of_a_step_has_a_method() -> None:
    step = one(
        TaskBuilder("a", "what it is", id="b")
        .with_type("script", {"inline": "print(1)"})
        .with_config(runtime="python")
        .depends_on("x", TaskBuilder("y"))
        .with_condition("input.x")
        .with_join("all_done")
        .with_handles(ValueError, "HttpError")
        .with_input_mapping({"i": 1})
        .with_output_mapping({"o": 2})
        .with_retry(5, initial_interval="1m", jitter=0.5)
        .with_timeout(1)
        .with_total_timeout(2)
        .with_queue_timeout(3)
        .with_heartbeat(4)
        .with_isolation("sandbox")
        .with_priority(9)
        .with_idempotent(is_idempotent=False)
        .with_on_error(OnError.CONTINUE)
        .with_tags("t", "u")
    )
    wanted = Step(
        id="b",
        type="script",
        name="a",
        description="what it is",
        config={"inline": "print(1)", "runtime": "python"},
        depends_on=("x", "y"),
        when="input.x",
        join=Join.ALL_DONE,
        handles=("ValueError", "HttpError"),
        input_mapping={"i": 1},
        output_mapping={"o": 2},
        retry=RetryPolicy(max_attempts=5, initial_interval_ms=60_000, jitter=0.5),
        timeout_ms=1_000,
        total_timeout_ms=2_000,
        queue_timeout_ms=3_000,
        heartbeat_ms=4_000,
        isolation=Isolation.SANDBOX,
        priority=9,
        is_idempotent=False,
        on_error=OnError.CONTINUE,
        tags=("t", "u"),
    )
    assert step == wanted
    plain = Step(id="", type="")
    unsaid = [field.name for field in msgspec.structs.fields(Step) if getattr(step, field.name) == getattr(plain, field.name)]
    assert unsaid == ["blocks", "success", "compensate"], "an attribute that no method above sets"


def test_every_attribute_of_a_workflow_has_a_method() -> None:
    workflow = (
        WorkflowBuilder("a", "what it is", version="1", owner="me")
        .with_task(Step(id="x", type="noop"))
        .with_tags("t")
        .with_input({"type": "object"})
        .with_output({"all": "{{ steps.x.status }}"})
        .with_params(p=1)
        .with_timeout(1)
        .with_max_concurrency(2)
        .with_priority(3)
        .build()
        .workflow
    )
    plain = Workflow(name="")
    unsaid = [one.name for one in msgspec.structs.fields(Workflow) if getattr(workflow, one.name) == getattr(plain, one.name)]
    later = ["business_key", "success", "on_failure", "is_template"]
    assert unsaid == later, "an attribute that no method above sets"
    limits = workflow.limits
    assert [getattr(limits, field.name) for field in msgspec.structs.fields(type(limits))] == [1_000, 2, 3]


def test_defaults_are_for_work_that_says_nothing_else() -> None:
    policy = RetryPolicy(max_attempts=7)
    built = (
        WorkflowBuilder("a")
        .with_defaults(timeout="30s", retry=policy)
        .with_tasks(
            TaskBuilder("plain").with_job_function("f"),
            TaskBuilder("own").with_job_function("f").with_timeout(1).with_retry(RetryPolicy()),
            TaskBuilder("pause").with_type("wait", {"duration": "1s"}),
            Step(id="made", type="function", config={"function": "f"}),
        )
        .build()
    )
    assert [(step.timeout_ms, step.retry.max_attempts) for step in built.steps] == [(30_000, 7), (1_000, 1), (None, 1), (None, 1)]


def test_a_count_of_retries_and_a_policy_go_together_in_any_order() -> None:
    one_way = one(TaskBuilder("a").with_job_function("f").with_retry_count(3).with_retry_interval("10m")).retry
    other = one(TaskBuilder("a").with_job_function("f").with_retry_interval("10m").with_retry_count(3)).retry
    assert one_way == other
    assert (one_way.max_attempts, one_way.initial_interval_ms, one_way.max_interval_ms) == (4, 600_000, 600_000)


@pytest.mark.parametrize(
    ("name", "step_id"),
    [
        ("load", "load"),
        ("写入数据", "写入数据"),
        ("Load data", "Load_data"),
        ("a/b.c", "a_b_c"),
        ("2 steps", "_2_steps"),
        ("é", "é"),
    ],
)
def test_a_name_that_is_no_identifier_gets_a_slug(name: str, step_id: str) -> None:
    step = one(TaskBuilder(name).with_job_function("f"))
    assert step.id == step_id
    assert step.name == ("" if name == step_id else name)


def test_both_the_name_and_the_slug_are_accepted_as_references() -> None:
    built = (
        WorkflowBuilder("a")
        .with_task(TaskBuilder("Load data").with_job_function("f"))
        .with_task(TaskBuilder("by name").with_job_function("f", x='{{ steps["Load data"].output }}').depends_on("Load data"))
        .with_task(TaskBuilder("by id").with_job_function("f", x="{{ steps.Load_data.output }}").depends_on("Load_data"))
        .with_output("{{ steps['by name'].output }}")
        .build()
    )
    assert [step.depends_on for step in built.steps] == [(), ("Load_data",), ("Load_data",)]
    assert {step.config["params"]["x"] for step in built.steps[1:]} == {"{{ steps.Load_data.output }}"}
    assert built.workflow.output == "{{ steps.by_name.output }}"


def with_two(second: str, **more: Any) -> Callable[[], object]:
    return lambda: (
        WorkflowBuilder("a")
        .with_task(TaskBuilder("load data").with_job_function("f"))
        .with_task(TaskBuilder(second, **more).with_job_function("f").depends_on("load data"))
        .build()
    )


def alone(change: Callable[[TaskBuilder], TaskBuilder], name: str = "a") -> Callable[[], object]:
    return lambda: WorkflowBuilder("w").with_task(change(TaskBuilder(name).with_job_function("f"))).build()


REFUSED: list[tuple[str, str, Callable[[], object]]] = [
    ("duplicate_step_id", "there twice", with_two("load data")),
    ("duplicate_step_id", '"load-data"', with_two("load-data")),
    ("bad_step_id", '""', lambda: WorkflowBuilder("w").with_task(TaskBuilder("").with_job_function("f")).build()),
    ("bad_step_id", "!!!", lambda: WorkflowBuilder("w").with_task(TaskBuilder("!!!").with_job_function("f")).build()),
    ("bad_step_id", "a/b.c", with_two("x", id="a/b.c")),
    ("bad_step_id", "129", with_two("x" * 129, id="x" * 129)),
    ("bad_step_id", "a/b.c", lambda: WorkflowBuilder("w").with_task(Step(id="a/b.c", type="noop")).build()),
    ("bad_step_id", "empty", lambda: WorkflowBuilder("w").with_task(Step(id="", type="noop")).build()),
    ("unknown_dependency", '"lod data"', alone(lambda task: task.depends_on("lod data"))),
    (
        "cycle",
        "a → b → a",
        lambda: (
            WorkflowBuilder("w")
            .with_task(TaskBuilder("a").with_job_function("f").depends_on("b"))
            .with_task(TaskBuilder("b").with_job_function("f").depends_on("a"))
            .build()
        ),
    ),
    ("self_dependency", '"a"', alone(lambda task: task.depends_on("a"))),
    ("wrong_type", "expected a task", lambda: WorkflowBuilder("w").with_task("a")),  # type: ignore[arg-type]
    ("no_steps", "at least one", lambda: WorkflowBuilder("w").build()),
    ("missing_key", "function", lambda: WorkflowBuilder("w").with_task(TaskBuilder("a")).build()),
    ("bad_name", "empty", lambda: WorkflowBuilder("").with_task(Step(id="a", type="noop")).build()),
    ("bad_function", "<lambda>", lambda: TaskBuilder("a").with_job_function(lambda: 1)),
    ("not_a_function", "the number 3", lambda: TaskBuilder("a").with_job_function(3)),  # type: ignore[arg-type]
    ("not_json", "params", lambda: TaskBuilder("a").with_job_function("f", x=object())),
    ("bad_duration", "timeout", alone(lambda task: task.with_timeout("soon"))),
    ("bad_duration", "timeout", alone(lambda task: task.with_timeout(-1))),
    ("out_of_range", "priority", alone(lambda task: task.with_priority(10))),
    ("wrong_type", "whole number", alone(lambda task: task.with_priority("high"))),  # type: ignore[arg-type]
    ("unknown_choice", "join", alone(lambda task: task.with_join("all"))),
    ("unknown_key", "retries", alone(lambda task: task.with_retry(retries=3))),
    ("out_of_range", "max_attempts", alone(lambda task: task.with_retry_count(-1))),
    ("unknown_step_type", "teleport", lambda: WorkflowBuilder("w").with_task(TaskBuilder("a").with_type("teleport")).build()),
    ("unknown_variable", "colour", alone(lambda task: task.with_job_function("f", x="{{ variables.colour }}"))),
    ("not_in_this_version", "schedule", lambda: WorkflowBuilder("w").with_cron_expr("0 0 2 * * *")),
    ("not_in_this_version", "realtime", lambda: WorkflowBuilder("w").with_realtime_task(object())),
    ("not_in_this_version", "streaming", lambda: WorkflowBuilder("w").with_streaming_mode()),
]


@pytest.mark.parametrize(
    ("name", "said", "build"), REFUSED, ids=[f"{number} {name}" for number, (name, _, _) in enumerate(REFUSED)]
)
def test_what_cannot_be_built_is_refused_by_name(name: str, said: str, build: Callable[[], object]) -> None:
    with pytest.raises(DefinitionError) as caught:
        build()
    assert caught.value.name == name
    assert said in caught.value.message


def test_a_refusal_suggests_the_name_that_was_probably_meant() -> None:
    tasks = [TaskBuilder("load data").with_job_function("f"), TaskBuilder("b").with_job_function("f").depends_on("lod data")]
    with pytest.raises(DefinitionError) as caught:
        WorkflowBuilder("w").with_tasks(*tasks).build()
    assert caught.value.hint == 'did you mean "load data"?'


def test_a_builder_goes_on_after_it_has_built() -> None:
    builder = WorkflowBuilder("w").with_task(Step(id="a", type="noop"))
    first = builder.build()
    second = builder.with_task(Step(id="b", type="noop")).build()
    assert (len(first.steps), len(second.steps)) == (1, 2)
    assert first != second


def test_warnings_are_kept_with_what_was_built() -> None:
    built = WorkflowBuilder("w").with_task(TaskBuilder("a").with_type("wait", {"signal": "go"})).build()
    assert [finding.name for finding in built.findings] == ["wait_without_timeout"]


def test_a_builder_is_warned_of_words_without_effect_as_a_document_is() -> None:
    task = TaskBuilder("pause").with_type("wait", {"duration": "1s"}).with_retry(3)
    (finding,) = WorkflowBuilder("w").with_task(task).build().findings
    assert (finding.code, finding.name, finding.path) == ("TE1621", "retry_without_effect", "steps[0].retry")
    assert finding.hint == "remove it; function, http, script and workflow steps make attempts"


def test_a_default_retry_is_for_work_alone_and_warns_of_nothing() -> None:
    builder = WorkflowBuilder("w").with_defaults(timeout="1m", retry=3)
    for kind, config in (("wait", {"duration": "1s"}), ("set", {"x": 1}), ("function", {"function": "f"})):
        builder.with_task(TaskBuilder(kind).with_type(kind, config))
    assert builder.build().findings == ()
