"""Findings as people read them: what, where, the lines of the text with a caret, what to do. Text only; nobody prints here.

What came from a document is made visible first: nothing in it can move a terminal's cursor or turn the direction of writing.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from taskengine.define.finding import Checked, Finding
from taskengine.define.phrase import numbered, visible
from taskengine.define.source import Source

__all__ = ["render_findings"]

_WIDTH: Final = 120  # cells of a source line that are shown
_LEAD: Final = 40  # of them before the place, when the line is longer
_COLORS: Final = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "frame": "\x1b[34m", "hint": "\x1b[36m"}
_PLAIN: Final = "\x1b[0m"


def render_findings(checked: Checked, *, color: bool) -> str:
    """Every finding with its place and hint, and a line that counts them. Ends with a line end."""
    source = Source(checked.text, file=checked.file)
    lines = [line for finding in checked.findings for line in _lines(finding, source, color=color)]
    errors, warnings = numbered(len(checked.errors), "error"), numbered(len(checked.warnings), "warning")
    return "\n".join([*lines, f"{errors}, {warnings} in 1 file"]) + "\n"


def _lines(finding: Finding, source: Source, *, color: bool) -> list[str]:
    label = _colored(f"{finding.severity}[{finding.code}]", finding.severity, is_on=color)
    lines = [f"{label}: {visible(finding.message)}"]
    file = visible(finding.file)
    if finding.line:
        also = [f"{file}:{line}:{column}" for line, column in finding.also]
        arrow = _colored("-->", "frame", is_on=color)
        lines.append(f"  {arrow} {', '.join([f'{file}:{finding.line}:{finding.column}', *also])}")
        lines += _frame(finding, source, color=color)
    elif finding.path or file:
        lines.append(f"  {_colored('-->', 'frame', is_on=color)} {visible(finding.path) or file}")
    if finding.hint:
        lines.append(f"  {_colored('hint:', 'hint', is_on=color)} {visible(finding.hint)}")
    return lines


def _frame(finding: Finding, source: Source, *, color: bool) -> list[str]:
    """The line, the line before it, and carets under what is meant; of a long line the part around it."""
    digits = max(4, len(str(finding.line)) + 1)
    bar = _colored("|", "frame", is_on=color)
    lead = source.lead_of_line(finding.offset, _WIDTH)
    cut = ""
    if len(lead) < finding.column - 1 or _cells(_shown(lead)) > _WIDTH - _LEAD:
        lead, cut = lead[-_LEAD:], "…"
    before = cut + _shown(lead)
    rest = source.rest_of_line(finding.offset, _WIDTH)
    room = _WIDTH - _cells(before)
    carets = "^" * max(1, min(_cells(_shown(rest[: finding.length])), room))
    lines: list[str] = []
    previous = source.line_before(finding.offset, _WIDTH + 1)
    if previous.strip() and not cut:
        lines.append(f" {finding.line - 1:>{digits}} {bar} {_fitted(previous, _WIDTH)}")
    lines.append(f" {finding.line:>{digits}} {bar} {before}{_fitted(rest, room)}".rstrip())
    note = f" {visible(finding.note)}" if finding.note else ""
    lines.append(f" {'':>{digits}} {bar} {' ' * _cells(before)}{_colored(carets, finding.severity, is_on=color)}{note}")
    return lines


def _shown(text: str) -> str:
    return visible(text.replace("\t", "    "))


def _fitted(text: str, room: int) -> str:
    """As much of the text as fits into so many cells."""
    shown = _shown(text)
    if _cells(shown) <= room:
        return shown
    kept = 0
    while kept < len(shown) and (room := room - _cell(shown[kept])) > 0:
        kept += 1
    return f"{shown[:kept]}…"


def _cells(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(_cell(character) for character in text)


def _cell(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _colored(text: str, name: str, *, is_on: bool) -> str:
    return f"{_COLORS[name]}{text}{_PLAIN}" if is_on else text
