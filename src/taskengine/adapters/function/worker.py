"""The program of a process that performs functions: one call after the other, until the engine closes the socket.

It runs in the child, never in the engine. Functions run in its main thread, async ones in a loop of their own; what they say about
themselves goes to the engine as frames. SIGTERM ends the call with its ``finally`` blocks; SIGKILL follows.
"""

from __future__ import annotations

import asyncio
import importlib.util
import io
import logging
import os
import signal
import socket
import sys
import threading
from types import FrameType
from typing import Any, Final, NoReturn

import msgspec

from taskengine.adapters.function import call as wire
from taskengine.adapters.function.binding import bind
from taskengine.adapters.function.call import Address, Call, Said, Shown, Told
from taskengine.adapters.function.executor import FunctionExecutor, describe
from taskengine.adapters.function.records import attach, frames_of
from taskengine.adapters.function.registry import Function, FunctionRegistry
from taskengine.adapters.process.frames import Frames, frame
from taskengine.adapters.process.heard import LEVELS
from taskengine.adapters.process.tree import children_of
from taskengine.model.command import AttemptEnd, Failed, Succeeded
from taskengine.model.value import Json, Raw, TaskError, decode
from taskengine.model.workflow import Step
from taskengine.ports.context import CURRENT, TaskContext
from taskengine.ports.executor import Stop

__all__ = ["CHANNEL", "main"]

CHANNEL: Final = 3
_PIECE: Final = 256 * 1024
_LONGEST_CALL: Final = 256 * 1024 * 1024
_MAIN: Final = "__mp_main__"  # what multiprocessing calls it: `if __name__ == "__main__"` is not entered


class _StoppedError(BaseException):
    """The engine asked for an end; no ``except Exception`` of the function may swallow it."""


def main() -> None:
    """Serve."""
    channel = socket.socket(fileno=CHANNEL)
    os.set_inheritable(CHANNEL, False)  # noqa: FBT003 -- the standard library asks so
    signal.signal(signal.SIGTERM, _stop)
    attach()
    worker = Worker(channel)
    sys.stdout = _Lines(worker, "stdout")
    sys.stderr = _Lines(worker, "stderr")
    heard = Frames(max_frame=_LONGEST_CALL)
    try:
        while data := channel.recv(_PIECE):
            for kind, content in heard.feed(data):
                if kind == wire.CALL:
                    worker.perform(msgspec.json.decode(content, type=Call))
    except _StoppedError:
        os._exit(128 + signal.SIGTERM)  # whatever else hangs around in this process must not keep it


class Worker:
    """The functions found so far, and the socket to the engine."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._registry = FunctionRegistry()
        self._files: dict[str, Any] = {}
        self._lock = threading.Lock()
        self.attempt: RemoteAttempt | None = None

    def perform(self, call: Call) -> None:
        """One attempt, from the call to how it ended."""
        sys.path[:] = call.search
        logging.getLogger().setLevel(call.log_level)
        self.attempt = attempt = RemoteAttempt(call, self)
        executor = FunctionExecutor(self._registry, max_payload=call.max_payload, max_nesting=call.max_nesting)
        end: AttemptEnd
        try:
            end = executor.judge(asyncio.run(self._run(call, attempt)))
        except _StoppedError:
            raise
        except BaseException as error:  # noqa: BLE001 -- whatever the user's code raises, also an exit, is how the attempt ended
            attempt.log(frames_of(error), level="error", source="traceback")
            end = Failed(describe(error))
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, _Lines):
                stream.finish()
        self.attempt = None
        told = (
            Told(output=end.output, is_clean=_is_clean())
            if isinstance(end, Succeeded)
            else Told(error=_error(end), is_clean=_is_clean())
        )
        self.send(wire.END, msgspec.json.encode(told))

    async def _run(self, call: Call, attempt: RemoteAttempt) -> Any:
        function = self._find(call)
        arguments = bind(function, attempt, services={})
        CURRENT.set(TaskContext(attempt, arguments))
        value = function.call(**arguments)  # a plain function blocks this loop, which has nothing else to do
        return await value if function.is_async else value

    def _find(self, call: Call) -> Function:
        address = call.function
        if address.file:
            return self._find_in_file(address)
        return self._registry.find(f"{address.module}:{address.qualname}", call.source)

    def _find_in_file(self, address: Address) -> Function:
        module = self._files.get(address.file)
        if module is None:
            spec = importlib.util.spec_from_file_location(_MAIN, address.file)
            if spec is None or spec.loader is None:
                raise ImportError(f"{address.file} is no Python file")
            module = importlib.util.module_from_spec(spec)
            sys.modules[_MAIN] = module
            spec.loader.exec_module(module)
            self._files[address.file] = module
        target: Any = module
        for part in address.qualname.split("."):
            target = getattr(target, part)
        return Function(address.qualname, target)

    def send(self, kind: bytes, content: bytes = b"") -> None:
        """Say it. The function may have threads: one at a time."""
        with self._lock:
            self._channel.sendall(frame(kind, content))


class RemoteAttempt:
    """The attempt as the function's context sees it here; what it is told goes to the engine."""

    def __init__(self, call: Call, worker: Worker) -> None:
        self._worker = worker
        self._upstream = call.upstream
        self.execution_id = call.execution_id
        self.source = call.source
        self.step: Step = call.step
        self.path = call.path
        self.idempotency_key = call.idempotency_key
        self.number = call.number
        self.task = call.task
        self.input: Raw = call.input
        self.is_stopping = False
        self.last_progress: Json = decode(call.last_progress)

    def upstream(self, step_id: str) -> Raw | None:
        """The output of a dependency."""
        return self._upstream.get(step_id)

    def heard(self) -> None:
        """Not silent."""
        self._worker.send(wire.HEARD)

    def beat(self) -> None:
        """Alive."""
        self._worker.send(wire.BEAT)

    def progress(self, fraction: float | None, *, message: str = "", data: Json = None) -> None:
        """How far."""
        if data is not None:
            self.last_progress = data
        self._worker.send(wire.PROGRESS, msgspec.json.encode(Shown(fraction, message, data)))

    def log(self, message: str, *, level: str = "info", source: str = "engine") -> None:
        """A line."""
        self._worker.send(wire.LOG, msgspec.json.encode(Said(_writable(message), level, source)))

    def redact(self, text: str) -> None:
        """A secret."""
        self._worker.send(wire.REDACT, _writable(text).encode())

    def on_stop(self, stop: Stop) -> None:
        """Nobody here: the process is stopped, not the call."""

    def end(self, end: AttemptEnd) -> None:
        """Nobody here: the worker tells it."""

    def free(self) -> None:
        """Nobody here: the slot is the engine's."""


class _Lines(io.TextIOBase):
    """Standard output as lines of the task's log, in order with everything else that is said."""

    def __init__(self, worker: Worker, source: str) -> None:
        super().__init__()
        self._worker = worker
        self._source = source
        self._held = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        *lines, self._held = (self._held + text).split("\n")
        attempt = self._worker.attempt
        if attempt is not None:
            for line in lines:
                attempt.log(line, level=LEVELS[self._source], source=self._source)
        return len(text)

    def finish(self) -> None:
        """The last line, when it did not end."""
        if self._held:
            self.write("\n")


def _stop(_number: int, _where: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: the blocks on the way out are not to be disturbed
    raise _StoppedError


def _error(end: AttemptEnd) -> TaskError:
    return end.error if isinstance(end, Failed) else TaskError(type="Cancelled")


def _is_clean() -> bool:
    """Whether nothing of the call goes on."""
    return threading.active_count() == 1 and not children_of(os.getpid())


def _writable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


if __name__ == "__main__":
    main()
