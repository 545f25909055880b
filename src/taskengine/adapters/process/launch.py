"""From a fork to the child's own program: session, limits, sandbox, files, exec.

Standard library only: the keeper's program loads it. What runs between fork and exec runs in a process without threads, so it may
do what ``preexec_fn`` must not. What goes wrong is said through a pipe that a successful exec closes.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
from contextlib import suppress
from typing import Final, NamedTuple

from taskengine.adapters.process import cage, tree
from taskengine.adapters.process import kernel_calls as kernel
from taskengine.adapters.process.box import Box
from taskengine.adapters.process.frames import BOX, Limits, Order

__all__ = ["CHANNEL", "LaunchError", "Launched", "launch"]

CHANNEL: Final = 3  # where a child finds the socket to the engine, when it has one
_HIGH: Final = 20  # files are kept above, so that none stands where the child expects another
_THREADS_EACH: Final = 8
_MEGABYTES: Final = 256 * 1024 * 1024
_KILLABLE_FIRST: Final = b"700"  # when memory runs out the kernel takes a child, and not the engine


class LaunchError(Exception):
    """The child could not be started; ``is_cage`` says that only the sandbox failed."""

    def __init__(self, message: str, *, is_cage: bool) -> None:
        super().__init__(message)
        self.is_cage = is_cage


class Launched(NamedTuple):
    """A child that runs: its process, and where its output comes from."""

    pid: int
    stdout: int
    stderr: int


def launch(order: Order, *, box: Box | None, channel: int, has_cage: bool) -> Launched:
    """Start it. ``LaunchError`` says why it cannot be."""
    out_read, out_write = _pipe()
    err_read, err_write = _pipe()
    fault_read, fault_write = _pipe()
    given = _high(os.open(box.input_path if box is not None else os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        _become(order, box, files=(given, out_write, err_write, channel), fault=fault_write, has_cage=has_cage, keeper=keeper)
    for file in (given, out_write, err_write, fault_write):
        os.close(file)
    fault = _read_all(fault_read)
    os.close(fault_read)
    if fault:
        os.waitpid(child, 0)
        os.close(out_read)
        os.close(err_read)
        raise LaunchError(fault[1:].decode("utf-8", "replace"), is_cage=fault[:1] == b"c")
    os.set_blocking(out_read, False)
    os.set_blocking(err_read, False)
    return Launched(child, out_read, err_read)


def _become(order: Order, box: Box | None, *, files: tuple[int, int, int, int], fault: int, has_cage: bool, keeper: int) -> None:
    """Never returns: the child's program, or the end of this process."""
    mark = b"x"
    try:
        os.setsid()
        kernel.die_with_parent(signal.SIGKILL)
        if os.getppid() != keeper:
            os._exit(1)  # it died before we asked to die with it
        with suppress(OSError):
            _write_all(os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC), _KILLABLE_FIRST)
        env = dict(order.env)
        cwd = order.cwd or (box.home if box is not None else "/")
        if has_cage and box is not None:
            mark = b"c"
            cage.enter(box.path, box.input_folder, keeps=order.keeps, allows_network=order.allows_network)
            mark = b"x"
            cwd = _inside(cwd, box)
        _place(files)
        argv = list(order.argv)
        if box is not None:
            here = (cage.INSIDE, f"{cage.INSIDE}/in") if has_cage else (box.path, box.input_folder)
            env = {**_surroundings(*here), **env}
            argv = [one.replace(BOX, here[0]) for one in argv]
        os.chdir(cwd)
        os.umask(0o077)
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _bound(order.limits)
        os.execvpe(argv[0], argv, env)  # noqa: S606 -- starting a program is what this is for
    except OSError as error:
        said = f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        _write_all(fault, mark + said.encode("utf-8", "replace")[:2000])
    except (ValueError, OverflowError) as error:
        _write_all(fault, mark + str(error).encode("utf-8", "replace")[:2000])
    finally:
        os._exit(127)


def _inside(path: str, box: Box) -> str:
    """Where a path is seen from inside of the sandbox."""
    return cage.INSIDE + path.removeprefix(box.path) if path.startswith(box.path) else path


def _surroundings(box: str, folder: str) -> dict[str, str]:
    return {
        "HOME": f"{box}/home",
        "TMPDIR": f"{box}/temporary",
        "TASK_ENGINE_INPUT": f"{folder}/input.json",
        "TASK_ENGINE_OUTPUT": f"{box}/output.json",
    }


def _place(files: tuple[int, int, int, int]) -> None:
    """Standard input, output, errors and the channel where the child looks for them; nothing else is inherited."""
    given, out, err, channel = files
    for target, file in ((0, given), (1, out), (2, err), (CHANNEL, channel)):
        if file >= 0:
            os.dup2(file, target)


def _bound(limits: Limits) -> None:
    """What the kernel watches for each process by itself; what the tree uses together is watched by the keeper."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limits.cpu:
        seconds = max(1, int(limits.cpu + 0.999))
        _lower(resource.RLIMIT_CPU, seconds, hard=seconds + 1)
    if limits.memory:
        # Above the limit, because reserving is not using: it stops what asks for a terabyte in one piece.
        most = limits.memory + max(limits.memory, _MEGABYTES)
        _lower(resource.RLIMIT_DATA, most, hard=most)
    if limits.file_size:
        _lower(resource.RLIMIT_FSIZE, limits.file_size, hard=limits.file_size)
    if limits.processes and os.getuid() != 0:
        # The kernel counts all that the user has, so this is only the wall behind the keeper's own count; root has no wall.
        most = tree.threads_of(os.getuid()) + limits.processes * _THREADS_EACH
        _lower(resource.RLIMIT_NPROC, most, hard=most)
    if limits.open_files:
        _lower(resource.RLIMIT_NOFILE, limits.open_files, hard=limits.open_files)


def _lower(what: int, soft: int, *, hard: int) -> None:
    """Never above what holds for the engine itself."""
    _, ceiling = resource.getrlimit(what)
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(what, (soft, hard))


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    return _high(read), _high(write)


def _high(file: int) -> int:
    moved = fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    os.close(file)
    return moved


def _read_all(file: int) -> bytes:
    pieces: list[bytes] = []
    while piece := os.read(file, 4096):
        pieces.append(piece)
    return b"".join(pieces)


def _write_all(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
