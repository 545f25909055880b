"""Messages between executions, left by the commit that made them: applied at once, once, and only when that commit took place."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from taskengine import Engine, NodeSettings, Step, Workflow
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.errors import StorageError
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.codec import decode_event
from taskengine.model.status import Status
from taskengine.model.value import encode, raw
from taskengine.ports.store import Append, CommitUnknownError, Outgoing, Verdict
from taskengine.runtime.letters import Letter
from taskengine.runtime.node import Node
from taskengine.runtime.resident import Resident
from taskengine.testing import virtual_engine

DEAF = NodeSettings(together_poll_ms=3_600_000, alone_poll_ms=3_600_000, stop_grace_ms=0)  # looks once, when it starts
NAMES = ("first", "second", "third")
TELLER = Workflow(name="teller", steps=(Step(id="work", type="function", config={"function": "work"}),))


def hearer(*names: str) -> Workflow:
    steps = [Step(id=name, type="wait", config={"signal": name}) for name in names]
    return Workflow(name="hearer", steps=tuple(steps), output="{{ [" + ", ".join(f"steps.{one}.output" for one in names) + "] }}")


async def work() -> str:
    return "done"


def tell(node: Node, execution_id: str, names: Sequence[str] = NAMES) -> None:
    """From now on every task that completes leaves a signal of each name, in the commit that completes it."""

    def leave(resident: Resident, events: Sequence[ev.Event]) -> None:
        assert resident.pending is not None
        for event in events:
            if isinstance(event, ev.TaskCompleted) and resident.execution_id != execution_id:
                signals = [cmd.Signal(at=event.at, name=name, data=raw(name)) for name in names]
                resident.pending.messages += [Outgoing(execution_id, encode(Letter(one)), event.at) for one in signals]

    node.on_events = leave


async def told(store: MemoryStore, *, settings: NodeSettings = DEAF) -> Any:
    """The output of an execution that another one of the same node has sent signals to."""
    async with Engine(store, functions={"work": work}, settings=settings) as engine:
        waiting = await engine.execute_workflow(hearer(*NAMES))
        tell(engine.node, waiting.id)
        telling = await engine.execute_workflow(TELLER)
        assert (await telling.result(timeout=10)).status is Status.COMPLETED
        return (await waiting.result(timeout=10)).output


async def test_a_message_to_an_execution_of_the_same_node_is_applied_without_waiting_for_the_poll() -> None:
    database = MemoryDatabase()
    assert await told(MemoryStore(database)) == list(NAMES)
    assert [letter.answer is not None for letter in database.letters.values()] == [True] * 3


async def test_messages_of_one_turn_are_kept_in_its_order() -> None:
    database = MemoryDatabase()
    await told(MemoryStore(database))
    bodies = [letter.message.body for letter in database.letters.values()]
    assert [next(name for name in NAMES if f'"{name}"'.encode() in body) for body in bodies] == list(NAMES)


class Unsure(MemoryStore):
    """Of the first commit with messages it cannot say what became of it."""

    def __init__(self, database: MemoryDatabase, *, is_done: bool) -> None:
        super().__init__(database)
        self._is_done = is_done
        self.has_failed = False

    async def commit(self, batch: Sequence[Append]) -> list[Verdict]:
        if self.has_failed or not any(append.messages for append in batch):
            return await super().commit(batch)
        self.has_failed = True
        if self._is_done:
            await super().commit(batch)
        raise CommitUnknownError("commit_unknown", "the connection broke in the commit")


@pytest.mark.parametrize("is_done", [True, False])
async def test_the_messages_of_a_commit_whose_outcome_was_unknown_are_left_once(*, is_done: bool) -> None:
    database = MemoryDatabase()
    store = Unsure(database, is_done=is_done)
    assert await told(store) == list(NAMES)
    assert store.has_failed
    assert len(database.letters) == len(NAMES)


class Overtaken(MemoryStore):
    """Somebody else takes an execution in the moment before its first append with messages."""

    is_taken = False

    async def commit(self, batch: Sequence[Append]) -> list[Verdict]:
        if not self.is_taken and any(append.messages for append in batch):
            self.is_taken = True
            return [Verdict.CONFLICT] * len(batch)
        return await super().commit(batch)


async def test_a_refused_commit_leaves_no_messages_and_the_turn_that_is_made_again_leaves_its_own() -> None:
    database = MemoryDatabase()
    store = Overtaken(database)
    assert await told(store, settings=NodeSettings(stop_grace_ms=0)) == list(NAMES)
    assert store.is_taken
    assert len(database.letters) == len(NAMES)


class Down(MemoryStore):
    """Cannot be asked for messages once, after there were some."""

    has_failed = False

    async def pending(self, node_id: str, *, after: int, limit: int) -> list[Any]:
        found = await super().pending(node_id, after=after, limit=limit)
        if found and not self.has_failed:
            self.has_failed = True
            raise StorageError("store_busy", "a lock is held")
        return found


async def test_messages_that_could_not_be_read_are_read_at_the_next_look() -> None:
    store = Down(MemoryDatabase())
    assert await told(store, settings=NodeSettings(stop_grace_ms=0)) == list(NAMES)
    assert store.has_failed


async def test_what_a_node_left_for_an_execution_and_did_not_apply_itself_is_applied_by_the_next_one() -> None:
    database = MemoryDatabase()
    async with Engine(MemoryStore(database), functions={"work": work}, settings=DEAF) as engine:
        waiting = await engine.execute_workflow(hearer(*NAMES))
        tell(engine.node, waiting.id)
        engine.node.on_messages = lambda: None
        await (await engine.execute_workflow(TELLER)).result(timeout=10)
    assert [letter.answer for letter in database.letters.values()] == [None] * 3
    async with Engine(MemoryStore(database), functions={"work": work}, settings=DEAF) as heir:
        assert (await heir.wait_for_instance(waiting.id, timeout=10)).output == list(NAMES)


async def test_in_virtual_time_a_message_takes_none() -> None:
    async with virtual_engine(functions={"work": work}) as engine:
        waiting = await engine.execute_workflow(hearer("first"))
        tell(engine.engine.node, waiting.id, ["first"])
        begun = engine.clock.now
        await engine.execute_workflow(TELLER)
        assert (await waiting.result()).output == ["first"]
        assert engine.clock.now - begun < timedelta(seconds=1)


async def test_a_chain_of_messages_waits_for_no_poll() -> None:
    """Each execution tells the next one: what arrives while the node looks is looked at as well."""
    async with Engine(MemoryStore(MemoryDatabase()), functions={"work": work}, settings=DEAF) as engine:
        chain = [await engine.execute_workflow(hearer("first")) for _ in range(20)]
        after = {one.id: chain[index + 1].id for index, one in enumerate(chain[:-1])}

        def leave(resident: Resident, events: Sequence[ev.Event]) -> None:
            target = after.get(resident.execution_id, chain[0].id)
            for event in events:
                if isinstance(event, ev.TaskCompleted) and resident.execution_id != chain[-1].id:
                    assert resident.pending is not None
                    body = encode(Letter(cmd.Signal(at=event.at, name="first", data=raw(1))))
                    resident.pending.messages.append(Outgoing(target, body, event.at))

        engine.node.on_events = leave
        await engine.execute_workflow(TELLER)
        ended = await asyncio.gather(*(one.result(timeout=10) for one in chain))
        assert [one.output for one in ended] == [[1]] * 20


class Contended(MemoryStore):
    """Somebody else takes an execution in the moment before the first append that answers a message."""

    is_taken = False

    async def commit(self, batch: Sequence[Append]) -> list[Verdict]:
        if not self.is_taken and any(append.answers for append in batch):
            self.is_taken = True
            return [Verdict.CONFLICT] * len(batch)
        return await super().commit(batch)


async def test_what_could_not_be_applied_holds_back_what_came_after_it() -> None:
    store = Contended(MemoryDatabase())
    async with Engine(store, settings=NodeSettings(stop_grace_ms=0)) as engine:
        waiting = await engine.execute_workflow(hearer("first"))
        for kind in (cmd.Pause, cmd.Resume):
            now = engine.node.environment.now()
            await store.send(waiting.id, encode(Letter(kind(at=now), mark=f"command:{waiting.id}:{kind.__name__}")), now=now)
        await store.send(waiting.id, encode(Letter(cmd.Signal(at=now, name="first", data=raw(1)))), now=now)
        engine.node.on_messages()
        assert (await waiting.result(timeout=10)).output == [1]
        assert store.is_taken
        kinds = [type(decode_event(one.body)).__name__ for one in await store.events(waiting.id, after=0, limit=100)]
        assert [kind for kind in kinds if kind.startswith(("Subtree", "Signal"))] == [
            "SubtreePaused",
            "SubtreeResumed",
            "SignalReceived",
        ]


async def test_many_messages_are_a_few_commits() -> None:
    database = MemoryDatabase()
    async with Engine(MemoryStore(database), settings=DEAF) as engine:
        names = [f"n{number}" for number in range(30)]
        waiting = [await engine.execute_workflow(hearer(*names)) for _ in range(10)]
        before = engine.node.commit.commits
        now = engine.node.environment.now()
        for one in waiting:
            for name in names:
                await engine.store.send(one.id, encode(Letter(cmd.Signal(at=now, name=name, data=raw(name)))), now=now)
        engine.node.on_messages()
        ended = await asyncio.gather(*(one.result(timeout=10) for one in waiting))
        assert [one.output for one in ended] == [names] * 10
        assert engine.node.commit.commits - before < 30


async def test_a_letter_that_is_refused_leaves_its_mark_for_whoever_waits_for_it() -> None:
    database = MemoryDatabase()
    async with Engine(MemoryStore(database), settings=DEAF) as engine:
        waiting = await engine.execute_workflow(hearer("first"))
        now, mark = engine.node.environment.now(), f"command:{waiting.id}:ex_00000000000000000000000000:7:Resume"
        await engine.store.send(waiting.id, encode(Letter(cmd.Resume(at=now, is_inherited=True), mark)), now=now)
        engine.node.on_messages()
        async with asyncio.timeout(10):
            while any(letter.answer is None for letter in database.letters.values()):
                await asyncio.sleep(0)
        (letter,) = database.letters.values()
        assert b"not_paused" in (letter.answer or b"")
        assert await engine.store.answer_of(mark) is not None
