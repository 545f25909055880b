"""Random workflows, and the functions that their steps call: what a function can do to an engine, by a script in its parameters.

A script has one line for each attempt (the last one serves all further ones): ``ok:50`` succeeds after 50 ms,
``fail:ValueError:20`` fails, ``hang`` waits until it is cancelled, ``late:80`` waits, and when it is cancelled succeeds 80 ms
later, ``slow:80`` waits, and when it is cancelled obeys 80 ms later, ``die:20`` takes its process with it.
Some tell how far they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from taskengine import TaskContext
from taskengine.model.workflow import Join, Limits, OnError, RetryPolicy, Step, Workflow
from taskengine.testing.simulation import Chance, SimNode, World
from taskengine.testing.simulation.environment import EPOCH_AT

SIGNALS: Final = ("alpha", "beta")
ERRORS: Final[Mapping[str, type[Exception]]] = {"ValueError": ValueError, "KeyError": KeyError, "OSError": OSError}
TALKATIVE: Final = frozenset({"ok:20", "ok:200", "ok:1500", "fail:ValueError:20", "hang"})  # they tell how far they are
FOREVER_S: Final = 1_000_000.0


def functions(world: World) -> Callable[[SimNode], Mapping[str, Callable[..., Any]]]:
    """The functions of each node: they know on which one they run."""

    def of(node: SimNode) -> Mapping[str, Callable[..., Any]]:
        async def work(ctx: TaskContext, script: list[str], value: int = 0) -> dict[str, Any]:
            world.called(node, ctx.execution_id, task=int(ctx.task_id.rpartition("_")[2]), attempt=ctx.attempt)
            try:
                line = script[min(ctx.attempt, len(script)) - 1]
                if line in TALKATIVE:
                    ctx.log(line)
                    ctx.progress(0.5, data=ctx.attempt)
                await _play(world, node, line)
                ctx.heartbeat()
            finally:
                node.running -= 1
            return {"step": ctx.step_id, "value": value + 1}

        return {"work": work}

    return of


async def _play(world: World, node: SimNode, line: str) -> None:
    what, _, rest = line.partition(":")
    match what:
        case "ok":
            await asyncio.sleep(int(rest) / 1_000)
        case "fail":
            name, _, ms = rest.partition(":")
            await asyncio.sleep(int(ms) / 1_000)
            raise ERRORS[name](line)
        case "die":
            await asyncio.sleep(int(rest) / 1_000)
            world.crash(node)
            await asyncio.sleep(FOREVER_S)
        case _:
            try:
                await asyncio.sleep(FOREVER_S)
            except asyncio.CancelledError:
                if what == "hang":
                    raise
                await asyncio.sleep(int(rest) / 1_000)
                if what == "slow":
                    raise


class WorkflowGenerator:
    """Draws workflows. ``poison`` lets some of them hold a step that takes its process with it every time."""

    def __init__(self, chance: Chance, *, poison: float = 0.0) -> None:
        self._chance = chance
        self._poison = poison

    def workflow(self, number: int) -> Workflow:
        """One workflow of up to nine steps."""
        chance = self._chance
        steps: list[Step] = []
        for index in range(chance.randint(1, 9)):
            steps.append(self._step(f"s{index}", steps))
        limits = Limits(
            timeout_ms=chance.randint(500, 20_000) if chance.happens(0.15) else None,
            max_concurrency=chance.randint(1, 2) if chance.happens(0.3) else None,
            priority=chance.randint(0, 9),
        )
        last = steps[-1].id
        output = {"last": f"{{{{ steps.{last}.output }}}}", "number": "{{ input.number }}"} if chance.happens(0.4) else None
        return Workflow(name=f"w{number}", limits=limits, steps=tuple(steps), output=output, variables={"limit": 3})

    def _step(self, name: str, before: list[Step]) -> Step:
        chance = self._chance
        width = min(len(before), chance.choice((0, 1, 1, 1, 2, 3)))
        depends_on = tuple(step.id for step in chance.sample(before, width))
        join = chance.weighed({Join.ALL_SUCCESS: 5, Join.ALL_DONE: 2, Join.ANY_SUCCESS: 1, Join.ANY_FAILED: 1, Join.NONE_FAILED: 1})
        if not depends_on:
            join = Join.ALL_SUCCESS
        common: dict[str, Any] = {
            "id": name,
            "depends_on": depends_on,
            "join": join,
            "when": self._condition(depends_on) if chance.happens(0.2) else None,
            "on_error": OnError.CONTINUE if chance.happens(0.2) else OnError.FAIL,
            "priority": chance.randint(0, 9) if chance.happens(0.2) else None,
            "handles": ("ValueError", "Timeout") if join in {Join.ANY_FAILED, Join.ALL_DONE} and chance.happens(0.6) else (),
        }
        return self._of_kind(chance.weighed(self._kinds()), common)

    def _kinds(self) -> dict[str, float]:
        """How likely each type of step is, here."""
        return {"function": 14, "wait": 4, "noop": 2}

    def _of_kind(self, kind: str, common: dict[str, Any]) -> Step:
        match kind:
            case "wait":
                return Step(type="wait", config=self._wait(), **common)
            case "noop":
                return Step(type="noop", **common)
            case _:
                return self._function(common, common["depends_on"])

    def _condition(self, depends_on: tuple[str, ...]) -> str:
        choices = ["input.number > 3", "input.number > variables.limit", "true"]
        choices += [f"steps.{one}.status == 'completed'" for one in depends_on]
        choices += [f"steps.{one}.output.value > 1" for one in depends_on]
        return self._chance.choice(choices)

    def _wait(self) -> dict[str, Any]:
        chance = self._chance
        match chance.randrange(4):
            case 0:
                return {"duration": f"{chance.randint(1, 3_000)}ms"}
            case 1:
                at = datetime.fromtimestamp(EPOCH_AT / 1_000 + chance.randint(1, 15), UTC)
                return {"until": at.isoformat()}
            case 2:
                return {"signal": chance.choice(SIGNALS), "deadline": f"{chance.randint(200, 6_000)}ms"}
            case _:
                return {"signal": chance.choice(SIGNALS)}

    def _function(self, common: dict[str, Any], depends_on: tuple[str, ...]) -> Step:
        chance = self._chance
        if chance.happens(self._poison):
            return Step(type="function", config={"function": "work", "params": {"script": ["die:20"]}}, **common)
        script = [self._line() for _ in range(chance.choice((1, 1, 2, 3)))]
        params: dict[str, Any] = {"script": script}
        if depends_on and chance.happens(0.5):
            params["value"] = f"{{{{ steps.{chance.choice(depends_on)}.output.value }}}}"
        needs_clock = any(line.partition(":")[0] in {"hang", "late", "slow"} for line in script)
        return Step(
            type="function",
            config={"function": "work", "params": params},
            retry=RetryPolicy(
                max_attempts=chance.choice((1, 2, 3, 5)),
                initial_interval_ms=chance.choice((1, 50, 500)),
                max_interval_ms=2_000,
                non_retryable_errors=("KeyError",) if chance.happens(0.3) else (),
            ),
            timeout_ms=chance.randint(50, 1_500) if needs_clock or chance.happens(0.2) else None,
            total_timeout_ms=chance.randint(300, 6_000) if chance.happens(0.15) else None,
            queue_timeout_ms=chance.randint(1, 2_000) if chance.happens(0.1) else None,
            is_idempotent=not chance.happens(0.1),
            output_mapping={"value": "{{ output.value }}"} if chance.happens(0.15) else {},
            **common,
        )

    def _line(self) -> str:
        chance = self._chance
        ms = chance.choice((0, 1, 20, 200, 1_500))
        match chance.weighed({"ok": 10, "fail": 5, "hang": 1, "late": 1, "slow": 1, "die": 0.15}):
            case "fail":
                return f"fail:{chance.choice(list(ERRORS))}:{ms}"
            case "hang":
                return "hang"
            case what:
                return f"{what}:{ms}"
