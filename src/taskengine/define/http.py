"""What an ``http`` step wants in its ``config``. The executor asks the same rules once more, of what the templates made of it.

Plain data with a path, as in `config`; nothing is called, no name is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from taskengine.define.finding import Aim, Spot
from taskengine.define.given import is_list, is_mapping
from taskengine.define.phrase import nearest, quoted
from taskengine.define.values import between, boolean, duration, wrong_type
from taskengine.errors import ExpressionError, LimitError
from taskengine.expr import expression
from taskengine.model.http import ANSWER, METHODS, PATH, header_fault, url_fault

__all__ = ["MAX_ITEMS", "MAX_PAGES", "MAX_REDIRECTS", "MAX_RESPONSE", "check_http"]

MAX_RESPONSE: Final = (1, 16 * 1024 * 1024)
MAX_REDIRECTS: Final = (0, 20)
MAX_PAGES: Final = (1, 1_000)
MAX_ITEMS: Final = (1, 100_000)
_STATUS: Final = (100, 599)
_BODIES: Final = ("body", "json", "form")
# Type of auth → the keys it needs, and those it may have.
_AUTH: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "basic": (("username", "password"), ()),
    "bearer": (("token",), ()),
    "header": (("name", "value"), ()),
    "api_key": (("value",), ("name", "in")),
}
_AUTH_EXAMPLE: Final = 'for example auth: {type: bearer, token: "{{ secrets.api_token }}"}'
_PLACES: Final = ("header", "query")
_PAGINATION: Final = ("next", "items", "param", "max_pages", "max_items")


def check_http(config: dict[str, Any], at: Spot, *, is_rendered: bool = False) -> None:
    """Report what is wrong. ``is_rendered``: the templates are done, so that braces are only text now."""
    _Check(is_rendered=is_rendered).config(config, at)


class _Check:
    def __init__(self, *, is_rendered: bool) -> None:
        self._is_rendered = is_rendered

    def config(self, config: dict[str, Any], at: Spot) -> None:
        if config.get("url") is None:
            advice = "for example config: {url: https://api.example.org/items}"
            at.below("url").report("missing_key", where="config of an http step", key='"url"', advice=advice)
        checks: Mapping[str, Callable[[Any, Spot], object]] = {
            "method": _one_of("the method", METHODS),
            "url": _url,
            "query": self._query,
            "params": self._query,
            "headers": self._headers,
            "auth": self._auth,
            "form": self._form,
            "timeout": duration,
            "success_when": _success_when,
            "retry_on": _statuses,
            "pagination": self._pagination,
            "max_response_bytes": between("max_response_bytes", MAX_RESPONSE),
            "follow_redirects": boolean,
            "max_redirects": between("max_redirects", MAX_REDIRECTS),
            "verify": boolean,
            "idempotency_key": _idempotency_key,
        }
        for key, check in checks.items():
            value = config.get(key)
            if value is not None and (key == "success_when" or not self._is_later(value)):
                check(value, at.below(key))
        given = [key for key in _BODIES if config.get(key) is not None]
        for key in given[1:]:
            at.below(key).report("conflicting_keys", aim=Aim.KEY, key=quoted(key), other=quoted(given[0]))

    def _is_later(self, value: object) -> bool:
        """Whether a template stands there: what it gives is only known when the step starts."""
        return not self._is_rendered and isinstance(value, str) and "{{" in value

    def _text(self, value: object, at: Spot, *, expected: str) -> str:
        """A text, also of a number; empty when it is none, which is reported, or only known later."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            wrong_type(value, at, expected=expected)
            return ""
        return "" if self._is_later(value) else str(value)

    def _query(self, value: object, at: Spot) -> None:
        if not is_mapping(value):
            wrong_type(value, at, expected="a mapping (parameter: value)")
            return
        for key, item in value.items():
            for index, one in enumerate(item) if is_list(item) else [(-1, item)]:
                if one is not None and not isinstance(one, str | int | float):  # a boolean is a number here
                    wrong_type(
                        one, at.below(key) if index < 0 else at.below(key, index), expected="text, a number, or true or false"
                    )

    def _form(self, value: object, at: Spot) -> None:
        self._query(value, at)

    def _headers(self, value: object, at: Spot) -> None:
        if not is_mapping(value):
            wrong_type(value, at, expected="a mapping (header: value)")
            return
        for name, item in value.items():
            if item is None:
                continue
            fault = header_fault(name, self._text(item, at.below(name), expected="text"))
            if fault:
                at.below(name).report("bad_header", aim=Aim.KEY, found=quoted(name), reason=fault)

    def _auth(self, value: object, at: Spot) -> None:
        if not is_mapping(value):
            wrong_type(value, at, expected="a mapping with a type", advice=_AUTH_EXAMPLE)
            return
        kind = value.get("type")
        if not isinstance(kind, str) or kind not in _AUTH:
            if "type" not in value:
                at.below("type").report("missing_key", where="auth", key='"type"', advice=_AUTH_EXAMPLE)
            else:
                _one_of("the type of auth", tuple(_AUTH))(kind, at.below("type"))
            return
        needs, may = _AUTH[kind]
        known = ("type", *needs, *may)
        for key in value:
            if key not in known:
                _unknown(key, at, where=f"auth of type {kind}", known=known)
        for key in needs:
            if value.get(key) is None:
                at.below(key).report("missing_key", where=f"auth of type {kind}", key=quoted(key), advice="")
        for key in (*needs, *may):
            if value.get(key) is not None:
                self._credential(key, at.below(key), auth=value)

    def _credential(self, key: str, at: Spot, *, auth: dict[str, Any]) -> None:
        if key == "in":
            _one_of("the place of an API key", _PLACES)(auth[key], at)
            return
        text = self._text(auth[key], at, expected="text")
        fault = ""
        if key == "name" and text and auth.get("in") != "query":
            fault = header_fault(text, "")
        elif key in {"token", "value"}:
            fault = header_fault("x", text)
        elif key == "username" and ":" in text:
            fault = "it holds a colon, which would end it"
        if fault:
            at.report("bad_header", found=f"what stands in {key}", reason=fault)

    def _pagination(self, value: object, at: Spot) -> None:
        if not is_mapping(value):
            advice = "for example pagination: {next: json.next, items: json.items}"
            wrong_type(value, at, expected="a mapping with next and items", advice=advice)
            return
        for key in value:
            if key not in _PAGINATION:
                _unknown(key, at, where="pagination", known=_PAGINATION)
        for key, advice in (
            ("next", "a path such as json.next, or link for the Link header"),
            ("items", "a path such as json.items"),
        ):
            path = value.get(key)
            if path is None:
                at.below(key).report("missing_key", where="pagination", key=quoted(key), advice=advice)
            elif not isinstance(path, str) or not (PATH.fullmatch(path) or (key == "next" and path == "link")):
                wrong_type(path, at.below(key), expected=advice)
        if value.get("param") is not None and not isinstance(value["param"], str):
            wrong_type(value["param"], at.below("param"), expected="the name of a query parameter")
        for key, bounds in (("max_pages", MAX_PAGES), ("max_items", MAX_ITEMS)):
            if value.get(key) is not None:
                between(key, bounds)(value[key], at.below(key))


def _url(value: object, at: Spot) -> None:
    if not isinstance(value, str):
        wrong_type(value, at, expected="a URL such as https://api.example.org/items")
        return
    fault = url_fault(value)
    if fault:
        at.report("bad_url", found=quoted(value.partition("?")[0]), reason=fault)


def _one_of(what: str, words: tuple[str, ...]) -> Callable[[Any, Spot], None]:
    def check(value: object, at: Spot) -> None:
        if not isinstance(value, str):
            wrong_type(value, at, expected=f"one of {', '.join(words)}")
        elif value not in words and value.upper() not in words:
            note = f"one of {', '.join(words)}"
            at.report("unknown_choice", what=what, found=quoted(value), note=note, word=value, known=words)

    return check


def _success_when(value: object, at: Spot) -> None:
    if isinstance(value, bool):
        return
    if not isinstance(value, str):
        wrong_type(value, at, expected="an expression in quotes", advice='for example success_when: "status_code == 200"')
        return
    try:
        names = expression(value, extra_roots=ANSWER).names
    except (ExpressionError, LimitError) as error:
        offset = error.facts.get("offset")
        place, length = (offset, 1) if isinstance(offset, int) else (0, 0)
        at.report("expression_refused", problem=error.message, advice=error.hint, said=error.name, offset=place, length=length)
        return
    for root in sorted({name.partition(".")[0] for name in names} - set(ANSWER)):
        at.report("name_not_available", root=quoted(root), note=f"what is known here: {', '.join(ANSWER)}")


def _statuses(value: object, at: Spot) -> None:
    if not is_list(value):
        wrong_type(value, at, expected="a list of statuses", advice="for example retry_on: [429, 503]")
        return
    for index, status in enumerate(value):
        between("a status", _STATUS)(status, at.below(index))


def _idempotency_key(value: object, at: Spot) -> None:
    if value is True or value is False:
        return
    if not isinstance(value, str) or not value:
        wrong_type(value, at, expected="a text, or false for none")
    elif header_fault("x", value):
        at.report("bad_header", found="the idempotency key", reason=header_fault("x", value))


def _unknown(key: str, at: Spot, *, where: str, known: tuple[str, ...]) -> None:
    meant = nearest(key, known)
    advice = f"did you mean {quoted(meant)}?" if meant else ""
    at.below(key).report(
        "unknown_key", aim=Aim.KEY, key=quoted(key), where=where, advice=advice, note=f"known keys: {', '.join(known)}"
    )
