"""The processes below a process, as /proc shows them: counted, measured, ended.

Standard library only: the keeper's program loads it. What cannot be read has ended meanwhile. Where there is no /proc (macOS)
a process has nobody below it, and only its process group is ended.
"""

from __future__ import annotations

import os
import signal
from typing import Final, NamedTuple

__all__ = ["Usage", "below", "children_of", "end_all", "threads_of", "usage"]

_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_FREEZING_ROUNDS: Final = 50
# Fields of /proc/<pid>/stat, counted from the one after the name.
_STATE: Final = 0
_PARENT: Final = 1
_TIMES: Final = slice(11, 15)  # its own and that of its children that were waited for, user and system
_THREADS: Final = 17


class Usage(NamedTuple):
    """What a tree of processes uses."""

    processes: int
    threads: int
    cpu_s: float
    memory: int  # bytes that are its own, not those of files


def children_of(pid: int) -> list[int]:
    """The children of all its threads."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    except FileNotFoundError:
        return [] if not os.path.exists(f"/proc/{pid}/stat") else _children_by_parent(pid)
    except OSError:
        return []
    return found


def below(pid: int, *, most: int = 0) -> list[int]:
    """Everyone below it, parents before children; one more than ``most`` is enough."""
    found: list[int] = []
    seen = {pid}
    waiting = [pid]
    while waiting and not 0 < most < len(found):
        for child in children_of(waiting.pop()):
            if child not in seen:
                seen.add(child)
                found.append(child)
                waiting.append(child)
    return found


def threads_of(user: int) -> int:
    """How many threads this user has on the whole system."""
    count = 0
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                count += int(_stat(int(name))[_THREADS])
        except (OSError, IndexError):
            continue
    return count


def usage(pids: list[int]) -> Usage:
    """What these use now; who has ended counts for nothing but the time that its parent was told of."""
    processes = threads = memory = 0
    ticks = 0
    for pid in pids:
        fields = _stat(pid)
        if not fields:
            continue
        ticks += sum(map(int, fields[_TIMES]))
        if fields[_STATE] in "ZX":
            continue
        processes += 1
        threads += int(fields[_THREADS])
        try:
            sizes = _read(f"/proc/{pid}/statm").split()
        except OSError:
            continue
        memory += (int(sizes[1]) - int(sizes[2])) * _PAGE
    return Usage(processes, threads, ticks * _TICK_S, memory)


def end_all(pid: int) -> None:
    """Kill everyone below it, also who forks faster than it is read.

    Each is frozen before its children are read, so that it makes no more of them; that goes on until no new one is found.
    """
    frozen: set[int] = set()
    walked: set[int] = set()
    for _ in range(_FREEZING_ROUNDS):
        count = len(frozen)
        waiting = [pid]
        walked = {pid}
        while waiting:
            for child in children_of(waiting.pop()):
                if child in walked:
                    continue
                walked.add(child)
                waiting.append(child)
                if child not in frozen:
                    frozen.add(child)
                    _send(child, signal.SIGSTOP)
        if len(frozen) == count:
            break
    for one in frozen & walked:
        _send(one, signal.SIGKILL)


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # gone, or a program with more rights than ours, which we cannot end


def _children_by_parent(parent: int) -> list[int]:
    """The slow way, for kernels that list no children."""
    found: list[int] = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = _stat(int(name))
            if fields and int(fields[_PARENT]) == parent:
                found.append(int(name))
    return found


def _stat(pid: int) -> list[str]:
    try:
        return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except OSError:
        return []


def _read(path: str) -> str:
    with open(path, encoding="ascii", errors="replace") as stream:
        return stream.read()
