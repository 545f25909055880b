"""The built-in function ``shell_command``: one program, run as a child, heard, and ended with its step.

It exists only where an engine lists it: whoever may write a workflow may then run programs as the engine's user. Without ``shell``
no shell reads the command, so nothing in a value can become another command.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from taskengine.adapters.process.children import Child, Children, Ending, Refused
from taskengine.adapters.process.frames import Limits, Order
from taskengine.adapters.process.heard import LEVELS, Stream
from taskengine.model.duration import parse_duration_ms
from taskengine.model.script import DEFAULTS
from taskengine.ports.context import current_task

__all__ = ["ScriptError", "Timeout", "shell_command_over"]

_PASSED_ON: Final = ("PATH", "HOME", "LANG", "TZ", "USER", "TMPDIR")


class ScriptError(Exception):
    """The program failed: its exit code or signal, and the last lines it said."""


class Timeout(Exception):  # noqa: N818 -- the name that retry policies know
    """The program took longer than its ``timeout``."""


def shell_command_over(children: Children) -> Callable[..., Awaitable[dict[str, Any]]]:
    """The function, over these children."""

    async def shell_command(
        command: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | None = None,
        timeout: float | str | None = None,  # noqa: ASYNC109 -- the step's own word for it
        shell: bool = False,
    ) -> dict[str, Any]:
        """Run a program: a list of arguments, or a text that is split as a shell would (and read by one with ``shell: true``).

        Gives ``stdout``, ``stderr`` (their ends) and ``exit_code``. Raises ``ScriptError`` when it fails, ``Timeout``.
        """
        order = Order(
            argv=_arguments(command, has_shell=shell),
            env={**{name: os.environ[name] for name in _PASSED_ON if name in os.environ}, **(env or {})},
            cwd=_absolute(cwd or "."),
            limits=Limits(output=DEFAULTS["output"], processes=DEFAULTS["processes"]),
        )
        return await _Command(children, order).run(parse_duration_ms(timeout) / 1000 if timeout is not None else None)

    return shell_command


def _absolute(path: str) -> str:
    return str(Path(path).absolute())


def _arguments(command: str | Sequence[Any], *, has_shell: bool) -> tuple[str, ...]:
    if has_shell:
        if not isinstance(command, str):
            raise TypeError("with shell: true the command is one text")
        return ("/bin/sh", "-c", command)
    arguments = tuple(shlex.split(command)) if isinstance(command, str) else tuple(command)
    if not arguments or not all(isinstance(one, str) and "\0" not in one for one in arguments):
        raise ValueError("the command is a program with its arguments, all of them text")
    return arguments


class _Command:
    """One run."""

    def __init__(self, children: Children, order: Order) -> None:
        self._children = children
        self._order = order
        self._stdout = Stream()
        self._stderr = Stream()
        self._task = current_task()
        self._over: asyncio.Future[Ending | Refused] = asyncio.get_running_loop().create_future()

    async def run(self, timeout_s: float | None) -> dict[str, Any]:
        child = self._children.begin(self._order, on_output=self._hear, on_end=self._end)
        try:
            async with asyncio.timeout(timeout_s):
                ending = await asyncio.shield(self._over)
        except TimeoutError:
            await self._stop(child)
            raise Timeout(f"the command did not end within {timeout_s:g} s") from None
        except asyncio.CancelledError:
            await self._stop(child)
            raise
        if isinstance(ending, Refused):
            raise ScriptError(f"it cannot be started: {ending.why}")
        if ending.code != 0:
            raise ScriptError(_failure(ending, self._last_words()))
        return {"stdout": self._stdout.text(), "stderr": self._stderr.text(), "exit_code": 0}

    async def _stop(self, child: Child) -> None:
        """Ask it to end, and wait until it has."""
        child.stop()
        while not self._over.done():
            await asyncio.wait([self._over])

    def _hear(self, data: bytes, is_error: bool) -> None:  # noqa: FBT001 -- called by position for each piece
        stream, name = (self._stderr, "stderr") if is_error else (self._stdout, "stdout")
        lines = stream.take(data)
        if self._task is not None:
            self._task.heard()
            for line in lines:
                self._task.note(line, level=LEVELS[name], source=name)

    def _end(self, ending: Ending | Refused, result: bytes) -> None:
        if not self._over.done():
            self._over.set_result(ending)

    def _last_words(self) -> str:
        said = self._stderr.text().strip() or self._stdout.text().strip()
        return "\n".join(said.splitlines()[-8:])[-1500:]


def _failure(ending: Ending, last_words: str) -> str:
    if ending.is_keeper_gone:
        return "the process that kept it was killed, and it with it"
    how = ending.reason or (f"killed by signal {ending.signal}" if ending.signal else f"exit code {ending.code}")
    return f"{how}\n{last_words}" if last_words else how
