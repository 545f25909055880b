"""What a workflow looks like, as boxes and arrows: labels, marks, what is folded. `diagram_layout` places them, the others draw.

Pure: a workflow in, text out. It also draws what the checks refuse, so that a cycle can be looked at. Many like steps side by side
are one box; whatever came from the author is made visible before it reaches a picture or a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

from taskengine.define.blocks import Placed, blocks_of
from taskengine.define.given import Doubts, is_list, is_mapping
from taskengine.define.graph import Graph
from taskengine.define.keys import LOOPS
from taskengine.define.phrase import cropped, numbered, visible
from taskengine.define.rules import MAX_NESTING
from taskengine.model.workflow import Block, Join, Step, Workflow

__all__ = ["Box", "Diagram", "Edge", "diagram_of", "to_ascii", "to_mermaid", "to_svg"]

Shape: TypeAlias = Literal["work", "wait", "noop", "many", "group"]
_FOLDED: Final = 5  # more like steps than this are one box
_MOST_BOXES: Final = 1_000
_MOST_EDGES: Final = 5_000
_LABEL: Final = 40  # characters
_NAMED: Final = 50  # steps that the tooltip of a folded box names


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """One box. ``marks`` are the lines below its label: what it does, and what decides whether it starts."""

    label: str
    marks: tuple[str, ...] = ()
    shape: Shape = "work"
    is_conditional: bool = False
    title: str = ""  # all of it, for those who point at it
    blocks: tuple[Diagram, ...] = ()  # what stands inside, side by side


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """An arrow between two boxes by number. A loose one does not ask for success."""

    source: int
    target: int
    is_loose: bool = False


class Diagram(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow, or a block of one, to be drawn. ``ranks``: how deep each box stands, 0 at the top."""

    title: str
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    ranks: tuple[int, ...]
    remark: str = ""


def to_ascii(workflow: Workflow) -> str:
    """The graph as lines of text."""
    from taskengine.define.diagram_ascii import drawn_as_text  # noqa: PLC0415 -- one of three is needed

    return drawn_as_text(diagram_of(workflow))


def to_mermaid(workflow: Workflow) -> str:
    """The graph in Mermaid's language."""
    from taskengine.define.diagram_mermaid import drawn_as_mermaid  # noqa: PLC0415 -- one of three is needed

    return drawn_as_mermaid(diagram_of(workflow))


def to_svg(workflow: Workflow) -> str:
    """The graph as a picture that stands alone: no script, no font, no reference to anything else."""
    from taskengine.define.diagram_svg import drawn_as_svg  # noqa: PLC0415 -- one of three is needed

    return drawn_as_svg(diagram_of(workflow))


def diagram_of(workflow: Workflow) -> Diagram:
    """The boxes and arrows of a workflow, at most a thousand boxes, blocks inside of the box of their step."""
    steps = numbered(workflow.step_count, "step")
    version = f" {workflow.version}" if workflow.version else ""
    title = cropped(f"{workflow.name}{version}") + f" · {steps}"
    return _Drawing().of(workflow, title=title, depth=0)


class _Drawing:
    """One workflow; counts the boxes that it may still have."""

    def __init__(self) -> None:
        self._left = _MOST_BOXES

    def of(self, block: Workflow | Block, *, title: str, depth: int) -> Diagram:
        """A block with everything inside of it."""
        graph = Graph(block, Doubts())
        knotted = sorted(set(range(len(graph.steps))).difference(graph.order))
        depths = _depths(graph, knotted)
        order = sorted(_groups(graph), key=lambda members: (depths[members[0]], members[0]))
        drawn = order[: self._left]
        self._left -= len(drawn)
        boxes = tuple(self._box([graph.steps[member] for member in members], depth=depth) for members in drawn)
        edges = _edges(graph, {member: number for number, members in enumerate(drawn) for member in members})
        left = sum(len(members) for members in order[len(drawn) :])
        remarks = [f"{numbered(left, 'step')} more"] if left else []
        remarks += [f"{numbered(len(edges) - _MOST_EDGES, 'arrow')} more"] if len(edges) > _MOST_EDGES else []
        return Diagram(
            title=title,
            boxes=boxes,
            edges=tuple(edges[:_MOST_EDGES]),
            ranks=tuple(depths[members[0]] for members in drawn),
            remark=f"… and {' and '.join(remarks)}" if remarks else "",
        )

    def _box(self, steps: list[Step], *, depth: int) -> Box:
        box = _box(steps)
        if not steps[0].blocks or depth >= MAX_NESTING:
            return box
        inside = [
            self.of(placed.block, title=_title_of(steps[0], placed, place=place), depth=depth + 1)
            for place, placed in enumerate(blocks_of(steps[0]))
        ]
        return msgspec.structs.replace(box, shape="group", blocks=tuple(inside))


def _title_of(container: Step, placed: Placed, *, place: int) -> str:
    """What stands above a block: which case or branch it is."""
    block = placed.block
    if container.type == "parallel":
        return _short(block.name or f"[{place}]")
    if container.type != "condition":
        return ""
    if placed.keys == ("else",):
        return "else"
    return _short(f"{block.name}: {block.when}" if block.name else f"when {block.when}")


def _depths(graph: Graph, knotted: Iterable[int]) -> list[int]:
    """The longest way to each step; steps on a cycle, and behind one, stand below each other in their order."""
    depth = [0] * len(graph.steps)
    for number in graph.order:
        depth[number] = max((depth[other] + 1 for other in graph.dependencies[number]), default=0)
    lowest = max((depth[number] for number in graph.order), default=-1)
    for place, number in enumerate(knotted):
        depth[number] = lowest + 1 + place
    return depth


def _groups(graph: Graph) -> list[list[int]]:
    """Steps that are drawn as one box: many of the same kind between the same steps."""
    dependents: list[list[int]] = [[] for _ in graph.steps]
    for number, dependencies in enumerate(graph.dependencies):
        for dependency in dependencies:
            dependents[dependency].append(number)
    alike: dict[tuple[object, ...], list[int]] = {}
    for number, step in enumerate(graph.steps):
        function = step.config.get("function")
        own = number if step.blocks else -1  # what holds others is never folded
        kind = (step.type, function if isinstance(function, str) else "", step.join, step.when is None, own)
        around = (frozenset(graph.dependencies[number]), frozenset(dependents[number]))
        alike.setdefault((*kind, *around), []).append(number)
    groups: list[list[int]] = []
    for members in alike.values():
        groups += [members] if len(members) > _FOLDED else [[member] for member in members]
    return groups


def _edges(graph: Graph, number_of: dict[int, int]) -> list[Edge]:
    loose: dict[tuple[int, int], bool] = {}
    for number, target in number_of.items():
        is_loose = graph.steps[number].join is not Join.ALL_SUCCESS
        for dependency in graph.dependencies[number]:
            source = number_of.get(dependency)
            if source is not None and source != target:
                loose[(source, target)] = is_loose
    return [Edge(source=source, target=target, is_loose=is_loose) for (source, target), is_loose in sorted(loose.items())]


def _box(steps: list[Step]) -> Box:
    first = steps[0]
    if len(steps) == 1:
        return Box(
            label=_short(first.name or first.id or "(no id)"),
            marks=tuple(_marks(first)),
            shape="wait" if first.type == "wait" else "noop" if first.type == "noop" else "work",
            is_conditional=first.when is not None,
            title=_title(first),
        )
    named = ", ".join(step.id for step in steps[:_NAMED]) + (", …" if len(steps) > _NAMED else "")
    return Box(
        label=_short(f"{first.id} … {steps[-1].id}"),
        marks=(f"{len(steps)} steps side by side", *_marks(first)),
        shape="many",
        is_conditional=first.when is not None,
        title=visible(named),
    )


def _marks(step: Step) -> Iterable[str]:
    yield _short(_doing(step))
    if step.when is not None:
        yield _short(f"when {step.when}")
    if step.join is not Join.ALL_SUCCESS:
        yield f"join {step.join.value}"
    if step.success is not None:
        from taskengine.define.success import written_success  # noqa: PLC0415 -- few have one

        yield _short(f"success {_said(written_success(step.success))}")
    if step.compensate is not None:
        yield _short(f"undone by {_doing(step.compensate)}")
    if step.handles:
        yield _short(f"handles {', '.join(step.handles)}")


def _doing(step: Step) -> str:
    """What a step does, in a few words."""
    match step.type:
        case "function":
            return f"{step.config.get('function', '?')}".rpartition(":")[2] + "()"
        case "wait":
            way = next((way for way in ("duration", "until", "signal") if way in step.config), "")
            return f"wait {way} {step.config.get(way, '')}" if way else "wait"
        case "map":
            return f"map over {_brief(step.config.get('items'))}"
        case "loop":
            way = next((way for way in LOOPS if step.config.get(way) is not None), "")
            return f"loop {'over' if way == 'items' else way} {_brief(step.config.get(way))}" if way else "loop"
        case "workflow" | "signal":
            return f"{step.type} {step.config.get(step.type, '?')}"
        case "set":
            return f"set {', '.join(step.config)}"
        case _:
            return step.type


def _brief(value: object) -> str:
    """Items or a condition, without the braces of a template."""
    if isinstance(value, str):
        return value.strip().removeprefix("{{").removesuffix("}}").strip()
    return numbered(len(value), "item") if is_list(value) else "?"


def _said(rule: object) -> str:
    """A rule of success in the words of a document."""
    return ", ".join(f"{key} {value}" for key, value in rule.items()) if is_mapping(rule) else f"{rule}"


def _title(step: Step) -> str:
    parts = [step.id, step.description, f"type {step.type}", f"when {step.when}" if step.when is not None else ""]
    return visible(" · ".join(part for part in parts if part))


def _short(text: str) -> str:
    text = " ".join(text.split())
    return cropped(text if len(text) <= _LABEL else text[: _LABEL - 1] + "…")
