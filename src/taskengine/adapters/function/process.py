"""Functions in processes of their own (``run_in: process``): they can be killed, and may die without harm to the engine.

A process takes one attempt at a time and may take another one of the same module afterwards, because starting Python and importing
the module costs more than most calls. A cancel or a timeout ends the process. What crosses is JSON.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any, Final, cast

import msgspec

from taskengine.adapters.function import call as wire
from taskengine.adapters.function.call import Address, Call, Said, Shown, Told
from taskengine.adapters.function.registry import Function
from taskengine.adapters.process.children import Child, Children, Ending, Refused
from taskengine.adapters.process.frames import Frames, Order, frame
from taskengine.adapters.process.heard import LEVELS
from taskengine.adapters.secrets import without_secrets
from taskengine.model.command import Abandoned, Failed, Succeeded
from taskengine.model.value import Raw, TaskError, raw
from taskengine.model.workflow import ITERATED
from taskengine.ports.executor import Attempt

__all__ = ["ProcessFunctions", "address_of", "fault_of"]

_ABANDONED: Final = Abandoned()
_MOST_IDLE: Final = 4
_IDLE_S: Final = 30.0
_MOST_CALLS: Final = 100  # of one process: what leaks in it stays bounded
_ROOM: Final = 64 * 1024
_MAIN: Final = "__main__"
_OF_DOCUMENT: Final = "taskengine_document."
_PROGRAM: Final = "import sys; sys.path[:0] = [sys.argv.pop()]; from taskengine.adapters.function.worker import main; main()"

Key = tuple[str, str, int]


def fault_of(function: Function) -> str:
    """Why a process of its own cannot import the function; empty when it can."""
    call = function.call
    module, qualname = getattr(call, "__module__", None), getattr(call, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualname, str):
        return f"{type(call).__name__} has no import path, and run_in: process needs one"
    if "<" in qualname:
        return f"{qualname} is defined inside of a function, and run_in: process needs one at the top of a module"
    target: Any = sys.modules.get(module)
    for part in qualname.split("."):
        target = getattr(target, part, None)
    if target is None or not callable(target):
        return f"{module} has no {qualname}, by which a process of its own could import it"
    if module == _MAIN and not _file_of(module):
        return f"{qualname} is defined where there is no file, and run_in: process needs one"
    return ""


def address_of(function: Function) -> Address:
    """Where the other process finds it."""
    name = function.name
    if ":" in name and function.call.__module__.startswith(_OF_DOCUMENT):
        module, _, qualname = name.partition(":")
        return Address(module=module, qualname=qualname)
    module, qualname = function.call.__module__, function.call.__qualname__
    has_no_name = module == _MAIN or module.startswith(_OF_DOCUMENT)
    return Address(module=module, qualname=qualname, file=_file_of(module) if has_no_name else "")


def _file_of(module: str) -> str:
    file = getattr(sys.modules.get(module), "__file__", None)
    return str(Path(file).resolve()) if isinstance(file, str) else ""


class ProcessFunctions:
    """One for a node: the processes, busy and idle."""

    def __init__(self, children: Children, *, max_payload: int, max_nesting: int) -> None:
        self._children = children
        self._max_payload = max_payload
        self._max_nesting = max_nesting
        self._idle: list[_Worker] = []

    def begin(self, attempt: Attempt, function: Function) -> None:
        """Give it to an idle process that knows the module, or to a new one."""
        address = address_of(function)
        call = Call(
            function=address,
            execution_id=attempt.execution_id,
            source=attempt.source,
            step=attempt.step,
            path=attempt.path,
            idempotency_key=attempt.idempotency_key,
            number=attempt.number,
            task=attempt.task,
            input=attempt.input,
            upstream={
                one: output for one in (*attempt.step.depends_on, *ITERATED) if (output := attempt.upstream(one)) is not None
            },
            last_progress=raw(attempt.last_progress),
            search=[one for one in sys.path if one] + [str(Path.cwd())] * ("" in sys.path),
            log_level=logging.getLogger().level,
            max_payload=self._max_payload,
            max_nesting=self._max_nesting,
        )
        key = _key(function, attempt.source)
        worker = next((one for one in self._idle if one.key == key), None)
        if worker is None:
            worker = _Worker(key, max_frame=self._max_payload + _ROOM, on_idle=self._keep, on_gone=self._forget)
            worker.start(self._children)
        else:
            self._idle.remove(worker)
        worker.take(attempt, msgspec.json.encode(call))
        attempt.on_stop(worker.stop)

    def close(self) -> None:
        """Let the idle ones go."""
        idle, self._idle = self._idle, []
        for worker in idle:
            worker.retire()

    def _keep(self, worker: _Worker) -> None:
        self._idle.append(worker)
        while len(self._idle) > _MOST_IDLE:
            self._idle.pop(0).retire()

    def _forget(self, worker: _Worker) -> None:
        if worker in self._idle:
            self._idle.remove(worker)


class _Worker(asyncio.Protocol):
    """One process, its socket, and the attempt it performs."""

    def __init__(self, key: Key, *, max_frame: int, on_idle: Any, on_gone: Any) -> None:
        self.key = key
        self._loop = asyncio.get_running_loop()
        self._heard = Frames(max_frame=max_frame)
        self._on_idle = on_idle
        self._on_gone = on_gone
        self._child: Child | None = None
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[Any] | None = None
        self._to_say = b""
        self._attempt: Attempt | None = None
        self._calls = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, children: Children) -> None:
        """Start the process."""
        ours, theirs = socket.socketpair()
        package = str(Path(__file__).parents[3])
        order = Order(argv=(sys.executable, "-c", _PROGRAM, package), env=without_secrets(os.environ), cwd=str(Path.cwd()))
        self._child = children.begin(order, on_output=self._hear, on_end=self._ended, channel=theirs)
        self._connecting = self._loop.create_task(self._connect(ours))

    async def _connect(self, ours: socket.socket) -> None:
        await self._loop.create_unix_connection(lambda: self, sock=ours)

    def take(self, attempt: Attempt, call: bytes) -> None:
        """Perform this one."""
        if self._timer is not None:
            self._timer.cancel()
        self._attempt = attempt
        self._calls += 1
        self._to_say = frame(wire.CALL, call)
        self._send()

    def stop(self) -> None:
        """Whatever it does: end it."""
        if self._child is not None and self._attempt is not None:
            self._child.stop()

    def retire(self) -> None:
        """Nothing more for it, from now on: it ends by itself."""
        self._on_gone(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._child is not None:
            self._child.kill()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what waits."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._send()

    def data_received(self, data: bytes) -> None:
        """Hear the function."""
        try:
            for kind, content in self._heard.feed(data):
                if self._attempt is not None:
                    self._tell(self._attempt, kind, content=content)
        except (ValueError, msgspec.MsgspecError):
            self.retire()  # somebody else wrote to its socket: nothing it says can be trusted

    def connection_lost(self, exc: Exception | None) -> None:
        """The process closed it and hears nothing more; how it ended comes from its keeper."""
        self._on_gone(self)
        if self._child is not None:
            self._child.kill()

    def _send(self) -> None:
        if self._transport is not None and self._to_say:
            self._transport.write(self._to_say)
            self._to_say = b""

    def _tell(self, attempt: Attempt, kind: bytes, *, content: bytes) -> None:
        if kind == wire.BEAT:
            attempt.beat()
        elif kind == wire.HEARD:
            attempt.heard()
        elif kind == wire.PROGRESS:
            shown = msgspec.json.decode(content, type=Shown)
            attempt.progress(shown.fraction, message=shown.message, data=shown.data)
        elif kind == wire.LOG:
            said = msgspec.json.decode(content, type=Said)
            attempt.log(said.message, level=said.level, source=said.source)
        elif kind == wire.REDACT:
            attempt.redact(content.decode("utf-8", "replace"))
        elif kind == wire.END:
            self._finish(attempt, msgspec.json.decode(content, type=Told))

    def _finish(self, attempt: Attempt, told: Told) -> None:
        if attempt.is_stopping:
            return  # the process is being ended; the attempt ends with it
        self._attempt = None
        if told.is_clean and self._calls < _MOST_CALLS:
            self._timer = self._loop.call_later(_IDLE_S, self.retire)
            self._on_idle(self)
        else:
            self.retire()
        attempt.free()
        attempt.end(Succeeded(Raw(told.output)) if told.error is None else Failed(told.error))

    # The child

    def _hear(self, data: bytes, is_error: bool) -> None:  # noqa: FBT001 -- called by position for each piece
        """What did not go through Python's own streams: C code, processes that the function started."""
        attempt = self._attempt
        if attempt is not None:
            attempt.heard()
            name = "stderr" if is_error else "stdout"
            for line in data.decode("utf-8", "replace").splitlines():
                attempt.log(line, level=LEVELS[name], source=name)

    def _ended(self, ending: Ending | Refused, result: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._on_gone(self)
        attempt, self._attempt = self._attempt, None
        if self._transport is not None:
            self._transport.close()
        if attempt is not None:
            attempt.free()
            attempt.end(_ABANDONED if attempt.is_stopping else Failed(_died(ending)))


def _died(ending: Ending | Refused) -> TaskError:
    if isinstance(ending, Refused):
        return TaskError(type="ExecutorUnavailable", message=f"no process for the function: {ending.why}")
    if ending.is_keeper_gone:
        why = "it was killed together with its keeper"
    elif ending.signal:
        why = f"killed by {ending.killer}"
    else:
        why = f"exit code {ending.code}"
    return TaskError(type="ProcessDied", message=f"the process ended before the function did: {why}")


def _key(function: Function, source: str) -> Key:
    """Processes are shared by functions of one module as it is on the disk now."""
    module = function.call.__module__
    file = _file_of(module)
    try:
        changed = Path(file).stat().st_mtime_ns if file else 0
    except OSError:
        changed = 0
    return (source, module, changed)
