"""The end of the process, also when work of a user's function does not end: it must not keep the interpreter waiting.

Imported by every command, so nothing heavy is imported here. What the engine promises is in the database by now.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final, NoReturn

__all__ = ["leave", "leave_behind"]

_left: Final[list[object]] = []


def leave_behind(work: object) -> None:
    """It goes on until the process ends: keep it, since taking it apart would not end either."""
    _left.append(work)


def leave(code: int) -> NoReturn:
    """End the process with this code; past the interpreter's own tidying up when something was left behind."""
    if _left:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):  # nobody reads it any more
                stream.flush()
        os._exit(code)
    sys.exit(code)
