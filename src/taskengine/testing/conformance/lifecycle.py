"""Opening and closing: nothing works on a closed store, and what was committed is there for the next one."""

# ruff: noqa: D102 -- the name of a test is its sentence

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from taskengine.errors import StorageError
from taskengine.ports.store import ExecutionFilter, Store
from taskengine.testing.conformance.samples import NewStore, birth, opened, workflow

__all__ = ["LifecycleContract"]

_CALLS: Final[dict[str, Callable[[Store], Awaitable[Any]]]] = {
    "commit": lambda store: store.commit([birth("ex_1")]),
    "load": lambda store: store.load(["ex_1"]),
    "heads": lambda store: store.heads(["ex_1"]),
    "answer_of": lambda store: store.answer_of("key"),
    "join": lambda store: store.join("node_a", now=1),
    "leave": lambda store: store.leave("node_a", now=1),
    "dead_nodes": lambda store: store.dead_nodes("node_a"),
    "seize": lambda store: store.seize("node_b", by="node_a", limit=1),
    "release": lambda store: store.release(["ex_1"], by="node_a", now=1),
    "due": lambda store: store.due(now=1, limit=1),
    "other_nodes": lambda store: store.other_nodes("node_a"),
    "changed": lambda store: store.changed(),
    "send": lambda store: store.send("ex_1", b"go", now=1),
    "pending": lambda store: store.pending("node_a", after=0, limit=1),
    "reply": lambda store: store.reply([]),
    "answer": lambda store: store.answer(1),
    "put_workflow": lambda store: store.put_workflow(workflow("orders")),
    "workflow": lambda store: store.workflow("orders", ""),
    "workflows": lambda store: store.workflows(limit=1),
    "executions": lambda store: store.executions(ExecutionFilter(), limit=1),
    "count": lambda store: store.count(ExecutionFilter()),
    "events": lambda store: store.events("ex_1", after=0, limit=1),
    "tasks": lambda store: store.tasks("ex_1"),
}


class LifecycleContract:
    """``Store``."""

    @pytest.mark.parametrize("call", list(_CALLS))
    async def test_a_store_that_is_not_open_refuses(self, new_store: NewStore, *, call: str) -> None:
        store = new_store()
        with pytest.raises(StorageError) as never_opened:
            await _CALLS[call](store)
        await store.open()
        await _CALLS[call](store)
        await store.close()
        with pytest.raises(StorageError) as closed:
            await _CALLS[call](store)
        assert (never_opened.value.name, closed.value.name) == ("store_closed", "store_closed")

    async def test_opening_and_closing_twice_is_once(self, new_store: NewStore) -> None:
        store = new_store()
        await store.close()
        await store.open()
        await store.open()
        await store.commit([birth("ex_1")])
        await store.close()
        await store.close()

    async def test_a_closed_store_may_be_opened_again(self, new_store: NewStore) -> None:
        store = new_store()
        await store.open()
        await store.join("node_a", now=1)
        await store.commit([birth("ex_1")])
        await store.close()
        await store.open()
        assert list(await store.heads(["ex_1"])) == ["ex_1"]
        assert await store.dead_nodes("node_b") == ["node_a"]
        await store.close()

    async def test_what_was_committed_is_there_for_the_next_store(self, new_store: NewStore) -> None:
        first = birth("ex_1", events=3)
        async with opened(new_store) as store:
            await store.commit([first])
            version = await store.put_workflow(workflow("orders"))
        async with opened(new_store) as store:
            assert [stored.summary for stored in await store.load(["ex_1"])] == [first.summary]
            assert await store.workflow("orders", "") == version
