"""The outbound client against a server that may lie: what is sent, what is read, what is followed, what is kept open."""

from __future__ import annotations

import asyncio
import gzip
import socket
import zlib
from pathlib import Path

import pytest

from taskengine.adapters.http import LazyOutbound
from taskengine.errors import OutboundError
from taskengine.ports.outbound import Answer, Call, EgressPolicy
from tests.http.names import Names
from tests.http.server import Received, Server, answer, serving, tls_of


async def get(outbound: LazyOutbound, url: str, **more: object) -> Answer:
    return await outbound.call(Call(method="GET", url=url, **more))  # pyright: ignore[reportArgumentType]


async def refused(outbound: LazyOutbound, url: str, **more: object) -> OutboundError:
    with pytest.raises(OutboundError) as caught:
        await get(outbound, url, **more)
    return caught.value


# What is sent and read


async def test_a_request_arrives_as_it_was_made(server: Server, outbound: LazyOutbound) -> None:
    url = server.on("/a%20b", answer(201, b"made", headers=(("X-One", "1"), ("X-One", "2"))))
    call = Call(method="PUT", url=url + "?x=1&y=%C3%A4", headers=(("X-Key", "v"), ("Accept", "text/plain")), body=b"data")
    got = await outbound.call(call)
    (request,) = server.received
    assert (request.method, request.target, request.body) == ("PUT", "/a%20b?x=1&y=%C3%A4", b"data")
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert (request.headers["x-key"], request.headers["accept"], request.headers["content-length"]) == ("v", "text/plain", "4")
    assert "cookie" not in request.headers
    assert (got.status, got.body) == (201, b"made")
    assert [value for name, value in got.headers if name == "x-one"] == ["1", "2"]


async def test_a_connection_is_used_again_and_is_closed_with_the_client(server: Server, outbound: LazyOutbound) -> None:
    url = server.on("/", answer(body=b"one"))
    assert [(await get(outbound, url)).body for _ in range(5)] == [b"one"] * 5
    assert server.connections == 1
    await outbound.close()
    await server.closed.wait()
    assert (await get(outbound, url)).body == b"one"
    assert server.connections == 2


async def test_a_kept_connection_that_is_gone_is_replaced_for_what_may_be_repeated(server: Server, outbound: LazyOutbound) -> None:
    async def vanish_on_the_second(request: Received, writer: asyncio.StreamWriter) -> None:
        if request.connection == 1 and len(server.received) == 2:
            writer.close()
        else:
            writer.write(answer(body=b"here"))

    url = server.on("/", vanish_on_the_second)
    assert (await get(outbound, url)).body == b"here"
    assert (await get(outbound, url)).body == b"here"
    assert [one.connection for one in server.received] == [1, 1, 2]


async def test_what_may_not_be_repeated_is_sent_once(server: Server, outbound: LazyOutbound) -> None:
    async def vanish_on_the_second(request: Received, writer: asyncio.StreamWriter) -> None:
        if request.method == "POST":
            writer.close()
        else:
            writer.write(answer(body=b"here"))

    url = server.on("/", vanish_on_the_second)
    await get(outbound, url)
    with pytest.raises(OutboundError) as caught:
        await outbound.call(Call(method="POST", url=url, body=b"pay"))
    assert caught.value.name == "connection_lost"
    assert len([one for one in server.received if one.method == "POST"]) == 1


async def test_cookies_are_not_kept(server: Server, outbound: LazyOutbound) -> None:
    url = server.on("/", answer(headers=(("Set-Cookie", "session=1"),)))
    await get(outbound, url)
    await get(outbound, url)
    assert all("cookie" not in one.headers for one in server.received)


async def test_proxies_of_the_environment_are_not_asked(
    server: Server, outbound: LazyOutbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await get(outbound, server.on("/", answer()))).status == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate", "two members"])
async def test_packed_bodies_are_unpacked(server: Server, outbound: LazyOutbound, coding: str) -> None:
    text = b"all work and no play " * 1_000
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(text),
        "deflate": zlib.compress(text),
        "raw deflate": raw.compress(text) + raw.flush(),
        "two members": gzip.compress(text[:100]) + gzip.compress(text[100:]),
    }[coding]
    name = "deflate" if "deflate" in coding else "gzip"
    got = await get(outbound, server.on("/", answer(body=packed, headers=(("Content-Encoding", name),))))
    assert got.body == text


async def test_a_body_in_chunks_and_one_that_ends_with_the_connection_are_whole(server: Server, outbound: LazyOutbound) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"

    async def until_closed(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nto the end")
        await writer.drain()
        writer.close()

    assert (await get(outbound, server.on("/chunked", chunked))).body == b"abcde"
    assert (await get(outbound, server.on("/closed", until_closed))).body == b"to the end"


async def test_head_has_no_body_whatever_its_headers_say(server: Server, outbound: LazyOutbound) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nContent-Encoding: gzip\r\n\r\n"
    got = await outbound.call(Call(method="HEAD", url=server.on("/", head)))
    assert (got.status, got.body) == (200, b"")


# Redirects


async def test_a_redirect_is_followed_and_keeps_method_and_body_where_it_should(server: Server, outbound: LazyOutbound) -> None:
    for status in (301, 302, 303, 307, 308):
        server.on(f"/{status}", answer(status, headers=(("Location", "/end?x=1"),)))
    server.on("/end", answer(body=b"there"))
    seen = []
    for status in (301, 302, 303, 307, 308):
        got = await outbound.call(
            Call(
                method="POST", url=f"{server.url}/{status}", headers=(("Content-Type", "text/plain"), ("X-Key", "k")), body=b"data"
            )
        )
        last = server.received[-1]
        assert (got.body, got.url, last.headers["x-key"]) == (b"there", f"{server.url}/end?x=1", "k")
        seen.append((last.method, last.body, "content-type" in last.headers))
    assert seen == [("GET", b"", False)] * 3 + [("POST", b"data", True)] * 2


async def test_a_redirect_whose_spaces_were_not_escaped_is_followed(server: Server, outbound: LazyOutbound) -> None:
    server.on("/my%20file", answer(body=b"file"))
    assert (await get(outbound, server.on("/", answer(302, headers=(("Location", "/my file"),))))).body == b"file"


async def test_a_redirect_is_an_answer_when_none_may_be_followed(server: Server, outbound: LazyOutbound) -> None:
    got = await get(outbound, server.on("/", answer(302, headers=(("Location", "/x"),))), max_redirects=0)
    assert (got.status, len(server.received)) == (302, 1)


async def test_what_was_given_to_one_origin_is_not_shown_to_another(server: Server, outbound: LazyOutbound) -> None:
    async with serving() as other:
        url = server.on("/", answer(302, headers=(("Location", other.on("/there", answer())),)))
        secrets = ("Authorization", "Cookie", "X-Api-Key", "Private-Token", "Proxy", "Forwarded")
        headers = (*((name, "s3cret") for name in secrets), ("Accept-Language", "zh"), ("Idempotency-Key", "k"))
        await get(outbound, url, headers=headers)
        (shown,) = other.received
    assert "s3cret" not in str(shown)
    assert (shown.headers["accept-language"], shown.headers["idempotency-key"]) == ("zh", "k")


async def test_a_body_is_not_sent_on_to_another_origin(server: Server, outbound: LazyOutbound) -> None:
    async with serving() as other:
        url = server.on("/", answer(307, headers=(("Location", other.on("/there", answer())),)))
        with pytest.raises(OutboundError) as caught:
            await outbound.call(Call(method="POST", url=url, body=b"card number"))
        assert caught.value.name == "redirect_refused"
        assert other.received == []


# Where a connection goes


async def test_a_name_is_looked_up_once_and_the_connection_goes_where_it_was_judged(server: Server) -> None:
    names = Names(rebinding=[["127.0.0.1"], ["169.254.169.254"]])
    outbound = LazyOutbound(EgressPolicy(allow_loopback=True), resolver=names)
    server.on("/", answer(body=b"pinned"))
    got = await get(outbound, f"http://rebinding:{server.port}/")
    assert (got.body, names.asked) == (b"pinned", ["rebinding"])
    assert server.received[0].headers["host"] == f"rebinding:{server.port}"  # the name is still what is asked for
    await outbound.close()
    error = await refused(outbound, f"http://rebinding:{server.port}/")
    assert (error.name, "cloud metadata" in error.message) == ("egress_denied", True)
    assert len(server.received) == 1


async def test_one_address_that_may_not_be_called_spoils_the_name() -> None:
    outbound = LazyOutbound(EgressPolicy(), resolver=Names(mixed=[["8.8.8.8", "10.0.0.1"]]))
    error = await refused(outbound, "http://mixed/")
    assert error.message == "mixed is 10.0.0.1, which may not be called: it is private"


async def test_the_next_address_is_tried_when_one_does_not_answer(server: Server) -> None:
    outbound = LazyOutbound(EgressPolicy(allow_loopback=True), resolver=Names(two=[["127.0.0.9", "127.0.0.1"]]))
    server.on("/", answer(body=b"second"))
    assert (await get(outbound, f"http://two:{server.port}/")).body == b"second"
    await outbound.close()


async def test_each_hop_is_judged_again(server: Server) -> None:
    outbound = LazyOutbound(EgressPolicy(allow=("127.0.0.1",)), resolver=Names(inside=[["10.0.0.1"]]))
    for path, location in (("/name", "http://inside/"), ("/number", "http://127.0.0.2/"), ("/metadata", "http://169.254.169.254/")):
        error = await refused(outbound, server.on(path, answer(302, headers=(("Location", location),))))
        assert error.name == "egress_denied", path
    await outbound.close()


# TLS


async def test_tls_is_agreed_for_the_name_and_refused_by_default_for_who_is_unknown(certificate: Path) -> None:
    context = tls_of(certificate)
    asked: list[str | None] = []
    context.sni_callback = lambda _, name, __: asked.append(name)
    outbound = LazyOutbound(EgressPolicy(allow_loopback=True), resolver=Names(**{"secure.example": [["127.0.0.1"]]}))
    async with serving(tls=context) as server:
        server.on("/", answer(body=b"private"))
        url = f"https://secure.example:{server.port}/"
        error = await refused(outbound, url)
        assert (error.name, "self-signed" in error.message or "self signed" in error.message) == ("tls_failed", True)
        assert server.received == []
        assert (await get(outbound, url, is_verified=False)).body == b"private"
        assert asked == ["secure.example", "secure.example"]
        error = await refused(outbound, url)  # the connection without a check is not used for one that wants it
        assert error.name == "tls_failed"
        await outbound.close()


# Ends


async def test_whoever_is_cancelled_has_closed_the_connection(server: Server, outbound: LazyOutbound) -> None:
    arrived = asyncio.Event()

    async def say_nothing(_: Received, writer: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.Event().wait()

    url = server.on("/", say_nothing)
    task = asyncio.create_task(get(outbound, url))
    await arrived.wait()
    gone = asyncio.get_running_loop().create_future()
    task.add_done_callback(gone.set_result)
    task.cancel()
    await gone
    assert task.cancelled()
    server.on("/next", answer(body=b"fine"))
    assert (await get(outbound, server.url + "/next")).body == b"fine"  # the pool is in order, and the old connection is not in it
    assert server.received[-1].connection == 2


@pytest.mark.parametrize("bound", ["silence_ms", "total_ms"])
async def test_a_silent_server_is_given_up(server: Server, outbound: LazyOutbound, bound: str) -> None:
    async def say_nothing(_: Received, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    error = await refused(outbound, server.on("/", say_nothing), **{bound: 50})
    assert error.name == "call_timed_out"


async def test_something_else_than_http_is_named(server: Server, outbound: LazyOutbound) -> None:
    error = await refused(outbound, server.on("/", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"))
    assert (error.name, bool(error.hint)) == ("invalid_response", True)


async def test_nobody_at_home_is_named(outbound: LazyOutbound) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await refused(outbound, f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert (error.name, "refused" in error.message.lower()) == ("connect_failed", True)


async def test_a_hundred_calls_at_once_do_not_mix(server: Server, outbound: LazyOutbound) -> None:
    async def echo(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(body=request.target.encode()))

    url = server.on("/", echo)
    got = await asyncio.gather(*(get(outbound, f"{url}?n={number}") for number in range(100)))
    assert [one.body.decode() for one in got] == [f"/?n={number}" for number in range(100)]


async def test_the_systems_own_names_are_found_and_a_lookup_that_nobody_waits_for_harms_nothing(server: Server) -> None:
    outbound = LazyOutbound(EgressPolicy(allow_loopback=True))
    server.on("/", answer(body=b"by name"))
    abandoned = asyncio.create_task(get(outbound, f"http://localhost:{server.port}/"))
    await asyncio.sleep(0)
    abandoned.cancel()
    assert (await get(outbound, f"http://localhost:{server.port}/")).body == b"by name"
    error = await refused(outbound, "http://nobody.invalid/")
    assert error.name == "name_not_resolved"
    await outbound.close()
