"""Answers in pages: one call after the other until there is no next one, within bounds. It knows no step and no attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from taskengine.adapters.http.address import read_url
from taskengine.adapters.http.answer import at_path, linked, read_answer
from taskengine.adapters.http.request import Pagination, Request, with_query
from taskengine.errors import OutboundError
from taskengine.model.value import Json, TaskError
from taskengine.ports.outbound import Outbound

__all__ = ["all_pages"]

Judge = Callable[[dict[str, Any]], TaskError | None]
_PATH_SHOWN: Final = 100


async def all_pages(
    outbound: Outbound, request: Request, *, judge: Judge, beat: Callable[[], None], max_bytes: int
) -> dict[str, Any] | TaskError:
    """``{status_code, headers, items, pages, is_complete}``, or why a page is a failure. Raises ``OutboundError``.

    ``is_complete`` is false when ``max_pages`` or ``max_items`` ended it. Pages of another origin are not asked for: a page must
    not say who gets the credentials.
    """
    paging = request.pagination
    assert paging is not None
    items: list[Json] = []
    seen = {request.call.url}
    first = read_url(request.call.url)
    url, size, pages, is_complete = request.call.url, 0, 0, False
    output: dict[str, Any] = {}
    while pages < paging.max_pages:
        pages += 1
        answer = await outbound.call(msgspec.structs.replace(request.call, url=url), on_bytes=beat)
        output = read_answer(answer)
        error = judge(output)
        if error is not None:
            return error
        size += len(answer.body)
        if size > max_bytes:
            message = f"the pages have more than {max_bytes} bytes together"
            raise OutboundError("response_too_large", message, hint="ask for less, or lower max_items", url=first.shown)
        items += _items(output, paging, page=pages, url=first.shown)
        following = linked(output["headers"]) if paging.next == "link" else at_path(output, paging.next)
        is_complete = following in {None, "", False} if not isinstance(following, list | dict) else False
        if is_complete or len(items) >= paging.max_items:
            break
        url = _following(following, paging, base=answer.url, first=request.call.url)
        target = read_url(url)
        if target.origin != first.origin:
            message = f"page {pages} leads to {target.shown}, which is another origin"
            raise OutboundError("redirect_refused", message, url=first.shown)
        if url in seen:
            raise OutboundError("invalid_response", f"page {pages} leads back to a page before it", url=first.shown)
        seen.add(url)
    is_complete = is_complete and len(items) <= paging.max_items
    return {
        "status_code": output["status_code"],
        "headers": output["headers"],
        "items": items[: paging.max_items],
        "pages": pages,
        "is_complete": is_complete,
    }


def _items(output: dict[str, Any], paging: Pagination, *, page: int, url: str) -> list[Json]:
    found = at_path(output, paging.items)
    if isinstance(found, list):
        return found
    message = f"page {page} holds no list at {paging.items[:_PATH_SHOWN]}"
    raise OutboundError("invalid_response", message, hint="check pagination.items", url=url)


def _following(value: Json, paging: Pagination, *, base: str, first: str) -> str:
    """The URL of the next page: what was found, or the first URL with what was found in its parameter."""
    if isinstance(value, list | dict):
        message = f"what stands at {paging.next[:_PATH_SHOWN]} is neither a URL nor a mark"
        raise OutboundError("invalid_response", message, hint="check pagination.next", url=read_url(first).shown)
    text = str(value)
    if paging.param:
        return with_query(first, {paging.param: text})
    return str(read_url(text, base=read_url(base)).url)
