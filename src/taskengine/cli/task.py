"""``task``: control of one task, named by its id or by its execution and path."""

from __future__ import annotations

from typing import Any

import click

from taskengine.cli.command import Database, EngineCommand, LazyGroup, by_option, database_option, output_option
from taskengine.cli.language import say

__all__ = ["cancel", "retry", "task"]

task = LazyGroup(
    "task",
    help=(
        "Control one task.\n\nA TASK is its id (task_…), or its execution and path: @latest/load. "
        "`instance tasks ID -o name` lists the ids."
    ),
    lazy={
        "retry": ("taskengine.cli.task:retry", "Try one task again."),
        "cancel": ("taskengine.cli.task:cancel", "Ask one task to stop."),
    },
)


def _control(name: str, *, done: str, text: str) -> click.Command:
    def act(*, target: str, reason: str, by: str, database: Database, output: str) -> None:
        from taskengine.cli.control import give, path_of, retried

        execution, path = parts_of(target)

        async def perform(engine: Any, execution_id: str) -> None:
            at = path or await path_of_number(engine, target)
            await getattr(engine, f"{name}_instance")(execution_id, path=at, by=by, reason=reason)

        told = f"{say(done)} {path_of(path) if path else target}"
        if name == "retry":
            give(execution, perform, database=database, output=output, done=told, after=retried, waits=True)
        else:
            give(execution, perform, database=database, output=output, done=told)

    command: Any = act
    for option in (
        output_option("table", "json", "yaml", "name", text="The form of what is printed; name: the execution's id."),
        database_option,
        by_option,
        click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history."),
        click.argument("target", metavar="TASK"),
    ):
        command = option(command)
    return click.command(
        name,
        cls=EngineCommand,
        help=text,
        examples=(f"task-engine task {name} @latest/load", f"task-engine task {name} 9K3F/load --reason 'the host is back'"),
    )(command)


def parts_of(task: str) -> tuple[str, str]:
    """The execution and the path that a person means; the path is empty for a task's id. ``UsageError`` for what is neither."""
    from taskengine.model.ids import execution_of, number_of

    if task.startswith("task_"):
        if number_of(task) > 0:
            return execution_of(task), ""
    else:
        execution, slash, path = task.partition("/")
        if slash and execution and path.strip("/"):
            return execution, f"/{path.strip('/')}/"
    raise click.UsageError(f"{task!r} is no task: give its id (task_…), or execution and path, such as @latest/load.")


async def path_of_number(engine: Any, task: str) -> str:
    """The path of a task that was named by its id. ``NotFoundError``: the execution has no such task."""
    from taskengine.app.inspect import Inspector
    from taskengine.errors import NotFoundError
    from taskengine.model.ids import execution_of, number_of

    execution_id = execution_of(task)
    _, state = await Inspector(engine.store, engine.node.environment).state(execution_id)
    number = number_of(task)
    if number >= len(state.plan.steps):
        raise NotFoundError(
            "unknown_path", f"there is no task {task} in {execution_id}", hint=f"task-engine instance tasks {execution_id}"
        )
    return state.plan.steps[number].path


retry = _control("retry", done="has a new round:", text="Try a task again that failed, was cancelled, or waits to be tried.")
cancel = _control("cancel", done="cancelling", text="Ask a task to stop; the joins of its dependents decide what follows.")
