"""The function ``http_request``: an ``http`` step's call for those who name a function. It exists only where it is listed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from taskengine.errors import OutboundError
from taskengine.model.value import Json
from taskengine.ports.context import TaskContext
from taskengine.ports.outbound import Outbound

__all__ = ["HttpError", "http_request_over"]


class HttpError(OutboundError):
    """The other side refused: the status is 400 or above."""


def http_request_over(outbound: Outbound) -> Callable[..., Awaitable[dict[str, Any]]]:
    """The function, bound to the engine's client."""

    async def http_request(
        url: str,
        *,
        method: str = "GET",
        headers: dict[str, str] | None = None,
        body: Json = None,
        timeout: float | str | None = None,  # noqa: ASYNC109 -- the caller's own word; the client keeps it
        ctx: TaskContext | None = None,
    ) -> dict[str, Any]:
        """``{status_code, headers, body, json?}``. ``HttpError`` for a status of 400 and above; a body that is no text is JSON."""
        from taskengine.adapters.http.answer import read_answer
        from taskengine.adapters.http.request import read_request

        config = {"url": url, "method": method, "headers": headers, "body": body, "timeout": timeout}
        key = ctx.idempotency_key if ctx is not None else ""
        request = read_request({**config, "idempotency_key": None if key else False}, key=key, timeout_ms=None)
        output = read_answer(await outbound.call(request.call))
        if output["status_code"] >= 400:  # noqa: PLR2004
            raise HttpError(
                "http_error", f"{request.call.method} {url.partition('?')[0]} answered {output['status_code']}", url=url
            )
        return output

    return http_request
