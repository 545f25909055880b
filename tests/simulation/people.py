"""Clients of worlds that use the whole language: they decide, skip, fork, undo, set variables, and steer whatever there is."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from taskengine.app.engine import Engine
from taskengine.model.status import Phase
from taskengine.model.workflow import Workflow
from taskengine.testing.simulation.audit import Record
from tests.simulation.clients import Client
from tests.simulation.families import Families
from tests.simulation.language import APPROVERS, CALLED, FORM
from tests.simulation.workloads import SIGNALS

__all__ = ["Person"]

NOBODY: Final = "ex_11111111111111111111111111"  # an execution that there never is


class Person(Client):
    """A client who knows every execution there is, whoever has started it."""

    families: Families

    async def deploy(self, workflows: list[Workflow]) -> None:
        """Make every workflow known, so that others can call it."""
        for workflow in workflows:

            async def keep(engine: Engine, workflow: Workflow = workflow) -> bool:
                await engine.deploy(workflow)
                return True

            await self._insist(self._ledger.draft(), keep, is_repeatable=True)

    async def upgrade(self) -> None:
        """Deploy a newer version of what others call; whoever starts it by its document puts the old content on top again."""
        newer = msgspec.structs.replace(self._chance.choice(self._workflows[:CALLED]), description=self._tag())
        await self.deploy([newer])

    async def live(self, *, until: float) -> None:
        """Do things, at random, until an instant of virtual time."""
        chance, loop = self._chance, self._world.loop
        deeds = {
            "start": 5,
            "signal": 2,
            "decide": 4,
            "halt": 9,
            "control": 4,
            "part": 4,
            "skip": 2,
            "fork": 1.5,
            "set": 1,
            "wait": 2,
            "upgrade": 2,
        }
        while loop.time() < until:
            await asyncio.sleep(chance.random() * chance.choice((0.01, 0.3, 1.0)))
            deed = chance.weighed(deeds)
            if deed == "start" or not self._world.audit.records:
                await self.start()
            elif deed == "upgrade":
                await self.upgrade()
            elif deed == "halt":
                await self.halt(self._some_parent())
            else:
                await self._do(deed)

    async def _do(self, deed: str) -> None:
        chance = self._chance
        record = self._some()
        execution_id = record.execution_id
        match deed:
            case "signal":
                await self.signal(execution_id, chance.choice(SIGNALS))
            case "decide":
                await self._decide_something()
            case "control":
                await self._steer(self._some_parent().execution_id)
            case "part" if chance.happens(0.25):
                await self.control("retry", *self._some_lost_cause())
            case "part":
                kind = chance.weighed({"pause": 4, "resume": 4, "cancel": 2, "undo": 0.3, "terminate": 1, "retry": 4})
                await self.control(kind, *self._some_place())
            case "skip":
                await self._skip_something()
            case "fork":
                await self.fork(record)
            case "set":
                await self.set(execution_id, chance.choice(("limit", "limit", "other")))
            case _:
                await self.wait(execution_id, timeout_s=chance.random() * 5)

    async def _decide_something(self) -> None:
        chance, asking = self._chance, self._asking()
        if not asking and chance.happens(0.8):
            await self.halt(self._some_parent())
        elif asking and chance.happens(0.9):
            await self.decide(*chance.choice(asking))
        else:
            record = self._some()
            await self.decide(record, self._some_path(record))

    async def _skip_something(self) -> None:
        chance = self._chance
        undone = [one for one in self._world.audit.records.values() if one.state.saga is not None]
        if undone and chance.happens(0.25):  # too late
            record = chance.choice(undone)
            await self.skip(record, f"/{record.plan.workflow.steps[0].id}/")
        else:
            record = self._some_broken()
            await self.skip(record, self._some_path(record))

    async def _steer(self, execution_id: str) -> None:
        """Control a whole execution; sometimes once more, or otherwise, while that is on its way."""
        chance = self._chance
        kind = chance.weighed({"pause": 2, "resume": 3, "cancel": 1.5, "undo": 1.5, "terminate": 0.5, "retry": 3})
        await self.control(kind, execution_id, "/")
        if kind in {"cancel", "undo"} and chance.happens(0.4):
            await self.control(chance.choice(("cancel", "undo", "pause")), execution_id, "/")

    def _params(self) -> dict[str, Any]:
        known = list(self._world.audit.records)
        peer = self._chance.choice(known) if known and self._chance.happens(0.8) else NOBODY
        return {**super()._params(), "peer": peer}

    # ── deeds ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def halt(self, record: Record) -> None:
        """Pause a part for a while; of an execution that has started others, mostly a part with one of those."""
        chance, state = self._chance, record.state
        execution_id, path = record.execution_id, self._some_path(record)
        if state.children and chance.happens(0.75):
            number = chance.choice(list(state.children))
            while number and chance.happens(0.4):  # or of something around it
                number = max(0, state.scopes[number].container)
            path = state.path_of(number) if number else "/"
        await self.control("pause", execution_id, path)
        await asyncio.sleep(self._chance.random() * self._chance.choice((0.5, 3.0)))
        await self.control("resume", execution_id, path)

    async def control(self, kind: str, execution_id: str, path: str) -> None:
        """As any client; the family of the execution hears of what was acknowledged."""
        if kind == "undo":
            await self._undo(execution_id, path)
            return
        await super().control(kind, execution_id, path)

    def _told(self, kind: str, tag: str, *, execution_id: str, path: str) -> None:
        super()._told(kind, tag, execution_id=execution_id, path=path)
        if kind in {"pause", "cancel"}:
            self.families.acknowledged(kind, tag, execution_id=execution_id, path=path)

    async def _undo(self, execution_id: str, path: str) -> None:
        await self._once(
            "cancel",
            execution_id,
            lambda engine, tag: engine.cancel_instance(execution_id, path=path, by=tag, compensate=True),
            path=path,
        )

    async def decide(self, record: Record, path: str) -> None:
        """Approve or reject, under a name that may, or may not."""
        chance = self._chance
        number = record.state.find(path)
        has_form = number is not None and record.state.steps[number].step.config.get("form") == FORM
        data: Any = {"n": chance.choice((1, 1, 1, "one"))} if has_form else None
        name, is_approved = chance.choice((*APPROVERS, APPROVERS[0])), chance.happens(0.75)
        await self._once(
            "decide",
            record.execution_id,
            lambda engine, tag: engine.decide(record.execution_id, path, approve=is_approved, by=name, comment=tag, data=data),
        )

    async def skip(self, record: Record, path: str) -> None:
        """Go on without a task; some then want what is in it all the same."""
        execution_id, state = record.execution_id, record.state
        containers = _broken_containers(record)
        if containers and self._chance.happens(0.7):
            path = state.path_of(self._chance.choice(containers))
        await self._once("skip", execution_id, lambda engine, tag: engine.skip_task(execution_id, path, by=tag))
        inside = [one for one in map(state.path_of, range(1, len(state.phase))) if one.startswith(path) and one != path]
        if inside and path != "/" and self._chance.happens(0.9):
            await self.control("retry", execution_id, self._chance.choice(inside))

    async def set(self, execution_id: str, name: str) -> None:
        """Give a variable another value."""
        value = self._chance.randint(1, 5)
        await self._once("set", execution_id, lambda engine, tag: engine.set_variables(execution_id, {name: value}, by=tag))

    async def fork(self, record: Record) -> None:
        """Go on from the middle of an execution in another one."""
        chance, tag = self._chance, self._tag()
        deed = self._ledger.enter("fork", tag)
        inside = [record.state.path_of(base + 1) for group in record.state.groups.values() for base in group.bases]
        steps = [f"/{step.id}/" for step in record.plan.workflow.steps]
        path = chance.choice(inside) if inside and chance.happens(0.15) else chance.choice(("/", *steps, self._some_path(record)))
        key = tag if chance.happens(0.75) else ""
        given = self._params() if chance.happens(0.3) else None

        async def begin(engine: Engine) -> str:
            return (await engine.fork(record.execution_id, path, input=given, by=tag, idempotency_key=key)).id

        execution_id = await self._insist(deed, begin, is_repeatable=bool(key))
        if execution_id is not None:
            self._world.audit.acknowledged("fork", tag, execution_id=execution_id)
            self._known.append(execution_id)

    # ── places ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _some(self) -> Record:
        """An execution, rather one that goes on."""
        records = list(self._world.audit.records.values())
        going_on = [one for one in records if not one.state.is_finished]
        return self._chance.choice(going_on if going_on and self._chance.happens(0.8) else records)

    def _some_parent(self) -> Record:
        """Rather one that waits for others that it has started, or one that is undoing what it did."""
        records = self._world.audit.records.values()
        parents = [one for one in records if not one.state.is_finished and (one.state.children or one.state.saga is not None)]
        return self._chance.choice(parents) if parents and self._chance.happens(0.7) else self._some()

    def _some_place(self) -> tuple[str, str]:
        record = self._some()
        return record.execution_id, self._some_path(record)

    def _some_path(self, record: Record) -> str:
        """A path, rather of something that is at work."""
        chance, state = self._chance, record.state
        at_work = [number for number in range(1, len(state.phase)) if Phase.READY <= state.phase[number] < Phase.COMPLETED]
        kind = chance.weighed({"all": 2, "at work": 6, "child": 4, "any": 3, "none": 0.15})
        if kind == "at work" and at_work:
            return state.path_of(chance.choice(at_work))
        if kind == "child" and state.children:
            return state.path_of(chance.choice(list(state.children)))
        if kind == "none":
            return "/nowhere/"
        return "/" if kind == "all" else state.path_of(chance.choice(range(1, len(state.phase))))

    def _some_lost_cause(self) -> tuple[str, str]:
        """What failed in a container that has completed without it, or that a person has skipped."""
        found: list[tuple[str, str]] = []
        for record in self._world.audit.records.values():
            state = record.state
            over = {number for number in state.groups if state.phase[number] in {Phase.COMPLETED, Phase.SKIPPED}}
            found += [
                (record.execution_id, state.path_of(number))
                for number, scope in enumerate(state.scopes)
                if scope.container in over and state.phase[number] in {Phase.FAILED, Phase.CANCELLED}
            ]
        return self._chance.choice(found) if found else self._some_place()

    def _asking(self) -> list[tuple[Record, str]]:
        """What waits for a decision."""
        open_ones = [record for record in self._world.audit.records.values() if not record.state.is_finished]
        return [
            (record, record.state.path_of(number))
            for record in open_ones
            for number in record.state.live
            if record.state.steps[number].step.type == "approval" and record.state.phase[number] == Phase.WAITING
        ]

    def _some_broken(self) -> Record:
        """One in which a whole container has failed."""
        records = self._world.audit.records.values()
        broken = [one for one in records if _broken_containers(one)]
        return self._chance.choice(broken) if broken and self._chance.happens(0.6) else self._some()


def _broken_containers(record: Record) -> list[int]:
    state = record.state
    if state.saga is not None:
        return []
    return [number for number in state.groups if state.phase[number] in {Phase.FAILED, Phase.CANCELLED}]
