"""From what a step says to calls: query, headers, credentials, body. Pure.

A document was checked when it was uploaded; `read_request` asks the same rules again of what the templates made of it, and refuses
by name and place.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

import msgspec

from taskengine.define.finding import Problems, Spot
from taskengine.define.http import check_http
from taskengine.define.keys import HTTP
from taskengine.define.place import findings_of
from taskengine.define.spans import read_duration
from taskengine.errors import DefinitionError
from taskengine.model.http import API_KEY_HEADER, RETRY_ON
from taskengine.model.value import Json, encode
from taskengine.ports.outbound import Call

__all__ = ["Pagination", "Request", "read_request", "with_query"]

_NO_KEY: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_KEPT: Final = "-._~"
_MS: Final = 1_000


class Pagination(msgspec.Struct, frozen=True, kw_only=True):
    """How further pages are found: ``next`` is a path into an answer or ``link``; ``param`` takes it when it is no URL."""

    next: str
    items: str
    param: str = ""
    max_pages: int = 100
    max_items: int = 10_000


class _Auth(msgspec.Struct, frozen=True, kw_only=True):
    type: str
    username: str | float = ""
    password: str | float = ""
    token: str | float = ""
    name: str = API_KEY_HEADER
    value: str | float = ""
    place: str = msgspec.field(default="header", name="in")


class _Config(msgspec.Struct, frozen=True, kw_only=True):
    """A config that was checked, without what is none."""

    url: str
    method: str = "GET"
    query: dict[str, Any] = {}
    params: dict[str, Any] = {}
    headers: dict[str, str | float | None] = {}
    auth: _Auth | None = None
    body: Any = None
    json: Any = None
    form: dict[str, Any] | None = None
    timeout: str | float | None = None
    retry_on: frozenset[int] = RETRY_ON
    pagination: Pagination | None = None
    max_response_bytes: int | None = None
    follow_redirects: bool = True
    max_redirects: int | None = None
    verify: bool = True
    idempotency_key: str | bool = True


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A step's call and what is thought of the answer. ``secrets``: texts made of credentials, which nobody may read later."""

    call: Call
    retry_on: frozenset[int]
    pagination: Pagination | None
    secrets: tuple[str, ...]


def read_request(given: Mapping[str, Any], *, key: str, timeout_ms: int | None) -> Request:
    """The request of a rendered config. ``key``: the idempotency key when the config gives none. Raises ``DefinitionError``."""
    config = _checked({name: value for name, value in given.items() if value is not None})
    method = config.method.upper()
    headers = {name: str(value) for name, value in config.headers.items() if value is not None}
    body, kind = _body(config)
    named = {name.lower() for name in headers}
    if kind and "content-type" not in named:
        headers["Content-Type"] = kind
    asked = config.idempotency_key
    if "idempotency-key" not in named and (isinstance(asked, str) or (asked and method not in _NO_KEY)):
        headers["Idempotency-Key"] = asked if isinstance(asked, str) else _ascii(key)
    query = {**config.query, **config.params}
    proof, secrets = _credentials(config.auth) if config.auth is not None else ({}, ())
    if config.auth is not None and config.auth.place == "query":
        query.update(proof)
    else:
        replaced = {name.lower() for name in proof}
        headers = {**{name: value for name, value in headers.items() if name.lower() not in replaced}, **proof}
    bounds: dict[str, int] = {}
    if config.max_response_bytes is not None:
        bounds["max_response_bytes"] = config.max_response_bytes
    if not config.follow_redirects or config.max_redirects is not None:
        bounds["max_redirects"] = (config.max_redirects or 0) if config.follow_redirects else 0
    # The engine ends the attempt when its time is over, and what is said here only bounds a call that nobody ends; unless nobody
    # but the config, of a workflow that is no document, says how long it may take.
    total_ms = timeout_ms + _MS if timeout_ms is not None else None if config.timeout is None else read_duration(config.timeout)
    if total_ms is not None:
        bounds |= {"silence_ms": total_ms, "total_ms": total_ms}
    call = Call(
        method=method,
        url=with_query(config.url, query),
        headers=tuple(headers.items()),
        body=body,
        is_verified=config.verify,
        **bounds,
    )
    return Request(call=call, retry_on=config.retry_on, pagination=config.pagination, secrets=secrets)


def _checked(config: dict[str, Any]) -> _Config:
    problems = Problems()
    at = Spot(problems, ("config",))
    for name in config:
        if name not in HTTP:
            at.below(name).report("unknown_key", key=f'"{name}"', where="config of an http step", advice="")
    check_http(config, at, is_rendered=True)
    if problems.found:
        first = findings_of(problems)[0]
        raise DefinitionError(first.name, f"{first.path}: {first.message}", hint=first.hint)
    if config.get("pagination") is not None:
        config["pagination"] = {name: value for name, value in config["pagination"].items() if value is not None}
    return msgspec.convert(config, _Config)


def with_query(url: str, query: Mapping[str, Any]) -> str:
    """The URL with these parameters behind those it has; a list is one parameter several times, none is no parameter."""
    pairs = _pairs(query)
    if not pairs:
        return url
    plain, mark, fragment = url.partition("#")
    joint = "" if plain.endswith(("?", "&")) else "&" if "?" in plain else "?"
    return f"{plain}{joint}{_escaped(pairs)}{mark}{fragment}"


def _pairs(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        several = cast("list[Json]", value) if isinstance(value, list) else [value]
        pairs += [(name, _written(one)) for one in several if one is not None]
    return pairs


def _escaped(pairs: list[tuple[str, str]]) -> str:
    return urlencode(pairs, quote_via=quote, safe=_KEPT)


def _written(value: Json) -> str:
    return encode(value).decode() if isinstance(value, bool) else str(value)


def _ascii(key: str) -> str:
    """A path may hold any letters, a header may not."""
    return quote(key, safe="/[]" + _KEPT)


def _body(config: _Config) -> tuple[bytes, str]:
    """The body's bytes and what they are. A ``body`` that is no text is JSON."""
    if config.form is not None:
        return _escaped(_pairs(config.form)).encode(), "application/x-www-form-urlencoded"
    if config.json is not None:
        return encode(config.json), "application/json"
    body = config.body
    if body is None:
        return b"", ""
    return (body.encode(), "text/plain; charset=utf-8") if isinstance(body, str) else (encode(body), "application/json")


def _credentials(auth: _Auth) -> tuple[dict[str, str], tuple[str, ...]]:
    """The header or parameter that proves who calls, and the texts in it that must not be read elsewhere."""
    value = str(auth.value)
    match auth.type:
        case "basic":
            pair = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}, (pair, str(auth.password))
        case "bearer":
            return {"Authorization": f"Bearer {auth.token}"}, (str(auth.token),)
        case "header":
            return {auth.name: value}, (value,)
        case _:
            escaped = quote(value, safe=_KEPT)
            return {auth.name: value}, (value,) if escaped == value else (value, escaped)
