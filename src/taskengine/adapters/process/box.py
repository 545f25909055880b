"""The box of a child: a private home, its input as a file, a place for its result; gone with the child.

Standard library only: the keeper's program loads it. The input may hold secrets: where the system has a file system in memory,
the input is never on a disk.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from typing import Final

__all__ = ["Box", "ResultError", "ResultTooLargeError", "box_name", "sweep"]

_PREFIX: Final = "task-engine-"
_MINE: Final = 0o700
_SECRET: Final = 0o600
_CHUNK: Final = 256 * 1024


class ResultError(Exception):
    """What the child left in place of a result cannot be taken."""


class ResultTooLargeError(ResultError):
    """It is larger than what is allowed."""


class Box:
    """Folders ``home`` and ``tmp``, files ``input.json`` and ``output.json``, and what was asked for."""

    def __init__(self, root: str, input_root: str, *, name: str) -> None:
        self.path = os.path.join(root, name)
        self.input_folder = os.path.join(input_root, name + ".in")
        self.home = f"{self.path}/home"
        self.temporary = f"{self.path}/temporary"
        self.input_path = f"{self.input_folder}/input.json"
        self.result_path = f"{self.path}/output.json"

    def make(self, content: bytes, files: tuple[tuple[str, str], ...]) -> None:
        """Make it. ``OSError`` when there is no room or no right to."""
        for folder in (self.path, self.input_folder, self.home, self.temporary):
            os.mkdir(folder, _MINE)
        _write(self.input_path, content)
        for name, text in files:
            _write(f"{self.path}/{name}", text.encode("utf-8", "surrogatepass"))

    def has_larger_result(self, limit: int) -> bool:
        """Whether more is written to the result's file than is allowed, so far."""
        try:
            return os.lstat(self.result_path).st_size > limit
        except OSError:
            return False

    def result(self, limit: int) -> bytes:
        """What was written to the result's file; nothing when there is none. ``ResultError``: it cannot be taken."""
        try:
            # Not through a link, and not waiting for the other end of a pipe: whatever is there was made by the child.
            file = os.open(self.result_path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise ResultError(f"the file of the result cannot be read: {error.strerror}") from None
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                raise ResultError("what stands in place of the result is no regular file")
            if status.st_size > limit:
                raise ResultTooLargeError(f"the result has {status.st_size} bytes, {limit} are allowed")
            pieces: list[bytes] = []
            while piece := os.read(file, _CHUNK):
                pieces.append(piece)
            return b"".join(pieces)[: limit + 1]
        finally:
            os.close(file)

    def remove(self) -> None:
        """Remove it, as far as rights go."""
        for folder in (self.input_folder, self.path):
            _remove(folder)


def box_name(keeper: int, moment: int) -> str:
    """The name of a keeper's box: whoever knows the keeper finds it."""
    return f"{_PREFIX}{keeper}-{moment}"


def sweep(roots: Iterable[str], keeper: int) -> None:
    """Remove what a keeper left that was killed."""
    for root in roots:
        try:
            names = [name for name in os.listdir(root) if name.startswith(f"{_PREFIX}{keeper}-")]
        except OSError:
            continue
        for name in names:
            _remove(os.path.join(root, name))


def _remove(folder: str) -> None:
    """Remove a folder and what is in it, also where its maker took the rights away; nothing outside of it is touched."""
    if not os.path.isdir(folder) or os.path.islink(folder):
        return
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.isdir(folder):
        _open_up(folder)
        for place, folders, _ in os.walk(folder):  # from above: each is opened before what is in it is looked at
            for name in folders:
                _open_up(os.path.join(place, name))
        shutil.rmtree(folder, ignore_errors=True)


def _open_up(path: str) -> None:
    """Give the rights to a folder back to its owner."""
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.chmod(path, _MINE)
    except OSError:
        return  # somebody else removes it as well


def _write(path: str, content: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _SECRET)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(file, view) :]
    finally:
        os.close(file)
