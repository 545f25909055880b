"""A server on raw sockets, so that it can lie: each path has a script that writes whatever it likes, and every request is kept."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

__all__ = ["Received", "Script", "Server", "answer", "json_answer", "serving", "tls_of"]


class Received(NamedTuple):
    """One request as it came in. ``connection`` counts them, ``reader`` is what comes after it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int
    reader: asyncio.StreamReader

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


Script = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def answer(
    status: int = 200, body: bytes = b"", *, headers: tuple[tuple[str, str], ...] = (), kind: str = "text/plain", length: int = -1
) -> bytes:
    """An honest answer, unless ``length`` says otherwise."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", f"Content-Length: {len(body) if length < 0 else length}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def json_answer(value: object, *, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    return answer(status, msgspec.json.encode(value), headers=headers, kind="application/json")


class Server:
    """Scripts by path; ``received`` in order. An unknown path is an honest 404."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.received: list[Received] = []
        self.port = 0
        self.connections = 0
        self.closed = asyncio.Event()  # some connection was closed by the other side
        self.is_tls = False

    @property
    def url(self) -> str:
        return f"{'https' if self.is_tls else 'http'}://127.0.0.1:{self.port}"

    def on(self, path: str, script: Script | bytes) -> str:
        """Answer the path so; return its URL."""
        self.scripts[path] = script if not isinstance(script, bytes) else _writing(script)
        return self.url + path

    def asked(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        connection = self.connections
        with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError, ssl.SSLError):
            while not writer.is_closing():
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = head[0].split(" ")
                headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head[1:] if line}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                request = Received(method, target, headers, body, connection, reader)
                self.received.append(request)
                script = self.scripts.get(request.path, _writing(answer(404, b"no such page")))
                await script(request, writer)
                await writer.drain()
        self.closed.set()
        writer.close()


def _writing(content: bytes) -> Script:
    async def write(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(content)

    return write


@asynccontextmanager
async def serving(*, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server on a free port of this machine, for as long as the block lasts."""
    server = Server()
    server.is_tls = tls is not None
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(server.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tuple(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await listening.wait_closed()


def tls_of(certificate: Path) -> ssl.SSLContext:
    """What a server with this certificate (and its key, in the same file) speaks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
