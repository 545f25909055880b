"""The built-in function that runs a program: no shell unless asked for, ended with its step, failures by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, Step, Workflow
from taskengine.adapters.function.shell import shell_command_over
from taskengine.adapters.process.children import Children
from taskengine.model.status import Status
from tests.process.scene import PATIENCE_S, running, until

pytestmark = pytest.mark.processes


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    children = Children()
    async with Engine(":memory:", functions={"shell_command": shell_command_over(children)}) as engine:
        yield engine
    await children.close()


def command(text: Any, **params: Any) -> Workflow:
    config = {"function": "shell_command", "params": {"command": text, **params}}
    return Workflow(name="one", steps=(Step(id="a", type="function", config=config),), output="{{ steps.a.output }}")


@pytest.mark.parametrize(
    ("text", "params", "stdout"),
    [
        (["echo", "a  b;", "$HOME"], {}, "a  b; $HOME\n"),
        ("echo 'a  b;' $HOME '*'", {}, "a  b; $HOME *\n"),
        ("echo $WORD | tr a b", {"shell": True, "env": {"WORD": "aha"}}, "bhb\n"),
        (["pwd"], {"cwd": "/"}, "/\n"),
    ],
)
async def test_a_program_runs_and_its_streams_come_back(engine: Engine, text: Any, params: dict[str, Any], stdout: str) -> None:
    result = await (await engine.execute_workflow(command(text, **params))).result(timeout=PATIENCE_S)
    assert result.output == {"stdout": stdout, "stderr": "", "exit_code": 0}


@pytest.mark.parametrize(
    ("text", "params", "kind", "words"),
    [
        ("echo why >&2; exit 4", {"shell": True}, "ScriptError", "exit code 4\nwhy"),
        (["sleep", "1000"], {"timeout": "100ms"}, "Timeout", "within 0.1 s"),
        (["nonesuch-program"], {}, "ScriptError", "cannot be started"),
        ("yes", {}, "ScriptError", "output_limit"),
        ([], {}, "ValueError", "a program with its arguments"),
    ],
)
async def test_a_program_that_fails_is_named(engine: Engine, text: Any, params: dict[str, Any], kind: str, words: str) -> None:
    result = await (await engine.execute_workflow(command(text, **params))).result(timeout=PATIENCE_S)
    assert result.error is not None
    assert result.error.type == kind
    assert words in result.error.message


async def test_a_cancelled_step_ends_its_program(engine: Engine, tmp_path: Path) -> None:
    text = f"touch {tmp_path}/began; setsid sleep 1000 & sleep 1000"
    execution = await engine.execute_workflow(command(text, shell=True, env={"MARK": str(tmp_path)}))
    await until((tmp_path / "began").exists, "it begins")
    await engine.cancel_instance(execution.id)
    assert (await execution.result(timeout=PATIENCE_S)).status is Status.CANCELLED
    await until(lambda: running(f"MARK={tmp_path}") == [], "all of it ends")
