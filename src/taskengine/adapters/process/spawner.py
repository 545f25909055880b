"""The spawner: one small process for an engine, from which keepers are forked.

Standard library only, one thread: that makes a fork cheap, and what runs after it safe. Its life is its socket to the engine. When
a keeper is killed its orphans come here and are ended.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import time
from typing import Final

from taskengine.adapters.process import kernel_calls as kernel
from taskengine.adapters.process import tree
from taskengine.adapters.process.box import sweep
from taskengine.adapters.process.keeper import empty, keep, wake_up

__all__ = ["CONTROL", "main"]

CONTROL: Final = 3  # the socket to the engine
_MOST_FILES: Final = 2
_PATIENCE_S: Final = 30.0  # for keepers that end by themselves, once the engine is gone
_LOOK_MS: Final = 50


def main() -> None:
    """Serve until the engine is gone and nobody is left."""
    control = socket.socket(fileno=CONTROL)
    os.set_inheritable(CONTROL, False)  # noqa: FBT003 -- the standard library asks so
    os.chdir("/")
    kernel.adopt_orphans()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are meant for the engine, which says by its socket what follows
    gc.freeze()
    Spawner(control, sys.argv[1:]).serve()


class Spawner:
    """The keepers, and whoever came here without one."""

    def __init__(self, control: socket.socket, roots: list[str]) -> None:
        self._control = control
        self._roots = roots
        self._keepers: set[int] = set()
        self._killed: list[int] = []
        self._wake, woken = os.pipe()
        self._woken = woken
        os.set_blocking(self._wake, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, wake_up)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Fork a keeper for each request; then wait for the last one."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        has_strays = False
        while True:
            ready = {file for file, _ in poll.poll(_LOOK_MS if has_strays else None)}
            if self._wake in ready:
                empty(self._wake)
            has_strays = self._reap()
            if self._control.fileno() in ready and not self._take():
                break
        self._control.close()
        give_up_at = time.monotonic() + _PATIENCE_S
        while self._reap() or self._keepers:
            if time.monotonic() > give_up_at:
                tree.end_all(os.getpid())
            select.select([self._wake], [], [], _LOOK_MS / 1000)
            empty(self._wake)

    def _take(self) -> bool:
        """One request: a byte with the keeper's end of a socket, and perhaps the child's end of another one."""
        try:
            data, files, _, _ = socket.recv_fds(self._control, 1, _MOST_FILES)
        except OSError:
            return False
        if not data:
            return False
        if files:
            self._fork(files)
        return True

    def _fork(self, files: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError:
            pid = -1  # the engine sees the socket close without a word
        if pid == 0:
            self._become_keeper(files)
        if pid > 0:
            self._keepers.add(pid)
        for file in files:
            os.close(file)

    def _become_keeper(self, files: list[int]) -> None:
        """Never returns."""
        try:
            signal.set_wakeup_fd(-1)
            self._control.close()
            os.close(self._wake)
            os.close(self._woken)
            for file in files:
                os.set_inheritable(file, False)  # noqa: FBT003
            with socket.socket(fileno=files[0]) as engine:
                keep(engine, files[1] if len(files) == _MOST_FILES else -1)
        finally:
            os._exit(0)

    def _reap(self) -> bool:
        """Whether there is somebody who is no keeper; they are ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                self._keepers.clear()
                self._sweep()
                return False
            if pid == 0:
                break
            if pid in self._keepers:
                self._keepers.discard(pid)
                self._killed += [pid] * os.WIFSIGNALED(status)
        strays = [pid for pid in tree.children_of(os.getpid()) if pid not in self._keepers]
        for stray in strays:
            tree.end_all(stray)
            try:
                os.kill(stray, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if not strays:
            self._sweep()
        return bool(strays)

    def _sweep(self) -> None:
        """What killed keepers had no time to remove, now that nobody writes to it any more."""
        while self._killed:
            sweep(self._roots, self._killed.pop())


if __name__ == "__main__":
    main()
