"""The event loop of one command, and how a person interrupts it. ``run`` takes uvloop; looking is over before it would help."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from taskengine.cli.exits import Exit
from taskengine.cli.leaving import leave_behind
from taskengine.cli.output import paired

__all__ = ["Interrupts", "in_fast_loop", "in_loop", "log_to_stderr"]

T = TypeVar("T")
_LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
_LAST_WAIT_S: Final = 1.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_log: Final = logging.getLogger("taskengine.cli")


def in_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function in an event loop of its own. What it leaves running cannot keep the process."""
    return _run(asyncio.Runner(), main)


def in_fast_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The same on the fastest loop there is."""
    from taskengine.app.own_process import use_own_process

    use_own_process()
    try:
        from uvloop import new_event_loop
    except ImportError:
        return in_loop(main)
    return _run(asyncio.Runner(loop_factory=new_event_loop), main)


def _run(runner: asyncio.Runner, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    try:
        return runner.run(main())
    finally:
        loop = runner.get_loop()
        left = loop.run_until_complete(_wind_up())
        if left:  # closing the loop would wait for them for ever
            _log.warning("work.left_behind", extra={"pieces": left})
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
            leave_behind(runner)
        else:
            runner.close()


async def _wind_up() -> int:
    """Cancel what is left and let its threads go; how much of it does not end soon: functions may swallow that, or block."""
    loop = asyncio.get_running_loop()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    threads = loop.create_task(loop.shutdown_default_executor())
    _, left = await asyncio.wait({*tasks, threads}, timeout=_LAST_WAIT_S)
    return len(left)


class Interrupts:
    """Ctrl-C and SIGTERM: the first one is ``asked``, the second ends the process at once. What is written stays written."""

    def __init__(self) -> None:
        self.last_words = ""
        loop = asyncio.get_running_loop()
        self.asked: asyncio.Future[None] = loop.create_future()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._come)

    def ask(self) -> None:
        """As if the first one had come: whoever is stopping already stops at once when a person asks for it."""
        if not self.asked.done():
            self.asked.set_result(None)

    def _come(self) -> None:
        if not self.asked.done():
            self.ask()
            return
        sys.stderr.write(self.last_words)
        sys.stderr.flush()
        os._exit(Exit.INTERRUPTED)


class _Stderr(logging.StreamHandler[Any]):
    """Writes to whatever ``sys.stderr`` is at the moment: a live view takes its place for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Fields(logging.Formatter):
    """``level logger: event key=value``, in the form of the progress lines."""

    def format(self, record: logging.LogRecord) -> str:
        known = logging.makeLogRecord({}).__dict__
        facts = {name: value for name, value in vars(record).items() if name not in known and name != "message"}
        return f"{record.levelname.lower()} {record.name}: {record.getMessage()} {paired(facts)}".rstrip()


def log_to_stderr(verbosity: int) -> None:
    """What troubles the engine, and with ``-v`` what it does."""
    target = _Stderr()
    target.setFormatter(_Fields())
    logger = logging.getLogger("taskengine")
    logger.handlers = [target]
    logger.propagate = False
    logger.setLevel(_LEVELS[min(verbosity, len(_LEVELS) - 1)])
