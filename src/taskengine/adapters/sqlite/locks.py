"""One lock file a node, beside the database: held by the operating system for as long as the node's store is open.

``flock`` belongs to the open file, so it tells apart several stores in one process as well as processes, and it goes when the
process goes, however it goes. An owner holds the lock exclusively; whoever only looks takes it shared, so that lookers do not see
each other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from weakref import WeakSet

from taskengine.errors import InternalError, StorageError

try:
    from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
except ImportError as error:
    raise StorageError("platform_not_supported", "the SQLite store needs a system with flock", hint="use Linux or macOS") from error

__all__ = ["NodeLocks"]

_MODE: Final = 0o600
_SUFFIX: Final = ".lock"
_NODE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")

_locks_here: WeakSet[NodeLocks] = WeakSet()


def _forget_in_child() -> None:
    """A forked child (``multiprocessing`` in a step) holds its parent's locks too, and would let a dead node seem alive."""
    for locks in tuple(_locks_here):
        locks.close()


os.register_at_fork(after_in_child=_forget_in_child)


class NodeLocks:
    """The locks of one database, and those among them that this store holds."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._prefix = f"{database.name}-node-"
        self._held: dict[str, int] = {}
        _locks_here.add(self)

    def is_held(self, node_id: str) -> bool:
        """Whether this store holds it."""
        return node_id in self._held

    def nodes(self) -> set[str]:
        """The nodes that have a lock file, held or not."""
        names = [path.name for path in self._database.parent.iterdir() if path.name.startswith(self._prefix)]
        found = {name.removeprefix(self._prefix).removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)}
        return {node_id for node_id in found if _NODE_ID.fullmatch(node_id)}

    def is_alone(self) -> bool:
        """Whether no other node holds its lock."""
        return all(self.is_held(node_id) or self.is_dead(node_id) for node_id in self.nodes())

    def take(self, node_id: str) -> bool:
        """Hold the node's lock until ``drop`` or ``close``. False when somebody else holds it."""
        if node_id not in self._held:
            descriptor = _lock(self._path(node_id), LOCK_EX, flags=os.O_CREAT)
            if descriptor is None:
                return False
            self._held[node_id] = descriptor
        return True

    def drop(self, node_id: str) -> None:
        """Remove the file, then let go: whoever waits for the old file finds that it is not the node's any more."""
        self._path(node_id).unlink(missing_ok=True)
        descriptor = self._held.pop(node_id, None)
        if descriptor is not None:
            os.close(descriptor)

    def close(self) -> None:
        """Let go of every lock and leave the files: that is what the death of the process looks like."""
        while self._held:
            os.close(self._held.popitem()[1])

    def is_dead(self, node_id: str) -> bool:
        """Whether nobody holds the node's lock."""
        if node_id in self._held:
            return False
        if not self._path(node_id).exists():
            return True
        descriptor = _lock(self._path(node_id), LOCK_SH, flags=0)
        if descriptor is None:
            return False
        os.close(descriptor)
        return True

    @contextmanager
    def hold_dead(self, node_id: str) -> Generator[bool]:
        """Hold a dead node's lock for a while: nobody else can seize from it or come to life as it. False when it lives."""
        is_taken = node_id not in self._held and self.take(node_id)
        try:
            yield is_taken
        finally:
            descriptor = self._held.pop(node_id, None) if is_taken else None
            if descriptor is not None:
                os.close(descriptor)

    def _path(self, node_id: str) -> Path:
        if not _NODE_ID.fullmatch(node_id):
            raise InternalError("bad_node_id", f"node id {node_id!r} cannot be part of a file's name")
        return self._database.with_name(f"{self._prefix}{node_id}{_SUFFIX}")


def _lock(path: Path, kind: int, *, flags: int) -> int | None:
    """A descriptor that holds the lock of the file that has this path now; None when it is held by another."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, _MODE)
        except FileNotFoundError:
            return None
        except OSError as error:  # too many open files, above all
            raise StorageError("lock_failed", f"the lock {path} cannot be opened: {error.strerror}") from error
        try:
            flock(descriptor, kind | LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_at(path, descriptor):
            return descriptor
        # The file was removed between opening and locking; what is locked is no longer the node's.
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
