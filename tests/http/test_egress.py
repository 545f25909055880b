"""Where a call may go: addresses, hosts, ports and lists, as a table."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskengine.adapters.http.egress import Egress
from taskengine.errors import DefinitionError, OutboundError
from taskengine.ports.outbound import EgressPolicy

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "172.15.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
]
REFUSED = [
    *["0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254"],
    *["168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1"],
    *["224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1"],
    *["::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "2001:db8::1", "2001::1", "3fff::1"],
    *[
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
    ],
    *["2001:db8::5efe:7f00:1", "2606:4700::5efe:a00:1", "fe80::5efe:808:808", "4000::1", "8000::1"],
]


def judge(policy: EgressPolicy, address: str, *, host: str = "") -> str:
    try:
        Egress(policy).check(host or address, address, url="http://x/")
    except OutboundError as error:
        return error.message if error.name == "egress_denied" else ""
    return ""


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_may_be_called(address: str) -> None:
    assert judge(EgressPolicy(), address) == ""


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_public_may_not(address: str) -> None:
    assert "may not be called: it is " in judge(EgressPolicy(), address)
    assert "may not be called: it is " in judge(EgressPolicy(), address, host="looks.public.example")


@given(st.ip_addresses())
def test_no_address_that_python_calls_private_gets_through(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    is_let_through = not judge(EgressPolicy(), str(address))
    assert not (is_let_through and (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified))
    if isinstance(address, ipaddress.IPv4Address):
        assert not (is_let_through and address.is_private)
        assert judge(EgressPolicy(), f"::ffff:{address}") == judge(EgressPolicy(), str(address)).replace(
            str(address), f"::ffff:{address}"
        )


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_a_switch_of_its_own(address: str) -> None:
    assert judge(EgressPolicy(allow_loopback=True), address) == ""


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"])
def test_loopback_opens_nothing_else(address: str) -> None:
    assert judge(EgressPolicy(allow_loopback=True), address)


def test_a_network_is_allowed_by_its_numbers_and_only_it() -> None:
    policy = EgressPolicy(allow=("10.1.0.0/16", "fd12::/16", "169.254.1.1"))
    assert [bool(judge(policy, one)) for one in ("10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "169.254.1.1")] == [False] * 4
    assert [bool(judge(policy, one)) for one in ("10.2.0.1", "fd13::1", "169.254.169.254")] == [True] * 3


def test_a_host_that_is_allowed_by_name_may_be_private_but_never_metadata() -> None:
    policy = EgressPolicy(allow=("api.internal", "*.corp.example"))
    assert judge(policy, "10.0.0.1", host="api.internal") == ""
    assert judge(policy, "127.0.0.1", host="API.Internal.") == ""
    assert judge(policy, "192.168.0.1", host="a.b.corp.example") == ""
    assert judge(policy, "169.254.169.254", host="api.internal")
    assert judge(policy, "224.0.0.1", host="api.internal")
    assert judge(policy, "10.0.0.1", host="corp.example")
    assert judge(policy, "10.0.0.1", host="evilcorp.example")
    assert judge(policy, "10.0.0.1", host="api.internal.evil.example")


def test_a_name_in_other_letters_is_the_name_it_is_looked_up_as() -> None:
    assert judge(EgressPolicy(allow=("Bücher.example",)), "10.0.0.1", host="xn--bcher-kva.example") == ""


def test_what_is_denied_stays_denied_whatever_else_allows_it() -> None:
    policy = EgressPolicy(deny=("8.8.8.0/24", "bad.example"), allow=("8.8.8.8", "bad.example"), allow_loopback=True)
    assert "denies it" in judge(policy, "8.8.8.8")
    assert "denies it" in judge(policy, "::ffff:8.8.8.8")
    assert "denies it" in judge(policy, "1.1.1.1", host="bad.example")
    assert judge(policy, "8.8.9.8") == ""


def test_only_closes_everything_else_and_opens_nothing() -> None:
    policy = EgressPolicy(only=("api.example", "1.1.1.0/24"))
    assert judge(policy, "8.8.8.8", host="api.example") == ""
    assert judge(policy, "1.1.1.1", host="one.example") == ""
    assert "not among it" in judge(policy, "8.8.8.8", host="other.example")
    assert judge(policy, "10.0.0.1", host="api.example")  # it would have to be allowed as well


@pytest.mark.parametrize("port", [80, 443, 1024, 3000, 8000, 8080, 8443, 50_000])
def test_ports_that_web_services_use_may_be_called(port: int) -> None:
    Egress(EgressPolicy()).check_port(port, url="http://x/")


@pytest.mark.parametrize("port", [1, 21, 22, 23, 25, 53, 110, 143, 389, 445, 587, 993, 2375, 3306, 5432, 6379, 9092, 11211, 27017])
def test_ports_of_other_protocols_may_not(port: int) -> None:
    with pytest.raises(OutboundError, match=f"port {port} may not be called"):
        Egress(EgressPolicy()).check_port(port, url="http://x/")


def test_listed_ports_are_the_only_ones() -> None:
    egress = Egress(EgressPolicy(ports=(25,)))
    egress.check_port(25, url="http://x/")
    with pytest.raises(OutboundError, match="only 25"):
        egress.check_port(443, url="http://x/")


@pytest.mark.parametrize("entry", ["", "http://x", "a:80", "10.0.0.0/33", "*", "a.*.b", "[::g]", "a b"])
def test_an_entry_that_means_nothing_is_refused_when_the_policy_is_read(entry: str) -> None:
    with pytest.raises(DefinitionError, match="neither a host"):
        Egress(EgressPolicy(allow=(entry,)))
