"""What the shell completes: ids and names, from the database that the line names. Never fails, never writes.

Imports nothing heavy until the shell asks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from taskengine.errors import TaskEngineError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from taskengine.app.inspect import Inspector

__all__ = ["execution_argument", "execution_ids", "workflow_names"]

F = TypeVar("F", bound=Callable[..., Any])

_MOST = 50
_DEFAULT = ".task-engine/engine.db"


def execution_argument(command: F) -> F:
    """``ID``: an execution, completed by the shell."""
    return click.argument("execution", metavar="ID", shell_complete=execution_ids)(command)


def execution_ids(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest executions, and the words that stand for one."""

    async def look_at(inspector: Inspector) -> list[tuple[str, str]]:
        found, *_ = await inspector.listed(statuses=(), workflow="", limit=_MOST)
        return [(one.id, f"{one.workflow_name} {one.status}") for one in found]

    words = [("@latest", "the newest"), ("@failed", "the newest that failed")]
    return _items([*words, *_asked(ctx, look_at)], incomplete)


def workflow_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The workflows that the database keeps."""

    async def look_at(inspector: Inspector) -> list[tuple[str, str]]:
        found, _ = await inspector.library.listed(limit=_MOST)
        return [(one.name, one.description) for one in found]

    return _items(_asked(ctx, look_at), incomplete)


def _asked(ctx: click.Context, look_at: Callable[[Inspector], Coroutine[Any, Any, list[tuple[str, str]]]]) -> list[tuple[str, str]]:
    given: Any = ctx.params.get("database")
    path = Path(given.path if given is not None else os.environ.get("TASK_ENGINE_DB", _DEFAULT))
    if not path.is_file():
        return []
    from taskengine.app.inspect import inspecting
    from taskengine.cli.loop import in_loop

    async def main() -> list[tuple[str, str]]:
        async with inspecting(path) as inspector:
            return await look_at(inspector)

    try:
        return in_loop(main)
    except (TaskEngineError, OSError):  # a prompt is no place for errors
        return []


def _items(known: list[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(word, help=text) for word, text in known if word.startswith(incomplete)]
