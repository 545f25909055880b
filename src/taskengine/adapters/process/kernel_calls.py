"""The calls into the Linux kernel that Python has no name for. Where they do not exist each says so by its answer.

Standard library only: the keeper's program loads it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Final

__all__ = [
    "BIND",
    "IS_LINUX",
    "NEW_IPC",
    "NEW_MOUNTS",
    "NEW_NETWORK",
    "NEW_PIDS",
    "NEW_USERS",
    "NEW_UTS",
    "PRIVATE",
    "RECURSIVE",
    "adopt_orphans",
    "die_with_parent",
    "gain_nothing",
    "mount",
    "set_read_only",
    "unshare",
]

IS_LINUX: Final = sys.platform == "linux"
NEW_MOUNTS: Final = 0x00020000
NEW_UTS: Final = 0x04000000
NEW_IPC: Final = 0x08000000
NEW_USERS: Final = 0x10000000
NEW_PIDS: Final = 0x20000000
NEW_NETWORK: Final = 0x40000000
BIND: Final = 0x1000
RECURSIVE: Final = 0x4000
PRIVATE: Final = 1 << 18

_SET_PDEATHSIG: Final = 1
_CAPBSET_DROP: Final = 24
_SET_CHILD_SUBREAPER: Final = 36
_SET_NO_NEW_PRIVS: Final = 38
_CAP_AMBIENT: Final = 47
_CAP_AMBIENT_CLEAR_ALL: Final = 4
_LAST_CAPABILITY: Final = 63
_MOUNT_SETATTR: Final = 442  # the same number on every architecture
_READ_ONLY: Final = 1
_AT_RECURSIVE: Final = 0x8000
_AT_FDCWD: Final = -100

_libc = ctypes.CDLL(None, use_errno=True) if IS_LINUX else None


def adopt_orphans() -> bool:
    """Whoever loses its parent below this process becomes its child. False: this system has no such thing."""
    return _prctl(_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signal_number: int) -> bool:
    """This process gets the signal when its parent dies. False: this system has no such thing."""
    return _prctl(_SET_PDEATHSIG, signal_number)


def gain_nothing() -> None:
    """From here on no program started gives more rights than this process has, and root is a user like others."""
    _prctl(_CAP_AMBIENT, _CAP_AMBIENT_CLEAR_ALL)
    for capability in range(_LAST_CAPABILITY + 1):
        if not _prctl(_CAPBSET_DROP, capability):
            break
    if not _prctl(_SET_NO_NEW_PRIVS, 1):
        raise OSError(ctypes.get_errno(), "no_new_privs")


def unshare(what: int) -> None:
    """Have namespaces of one's own. ``OSError`` where that is not allowed."""
    _must(_libc.unshare(what) if _libc is not None else -1, "unshare")


def mount(source: str, target: str, *, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount it. ``OSError`` where that is not allowed."""
    texts = [os.fsencode(text) if text else None for text in (source, target, kind)]
    answer = _libc.mount(*texts, ctypes.c_ulong(flags), options.encode() or None) if _libc is not None else -1
    _must(answer, f"mount {target}")


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def set_read_only(target: str, *, is_read_only: bool, is_recursive: bool) -> None:
    """Make a mount read-only or writable. ``OSError`` where that is not allowed or not known."""
    attributes = _MountAttributes(set=_READ_ONLY) if is_read_only else _MountAttributes(clear=_READ_ONLY)
    answer = -1
    if _libc is not None:
        answer = _libc.syscall(
            ctypes.c_long(_MOUNT_SETATTR),
            ctypes.c_int(_AT_FDCWD),
            os.fsencode(target),
            ctypes.c_uint(_AT_RECURSIVE if is_recursive else 0),
            ctypes.byref(attributes),
            ctypes.c_size_t(ctypes.sizeof(attributes)),
        )
    _must(answer, f"mount_setattr {target}")


def _prctl(option: int, value: int) -> bool:
    if _libc is None:
        return False
    zero = ctypes.c_ulong(0)
    return _libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero) == 0


def _must(answer: int, what: str) -> None:
    if answer != 0:
        number = ctypes.get_errno() if _libc is not None else 38
        raise OSError(number, f"{what}: {os.strerror(number)}")
