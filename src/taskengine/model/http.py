"""What a request may be made of: methods, headers, and the statuses that are worth another attempt.

Pure: the check of a document and the client ask the same rules.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["ANSWER", "API_KEY_HEADER", "CALLER", "METHODS", "PATH", "RETRY_ON", "header_fault", "url_fault"]

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
# Statuses that say "not now": another attempt may go better. Every other refusal is final.
RETRY_ON: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
# What is known of an answer, in conditions and in paths.
ANSWER: Final = ("status_code", "headers", "body", "json")
PATH: Final = re.compile(r"(?:json|headers)(?:\.[^.\s]+)*")  # into an answer: json.result.items, headers.x-next
API_KEY_HEADER: Final = "X-API-Key"
CALLER: Final = "task-engine"

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_BREAKS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ODD: Final = re.compile(r"[\\\s\x00-\x1f\x7f]")
_MAX_VALUE: Final = 8_192
# They say how a message is framed or where it goes; a wrong one lets two readers see two different requests.
_FRAMING: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)


def header_fault(name: str, value: str) -> str:
    """Why this cannot be sent as a header; empty when it can."""
    if _NAME.fullmatch(name) is None:
        return "a header's name has letters, digits and - only"
    if name.lower() in _FRAMING or name.lower().startswith("proxy-"):
        return "it is made from the URL and the body"
    if _BREAKS.search(value) is not None:
        return "its value holds a line break or another control character"
    if len(value) > _MAX_VALUE:
        return f"its value has {len(value)} characters, at most {_MAX_VALUE} are allowed"
    return ""


def url_fault(url: str) -> str:
    """Why this cannot be a URL to call, as far as a look at its text tells; empty when it can."""
    if not url.lower().startswith(("http://", "https://")):
        return "it does not begin with http:// or https://"
    if _ODD.search(url) is not None:
        return "it holds a space, a backslash or a control character"
    host = re.split(r"[/?#]", url.split("//", 1)[1], maxsplit=1)[0]
    if "@" in host:
        return "it holds a name or password, which belong under auth"
    return "" if host else "it names no host"
