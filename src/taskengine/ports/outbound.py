"""What goes out over HTTP: the one way to make a call, what may be called at all, and how names become addresses.

Whoever calls something outside (an ``http`` step, the function ``http_request``, later webhooks, models, remote executors) does it
through ``Outbound``, so that there is one place that judges where a call may go and how much of an answer is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

__all__ = ["EGRESS_ALLOW", "Answer", "Call", "EgressPolicy", "Outbound", "Resolver"]

EGRESS_ALLOW: Final = "TASK_ENGINE_EGRESS_ALLOW"  # the variable of the environment that allows more, where no policy is given


class EgressPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Where calls may go. The default is the public Internet: nothing private, nothing local, no cloud metadata.

    An entry of ``allow``, ``deny`` and ``only`` is a host (``api.internal``, ``*.example.org`` for every name below it), an
    address, or a network (``10.1.0.0/16``). ``deny`` is asked first, then ``only`` (when it is not empty, nothing else may be
    called), then ``allow``. A host that is allowed by name may have private and loopback addresses; link-local ones, among them
    those of cloud metadata, have to be allowed as an address or a network.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()  # when it is not empty, only these; else 80, 443 and what no other protocol is known to use
    allow_loopback: bool = False  # this machine: for tests and demos


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, complete: nothing is added to it but what the protocol needs. Times in milliseconds, sizes in bytes."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    connect_ms: int = 10_000  # until a connection stands: the name found, the address reached, TLS agreed
    silence_ms: int = 60_000  # the longest pause of the other side while it answers
    total_ms: int = 300_000  # the whole call with its redirects: what drips is ended here
    max_response_bytes: int = 4 * 1024 * 1024  # of the body, unpacked
    max_redirects: int = 5  # 0: a redirect is an answer like any other
    is_verified: bool = True  # False: whoever answers over TLS is believed


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back. ``headers`` have lower-case names, in the order they came; ``body`` is unpacked; ``url`` is the last one."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    url: str


class Resolver(Protocol):
    """Finds the addresses of a name."""

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """IPv4 and IPv6 addresses as text, the preferred one first. ``OSError`` when there are none."""
        ...


class Outbound(Protocol):
    """Makes calls.

    A name is looked up once for a connection, every address it has is judged, and the connection goes to one of those: what a
    name means a moment later does not matter. Redirects are followed here, each judged as the first call was; what the caller
    gave to one origin is not shown to another. Whoever is cancelled has closed the connection.
    """

    async def call(self, call: Call, *, on_bytes: Callable[[], None] | None = None) -> Answer:
        """Make it. ``on_bytes`` is called when something arrived.

        Raises ``OutboundError`` by name: ``invalid_url``, ``invalid_header``, ``egress_denied``, ``name_not_resolved``,
        ``connect_failed``, ``tls_failed``, ``call_timed_out``, ``connection_lost``, ``invalid_response``,
        ``response_too_large``, ``too_many_redirects``, ``redirect_refused``.
        """
        ...

    async def close(self) -> None:
        """Close idle connections; a later call makes new ones. Idempotent."""
        ...
