"""The sandbox: namespaces of its own for a child that must not change files, see other processes, or reach the network.

Standard library only: the keeper's program loads it. It runs between fork and exec, in a process without threads. What it gives:
every file system read-only but the box, which stands in place of /tmp; a process table of its own, which ends with its first
process; no network but where allowed; no rights of root. What it does not hide: files that the engine's user may read.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from typing import Final

from taskengine.adapters.process import kernel_calls as kernel

__all__ = ["INSIDE", "enter"]

INSIDE: Final = "/tmp"  # noqa: S108 -- where the box is seen from inside
_MANY_FILES: Final = 4096
_NO_SUID: Final = 2
_NO_DEV: Final = 4
_NO_EXEC: Final = 8
_HIDDEN: Final = ("/var/tmp", "/dev/shm")  # noqa: S108 -- other places that everybody may write to


def enter(box: str, input_folder: str, *, keeps: Iterable[str], allows_network: bool) -> None:
    """Enter it and go on as its second process; the first one only waits. ``OSError`` where the system does not allow it.

    The caller stays outside as the one who waits: this returns in the process inside.
    """
    _separate(allows_network=allows_network)
    _descend()
    _hide(box, input_folder, keeps=keeps)
    _descend()
    kernel.gain_nothing()


def _separate(*, allows_network: bool) -> None:
    wanted = kernel.NEW_MOUNTS | kernel.NEW_PIDS | kernel.NEW_IPC | kernel.NEW_UTS
    if not allows_network:
        wanted |= kernel.NEW_NETWORK
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        kernel.unshare(wanted)
        return
    kernel.unshare(wanted | kernel.NEW_USERS)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:
            stream.write(text)


def _descend() -> None:
    """Fork; the parent waits for the child and ends with its exit code (128 and the signal), the child goes on."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # these are for the one at the end of the line, who takes them back
    child = os.fork()
    if child == 0:
        kernel.die_with_parent(signal.SIGKILL)
        return
    os.closerange(0, _MANY_FILES)  # or a pipe would have a writer for as long as this one lives
    while True:
        ended, status = os.wait()  # the first process of a namespace is the parent of all its orphans
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _hide(box: str, input_folder: str, *, keeps: Iterable[str]) -> None:
    kernel.mount("", "/", flags=kernel.RECURSIVE | kernel.PRIVATE)
    held = {path: os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in (box, input_folder, *keeps)}
    kernel.set_read_only("/", is_read_only=True, is_recursive=True)
    kernel.mount(f"/proc/self/fd/{held[box]}", INSIDE, flags=kernel.BIND)
    kernel.set_read_only(INSIDE, is_read_only=False, is_recursive=False)
    for path in _HIDDEN:
        if os.path.isdir(path):
            kernel.mount("tmpfs", path, kind="tmpfs", options="size=64m,mode=1777")
    os.mkdir(f"{INSIDE}/in", 0o700)
    _show(held[input_folder], f"{INSIDE}/in")
    for path in keeps:
        if not os.path.isdir(path):
            os.makedirs(path, exist_ok=True)
            _show(held[path], path)
    for file in held.values():
        os.close(file)
    kernel.mount("proc", "/proc", kind="proc", flags=_NO_SUID | _NO_DEV | _NO_EXEC)


def _show(held: int, target: str) -> None:
    kernel.mount(f"/proc/self/fd/{held}", target, flags=kernel.BIND | kernel.RECURSIVE)
    kernel.set_read_only(target, is_read_only=True, is_recursive=True)
