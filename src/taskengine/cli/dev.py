"""``dev``: run a workflow again whenever its document or the Python files beside it are saved.

Each run is a process of its own, so functions are always the ones on the disk. Something that is wrong never stops what runs: the
last good version goes on until there is a better one.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from asyncio.subprocess import Process
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

import click

from taskengine.cli.language import say
from taskengine.cli.loop import Interrupts
from taskengine.cli.output import note
from taskengine.cli.terminal import look
from taskengine.define import load_file, render_findings
from taskengine.define.phrase import visible

__all__ = ["Watcher", "fault_in"]

_LOOK_EVERY_S: Final = 0.2
_FILES: Final = 500  # Python files that are watched
_PATIENCE_S: Final = 3.0  # for a run to stop by itself
_PROGRAM: Final = "from taskengine.cli.main import main; main()"


class Watcher:
    """Watches a document and what lies beside it. ``words``: the options that each run gets."""

    def __init__(self, file: Path, words: list[str]) -> None:
        self._file = file
        self._words = words
        self._running: Process | None = None
        self._has_good = False

    async def watch(self) -> None:
        """Until somebody interrupts."""
        interrupts = Interrupts()
        seen: dict[Path, tuple[int, int]] = {}
        settled: dict[Path, tuple[int, int]] = {}
        while not interrupts.asked.done():
            now = stamps(self._file)
            if now == seen and now != settled:  # an editor may write a file in several steps
                settled = now
                await self._changed()
            seen = now
            await self._see_end()
            await asyncio.wait({interrupts.asked}, timeout=_LOOK_EVERY_S)
        await self._stop()

    async def _changed(self) -> None:
        fault = await asyncio.to_thread(fault_in, self._file)
        if fault:
            click.echo(fault.rstrip("\n"), err=True, color=True)
            kept = say("the last good version goes on") if self._running else say("the last good version is kept")
            self._tell("failed", kept if self._has_good else say("nothing has run yet; save a correct version"))
            return
        if self._running is not None:
            self._tell("cancelled", say("stopping the run of the version before"))
        await self._stop()
        self._has_good = True
        self._tell("running", say("running {file}", file=self._file.name))
        self._running = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _PROGRAM, "run", str(self._file), "--draft", *self._words, stdin=asyncio.subprocess.DEVNULL
        )

    async def _see_end(self) -> None:
        if self._running is not None and self._running.returncode is not None:
            code, self._running = self._running.returncode, None
            self._tell(
                "completed" if code == 0 else "failed", say("ended with {code}; waiting for a change (Ctrl-C ends)", code=code)
            )

    async def _stop(self) -> None:
        """Ask the run to stop as Ctrl-C does: what it has done is kept. Twice, then it is ended."""
        running, self._running = self._running, None
        if running is None:
            return
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
            if running.returncode is None:
                with suppress(ProcessLookupError):
                    running.send_signal(number)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_PATIENCE_S):
                        await running.wait()

    def _tell(self, mark: str, text: str) -> None:
        style = look(sys.stderr)
        note(style.colored(f"{style.mark(mark)} dev: {visible(text)}", mark))


def stamps(file: Path) -> dict[Path, tuple[int, int]]:
    """When the document and the Python files beside it (and one folder below) were changed, and how large they are."""
    found: dict[Path, tuple[int, int]] = {}
    for path in (file, *islice(_beside(file), _FILES)):
        with suppress(OSError):
            stat = path.stat()
            found[path] = (stat.st_mtime_ns, stat.st_size)
    return found


def _beside(file: Path) -> list[Path]:
    return sorted([*file.parent.glob("*.py"), *file.parent.glob("[!.]*/*.py")])


def fault_in(file: Path) -> str:
    """What keeps the document or a Python file beside it from being run, as text; empty when nothing does."""
    checked = load_file(file)
    if checked.workflow is None:
        return render_findings(checked, color=look(sys.stderr).has_color)
    for path in islice(_beside(file), _FILES):
        try:
            compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:
            line = f":{error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            return f"{visible(path.name)}{line}: {visible(getattr(error, 'msg', None) or str(error))}"
        except OSError:
            continue  # removed since it was listed
    return ""
