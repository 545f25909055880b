"""The one outbound client: a call goes out, redirects are followed, an answer comes in, each within its bounds.

It owns pools of connections and the rules between two hops. Where a connection may go is judged in `egress`, at the moment it is
made (`network`). It keeps no cookies, asks no proxy of the environment, and tries nothing twice, but for one case: a kept
connection that the other side had closed before it saw a request that may be repeated.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterable, Callable
from typing import Final

import httpcore2

from taskengine.adapters.http.address import Target, read_url
from taskengine.adapters.http.body import Body
from taskengine.adapters.http.egress import Egress
from taskengine.adapters.http.network import CALLED, PinnedNetwork, tls
from taskengine.errors import OutboundError
from taskengine.model.http import CALLER, METHODS, header_fault
from taskengine.ports.outbound import Answer, Call, EgressPolicy, Resolver

__all__ = ["HttpClient"]

_CONNECTIONS: Final = 200  # at the same time, of one kind of trust
_KEPT: Final = 100  # as many as a node makes attempts at a time
_KEPT_S: Final = 15.0
_MAX_HEADERS: Final = 64 * 1024  # bytes of all headers of an answer
_MAX_SENT: Final = 64  # headers of a call
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# What may be shown to another origin than the one it was meant for. Everything else may be a credential under any name.
_PUBLIC: Final = frozenset({"accept", "accept-encoding", "accept-language", "content-type", "idempotency-key", "user-agent"})
_OF_BODY: Final = frozenset({"content-type", "content-encoding", "content-language"})
_MOVED: Final = frozenset({301, 302})  # a POST goes on as a GET there: everybody does so
_SEE_OTHER: Final = 303
_TOO_MUCH: Final = 431

_Headers = tuple[tuple[str, str], ...]


class HttpClient:
    """Performs calls under one policy. For one event loop, from the first call to ``close``."""

    def __init__(self, policy: EgressPolicy, resolver: Resolver) -> None:
        self._network = PinnedNetwork(Egress(policy), resolver)
        self._pools: dict[str, httpcore2.AsyncConnectionPool] = {}

    async def call(self, call: Call, *, on_bytes: Callable[[], None] | None = None) -> Answer:
        """Make it, as the port promises."""
        target = read_url(call.url)
        _check(call, target)
        try:
            async with asyncio.timeout(call.total_ms / 1_000):
                return await self._follow(call, target, on_bytes=on_bytes)
        except TimeoutError:
            message = f"the call took longer than {call.total_ms / 1_000:g} s"
            raise OutboundError("call_timed_out", message, url=target.shown) from None

    async def close(self) -> None:
        """Close what is idle and what is not."""
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.aclose()

    async def _follow(self, call: Call, target: Target, *, on_bytes: Callable[[], None] | None) -> Answer:
        method, headers, body = call.method, call.headers, call.body
        for _ in range(call.max_redirects + 1):
            answer = await self._once(call, target, method=method, headers=headers, body=body, on_bytes=on_bytes)
            location = next((value for name, value in answer.headers if name == "location"), "")
            if answer.status not in _REDIRECTS or not location or not call.max_redirects:
                return answer
            following = read_url(location.strip().replace(" ", "%20"), base=target)  # many servers forget to
            if target.scheme == "https" and following.scheme != "https":
                message = f"{target.shown} leads to {following.shown}, which is not protected by TLS"
                raise OutboundError("redirect_refused", message, url=target.shown)
            if (answer.status == _SEE_OTHER and method != "HEAD") or (answer.status in _MOVED and method == "POST"):
                method, body = "GET", b""
                headers = tuple(one for one in headers if one[0].lower() not in _OF_BODY)
            if following.origin != target.origin:
                headers = tuple(one for one in headers if one[0].lower() in _PUBLIC)
                if body:
                    message = f"{target.shown} wants the body of the request to be sent to {following.shown}"
                    hint = "call that address, if it is to have it"
                    raise OutboundError("redirect_refused", message, hint=hint, url=target.shown)
            target = following
        message = f"more than {call.max_redirects} redirects, the last one to {target.shown}"
        raise OutboundError("too_many_redirects", message, url=read_url(call.url).shown, limit=call.max_redirects)

    async def _once(
        self,
        call: Call,
        target: Target,
        *,
        method: str,
        headers: _Headers,
        body: bytes,
        on_bytes: Callable[[], None] | None,
    ) -> Answer:
        fresh: list[str] = []

        async def trace(event: str, _: dict[str, object]) -> None:
            if event == "connection.connect_tcp.started":
                fresh.append(event)

        request = httpcore2.Request(
            method=method,
            url=httpcore2.URL(
                scheme=target.scheme,
                host=target.url.raw_host,
                port=target.port,
                target=target.url.raw_path,
            ),
            headers=_sent(target, headers, body=body, method=method),
            content=body,
            extensions={
                "timeout": {
                    "connect": call.connect_ms / 1_000,
                    "read": call.silence_ms / 1_000,
                    "write": call.silence_ms / 1_000,
                },
                "trace": trace,
            },
        )
        called = CALLED.set(target.shown)
        try:
            try:
                return await self._exchange(call, target, request=request, on_bytes=on_bytes)
            except httpcore2.ProtocolError as error:
                # Nothing of an answer came over a connection that was kept: the other side had let go of it already.
                if fresh or method not in _SAFE or not _is_silent(error):
                    raise
                return await self._exchange(call, target, request=request, on_bytes=on_bytes)
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, ssl.SSLError) as error:
            raise _named(error, target, call=call) from error
        finally:
            CALLED.reset(called)

    async def _exchange(
        self, call: Call, target: Target, *, request: httpcore2.Request, on_bytes: Callable[[], None] | None
    ) -> Answer:
        pool = await self._pool(target, is_verified=call.is_verified)
        response = await pool.handle_async_request(request)
        try:
            headers = _received(response.headers, target)
            encoding = ", ".join(value for name, value in headers if name == "content-encoding" and value)
            limit = call.max_response_bytes
            body = Body("" if request.method == b"HEAD" else encoding, limit=limit, url=target.shown)
            stream = response.stream
            assert isinstance(stream, AsyncIterable)
            async for data in stream:
                body.feed(data)
                if on_bytes is not None:
                    on_bytes()
            return Answer(status=response.status, headers=headers, body=body.end(), url=str(target.url))
        finally:
            await response.aclose()

    async def _pool(self, target: Target, *, is_verified: bool) -> httpcore2.AsyncConnectionPool:
        kind = "plain" if target.scheme != "https" else "verified" if is_verified else "believed"
        pool = self._pools.get(kind)
        if pool is None:
            # Reading the authorities takes some 50 ms, for which the loop need not stand still.
            context = await asyncio.to_thread(tls, is_verified=is_verified) if target.scheme == "https" else None
            pool = self._pools.setdefault(
                kind,
                httpcore2.AsyncConnectionPool(
                    ssl_context=context,
                    max_connections=_CONNECTIONS,
                    max_keepalive_connections=_KEPT,
                    keepalive_expiry=_KEPT_S,
                    network_backend=self._network,
                ),
            )
        return pool


def _check(call: Call, target: Target) -> None:
    if call.method not in METHODS:
        message = f"there is no method {call.method[:20]!r}"
        raise OutboundError("invalid_method", message, hint=f"one of {', '.join(METHODS)}", url=target.shown)
    if len(call.headers) > _MAX_SENT:
        raise OutboundError("invalid_header", f"{len(call.headers)} headers, at most {_MAX_SENT} are sent", url=target.shown)
    for name, value in call.headers:
        fault = header_fault(name, value)
        if fault:
            raise OutboundError("invalid_header", f"the header {name[:128]!r} cannot be sent: {fault}", url=target.shown)


def _sent(target: Target, headers: _Headers, *, body: bytes, method: str) -> list[tuple[bytes, bytes]]:
    """The headers of a request: ours, those of the call, and its frame."""
    default = target.url.port is None
    host = f"[{target.host}]" if ":" in target.host else target.host
    sent = [(b"Host", (host if default else f"{host}:{target.port}").encode())]
    given = {name.lower() for name, _ in headers}
    for name, value in (("Accept", "*/*"), ("Accept-Encoding", "gzip, deflate"), ("User-Agent", CALLER)):
        if name.lower() not in given:
            sent.append((name.encode(), value.encode()))
    sent += [(name.encode(), value.encode()) for name, value in headers]
    if body or method not in {*_SAFE, "DELETE"}:
        sent.append((b"Content-Length", str(len(body)).encode()))
    return sent


def _received(headers: list[tuple[bytes, bytes]], target: Target) -> _Headers:
    if sum(len(name) + len(value) for name, value in headers) > _MAX_HEADERS:
        raise _headers_too_large(target)
    return tuple((name.decode("latin-1").lower(), value.decode("utf-8", "replace")) for name, value in headers)


def _headers_too_large(target: Target) -> OutboundError:
    message = f"the answer has more than {_MAX_HEADERS} bytes of headers"
    return OutboundError("response_too_large", message, url=target.shown, limit=_MAX_HEADERS)


def _is_silent(error: BaseException) -> bool:
    return "without sending a response" in str(error)


def _named(error: BaseException, target: Target, *, call: Call) -> OutboundError:
    """What the library raised, in our words."""
    url = target.shown
    match error:
        case httpcore2.PoolTimeout() | httpcore2.ConnectTimeout():
            return OutboundError("connect_failed", f"{target.host}:{target.port} cannot be reached: no TLS in time", url=url)
        case httpcore2.TimeoutException():
            silence = f"{call.silence_ms / 1_000:g} s"
            return OutboundError("call_timed_out", f"the other side was silent for {silence}", url=url)
        case httpcore2.ConnectError() | ssl.SSLError():
            hint = "check the certificate of the other side; verify: false believes whoever answers"
            said = _certificate(error)
            return OutboundError("tls_failed", f"no TLS with {target.host}:{target.port}: {said}", hint=hint, url=url)
        case httpcore2.NetworkError():
            return OutboundError("connection_lost", "the connection broke off", url=url)
        case _ if getattr(_wrapped(error), "error_status_hint", 0) == _TOO_MUCH:
            return _headers_too_large(target)
        case _ if _is_silent(error) or "peer closed" in str(error) or "peer unexpectedly closed" in str(error):
            return OutboundError("connection_lost", "the connection was closed before the answer was complete", url=url)
        case _:
            hint = "check that an HTTP server listens there, and not something else"
            return OutboundError("invalid_response", "what came back is no HTTP answer", hint=hint, url=url)


def _certificate(error: BaseException) -> str:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message
        if isinstance(seen, ssl.SSLError) and seen.reason:
            return seen.reason.lower().replace("_", " ")
        seen = _wrapped(seen)
    return "the other side does not speak it"


def _wrapped(error: BaseException) -> BaseException | None:
    """What an error of the library was made of: it keeps it as its argument, and not always as its cause."""
    first: object = error.args[0] if error.args else None
    return first if isinstance(first, BaseException) else error.__cause__
