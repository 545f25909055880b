"""What checking a document says: findings, for people and programs, and how they are collected before they have a place.

A ``Problem`` is a finding whose place is still a path of keys. `place.py` turns problems into findings; a workflow made by a
builder has no text, so its findings keep the path and no line.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final, Literal, TypeAlias

import msgspec

from taskengine.define.given import Keys
from taskengine.errors import DefinitionError
from taskengine.model.workflow import Workflow

__all__ = ["MAX_FINDINGS", "Aim", "Checked", "Finding", "Keys", "Problem", "Problems", "Severity", "Spot", "path_of"]

Severity: TypeAlias = Literal["error", "warning"]

MAX_FINDINGS: Final = 100  # listed for one document
_MAX_PROBLEMS: Final = 500  # collected, so that the listed ones are the first by place


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong or doubtful. ``line`` and ``column`` count from 1 and are 0 where there is no text."""

    code: str
    name: str
    severity: Severity
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""
    hint: str = ""
    note: str = ""  # a remark that stands beside the caret
    offset: int = 0  # of the place in the text
    length: int = 1  # how many characters of the line it is about
    also: tuple[tuple[int, int], ...] = ()  # line and column of the other places it is about


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A document that was read and checked. ``workflow`` is there when no finding is an error."""

    workflow: Workflow | None
    findings: tuple[Finding, ...]
    text: str
    file: str

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep the workflow from running."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that do not."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    def require(self) -> Workflow:
        """The workflow, or ``DefinitionError`` in the words of the first error; its fact ``findings`` holds all of them."""
        if self.workflow is not None:
            return self.workflow
        first = self.errors[0]
        place = f"{self.file}:{first.line}:{first.column}: " if first.line else ""
        message = f"{place}{first.message}"
        raise DefinitionError(first.name, message, hint=first.hint, findings=self.findings)


class Aim(Enum):
    """Which part of an entry a problem is about."""

    VALUE = "value"
    KEY = "key"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A finding before it has a place. Where ``span`` is set the reader already knew it: offsets into the text."""

    name: str
    keys: Keys
    facts: dict[str, str | int]
    aim: Aim = Aim.VALUE
    offset: int = 0  # within the text value that it is about
    length: int = 0  # of the part of that text, 0 for all of it
    span: tuple[int, int] | None = None
    also: tuple[Keys, ...] = ()
    also_spans: tuple[int, ...] = ()
    note: str = ""
    said: str = ""  # the name of the fault where another room gave it one
    word: str = ""  # what was written, to be compared with
    known: Sequence[str] = ()  # the words that it may have meant: the nearest one becomes the hint
    unlike: str = ""  # a known word that it cannot have meant


class Problems:
    """Collects what is wrong, up to a bound; ``is_full`` says when it was reached, so that nobody goes on looking."""

    __slots__ = ("found", "spellings")

    def __init__(self) -> None:
        self.found: list[Problem] = []
        # Where the document says the last key of a path in another way: what is written there, nothing when it is left out.
        self.spellings: dict[Keys, Keys] = {}

    @property
    def is_full(self) -> bool:
        """Whether further problems would be dropped."""
        return len(self.found) >= _MAX_PROBLEMS

    def add(self, problem: Problem) -> None:
        """Keep one more."""
        if not self.is_full:
            self.found.append(problem)


class Spot:
    """A value of a workflow: the way to it, and where to report what is wrong with it."""

    __slots__ = ("keys", "problems")

    def __init__(self, problems: Problems, keys: Keys = ()) -> None:
        self.problems = problems
        self.keys = keys

    def below(self, *keys: str | int) -> Spot:
        """The spot of something inside of the value."""
        return Spot(self.problems, (*self.keys, *keys))

    def report(
        self,
        name: str,
        *,
        aim: Aim = Aim.VALUE,
        note: str = "",
        word: str = "",
        known: Sequence[str] = (),
        unlike: str = "",
        offset: int = 0,
        length: int = 0,
        also: tuple[Keys, ...] = (),
        said: str = "",
        **facts: str | int,
    ) -> None:
        """Report a finding of the table by its name, with the facts that its words need."""
        self.problems.add(
            Problem(
                name=name,
                keys=self.keys,
                facts=facts,
                aim=aim,
                offset=offset,
                length=length,
                also=also,
                note=note,
                said=said,
                word=word,
                known=known,
                unlike=unlike,
            )
        )


def path_of(keys: Keys) -> str:
    """The path as text: ``steps[2].depends_on[0]``, ``variables["a b"]``."""
    path = ""
    for key in keys:
        if isinstance(key, int):
            path += f"[{key}]"
        elif key.isidentifier():
            path += f".{key}" if path else key
        else:
            path += f'["{key}"]'
    return path
