"""The node's life: join, recover, watch time and other nodes, stop. Everything periodic is here, and nothing else is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from taskengine.errors import StorageError
from taskengine.model import command as cmd
from taskengine.model.value import Instant
from taskengine.runtime.inbox import InboxService
from taskengine.runtime.node import Node
from taskengine.runtime.operations import Operations
from taskengine.runtime.residency import Residency
from taskengine.runtime.resident import Resident

__all__ = ["Services"]

_log: Final = logging.getLogger("taskengine.services")
_TROUBLE_PAUSE_S: Final = 0.2


class Services:
    """Two loops: ``wake`` for parked executions whose time has come, ``watch`` for what other processes do."""

    def __init__(self, node: Node, residency: Residency, *, operations: Operations, inbox: InboxService) -> None:
        self._node = node
        self._residency = residency
        self._operations = operations
        self._inbox = inbox
        self._tasks: list[asyncio.Task[None]] = []
        self._dead: set[str] = set()  # nodes that were found dead and left to those that recover
        self._next_wake_at: Instant | None = None
        self._nudge = asyncio.Event()
        self._news = asyncio.Event()
        self._far_s = node.settings.longest_sleep_ms / 1000  # look for due executions at least this often
        self.takes_over = node.settings.can_run and node.settings.recovers
        residency.on_evicted = self._note_evicted
        node.on_messages = self._note_messages

    async def start(self) -> None:
        """Join the other nodes, then begin to write, watch and wake. Recovery goes on in the background."""
        node = self._node
        await node.store.join(node.node_id, now=node.environment.now())
        node.commit.start()
        loop = asyncio.get_running_loop()
        self._tasks.append(loop.create_task(self._watch(), name="taskengine-watch"))
        if node.settings.can_run:
            self._tasks.append(loop.create_task(self._wake(), name="taskengine-wake"))

    async def stop(self) -> None:
        """Begin nothing new, let attempts finish for a while, give the rest back uncounted, write it all down, leave."""
        node = self._node
        node.admission.is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        node.timers.close()
        await self._drain(node.settings.stop_grace_ms / 1000)
        for attempt in tuple(node.attempts):
            attempt.tell_rest()
        node.is_closed = True
        for resident in list(node.residents.values()):
            self._give_back(resident)
        await node.commit.close()
        node.dismiss()
        await node.book.close()
        async with self._operations.seizing:
            pass  # the last one has ended, and no other one begins
        try:
            await node.store.leave(node.node_id, now=node.environment.now())
        except StorageError as error:
            _log.warning("node.left_behind", extra={"error": error.name})  # our lock goes with the process

    def _give_back(self, resident: Resident) -> None:
        """Take back every attempt that the state wants performed, also one whose commit is still on its way."""
        node = self._node
        for attempt in list(resident.running.values()):
            attempt.forget()
            attempt.stop()
        resident.running.clear()
        owed = sorted((task, live.attempt) for task, live in resident.state.live.items() if live.is_launched)
        if owed:
            node.turn(resident, cmd.Lost(at=node.environment.now(), attempts=tuple(owed), is_counted=False))

    async def _drain(self, grace_s: float) -> None:
        """Until all that runs has ended and is written; for nothing when it can be written no more."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + grace_s
        while loop.time() < give_up_at and not self._node.commit.is_broken:
            running = any(resident.running for resident in self._node.residents.values())
            if not running and self._node.commit.is_idle:
                return
            await asyncio.sleep(0.005)

    # Parked executions

    def _note_evicted(self, resident: Resident) -> None:
        wake_at = resident.state.wake_at
        if wake_at is not None and (self._next_wake_at is None or wake_at < self._next_wake_at):
            self._next_wake_at = wake_at
            self._nudge.set()

    async def _wake(self) -> None:
        while True:
            pause = _TROUBLE_PAUSE_S
            self._nudge.clear()  # before the look: a nudge that comes during it asks for another one
            try:
                pause = await (self._wake_due() if self._node.settings.recovers else self._wake_waited())
            except StorageError as error:
                _log.warning("wake.failed", extra={"error": error.name})
            except Exception:  # noqa: BLE001 -- the supervisor: what parked executions wait for must go on being looked at
                _log.exception("wake.broken")
            await _pause(pause, self._nudge)

    async def _wake_due(self) -> float:
        """Bring in what is due; seconds until somebody is due next."""
        node, residency = self._node, self._residency
        batch = node.settings.load_batch
        known_to_be_refused = len(residency.refused)
        now = node.environment.now()
        due, self._next_wake_at = await node.store.due(now=now, limit=batch + known_to_be_refused)
        await self._operations.forget_stale(due)
        wanted = [one for one in due if one not in node.residents and residency.refused.get(one, (0, ""))[0] <= now]
        if wanted:
            await residency.fetch(wanted)
            if len(wanted) >= batch:
                return 0.0
        if self._next_wake_at is None:
            return self._far_s
        return min(self._far_s, max(0.001, (self._next_wake_at - node.environment.now()) / 1000))

    async def _wake_waited(self) -> float:
        """Bring in what nobody owns and somebody here waits for; its timers are here from then on."""
        node = self._node
        wanted = {*node.waiters, *node.kin}
        await self._operations.forget_stale(wanted)  # another process may have changed what is only kept in memory here
        heads = await node.store.heads(tuple(wanted))
        owners = {head.owner for head in heads.values() if head.owner and head.owner != node.node_id}
        for dead in await node.store.dead_nodes(node.node_id) if owners else ():
            if dead in owners:
                await self._operations.seize(dead, keep=wanted)
                self._news.set()  # they are brought in there
        await self._residency.fetch([one for one, head in heads.items() if not head.owner and one not in node.residents])
        return self._far_s

    # Other processes, and messages

    def _note_messages(self) -> None:
        self._node.has_news = True  # to the store its own writes are no news
        self._news.set()

    async def _watch(self) -> None:
        node = self._node
        others = 1
        while True:
            self._news.clear()  # before the look, as in _wake
            try:
                others = await self._look(others)
            except StorageError as error:
                _log.warning("watch.failed", extra={"error": error.name})
            except Exception:  # noqa: BLE001 -- the supervisor: a node that stopped looking would be deaf for good
                _log.exception("watch.broken")
            pause_ms = node.settings.together_poll_ms if others else node.settings.alone_poll_ms
            await _pause(pause_ms / 1000, self._news)

    async def _look(self, others: int) -> int:
        """One look: what others wrote, and whether one of them has died. How many others there are."""
        node = self._node
        if await node.store.changed():
            node.has_news = True
        if node.has_news:
            others = await node.store.other_nodes(node.node_id)
            node.has_news = False
            try:
                await self._inbox.receive(self._operations)
                await self._tell_waiters()
            except BaseException:
                node.has_news = True  # the store says it once; what was not dealt with is looked at again
                raise
            self._nudge.set()
        if others and node.settings.can_run:
            for dead in await node.store.dead_nodes(node.node_id):
                if self.takes_over:
                    await self.take_over(dead)
                    others = await node.store.other_nodes(node.node_id)
                elif dead not in self._dead:
                    self._dead.add(dead)
                    self._nudge.set()  # it may have run what is waited for here
        await self._find_missing()
        return others

    async def take_over(self, dead_node: str) -> None:
        """Make a dead node's executions ours and go on with them; what this node cannot perform is given back for others."""
        node = self._node
        while seized := await node.store.seize(dead_node, by=node.node_id, limit=node.settings.load_batch):
            _log.info("node.taken_over", extra={"dead_node": dead_node, "executions": len(seized)})
            self._note_messages()  # there may be some for them, and nobody writes now who would say so
            self._residency.note_seized(seized)
            await self._bring_in(seized)

    async def _find_missing(self) -> None:
        """Bring in what the store has as ours and was dropped, or could not be read when it became ours."""
        residency = self._residency
        await residency.give_back(())
        missing = list(residency.missing)
        if missing and self._node.settings.can_run:
            await self._bring_in(missing)
        elif missing:
            await residency.give_back(missing)
            residency.missing.clear()

    async def _bring_in(self, execution_ids: Sequence[str]) -> None:
        residency = self._residency
        await residency.fetch(execution_ids)
        await residency.give_back([one for one in execution_ids if one in residency.refused])

    async def _tell_waiters(self) -> None:
        """Executions that somebody here waits for may have ended elsewhere."""
        node = self._node
        await self._operations.forget_stale(node.waiters)
        for execution_id in tuple(node.waiters):
            resident = node.residents.get(execution_id)
            if resident is not None and not (resident.is_at_rest and resident.state.is_finished):
                continue
            result = await self._operations.ended(execution_id)
            if result is None:
                continue
            for waiter in node.waiters.pop(execution_id, []):
                if not waiter.done():
                    waiter.set_result(result)


async def _pause(seconds: float, news: asyncio.Event) -> None:
    """Until there is news, and no longer than this."""
    with suppress(TimeoutError):
        # Not wait_for: before Python 3.12 it may swallow the cancellation that a stop waits for.
        async with asyncio.timeout(seconds):
            await news.wait()
