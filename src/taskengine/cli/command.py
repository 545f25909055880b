"""What every command shares: examples in the help, errors with their exit code, ``-v``, the database, the form of the output.

Light to import: this is what ``task-engine --help`` pays for.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import click
from click.core import ParameterSource

from taskengine.cli.language import LANGUAGES, choose, given_in, say
from taskengine.errors import TaskEngineError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = [
    "DEFAULT_DATABASE",
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


class _Spoken(click.Command):
    """Help in the language of the command; the options that every command and group has."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += [_verbose_option(), _language_option()]

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        """The same for every command, whoever asks first: click remembers what it made."""
        return ["-h", "--help"]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The language first: help is printed while the rest is parsed."""
        choose(ctx, given_in(args))
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """How it is called."""
        formatter.write_usage(ctx.command_path, " ".join(self.collect_usage_pieces(ctx)), prefix=say("Usage: "))

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What it is for."""
        text = cleandoc(self.help or "")
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(say(text))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options, and below a group its commands."""
        records: list[tuple[str, str]] = []
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None:
                text = getattr(option, "help", None) or ""
                records.append((record[0], record[1].replace(text, say(text), 1) if text else record[1]))
        with formatter.section(say("Options")):
            formatter.write_dl(records)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)


class EngineCommand(_Spoken):
    """A command with examples, whose errors are reported by name and code."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The examples, each on a line of its own."""
        with formatter.section(say("Examples")):
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


class LazyGroup(_Spoken, click.Group):
    """A group that imports a command when it is called, not to list it. ``lazy``: name → (``module:attribute``, short help)."""

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._lazy = lazy

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
        with formatter.section(say("Commands")):
            formatter.write_dl([(name, say(short)) for name, (_, short) in self._lazy.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What stands below the list."""
        if self.epilog:
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(say(self.epilog))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names with their short helps, without importing any of them."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(name, help=say(short)) for name, (_, short) in self._lazy.items() if name.startswith(incomplete)]

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


def _language_option() -> click.Option:
    return click.Option(
        ["--lang"],
        type=click.Choice(LANGUAGES),
        expose_value=False,
        help="Speak English or Chinese to people. [default: the locale's]",
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
