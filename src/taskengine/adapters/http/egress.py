"""Where a call may go: every rule about hosts, addresses and ports, and nothing else. Pure: no lookups, no connections.

The networks are written down here and not asked of ``ipaddress``, whose opinion differs between versions of Python.
"""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, TypeAlias

from taskengine.errors import DefinitionError, OutboundError
from taskengine.ports.outbound import EGRESS_ALLOW, EgressPolicy

__all__ = ["Egress"]

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

LOOPBACK: Final = "this machine"
MULTICAST: Final = "multicast"
LINK: Final = "link-local, where cloud metadata is served"

# From the registries of special addresses (RFC 6890 and those that update it); everything else that is IPv4 is public.
_V4: Final[tuple[tuple[str, str], ...]] = (
    ("0.0.0.0/8", LOOPBACK),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared by a provider"),
    ("127.0.0.0/8", LOOPBACK),
    ("168.63.129.16/32", "a cloud's own service"),
    ("169.254.0.0/16", LINK),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "reserved"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarks"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", MULTICAST),
    ("240.0.0.0/4", "reserved"),
)
# IPv6 is public in 2000::/3 only; these are named, or taken out of it.
_V6: Final[tuple[tuple[str, str], ...]] = (
    ("::1/128", LOOPBACK),
    ("::/128", LOOPBACK),
    ("fe80::/10", LINK),
    ("fec0::/10", "private"),
    ("fc00::/7", "private"),
    ("ff00::/8", MULTICAST),
    ("64:ff9b:1::/48", "a private translation to IPv4"),
    ("2001::/23", "reserved"),
    ("2001:db8::/32", "documentation"),
    ("3fff::/20", "documentation"),
)
_REFUSED: Final[tuple[tuple[Network, str], ...]] = tuple(
    (ipaddress.ip_network(network), reason) for network, reason in (*_V4, *_V6)
)
_PUBLIC_V6: Final = IPv6Network("2000::/3")
_COMPATIBLE: Final = IPv6Network("::/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})

# Ports of other protocols, some of which take commands out of an HTTP request (browsers refuse most of these as well).
_OTHER_PROTOCOLS: Final = frozenset(
    {1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672, 5900, 6000, 6379, 6380}
    | {6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9092, 10080, 10250, 11211, 27017, 27018}
)
_HOST: Final = re.compile(r"(\*\.)?[^\W_][\w-]*(\.[\w-]+)*")
_WEB: Final = frozenset({80, 443})
_FIRST_FREE_PORT: Final = 1024
_DENIED: Final = "the egress policy denies it"
_ALLOW_HINT: Final = f"allow the host or its network in the egress policy, or {EGRESS_ALLOW}, if this node may call it"
_LOOPBACK_HINT: Final = (
    f"set {EGRESS_ALLOW}=loopback, or give the engine EgressPolicy(allow_loopback=True), if this node may call it"
)


class Egress:
    """A policy, read once. Raises ``bad_egress_policy`` for an entry that is neither a host nor a network."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy
        self._allow = _Entries(policy.allow)
        self._deny = _Entries(policy.deny)
        self._only = _Entries(policy.only)

    def check_port(self, port: int, *, url: str) -> None:
        """Whether the policy has this port. Raises ``egress_denied``."""
        ports = self._policy.ports
        is_known = port in ports if ports else port in _WEB or (port >= _FIRST_FREE_PORT and port not in _OTHER_PROTOCOLS)
        if not is_known:
            among = f"only {', '.join(str(one) for one in ports)}" if ports else "it is not one of HTTP"
            hint = "name the port in the egress policy, under ports, if this node may call it"
            raise OutboundError("egress_denied", f"port {port} may not be called: {among}", hint=hint, url=url)

    def check(self, host: str, address: str, *, url: str) -> None:
        """Whether the policy lets a call go to this address of this host. Raises ``egress_denied``."""
        given = ipaddress.ip_address(address)
        for judged in _faces(given):
            reason = self._reason(host.rstrip(".").lower(), judged, given=given)
            if reason:
                where = f"{host} is {address}, which" if host != address else address
                hint = _LOOPBACK_HINT if LOOPBACK in reason else "" if reason == _DENIED else _ALLOW_HINT
                raise OutboundError("egress_denied", f"{where} may not be called: {reason}", hint=hint, url=url)

    def _reason(self, host: str, address: Address, *, given: Address) -> str:
        """Why not; empty when it may."""
        if self._deny.holds_host(host) or self._deny.holds(address) or self._deny.holds(given):
            return _DENIED
        if self._policy.only and not (self._only.holds_host(host) or self._only.holds(address)):
            return "the egress policy names what may be called, and this is not among it"
        reason = _kind(address)
        if not reason or self._allow.holds(address) or (reason == LOOPBACK and self._policy.allow_loopback):
            return ""
        by_host = reason not in {LINK, MULTICAST} and self._allow.holds_host(host)
        return "" if by_host else f"it is {reason}"


class _Entries:
    """The entries of one list: exact hosts, ends of hosts, networks."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        self._hosts: set[str] = set()
        self._ends: list[str] = []
        self._networks: list[Network] = []
        for entry in entries:
            text = entry.strip().rstrip(".").lower()
            try:
                self._networks.append(ipaddress.ip_network(text.strip("[]"), strict=False))
                continue
            except ValueError:
                pass
            if not text.isascii():
                text = _in_ascii(text)
            if _HOST.fullmatch(text) is None:
                hint = "write api.internal, *.example.org, 10.1.2.3 or 10.1.0.0/16"
                message = f"{entry!r} in the egress policy is neither a host, an address, nor a network"
                raise DefinitionError("bad_egress_policy", message, hint=hint)
            if text.startswith("*."):
                self._ends.append(text[1:])
            else:
                self._hosts.add(text)

    def holds_host(self, host: str) -> bool:
        return host in self._hosts or any(host.endswith(end) for end in self._ends)

    def holds(self, address: Address) -> bool:
        return any(address.version == network.version and address in network for network in self._networks)


def _in_ascii(host: str) -> str:
    """The name as it is looked up and judged; nothing for what is none."""
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return ""


def _kind(address: Address) -> str:
    """Why an address is not public; empty when it is."""
    for network, reason in _REFUSED:
        if address.version == network.version and address in network:
            return reason
    if isinstance(address, IPv6Address) and address not in _PUBLIC_V6:
        return "not public"
    return ""


def _faces(address: Address) -> tuple[Address, ...]:
    """What is judged: the address; the IPv4 one that it only spells in another way; or it and the one that it leads to."""
    if isinstance(address, IPv4Address):
        return (address,)
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None or address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return (low,)
    if address.sixtofour is not None:
        return (address, address.sixtofour)
    return (address, low) if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP else (address,)
