"""A diagram as lines of text, in ASCII but for what the author wrote: every terminal, log and pipe can show it.

Between two layers boxes with the same targets share one horizontal line; lines cross where ``|`` interrupts ``-``, and join at
``+``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from itertools import pairwise
from typing import Final, NamedTuple

from taskengine.define.diagram import Box, Diagram
from taskengine.define.diagram_layout import LONGEST, Layout, arranged

__all__ = ["drawn_as_text"]

_GAP: Final = 3
_DEEPEST: Final = 50  # lines that are put below one another for the sake of one column
_SHOWN: Final = 3  # far dependencies that a box names


def drawn_as_text(diagram: Diagram) -> str:
    """The lines, without spaces at their ends; ends with a line end."""
    lines = [diagram.title.replace("·", "-"), "", *_drawn(diagram)]
    return "\n".join([*lines, *([diagram.remark.replace("…", "...")] if diagram.remark else [])]) + "\n"


def _drawn(diagram: Diagram) -> list[str]:
    """The boxes and arrows of one block."""
    texts = _texts(diagram)
    layout = arranged(diagram, width_of=lambda number: _box_width(texts[number]), gap=_GAP)
    canvas = _Canvas()
    columns = _columns(layout, texts)
    leaving = {one for path in layout.paths for one in path[:-1]}
    for rank, layer in enumerate(layout.layers):
        height = max((len(texts[number]) for number in layer if number < len(texts)), default=0) + 2
        for number in layer:
            if number < len(texts):
                canvas.box(texts[number], columns[number], height=height if number in leaving else 0)
            else:
                canvas.column(columns[number], height=height)
        canvas.down(height)
        if rank + 1 < len(layout.layers):
            _gap(canvas, layout, rank=rank, columns=columns, boxes=len(texts))
    return canvas.lines()


def _texts(diagram: Diagram) -> list[list[str]]:
    """The lines of each box; dependencies too far away for an arrow are named."""
    texts = [_lines(box) for box in diagram.boxes]
    far: dict[int, list[str]] = {}
    for edge in diagram.edges:
        if not 0 < diagram.ranks[edge.target] - diagram.ranks[edge.source] <= LONGEST:
            far.setdefault(edge.target, []).append(texts[edge.source][0])
    for number, names in far.items():
        more = ", ..." if len(names) > _SHOWN else ""
        texts[number].append(f"after {', '.join(names[:_SHOWN])}{more}")
    return texts


def _lines(box: Box) -> list[str]:
    lines = [text.replace("…", "...") for text in (box.label, *box.marks)]
    return [*lines, "", *_beside([_block(block) for block in box.blocks])] if box.blocks else lines


def _block(block: Diagram) -> list[str]:
    """A block as lines of one width, what it is above them."""
    below = [block.remark.replace("…", "...")] if block.remark else []
    lines = [*_drawn(block), *below]
    width = max(map(_cells, [block.title, *lines]), default=0)
    titles = [f"{block.title:^{max(0, width - _cells(block.title) + len(block.title))}}"] if block.title else []
    return [line + " " * (width - _cells(line)) for line in [*titles, *lines]]


def _beside(blocks: list[list[str]]) -> list[str]:
    """Blocks side by side."""
    height = max(map(len, blocks))
    filled = [block + [" " * (_cells(block[0]) if block else 0)] * (height - len(block)) for block in blocks]
    return [(" " * _GAP).join(parts) for parts in zip(*filled, strict=True)]


def _columns(layout: Layout, texts: list[list[str]]) -> list[int]:
    """The middle column of each vertex, in whole characters, with room between neighbours."""
    columns = [0] * len(layout.centres)
    for layer in layout.layers:
        free = 0
        for number in layer:
            half = _box_width(texts[number]) // 2 if number < len(texts) else 0
            columns[number] = max(round(layout.centres[number]), free + half)
            free = columns[number] + half + 1 + _GAP
    return columns


class _Bus(NamedTuple):
    """Columns that are all joined to all of the others: one horizontal line serves them."""

    sources: frozenset[int]
    targets: frozenset[int]

    @property
    def is_straight(self) -> bool:
        return self.sources == self.targets and len(self.sources) == 1

    @property
    def span(self) -> tuple[int, int]:
        return min(self.sources | self.targets), max(self.sources | self.targets)


def _gap(canvas: _Canvas, layout: Layout, *, rank: int, columns: list[int], boxes: int) -> None:
    """The lines between a layer and the next."""
    buses = _buses(layout, rank, columns=columns)
    rows = _rows(buses)
    bottom = max(rows.values(), default=-1) + 2
    for bus, row in rows.items():
        if row >= 0:
            canvas.line(*bus.span, row=row + 1)
    for bus, row in rows.items():
        for column in bus.sources:
            canvas.vertical(column, 0, bottom=row + 1 if row >= 0 else bottom)
        for column in bus.targets:
            canvas.vertical(column, row + 1, bottom=bottom)
    for bus, row in rows.items():
        for column in bus.sources | bus.targets if row >= 0 else ():
            canvas.put(column, row + 1, "+")
    arrived = frozenset[int]().union(*[bus.targets for bus in buses])
    for number in layout.layers[rank + 1]:
        if columns[number] in arrived:
            canvas.put(columns[number], bottom, "v" if number < boxes else "|")
    canvas.down(bottom + 1)


def _buses(layout: Layout, rank: int, *, columns: list[int]) -> list[_Bus]:
    """The joins between a layer and the next; sources with the same targets share one."""
    here, below = set(layout.layers[rank]), set(layout.layers[rank + 1])
    targets: dict[int, set[int]] = {}
    for path in layout.paths:
        for one, other in pairwise(path):
            if one in here and other in below:
                targets.setdefault(columns[one], set()).add(columns[other])
    sources: dict[frozenset[int], set[int]] = {}
    for column, found in targets.items():
        sources.setdefault(frozenset(found), set()).add(column)
    buses = [_Bus(frozenset(found), ends) for ends, found in sources.items()]
    return sorted(buses, key=lambda bus: bus.span)


def _rows(buses: list[_Bus]) -> dict[_Bus, int]:
    """The row of each horizontal line, -1 for what goes straight down.

    Lines on one row do not touch; a line that ends in a column where another begins is below it, as far as that can be.
    """
    rows: dict[_Bus, int] = {}
    taken: list[list[tuple[int, int]]] = []
    begins = {column: bus for bus in buses for column in bus.sources}

    def place(bus: _Bus, above: frozenset[_Bus]) -> int:
        if bus in rows:
            return rows[bus]
        if bus.is_straight:
            rows[bus] = -1
            return -1
        others = {begins[column] for column in bus.targets if column in begins} - above
        row = max((place(other, above | {other}) + 1 for other in others), default=0) if len(above) < _DEEPEST else 0
        low, high = bus.span
        while row < len(taken) and any(start <= high + 1 and low - 1 <= end for start, end in taken[row]):
            row += 1
        taken.extend([] for _ in range(row + 1 - len(taken)))
        taken[row].append(bus.span)
        rows[bus] = row
        return row

    for bus in buses:
        place(bus, frozenset({bus}))
    return rows


def _box_width(lines: Iterable[str]) -> int:
    widest = max(map(_cells, lines))
    return widest + 4 + (widest + 1) % 2  # odd, so that it has a middle


def _cells(text: str) -> int:
    return sum(_cell(character) for character in text)


def _cell(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


class _Canvas:
    """Characters by row and column; rows are counted from the last ``down``."""

    def __init__(self) -> None:
        self._cells: dict[int, dict[int, str]] = {}
        self._top = 0

    def down(self, rows: int) -> None:
        """Go on below."""
        self._top += rows

    def put(self, column: int, row: int, character: str) -> None:  # noqa: PLR0917 -- a place and what stands there
        """Set one character."""
        self._cells.setdefault(self._top + row, {})[column] = character

    def line(self, left: int, right: int, *, row: int) -> None:
        """Draw a horizontal line."""
        for column in range(left, right + 1):
            self.put(column, row, "-")

    def vertical(self, column: int, top: int, *, bottom: int) -> None:
        """Draw a vertical line."""
        for row in range(top, bottom + 1):
            self.put(column, row, "|")

    def column(self, column: int, *, height: int) -> None:
        """Draw an arrow passing a layer."""
        self.vertical(column, 0, bottom=height - 1)

    def box(self, lines: list[str], centre: int, *, height: int) -> None:
        """Draw a box with these lines, and its arrow down to the end of the layer."""
        width = _box_width(lines)
        left = centre - width // 2
        border = f"+{'-' * (width - 2)}+"
        for row in (0, len(lines) + 1):
            self._text(border, left, row=row)
        for row, line in enumerate(lines, 1):
            space = width - 2 - _cells(line)
            self._text(f"|{' ' * (space // 2)}{line}{' ' * (space - space // 2)}|", left, row=row)
        if height > len(lines) + 2:
            self.vertical(centre, len(lines) + 2, bottom=height - 1)

    def lines(self) -> list[str]:
        """Everything drawn."""
        return [self._line(self._cells.get(row, {})) for row in range(self._top)]

    def _text(self, text: str, left: int, *, row: int) -> None:
        column = left
        for character in text:
            if _cell(character) == 0:
                self._cells[self._top + row][column - 1] += character
                continue
            self.put(column, row, character)
            if _cell(character) > 1:
                self.put(column + 1, row, "")
            column += _cell(character)

    def _line(self, cells: dict[int, str]) -> str:
        return "".join(cells.get(column, " ") for column in range(max(cells, default=-1) + 1)).rstrip()
