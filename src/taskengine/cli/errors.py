"""How errors reach people and programs: what, hint, code; a traceback only when it was asked for, never for a user's mistake."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any, Final

import msgspec

from taskengine.cli.exits import Exit
from taskengine.cli.language import say, say_whole
from taskengine.cli.terminal import stderr_look
from taskengine.define.phrase import visible
from taskengine.errors import TaskEngineError

__all__ = ["report_bug", "report_error", "silence"]

_HOME: Final = str(Path(__file__).resolve().parents[1])
_TRACEBACKS_FROM: Final = 2  # -vv


def report_error(error: TaskEngineError, *, output: str, verbosity: int) -> None:
    """Write an error to stderr in the form that was asked for. One without a hint of its own points to its page."""
    hint = error.hint or _page(error)
    if output == "json":
        findings: Any = error.facts.get("findings")
        document = {
            "code": findings[0].code if findings else error.code,
            "name": error.name,
            "message": error.message,
            "hint": hint,
            "details": error.facts,
        }
        sys.stderr.write(msgspec.json.encode({"error": document}, enc_hook=str).decode() + "\n")
    else:
        say_error(error.code, error.message, hint=hint)
    if verbosity >= _TRACEBACKS_FROM:
        traceback.print_exception(error)


def _page(error: TaskEngineError) -> str:
    from taskengine.cli.pages import page_of

    return f"task-engine explain {error.name if page_of(error.name) else error.code}"


def say_error(code: str, message: str, *, hint: str = "") -> None:
    """``error[TE3000]: …`` and, below, one thing to do."""
    style = stderr_look()
    label, below, hint = say("error"), say("hint") + ":", say_whole(hint)
    first, *more = (visible(line) for line in say_whole(message).splitlines() or [""])
    lines = [f"{style.styled(f'{label}[{code}]', 'error')}: {first}", *(f"  {line}" for line in more)]
    lines += [f"  {style.styled(below, 'hint')} {visible(hint)}"] if hint else []
    sys.stderr.write("\n".join(lines) + "\n")


def report_bug(error: BaseException) -> None:
    """What nobody foresaw, in one line with its place in our sources. The process exits with 1 after it."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(_HOME)]
    place = f" ({Path(own[-1].filename).relative_to(_HOME)}:{own[-1].lineno})" if own else ""
    say_error(
        "TE9000",
        f"internal error: {type(error).__name__}: {error}{place}",
        hint="this is a bug of task-engine: report this line, and what the same command prints with -vv",
    )
    if "-vv" in sys.argv:
        traceback.print_exception(error)


def silence() -> Exit:
    """Whoever read our output is gone: write into nothing from here on, also at the interpreter's end."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(nothing, stream.fileno())
    os.close(nothing)
    return Exit.OK
