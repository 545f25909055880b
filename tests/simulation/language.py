"""Random workflows that use the whole language: steps in steps, executions that start and signal others, people, and undoing.

They call each other: the first one calls nobody, the second the first, all others these two. An execution knows one other, its
``peer``, by its input; a child's peer is often its parent.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from taskengine.model.workflow import Block, Limits, OnFailure, RetryPolicy, Step, Success, Workflow
from tests.simulation.workloads import SIGNALS, WorkflowGenerator

__all__ = ["APPROVERS", "FORM", "LanguageGenerator"]

APPROVERS: Final = ("ann", "bob")
FORM: Final = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
DEEPEST: Final = 2
CALLED: Final = 2  # workflows that others call
_UNDOABLE: Final = frozenset({"function", "workflow", "approval", "condition", "parallel", "map", "loop"})


class LanguageGenerator(WorkflowGenerator):
    """Draws workflows of every type of step."""

    _depth = 0
    _callable: tuple[str, ...] = ()

    def workflow(self, number: int) -> Workflow:
        """One workflow of up to five steps, some of which hold others."""
        chance = self._chance
        self._callable = tuple(f"w{one}" for one in range(min(number, CALLED)))
        steps: list[Step] = []
        for index in range(chance.randint(1, 3 if number < CALLED else 5)):
            steps.append(self._step(f"s{index}", steps))
        if self._callable != ("w0", "w1") and chance.happens(0.7):  # those that others call take their time
            first = Step(id="first", type="wait", config={"duration": f"{chance.randint(300, 3_000)}ms"})
            steps = [first, *(step if step.depends_on else msgspec.structs.replace(step, depends_on=("first",)) for step in steps)]
        can_undo = any(step.compensate is not None for step in Workflow(name="", steps=tuple(steps)).every_step())
        return Workflow(
            name=f"w{number}",
            limits=Limits(
                timeout_ms=chance.randint(500, 20_000) if chance.happens(0.12) else None,
                max_concurrency=chance.randint(1, 2) if chance.happens(0.2) else None,
                priority=chance.randint(0, 9),
            ),
            steps=tuple(steps),
            output={"number": "{{ input.number }}"} if chance.happens(0.4) else None,
            variables={"limit": 3},
            success=Success(percent=50.0) if chance.happens(0.1) else None,
            on_failure=OnFailure.COMPENSATE if can_undo and chance.happens(0.7) else OnFailure.FAIL,
        )

    def _step(self, name: str, before: list[Step]) -> Step:
        step = super()._step(name, before)
        if step.type in _UNDOABLE and self._chance.happens(0.45):
            step = msgspec.structs.replace(step, compensate=self._compensation())
        return step

    def _kinds(self) -> dict[str, float]:
        kinds = {"function": 9, "wait": 3, "noop": 1, "set": 1.5, "approval": 2.5, "signal": 2, "fail": 0.7, "aggregate": 0.7}
        if self._callable:
            kinds["workflow"] = 6 if self._depth else 12
        if self._depth < DEEPEST:
            kinds |= {"condition": 1.5, "parallel": 2.5, "map": 3, "loop": 3}
        return kinds

    def _of_kind(self, kind: str, common: dict[str, Any]) -> Step:
        chance = self._chance
        match kind:
            case "set":
                return Step(type="set", config={"limit": chance.randint(1, 5)}, **common)
            case "fail":
                return Step(type="fail", config={"type": chance.choice(("ValueError", "Odd")), "message": "as asked"}, **common)
            case "aggregate":
                return Step(type="aggregate", config={"items": [1, "{{ input.number }}"], "operation": "sum"}, **common)
            case "signal":
                config = {"signal": chance.choice(SIGNALS), "execution": "{{ input.peer }}", "data": {"value": 5}}
                return Step(type="signal", config=config, **common)
            case "approval":
                return Step(type="approval", config=self._asking(), **common)
            case "workflow":
                return self._child(common)
            case "condition" | "parallel" | "map" | "loop":
                return self._container(kind, common)
            case _:
                return super()._of_kind(kind, common)

    def _condition(self, depends_on: tuple[str, ...]) -> str:
        return super()._condition(depends_on).replace(".output.value", ".output.value|default(2)")

    def _function(self, common: dict[str, Any], depends_on: tuple[str, ...]) -> Step:
        step = super()._function(common, depends_on)
        given = step.config["params"].get("value")
        if given is not None:
            step.config["params"]["value"] = given.replace(".output.value", ".output.value|default(2)")
        return step

    def _wait(self) -> dict[str, Any]:
        config = super()._wait()
        if "deadline" in config and self._chance.happens(0.4):
            config["filter"] = self._chance.choice(("event.value == 5", "event.value > input.number", "event.value > 9"))
        return config

    def _asking(self) -> dict[str, Any]:
        chance = self._chance
        config: dict[str, Any] = {"message": "{{ input.number }}?"} if chance.happens(0.5) else {}
        if chance.happens(0.6):
            config["approvers"] = ["ann"]
        if chance.happens(0.5):
            config["escalation"] = {"after": f"{chance.randint(50, 2_000)}ms", "to": ["bob"]}
        if chance.happens(0.3):
            config["deadline"] = f"{chance.randint(500, 8_000)}ms"
        if chance.happens(0.3):
            config["form"] = FORM
        return config

    def _child(self, common: dict[str, Any]) -> Step:
        chance = self._chance
        config: dict[str, Any] = {"workflow": chance.choice(self._callable)}
        if chance.happens(0.2):
            config["detach"] = True
        return Step(
            type="workflow",
            config=config,
            input_mapping=self._given(),
            retry=RetryPolicy(max_attempts=chance.choice((1, 1, 2)), initial_interval_ms=chance.choice((1, 500))),
            timeout_ms=chance.randint(200, 6_000) if chance.happens(0.12) else None,
            **common,
        )

    def _given(self) -> dict[str, Any]:
        peer = self._chance.choice(("{{ execution.id }}", "{{ execution.id }}", "{{ input.peer }}"))
        return {"number": "{{ input.number }}", "peer": peer}

    def _compensation(self) -> Step:
        chance = self._chance
        if self._callable and chance.happens(0.12):
            return Step(id="", type="workflow", config={"workflow": "w0"}, input_mapping=self._given())
        if chance.happens(0.1):
            return Step(id="", type="noop")
        script = [self._undoing() for _ in range(chance.choice((1, 2, 3)))]
        needs_clock = "hang" in script
        return Step(
            id="",
            type="function",
            config={"function": "work", "params": {"script": script}},
            retry=RetryPolicy(max_attempts=chance.choice((1, 3, 4)), initial_interval_ms=chance.choice((1, 200))),
            timeout_ms=chance.randint(50, 1_000) if needs_clock else None,
        )

    def _undoing(self) -> str:
        kinds = {"ok:0": 3, "ok:20": 4, "ok:200": 4, "ok:1500": 1, "fail:ValueError:20": 3, "hang": 0.5, "die:20": 0.1}
        return self._chance.weighed(kinds)

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _container(self, kind: str, common: dict[str, Any]) -> Step:
        """A group; a map with windows, a loop that may stop, both with loops and conditions in them."""
        chance = self._chance
        config: dict[str, Any] = {}
        if kind == "condition":
            blocks = (Block(when=self._condition(()), steps=self._inner()), Block(steps=self._inner()))
        elif kind == "parallel":
            blocks = tuple(Block(name=name, steps=self._inner()) for name in ("left", "right"))
        else:
            blocks = (Block(steps=self._inner()),)
            if kind == "map" or chance.happens(0.4):
                config["items"] = list(range(chance.randint(0, 3)))
                config |= {"max_concurrency": chance.randint(1, 2)} if chance.happens(0.4) else {}
            else:
                config = {
                    "until": chance.choice(("index >= 2", "variables.limit > 3", "false")),
                    "max_iterations": chance.randint(1, 3),
                }
        return Step(
            type=kind,
            blocks=blocks,
            config=config,
            success=Success(percent=50.0) if chance.happens(0.4) else None,
            timeout_ms=chance.randint(500, 8_000) if chance.happens(0.15) else None,
            **common,
        )

    def _inner(self) -> tuple[Step, ...]:
        self._depth += 1
        steps: list[Step] = []
        for index in range(self._chance.choice((1, 1, 2, 2, 3))):
            steps.append(self._step(f"s{self._depth}{index}x", steps))
        self._depth -= 1
        return tuple(steps)
