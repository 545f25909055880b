"""A diagram in Mermaid's language. Steps get ids of their own, because words such as ``end`` would break it; labels are escaped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from taskengine.define.diagram import Box, Diagram, Shape

__all__ = ["drawn_as_mermaid"]

_SHAPES: Final[dict[Shape, tuple[str, str]]] = {
    "work": ("[", "]"),
    "wait": ("([", "])"),
    "noop": ("((", "))"),
    "many": ("[[", "]]"),
    "group": ("[", "]"),
}
# Characters that mean something inside of a quoted label, to Mermaid or to the HTML it makes of it.
_ESCAPED: Final = {ord(character): f"#{ord(character)};" for character in '"#&<>`;{}|[]()\\*_~'}


def drawn_as_mermaid(diagram: Diagram) -> str:
    """The text of the diagram; ends with a line end."""
    lines = ["flowchart TD", *_drawn(diagram, "n", indent="  ")]
    conditional = ",".join(_conditional(diagram, "n"))
    if conditional:
        lines += ["  classDef conditional stroke-dasharray: 5 4", f"  class {conditional} conditional"]
    return "\n".join(lines) + "\n"


def _drawn(diagram: Diagram, prefix: str, *, indent: str) -> Iterator[str]:
    """The nodes and arrows of one block; names begin with ``prefix``."""
    for number, box in enumerate(diagram.boxes):
        name = f"{prefix}{number}"
        if box.blocks:
            yield f'{indent}subgraph {name}["{_text(box)}"]'
            for place, block in enumerate(box.blocks):
                yield from _block(block, f"{name}_{place}", indent=f"{indent}  ")
            yield f"{indent}end"
        else:
            yield f"{indent}{name}{_node(box)}"
    for edge in diagram.edges:
        yield f"{indent}{prefix}{edge.source} {'-.->' if edge.is_loose else '-->'} {prefix}{edge.target}"
    if diagram.remark:
        yield f'{indent}{"more" if prefix == "n" else f"{prefix}more"}["{_escaped(diagram.remark)}"]'


def _block(block: Diagram, name: str, *, indent: str) -> Iterator[str]:
    if not block.title:
        yield from _drawn(block, f"{name}_", indent=indent)
        return
    yield f'{indent}subgraph {name}["{_escaped(block.title)}"]'
    yield from _drawn(block, f"{name}_", indent=f"{indent}  ")
    yield f"{indent}end"


def _conditional(diagram: Diagram, prefix: str) -> Iterator[str]:
    for number, box in enumerate(diagram.boxes):
        if box.is_conditional:
            yield f"{prefix}{number}"
        for place, block in enumerate(box.blocks):
            yield from _conditional(block, f"{prefix}{number}_{place}_")


def _node(box: Box) -> str:
    opening, closing = _SHAPES[box.shape]
    return f'{opening}"{_text(box)}"{closing}'


def _text(box: Box) -> str:
    return "<br/>".join([_escaped(box.label), *(f"<small>{_escaped(mark)}</small>" for mark in box.marks)])


def _escaped(text: str) -> str:
    return text.translate(_ESCAPED)
