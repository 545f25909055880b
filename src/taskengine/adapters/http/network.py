"""Connections that go where they may: a name is looked up once, each of its addresses is judged, and one of those is reached.

The library's pool asks here for every new connection; host and certificate are still those of the name. It owns no HTTP.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, cast

import httpcore2

from taskengine.adapters.function.threads import Threads
from taskengine.adapters.http.egress import Egress
from taskengine.errors import OutboundError
from taskengine.ports.outbound import Resolver

__all__ = ["CALLED", "PinnedNetwork", "SystemResolver", "tls"]

# What the connection is wanted for, as messages name it: the pool hands on nothing but host and port.
CALLED: ContextVar[str] = ContextVar("CALLED", default="")
_MAX_ADDRESSES: Final = 64  # that a name may have
_MAX_TRIES: Final = 4  # of them that are tried


class SystemResolver:
    """Asks the system, in threads that nobody waits for: its resolver blocks, and may do so for a minute when nobody answers."""

    def __init__(self) -> None:
        self._threads = Threads("taskengine-names")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses, in the system's order. A caller that is cancelled leaves the thread behind."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[str]] = loop.create_future()

        def look_up() -> None:
            addresses: list[str] = []
            failure: Exception | None = None
            try:
                entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
                addresses = [str(address[0]) for *_, address in entries]
            except (OSError, UnicodeError) as error:
                failure = error
            with suppress(RuntimeError):  # the loop is gone, and whoever asked
                loop.call_soon_threadsafe(_settle, found, addresses, failure)

        self._threads.run(look_up)
        return await found


def _settle(found: asyncio.Future[list[str]], addresses: list[str], failure: Exception | None) -> None:  # noqa: PLR0917 -- a callback
    if found.done():
        return
    if failure is None:
        found.set_result(addresses)
    else:
        found.set_exception(failure)


def tls(*, is_verified: bool) -> ssl.SSLContext:
    """What TLS asks of the other side: the system's authorities, or those that ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` name."""
    context = httpcore2.default_ssl_context()
    if not is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class PinnedNetwork(httpcore2.AsyncNetworkBackend):
    """Opens connections for the pool."""

    def __init__(self, egress: Egress, resolver: Resolver) -> None:
        self._egress = egress
        self._resolver = resolver
        # Without anyio, which it depends on, the library has something else under this name: its types know both.
        self._sockets = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    async def connect_tcp(  # noqa: PLR0917 -- the library's signature
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- likewise
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to an address of the host that may be called; ``timeout`` covers the lookup as well."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._addresses(host, port)
                return await self._reach(addresses, host=host, port=port)
        except TimeoutError:
            url = CALLED.get()
            raise OutboundError("connect_failed", f"{host}:{port} cannot be reached: no connection in time", url=url) from None

    async def connect_unix_socket(  # noqa: PLR0917 -- likewise
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 -- likewise
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never: a file is no address on the net."""
        raise OutboundError("egress_denied", f"{path} is a socket of this machine", url=CALLED.get())

    async def sleep(self, seconds: float) -> None:
        """Nothing is tried again here; the step's policy does that."""
        raise AssertionError("the pool makes no second attempts")

    async def _addresses(self, host: str, port: int) -> list[str]:
        """The host's addresses, each judged; one that may not be called spoils them all."""
        url = CALLED.get()
        self._egress.check_port(port, url=url)
        try:
            found = [str(ipaddress.ip_address(host))]
        except ValueError:
            try:
                found = list(dict.fromkeys(await self._resolver(host, port)))
            except (OSError, UnicodeError) as error:
                said = error.strerror if isinstance(error, OSError) and error.strerror else "it is no name"
                hint = "check the spelling of the host, and whether this machine can resolve it"
                message = f"the name {host} cannot be resolved: {said}"
                raise OutboundError("name_not_resolved", message, hint=hint, url=url) from None
        if not found or len(found) > _MAX_ADDRESSES:
            message = f"the name {host} has {len(found) or 'no'} addresses, at most {_MAX_ADDRESSES} are looked at"
            raise OutboundError("name_not_resolved", message, url=url)
        for address in found:
            self._egress.check(host, address, url=url)
        return found

    async def _reach(self, addresses: Sequence[str], *, host: str, port: int) -> httpcore2.AsyncNetworkStream:
        said = ""
        for address in addresses[:_MAX_TRIES]:
            try:
                return await self._sockets.connect_tcp(address, port)
            except httpcore2.NetworkError as error:
                said = said or _words(error)
        hint = "check that the service runs and listens on this port"
        raise OutboundError("connect_failed", f"{host}:{port} cannot be reached: {said}", hint=hint, url=CALLED.get())


def _words(error: BaseException) -> str:
    """What the system said, of whatever it is wrapped in."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno is not None:
            return os.strerror(seen.errno).lower()
        first: object = seen.args[0] if seen.args else None
        seen = first if isinstance(first, BaseException) else seen.__cause__ or seen.__context__
    return "no connection"
