"""A diagram as SVG: boxes with a label and marks, arrows as curves, readable on light and dark ground.

Everything the author wrote is escaped; nothing is loaded from anywhere.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from taskengine.define.diagram import Box, Diagram, Shape
from taskengine.define.diagram_layout import Layout, arranged

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


def drawn_as_svg(diagram: Diagram) -> str:
    """The picture as text; ends with a line end."""
    layout = arranged(diagram, width_of=lambda number: _width(diagram.boxes[number]), gap=_GAP)
    tops = list(_tops(diagram, layout))
    heights = [_layer_height(diagram, layer) for layer in layout.layers]
    width = max(layout.width, _text_width(diagram.title, _LABEL)) + 2 * _MARGIN
    height = (tops[-1] + heights[-1] if tops else _HEAD) + _MARGIN + (_LEADING if diagram.remark else 0)
    parts = [
        _opening(diagram, width, height=height),
        f"<style>{_STYLE}</style>",
        _ARROW,
        f'<text class="t" x="{_MARGIN:.0f}" y="20">{escape(diagram.title)}</text>',
        f'<g transform="translate({_MARGIN:.0f} 0)">',
        *_edges(diagram, layout, tops=tops),
        *_boxes(diagram, layout, tops=tops, heights=heights),
        "</g>",
    ]
    if diagram.remark:
        parts.append(f'<text class="t" x="{_MARGIN:.0f}" y="{height - _MARGIN:.0f}">{escape(diagram.remark)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _opening(diagram: Diagram, width: float, *, height: float) -> str:
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(diagram.title)}">'


def _boxes(diagram: Diagram, layout: Layout, *, tops: list[float], heights: list[float]) -> Iterator[str]:
    for rank, layer in enumerate(layout.layers):
        for number in layer:
            if number < len(diagram.boxes):
                box = diagram.boxes[number]
                top = tops[rank] + (heights[rank] - _height(box)) / 2
                yield from _box(box, centre=layout.centres[number], top=top)


def _box(box: Box, *, centre: float, top: float) -> Iterator[str]:
    width, height = _width(box), _height(box)
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


def _rectangle(corner: tuple[float, float], size: tuple[float, float], radius: float, look: str) -> str:  # noqa: PLR0917 -- geometry
    return f'<rect x="{corner[0]:.1f}" y="{corner[1]:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}" rx="{radius:.1f}" {look}/>'


def _edges(diagram: Diagram, layout: Layout, *, tops: list[float]) -> Iterator[str]:
    heights = [_layer_height(diagram, layer) for layer in layout.layers]
    rank_of = {number: rank for rank, layer in enumerate(layout.layers) for number in layer}
    for edge, path in zip(diagram.edges, layout.paths, strict=True):
        points = list(_points(diagram, layout, path=path, places=(rank_of, tops, heights)))
        loose = " o" if edge.is_loose else ""
        yield f'<path class="e{loose}" d="{_curve(points)}" marker-end="url(#te-arrow)"/>'


def _points(
    diagram: Diagram, layout: Layout, *, path: list[int], places: tuple[dict[int, int], list[float], list[float]]
) -> Iterator[tuple[float, float]]:
    """Where the arrow leaves, where it enters and leaves each layer that it passes, where it arrives."""
    rank_of, tops, heights = places
    for place, number in enumerate(path):
        rank, x = rank_of[number], layout.centres[number]
        is_box = number < len(diagram.boxes)
        height = _height(diagram.boxes[number]) if is_box else heights[rank]
        top = tops[rank] + (heights[rank] - height) / 2
        if place > 0:
            yield x, top
        if place < len(path) - 1:
            yield x, top + height


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


def _tops(diagram: Diagram, layout: Layout) -> Iterator[float]:
    y = _HEAD + _MARGIN / 2
    for layer in layout.layers:
        yield y
        y += _layer_height(diagram, layer) + _DROP


def _layer_height(diagram: Diagram, layer: Iterable[int]) -> float:
    return max((_height(diagram.boxes[number]) for number in layer if number < len(diagram.boxes)), default=0.0)


def _height(box: Box) -> float:
    return 2 * _PAD + _LABEL * 0.85 + len(box.marks) * _LEADING


def _width(box: Box) -> float:
    widest = max(_text_width(box.label, _LABEL), *(_text_width(mark, _MARK) for mark in box.marks), 0.0)
    return max(_LEAST, widest + 2 * _PAD)


def _text_width(text: str, size: float) -> float:
    """About how wide the text is; fonts differ, so a little more than most."""
    return size * sum(1.02 if unicodedata.east_asian_width(character) in {"W", "F"} else 0.6 for character in text)
