"""The ``http`` step in a real engine: what it sends, what it gives, when it fails, how it is stopped, what it keeps to itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from taskengine import Engine, NodeSettings, Step, Workflow
from taskengine.define import load_text
from taskengine.model.codec import decode_event
from taskengine.model.event import Event, TaskRetryScheduled
from taskengine.model.status import Status
from taskengine.ports.secrets import Secrets
from tests.http.server import Received, Script, Server, answer, json_answer
from tests.http.steps import OPEN, failed, one, perform


def after(failures: int, failure: bytes, success: bytes) -> Script:
    """Fail so often, then succeed."""
    count = 0

    async def script(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        writer.write(failure if count <= failures else success)

    return script


async def events_of(engine: Engine, execution_id: str) -> list[Event]:
    return [decode_event(one.body) for one in await engine.store.events(execution_id, after=0, limit=100)]


SECRET = "{{ secrets.pass_word }}"


class Safe(Secrets):
    """Secrets of a test."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def where(self, name: str) -> str:
        return f"give the test {name}"


# The request


async def test_a_document_says_what_is_sent(server: Server) -> None:
    server.on("/items", json_answer({"id": 7}, status=201))
    text = f"""
        name: send
        output: "{{{{ steps.create.output }}}}"
        steps:
          - id: create
            type: http
            config:
              method: post
              url: "{server.url}/items"
              query: {{page: 1, tag: [a, "b c"], none: null, flag: true}}
              headers: {{X-Name: "{{{{ input.name }}}}"}}
              json: {{name: "{{{{ input.name }}}}", price: 1.5}}
              timeout: 30s
            input_mapping: {{more: "{{{{ input.name }}}}"}}
    """
    async with Engine(":memory:", egress=OPEN) as engine:
        execution = await engine.execute_workflow(load_text(text, file="send.yaml").require(), params={"name": "it's {{ odd }}"})
        result = await execution.result(timeout=30)
    (request,) = server.received
    assert result.error is None
    assert result.output["json"] == {"id": 7}
    assert request.method == "POST"
    assert request.target == "/items?flag=true&page=1&tag=a&tag=b%20c&more=it%27s%20%7B%7B%20odd%20%7D%7D"
    assert request.headers["x-name"] == "it's {{ odd }}"
    assert request.headers["content-type"] == "application/json"
    assert request.body == b'{"name":"it\'s {{ odd }}","price":1.5}'
    assert request.headers["idempotency-key"] == execution.id + "/create/"


@pytest.mark.parametrize(
    ("config", "body", "kind"),
    [
        ({"body": "text"}, b"text", "text/plain; charset=utf-8"),
        ({"body": {"a": [1]}}, b'{"a":[1]}', "application/json"),
        ({"json": "text"}, b'"text"', "application/json"),
        ({"form": {"a": "1 2", "b": [1, 2]}}, b"a=1%202&b=1&b=2", "application/x-www-form-urlencoded"),
        ({"body": "<a/>", "headers": {"content-type": "text/xml"}}, b"<a/>", "text/xml"),
    ],
)
async def test_bodies_of_every_kind_arrive(server: Server, config: dict[str, Any], body: bytes, kind: str) -> None:
    await perform({"url": server.on("/", answer()), "method": "PUT", **config})
    (request,) = server.received
    assert (request.body, request.headers["content-type"]) == (body, kind)


@pytest.mark.parametrize(
    ("auth", "target", "header", "value"),
    [
        (
            {"type": "basic", "username": "me", "password": "{{ secrets.pass_word }}"},
            "/",
            "authorization",
            "Basic bWU6aHVudGVyMjI=",
        ),
        ({"type": "bearer", "token": SECRET}, "/", "authorization", "Bearer hunter22"),
        ({"type": "header", "name": "X-Token", "value": SECRET}, "/", "x-token", "hunter22"),
        ({"type": "api_key", "value": SECRET}, "/", "x-api-key", "hunter22"),
        ({"type": "api_key", "in": "query", "name": "key", "value": SECRET}, "/?key=hunter22", "accept", "*/*"),
    ],
)
async def test_credentials_are_sent_and_seen_nowhere_else(
    server: Server, auth: dict[str, str], target: str, header: str, value: str
) -> None:
    async def echo(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(
            answer(400 if request.method == "GET" else 200, str(request).encode(), headers=(("X-Echo", str(request.headers)),))
        )

    url = server.on("/", echo)
    async with Engine(":memory:", egress=OPEN, secrets=Safe(pass_word="hunter22")) as engine:
        for method in ("GET", "POST"):
            execution = await engine.execute_workflow(one({"url": url, "auth": auth, "method": method}))
            result = await execution.result(timeout=30)
            events = await engine.store.events(execution.id, after=0, limit=100)
            kept = repr(result) + repr(events) + repr(await engine.logs(execution.id))
            assert not [secret for secret in ("hunter22", "bWU6aHVudGVyMjI=") if secret in kept]
    assert [(one.target, one.headers[header]) for one in server.received] == [(target, value)] * 2


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"method": "POST"}, "{id}/call/"),
        ({"method": "DELETE"}, "{id}/call/"),
        ({"method": "GET"}, None),
        ({"method": "POST", "idempotency_key": False}, None),
        ({"method": "GET", "idempotency_key": "order-1"}, "order-1"),
        ({"method": "POST", "headers": {"idempotency-key": "mine"}}, "mine"),
    ],
)
async def test_what_changes_something_carries_a_key(server: Server, config: dict[str, Any], key: str | None) -> None:
    result = await perform({"url": server.on("/", answer()), **config})
    assert server.received[0].headers.get("idempotency-key") == (key and key.format(id=result.execution_id))


# The answer


async def test_the_output_is_what_came_back(server: Server) -> None:
    headers = (("X-Two", "a"), ("X-Two", "b"), ("Set-Cookie", "session=secret"))
    result = await perform({"url": server.on("/", json_answer({"a": [1]}, headers=headers))})
    assert result.output == {
        "status_code": 200,
        "headers": {"content-type": "application/json", "content-length": "9", "x-two": "a, b"},
        "body": '{"a":[1]}',
        "json": {"a": [1]},
    }


async def test_what_is_no_text_is_base64_and_says_so(server: Server) -> None:
    output = (await perform({"url": server.on("/", answer(body=b"\x89PNG\xff", kind="image/png"))})).output
    assert (output["body"], output["is_base64"]) == ("iVBOR/8=", True)


@pytest.mark.parametrize(
    ("status", "attempts"),
    [(400, 1), (401, 1), (404, 1), (501, 1), (408, 3), (425, 3), (429, 3), (500, 3), (502, 3), (503, 3), (504, 3)],
)
async def test_only_a_status_that_may_pass_is_tried_again(server: Server, status: int, attempts: int) -> None:
    error = await failed({"url": server.on("/", answer(status, b"no"))}, attempts=3)
    assert (error.type, len(server.received)) == ("HttpError", attempts)
    assert f"answered {status}: no" in error.message
    assert error.matches((f"Http{status}",))
    assert error.matches((f"Http{status // 100}xx",))


async def test_retries_by_status_can_be_chosen(server: Server) -> None:
    url = server.on("/", after(2, answer(404), answer(body=b"there")))
    assert (await perform({"url": url, "retry_on": [404]}, attempts=3)).output["body"] == "there"
    await failed({"url": server.on("/busy", answer(503)), "retry_on": []}, attempts=3)
    assert len(server.asked("/busy")) == 1


@pytest.mark.parametrize(
    ("url", "kind"),
    [("http://10.0.0.1/", "EgressDenied"), ("{{ input.bad }}", "InvalidUrl"), ("http://127.0.0.1:1/", "EgressDenied")],
)
async def test_what_no_attempt_could_change_is_tried_once(url: str, kind: str) -> None:
    async with Engine(":memory:", egress=OPEN) as engine:
        execution = await engine.execute_workflow(one({"url": url}, attempts=5), params={"bad": "http://a b/"})
        result = await execution.result(timeout=30)
        events = await engine.store.events(execution.id, after=0, limit=100)
    assert result.error is not None
    assert (result.error.type, "TaskRetryScheduled" in repr(events)) == (kind if kind != "InvalidUrl" else "ValidationError", False)


async def test_every_attempt_sends_the_same_key(server: Server) -> None:
    url = server.on("/", after(2, answer(503), answer()))
    result = await perform({"url": url, "method": "POST"}, attempts=3)
    assert {one.headers["idempotency-key"] for one in server.received} == {result.execution_id + "/call/"}
    assert len(server.received) == 3


@pytest.mark.parametrize(
    ("pause", "milliseconds"),
    [
        ("7", 7_000),
        ("99999999", 3_600_000),
        ("Wed, 21 Oct 2026 07:28:30 GMT", 30_000),
        ("Wed, 21 Oct 2020 07:28:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
    ],
)
async def test_the_pause_that_was_asked_for_is_made_at_least(server: Server, pause: str, milliseconds: int) -> None:
    headers = (("Retry-After", pause), ("Date", "Wed, 21 Oct 2026 07:28:00 GMT"))
    url = server.on("/", answer(503, headers=headers))
    async with Engine(":memory:", egress=OPEN) as engine:
        execution = await engine.execute_workflow(one({"url": url}, attempts=2))
        while not (
            scheduled := [event for event in await events_of(engine, execution.id) if isinstance(event, TaskRetryScheduled)]
        ):
            await asyncio.sleep(0)
        await engine.cancel_instance(execution.id)
    assert milliseconds <= scheduled[0].due_at - scheduled[0].at <= milliseconds + 2


@pytest.mark.parametrize(
    ("condition", "is_good"),
    [
        ("status_code == 404", True),
        ("json.state == 'done'", True),
        ("json.state == 'failed'", False),
        ("headers['x-state'] == 'fine' and body|length > 3", True),
        (True, True),
        (False, False),
    ],
)
async def test_success_is_what_the_step_says(server: Server, *, condition: object, is_good: bool) -> None:
    url = server.on("/", json_answer({"state": "done"}, status=404, headers=(("X-State", "fine"),)))
    result = await perform({"url": url, "success_when": condition})
    assert (result.status is Status.COMPLETED) == is_good
    if not is_good:
        assert result.error.type == "HttpError"


async def test_a_condition_that_is_not_met_yet_is_tried_again(server: Server) -> None:
    url = server.on("/", after(2, json_answer({"state": "running"}), json_answer({"state": "done"})))
    result = await perform({"url": url, "success_when": "json.state == 'done'"}, attempts=5)
    assert (result.status, len(server.received)) == (Status.COMPLETED, 3)


async def test_a_failed_call_can_be_handled(server: Server) -> None:
    call = Step(id="call", type="http", config={"url": server.on("/", answer(404))})
    after_it = Step(id="after", type="noop", depends_on=("call",), join="any_failed", handles=("Http404",))  # pyright: ignore[reportArgumentType]
    async with Engine(":memory:", egress=OPEN) as engine:
        result = await (await engine.execute_workflow(Workflow(name="w", steps=(call, after_it)))).result(timeout=30)
    assert result.status is Status.COMPLETED


async def test_an_answer_beyond_the_payload_is_refused_by_name(server: Server) -> None:
    url = server.on("/", answer(body=b"x" * 3_000))
    async with Engine(":memory:", egress=OPEN, settings=NodeSettings(max_payload=2_000)) as engine:
        result = await (await engine.execute_workflow(one({"url": url}))).result(timeout=30)
    assert result.error is not None
    assert result.error.type == "PayloadTooLarge"
    assert (await failed({"url": url, "max_response_bytes": 2_999})).type == "ResponseTooLarge"
    assert (await perform({"url": url, "max_response_bytes": 3_000})).error is None


# Pages


def pages(server: Server, count: int, link: Callable[[int], dict[str, Any]]) -> str:
    """So many pages of two items; ``link`` says what page n tells of the next one."""

    async def script(request: Received, writer: asyncio.StreamWriter) -> None:
        number = int(request.target.partition("page=")[2] or 1)
        told = link(number) if number < count else {}
        headers = tuple(told.pop("headers", ()))
        writer.write(json_answer({"data": {"items": [number * 10, number * 10 + 1]}, **told}, headers=headers))

    return server.on("/list", script)


LINKS: dict[str, tuple[dict[str, Any], Callable[[int], dict[str, Any]]]] = {
    "relative": ({"next": "json.next"}, lambda page: {"next": f"?page={page + 1}"}),
    "mark": ({"next": "json.cursor.after", "param": "page"}, lambda page: {"cursor": {"after": page + 1}}),
    "header": ({"next": "headers.x-next"}, lambda page: {"headers": [("X-Next", f"/list?page={page + 1}")]}),
    "link": (
        {"next": "link"},
        lambda page: {"headers": [("Link", f'</list?page=1>; rel="first", </list?page={page + 1}>; title="a, b"; rel="next"')]},
    ),
}


@pytest.mark.parametrize("kind", LINKS)
async def test_pages_are_followed_to_the_last_one(server: Server, kind: str) -> None:
    paging, link = LINKS[kind]
    result = await perform({"url": pages(server, 3, link), "pagination": {"items": "json.data.items", **paging}})
    assert result.error is None
    output = result.output
    assert (output["items"], output["pages"], output["is_complete"]) == ([10, 11, 20, 21, 30, 31], 3, True)
    assert "body" not in output


@pytest.mark.parametrize(
    ("bound", "items", "count"),
    [({"max_pages": 2}, [10, 11, 20, 21], 2), ({"max_items": 3}, [10, 11, 20], 2), ({"max_items": 2}, [10, 11], 1)],
)
async def test_pages_end_where_they_are_bounded(server: Server, bound: dict[str, int], items: list[int], count: int) -> None:
    paging, link = LINKS["relative"]
    result = await perform({"url": pages(server, 5, link), "pagination": {"items": "json.data.items", **paging, **bound}})
    assert (result.output["items"], result.output["pages"], result.output["is_complete"]) == (items, count, False)
    assert len(server.received) == count


@pytest.mark.parametrize(
    ("told", "kind", "words"),
    [
        ({"next": "/list"}, "InvalidResponse", "leads back"),
        ({"next": "http://127.0.0.2:8000/list"}, "RedirectRefused", "another origin"),
        ({"next": "file:///etc/passwd"}, "InvalidUrl", "scheme"),
        ({"next": ["a"]}, "InvalidResponse", "neither a URL nor a mark"),
        ({"data": {"items": "none"}}, "InvalidResponse", "no list at json.data.items"),
        ({"data": None}, "InvalidResponse", "no list at json.data.items"),
    ],
)
async def test_pages_that_lie_are_named(server: Server, told: dict[str, Any], kind: str, words: str) -> None:
    url = pages(server, 9, lambda _: dict(told))
    error = await failed({"url": url, "pagination": {"next": "json.next", "items": "json.data.items", "max_pages": 3}})
    assert (error.type, words in error.message) == (kind, True)


async def test_a_page_that_fails_fails_the_call(server: Server) -> None:
    url = pages(server, 3, lambda _: {"next": "/gone"})
    error = await failed({"url": url, "pagination": {"next": "json.next", "items": "json.data.items"}})
    assert (error.type, "answered 404" in error.message) == ("HttpError", True)


# Control


def hanging(server: Server) -> tuple[str, asyncio.Event, Callable[[], Awaitable[None]]]:
    """A path that never answers: its URL, when it was asked, and what waits until its connection is closed."""
    asked, gone = asyncio.Event(), asyncio.Event()

    async def hang(request: Received, _: asyncio.StreamWriter) -> None:
        asked.set()
        with suppress(ConnectionError):
            await request.reader.read(1)
        gone.set()
        raise ConnectionError

    async def closed() -> None:
        await asyncio.wait_for(gone.wait(), 30)

    return server.on("/hang", hang), asked, closed


async def test_a_cancel_reaches_the_running_call(server: Server) -> None:
    url, asked, closed = hanging(server)
    async with Engine(":memory:", egress=OPEN) as engine:
        execution = await engine.execute_workflow(one({"url": url}))
        await asked.wait()
        await engine.cancel_instance(execution.id)
        result = await execution.result(timeout=30)
        await closed()
        assert (result.status, engine.node.attempts) == (Status.CANCELLED, set())


async def test_a_timeout_reaches_the_running_call_and_may_be_tried_again(server: Server) -> None:
    url, _, closed = hanging(server)
    result = await perform({"url": url}, timeout_ms=100, attempts=2)
    await closed()
    assert result.error is not None
    assert (result.error.type, result.outcome, len(server.received)) == ("Timeout", "timed_out", 2)


async def test_a_stopping_engine_gives_the_call_back_and_another_makes_it_again(server: Server, tmp_path: Any) -> None:
    url, asked, closed = hanging(server)
    store = tmp_path / "work.db"
    async with Engine(store, egress=OPEN, settings=NodeSettings(stop_grace_ms=0)) as engine:
        execution = await engine.execute_workflow(one({"url": url, "method": "POST"}))
        await asked.wait()
    await closed()
    server.on("/hang", answer(body=b"at last"))
    async with Engine(store, egress=OPEN) as engine:
        result = await engine.wait_for_instance(execution.id, timeout=30)
    assert result.output["body"] == "at last"
    assert {one.headers["idempotency-key"] for one in server.received} == {execution.id + "/call/"}


async def test_a_call_that_gives_signs_of_life_is_not_silent(server: Server) -> None:
    async def drip(request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n")
        for _ in range(40):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    workflow = one({"url": server.on("/", drip)}, heartbeat_ms=400)
    async with Engine(":memory:", egress=OPEN) as engine:
        result = await (await engine.execute_workflow(workflow)).result(timeout=30)
    assert result.error is None
