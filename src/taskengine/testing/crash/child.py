"""A forked process that says things through a pipe until it ends, however it ends.

What it said before it was killed is what its caller may rely on: an acknowledgement is said the moment it is there. Fork from a
process that has imported everything and has no threads and no running loop, and a life and death costs some milliseconds. No child
outlives its time limit: the system's own alarm ends it.
"""

from __future__ import annotations

import os
import select
import signal
import traceback
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import msgspec

__all__ = ["Child", "Ended", "Say", "fork"]

Say: TypeAlias = Callable[[Any], None]
"""Says one thing that JSON can hold; it has left the process when this returns."""

_CHUNK: Final = 65_536
_BROKEN: Final = 70  # the exit status of a child whose work raised


class Ended(msgspec.Struct, frozen=True):
    """How a child ended. ``signal`` is 0 when it went by itself; ``trouble`` is the traceback when its work raised."""

    said: list[Any]
    signal: int
    trouble: str = ""

    @property
    def is_killed(self) -> bool:
        """Whether it died by SIGKILL."""
        return self.signal == signal.SIGKILL


class Child:
    """A child and the reading end of its pipe. ``fileno`` makes it fit for ``select``."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self._descriptor = descriptor
        self._heard = bytearray()

    def fileno(self) -> int:
        """The pipe: readable when the child has said something or has ended."""
        return self._descriptor

    def listen(self) -> bool:
        """Take in what has been said; False when nothing more will come."""
        chunk = os.read(self._descriptor, _CHUNK)
        self._heard += chunk
        return bool(chunk)

    def listen_for(self, seconds: float, *, clock: Callable[[], float]) -> bool:
        """Take in what is said within a time, by a clock of seconds that runs evenly; False when the child ended before."""
        give_up_at = clock() + seconds
        while select.select([self], [], [], max(0.0, give_up_at - clock()))[0]:
            if not self.listen():
                return False
        return True

    def kill(self) -> None:
        """SIGKILL. Does nothing to a child that has ended, as long as ``end`` was not called."""
        os.kill(self.pid, signal.SIGKILL)

    def ask_to_end(self) -> None:
        """SIGTERM: the child may end as it wants to. Does nothing to one that has ended, as long as ``end`` was not called."""
        os.kill(self.pid, signal.SIGTERM)

    def end(self) -> Ended:
        """Hear it out, and wait for its death."""
        while self.listen():
            pass
        os.close(self._descriptor)
        _, status = os.waitpid(self.pid, 0)
        # A line that was cut by death was never said.
        said = [msgspec.json.decode(line) for line in bytes(self._heard).split(b"\n")[:-1]]
        trouble = ""
        if os.WIFEXITED(status) and os.WEXITSTATUS(status):
            trouble = str(said.pop()) if os.WEXITSTATUS(status) == _BROKEN else f"exit status {os.WEXITSTATUS(status)}"
        return Ended(said, os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, trouble)


def fork(work: Callable[[Say], None], *, limit_s: int) -> Child:
    """Do the work in a child process, which ends with it, or by SIGALRM after ``limit_s`` seconds."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return Child(pid, reading)
    status = _BROKEN
    try:
        os.close(reading)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(limit_s)
        work(lambda thing: _say(writing, thing))
        status = 0
    finally:
        if status:
            _say(writing, traceback.format_exc())
        # Nothing of the parent's is ended twice: no exit functions, no buffers written out.
        os._exit(status)


def _say(descriptor: int, thing: Any) -> None:
    line = memoryview(msgspec.json.encode(thing) + b"\n")
    while line:
        line = line[os.write(descriptor, line) :]
