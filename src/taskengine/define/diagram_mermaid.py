"""A diagram in Mermaid's language. Steps get ids of their own, because words such as ``end`` would break it; labels are escaped."""

from __future__ import annotations

from typing import Final

from taskengine.define.diagram import Box, Diagram, Shape

__all__ = ["drawn_as_mermaid"]

_SHAPES: Final[dict[Shape, tuple[str, str]]] = {
    "work": ("[", "]"),
    "wait": ("([", "])"),
    "noop": ("((", "))"),
    "many": ("[[", "]]"),
}
# Characters that mean something inside of a quoted label, to Mermaid or to the HTML it makes of it.
_ESCAPED: Final = {ord(character): f"#{ord(character)};" for character in '"#&<>`;{}|[]()\\*_~'}


def drawn_as_mermaid(diagram: Diagram) -> str:
    """The text of the diagram; ends with a line end."""
    lines = ["flowchart TD"]
    lines += [f"  n{number}{_node(box)}" for number, box in enumerate(diagram.boxes)]
    lines += [f"  n{edge.source} {'-.->' if edge.is_loose else '-->'} n{edge.target}" for edge in diagram.edges]
    conditional = ",".join(f"n{number}" for number, box in enumerate(diagram.boxes) if box.is_conditional)
    if conditional:
        lines += ["  classDef conditional stroke-dasharray: 5 4", f"  class {conditional} conditional"]
    if diagram.remark:
        lines.append(f'  more["{_escaped(diagram.remark)}"]')
    return "\n".join(lines) + "\n"


def _node(box: Box) -> str:
    opening, closing = _SHAPES[box.shape]
    text = "<br/>".join([_escaped(box.label), *(f"<small>{_escaped(mark)}</small>" for mark in box.marks)])
    return f'{opening}"{text}"{closing}'


def _escaped(text: str) -> str:
    return text.translate(_ESCAPED)
