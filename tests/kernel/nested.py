"""Random workflows of containers in containers, down to three blocks deep. Numbers off a tape, so that a failing one shrinks.

A ``tame`` workflow ends in one way only, whatever the order in which its work is answered: nothing reads what may still change.
A wild one has clocks, deadlines and steps that may not be repeated besides; only promises can be checked about it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from taskengine.model.value import Json
from taskengine.model.workflow import Block, Join, Limits, OnError, OnFailure, RetryPolicy, Step, Success, Workflow
from tests.kernel.nested_letters import PEER
from tests.kernel.tape import Tape

INPUT: dict[str, Json] = {"n": 3, "rows": [4, 5, 6], "none": []}
DEEPEST = 3
UNDOABLE = frozenset({"function", "workflow", "approval", "condition", "parallel", "map", "loop"})
_WAITS_FOR_ALL = (Join.ALL_SUCCESS, Join.ALL_DONE, Join.NONE_FAILED)


class Around(msgspec.Struct, frozen=True):
    """What a block's expressions may name: steps of the blocks around, an item, an index."""

    depth: int = 0
    steps: tuple[str, ...] = ()
    has_item: bool = False
    has_index: bool = False
    is_alone: bool = True  # the same step is never at work twice at once


class Nest:
    """Makes one workflow."""

    def __init__(self, tape: Tape, *, is_tame: bool) -> None:
        self.tape = tape
        self.is_tame = is_tame
        self.made = 0

    def workflow(self) -> Workflow:
        tape = self.tape
        steps = self._steps(Around(), 1 + tape.pick((1, 2, 3, 4)))
        made = Workflow(
            name="nested",
            version="1",
            output=tape.pick((None, {step.id: f"{{{{ steps.{step.id}.output|default(none) }}}}" for step in steps})),
            success=self._success() if tape.chance(20) else None,
            on_failure=tape.pick((OnFailure.FAIL, OnFailure.COMPENSATE)),
            limits=Limits(
                max_concurrency=tape.pick((None, None, 1, 3)), timeout_ms=None if self.is_tame else tape.pick((None, None, 60_000))
            ),
            steps=steps,
        )
        return msgspec.json.decode(msgspec.json.encode(made, order="sorted"), type=Workflow)  # as it is stored

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _steps(self, around: Around, count: int) -> tuple[Step, ...]:
        suffix = str(around.depth) if around.depth else ""
        names = [f"{letter}{suffix}" for letter in "abcdef"[:count]]
        steps = [self._step(names[: place + 1], around) for place in range(count)]
        if self.tape.chance(25):
            steps.reverse()
        return tuple(steps)

    def _step(self, names: list[str], around: Around) -> Step:
        tape = self.tape
        name, earlier = names[-1], names[:-1]
        depends_on = tuple(one for one in earlier[-2:] if tape.chance(55))
        join = tape.weighted(
            [(9, Join.ALL_SUCCESS), (4, Join.ALL_DONE), (3, Join.ANY_SUCCESS), (2, Join.ANY_FAILED), (2, Join.NONE_FAILED)]
        )
        if not depends_on and not tape.chance(5):
            join = Join.ALL_SUCCESS
        visible = (*around.steps, *(depends_on if join in _WAITS_FOR_ALL else ()))
        here = msgspec.structs.replace(around, steps=visible)
        step = self._of_a_kind(name, here)
        return msgspec.structs.replace(
            step,
            compensate=self._compensate(name, here) if step.type in UNDOABLE and tape.chance(40) else None,
            depends_on=depends_on,
            join=join,
            when=self._when(here),
            handles=tape.pick((("Boom",), ("Base", "Fatal"), ("SuccessRuleBroken", "Timeout")))
            if join in {Join.ALL_DONE, Join.ANY_FAILED} and tape.chance(60)
            else (),
            on_error=OnError.CONTINUE if tape.chance(20) else OnError.FAIL,
            output_mapping=tape.pick(
                ({}, {}, {}, {}, {}, {}, {"x": "{{ output }}"}, {"x": "{{ output }}"}, {"x": "{{ output.x }}"})
            ),
        )

    def _of_a_kind(self, name: str, here: Around) -> Step:
        self.made += 1
        kinds = [(8, self._function), (1, self._noop), (2, self._set), (2, self._wait), (1, self._fail), (1, self._aggregate)]
        kinds += [(2, self._approval), (2, self._child), (1, self._signal)]
        if here.depth < DEEPEST and self.made < 16:
            kinds += [(4, self._condition), (6, self._parallel), (9, self._map), (9, self._loop)]
        return self.tape.weighted(kinds)(name, here)

    def _function(self, name: str, here: Around) -> Step:
        tape = self.tape
        step = Step(
            id=name,
            type="function",
            input_mapping={"x": self._value(here)} if tape.chance(60) else {},
            retry=RetryPolicy(
                max_attempts=tape.pick((1, 1, 2, 3)),
                initial_interval_ms=tape.pick((0, 500)),
                jitter=tape.pick((0.0, 0.3)),
                non_retryable_errors=tape.pick(((), ("Fatal",))),
            ),
            priority=tape.pick((None, None, 9)),
        )
        if self.is_tame:
            return step
        return msgspec.structs.replace(
            step,
            timeout_ms=tape.pick((None, None, 2_000)),
            total_timeout_ms=tape.pick((None, None, 5_000)),
            queue_timeout_ms=tape.pick((None, None, None, 3_000)),
            is_idempotent=not tape.chance(15),
        )

    def _noop(self, name: str, here: Around) -> Step:
        return Step(id=name, type="noop")

    def _set(self, name: str, here: Around) -> Step:
        return Step(id=name, type="set", config={f"v{self.made if here.is_alone else 0}": self._value(here)})

    def _fail(self, name: str, here: Around) -> Step:
        return Step(id=name, type="fail", config={"type": self.tape.pick(("Boom", "Odd")), "message": "as asked"})

    def _aggregate(self, name: str, here: Around) -> Step:
        return Step(id=name, type="aggregate", config={"items": "{{ input.rows }}", "operation": self.tape.pick(("sum", "count"))})

    def _wait(self, name: str, here: Around) -> Step:
        """A nap; a signal, in a body only that of its own index; or one that never comes, until a deadline."""
        tape = self.tape
        signal: dict[str, Any] = {"signal": f"s{self.made}"}
        if here.has_index:
            signal["filter"] = "event.i == index"
        config = tape.pick((signal, {"duration": tape.pick((0, "1s", "3s"))}, signal, {"signal": "never", "deadline": "2s"}))
        return Step(id=name, type="wait", config=config)

    def _approval(self, name: str, here: Around) -> Step:
        """Ann may always decide."""
        tape = self.tape
        config: dict[str, Any] = tape.pick(({}, {"approvers": ["ann"]}, {"approvers": ["ann"], "message": "{{ input.n }}?"}))
        if tape.chance(40):
            config = {**config, "escalation": {"after": "2s", "to": ["bob"]}}
        if not self.is_tame and tape.chance(30):
            config = {**config, "deadline": tape.pick(("1s", "4s"))}
        return Step(id=name, type="approval", config=config)

    def _child(self, name: str, here: Around) -> Step:
        tape = self.tape
        config: dict[str, Any] = {"workflow": "child", **tape.pick(({}, {}, {}, {"detach": True}))}
        return Step(
            id=name,
            type="workflow",
            config=config,
            input_mapping={"x": self._value(here)} if tape.chance(60) else {},
            retry=RetryPolicy(max_attempts=tape.pick((1, 1, 2)), initial_interval_ms=tape.pick((0, 500))),
            timeout_ms=None if self.is_tame else tape.pick((None, None, 3_000)),
        )

    def _signal(self, name: str, here: Around) -> Step:
        return Step(id=name, type="signal", config={"signal": "hello", "execution": PEER, "data": self._value(here)})

    def _compensate(self, name: str, here: Around) -> Step:
        """It is told what the step gave, in a body for which item."""
        tape = self.tape
        given: dict[str, Any] = {"gave": f"{{{{ steps.{name}.output|default(none) }}}}"}
        if here.has_index:
            given["i"] = "{{ index }}"
        if tape.chance(15):
            return Step(id="", type="noop")
        if tape.chance(15):
            return Step(id="", type="workflow", config={"workflow": "undo"}, input_mapping=given)
        retry = RetryPolicy(max_attempts=tape.pick((1, 3, 4)), initial_interval_ms=0)
        return Step(id="", type="function", input_mapping=given if tape.chance(80) else {}, retry=retry)

    # ── containers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _condition(self, name: str, here: Around) -> Step:
        blocks = [
            msgspec.structs.replace(self._block(here), when=self._truth(here), name=self.tape.pick(("", f"case{place}")))
            for place in range(1 + self.tape.below(2))
        ]
        if self.tape.chance(60):
            blocks.append(self._block(here))
        return self._container(name, "condition", tuple(blocks), {})

    def _parallel(self, name: str, here: Around) -> Step:
        blocks = tuple(
            msgspec.structs.replace(self._block(here), name=self.tape.pick((f"branch{place}", "")))
            for place in range(1 + self.tape.below(3))
        )
        return self._container(name, "parallel", blocks, self.tape.pick(({}, {}, {"max_concurrency": 1}, {"max_concurrency": 2})))

    def _map(self, name: str, here: Around) -> Step:
        config: dict[str, Any] = {"items": self._items(here)}
        config |= self.tape.pick(({}, {"max_concurrency": 1}, {"max_concurrency": 2}))
        config |= self.tape.pick(({}, {}, {"batch_size": 2}))
        is_alone = here.is_alone and config.get("max_concurrency") == 1
        inside = msgspec.structs.replace(here, has_item=True, has_index=True, is_alone=is_alone)
        return self._container(name, "map", (self._block(inside),), config)

    def _loop(self, name: str, here: Around) -> Step:
        tape = self.tape
        if tape.chance(35):
            config: dict[str, Any] = {"items": self._items(here), **tape.pick(({}, {"max_concurrency": 2}))}
            is_alone = here.is_alone and "max_concurrency" not in config
            inside = msgspec.structs.replace(here, has_item=True, has_index=True, is_alone=is_alone)
            return self._container(name, "loop", (self._block(inside),), config)
        body = self._block(msgspec.structs.replace(here, has_item=False, has_index=True))
        inner = [step.id for step in body.steps]
        last = inner[-1] if inner else None
        texts = ["index >= 2", "output == none", *([f'steps.{last}.status == "completed"'] if last else []), "false"]
        config = {"until": tape.pick(texts)} if tape.chance(50) else {"while": tape.pick(("index < 2", "index < 1", "output != 3"))}
        config["max_iterations"] = tape.pick((2, 3, 1))
        return self._container(name, "loop", (body,), config)

    def _container(self, name: str, kind: str, blocks: tuple[Block, ...], config: dict[str, Any]) -> Step:
        rule = self._success() if self.tape.chance(30) else None
        limit = None if self.is_tame else self.tape.pick((None, None, None, 6_000))
        return Step(id=name, type=kind, blocks=blocks, config=config, success=rule, timeout_ms=limit)

    def _block(self, around: Around) -> Block:
        tape = self.tape
        steps = self._steps(msgspec.structs.replace(around, depth=around.depth + 1), tape.pick((1, 2, 2, 3, 0, 1, 3)))
        output = None
        if steps and tape.chance(25):
            output = f"{{{{ steps.{tape.pick(steps).id}.output|default(index) }}}}" if around.has_index else {"n": "{{ input.n }}"}
        return Block(steps=steps, output=output)

    def _success(self) -> Success:
        return self.tape.pick(
            (
                Success(at_least=1),
                Success(percent=50.0),
                Success(when="children.failed < 2"),
                Success(when='children.results[0].status == "completed"'),
                Success(percent=30.0),
                Success(when="children.completed > 0"),
                Success(at_least=2),
                Success(),
            )
        )

    # ── expressions ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _items(self, here: Around) -> Any:
        tape = self.tape
        options: list[Any] = ["{{ input.rows }}", [1, 2], [1, {"x": 2}, None, 4], "{{ input.rows }}", [7], "{{ input.none }}"]
        if here.steps and tape.chance(20):
            options = [f"{{{{ steps.{tape.pick(here.steps)}.output }}}}"]
        elif here.depth > 1:
            options = [[1, 2], [7], []]
        return tape.pick(options)

    def _value(self, here: Around) -> Any:
        tape = self.tape
        options: list[Any] = [1, "{{ input.n }}", "{{ input.rows }}"]
        if here.steps:
            name = tape.pick(here.steps)
            options += [f"{{{{ steps.{name}.output|default(none) }}}}", f"{{{{ steps.{name}.status }}}}"] * 2
        if here.has_index:
            options += ["{{ index }}"]
        if here.has_item:
            options += ["{{ item }}", {"i": "{{ index }}", "of": "{{ item }}"}]
        return tape.pick(options)

    def _when(self, here: Around) -> str | None:
        return self._truth(here) if self.tape.chance(20) else None

    def _truth(self, here: Around) -> str:
        tape = self.tape
        options = ["input.n > 2", "input.n > 3"]
        if here.steps:
            name = tape.pick(here.steps)
            options += [
                f'steps.{name}.status == "completed"',
                f"steps.{name}.output == none",
                f"steps.{name}.error == none",
                f"steps.{name}.output.x > 1",
            ]
        if here.has_index:
            options += ["index != 1", "index == 1"]
        return tape.pick(options)


def tame(tape: Tape) -> Workflow:
    """One whose end does not depend on the order of things."""
    return Nest(tape, is_tame=True).workflow()


def wild(tape: Tape) -> Workflow:
    """One with clocks and with work that may not be repeated."""
    return Nest(tape, is_tame=False).workflow()
