"""Bad input of the catalogue in the research on reliability, 4.1, by its numbers: each ends soon, by name, with its place.

Those of the net are D46 to D56; the rest is what an answer may hold (A1 to A15).
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from taskengine import EgressPolicy, Engine
from taskengine.errors import DefinitionError
from tests.http.names import Names
from tests.http.server import Received, Server, answer, serving, tls_of
from tests.http.steps import bounded, failed, one, perform

INSIDE = Names(
    **{
        "127.0.0.1.nip.example": [["127.0.0.1"]],
        "localhost": [["127.0.0.1", "::1"]],
        "localhost.": [["127.0.0.1"]],
        "metadata.google.internal": [["169.254.169.254"]],
        "mapped.example": [["::ffff:10.0.0.1"]],
    }
)
LATER = "{{ input.url }}"  # what a template gives is not seen by the check of the document


async def refused(url: str, **more: Any) -> str:
    return (await failed({"url": LATER}, params={"url": url}, policy=EgressPolicy(), **more)).type


# D46 to D48: addresses


@pytest.mark.parametrize(
    "host", ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "0x7f000001", "127.0.0.1.1", "1.2.3.256", "00.0.0.0"]
)
async def test_d46_addresses_in_notations_of_their_own_are_not_guessed_at(host: str) -> None:
    with bounded():
        assert await refused(f"http://{host}/") == "InvalidUrl"


@pytest.mark.parametrize("host", list(INSIDE.answers))
async def test_d46_names_that_mean_what_is_inside_are_judged_by_their_addresses(host: str) -> None:
    with bounded():
        assert await refused(f"http://{host}/", resolver=INSIDE) == "EgressDenied"


@pytest.mark.parametrize("host", ["[::1]", "[::ffff:169.254.169.254]", "[64:ff9b::7f00:1]", "0.0.0.0", "[::]", "169.254.169.254"])
async def test_d47_addresses_of_this_machine_and_of_metadata_are_not_called(host: str) -> None:
    with bounded():
        assert await refused(f"http://{host}/latest/meta-data/") == "EgressDenied"


async def test_d47_an_address_with_an_interface_is_refused() -> None:
    assert await refused("http://[fe80::1%25eth0]/") == "InvalidUrl"


URLS = [
    "http://good@evil.example/",
    "http://good:pw@evil.example/",
    "http://good\\@evil.example/",
    "http://evil.example\\.good.example/",
    "http://a\tb.example/",
    "http://a.example/\npath",
    "http://a.example/\r\nX: y",
    "http://a.example/\x00",
    "http://a%00b.example/",
    "http://a%0d%0ab.example/",
    "http://a b.example/",
    "http://ⓔxample.com/",
    "http://a..example/",
    "http://-a.example/",
    "http:///path",
    "http://:80/",
    "//a.example/",
    "a.example/",
    "http://a.example:99999/",
    "http://a.example:0/",
    "http://" + "a" * 64 + ".example/",
    "http://a.example/" + "a" * 10_000,
    "",
    " ",
]


@pytest.mark.parametrize("url", URLS, ids=[str(number) for number in range(len(URLS))])
async def test_d48_urls_that_two_readers_read_in_two_ways_are_refused(url: str) -> None:
    with bounded():
        assert await refused(url) in {"InvalidUrl", "ValidationError"}


async def test_d48_what_stands_after_a_hash_is_no_host(server: Server) -> None:
    server.on("/", answer(body=b"here"))
    result = await perform({"url": f"{server.url}/#@good.example"})
    assert result.output["body"] == "here"


async def test_d48_full_width_dots_are_dots() -> None:
    assert await refused("http://127。0。0。1/") == "EgressDenied"


# Where redirects lead: 49


@pytest.mark.parametrize(
    ("location", "kind"),
    [
        ("file:///etc/passwd", "InvalidUrl"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "InvalidUrl"),
        ("http://169.254.169.254/latest/", "EgressDenied"),
        ("http://[::ffff:a9fe:a9fe]/", "EgressDenied"),
        ("//10.0.0.1/", "EgressDenied"),
        ("http://127.0.0.1:22/", "EgressDenied"),
        ("http://me@127.0.0.1/", "InvalidUrl"),
        ("/", "TooManyRedirects"),
        ("?again", "TooManyRedirects"),
        ("http://\\evil", "InvalidUrl"),
        ("/a\\b", "InvalidUrl"),
        ("/a\tb", "InvalidUrl"),
    ],
)
async def test_d49_a_redirect_leads_to_no_other_place_than_a_call_could(server: Server, location: str, kind: str) -> None:
    with bounded():
        error = await failed({"url": server.on("/", answer(302, headers=(("Location", location),)))})
    assert (error.type, error.bases) == (kind, ("HttpError",))


async def test_d49_twenty_one_hops_are_too_many(server: Server) -> None:
    for hop in range(22):
        server.on(f"/{hop}", answer(302, headers=(("Location", f"/{hop + 1}"),)))
    error = await failed({"url": f"{server.url}/0", "max_redirects": 20})
    assert (error.type, len(server.received)) == ("TooManyRedirects", 21)


async def test_d49_what_was_protected_does_not_go_on_unprotected(server: Server, certificate: Path) -> None:
    async with serving(tls=tls_of(certificate)) as secure:
        url = secure.on("/", answer(302, headers=(("Location", server.on("/plain", answer())),)))
        error = await failed({"url": url, "verify": False, "auth": {"type": "bearer", "token": "t0ken"}})
    assert (error.type, server.received) == ("RedirectRefused", [])


# What names mean: 50


async def test_d50_a_name_that_changes_its_mind_is_believed_once(server: Server) -> None:
    names = Names(rebinding=[["127.0.0.1"], ["10.0.0.1"]])
    server.on("/", answer(body=b"once"))
    result = await perform({"url": f"http://rebinding:{server.port}/"}, resolver=names)
    assert (result.output["body"], names.asked) == ("once", ["rebinding"])


@pytest.mark.parametrize("addresses", [[], [f"8.8.{number // 250}.{number % 250}" for number in range(100)]])
async def test_d50_a_name_with_no_or_a_hundred_addresses_is_refused(addresses: list[str]) -> None:
    with bounded():
        assert await refused("http://many.example/", resolver=Names(**{"many.example": [addresses]})) == "NameNotResolved"


async def test_d50_a_name_that_nobody_knows_is_named() -> None:
    with bounded():
        error = await failed({"url": "http://nowhere.example/"}, resolver=Names())
    assert (error.type, "nowhere.example" in error.message) == ("NameNotResolved", True)


async def test_d50_a_lookup_without_an_end_is_ended_by_the_steps_timeout() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        raise AssertionError

    with bounded():
        result = await perform({"url": "http://slow.example/"}, resolver=never, timeout_ms=50)
    assert (result.error.type, result.outcome) == ("Timeout", "timed_out")


# Which ports are called: 51


@pytest.mark.parametrize("port", [22, 25, 6379, 11211])
async def test_d51_ports_of_other_protocols_are_not_called(port: int) -> None:
    error = await failed({"url": LATER}, params={"url": f"http://127.0.0.1:{port}/%0d%0aFLUSHALL"})
    assert error.type == "EgressDenied"


async def test_d51_line_breaks_stay_in_the_url_they_are_written_in(server: Server) -> None:
    server.on("/a%0d%0aX-Evil:%201", answer(body=b"one line"))
    result = await perform({"url": f"{server.url}/a%0d%0aX-Evil:%201", "query": {"q": "a\r\nX-Evil: 2"}})
    assert result.output["body"] == "one line"
    assert "x-evil" not in server.received[0].headers


# What comes back: 52


async def endless(writer: asyncio.StreamWriter, piece: bytes) -> None:
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n"])
async def test_d52_a_body_without_an_end_is_cut(server: Server, head: bytes) -> None:
    async def write(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        await endless(writer, b"x" * 65_536)

    with bounded():
        error = await failed({"url": server.on("/", write)})
    assert error.type == "ResponseTooLarge"
    assert "max_response_bytes" in error.message


@pytest.mark.parametrize(
    ("opening", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
    ],
    ids=["body", "headers", "continue", "chunk extension"],
)
async def test_d52_what_only_drips_is_ended_by_the_steps_timeout(server: Server, opening: bytes, piece: bytes) -> None:
    async def drip(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(opening)
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)

    with bounded():
        result = await perform({"url": server.on("/", drip)}, timeout_ms=200)
    assert result.error.type == "Timeout"


async def test_d52_continue_without_an_end_takes_no_memory(server: Server) -> None:
    async def flood(_: Received, writer: asyncio.StreamWriter) -> None:
        await endless(writer, b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000)

    with bounded():
        result = await perform({"url": server.on("/", flood)}, timeout_ms=300)
    assert result.error.type == "Timeout"


@pytest.mark.parametrize("layers", [1, 2])
async def test_d52_a_body_that_unpacks_to_a_hundred_megabytes_is_cut(server: Server, layers: int) -> None:
    packing = zlib.compressobj(wbits=31)  # in pieces: this process must not have had the memory before
    bomb = b"".join(packing.compress(b"\0" * 1_000_000) for _ in range(100)) + packing.flush()
    for _ in range(layers - 1):
        bomb = gzip.compress(bomb)
    headers = (("Content-Encoding", ", ".join(["gzip"] * layers)),)
    with bounded():
        error = await failed({"url": server.on("/", answer(body=bomb, headers=headers))})
    assert error.type == ("ResponseTooLarge" if layers == 1 else "InvalidResponse")


async def test_d52_text_that_is_no_utf8_is_read_as_far_as_it_goes(server: Server) -> None:
    result = await perform({"url": server.on("/", answer(body=b"a\xffb", kind="text/plain; charset=utf-8"))})
    assert result.output["body"] == "a\ufffdb"


async def test_d52_a_login_page_with_200_is_a_page_and_no_json(server: Server) -> None:
    url = server.on("/", answer(body=b"<html>log in</html>", kind="text/html"))
    assert "json" not in (await perform({"url": url})).output
    error = await failed({"url": url, "success_when": "json.ok"})
    assert (error.type, "ExpressionError" in error.bases, "success_when" in error.message) == ("HttpError", True, True)


@pytest.mark.parametrize(
    "headers",
    [
        (("X-Huge", "x" * 10_000_000),),
        tuple(("Set-Cookie", f"a{number}={'b' * 1_000}") for number in range(5_000)),
        tuple(("Set-Cookie", f"a{number}={'b' * 1_000}") for number in range(80)),
    ],
    ids=["one of 10 MB", "5,000 cookies", "80 cookies"],
)
async def test_d52_headers_without_measure_are_refused(server: Server, headers: tuple[tuple[str, str], ...]) -> None:
    content = answer(headers=headers)
    with bounded():
        error = await failed({"url": server.on("/", content)})
    assert (error.type, "headers" in error.message) == ("ResponseTooLarge", True)


# D53, D54, D56: schemes, headers, framing


@pytest.mark.parametrize("url", ["unix:/var/run/docker.sock", "gopher://a/", "ftp://a/", "data:text/plain,x", "file:///etc/passwd"])
async def test_d53_only_http_and_https_are_called(url: str) -> None:
    assert await refused(url) in {"InvalidUrl", "ValidationError"}
    with pytest.raises(DefinitionError, match="cannot be called"):
        await perform({"url": url})


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Connection", "Proxy-Authorization", "Upgrade"])
async def test_d54_headers_that_say_where_a_request_goes_are_ours(server: Server, name: str) -> None:
    with pytest.raises(DefinitionError, match="made from the URL"):
        await perform({"url": server.url, "headers": {name: "evil.example"}})


@pytest.mark.parametrize("value", ["a\nX-Evil: 1", "a\r\n\r\nGET / HTTP/1.1", "a\0b", "x" * 10_000])
async def test_d56_a_header_that_would_be_two_is_not_sent(server: Server, value: str) -> None:
    config = {"url": server.url, "headers": {"X-Given": "{{ input.value }}"}}
    with bounded():
        error = await failed(config, params={"value": value})
    assert (error.type, "config.headers" in error.message, server.received) == ("ValidationError", True, [])


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nabcde",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"<html>not http</html>\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\n",
    ],
    ids=range(11),
)
async def test_d56_answers_that_are_framed_in_no_way_are_refused(server: Server, head: bytes) -> None:
    with bounded():
        error = await failed({"url": server.on("/", head)})
    assert error.type == "InvalidResponse"


async def test_d56_length_and_chunks_together_are_read_as_chunks_and_the_connection_is_let_go(server: Server) -> None:
    both = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n"
    assert (await perform({"url": server.on("/", both)})).output["body"] == "abcde"


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", b"HTTP/1.1 200 OK\r\nContent-"])
async def test_d56_an_answer_that_breaks_off_is_no_answer(server: Server, sent: bytes) -> None:
    async def break_off(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        writer.close()

    error = await failed({"url": server.on("/", break_off)})
    assert error.type == "ConnectionLost"


# A1 to A15: what an answer holds


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[" * 100_000, "ResponseTooDeep"),
        (b"[" * 61 + b"]" * 61, "ResponseTooDeep"),
        (b'{"a":' * 100_000, "ResponseTooDeep"),
    ],
    ids=range(3),
)
async def test_a1_json_without_a_floor_is_refused(server: Server, body: bytes, kind: str) -> None:
    with bounded():
        error = await failed({"url": server.on("/", answer(body=body, kind="application/json"))})
    assert error.type == kind


@pytest.mark.parametrize("body", [b"NaN", b"Infinity", b'"\\ud800"', b"\xff", b"", b"{", b"'a'", b'{"a":1}{"b":2}'])
async def test_a3_what_says_that_it_is_json_and_is_not_has_no_json(server: Server, body: bytes) -> None:
    with bounded():
        result = await perform({"url": server.on("/", answer(body=body, kind="application/json"))})
    assert (result.error, "json" in result.output) == (None, False)


@pytest.mark.parametrize("body", [b"9" * 5_000, b"1e400", b"-0", b"9007199254740993", b'"a\\u0000b"', b"null", b"[]"])
async def test_a2_numbers_and_texts_at_the_edge_are_kept_or_left_out_but_never_break_a_result(server: Server, body: bytes) -> None:
    with bounded():
        result = await perform({"url": server.on("/", answer(body=body, kind="application/json"))})
    assert (result.error, result.output["status_code"]) == (None, 200)


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b'\xef\xbb\xbf{"a":1}', "application/json", '\ufeff{"a":1}'),
        ("ä".encode("utf-16"), "text/plain; charset=utf-16", "ä"),
        ("ä".encode("latin-1"), "text/plain; charset=latin-1", "ä"),
        (b"+AOQ-", "text/plain; charset=utf-7", "+AOQ-"),
        (b"a" * 100_000, "text/plain; charset=punycode", "a" * 100_000),
        (b"00ff", "text/plain; charset=hex", "00ff"),
    ],
)
async def test_a9_and_a13_only_charsets_of_the_net_are_read(server: Server, body: bytes, kind: str, text: str) -> None:
    with bounded():
        result = await perform({"url": server.on("/", answer(body=body, kind=kind))})
    assert result.output["body"] == text


async def test_a9_json_behind_a_byte_order_mark_is_json(server: Server) -> None:
    result = await perform({"url": server.on("/", answer(body=b'\xef\xbb\xbf{"a":1}', kind="application/json"))})
    assert result.output["json"] == {"a": 1}


@pytest.mark.parametrize(
    ("coding", "body"),
    [("gzip", b"plain"), ("br", b"x"), ("zstd", b"x"), ("gzip", gzip.compress(b"whole" * 100, mtime=0)[:-9]), ("x\x80", b"x")],
    ids=["plain", "br", "zstd", "cut", "no_name"],  # else a body would be the name, which has to be the same in every process
)
async def test_a12_a_body_that_is_not_packed_as_it_says_is_refused(server: Server, coding: str, body: bytes) -> None:
    error = await failed({"url": server.on("/", answer(body=body, headers=(("Content-Encoding", coding),)))})
    assert error.type == "InvalidResponse"


async def test_a15_a_hundred_thousand_parameters_are_too_long_a_url() -> None:
    with bounded():
        error = await failed({"url": "http://a.example/", "query": {"id": "{{ input.ids }}"}}, params={"ids": list(range(100_000))})
    assert error.type == "InvalidUrl"


async def test_a_workflow_that_cannot_call_is_refused_before_it_starts() -> None:
    async with Engine(":memory:") as engine:
        with pytest.raises(DefinitionError) as caught:
            await engine.deploy(one({"url": "http://good\\@evil/"}))
    assert caught.value.name == "bad_url"
