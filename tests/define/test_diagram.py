"""Workflows draw themselves: as text, in Mermaid's language, as a picture; whatever they hold, within bounds."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskengine import Join, Step, TaskBuilder, Workflow, WorkflowBuilder
from taskengine.define import load_file, load_text
from taskengine.define.diagram import diagram_of
from taskengine.define.diagram_layout import arranged
from taskengine.define.rules import MAX_NESTING
from taskengine.model.workflow import Block
from tests.define import declaring
from tests.define.workflows import plain_workflows

WEATHER = Path(__file__).parents[2] / "examples" / "weather" / "weather.yaml"
SVG = "{http://www.w3.org/2000/svg}"


def noop(step_id: str, *after: str, **more: object) -> Step:
    return Step(id=step_id, type="noop", depends_on=after, **more)  # type: ignore[arg-type]


def graph(*steps: Step, name: str = "g") -> Workflow:
    return Workflow(name=name, steps=steps)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_a_diamond_as_text() -> None:
    drawn = graph(noop("a"), noop("b", "a"), noop("c", "a"), noop("d", "b", "c"), name="diamond").to_ascii()
    assert drawn == (
        "diamond - 4 steps\n"
        "\n"
        "      +-------+\n"
        "      |   a   |\n"
        "      | noop  |\n"
        "      +-------+\n"
        "          |\n"
        "    +-----+-----+\n"
        "    v           v\n"
        "+-------+   +-------+\n"
        "|   b   |   |   c   |\n"
        "| noop  |   | noop  |\n"
        "+-------+   +-------+\n"
        "    |           |\n"
        "    +-----+-----+\n"
        "          v\n"
        "      +-------+\n"
        "      |   d   |\n"
        "      | noop  |\n"
        "      +-------+\n"
    )


def test_a_diamond_in_mermaid() -> None:
    assert graph(noop("a"), noop("b", "a"), noop("end", "a", "b", join=Join.ALL_DONE)).to_mermaid() == (
        "flowchart TD\n"
        '  n0(("a<br/><small>noop</small>"))\n'
        '  n1(("b<br/><small>noop</small>"))\n'
        '  n2(("end<br/><small>noop</small><br/><small>join all#95;done</small>"))\n'
        "  n0 --> n1\n"
        "  n0 -.-> n2\n"
        "  n1 -.-> n2\n"
    )


BLOCKS = """
name: blocks
steps:
  - id: each
    type: map
    config: {items: "{{ input.files }}"}
    success: any
    steps: [{id: load, type: noop}, {id: keep, type: noop, depends_on: [load]}]
  - id: check
    type: condition
    depends_on: [each]
    cases: [{when: "input.x > 1", name: big, steps: [{id: a, type: noop}]}]
    else: [{id: b, type: set, config: {n: 1}}]
"""


def blocks() -> Workflow:
    return load_text(BLOCKS, file="blocks.yaml").require()


def test_blocks_are_drawn_inside_of_their_step_as_text() -> None:
    assert blocks().to_ascii() == (
        "blocks - 6 steps\n"
        "\n"
        "    +-----------------------+\n"
        "    |         each          |\n"
        "    | map over input.files  |\n"
        "    |      success any      |\n"
        "    |                       |\n"
        "    |       +-------+       |\n"
        "    |       | load  |       |\n"
        "    |       | noop  |       |\n"
        "    |       +-------+       |\n"
        "    |           |           |\n"
        "    |           v           |\n"
        "    |       +-------+       |\n"
        "    |       | keep  |       |\n"
        "    |       | noop  |       |\n"
        "    |       +-------+       |\n"
        "    +-----------------------+\n"
        "                |\n"
        "                v\n"
        "+-------------------------------+\n"
        "|             check             |\n"
        "|           condition           |\n"
        "|                               |\n"
        "| big: input.x > 1     else     |\n"
        "| +-------+          +-------+  |\n"
        "| |   a   |          |   b   |  |\n"
        "| | noop  |          | set n |  |\n"
        "| +-------+          +-------+  |\n"
        "+-------------------------------+\n"
    )


def test_blocks_are_subgraphs_in_mermaid() -> None:
    assert blocks().to_mermaid() == (
        "flowchart TD\n"
        '  subgraph n0["each<br/><small>map over input.files</small><br/><small>success any</small>"]\n'
        '    n0_0_0(("load<br/><small>noop</small>"))\n'
        '    n0_0_1(("keep<br/><small>noop</small>"))\n'
        "    n0_0_0 --> n0_0_1\n"
        "  end\n"
        '  subgraph n1["check<br/><small>condition</small>"]\n'
        '    subgraph n1_0["big: input.x #62; 1"]\n'
        '      n1_0_0(("a<br/><small>noop</small>"))\n'
        "    end\n"
        '    subgraph n1_1["else"]\n'
        '      n1_1_0["b<br/><small>set n</small>"]\n'
        "    end\n"
        "  end\n"
        "  n0 --> n1\n"
    )


def test_blocks_lie_inside_of_their_step_in_a_picture() -> None:
    found: dict[str, tuple[float, float, float, float]] = {}

    def walk(element: ET.Element, x: float, y: float) -> None:
        moved = re.match(r"translate\(([-\d.]+) ([-\d.]+)\)", element.get("transform", ""))
        x, y = (x + float(moved[1]), y + float(moved[2])) if moved else (x, y)
        box, label = element.find(f"{SVG}rect"), element.find(f"{SVG}text[@class='l']")
        if box is not None and label is not None:
            left, top = x + float(box.get("x", "")), y + float(box.get("y", ""))
            found[label.text or ""] = (left, top, left + float(box.get("width", "")), top + float(box.get("height", "")))
        for child in element:
            walk(child, x, y)

    svg = blocks().to_svg()
    walk(ET.fromstring(svg), 0.0, 0.0)
    for inner, outer in (("load", "each"), ("keep", "each"), ("a", "check"), ("b", "check")):
        left, top, right, bottom = found[inner]
        assert found[outer][0] < left < right < found[outer][2], inner
        assert found[outer][1] < top < bottom < found[outer][3], inner
    assert {"big: input.x > 1", "else", "map over input.files", "success any"} <= set(texts(svg))


def test_blocks_in_blocks_are_drawn_to_the_limit_and_counted_together() -> None:
    inner = (noop("last"),)
    for depth in range(30):
        inner = (Step(id=f"p{depth}", type="parallel", blocks=(Block(steps=inner),)),)
    deep = graph(*inner)
    assert deep.to_ascii().count("parallel") == MAX_NESTING + 1
    wide = graph(*(Step(id=f"w{n}", type="map", blocks=(Block(steps=(noop("x"), noop("y"))),)) for n in range(700)))
    assert [block.remark for box in diagram_of(wide).boxes for block in box.blocks][-1] == "… and 2 steps more"
    assert len(texts(wide.to_svg())) < 3_000


def test_the_weather_pipeline_shows_every_step_and_every_arrow() -> None:
    workflow = load_file(WEATHER).require()
    shown = texts(workflow.to_svg())
    for step in workflow.steps:
        assert step.name in shown
        assert step.name in workflow.to_ascii()
    assert workflow.to_svg().count('<path class="e"') == sum(len(step.depends_on) for step in workflow.steps) == 11
    assert workflow.to_mermaid().count(" --> ") == 11


def test_conditions_joins_and_waits_are_shown() -> None:
    workflow = graph(
        noop("a"),
        Step(id="b", type="function", config={"function": "m:load"}, depends_on=("a",), when="input.x > 1"),
        Step(id="c", type="wait", config={"signal": "go"}, depends_on=("b",), join=Join.ANY_FAILED, handles=("HttpError",)),
    )
    for drawn in (workflow.to_ascii(), "\n".join(texts(workflow.to_svg()))):
        for mark in ("when input.x > 1", "join any_failed", "handles HttpError", "wait signal go", "load()"):
            assert mark in drawn
    assert 'stroke-dasharray="5 4"' in workflow.to_svg()
    assert "class n1 conditional" in workflow.to_mermaid()
    assert "n1 -.-> n2" in workflow.to_mermaid()


def test_many_like_steps_side_by_side_are_one_box() -> None:
    parts = [Step(id=f"part_{n}", type="function", config={"function": "m:f"}, depends_on=("a",)) for n in range(40)]
    workflow = graph(noop("a"), *parts, noop("z", *(part.id for part in parts)))
    assert len(diagram_of(workflow).boxes) == 3
    assert "40 steps side by side" in workflow.to_ascii()
    assert "part_0 ... part_39" in workflow.to_ascii()
    assert "part_0 … part_39" in texts(workflow.to_svg())
    few = graph(noop("a"), *parts[:5])
    assert len(diagram_of(few).boxes) == 6


def test_what_a_label_holds_cannot_break_out_of_it() -> None:
    evil = 'a"]; click n0 "javascript:x" <script>alert(1)</script> & \x1b[31m `x` #quot; {{x}} | \u202e'
    workflow = graph(Step(id="a", type="function", name=evil, description=evil, config={"function": evil}, when=evil), name=evil)
    svg = workflow.to_svg()
    assert "<script" not in svg
    assert {element.tag for element in ET.fromstring(svg).iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "style", "defs", "marker", "path", "text", "g", "title", "rect")
    }
    mermaid = workflow.to_mermaid().splitlines()
    assert [line.split("[")[0].strip() for line in mermaid[1:2]] == ["n0"]
    (label,) = re.findall(r'^  n0\["(.*)"\]$', mermaid[1])
    assert not re.search(r'["`;{}|\[\]()]', re.sub(r"#\d+;|<br/>|</?small>", "", label))
    for drawn in (workflow.to_ascii(), svg, workflow.to_mermaid()):
        assert "\x1b" not in drawn
        assert "\u202e" not in drawn


def test_a_cycle_can_be_looked_at() -> None:
    workflow = graph(noop("a", "b"), noop("b", "a", "c", "nobody"), noop("c"))
    assert "after b" in workflow.to_ascii()
    assert set(texts(workflow.to_svg())) >= {"a", "b", "c"}


def test_an_arrow_over_layers_goes_around_the_boxes_between() -> None:
    workflow = graph(noop("a"), noop("b", "a"), noop("c", "b"), noop("d", "c", "a"))
    diagram = diagram_of(workflow)
    layout = arranged(diagram, width_of=lambda _: 10.0, gap=4.0)
    (path,) = [path for path in layout.paths if len(path) > 2]
    for layer, bend in zip(layout.layers[1:3], path[1:-1], strict=True):
        (box,) = [number for number in layer if number < len(diagram.boxes)]
        assert bend in layer
        assert abs(layout.centres[bend] - layout.centres[box]) >= 9.0


@given(workflow=plain_workflows())
@settings(max_examples=50)
def test_every_workflow_can_be_drawn(workflow: Workflow) -> None:
    ET.fromstring(workflow.to_svg())
    assert workflow.to_mermaid().startswith("flowchart TD\n")
    assert all(line == line.rstrip() for line in workflow.to_ascii().splitlines())


@given(edges=st.sets(st.tuples(st.integers(0, 14), st.integers(0, 14)), max_size=40))
@settings(max_examples=50)
def test_boxes_of_a_layer_never_touch(edges: set[tuple[int, int]]) -> None:
    after: dict[int, list[str]] = {}
    for one, other in edges:
        if one != other:
            after.setdefault(max(one, other), []).append(f"s{min(one, other)}")
    workflow = graph(*(noop(f"s{number}", *after.get(number, ())) for number in range(15)))
    diagram = diagram_of(workflow)
    layout = arranged(diagram, width_of=lambda number: 10.0 + number, gap=4.0)
    for layer in layout.layers:
        boxes = [number for number in layer if number < len(diagram.boxes)]
        for left, right in pairwise(boxes):
            widths = (layout_width(left) + layout_width(right)) / 2
            assert layout.centres[right] - layout.centres[left] >= widths + 4.0 - 1e-6


def layout_width(number: int) -> float:
    return 10.0 + number


@pytest.mark.parametrize("shape", ["mesh", "chain", "wide"])
def test_ten_thousand_steps_are_drawn_within_bounds(shape: str) -> None:
    count = 400 if shape == "mesh" else 10_000
    dependencies = {
        "mesh": lambda n: tuple(f"s{other}" for other in range(n)),
        "chain": lambda n: (f"s{n - 1}",) if n else (),
        "wide": lambda n: (f"s{n % 7}",) if n > 6 else (),
    }[shape]
    workflow = graph(*(noop(f"s{n}", *dependencies(n), when=f"input.x > {n}" if n % 2 else None) for n in range(count)))
    diagram = diagram_of(workflow)
    assert len(diagram.boxes) <= 1_000
    assert len(diagram.edges) <= 5_000
    assert len(workflow.to_svg()) < 3_000_000
    assert (" more" in diagram.remark) is (shape != "wide")


def test_everything_that_is_a_workflow_prints_itself() -> None:
    builder = WorkflowBuilder("w").with_task(TaskBuilder("load data").with_job_function("f"))
    for thing in (builder, builder.build(), declaring.ETL):
        assert thing.to_ascii() == str(thing) == thing.declared().workflow.to_ascii()
        assert thing._repr_svg_() == thing._repr_html_() == thing.to_svg()  # what notebooks call
        assert thing.to_mermaid().startswith("flowchart TD")
    workflow = builder.build().workflow
    assert workflow._repr_html_() == workflow._repr_svg_() == workflow.to_svg()  # what notebooks call
    assert "load data" in repr(builder.build()) or "load_data" in repr(builder.build())
