"""What texts become: programs, and texts with holes where programs stand. Plain data: making and running them is others' work."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from taskengine.expr.values import Operation

__all__ = ["Hole", "Plan", "Program", "Site", "Text"]


class Site(NamedTuple):
    """One operation in an expression, and where it stands."""

    operation: Operation
    offset: int


class Program(NamedTuple):
    """An expression ready to be evaluated."""

    source: str
    text: str  # for minijinja; `o(n,…)` is site n
    sites: tuple[Site, ...]
    names: frozenset[str]
    is_name: bool  # nothing but a name: site 0 is the whole expression


class Hole(NamedTuple):
    """The expression of one ``{{ … }}``, and where it begins in the text."""

    program: Program
    offset: int


class Text(NamedTuple):
    """A text with holes: literal texts and holes in their order, no empty literal among them."""

    source: str
    pieces: tuple[str | Hole, ...]


Plan: TypeAlias = "Text | list[Plan] | dict[str, Plan] | bool | int | float | str | None"
