"""A diagram as SVG: boxes with a label and marks, arrows as curves, readable on light and dark ground.

Everything the author wrote is escaped; nothing is loaded from anywhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from html import escape
from itertools import accumulate
from typing import Final

from taskengine.define.diagram import Box, Diagram, Shape
from taskengine.define.diagram_layout import arranged

__all__ = ["drawn_as_svg"]

_MARGIN: Final = 16.0
_GAP: Final = 28.0  # between boxes of a layer
_DROP: Final = 44.0  # between layers
_PAD: Final = 14.0
_LABEL: Final = 13.0  # font size
_MARK: Final = 11.0
_LEADING: Final = 15.0
_LEAST: Final = 96.0
_HEAD: Final = 30.0  # above the first layer, for the title
_FILL: Final[dict[Shape, tuple[str, str]]] = {
    "work": ("#eef3fb", "#4a6fa5"),
    "wait": ("#fdf3e1", "#b07d2b"),
    "noop": ("#f1f1f1", "#8a8f98"),
    "many": ("#e9f5ee", "#3f8f63"),
    "group": ("#fbfcfe", "#8fa3bf"),
}
_STYLE: Final = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Noto Sans CJK SC',sans-serif;fill:#1c2733}"
    ".m{font-size:11px;fill:#51606f}.l{font-size:13px;font-weight:600}.t{font-size:13px;fill:#7a8594}"
    ".e{fill:none;stroke:#7a8594;stroke-width:1.4}.o{stroke-dasharray:5 4}"
)
_ARROW: Final = (
    '<defs><marker id="te-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#7a8594"/></marker></defs>'
)


class _Picture:
    """One block, measured: how large each box is with all that is inside of it, and where it stands."""

    def __init__(self, diagram: Diagram) -> None:
        self.diagram = diagram
        self.inside = [[_Picture(block) for block in box.blocks] for box in diagram.boxes]
        self.sizes = [_size(box, inside) for box, inside in zip(diagram.boxes, self.inside, strict=True)]
        self.layout = arranged(diagram, width_of=lambda number: self.sizes[number][0], gap=_GAP)
        layers = self.layout.layers
        self.heights = [max((self.sizes[one][1] for one in layer if one < len(self.sizes)), default=0.0) for layer in layers]
        self.tops = list(accumulate((height + _DROP for height in self.heights[:-1]), initial=0.0)) if layers else []
        self.width = max(self.layout.width, _text_width(diagram.title, _MARK), _text_width(diagram.remark, _MARK))
        self.height = (self.tops[-1] + self.heights[-1] if self.tops else 0.0) + (_LEADING if diagram.remark else 0.0)

    def box_at(self, number: int, rank: int) -> float:
        """The upper edge of a box: in the middle of its layer."""
        return self.tops[rank] + (self.heights[rank] - self.sizes[number][1]) / 2


def drawn_as_svg(diagram: Diagram) -> str:
    """The picture as text; ends with a line end."""
    picture = _Picture(diagram)
    top = _HEAD + _MARGIN / 2
    width = max(picture.layout.width, _text_width(diagram.title, _LABEL)) + 2 * _MARGIN
    height = (top if picture.tops else _HEAD) + picture.height + _MARGIN
    parts = [
        _opening(diagram, width, height=height),
        f"<style>{_STYLE}</style>",
        _ARROW,
        f'<text class="t" x="{_MARGIN:.0f}" y="20">{escape(diagram.title)}</text>',
        f'<g transform="translate({_MARGIN:.0f} {top:.0f})">',
        *_drawn(picture),
        "</g>",
    ]
    if diagram.remark:
        parts.append(f'<text class="t" x="{_MARGIN:.0f}" y="{height - _MARGIN:.0f}">{escape(diagram.remark)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _opening(diagram: Diagram, width: float, *, height: float) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(diagram.title)}">'


def _drawn(picture: _Picture) -> Iterator[str]:
    """The arrows of a block and the boxes over them."""
    yield from _edges(picture)
    for rank, layer in enumerate(picture.layout.layers):
        for number in layer:
            if number < len(picture.sizes):
                yield from _box(picture, number, top=picture.box_at(number, rank))


def _box(picture: _Picture, number: int, *, top: float) -> Iterator[str]:
    box, centre, (width, height) = picture.diagram.boxes[number], picture.layout.centres[number], picture.sizes[number]
    fill, stroke = _FILL[box.shape]
    left = centre - width / 2
    radius = height / 2 if box.shape == "wait" else 6
    dashes = ' stroke-dasharray="5 4"' if box.is_conditional else ""
    yield f"<g><title>{escape(box.title)}</title>"
    if box.shape == "many":
        yield from (
            _rectangle((left + shift, top + shift), (width, height), radius, f'fill="{fill}" stroke="{stroke}"') for shift in (8, 4)
        )
    yield _rectangle((left, top), (width, height), radius, f'fill="{fill}" stroke="{stroke}" stroke-width="1.4"{dashes}')
    y = top + _PAD + _LABEL * 0.75
    yield f'<text class="l" x="{centre:.1f}" y="{y:.1f}" text-anchor="middle">{escape(box.label)}</text>'
    for mark in box.marks:
        y += _LEADING
        yield f'<text class="m" x="{centre:.1f}" y="{y:.1f}" text-anchor="middle">{escape(mark)}</text>'
    yield "</g>"
    inside = picture.inside[number]
    x = centre - (sum(block.width for block in inside) + _GAP * (len(inside) - 1)) / 2
    for block in inside:
        yield from _block(block, x, top=y + _PAD, lead=_lead(inside))
        x += block.width + _GAP


def _block(block: _Picture, left: float, *, top: float, lead: float) -> Iterator[str]:
    """A block inside of its step's box, with what it is above it."""
    middle = left + block.width / 2
    if block.diagram.title:
        yield f'<text class="m" x="{middle:.1f}" y="{top + _MARK:.1f}" text-anchor="middle">{escape(block.diagram.title)}</text>'
    y = top + lead
    yield f'<g transform="translate({middle - block.layout.width / 2:.1f} {y:.1f})">'
    yield from _drawn(block)
    yield "</g>"
    if block.diagram.remark:
        y += block.height
        yield f'<text class="m" x="{middle:.1f}" y="{y:.1f}" text-anchor="middle">{escape(block.diagram.remark)}</text>'


def _rectangle(corner: tuple[float, float], size: tuple[float, float], radius: float, look: str) -> str:  # noqa: PLR0917 -- geometry
    return f'<rect x="{corner[0]:.1f}" y="{corner[1]:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}" rx="{radius:.1f}" {look}/>'


def _edges(picture: _Picture) -> Iterator[str]:
    rank_of = {number: rank for rank, layer in enumerate(picture.layout.layers) for number in layer}
    for edge, path in zip(picture.diagram.edges, picture.layout.paths, strict=True):
        points = list(_points(picture, path, rank_of=rank_of))
        loose = " o" if edge.is_loose else ""
        yield f'<path class="e{loose}" d="{_curve(points)}" marker-end="url(#te-arrow)"/>'


def _points(picture: _Picture, path: list[int], *, rank_of: dict[int, int]) -> Iterator[tuple[float, float]]:
    """Where the arrow leaves, where it enters and leaves each layer that it passes, where it arrives."""
    for place, number in enumerate(path):
        rank, x = rank_of[number], picture.layout.centres[number]
        is_box = number < len(picture.sizes)
        top = picture.box_at(number, rank) if is_box else picture.tops[rank]
        if place > 0:
            yield x, top
        if place < len(path) - 1:
            yield x, top + (picture.sizes[number][1] if is_box else picture.heights[rank])


def _curve(points: list[tuple[float, float]]) -> str:
    (x, y), *rest = points
    parts = [f"M{x:.1f} {y:.1f}"]
    for number, (to_x, to_y) in enumerate(rest):
        if number % 2:  # through a layer, straight down
            parts.append(f"L{to_x:.1f} {to_y:.1f}")
        else:
            bend = (to_y - y) / 2
            parts.append(f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return "".join(parts)


def _lead(inside: list[_Picture]) -> float:
    """What is left free above the blocks of a step, for what they are called."""
    return _LEADING + _PAD / 2 if any(block.diagram.title for block in inside) else 0.0


def _size(box: Box, inside: list[_Picture]) -> tuple[float, float]:
    """Width and height of a box: its texts, and below them what is inside."""
    widest = max(_text_width(box.label, _LABEL), *(_text_width(mark, _MARK) for mark in box.marks), 0.0)
    width, height = max(_LEAST, widest + 2 * _PAD), 2 * _PAD + _LABEL * 0.85 + len(box.marks) * _LEADING
    if inside:
        width = max(width, sum(block.width for block in inside) + _GAP * (len(inside) - 1) + 2 * _PAD)
        height += max(block.height for block in inside) + _lead(inside) + _PAD
    return width, height


def _text_width(text: str, size: float) -> float:
    """About how wide the text is; fonts differ, so a little more than most."""
    return size * sum(1.02 if unicodedata.east_asian_width(character) in {"W", "F"} else 0.6 for character in text)
