"""``task``: control of one task, named by its id or by its execution and path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from taskengine.cli.command import Database, EngineCommand, LazyGroup, by_option, database_option, output_option
from taskengine.cli.language import say

__all__ = ["approve", "cancel", "reject", "retry", "skip", "task"]

task = LazyGroup(
    "task",
    help=(
        "Control one task.\n\nA TASK is its id (task_…), or its execution and path: @latest/load. "
        "`instance tasks ID -o name` lists the ids."
    ),
    lazy={
        "approve": ("taskengine.cli.task:approve", "Say yes where a task waits for a decision."),
        "reject": ("taskengine.cli.task:reject", "Say no where a task waits for a decision."),
        "retry": ("taskengine.cli.task:retry", "Try one task again."),
        "skip": ("taskengine.cli.task:skip", "Go on without one task."),
        "cancel": ("taskengine.cli.task:cancel", "Ask one task to stop."),
    },
)
_SHARED = (
    output_option("table", "json", "yaml", "name", text="The form of what is printed; name: the execution's id."),
    database_option,
    by_option,
)
_REASON = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")
_TARGET = click.argument("target", metavar="TASK")


def _command(
    name: str, act: Any, *, options: tuple[Callable[[Any], Any], ...], text: str, examples: tuple[str, ...]
) -> click.Command:
    command: Any = act
    for option in (*_SHARED, *options, _TARGET):
        command = option(command)
    return click.command(name, cls=EngineCommand, help=text, examples=examples)(command)


def _give(name: str, target: str, *, done: str, database: Database, output: str, act: Any) -> None:
    """Find the task and act: ``act`` gets the engine, the execution's id and the path."""
    from taskengine.cli.control import give_verb, path_of

    execution, path = parts_of(target)

    async def perform(engine: Any, execution_id: str) -> None:
        await act(engine, execution_id, path=path or await path_of_number(engine, target))

    told = f"{say(done)} {path_of(path) if path else target}"
    give_verb(name, execution, act=perform, database=database, output=output, done=told)


def _control(name: str, *, done: str, text: str) -> click.Command:
    def act(*, target: str, reason: str, by: str, database: Database, output: str) -> None:
        async def perform(engine: Any, execution_id: str, *, path: str) -> None:
            if name == "skip":
                await engine.skip_task(execution_id, path, by=by, reason=reason)
            else:
                await getattr(engine, f"{name}_instance")(execution_id, path=path, by=by, reason=reason)

        _give(name, target, done=done, database=database, output=output, act=perform)

    examples = (f"task-engine task {name} @latest/load", f"task-engine task {name} 9K3F/load --reason 'the host is back'")
    return _command(name, act, options=(_REASON,), text=text, examples=examples)


def _decision(name: str, *, done: str, text: str, examples: tuple[str, ...]) -> click.Command:
    def act(*, target: str, comment: str, data: str, by: str, database: Database, output: str) -> None:
        from taskengine.cli.control import payload_of

        payload = payload_of(data)

        async def perform(engine: Any, execution_id: str, *, path: str) -> None:
            await engine.decide(execution_id, path, approve=name == "approve", by=by, comment=comment, data=payload)

        _give(name, target, done=done, database=database, output=output, act=perform)

    options = (
        click.option(
            "--data", default="null", metavar="JSON|@FILE", help="What the step's form asks for: JSON, or a file with JSON."
        ),
        click.option("--comment", default="", metavar="TEXT", help="What else there is to say; later steps can read it."),
    )
    return _command(name, act, options=options, text=text, examples=examples)


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
    if number >= len(state.steps):
        raise NotFoundError(
            "unknown_path", f"there is no task {task} in {execution_id}", hint=f"task-engine instance tasks {execution_id}"
        )
    return state.path_of(number)


approve = _decision(
    "approve",
    done="approved",
    text="Approve: the step completes, and later steps see who said yes, the comment and the data.",
    examples=(
        "task-engine task approve @latest/check --comment 'looks right'",
        "task-engine task approve 9K3F/check --data '{\"amount\": 3}' --by ann",
    ),
)
reject = _decision(
    "reject",
    done="rejected",
    text="Reject: the step fails with the error Rejected, which a later step may handle.",
    examples=("task-engine task reject @latest/check --comment 'too dear'",),
)
retry = _control("retry", done="has a new round:", text="Try a task again that failed, was cancelled, or waits to be tried.")
skip = _control(
    "skip",
    done="goes on without",
    text="Go on without a task that has not completed and is not running, as if it had been done; its output is none.",
)
cancel = _control("cancel", done="cancelling", text="Ask a task to stop; the joins of its dependents decide what follows.")
