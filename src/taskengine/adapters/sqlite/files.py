"""The files beside the database: its first creation, where it may lie, its log, and the ballast. Knows nothing of what is in it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from taskengine.errors import StorageError

__all__ = ["Ballast", "create", "file_system_of", "refuse_network", "renew_log"]

_MODE: Final = 0o600
_CHUNK: Final = 1_048_576
_MOUNTS: Final = Path("/proc/mounts")

# Locks and shared memory do not hold across machines on these; a write-ahead log would be torn.
_NETWORK: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "coda", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb", "smb2", "smb3", "smbfs", "vboxsf"}
)
_LOCAL_FUSE: Final = frozenset({"fuseblk", "fuse.ext2", "fuse.fuse-overlayfs"})


def create(path: Path) -> None:
    """Make an empty file that only its owner may read, unless there is one. The log beside it gets the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE))
    except OSError as error:
        raise StorageError(
            "database_not_accessible",
            f"the database {path} cannot be opened: {error.strerror}",
            hint="check the path and its permissions",
        ) from error


def file_system_of(path: Path, *, mounts: Path = _MOUNTS) -> str:
    """The type of the file system that holds ``path``, as the kernel calls it; empty where there is no such list."""
    place = str(path.resolve())
    found, longest = "", -1
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        _, point, kind, *_ = line.split(" ")
        point = point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\").rstrip("/")
        # Of several mounts at one place the last one is seen.
        if (place == point or place.startswith(f"{point}/")) and len(point) >= longest:
            found, longest = kind, len(point)
    return found


def refuse_network(path: Path, file_system: str) -> None:
    """``StorageError("network_file_system")`` where several machines could have the file open."""
    if file_system in _NETWORK or (file_system.startswith("fuse") and file_system not in _LOCAL_FUSE):
        raise StorageError(
            "network_file_system",
            f"the database {path} lies on {file_system}, where locks do not hold",
            hint="put the database on a local disk",
            file_system=file_system,
        )


def renew_log(database: Path) -> None:
    """Write the log once more, as the system shows it, and sync it; nobody else may write to it meanwhile.

    After a sync that failed, the system shows what was written although it may never reach the disk, and no later sync helps: a
    process that takes up the log of one that died then would build on sand. What is written again will be synced, or refused.
    """
    try:
        with database.with_name(f"{database.name}-wal").open("r+b", buffering=0) as log:
            descriptor, position = log.fileno(), 0
            while chunk := os.pread(descriptor, _CHUNK, position):
                position += os.pwrite(descriptor, chunk, position)
            if position:
                os.fsync(descriptor)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(
            "disk_failed", f"the log of {database} cannot be written: {error.strerror}", hint="look at the system's log"
        ) from error


class Ballast:
    """Room that is held while there is plenty and let go when there is none, so that what runs can still be finished or cancelled.

    One file beside the database, shared by the processes that use it.
    """

    def __init__(self, database: Path, *, size: int) -> None:
        self._path = database.with_name(f"{database.name}-ballast")
        self._size = size
        self.is_released = False

    def reserve(self) -> None:
        """Hold the room; where there is none the store works without."""
        if not self._size or (self._path.exists() and self._path.stat().st_size == self._size):
            return
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _MODE)
            try:
                _allocate(descriptor, self._size)
            finally:
                os.close(descriptor)
        except OSError:
            self._path.unlink(missing_ok=True)

    def release(self) -> None:
        """Give the room to whoever writes next."""
        self.is_released = True
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def restore(self) -> None:
        """Hold it again, once there is so much room that holding it starves nobody."""
        if free_bytes(self._path.parent) >= 4 * self._size:
            self.is_released = False
            self.reserve()


def free_bytes(directory: Path) -> int:
    """What this process may still write there."""
    numbers = os.statvfs(directory)
    return numbers.f_bavail * numbers.f_frsize


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    chunk = bytes(65_536)
    for start in range(0, size, len(chunk)):
        os.write(descriptor, chunk[: size - start])
