"""``@task`` and ``@workflow``: a graph declared by calling functions, and functions that stay functions."""

from __future__ import annotations

import asyncio
import operator
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Literal, TypedDict

import pytest

from taskengine import Join, OnError, RetryPolicy, Step, TaskContext, task, workflow
from taskengine.define import load_text
from taskengine.define.placeholder import Placeholder
from taskengine.errors import DefinitionError
from tests.define import declaring


@task
def count(rows: Any = ()) -> Any:
    return {"total": len(rows), "first": {"a b": 1}}


@task
def note(text: Any = "", **more: Any) -> Any:
    return text


def steps_of(function: Callable[..., object]) -> dict[str, Step]:
    return {step.id: step for step in workflow(function).workflow.steps}


def params_of(function: Callable[..., object], step: str) -> dict[str, Any]:
    return steps_of(function)[step].config["params"]


def refused(function: Callable[..., object], **settings: Any) -> DefinitionError:
    with pytest.raises(DefinitionError) as caught:
        workflow(**settings)(function).declared()
    return caught.value


# ── functions stay functions ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_task_called_outside_of_a_workflow_just_runs() -> None:
    assert declaring.extract("a", limit=1) == {"rows": ["a-0"], "count": 1}
    assert asyncio.run(declaring.transform(["a"])) == ["A"]


def test_a_task_keeps_its_name_and_its_words() -> None:
    assert declaring.extract.__name__ == "extract"
    assert declaring.extract.__module__ == "tests.define.declaring"


def test_a_workflow_called_as_a_function_runs_its_tasks_here() -> None:
    @workflow
    def small() -> Any:
        return count([1, 2])

    assert small() == {"total": 2, "first": {"a b": 1}}


# ── the graph ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_decorated_workflow_is_the_document_it_looks_like() -> None:
    document = """
      name: etl
      version: "1.0"
      description: Move rows.
      input:
        type: object
        properties: {source: {type: string}, limit: {type: integer, default: 2}}
        required: [source]
        additionalProperties: false
      variables: {limit: 2}
      defaults: {timeout: 30s}
      steps:
        - id: extract
          type: function
          config:
            function: tests.define.declaring:extract
            params: {source: "{{ input.source }}", limit: "{{ variables.limit }}"}
        - id: Transform_data
          name: Transform data
          type: function
          depends_on: [extract]
          timeout: 2m
          retry: {max_attempts: 3}
          config:
            function: tests.define.declaring:transform
            params: {rows: "{{ steps.extract.output.rows }}"}
        - id: load
          type: function
          depends_on: [Transform_data]
          when: steps.extract.output.count > 0
          config:
            function: tests.define.declaring:load
            params: {rows: "{{ steps.Transform_data.output }}"}
      output: {loaded: "{{ steps.load.output }}", from: "source {{ input.source }}"}
    """
    assert declaring.ETL.workflow == load_text(document, file="etl.yaml").require()


def test_a_result_passed_on_is_a_dependency_and_a_parameter() -> None:
    def chain() -> None:
        note(count())

    step = steps_of(chain)["note"]
    assert step.depends_on == ("count",)
    assert step.config["params"] == {"text": "{{ steps.count.output }}"}


def test_parts_of_a_result_are_read_by_name_and_by_index() -> None:
    def parts() -> None:
        found = count()
        note(
            [found.total, found["first"]["a b"], found.rows[0], found["not"]],
            deep={"x": found.a.b},
        )

    assert params_of(parts, "note") == {
        "text": [
            "{{ steps.count.output.total }}",
            '{{ steps.count.output.first["a b"] }}',
            "{{ steps.count.output.rows[0] }}",
            '{{ steps.count.output["not"] }}',
        ],
        "deep": {"x": "{{ steps.count.output.a.b }}"},
    }


def test_a_placeholder_in_a_text_is_a_template_in_the_text() -> None:
    def greeting(name: str) -> None:
        note(f"Hello, {name}! " + str(count().total))

    assert params_of(greeting, "note") == {"text": "Hello, {{ input.name }}! {{ steps.count.output.total }}"}


def test_what_is_read_through_another_dependency_needs_no_edge_of_its_own() -> None:
    def diamond() -> None:
        first = count()
        second = note(first)
        note([first, second])

    assert steps_of(diamond)["note_2"].depends_on == ("note",)


def test_an_edge_stays_where_its_end_is_not_sure() -> None:
    def handled() -> None:
        first = count()
        second = note.with_options(join="all_done")(first)
        note([first, second])

    assert steps_of(handled)["note_2"].depends_on == ("count", "note")


def test_the_same_task_twice_gets_numbers_and_options_give_names() -> None:
    def twice() -> None:
        count()
        count()
        count.with_options(id="last", name="The last one")()

    assert [(step.id, step.name) for step in steps_of(twice).values()] == [("count", ""), ("count_2", ""), ("last", "The last one")]


def test_when_and_after_are_said_at_the_call() -> None:
    def ordered(limit: int) -> None:
        first = count()
        note("a", after=first)
        note("b", after=[first, "note"], when=first.total >= limit)
        note("c", when="input.limit > 3")
        note("d", when=~((first.total == 0) | (first.ok != True) & (first.name < "x")))  # noqa: E712 -- a condition is made of it

    steps = steps_of(ordered)
    assert steps["note"].depends_on == ("count",)
    assert steps["note_2"].depends_on == ("count", "note")
    assert steps["note_2"].when == "steps.count.output.total >= input.limit"
    assert steps["note_3"].when == "input.limit > 3"
    assert steps["note_4"].when == (
        'not ((steps.count.output.total == 0) or ((steps.count.output.ok != true) and (steps.count.output.name < "x")))'
    )


def test_every_option_reaches_the_step() -> None:
    @task(
        description="what it is",
        config={"run_in": "process"},
        join=Join.ALL_DONE,
        handles=[ValueError, "HttpError"],
        input_mapping={"text": "{{ input.x }}"},
        output_mapping={"y": "{{ output }}"},
        retry={"max_attempts": 4, "initial_interval": "10m", "non_retryable_errors": ValueError},
        timeout=1.5,
        total_timeout="1h",
        queue_timeout="2h",
        heartbeat="3s",
        priority=7,
        idempotent=False,
        on_error="continue",
        tags=["a", "b"],
    )
    def everything(text: str = "") -> str:
        return text

    def one(x: str) -> None:
        everything(after=count())

    step = steps_of(one)["everything"]
    assert step.description == "what it is"
    assert step.config["run_in"] == "process"
    assert (step.join, step.handles) == (Join.ALL_DONE, ("ValueError", "HttpError"))
    assert (step.input_mapping, step.output_mapping) == ({"text": "{{ input.x }}"}, {"y": "{{ output }}"})
    assert step.retry == RetryPolicy(
        max_attempts=4, initial_interval_ms=600_000, max_interval_ms=600_000, non_retryable_errors=("ValueError",)
    )
    assert (step.timeout_ms, step.total_timeout_ms, step.queue_timeout_ms) == (1_500, 3_600_000, 7_200_000)
    assert (step.heartbeat_ms, step.priority, step.is_idempotent) == (3_000, 7, False)
    assert (step.on_error, step.tags) == (OnError.CONTINUE, ("a", "b"))


# ── the input ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Place(TypedDict):
    x: int


def test_parameters_are_the_input_with_the_schema_of_their_annotations() -> None:
    def many(
        a: str,
        b: int,
        c: float,
        d: bool,  # noqa: FBT001 -- an annotation to be read
        e: list[int],
        f: dict[str, str],
        g: Literal["x", "y"],
        h: str | None,
        i: Place,
        j: object,
        k: Any,
        l,  # noqa: ANN001, E741 -- one without annotation
        m: "NotThere",  # noqa: F821, UP037  # type: ignore[name-defined]
        n: int = 4,
    ) -> None:
        note([a, b, c, d, e, f, g, h, i, j, k, l, m, n])

    found = workflow(many).workflow
    schema = found.input_schema
    assert schema is not None
    assert schema["properties"] == {
        "a": {"type": "string"},
        "b": {"type": "integer"},
        "c": {"type": "number"},
        "d": {"type": "boolean"},
        "e": {"type": "array", "items": {"type": "integer"}},
        "f": {"type": "object", "additionalProperties": {"type": "string"}},
        "g": {"enum": ["x", "y"]},
        "h": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "i": {"$ref": "#/$defs/Place"},
        "j": {},
        "k": {},
        "l": {},
        "m": {},
        "n": {"type": "integer", "default": 4},
    }
    assert schema["required"] == list("abcdefghijklm")
    assert schema["additionalProperties"] is False
    assert found.variables == {"n": 4}
    assert found.steps[0].config["params"]["text"][-1] == "{{ variables.n }}"


def test_a_workflow_without_parameters_says_nothing_about_its_input() -> None:
    def nothing() -> None:
        note("x")

    assert workflow(nothing).workflow.input_schema is None


# ── what cannot be ───────────────────────────────────────────────────────────────────────────────────────────────────


ASKING: dict[str, Callable[[Any], Any]] = {
    "bool": bool,
    "list": list,
    "len": len,
    "int": int,
    "float": float,
    "not": operator.not_,
    "and": lambda found: found and 1,
    "in": lambda found: 1 in found,
    "unpacking": lambda found: [*found],
    "call": lambda found: found(),
    "format": lambda found: f"{found:.2f}",
    "part by a float": lambda found: found[1.5],
    "index": lambda found: [10, 20][found],
    "if": lambda found: "a" if found.total > 3 else "b",
}


@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
def test_what_needs_a_value_that_is_not_there_yet_is_refused_by_name(asking: Callable[[Any], Any]) -> None:
    error = refused(lambda: asking(count()), name="asking")
    assert error.name == "placeholder_has_no_value"
    assert "steps.count.output" in error.message
    assert error.hint


def test_a_branch_on_a_placeholder_names_the_condition() -> None:
    def branching(x: bool) -> None:  # noqa: FBT001 -- an annotation to be read
        if x:
            note("yes")

    error = refused(branching)
    assert error.name == "placeholder_has_no_value"
    assert "input.x" in error.message
    assert "`condition`" in error.hint
    assert "when=" in error.hint


def test_code_workflows_are_of_a_later_version() -> None:
    with pytest.raises(DefinitionError, match="cannot run it yet") as caught:
        workflow(kind="code")(lambda: None)
    assert caught.value.name == "not_in_this_version"


async def waits() -> None:
    """An async graph."""


BROKEN: list[tuple[str, str, Callable[..., object]]] = [
    ("not_json", "note(), text", lambda: note(object())),
    ("not_json", "keys are text", lambda: note({1: 2})),
    ("wrong_arguments", "source", lambda: declaring.extract()),  # noqa: PLW0108 -- called later
    ("wrong_arguments", "colour", lambda: declaring.extract("a", colour=1)),
    ("wrong_arguments", "multiple values", lambda: declaring.extract("a", source="b")),
    ("unknown_dependency", "nobody", lambda: note("a", after="nobody")),
    ("wrong_type", "after", lambda: note("a", after=3)),
    ("wrong_type", "when", lambda: note("a", when=3)),
    ("bad_duration", "timeout", lambda: note.with_options(timeout="soon")("a")),
    ("wrong_type", "retry", lambda: note.with_options(retry="often")("a")),  # type: ignore[typeddict-item]
    ("unknown_key", "attempts", lambda: note.with_options(retry={"attempts": 2})("a")),
    ("unknown_choice", "join", lambda: note.with_options(join="all_sucess")("a")),
    ("out_of_range", "priority", lambda: note.with_options(priority=10)("a")),
    ("bad_step_id", "a/b.c", lambda: note.with_options(id="a/b.c")("a")),
    ("bad_step_id", "!!!", lambda: note.with_options(name="!!!")("a")),
    ("duplicate_step_id", '"x"', lambda: [note.with_options(id="x")("a"), note.with_options(id="x")("b")]),
    ("unknown_step", "nobody", lambda: note("{{ steps.nobody.output }}")),
    ("unexpected_end", "steps[0]", lambda: note("{{ 1 + }}")),
    ("no_steps", "at least one step", lambda: None),
    ("bad_function", "rows", lambda *rows: note(rows)),
    ("async_graph", "async", waits),
]


@pytest.mark.parametrize(("name", "said", "function"), BROKEN, ids=[f"{name}: {said}" for name, said, _ in BROKEN])
def test_what_cannot_be_declared_is_refused_by_name(name: str, said: str, function: Callable[..., object]) -> None:
    error = refused(function, name="w")
    assert error.name == name
    assert said in error.message


def test_lambdas_need_a_name_and_two_functions_cannot_share_one() -> None:
    def unnamed() -> None:
        task(lambda: 1).with_options(id="a")()

    error = refused(unnamed)
    assert error.name == "bad_function"
    assert "register_as" in error.hint

    def both() -> None:
        task(register_as="one")(lambda: 1).with_options(id="a")()
        task(register_as="one")(lambda: 2).with_options(id="b")()

    assert refused(both).name == "ambiguous_function"


def test_a_workflow_called_by_another_needs_its_input() -> None:
    error = refused(lambda: declaring.ETL(limit=1), name="outer")
    assert (error.name, error.message) == ("wrong_arguments", 'step "etl": no value for source')


def test_a_word_that_task_does_not_know_is_refused() -> None:
    with pytest.raises(DefinitionError, match="colour"):
        task(colour="red")(lambda: 1)  # type: ignore[call-overload]


def test_the_context_is_given_by_the_engine_and_not_by_the_author() -> None:
    @task
    def aware(context: TaskContext, x: int) -> int:
        return x

    def one() -> None:
        aware(x=1)

    assert params_of(one, "aware") == {"x": 1}


def test_a_parameter_may_be_filled_by_the_dependency_it_is_named_after() -> None:
    @task
    def follow(count: Any) -> Any:
        return count

    def one() -> None:
        follow(after=count())

    assert steps_of(one)["follow"].depends_on == ("count",)


def test_a_broken_graph_is_declared_anew_the_next_time() -> None:
    tries: list[int] = []

    @workflow
    def flaky() -> None:
        tries.append(1)
        note("a" if len(tries) > 1 else object())

    with pytest.raises(DefinitionError):
        flaky.declared()
    assert flaky.declared() is flaky.declared()
    assert len(tries) == 2


def test_a_placeholder_does_not_answer_what_python_asks_every_object() -> None:
    with pytest.raises(AttributeError):
        Placeholder("input.x").__wrapped__  # noqa: B018 -- asking is the test
    with pytest.raises(TypeError):
        hash(Placeholder("input.x"))


def test_declaring_loads_nothing_heavy() -> None:
    program = """
import sys
from taskengine import TaskBuilder, WorkflowBuilder, task, workflow

@task
def one(x: int) -> int:
    return x

@workflow
def w(x: int) -> int:
    return one(x)

WorkflowBuilder("w").with_task(TaskBuilder("a").with_job_function(one, x=1))
heavy = ["asyncio", "click", "minijinja", "pydantic", "rich", "sqlite3", "yaml"]
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_a_task_says_in_its_config_that_it_runs_in_a_process_of_its_own() -> None:
    apart = task(config={"run_in": "process"})(declaring.extract.__taskengine_function__)

    def both() -> None:
        apart.with_options(id="one")("a")
        note.with_options(id="two", config={"run_in": "process"})("b")

    assert {name: step.config["run_in"] for name, step in steps_of(both).items()} == {"one": "process", "two": "process"}
