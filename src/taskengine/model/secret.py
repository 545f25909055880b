"""Secrets in rendered inputs: a mark where the value will stand, so that no value is ever written into a history.

An expression that names ``secrets.token`` gives the mark; the shell puts the value in its place just before the work begins. Data
that holds a mark of its own is refused where it is rendered together with a secret, so nobody can ask for one by writing a mark.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from taskengine.model.value import Raw

__all__ = ["has_mark", "mark_of", "resolve", "shown"]

_FIRST: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0002")  # the character that begins a mark, as encoded JSON has it
_MARK: Final = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0002secret:([A-Za-z_][A-Za-z0-9_]*)\\u0003")


def mark_of(name: str) -> str:
    """What stands in a rendered text for the secret of that name."""
    return f"\x02secret:{name}\x03"


def shown(document: bytes) -> bytes:
    """The document with marks as people read them: ``[secret: name]``."""
    return _MARK.sub(rb"\1[secret: \2]", document) if rb"\u0002secret:" in document else document


def has_mark(document: bytes) -> bool:
    """Whether the data holds what a mark begins with; a part of one is enough, for texts are put together."""
    return rb"\u0002" in document and _FIRST.search(document) is not None


def resolve(document: Raw, values: Mapping[str, str]) -> Raw:
    """The document with values in the place of marks. ``KeyError``: a mark names a secret that is not among the values."""
    return Raw(_MARK.sub(lambda found: found[1] + msgspec.json.encode(values[found[2].decode()])[1:-1], bytes(document)))
