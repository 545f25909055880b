"""From problems to findings: words from the table, places from the tree, suggestions from the known words.

It owns which part of a text a path points to, the order of findings, and the bound on how many are listed.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from taskengine.define.codes import BY_NAME
from taskengine.define.finding import MAX_FINDINGS, Aim, Finding, Keys, Problem, Problems, path_of
from taskengine.define.phrase import nearest, quoted
from taskengine.define.source import Source
from taskengine.define.tree import Listing, Mapping, Node, Scalar

__all__ = ["findings_of"]

Span: TypeAlias = tuple[int, int]  # offsets into the text
_SUGGESTIONS: Final = 20  # made for one document: each costs a comparison with many words


def findings_of(problems: Problems, source: Source | None = None, *, root: Node | None = None) -> tuple[Finding, ...]:
    """The findings in the order of their places; without a source in the order they were made."""
    writer = _Writer(problems, source, root=root)
    placed = [(writer.span(problem), problem) for problem in problems.found]
    if source is not None:
        placed.sort(key=lambda pair: (pair[0][0], pair[1].name))
    findings: dict[tuple[object, ...], Finding] = {}
    for span, problem in placed:
        if len(findings) >= MAX_FINDINGS:
            more = Problem(name="too_many_findings", keys=problem.keys, facts={"limit": MAX_FINDINGS}, span=span)
            return (*findings.values(), writer.finding(more, span))
        finding = writer.finding(problem, span)
        # What stands in `defaults` is wrong once, however many steps have it from there.
        place = finding.offset if source is not None else finding.path
        findings.setdefault((finding.name, finding.message, place), finding)
    return tuple(findings.values())


class _Writer:
    """Makes the findings of one document."""

    def __init__(self, problems: Problems, source: Source | None, *, root: Node | None) -> None:
        self._source = source
        self._root = root
        self._spellings = problems.spellings
        self._suggestions = _SUGGESTIONS

    def finding(self, problem: Problem, span: Span) -> Finding:
        """The finding of a problem that stands at this span."""
        code = BY_NAME[problem.name]
        line, column, length = 0, 0, 1
        also: tuple[tuple[int, int], ...] = ()
        if self._source is not None:
            line, column = self._source.position(span[0])
            length = max(1, len(self._source.rest_of_line(span[0], span[1] - span[0]).rstrip()))
            starts = [*problem.also_spans, *(self._locate(keys, aim=problem.aim)[0][0] for keys in problem.also)]
            also = tuple(self._source.position(start) for start in starts)
        return Finding(
            code=code.code,
            name=problem.said or code.name,
            severity=code.severity,
            message=code.message.format(**problem.facts),
            file=self._source.file if self._source is not None else "",
            line=line,
            column=column,
            offset=span[0],
            path=path_of(tuple(key for key, _ in self._way(problem.keys))),
            hint=self._hint(problem) or code.hint.format(**{"advice": "", **problem.facts}),
            note=problem.note,
            length=length,
            also=also,
        )

    def span(self, problem: Problem) -> Span:
        """Where a problem stands."""
        if problem.span is not None:
            return problem.span
        if self._source is None:
            return (0, 1)
        (start, end), node = self._locate(problem.keys, aim=problem.aim)
        if problem.length and isinstance(node, Scalar) and isinstance(node.value, str):
            return _within(self._source.text[start:end], start, value=node.value, problem=problem)
        return start, end

    def _hint(self, problem: Problem) -> str:
        if not problem.word or self._suggestions <= 0:
            return ""
        self._suggestions -= 1
        meant = nearest(problem.word, problem.known)
        return f"did you mean {quoted(meant)}?" if meant and meant != problem.unlike else ""

    def _locate(self, keys: Keys, *, aim: Aim) -> tuple[Span, Node | None]:
        """The span of what the path leads to, and the value there; where the path leads nowhere, of what was reached."""
        node = self._root
        if node is None:
            return (0, 1), None
        span = (node.start, node.start + 1)
        way = self._way(keys)
        for place, (key, other) in enumerate(way):
            is_last = place == len(way) - 1
            if isinstance(node, Mapping) and isinstance(key, str):
                entry = node.entries.get(key if key in node.entries else other)
                if entry is None:
                    inherited = _inherited(keys, len(keys) - len(way) + place)
                    return self._locate(inherited, aim=aim) if inherited else (span, None)
                node = entry.node
                # What is written; the key when nothing is written, or when it is looked into further.
                is_value = aim is Aim.VALUE and node.end > node.start if is_last else isinstance(node, Scalar)
                span = (node.start, node.end) if is_value else (entry.start, entry.end)
            elif isinstance(node, Listing) and isinstance(key, int) and key < len(node.items):
                node = node.items[key]
                span = (node.start, node.end)
            else:
                return span, None
        return span, node

    def _way(self, keys: Keys) -> list[tuple[str | int, str]]:
        """The path as this document has it: what it leaves out is left out. Beside each key stands its other spelling."""
        way: list[tuple[str | int, str]] = []
        for place, key in enumerate(keys):
            said = self._spellings.get(keys[: place + 1])
            if said is None:
                way.append((key, ""))
            elif said:
                (other,) = said
                # A name stands for a number where a list may be a mapping of names.
                way.append((other, "") if isinstance(key, int) else (key, str(other)))
        return way


def _within(written: str, start: int, *, value: str, problem: Problem) -> Span:
    """The span of a part of a text value, as far as the way it is written lets it be found."""
    if written == value:
        begin = problem.offset
    elif written[1:-1] == value:
        begin = problem.offset + 1
    else:  # escapes, or several lines: look for the same piece, as many times as it stands before the place in the value
        piece = value[problem.offset : problem.offset + problem.length]
        begin = written.find(piece)
        for _ in range(value.count(piece, 0, problem.offset) if piece else 0):
            begin = written.find(piece, begin + 1)
        if begin < 0:
            return start, start + len(written)
    return start + begin, start + begin + problem.length


def _inherited(keys: Keys, place: int) -> Keys:
    """Where a setting of a step may stand instead: the keys of its retry policy in the defaults."""
    is_missing = place >= len(keys) - 2
    match keys[-3:]:
        case (int() | "compensate", "retry", _) if is_missing:
            return ("defaults", *keys[-2:])
        case _:
            return ()
