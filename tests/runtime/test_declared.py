"""Builders and decorated workflows in the engine: deployed and run alike, and their functions found again by other processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from taskengine import Engine, Step, TaskBuilder, TaskContext, Workflow, WorkflowBuilder, task, workflow
from taskengine.errors import DefinitionError, NotFoundError
from taskengine.model.status import Status
from tests.define import declaring


async def output_of(engine: Engine, declared: Any, **params: Any) -> Any:
    result = await (await engine.execute_workflow(declared, params=params)).result(timeout=10)
    assert result.status is Status.COMPLETED
    return result.output


async def test_a_decorated_workflow_runs() -> None:
    async with Engine(":memory:") as engine:
        assert await output_of(engine, declaring.ETL, source="a") == {"loaded": 2, "from": "source a"}
        assert await output_of(engine, declaring.ETL, source="a", limit=5) == {"loaded": 5, "from": "source a"}


async def test_a_builder_what_it_built_and_the_plain_workflow_are_taken_alike() -> None:
    builder = (
        WorkflowBuilder("w")
        .with_task(TaskBuilder("double it").with_job_function(declaring.doubled, number="{{ input.n }}"))
        .with_output("{{ steps['double it'].output }}")
    )
    async with Engine(":memory:") as engine:
        built = builder.build()
        stored = await engine.deploy(builder)
        assert await engine.deploy(built) == stored
        assert await engine.deploy(built.workflow) == stored
        for way in (builder, built, built.workflow, stored, "w"):
            assert await output_of(engine, way, n=21) == 42


async def test_a_decorated_task_given_to_a_builder_or_registered_is_the_function() -> None:
    @task
    async def late(x: int) -> int:
        return x + 1

    by_builder = WorkflowBuilder("w").with_task(TaskBuilder("a").with_job_function(late, x=1)).with_output("{{ steps.a.output }}")
    step = Step(id="a", type="function", config={"function": "late", "params": {"x": 1}})
    by_name = Workflow(name="v", steps=(step,), output="{{ steps.a.output }}")
    async with Engine(":memory:", functions={"late": late}) as engine:
        assert await output_of(engine, by_builder) == 2
        assert await output_of(engine, by_name) == 2


async def test_functions_that_nobody_can_import_are_registered_with_their_workflow() -> None:
    seen: list[str] = []

    @task
    def local(ctx: TaskContext, word: str) -> str:
        seen.append(ctx.step_id)
        return word.upper()

    @workflow
    def shout(word: str) -> Any:
        return local(word)

    async with Engine(":memory:") as engine:
        assert await output_of(engine, shout, word="hi") == "HI"
    assert seen == ["local"]


async def test_a_result_is_asked_for_by_the_name_or_by_the_id() -> None:
    def asking(ctx: TaskContext) -> list[Any]:
        return [ctx.get_upstream_result("double it"), ctx.get_upstream_result("double_it")]

    def asking_wrong(ctx: TaskContext) -> Any:
        return ctx.get_upstream_result("")

    builder = (
        WorkflowBuilder("w")
        .with_task(TaskBuilder("double it").with_job_function(declaring.doubled, number=4))
        .with_task(TaskBuilder("ask").with_job_function(asking).depends_on("double it"))
        .with_task(TaskBuilder("wrong").with_job_function(asking_wrong).depends_on("double it").with_on_error("continue"))
        .with_output(["{{ steps.ask.output }}", "{{ steps.wrong.status }}"])
    )
    async with Engine(":memory:") as engine:
        result = await (await engine.execute_workflow(builder)).result(timeout=10)
    assert result.output == [[8, 8], "failed"]


def test_the_synchronous_engine_takes_them_too() -> None:
    with Engine(":memory:") as engine:
        assert engine.execute_workflow(declaring.ETL, params={"source": "b"}).result().output["loaded"] == 2


@pytest.mark.parametrize("step_id", ["", "a/b.c", "a-b", "1st", "x" * 129])
async def test_ids_that_no_document_could_have_are_refused_by_name(step_id: str) -> None:
    async with Engine(":memory:") as engine:
        with pytest.raises(DefinitionError, match=r"steps\[0\]\.id") as caught:
            await engine.deploy(Workflow(name="w", steps=(Step(id=step_id, type="noop"),)))
    assert caught.value.name == "bad_step_id"


@pytest.mark.parametrize("thing", [3, None, declaring.extract, declaring.doubled], ids=["number", "nothing", "task", "function"])
async def test_what_is_no_workflow_is_refused_by_name(thing: Any) -> None:
    async with Engine(":memory:") as engine:
        with pytest.raises(DefinitionError, match="expected a workflow"):
            await engine.execute_workflow(thing)


async def test_a_broken_graph_is_refused_when_it_is_deployed() -> None:
    @workflow
    def broken(flag: bool) -> None:  # noqa: FBT001 -- the input of a workflow
        if flag:
            declaring.extract("a")

    async with Engine(":memory:") as engine:
        with pytest.raises(DefinitionError, match="no value while the graph is declared"):
            await engine.deploy(broken)


def python(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(dedent(program), encoding="utf-8")
    return subprocess.run([sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.processes
def test_another_process_finds_the_functions_by_their_import_path(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        dedent("""
        from taskengine import task, workflow

        @task
        def greet(name: str) -> str:
            return f"Hello, {name}!"

        @workflow
        def hello(name: str):
            return greet(name)
        """)
    )
    first = python(
        tmp_path,
        """
        from taskengine import Engine
        from work import hello
        with Engine("w.db") as engine:
            print(engine.execute_workflow(hello, params={"name": "Ada"}).result().output)
        """,
    )
    assert (first.returncode, first.stdout) == (0, "Hello, Ada!\n"), first.stderr
    second = python(
        tmp_path,
        """
        from taskengine import Engine
        with Engine("w.db") as engine:
            print(engine.execute_workflow("hello", params={"name": "Grace"}).result().output)
        """,
    )
    assert (second.returncode, second.stdout) == (0, "Hello, Grace!\n"), second.stderr


@pytest.mark.processes
def test_a_function_of_the_started_program_is_found_by_it_alone_and_others_say_what_to_do(tmp_path: Path) -> None:
    own = """
        from taskengine import Engine, task, workflow

        @task
        def greet(name: str) -> str:
            return f"Hello, {name}!"

        @workflow
        def hello(name: str):
            return greet(name)

        with Engine("w.db") as engine:
            print(engine.execute_workflow(hello, params={"name": "Ada"}).result().output)
            print(engine.execute_workflow("hello", params={"name": "Grace"}).result().output)
        """
    for _ in range(2):
        ended = python(tmp_path, own)
        assert (ended.returncode, ended.stdout) == (0, "Hello, Ada!\nHello, Grace!\n"), ended.stderr
    other = python(
        tmp_path,
        """
        from taskengine import Engine
        from taskengine.errors import NotFoundError
        with Engine("w.db") as engine:
            try:
                engine.execute_workflow("hello", params={"name": "Ada"})
            except NotFoundError as error:
                print(error.name, error)
        """,
    )
    assert other.returncode == 0, other.stderr
    assert other.stdout.startswith("function_not_found")
    for said in ('"__main__:greet"', "move greet into a module", "register it"):
        assert said in other.stdout


async def test_a_function_of_another_process_that_has_no_path_is_named() -> None:
    step = Step(id="a", type="function", config={"function": "somewhere.local.greet"})
    async with Engine(":memory:") as engine:
        with pytest.raises(NotFoundError, match=r"somewhere\.local\.greet"):
            await engine.execute_workflow(Workflow(name="w", steps=(step,)))
