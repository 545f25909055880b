"""What user code says through ``logging`` while an attempt runs goes to the log of its task.

One handler at the root logger, there while an engine that wants it runs. It finds the attempt through a context variable, so code
deep below a function needs to know nothing. What is said outside of attempts it leaves alone.
"""

from __future__ import annotations

import logging
import traceback
from types import TracebackType
from typing import Final

from taskengine.ports.context import CURRENT

__all__ = ["attach", "detach", "frames_of"]

_LEVELS: Final = ((logging.ERROR, "error"), (logging.WARNING, "warning"), (logging.INFO, "info"))
_FRAMES: Final = 30
_OURS: Final = "taskengine"


class _Records(logging.Handler):
    """Counted: several engines may run in one process."""

    def __init__(self) -> None:
        super().__init__()
        self.users = 0

    def emit(self, record: logging.LogRecord) -> None:
        task = CURRENT.get()
        if task is None or record.name.split(".", 1)[0] == _OURS:
            _say_as_before(record)
            return
        try:
            message = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                message += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
        except Exception as error:  # noqa: BLE001 -- the arguments of a log call are the user's
            message = f"{record.msg!r} (cannot be formatted: {error!r})"
        level = next((name for least, name in _LEVELS if record.levelno >= least), "debug")
        task.note(message.rstrip(), level=level, source=record.name)


_RECORDS: Final = _Records()


def _say_as_before(record: logging.LogRecord) -> None:
    """A root logger without handlers prints warnings; that ours is there must not silence them."""
    last = logging.lastResort
    if last is not None and logging.getLogger().handlers == [_RECORDS] and record.levelno >= last.level:
        last.handle(record)


def attach() -> None:
    """Begin to listen."""
    _RECORDS.users += 1
    if _RECORDS.users == 1:
        logging.getLogger().addHandler(_RECORDS)


def detach() -> None:
    """Stop, when nobody else listens."""
    _RECORDS.users -= 1
    if _RECORDS.users == 0:
        logging.getLogger().removeHandler(_RECORDS)


def frames_of(error: BaseException) -> str:
    """The traceback as people read it, without the frames of the engine around the function."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and str(trace.tb_frame.f_globals.get("__name__", "")).split(".", 1)[0] == _OURS:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace, limit=-_FRAMES)).rstrip()
