"""Builder, decorators and document are one model: whatever is said in one of them comes back from the others as it was."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, assume, find, given, settings
from hypothesis import strategies as st

from taskengine import RetryPolicy, Step, TaskBuilder, Workflow, WorkflowBuilder
from taskengine.define import check, from_document, load_text, to_document
from taskengine.define.blocks import every_step
from taskengine.define.declared import Declared
from taskengine.define.yaml_writer import to_yaml
from taskengine.errors import DefinitionError
from tests.define import declaring
from tests.define.workflows import MODEL, drawn_by, json_values, plain_workflows, structs, workflows

FIELDS = [(kind, field.name) for kind in MODEL for field in msgspec.structs.fields(kind)]


def sound(workflow: Workflow) -> Workflow:
    assume(not any(finding.severity == "error" for finding in check(workflow)))
    return workflow


def parts_of(workflow: Workflow, kind: type[msgspec.Struct]) -> Iterable[msgspec.Struct]:
    every: list[msgspec.Struct] = [workflow, workflow.limits]
    steps = [step for _, step in every_step(workflow)]
    blocks = [block for step in steps for block in step.blocks]
    rules = [one.success for one in (workflow, *steps) if one.success is not None]
    return [one for one in [*every, *steps, *(step.retry for step in steps), *blocks, *rules] if type(one) is kind]


def default_of(kind: type[msgspec.Struct], name: str) -> Any:
    (field,) = [field for field in msgspec.structs.fields(kind) if field.name == name]
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=[f"{kind.__name__}.{name}" for kind, name in FIELDS])
def test_every_attribute_of_the_model_is_generated_and_comes_back(kind: type[msgspec.Struct], name: str) -> None:
    default = default_of(kind, name)

    def says_something(workflow: Workflow) -> bool:
        return any(getattr(part, name) not in (default, None, "", (), {}) for part in parts_of(workflow, kind))

    once = settings(max_examples=500, database=None, phases=[Phase.generate])
    found = find(workflows(), says_something, settings=once)
    assert from_document(to_document(found)) == found


def test_an_attribute_that_nobody_can_draw_is_noticed() -> None:
    class Grown(msgspec.Struct):
        shape: complex

    with pytest.raises(TypeError, match=r"Grown\.shape"):
        drawn_by(Grown, "shape", complex)


@given(workflow=workflows().map(sound))
def test_a_workflow_written_as_yaml_reads_as_it_was(workflow: Workflow) -> None:
    written = to_yaml(workflow)
    assert load_text(written, file="w.yaml").require() == workflow


@given(value=json_values)
def test_every_value_survives_yaml(value: Any) -> None:
    workflow = Workflow(name="a", variables={"x": value}, steps=(Step(id="a", type="noop"),))
    sound(workflow)
    read = load_text(to_yaml(workflow), file="w.yaml").require()
    assert msgspec.json.encode(read.variables, order="sorted") == msgspec.json.encode(workflow.variables, order="sorted")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "yes",
        "on",
        "null",
        "~",
        "1e5",
        "0o17",
        "0x1F",
        "1_000",
        "1:30",
        "012",
        ".5",
        "-",
        "- a",
        "a: b",
        "#",
        "a #b",
        "{{ x }}",
        "'",
        '"',
        "\\",
        "a\nb",
        "a\n",
        "\n",
        "\t",
        "é",
        "漢字",
        "\x85",
        "\u2028",
        "\ufeff",
        "x" * 300,
        "%",
        "@",
        "`",
        "!a",
        "&a",
        "*a",
    ],
)
def test_texts_that_yaml_would_take_for_something_else_are_quoted(text: str) -> None:
    workflow = Workflow(name="a", variables={text: text, "list": [text]}, steps=(Step(id="a", type="noop"),))
    assert load_text(to_yaml(workflow), file="w.yaml").require() == workflow


def rebuilt(workflow: Workflow) -> Declared:
    """The same workflow, said with the builders."""
    limits = workflow.limits
    builder = (
        WorkflowBuilder(workflow.name, workflow.description, version=workflow.version, owner=workflow.owner)
        .with_tags(*workflow.tags)
        .with_params(workflow.variables)
        .with_output(workflow.output)
        .with_priority(limits.priority)
    )
    if workflow.input_schema is not None:
        builder.with_input(workflow.input_schema)
    if limits.timeout_ms is not None:
        builder.with_timeout(limits.timeout_ms / 1_000)
    if limits.max_concurrency is not None:
        builder.with_max_concurrency(limits.max_concurrency)
    for step in workflow.steps:
        builder.with_task(task_of(step))
    return builder.build()


def task_of(step: Step) -> TaskBuilder:
    task = TaskBuilder(step.name or step.id, step.description, id=step.id).with_type(step.type, step.config)
    task.depends_on(*step.depends_on).with_join(step.join).with_handles(*step.handles).with_tags(*step.tags)
    task.with_input_mapping(step.input_mapping).with_output_mapping(step.output_mapping)
    task.with_retry(step.retry).with_idempotent(is_idempotent=step.is_idempotent).with_on_error(step.on_error)
    said = {
        "with_condition": step.when,
        "with_timeout": step.timeout_ms,
        "with_total_timeout": step.total_timeout_ms,
        "with_queue_timeout": step.queue_timeout_ms,
        "with_heartbeat": step.heartbeat_ms,
        "with_isolation": step.isolation,
        "with_priority": step.priority,
    }
    for method, value in said.items():
        if value is not None:
            in_seconds = isinstance(value, int) and method != "with_priority"
            getattr(task, method)(value / 1_000 if in_seconds else value)
    return task


@given(workflow=plain_workflows().map(sound))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_builders_say_everything_that_a_document_can(workflow: Workflow) -> None:
    names = [step.name or step.id for step in workflow.steps]
    assume(len({*names, *(step.id for step in workflow.steps)}) == len(set(names) | {step.id for step in workflow.steps}))
    assume(
        all(
            name == step.id or name not in {other.id for other in workflow.steps}
            for name, step in zip(names, workflow.steps, strict=True)
        )
    )
    assume(all(step.name != step.id for step in workflow.steps))
    assert rebuilt(workflow).workflow == workflow


@given(policy=structs(RetryPolicy))
def test_a_policy_in_the_words_of_a_document_is_the_same_policy(policy: RetryPolicy) -> None:
    said = (
        TaskBuilder("a")
        .with_job_function("f")
        .with_retry(
            max_attempts=policy.max_attempts,
            initial_interval=policy.initial_interval_ms / 1_000,
            max_interval=policy.max_interval_ms / 1_000,
            backoff_coefficient=policy.backoff_coefficient,
            jitter=policy.jitter,
            non_retryable_errors=policy.non_retryable_errors,
        )
    )
    assert said.build().step.retry == policy


@given(params=st.dictionaries(st.sampled_from(["source", "limit"]), json_values, min_size=1).filter(lambda one: "source" in one))
def test_what_a_decorated_task_is_given_comes_back(params: dict[str, Any]) -> None:
    from taskengine import workflow

    @workflow
    def one() -> None:
        declaring.extract(**params)

    try:
        found = one.workflow
    except DefinitionError:  # a text that looks like a broken template
        assume(False)  # noqa: FBT003 -- the library's own form
        raise
    assert load_text(one.to_yaml(), file="w.yaml").require() == found
    assert from_document(one.to_json().encode()) == found


def test_the_documents_of_a_builder_and_of_decorators_read_as_what_was_declared() -> None:
    for declared in (declaring.ETL.declared(), rebuilt(declaring.ETL.workflow)):
        assert load_text(declared.to_yaml(), file="w.yaml").require() == declared.workflow
        assert load_text(declared.to_json(), file="w.json").require() == declared.workflow
