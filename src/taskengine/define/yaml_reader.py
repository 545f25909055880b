"""YAML to tree: PyYAML's C parser gives events, and everything that is not plain data is refused where it stands.

No object is made from a tag, no alias followed, nothing recurses, and reading stops at the first limit. `document.py` imports this
module when there is YAML to read, after it looked at size, encoding and control characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

import yaml

from taskengine.define.finding import MAX_FINDINGS, Problem, Problems
from taskengine.define.given import BROKEN
from taskengine.define.phrase import cropped
from taskengine.define.rules import MAX_DEPTH
from taskengine.define.tree import Growing, Listing, Mapping, Node, Stopped

__all__ = ["read_yaml"]

# The scanner takes quadratic time over many of these, so they are looked for before it starts.
_DIRECTIVE: Final = re.compile(r"^%TAG\b[^\r\n]*", re.MULTILINE)
# JSON may hold these; YAML may not, or YAML 1.2 and libyaml disagree on whether they break lines.
_HIDDEN: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufffe\uffff]")
# A value that begins with a template: the template, and what follows it without a space.
_UNQUOTED: Final = re.compile(r"(?:^|[:\-,\[]\s)\s*(\{\{.*)", re.MULTILINE)
_TEMPLATE: Final = re.compile(r"\{\{[^\r\n]*?\}\}[^\s,\]}#]*")
# The first line of an entry of a list: what stands before its first key.
_ENTRY: Final = re.compile(r"^( *- +)[^\s#-]", re.MULTILINE)
_KEY: Final = re.compile(r"[\w-]+:(?:\s|$)")
_NEARBY: Final = 2_000  # characters of a line that are looked at for the cause of a mistake
_WORD: Final = re.compile(r"\S*")

# Words of libyaml → what is wrong, what helps. The first that is part of its message decides.
_ADVICE: Final = (
    (
        "could not find expected ':'",
        "this line is neither `key: value` nor part of a text",
        "a key needs a colon and a space: `key: value`",
    ),
    (
        "mapping values are not allowed",
        "a colon in the middle of a value",
        'put a value that holds ": " in quotes; a key needs a space behind its colon',
    ),
    ("did not find expected ',' or '}'", "the braces are not closed before this", 'expected "," or "}"'),
    ("did not find expected ',' or ']'", "the brackets are not closed before this", 'expected "," or "]"'),
    ("did not find expected key", "expected a key", "check the indentation, and the quotes of the value before it"),
    ("did not find expected '-' indicator", "expected an entry of the list", 'begin it with "- ", indented like the others'),
    ("did not find expected <document start>", "text after the end of the document", "check the indentation"),
    ("did not find expected node content", "expected a value", "put a value that begins with a special character in quotes"),
    ("block sequence entries are not allowed", "a list cannot begin here", "begin it on a line of its own, or write [a, b]"),
    ("found unknown escape character", "an escape that does not exist", "write \\\\ for a backslash, or use single quotes"),
    ("found invalid Unicode character escape", "an escape that stands for no character", "write the character itself"),
    ("did not find expected hexdecimal number", "an escape without its digits", "\\x takes two digits, \\u four, \\U eight"),
    ("found undefined tag handle", "YAML tags are not read", 'a text that begins with "!" needs quotes'),
    ("found unexpected end of stream", "the quotes are never closed", 'close them; in double quotes write \\" for a quote'),
    ("found unexpected document indicator", "the quotes are never closed", 'close them; in double quotes write \\" for a quote'),
)


def read_yaml(text: str, problems: Problems, *, max_steps: int) -> Node | None:
    """Read one document. What is wrong goes to ``problems``; None when there is no tree worth checking."""
    for match in islice(_HIDDEN.finditer(text), MAX_FINDINGS + 1):
        character = f"the character U+{ord(match[0]):04X}"
        problems.add(Problem(name="control_character", keys=(), facts={"character": character}, span=match.span()))
    directive = _DIRECTIVE.search(text)
    if directive is not None:
        problems.add(Problem(name="directive_refused", keys=(), facts={}, span=directive.span()))
    if problems.found:
        return None
    return _Reading(text, problems, max_steps=max_steps).read()


class _Reading:
    """One pass over the events of one text."""

    def __init__(self, text: str, problems: Problems, *, max_steps: int) -> None:
        self._text = text
        self._problems = problems
        self._tree = Growing(problems, max_steps=max_steps)
        self._skipped = 0  # collections that are open inside of a refused value

    def read(self) -> Node | None:
        events = yaml.CSafeLoader(self._text)
        try:
            return self._read(events)
        except Stopped:
            return None
        except yaml.MarkedYAMLError as error:
            self._syntax(error)
            return None
        finally:
            events.dispose()

    def _read(self, events: yaml.CSafeLoader) -> Node | None:
        takes: dict[type, Callable[[Any], None]] = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._begin,
            yaml.SequenceStartEvent: self._begin,
            yaml.MappingEndEvent: self._finish,
            yaml.SequenceEndEvent: self._finish,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._document,
        }
        while (event := events.get_event()) is not None and not isinstance(event, yaml.StreamEndEvent):
            take = takes.get(type(event))
            if take is not None:
                take(event)
        return self._tree.root

    def _document(self, event: yaml.DocumentStartEvent) -> None:
        if self._tree.root is not None:
            self._tree.refuse("several_documents", _start(event), length=3)
            raise Stopped

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if self._skipped:
            return
        start, end, word = _start(event), _end(event), event.value
        self._refuse_extras(event, start)
        if not event.implicit[0]:
            self._tree.scalar(word, start, end=end, source=word)
            return
        if word == "<<" and self._tree.awaits_key:
            self._tree.refuse("merge_key_refused", start, length=2)
            self._tree.scalar(BROKEN, start, end=end, source=word)
        else:
            self._tree.word(word, start, end=end)

    def _begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if self._skipped:
            self._skipped += 1
            if self._skipped > MAX_DEPTH:
                raise Stopped
            return
        start = _start(event)
        self._refuse_extras(event, start)
        if isinstance(event, yaml.SequenceStartEvent):
            self._tree.begin(Listing([], start))
        elif self._text.startswith("{{", start):
            self._refuse_template(start)
            self._tree.scalar(BROKEN, start, end=start + 2, source="")
            self._skipped = 1
        else:
            self._tree.begin(Mapping({}, start))

    def _finish(self, event: yaml.MappingEndEvent | yaml.SequenceEndEvent) -> None:
        if self._skipped:
            self._skipped -= 1
        else:
            self._tree.finish(_end(event))

    def _alias(self, event: yaml.AliasEvent) -> None:
        if self._skipped:
            return
        start, end = _start(event), _end(event)
        self._tree.refuse("alias_refused", start, length=end - start, found=f"*{cropped(event.anchor or '')}")
        self._tree.scalar(BROKEN, start, end=end, source="")

    def _refuse_extras(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, start: int) -> None:
        """Anchors and tags; the value behind them is read all the same."""
        if event.anchor is not None:
            self._tree.refuse("alias_refused", start, length=len(event.anchor) + 1, found=f"&{cropped(event.anchor)}")
        if event.tag is not None:
            written = _WORD.match(self._text, self._text.find("!", start))
            found = written[0] if written is not None and written[0] else event.tag
            self._tree.refuse("tag_refused", start, length=len(found), found=cropped(found))

    def _refuse_template(self, start: int) -> None:
        match = _TEMPLATE.match(self._text, start)
        written = match[0] if match is not None else "{{ … }}"
        quote = "'" if '"' in written else '"'
        advice = f"write {quote}{cropped(written)}{quote}"
        self._tree.refuse("unquoted_template", start, length=len(written), advice=advice)

    def _syntax(self, error: yaml.MarkedYAMLError) -> None:
        marks: list[Any] = [error.problem_mark, error.context_mark]
        places = [min(mark.index, len(self._text)) for mark in marks if mark is not None]
        if any(self._blames_template(place) for place in places):
            return
        said = error.problem or "this is not YAML"
        problem, advice = next(((ours, advice) for theirs, ours, advice in _ADVICE if theirs in said), (said, ""))
        place = places[-1] if problem == "the quotes are never closed" else places[0] if places else 0
        if "escape" in problem:
            place = max(self._text.rfind("\\", 0, place + 1), 0)
        if "cannot start any token" in said:
            problem, advice = _cannot_start(self._text[place : place + 1])
        if "'-' indicator" in said and _KEY.match(self._text, place):
            problem, advice = _between_entries(self._text[max(place - _NEARBY, 0) : place])
        self._problems.add(Problem(name="syntax", keys=(), facts={"problem": problem, "advice": advice}, span=(place, place + 1)))

    def _blames_template(self, place: int) -> bool:
        """Whether an unquoted template in the line explains why it cannot be read; it is reported, once."""
        begin = max(self._text.rfind("\n", 0, place) + 1, place - _NEARBY)
        end = self._text.find("\n", place, place + _NEARBY)
        match = _UNQUOTED.search(self._text, begin, end if end >= 0 else place + _NEARBY)
        if match is None:
            return False
        start = match.start(1)
        told = {problem.span[0] for problem in self._problems.found if problem.name == "unquoted_template" and problem.span}
        if start not in told:
            self._refuse_template(start)
        return True


def _cannot_start(character: str) -> tuple[str, str]:
    if character == "\t":
        return "a tab where a key or value should begin", "indent with spaces"
    return f'a text cannot begin with "{character}"', "put it in quotes"


def _between_entries(before: str) -> tuple[str, str]:
    """A key that stands left of the keys of its entry, and right of where the next one would begin."""
    entries = _ENTRY.findall(before[: before.rfind("\n") + 1])
    spaces = f"{len(entries[-1])} spaces" if entries else "as many spaces"
    return "this key is no part of the entry above it", f"indent it like the keys of that entry, by {spaces}"


def _start(event: Any) -> int:
    return int(event.start_mark.index)


def _end(event: Any) -> int:
    return int(event.end_mark.index)
