"""Control of executions: a node that runs nothing gives each command to whoever owns the execution.

An execution without a living owner takes the command here and now; it goes on when some node takes it up again.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from taskengine.cli.command import Database, EngineCommand, by_option, database_option, output_option, verbosity
from taskengine.cli.complete import execution_argument
from taskengine.cli.language import say

if TYPE_CHECKING:
    from taskengine.app.engine import Engine
    from taskengine.app.inspect import Inspector
    from taskengine.errors import CommandRefusedError
    from taskengine.kernel.state import Execution as State
    from taskengine.model.value import Json

__all__ = [
    "cancel",
    "give",
    "give_verb",
    "path_of",
    "pause",
    "payload_of",
    "resume",
    "retry",
    "set_variables",
    "signal",
    "terminate",
]

_LOOKS = 10
_LOOK_EVERY_S = 0.1
_STEPS_SHOWN = 3
_GUESSED = 500  # characters of data that is no JSON, of which it is said what was probably meant
Act: TypeAlias = "Callable[[Engine, str], Awaitable[None]]"


def _control(
    name: str, *, done: str, text: str, examples: tuple[str, ...], options: tuple[Callable[[Any], Any], ...] = ()
) -> click.Command:
    """A command that needs an execution, perhaps one of its tasks, and a reason. ``name`` is the engine's verb."""

    def act(*, execution: str, task: str, reason: str, by: str, database: Database, output: str, **more: bool) -> None:
        async def perform(engine: Engine, execution_id: str) -> None:
            await getattr(engine, f"{name}_instance")(execution_id, path=path_of(task), by=by, reason=reason, **more)

        told = f"{say(f'{done}:' if name == 'retry' else done)} {path_of(task)}" if task else say(done)
        give_verb(name, execution, act=perform, database=database, output=output, done=told)

    command: Any = act
    for option in (
        output_option("table", "json", "yaml", "name"),
        database_option,
        by_option,
        click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history."),
        *options,
        click.option("--task", default="", metavar="PATH", help="One task only: its step's id or path, load or /load/."),
        execution_argument,
    ):
        command = option(command)
    return click.command(name, cls=EngineCommand, help=text, examples=examples)(command)


def give_verb(name: str, execution: str, *, act: Act, database: Database, output: str, done: str) -> None:
    """As ``give``, for a verb of the engine; a retry, or a skip, is looked at for a moment."""
    is_round = name in {"retry", "skip"}
    after = _retried if is_round else _nothing
    give(execution, act, database=database, output=output, done=done, after=after, waits=is_round)


def _nothing(_: State) -> str:
    """There is nothing more to say."""
    return ""


def _retried(state: State) -> str:
    """What a new round has come to, a moment after it began."""
    from taskengine.cli.rows import counted

    if state.is_finished:
        error = f": {state.error.type}: {state.error.message}".rstrip(": ") if state.error is not None else ""
        return say("it has ended again already: {status}{error}", status=say(state.status.value), error=error)
    return say("now: {counts}", counts=counted(state))


def path_of(task: str) -> str:
    """The path of a task as people name it: ``load``, ``/load`` and ``/load/`` are one; nothing is the whole execution."""
    words = task.strip("/")
    return f"/{words}/" if words else "/"


pause = _control(
    "pause",
    done="paused",
    text="Start nothing new in the execution, or in one task; what runs may finish.",
    examples=("task-engine instance pause @latest", "task-engine instance pause 9K3F --task load --reason 'disk is full'"),
)
resume = _control(
    "resume",
    done="resumed",
    text="End a pause. Clocks go on where they stood.",
    examples=("task-engine instance resume @latest", "task-engine instance resume 9K3F --task load"),
)
cancel = _control(
    "cancel",
    done="cancelling",
    text="Ask what runs to stop; nothing new starts, and the execution ends as cancelled.",
    examples=(
        "task-engine instance cancel @latest --reason 'wrong input'",
        "task-engine instance cancel 9K3F --compensate",
    ),
    options=(click.option("--compensate", is_flag=True, help="Then undo what was done, where the steps say how."),),
)
terminate = _control(
    "terminate",
    done="terminated",
    text="End the execution at once, without waiting for what runs.",
    examples=("task-engine instance terminate 9K3F --reason 'stuck for an hour'",),
)
retry = _control(
    "retry",
    done="has a new round",
    text="Try again what failed or was cancelled, with the recorded inputs; what was completed stays.",
    examples=("task-engine instance retry @failed", "task-engine instance retry @failed --task load"),
)


@click.command(
    "signal",
    cls=EngineCommand,
    examples=(
        "task-engine instance signal @latest approved",
        'task-engine instance signal @latest approved --data \'{"by": "Ada"}\'',
    ),
)
@execution_argument
@click.argument("name", metavar="SIGNAL")
@click.option("--data", default="null", metavar="JSON|@FILE", help="What it carries: JSON, or a file with JSON.")
@click.option("--id", "signal_id", default="", metavar="KEY", help="Sending the same KEY again changes nothing.")
@by_option
@database_option
@output_option("table", "json", "yaml", "name")
def signal(*, execution: str, name: str, data: str, signal_id: str, by: str, database: Database, output: str) -> None:
    """Send SIGNAL to the steps of the execution that wait for it; an early one waits for them."""
    payload = payload_of(data)

    async def perform(engine: Engine, execution_id: str) -> None:
        await engine.signal(execution_id, name, data=payload, by=by, signal_id=signal_id)

    done = say("has the signal {name}", name=name)
    give(execution, perform, database=database, output=output, done=done, after=lambda state: _heard(state, name))


@click.command(
    "set-variables",
    cls=EngineCommand,
    examples=(
        "task-engine instance set-variables @latest batch_size=500",
        'task-engine instance set-variables 9K3F \'hosts=["a", "b"]\' note=text',
        "task-engine instance set-variables @latest @values.json",
    ),
)
@execution_argument
@click.argument("values", metavar="NAME=VALUE|@FILE", nargs=-1, required=True)
@by_option
@database_option
@output_option("table", "json", "yaml", "name")
def set_variables(*, execution: str, values: tuple[str, ...], by: str, database: Database, output: str) -> None:
    """Give variables of an execution that goes on new values; steps that begin later see them.

    A VALUE is a number, true, a list, an object or null in JSON, or else text; @FILE holds a JSON object. What has begun keeps the
    inputs that it was given.
    """
    from taskengine.cli.inputs import read_inputs

    given = read_inputs(values, None, option="")

    async def perform(engine: Engine, execution_id: str) -> None:
        await engine.set_variables(execution_id, given, by=by)

    give(execution, perform, database=database, output=output, done=say("has new values: {names}", names=", ".join(given)))


def _heard(state: State, name: str) -> str:
    """What became of a signal that is in the history now; nothing where a step took it."""
    from taskengine.kernel.story import refused_signals
    from taskengine.model.status import Phase

    if state.is_finished or not state.signals.get(name):
        return ""
    refusing = [number for number in state.listeners.get(name, ()) if refused_signals(state, number)]
    if refusing:
        told = "{steps} waits for {name}, but its filter does not take what is kept: {filter} (`event` is the data)"
        shown = ", ".join(state.path_of(number) for number in refusing[:_STEPS_SHOWN])
        return say(told, steps=shown, name=name, filter=state.steps[refusing[0]].step.config["filter"])
    steps = [
        one.step for number, one in enumerate(state.steps) if one.step.type == "wait" and state.phase[number] < Phase.COMPLETED
    ]
    names = [signal for step in steps if isinstance(signal := step.config.get("signal"), str)]
    if name in names or any("{{" in signal for signal in names):
        return say("no step waits for {name} just now: it is kept until one does", name=name)
    there = ", ".join(dict.fromkeys(names)) or say("none")
    told = "no open step of this workflow waits for {name}: it is kept all the same (they wait for: {there})"
    return say(told, name=name, there=there)


def payload_of(data: str) -> Json:
    """What ``--data`` says. ``DefinitionError("invalid_data")`` for what is no JSON, or cannot be read."""
    from msgspec import DecodeError

    from taskengine.errors import DefinitionError
    from taskengine.model.value import decode

    try:
        if data.startswith("@"):
            with click.open_file(data[1:], "rb") as file:
                return decode(file.read())
        return decode(data.encode())
    except (DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise DefinitionError("invalid_data", f"--data is not JSON: {error}", hint=_as_json(data)) from None
    except OSError as error:
        raise DefinitionError("invalid_data", f"{data[1:]} cannot be read: {error.strerror}") from None


def _as_json(data: str) -> str:
    """What was probably meant, as JSON to paste: ``{by: Grace}`` is YAML, and a word alone is text."""
    import json
    from shlex import quote

    import yaml

    meant: object = "text"
    pairs = [one.partition("=") for one in data.split()]
    if len(data) <= _GUESSED and all(equals and name.isidentifier() for name, equals, _ in pairs):
        meant = {name: value for name, _, value in pairs}
    elif len(data) <= _GUESSED and not data.startswith("@") and not set("&*!\0") & set(data):
        with suppress(yaml.YAMLError, UnicodeError):
            meant = yaml.safe_load(data)
    try:
        written = json.dumps(meant, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError):  # dates and the like, which are no JSON
        written = json.dumps(data)
    return f"in JSON, text and keys stand in double quotes: --data {quote(written)}"


def give(
    execution: str,
    act: Act,
    *,
    database: Database,
    output: str,
    done: str,
    after: Callable[[State], str] = _nothing,
    waits: bool = False,
) -> None:
    """Find the execution, act, and show what came of it.

    ``after``: what there is to say about the state then. ``waits``: give whoever runs it a moment, so that an end at once is seen.
    """
    import asyncio

    from taskengine.app.engine import Engine
    from taskengine.app.inspect import Inspector, execution_view
    from taskengine.cli.database import must_exist
    from taskengine.cli.loop import in_loop, log_to_stderr
    from taskengine.errors import CommandRefusedError
    from taskengine.runtime.settings import NodeSettings
    from taskengine.wire.execution import WireExecution

    path = must_exist(database)
    log_to_stderr(verbosity())

    async def perform() -> tuple[WireExecution, bool, str]:
        async with Engine(path, settings=NodeSettings(can_run=False)) as engine:
            inspector = Inspector(engine.store, engine.node.environment)
            execution_id = (await inspector.find(execution)).execution_id
            try:
                await act(engine, execution_id)
            except CommandRefusedError as error:
                await _add_way_out(inspector, execution_id, error=error, database=database)
                raise
            summary, state = await inspector.state(execution_id)
            is_attended = await inspector.is_attended(summary, besides=engine.node.node_id)
            for _ in range(_LOOKS if waits and is_attended else 0):
                if state.is_finished:
                    break
                await asyncio.sleep(_LOOK_EVERY_S)
                summary, state = await inspector.state(execution_id)
            if waits and not state.is_finished and not summary.owner:
                is_attended = False  # a living process that takes up what is ready would have done so
            return execution_view(summary, state), is_attended, after(state)

    view, is_attended, remark = in_loop(perform)
    _show(view, database=database, output=output, done=done, is_attended=is_attended, remark=remark)


async def _add_way_out(inspector: Inspector, execution_id: str, *, error: CommandRefusedError, database: Database) -> None:
    """Where nothing can be retried and the kernel knows no better: what does help, as ``instance explain`` says it."""
    from taskengine.app.advice import advice

    if error.name != "nothing_to_retry" or error.hint:
        return
    _, state = await inspector.state(execution_id)
    begins = advice(state)
    if begins:
        error.hint = f"{'correct the document, upload it, then: ' if begins.is_fork else ''}{database.command(begins)}"


def _show(view: Any, *, database: Database, output: str, done: str, is_attended: bool, remark: str) -> None:
    from taskengine.cli.output import emit, note
    from taskengine.cli.terminal import look
    from taskengine.model.status import TERMINAL, Status

    style = look(sys.stderr)
    if output in {"json", "yaml"}:
        emit(view, output)
    elif output == "name":
        click.echo(view.id)
    else:
        click.echo(f"{view.id} {done}")
    if remark:
        note(remark)
    if not is_attended and Status(view.status) not in TERMINAL | {Status.PAUSED}:
        note(say("No process runs it; to go on with it: {command}", command=database.command(f"run --resume {view.id}")))
    note(f"{style.styled(say('next:'), 'hint')} {database.command(f'instance status {view.id}')}")
