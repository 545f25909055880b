"""URLs as this package accepts them: http or https, a host that can only be read in one way, no name and password inside.

Readers of URLs disagree about the odd ones, and each disagreement is somebody's way past a check. So the odd ones are refused.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NoReturn

from httpx2 import URL, InvalidURL

from taskengine.errors import OutboundError

__all__ = ["Target", "read_url", "shown"]

_HOST: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\.?")
_NUMBER: Final = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_ODD: Final = re.compile(r"[\\\s\x00-\x1f\x7f]")
_SHOWN: Final = 200
MAX_URL: Final = 8_192
_MAX_HOST: Final = 253
_MAX_PORT: Final = 65_535
_PORTS: Final = {"http": 80, "https": 443}


class Target:
    """A URL that can be called. ``host`` is in lower case, without brackets, in its ASCII form."""

    __slots__ = ("host", "port", "scheme", "url")

    def __init__(self, url: URL, host: str) -> None:
        self.url = url
        self.scheme = url.scheme
        self.host = host
        self.port = url.port if url.port is not None else _PORTS[url.scheme]

    @property
    def origin(self) -> tuple[str, str, int]:
        """What must be the same for credentials to be shown again."""
        return (self.scheme, self.host.rstrip("."), self.port)

    @property
    def shown(self) -> str:
        """For messages: without the query, which may hold what is secret."""
        return shown(str(self.url))


def shown(text: str) -> str:
    """A URL for messages: no query, no fragment, no name and password, not too long, nothing unprintable."""
    plain = re.split(r"[?#]", text, maxsplit=1)[0]
    plain = re.sub(r"//[^/@]*@", "//", plain)
    plain = "".join(one if one.isprintable() else "?" for one in plain)
    return plain if len(plain) <= _SHOWN else plain[:_SHOWN] + "…"


def read_url(text: str, *, base: Target | None = None) -> Target:
    """Read a URL; a relative one where there is a base. Raises ``invalid_url``."""
    if not text:
        _refuse(text, "it is empty")
    if len(text) > MAX_URL:
        _refuse(text, f"it has {len(text)} characters, at most {MAX_URL} are allowed")
    odd = _ODD.search(text)
    if odd is not None:
        _refuse(text, f"it holds {odd.group()!r}", hint="escape it: a space is %20")
    try:
        url = URL(text) if base is None else base.url.join(text)
    except (InvalidURL, UnicodeError, ValueError) as error:
        _refuse(text, _reason(error))
    if url.scheme not in _PORTS:
        given = f"its scheme is {shown(url.scheme)!r}" if url.scheme else "it names no scheme"
        _refuse(text, given, hint="a URL begins with http:// or https://")
    if url.userinfo:
        _refuse(text, "it holds a name or password", hint="give them under auth: {type: basic, username: …, password: …}")
    host = _host(text, url)
    if url.port is not None and not 0 < url.port <= _MAX_PORT:
        _refuse(text, f"there is no port {url.port}")
    return Target(url.copy_with(fragment=None), host)


def _host(text: str, url: URL) -> str:
    host = url.raw_host.decode("ascii")
    if not host:
        _refuse(text, "it names no host")
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address(host)) if "%" not in host else _refuse(text, "it names an interface")
        except ValueError:
            _refuse(text, f"[{host}] is no IPv6 address")
    if len(host) > _MAX_HOST or _HOST.fullmatch(host) is None:
        _refuse(text, f"{shown(host)!r} cannot be a host")
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))  # four numbers without leading zeros, and nothing shorter
        except ValueError:
            _refuse(text, f"{host!r} is neither a name nor an address", hint="write an IPv4 address as four decimal numbers")
    return host


def _reason(error: Exception) -> str:
    said = str(error).splitlines()[0] if isinstance(error, InvalidURL) else "it holds what no URL can"
    return "".join(one if one.isprintable() else "?" for one in said)[:_SHOWN]


def _refuse(text: str, reason: str, *, hint: str = "") -> NoReturn:
    url = shown(text)
    raise OutboundError("invalid_url", f"{url!r} cannot be called: {reason}", hint=hint, url=url)
