"""The keeper: one process beside one child, which bounds it, hears it, and sees to it that nothing of it is left.

Standard library only. It ends the child and everything below it when the engine asks, when a limit is passed, when the child's
main process is over, and when the engine is gone: the socket to the engine closes with the engine's death, whatever killed it.
Orphans below come to the keeper, so that also what left the child's session is found. A child whose keeper is killed dies with it.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import time
from contextlib import suppress
from typing import Final

from taskengine.adapters.process import frames as wire
from taskengine.adapters.process import kernel_calls as kernel
from taskengine.adapters.process import tree
from taskengine.adapters.process.box import Box, ResultError, ResultTooLargeError, box_name
from taskengine.adapters.process.frames import Frames, Limits, Order, frame, read_order
from taskengine.adapters.process.launch import Launched, LaunchError, launch

__all__ = ["empty", "keep", "wake_up"]

_LOOK_S: Final = 0.05  # how often what the tree uses is looked at
_KILL_AGAIN_S: Final = 0.02
_PIECE: Final = 64 * 1024
_HELD: Final = 256 * 1024  # bytes that wait for the engine before the child has to wait
_LONG_AGO: Final = 0.0
_CAGE_PROCESSES: Final = 2  # that wait for a sandbox, or are gone soon
_THREADS_EACH: Final = 64  # threads count too, but a runtime that has many is no bomb


def keep(engine: socket.socket, channel: int) -> None:
    """Hear the order, run the child, tell the engine; returns when all of it is over."""
    os.setsid()
    kernel.adopt_orphans()
    _come_first()
    order, content = _hear(engine)
    if order is None:
        return
    box = Box(order.box_root, order.input_root, name=box_name(os.getpid(), time.monotonic_ns())) if order.has_box else None
    try:
        keeper = Keeper(engine, order, box=box)
        if keeper.start(content, channel=channel):
            keeper.watch()
        keeper.tell_rest()
    finally:
        if box is not None:
            box.remove()


def _come_first() -> None:
    """Where that is allowed (to root), never wait behind the child's processes: who forks without end takes every turn."""
    if hasattr(os, "sched_setscheduler"):
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def _hear(engine: socket.socket) -> tuple[Order | None, bytes]:
    """The order and the input; no order when the engine went away before all was said."""
    heard = Frames()
    order: Order | None = None
    content: list[bytes] = []
    while data := engine.recv(_PIECE):
        for kind, part in heard.feed(data):
            if kind == wire.ORDER:
                order = read_order(part)
            elif kind == wire.INPUT:
                content.append(part)
            elif kind == wire.GO:
                return order, b"".join(content)
    return None, b""


class Keeper:
    """Everything about one child. One thread, one loop."""

    def __init__(self, engine: socket.socket, order: Order, *, box: Box | None) -> None:
        self._engine = engine
        self._order = order
        self._box = box
        self._heard = Frames()
        self._to_say = bytearray()
        self._is_engine_there = True
        self._child = Launched(0, -1, -1)
        self._pipes: dict[int, bytes] = {}
        self._status: int | None = None  # how the main process ended
        self._reason = ""
        self._left_behind = 0
        self._given = 0  # bytes of output
        self._kill_at: float | None = None  # when patience after SIGTERM ends
        self._is_killing = False
        self._looked_at = _LONG_AGO
        self._peak = 0
        self._cpu_s = 0.0
        self._has_cage = False
        self._wake, woken = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(woken, False)
        signal.signal(signal.SIGCHLD, wake_up)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        engine.settimeout(0)

    # Start

    def start(self, content: bytes, *, channel: int) -> bool:
        """Whether the child runs; why not is said to the engine."""
        order = self._order
        without = ""
        try:
            if self._box is not None:
                self._box.make(content, order.files)
            self._has_cage = order.isolation != "process" and self._box is not None
            try:
                self._child = launch(order, box=self._box, channel=channel, has_cage=self._has_cage)
            except LaunchError as error:
                if not error.is_cage or order.isolation != "sandbox":
                    raise
                self._has_cage, without = False, str(error)
                self._child = launch(order, box=self._box, channel=channel, has_cage=False)
        except LaunchError as error:
            self._say(wire.REFUSED, {"why": str(error), "is_cage": error.is_cage})
            return False
        except OSError as error:
            self._say(wire.REFUSED, {"why": error.strerror or str(error), "is_cage": False})
            return False
        finally:
            if channel >= 0:
                os.close(channel)  # its other end must hear of the child's death
        self._pipes = {self._child.stdout: wire.STDOUT, self._child.stderr: wire.STDERR}
        self._say(wire.STARTED, {"keeper": os.getpid(), "child": self._child.pid, "without": without})
        return True

    # While it runs

    def watch(self) -> None:
        """Until it and all it started is gone and the engine has been told."""
        while not self._is_gone():
            self._turn(self._pause())
            now = time.monotonic()
            if self._kill_at is not None and now >= self._kill_at:
                self._kill("")
            if self._status is None and not self._is_killing and now - self._looked_at >= _LOOK_S:
                self._looked_at = now
                self._look()
        self._drain()
        self._say_end()

    def _pause(self) -> float:
        if self._is_killing or self._status is not None:
            return _KILL_AGAIN_S
        return _LOOK_S

    def _turn(self, pause_s: float) -> None:
        """Wait for something, and deal with what came."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._is_engine_there:
            poll.register(self._engine, select.POLLIN | (select.POLLOUT if self._to_say else 0))
        if len(self._to_say) < _HELD:
            for pipe in self._pipes:
                poll.register(pipe, select.POLLIN)
        for file, events in poll.poll(pause_s * 1000):
            if file == self._wake:
                empty(self._wake)
            elif file in self._pipes:
                self._hear_child(file)
            elif file == self._engine.fileno():
                self._meet_engine(events)

    def _meet_engine(self, events: int) -> None:
        if events & select.POLLOUT:
            self._send()
        if not events & (select.POLLIN | select.POLLHUP | select.POLLERR):
            return
        try:
            data = self._engine.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose_engine()
            return
        for kind, _ in self._heard.feed(data):
            if kind == wire.KILL:
                self._kill("")
            elif kind == wire.STOP and self._kill_at is None:
                self._kill_at = time.monotonic() + self._order.grace_ms / 1000
                _signal_group(self._child.pid, signal.SIGTERM)

    def _lose_engine(self) -> None:
        self._is_engine_there = False
        self._to_say.clear()
        self._kill("")

    def _hear_child(self, pipe: int) -> int:
        """How many bytes came."""
        try:
            data = os.read(pipe, _PIECE)
        except BlockingIOError:
            return 0
        if not data:
            os.close(pipe)
            del self._pipes[pipe]
            return 0
        limit = self._order.limits.output
        if limit and self._given + len(data) > limit:
            data = data[: limit - self._given]
            self._kill("output_limit")
            kind = self._pipes[pipe]
            for one in self._pipes:
                os.close(one)  # nothing more is of interest, and nothing more is read
            self._pipes.clear()
        else:
            kind = self._pipes[pipe]
        self._given += len(data)
        if data:
            self._say_bytes(kind, data)
        return len(data)

    # Limits

    def _look(self) -> None:
        limits = self._order.limits
        below = tree.below(os.getpid(), most=limits.processes + _CAGE_PROCESSES)
        if limits.processes and len(below) > limits.processes + _CAGE_PROCESSES:
            self._kill("process_limit")  # at once: measuring so many takes longer than they need to become more
            return
        used = tree.usage(below)
        gone = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._cpu_s = max(self._cpu_s, used.cpu_s + gone.ru_utime + gone.ru_stime)
        self._peak = max(self._peak, used.memory)
        if limits.processes and (used.processes > limits.processes or used.threads > limits.processes * _THREADS_EACH):
            self._kill("process_limit")
        elif limits.memory and used.memory > limits.memory:
            self._kill("memory_limit")
        elif limits.cpu and self._cpu_s > limits.cpu:
            self._kill("cpu_limit")
        elif self._box is not None and self._box.has_larger_result(limits.result):
            self._kill("result_limit")  # none of it would be kept

    def _kill(self, reason: str) -> None:
        if not self._reason:
            self._reason = reason
        self._is_killing = True
        self._kill_at = None
        self._end_all()

    def _end_all(self) -> None:
        if self._status is None:
            # One call ends a whole group, however fast it forks; then those who left the group.
            _signal_group(self._child.pid, signal.SIGKILL)
        tree.end_all(os.getpid())

    # The end

    def _is_gone(self) -> bool:
        """Whether nobody is left below; who is left when the main process is over is ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                break
            if pid == self._child.pid:
                self._status = status
                _signal_group(pid, signal.SIGKILL)
                if not self._is_killing:
                    self._left_behind = len(tree.below(os.getpid()))
        if self._status is not None or self._is_killing:
            self._end_all()
        return False

    def _drain(self) -> None:
        """What is still in the pipes; nobody writes any more."""
        while self._pipes and self._is_engine_there:
            if len(self._to_say) >= _HELD:
                self._turn(_LOOK_S)
            elif sum(self._hear_child(pipe) for pipe in list(self._pipes) if pipe in self._pipes) == 0:
                break

    def _say_end(self) -> None:
        fault = self._say_result(self._box) if self._box is not None and not self._is_killing else ""
        code = os.waitstatus_to_exitcode(self._status) if self._status is not None else -signal.SIGKILL
        if self._has_cage and code > 128:  # noqa: PLR2004 -- as shells say it: 128 and the signal
            code = 128 - code
        gone = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._say(
            wire.END,
            {
                "code": code if code >= 0 else None,
                "signal": -code if code < 0 else 0,
                "reason": self._reason or _reason(code, self._order.limits),
                "left_behind": self._left_behind,
                "result_fault": fault,
                "cpu_s": max(self._cpu_s, gone.ru_utime + gone.ru_stime),
                "peak": self._peak,
            },
        )

    def _say_result(self, box: Box) -> str:
        """Why what the child left as its result cannot be taken; empty when it was said."""
        try:
            result = box.result(self._order.limits.result)
        except ResultTooLargeError:
            self._reason = self._reason or "result_limit"
            return ""
        except (ResultError, OSError) as error:
            return str(error)
        for at in range(0, len(result), _PIECE):
            self._say_bytes(wire.RESULT, result[at : at + _PIECE])
        return ""

    # To the engine

    def _say(self, kind: bytes, facts: dict[str, object]) -> None:
        self._say_bytes(kind, json.dumps(facts).encode())

    def _say_bytes(self, kind: bytes, content: bytes) -> None:
        if self._is_engine_there:
            self._to_say += frame(kind, content)
            self._send()

    def _send(self) -> None:
        try:
            while self._to_say:
                del self._to_say[: self._engine.send(self._to_say)]
        except BlockingIOError:
            return
        except OSError:
            self._lose_engine()

    def tell_rest(self) -> None:
        """Wait until the engine has taken everything, or is gone."""
        while self._to_say and self._is_engine_there:
            self._turn(1.0)


def _reason(code: int, limits: Limits) -> str:
    """Which limit of the kernel's own it met; a shell says 128 and the signal of what it ran."""
    number = -code if code < 0 else code - 128
    if number == signal.SIGXCPU and limits.cpu:
        return "cpu_limit"
    if number == signal.SIGXFSZ and limits.file_size:
        return "file_size_limit"
    return ""


def _signal_group(group: int, number: signal.Signals) -> None:
    if group <= 1:
        return  # nothing was started; zero would be our own group
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


def empty(pipe: int) -> None:
    """Read what is in a wake-up pipe."""
    try:
        while os.read(pipe, 4096):
            pass
    except BlockingIOError:
        return


def wake_up(*_: object) -> None:
    """A signal came: the wake-up pipe says it."""
