"""What every bad input must meet: an answer with a name, within a bound of this process's own time, which is printed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import process_time
from typing import Any, Final, NamedTuple

import pytest
from click.testing import CliRunner

from taskengine import Engine, Step, Workflow
from taskengine.cli.main import cli
from taskengine.define import load_text
from taskengine.errors import TaskEngineError

__all__ = [
    "ECHO",
    "PATIENCE_S",
    "WAIT",
    "Bad",
    "Found",
    "fails",
    "findings",
    "in_command_line",
    "kept",
    "refused",
    "told",
    "within",
]

# Seconds of this process for one input. Nearly all take less than 10 ms on an idle core, the slowest some 100 ms; what they aim at
# takes minutes, or never ends.
PATIENCE_S: Final = 2.0


class Found(NamedTuple):
    """A finding's name and place."""

    name: str
    line: int
    column: int


class Bad(NamedTuple):
    """A document, what must be said of it first, and where."""

    make: Callable[[], str | bytes]
    found: Found


@contextmanager
def within(title: str, seconds: float = PATIENCE_S) -> Iterator[None]:
    """Whatever happens inside takes less of this process's time."""
    began = process_time()
    yield
    spent = process_time() - began
    print(f"{title}: {spent * 1_000:.1f} ms")
    assert spent < seconds


def findings(document: str | bytes) -> list[Found]:
    """What is said of a document, errors only."""
    checked = load_text(document, file="bad.yaml")
    assert (checked.workflow is None) == bool(checked.errors)
    return [Found(one.name, one.line, one.column) for one in checked.errors]


def in_command_line(*words: str) -> str:
    """Run a command that must refuse its input with exit code 8; what it says on the way. Only a bug of ours would be raised."""
    result = CliRunner().invoke(cli, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 8
    assert "Traceback" not in result.output
    return result.output


def told(folder: Path, *, given: str | bytes, document: str) -> str:
    """What `run` says of an input file."""
    (folder / "input.json").write_bytes(given if isinstance(given, bytes) else given.encode())
    (folder / "workflow.yaml").write_text(document, encoding="utf-8")
    database = str(folder / "never.db")
    said = in_command_line("run", str(folder / "workflow.yaml"), "--input", f"@{folder / 'input.json'}", "--db", database)
    assert not (folder / "never.db").exists()
    return said


ECHO: Final = Workflow(
    name="echo",
    steps=(Step(id="echo", type="function", config={"function": "echo", "params": {"value": "{{ input.value }}"}}),),
    output="{{ steps.echo.output }}",
)
MAKE: Final = Workflow(name="make", steps=(Step(id="make", type="function", config={"function": "make"}),))
WAIT: Final = Workflow(
    name="wait",
    steps=(Step(id="wait", type="wait", config={"signal": "go"}, timeout_ms=60_000),),
    output="{{ steps.wait.output }}",
)


async def kept(store: Path, value: Any) -> object:
    """What a value is after it went through the store as an input, through a function, and out."""
    async with Engine(store, functions={"echo": lambda value: value}) as engine:
        execution = await engine.execute_workflow(ECHO, params={"value": value})
        result = await execution.result(timeout=60)
    async with Engine(store) as engine:  # and is read again
        assert (await engine.wait_for_instance(execution.id, timeout=60)).output == result.output
    assert result.error is None
    return result.output


async def refused(value: Any, *, named: str, said: str) -> None:
    """As an input, a signal's data and a function's result: refused by name, with the place; nothing is started."""
    async with Engine(":memory:", functions={"echo": lambda value: value, "make": lambda: value}) as engine:
        with pytest.raises(TaskEngineError, match=said) as input_refused:
            await engine.execute_workflow(ECHO, params={"value": value})
        assert input_refused.value.name == named
        waiting = await engine.execute_workflow(WAIT)
        with pytest.raises(TaskEngineError, match=said) as signal_refused:
            await engine.signal(waiting.id, "go", data=value)
        assert signal_refused.value.name == named
        made = await (await engine.execute_workflow(MAKE)).result(timeout=60)
        assert made.error is not None
        assert made.error.type in {"ValidationError", "PayloadTooDeep", "PayloadTooLarge"}
        await engine.signal(waiting.id, "go", data="fine")
        assert (await waiting.result(timeout=60)).output == "fine"


async def fails(expression: str, *, said: str, params: Mapping[str, Any] | None = None) -> None:
    """A parameter with this expression fails its step with these words, and the function is never called."""
    steps = (Step(id="echo", type="function", config={"function": "echo", "params": {"value": expression}}),)
    called: list[object] = []
    async with Engine(":memory:", functions={"echo": called.append}) as engine:
        result = await (await engine.execute_workflow(Workflow(name="bad", steps=steps), params=params)).result(timeout=60)
    assert result.error is not None
    assert result.error.type == "ExpressionError"
    assert said in result.error.message
    assert called == []
