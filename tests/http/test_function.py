"""The function ``http_request``: it exists where it is listed, and goes through the engine's client."""

from __future__ import annotations

from typing import Any

import pytest

from taskengine import Engine, Step, Workflow
from taskengine.errors import NotFoundError
from tests.http.server import Server, answer, json_answer
from tests.http.steps import OPEN


def call(**params: Any) -> Workflow:
    step = Step(id="a", type="function", config={"function": "http_request", "params": params})
    return Workflow(name="w", steps=(step,), output="{{ steps.a.output }}")


async def test_it_does_not_exist_unless_it_is_listed(server: Server) -> None:
    async with Engine(":memory:", egress=OPEN) as engine:
        with pytest.raises(NotFoundError, match="http_request"):
            await engine.execute_workflow(call(url=server.url))


async def test_it_calls_and_gives_what_came_back(server: Server) -> None:
    url = server.on("/", json_answer({"ok": True}))
    async with Engine(":memory:", egress=OPEN, builtins=("http_request",)) as engine:
        execution = await engine.execute_workflow(call(method="POST", url=url, headers={"X-A": "b"}, body={"n": 1}, timeout=5))
        result = await execution.result(timeout=30)
    (request,) = server.received
    assert result.error is None
    assert (result.output["status_code"], result.output["json"]) == (200, {"ok": True})
    assert (request.body, request.headers["x-a"], request.headers["idempotency-key"]) == (b'{"n":1}', "b", execution.id + "/a/")


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"url": "/refused"}, "HttpError"),
        ({"url": "http://169.254.169.254/"}, "OutboundError"),
        ({"url": "/refused", "method": "NO"}, "DefinitionError"),
    ],
)
async def test_what_goes_wrong_is_an_error_of_the_function(server: Server, params: dict[str, Any], kind: str) -> None:
    server.on("/refused", answer(403))
    url = params["url"] if params["url"].startswith("http") else server.url + params["url"]
    async with Engine(":memory:", egress=OPEN, builtins=("http_request",)) as engine:
        result = await (await engine.execute_workflow(call(**{**params, "url": url}))).result(timeout=30)
    assert result.error is not None
    assert result.error.type == kind
