"""The engine's side of its child processes: asks for them, hears them, stops them. Nothing here blocks the event loop.

Between the engine and each child stands a keeper (`keeper.py`). The engine says what it wants through a socket; the same socket
closes with the engine's death, and the keeper then ends the child and everything below it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import msgspec

from taskengine.adapters.process import frames as wire
from taskengine.adapters.process.box import sweep
from taskengine.adapters.process.frames import Frames, Order, frame, order_bytes

__all__ = ["Child", "Children", "Ending", "Refused", "Started"]

_PIECE: Final = 256 * 1024
_CONTROL: Final = 3
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 -- files there are in memory
_WAIT_S: Final = 0.005
_FULL_ROUNDS: Final = 1_000
_CLOSE_S: Final = 60.0  # how long a closed kit waits for its children; each has lost its patience before
_END_S: Final = 5.0  # how long a closed kit waits for its spawner before it is killed
_AFTER_GRACE_S: Final = 3.0  # a keeper that does not answer so long after the grace is killed, and its child with it


class Started(msgspec.Struct, frozen=True):
    """The child runs. ``without``: why it runs without the sandbox that was asked for."""

    keeper: int
    child: int
    without: str = ""


class Refused(msgspec.Struct, frozen=True):
    """The child could not be started. ``is_cage``: because the sandbox is missing that was demanded."""

    why: str
    is_cage: bool = False


class Ending(msgspec.Struct, frozen=True):
    """How a child ended, when nothing of it is left. Without an ending word of the keeper, ``is_keeper_gone``."""

    code: int | None = None
    signal: int = 0
    reason: str = ""  # the limit that it passed
    left_behind: int = 0  # processes that were still there when its main process was over
    result_fault: str = ""
    cpu_s: float = 0.0
    peak: int = 0
    is_keeper_gone: bool = False

    @property
    def killer(self) -> str:
        """The signal that ended it by its name, and what that is often a sign of."""
        try:
            name = signal.Signals(self.signal).name
        except ValueError:
            name = f"signal {self.signal}"
        return f"{name} (out of memory?)" if name == "SIGKILL" else name


class Child(asyncio.Protocol):
    """One child. The callbacks are called in the event loop: output as it comes, then exactly once how it ended."""

    def __init__(
        self,
        order: Order,
        content: bytes,
        *,
        on_output: Callable[[bytes, bool], None],
        on_end: Callable[[Ending | Refused, bytes], None],
        on_start: Callable[[Started], None] | None = None,
    ) -> None:
        self._order = order
        self._content = content
        self._on_output = on_output
        self._on_end = on_end
        self._on_start = on_start
        self._transport: asyncio.Transport | None = None
        self._heard = Frames()
        self._result: list[bytes] = []
        self._asked = b""
        self._keeper: int | None = None  # a handle that means this keeper and never another process
        self._loop = asyncio.get_running_loop()
        self._patience: asyncio.TimerHandle | None = None
        self._keeper_pid = 0
        self.is_over = False
        self.pid = 0

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after the grace. Idempotent."""
        self._ask(wire.STOP)
        self._lose_patience(self._order.grace_ms / 1000 + _AFTER_GRACE_S)

    def kill(self) -> None:
        """SIGKILL now. Idempotent."""
        self._ask(wire.KILL)
        self._lose_patience(_AFTER_GRACE_S)

    def _ask(self, kind: bytes) -> None:
        if self.is_over or self._asked in {kind, wire.KILL}:
            return
        self._asked = kind
        if self._transport is not None:
            self._transport.write(frame(kind))

    def _lose_patience(self, seconds: float) -> None:
        if not self.is_over and (self._patience is None or self._asked == wire.KILL):
            if self._patience is not None:
                self._patience.cancel()
            self._patience = self._loop.call_later(seconds, self._kill_keeper)

    def _kill_keeper(self) -> None:
        """It does not answer (somebody stopped it?). With it dies the child; orphans are the spawner's."""
        if self.is_over:
            return
        if self._keeper is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._keeper, signal.SIGKILL)
        elif self._transport is not None:
            self._transport.abort()
        else:
            self.over(Ending(is_keeper_gone=True))  # it was never reached

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what is wanted."""
        self._transport = transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        transport.write(frame(wire.ORDER, order_bytes(self._order)))
        for at in range(0, len(self._content), _PIECE):
            transport.write(frame(wire.INPUT, self._content[at : at + _PIECE]))
        self._content = b""
        transport.write(frame(wire.GO))
        if self._asked:
            transport.write(frame(self._asked))

    def data_received(self, data: bytes) -> None:
        """Hear the keeper."""
        for kind, content in self._heard.feed(data):
            if kind in {wire.STDOUT, wire.STDERR}:
                self._on_output(content, kind == wire.STDERR)
            elif kind == wire.STARTED:
                self._begun(msgspec.json.decode(content, type=Started))
            elif kind == wire.RESULT:
                self._result.append(content)
            elif kind == wire.END:
                self.over(msgspec.json.decode(content, type=Ending))
            elif kind == wire.REFUSED:
                self.over(msgspec.json.decode(content, type=Refused))

    def connection_lost(self, exc: Exception | None) -> None:
        """The keeper is gone."""
        if not self.is_over and self._keeper_pid:
            sweep(_roots(), self._keeper_pid)  # the spawner does the same, when it was not killed as well
        self.over(Ending(is_keeper_gone=True))

    def _begun(self, started: Started) -> None:
        self.pid = started.child
        self._keeper_pid = started.keeper
        if hasattr(os, "pidfd_open"):
            try:
                self._keeper = os.pidfd_open(started.keeper)
            except OSError:
                self._keeper = None
        if self._on_start is not None:
            self._on_start(started)

    def over(self, ending: Ending | Refused) -> None:
        """It is over; the first word counts."""
        if self.is_over:
            return
        self.is_over = True
        if self._patience is not None:
            self._patience.cancel()
        if self._keeper is not None:
            os.close(self._keeper)
            self._keeper = None
        if self._transport is not None:
            self._transport.close()
        self._on_end(ending, b"".join(self._result))


class Children:
    """All children of one node. Made cheaply; the spawner starts with the first child."""

    def __init__(self) -> None:
        self._control: socket.socket | None = None
        self._spawner = 0
        self._live: set[Child] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_empty = asyncio.Event()

    def begin(
        self,
        order: Order,
        content: bytes = b"",
        *,
        on_output: Callable[[bytes, bool], None],
        on_end: Callable[[Ending | Refused, bytes], None],
        on_start: Callable[[Started], None] | None = None,
        channel: socket.socket | None = None,
    ) -> Child:
        """Start a child; how that went comes with the callbacks. ``channel`` becomes the child's file 3 and is closed here."""

        def ended(ending: Ending | Refused, result: bytes) -> None:
            self._live.discard(child)
            if not self._live:
                self._is_empty.set()
            on_end(ending, result)

        child = Child(
            order._replace(box_root=tempfile.gettempdir(), input_root=_input_root()),
            content,
            on_output=on_output,
            on_end=ended,
            on_start=on_start,
        )
        self._live.add(child)
        task = asyncio.get_running_loop().create_task(self._connect(child, channel))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return child

    async def close(self) -> None:
        """Wait for those that were told to stop, end all others, and see the spawner off. Nothing of any child is left then."""
        for child in tuple(self._live):
            child.stop()
        self._is_empty = asyncio.Event()
        if self._live:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._is_empty.wait()
        for child in tuple(self._live):  # its keeper never answered: with the spawner gone nobody keeps it
            child.kill()
            child.over(Ending(is_keeper_gone=True))
        await asyncio.gather(*self._tasks)
        control, self._control = self._control, None
        spawner, self._spawner = self._spawner, 0
        if control is None:
            return
        control.close()
        for _ in range(int(_END_S / _WAIT_S)):
            if _is_gone(spawner):
                return
            await asyncio.sleep(_WAIT_S)
        _end(spawner)

    async def _connect(self, child: Child, channel: socket.socket | None) -> None:
        ours, theirs = socket.socketpair()
        try:
            files = [theirs.fileno()] if channel is None else [theirs.fileno(), channel.fileno()]
            await self._send(files)
            theirs.close()  # or we would not hear of the keeper's death
            if channel is not None:
                channel.close()
            await asyncio.get_running_loop().create_unix_connection(lambda: child, sock=ours)
        except OSError as error:
            ours.close()
            child.over(Refused(why=f"no child process can be started: {error.strerror or error}"))
        finally:
            theirs.close()
            if channel is not None:
                channel.close()

    async def _send(self, files: list[int]) -> None:
        """Give the files to the spawner; to a new one when the last one is gone."""
        for _ in range(_FULL_ROUNDS):
            control = self._control
            if control is None:
                control = self._control = self._start()
            try:
                socket.send_fds(control, [b"k"], files)
            except BlockingIOError:
                await asyncio.sleep(_WAIT_S)
            except (BrokenPipeError, ConnectionResetError):
                control.close()
                self._control = None
                _is_gone(self._spawner)
            else:
                return
        raise BlockingIOError(11, "the process that starts children takes no more")

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        package = str(Path(__file__).parents[3])
        program = f"import sys; sys.path.insert(0, {package!r}); from taskengine.adapters.process.spawner import main; main()"
        try:
            with Path(os.devnull).open("r+b", buffering=0) as nothing:
                # Not subprocess: nobody waits for it in a thread, and it must hold none of our files, not even standard error.
                self._spawner = os.posix_spawn(
                    sys.executable,
                    [sys.executable, "-I", "-S", "-c", program, *_roots()],
                    {"PATH": os.defpath, "LANG": "C.UTF-8"},  # a child's keeper knows none of our secrets
                    file_actions=[
                        *((os.POSIX_SPAWN_DUP2, nothing.fileno(), target) for target in (0, 1, 2)),
                        (os.POSIX_SPAWN_DUP2, theirs.fileno(), _CONTROL),
                    ],
                    setsid=True,
                    setsigmask=(),
                )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def _is_gone(pid: int) -> bool:
    """Whether a child of ours has ended; it is waited for then."""
    if pid <= 0:
        return True
    try:
        ended, _ = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return ended != 0


def _roots() -> tuple[str, ...]:
    """Where boxes are."""
    return tuple(dict.fromkeys((tempfile.gettempdir(), _input_root())))


def _input_root() -> str:
    return str(_MEMORY) if os.access(_MEMORY, os.W_OK) else tempfile.gettempdir()
