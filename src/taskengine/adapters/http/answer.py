"""What a step makes of an answer: its output, whether it succeeded, what another attempt should wait for. Pure."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from taskengine.adapters.http.address import shown
from taskengine.adapters.http.request import Request
from taskengine.errors import ExpressionError, LimitError, OutboundError
from taskengine.expr import expression, truth
from taskengine.model.http import ANSWER
from taskengine.model.value import Json, TaskError, decode, encode, is_deeper
from taskengine.ports.outbound import Answer

__all__ = ["at_path", "linked", "read_answer", "refusal"]

_MAX_PAUSE_MS: Final = 3_600_000  # of what the other side asks for
_SHOWN: Final = 300
MAX_NESTING: Final = 60  # levels of an answer; the output of a step has a few around it
_FAILURES: Final = 400
# Only what is a charset on the net: Python knows encodings that take quadratic time, or are no text at all.
_CHARSET: Final = re.compile(
    r"charset\s*=\s*\"?(utf-?(?:8|16(?:le|be)?)|us-ascii|ascii|latin-?1|iso-8859-\d+|(?:windows|cp)-?125\d|koi8-[ru]"
    r"|shift_jis|euc-(?:jp|kr)|gb(?:k|2312|18030)|big5)\b"
)
_TEXTUAL: Final = re.compile(r"text/|application/(.*\+)?(json|xml)|application/(javascript|x-www-form-urlencoded|yaml|graphql)")
_JSON: Final = re.compile(r"(application|text)/(.*\+)?json")
_LINK: Final = re.compile(r"<([^<>]*)>((?:\s*;\s*[\w*-]+\s*(?:=\s*(?:\"[^\"]*\"|[^\s\",;]*))?)*)")
_NEXT: Final = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s\",;]*))", re.IGNORECASE)
# Credentials of a session: what a step gives is kept in the history for good.
_KEPT_BACK: Final = frozenset({"set-cookie", "set-cookie2", "www-authenticate", "proxy-authenticate"})


def read_answer(answer: Answer) -> dict[str, Any]:
    """``{status_code, headers, body, json?}``. A body that is no text is base64, and ``is_base64`` says so.

    Raises ``response_too_deep`` for JSON that could not be read back.
    """
    headers: dict[str, str] = {}
    for name, value in answer.headers:
        if name not in _KEPT_BACK:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    kind = headers.get("content-type", "").lower()
    output: dict[str, Any] = {"status_code": answer.status, "headers": headers}
    text = _text(answer.body, kind)
    if text is None:
        output["body"] = msgspec.json.encode(answer.body).decode()[1:-1]
        output["is_base64"] = True
        return output
    output["body"] = text
    if _JSON.match(kind):
        if is_deeper(answer.body, MAX_NESTING):
            message = f"the answer is nested deeper than {MAX_NESTING} levels"
            raise OutboundError("response_too_deep", message, url=shown(answer.url))
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # What says that it is JSON and is not has no `json`: whoever needs it will see that there is none.
            output["json"] = decode(answer.body.removeprefix(codecs.BOM_UTF8))
    return output


def _text(body: bytes, kind: str) -> str | None:
    """The body as text; ``None`` for what is none."""
    found = _CHARSET.search(kind)
    charset = found[1] if found else "utf-8"
    try:
        return body.decode(charset)
    except (LookupError, UnicodeError, ValueError):
        return body.decode("utf-8", "replace") if _TEXTUAL.match(kind) else None


def refusal(request: Request, output: dict[str, Any], *, condition: object, where: str, now_ms: int) -> TaskError | None:
    """Why the answer is a failure; ``None`` when it is a success. ``where``: method and URL, for the message."""
    status: int = output["status_code"]
    bases = (f"Http{status}", f"Http{status // 100}xx")
    is_final = status >= _FAILURES and status not in request.retry_on
    said = ""
    if isinstance(condition, str):
        try:
            is_good = truth(expression(condition, extra_roots=ANSWER), encode({"json": None, **output}))
        except (ExpressionError, LimitError) as error:
            message = f"{where} answered {status}, and success_when cannot be judged: {error.message}"
            return TaskError(type="HttpError", message=message, bases=(*bases, "ExpressionError"), is_final=is_final)
        said = f", and {condition} is false"
    else:
        is_good = status < _FAILURES if condition is None else bool(condition)
    if is_good:
        return None
    pause = _asked_pause(output["headers"], now_ms)
    message = f"{where} answered {status}{said}{_excerpt(output)}"
    return TaskError(type="HttpError", message=message, bases=bases, is_final=is_final, retry_after_ms=0 if is_final else pause)


def _excerpt(output: dict[str, Any]) -> str:
    """The beginning of what the other side said about it; of a page only that it is one."""
    body = "" if output.get("is_base64") else " ".join(output["body"].split())
    if not body:
        return ""
    if body[:1] == "<":
        return ": (a page)"
    return f": {body[:_SHOWN]}…" if len(body) > _SHOWN else f": {body}"


def _asked_pause(headers: dict[str, str], now_ms: int) -> int:
    """The pause of ``Retry-After`` in milliseconds, at most an hour; a date is compared with the answer's own date."""
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdecimal():
        return min(int(asked[:9]) * 1_000, _MAX_PAUSE_MS)
    until = _instant(asked)
    if until is None:
        return 0
    since = _instant(headers.get("date", ""))
    return max(0, min(until - (now_ms if since is None else since), _MAX_PAUSE_MS))


def _instant(text: str) -> int | None:
    try:
        moment: datetime = parsedate_to_datetime(text)
        return round(moment.timestamp() * 1_000)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def at_path(output: dict[str, Any], path: str) -> Json:
    """What stands there; ``None`` when nothing does."""
    found: Json = output
    for part in path.split("."):
        if isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, list) and part.isascii() and part.isdecimal() and int(part[:9]) < len(found):
            found = found[int(part[:9])]
        else:
            return None
    return found


def linked(headers: dict[str, str]) -> str:
    """The URL that the ``Link`` header calls the next one, or nothing."""
    for url, params in _LINK.findall(headers.get("link", "")[:8_192]):
        for quoted_rel, bare_rel in _NEXT.findall(params):
            if "next" in (quoted_rel or bare_rel).lower().split():
                return url.strip()
    return ""
