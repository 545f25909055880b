"""What every command shares: examples in the help, errors with their exit code, ``-v``, the database, the form of the output.

Light to import: this is what ``task-engine --help`` pays for.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import click
from click.core import ParameterSource

from taskengine.errors import TaskEngineError

__all__ = [
    "NEWEST",
    "PROGRAM",
    "Database",
    "EngineCommand",
    "LazyGroup",
    "by_option",
    "database_option",
    "output_option",
    "verbosity",
]

PROGRAM: Final = "task-engine"
NEWEST: Final = "@unfinished"  # what ``--resume`` without an id means
DEFAULT_DATABASE: Final = ".task-engine/engine.db"
_VERBOSITY: Final = "taskengine.verbosity"
F = TypeVar("F", bound=Callable[..., Any])


class Database(NamedTuple):
    """Where executions are kept, and how to name that place in a command that can be pasted."""

    path: Path
    is_named: bool  # on the command line
    is_default: bool

    @property
    def flag(self) -> str:
        """`` --db FILE`` where a later command needs it."""
        return f" --db {shlex.quote(str(self.path))}" if self.is_named else ""

    def command(self, words: str) -> str:
        """A command on this database, ready to paste."""
        return f"{PROGRAM} {words}{self.flag}"


class EngineCommand(click.Command):
    """A command with examples, whose errors are reported by name and code."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = examples
        self.params.append(_verbose_option())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, each on a line of its own."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; its errors end here."""
        try:
            return super().invoke(ctx)
        except TaskEngineError as error:
            from taskengine.cli.errors import report_error
            from taskengine.cli.exits import exit_of_error

            report_error(error, output=ctx.params.get("output", ""), verbosity=verbosity(ctx))
            ctx.exit(exit_of_error(error))
        except BrokenPipeError:
            from taskengine.cli.errors import silence

            ctx.exit(silence())


class LazyGroup(click.Group):
    """A group that imports a command when it is called, not to list it. ``lazy``: name → (``module:attribute``, short help)."""

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._lazy = lazy
        self.params.append(_verbose_option())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were given."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import it."""
        if cmd_name not in self._lazy:
            return None
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and short helps, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in self._lazy.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest name for one that is not there."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            close = get_close_matches(args[0], self._lazy, n=1)
            if not close:
                raise
            raise click.UsageError(f"No such command {args[0]!r}. Did you mean {close[0]!r}?", ctx) from error


def _verbose_option() -> click.Option:
    return click.Option(
        ["-v", "--verbose"],
        count=True,
        expose_value=False,
        is_eager=True,
        callback=_count,
        help="Say more: -v logs, -vv logs and tracebacks.",
    )


def _count(ctx: click.Context, _: click.Parameter, value: int) -> None:
    ctx.meta[_VERBOSITY] = ctx.meta.get(_VERBOSITY, 0) + value


def verbosity(ctx: click.Context | None = None) -> int:
    """How many times ``-v`` was given, before or after the command's name."""
    found: int = (ctx or click.get_current_context()).meta.get(_VERBOSITY, 0)
    return found


def database_option(command: F) -> F:
    """``--db FILE``; the command gets a ``Database`` named ``database``."""
    return click.option(
        "--db",
        "database",
        metavar="FILE",
        default=DEFAULT_DATABASE,
        show_default=True,
        envvar="TASK_ENGINE_DB",
        show_envvar=True,
        callback=_database,
        help="The SQLite file that keeps executions.",
    )(command)


def _database(ctx: click.Context, param: click.Parameter, value: str) -> Database:  # noqa: PLR0917 -- click calls it
    if value == ":memory:":
        raise click.BadParameter("a database in memory would end with the command; name a file", ctx=ctx, param=param)
    source = ctx.get_parameter_source(param.name or "")
    return Database(Path(value), is_named=source is ParameterSource.COMMANDLINE, is_default=source is ParameterSource.DEFAULT)


def output_option(*forms: str, text: str = "The form of what is printed.") -> Callable[[F], F]:
    """``-o/--output`` with these forms; the first is the default."""
    return click.option("-o", "--output", type=click.Choice(forms), default=forms[0], show_default=True, help=text)


def by_option(command: F) -> F:
    """``--by NAME``: who is recorded as the one who asked."""
    return click.option(
        "--by", metavar="NAME", default=_login, envvar="TASK_ENGINE_BY", help="Who is asking. [default: the login name]"
    )(command)


def _login() -> str:
    from getpass import getuser

    try:
        return getuser()
    except (OSError, KeyError):  # an account without a name
        return ""
