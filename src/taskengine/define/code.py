"""One kind of finding, and how the tables of them are written. The tables themselves are `codes.py` and `schema_codes.py`."""

from __future__ import annotations

import msgspec

from taskengine.define.finding import Severity

__all__ = ["Code", "a_warning", "an_error"]


class Code(msgspec.Struct, frozen=True):
    """One kind of finding. ``message`` and ``hint`` are format strings over the facts of a finding."""

    code: str
    name: str
    severity: Severity
    message: str
    hint: str
    meaning: str


def an_error(code: str, name: str, *, message: str, hint: str = "", meaning: str) -> Code:
    """What keeps a workflow from running."""
    return Code(code, name, "error", message, hint, meaning)


def a_warning(code: str, name: str, *, message: str, hint: str = "", meaning: str) -> Code:
    """What does not."""
    return Code(code, name, "warning", message, hint, meaning)
