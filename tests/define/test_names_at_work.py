"""Names that the check lets pass are there when the engine runs: random blocks in blocks that read everything they may see."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from taskengine.define import check
from taskengine.model.status import Status
from taskengine.model.workflow import Block, Join, OnFailure, Step, Success, Workflow
from taskengine.testing import virtual_engine

SLOW = [HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large]
LOOPS: list[dict[str, Any]] = [{"items": [1]}, {"until": "index > 1 and {}", "max_iterations": 4}, {"while": "index < 2 or not {}"}]


class Place(NamedTuple):
    """Where a text stands: the steps that it sees, and the nearest loop around."""

    seen: tuple[str, ...] = ()
    loop: str = ""
    depth: int = 0
    is_undone: bool = False


@st.composite
def expressions(draw: st.DrawFn, place: Place) -> str:
    """One that is true or false, whatever it reads."""
    names = ["input.x", "variables.d", "execution.id"]
    names += [f"steps.{step}.{field}" for step in place.seen for field in ("output", "status", "error")]
    names += ["index"] if place.loop else []
    names += ["item"] if place.loop == "items" else []
    return f"({draw(st.sampled_from(names))}|tojson|length) > 0"


@st.composite
def steps(draw: st.DrawFn, step_id: str, before: tuple[str, ...], place: Place) -> Step:
    depends_on = tuple(draw(st.lists(st.sampled_from(before), unique=True))) if before else ()
    here = place._replace(seen=(*place.seen, *depends_on))
    kinds = ["set", "aggregate", "condition", "parallel", "map", "loop"] if place.depth < 3 else ["set", "aggregate"]
    kind = draw(st.sampled_from(kinds))
    read = draw(expressions(here))
    config: dict[str, Any] = {}
    blocks: tuple[Block, ...] = ()
    success = Success(when=f"children.total > 0 and {read}") if kind in {"map", "parallel"} and draw(st.booleans()) else None
    inside = here._replace(depth=place.depth + 1)
    match kind:
        case "set":
            config = {"v": f"{{{{ {read} }}}}"}
        case "aggregate":
            config = {"items": f"{{{{ [{read}] }}}}"}
        case "condition":
            blocks = (draw(bodies(step_id, 0, inside, when=read)), draw(bodies(step_id, 1, inside)))
        case "parallel":
            blocks = (draw(bodies(step_id, 0, inside, name="left")), draw(bodies(step_id, 1, inside)))
        case "map":
            config = {"items": [1, 2]}
            blocks = (draw(bodies(step_id, 0, inside._replace(loop="items"))),)
        case _:
            config = draw(st.sampled_from(LOOPS))
            inside = inside._replace(loop="items" if "items" in config else "count")
            blocks = (draw(bodies(step_id, 0, inside)),)
            after = inside._replace(seen=(*inside.seen, *(step.id for step in blocks[0].steps)))
            held = draw(expressions(after))
            config = {key: value.format(held) if isinstance(value, str) else value for key, value in config.items()}
            config |= {} if "items" in config else {"max_iterations": 5}
    when = read if draw(st.booleans()) else None
    undo = draw(compensations(here._replace(seen=(*here.seen, step_id)))) if place.is_undone and not blocks else None
    return Step(
        id=step_id,
        type=kind,
        config=config,
        depends_on=depends_on,
        when=when,
        join=draw(st.sampled_from([Join.ALL_SUCCESS, Join.ALL_DONE])),
        output_mapping={"all": f"{{{{ (output|tojson|length) > 0 and {read} }}}}"} if draw(st.booleans()) else {},
        blocks=blocks,
        success=success,
        compensate=undo,
    )


@st.composite
def compensations(draw: st.DrawFn, place: Place) -> Step:
    """What undoes a step; it sees what the step saw, and the step."""
    read = draw(expressions(place._replace(loop="count" if place.loop else "")))
    if draw(st.booleans()):
        return Step(id="", type="set", config={"undone": f"{{{{ {read} }}}}"})
    return Step(id="", type="function", config={"function": "undo", "params": {"x": f"{{{{ {read} }}}}"}})


@st.composite
def bodies(draw: st.DrawFn, step_id: str, number: int, place: Place, **said: Any) -> Block:
    made = draw(graphs(f"{step_id}_{number}", place))
    after = place._replace(seen=(*place.seen, *(step.id for step in made)))
    return Block(steps=made, output=f"{{{{ {draw(expressions(after))} }}}}" if draw(st.booleans()) else None, **said)


@st.composite
def graphs(draw: st.DrawFn, prefix: str, place: Place) -> tuple[Step, ...]:
    made: list[Step] = []
    for number in range(draw(st.integers(1, 3))):
        made.append(draw(steps(f"{prefix}{number}", tuple(step.id for step in made), place)))
    return tuple(made)


@st.composite
def workflows(draw: st.DrawFn, *, is_undone: bool = False) -> Workflow:
    made = draw(graphs("s", Place(is_undone=is_undone)))
    output = draw(expressions(Place(seen=tuple(step.id for step in made))))
    return Workflow(name="w", variables={"d": 0}, steps=made, output=f"{{{{ {output} }}}}")


@given(workflow=workflows())
@settings(suppress_health_check=SLOW)
def test_what_blocks_may_see_is_accepted_and_is_there_when_they_run(workflow: Workflow) -> None:
    assert check(workflow) == ()
    with virtual_engine() as engine:
        ended = engine.run(workflow, params={"x": 1})
    assert (ended.error, ended.status) == (None, Status.COMPLETED)


@given(workflow=workflows(is_undone=True))
@settings(suppress_health_check=SLOW)
def test_what_compensations_may_see_is_there_when_they_run(workflow: Workflow) -> None:
    depends_on = tuple(step.id for step in workflow.steps)
    stop = Step(id="stop", type="fail", depends_on=depends_on, join=Join.ALL_DONE, config={"message": "stop"})
    undone = replace(workflow, steps=(*workflow.steps, stop), on_failure=OnFailure.COMPENSATE)
    assert {finding.name for finding in check(undone)} <= {"nothing_to_compensate"}
    with virtual_engine(functions={"undo": lambda x: x}) as engine:
        ended = engine.run(undone, params={"x": 1})
    assert ended.error is not None
    assert ended.error.message == "/stop/ stop"  # and nothing that could not be undone
