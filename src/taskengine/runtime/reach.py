"""When a control is true: every execution below has written it down. Reads histories and marks; applies nothing.

What one execution tells another is a letter in the inbox. Letters are applied in the order in which they were written, by whoever
has the execution, and leave their marks, also when they are refused: when the mark of one is there, all before it are dealt with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from taskengine.errors import ConflictError, StorageError
from taskengine.kernel.evolve import apply
from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model import event as ev
from taskengine.model.codec import decode_event
from taskengine.model.effect import Effect, Post
from taskengine.model.value import Instant
from taskengine.runtime.letters import unborn_mark
from taskengine.runtime.node import Node
from taskengine.runtime.residency import Residency, whole_history

__all__ = ["Reach"]

_PATIENCE_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.02
_YIELD_EVERY: Final = 500  # events of a history
_BORN_WITHIN_MS: Final = 60_000  # a child that is not there after that was pruned
_ENDS: Final = (ev.ExecutionCompleted, ev.ExecutionFailed, ev.ExecutionCancelled, ev.ExecutionTerminated, ev.ExecutionTimedOut)
_ASK_FOR_THE_OWNER: Final = 25  # looks; a dead one is replaced


class Reach:
    """What a control has to reach. ``seize`` takes the executions of a dead node and keeps one."""

    def __init__(self, node: Node, residency: Residency, *, seize: Callable[[str, str], Awaitable[bool]]) -> None:
        self._node = node
        self._residency = residency
        self._seize = seize

    async def everywhere(self, execution_id: str, since: Instant) -> None:
        """Wait until what an execution has told its children from ``since`` on, or those that it waits for, has come to them all.

        ``ConflictError("owner_silent")`` when one of them was not told in time: it will be.
        """
        for post in await self._told(execution_id, since):
            await self._heard(execution_id, post)
            await self.everywhere(post.execution_id, post.letter.at)

    async def _told(self, execution_id: str, since: Instant) -> list[Post]:
        """The last control for each child that the control may concern."""
        stored = await self._node.store.load((execution_id,))
        if not stored:
            return []  # a child that could not begin
        plan = (await self._residency.known(stored[0].summary)).plan
        if not plan.posts:
            return []
        state = Execution(execution_id, plan)
        last: dict[str, Post] = {}
        told: set[str] = set()
        for number, body in enumerate(await whole_history(self._node.store, execution_id)):
            if number % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
            event, effects = decode_event(body), list[Effect]()
            try:
                apply(state, event, effects)
            except (AssertionError, KeyError, IndexError, TypeError) as error:
                raise StorageError("unreadable_history", f"the history of {execution_id} cannot be folded: {error}") from error
            for effect in effects:
                if isinstance(effect, Post) and isinstance(effect.letter, cmd.Pause | cmd.Resume | cmd.Cancel | cmd.Terminate):
                    last[effect.execution_id] = effect
                    if event.at >= since:
                        told.add(effect.execution_id)
        told.update(state.children.values())
        told |= await self._terminated({child: post for child, post in last.items() if child not in told}, since)
        return [post for child, post in last.items() if child in told]

    async def _terminated(self, last: Mapping[str, Post], since: Instant) -> set[str]:
        """Children that nobody waits for any more, and that may not have heard of it: no control is told to them."""
        left = {child: post.letter.at for child, post in last.items() if isinstance(post.letter, cmd.Terminate)}
        heads = await self._node.store.heads(tuple(left)) if left else {}
        going_on = {child for child, head in heads.items() if not isinstance(decode_event(head.last_event), _ENDS)}
        return going_on | {child for child, at in left.items() if child not in heads and at >= since - _BORN_WITHIN_MS}

    async def _heard(self, execution_id: str, post: Post) -> None:
        """Wait until a letter has been dealt with, or whoever it is for cannot begin."""
        node, child = self._node, post.execution_id
        give_up_at = asyncio.get_running_loop().time() + _PATIENCE_S
        looks = 0
        while await node.store.answer_of(post.mark) is None:
            node.must_be_open()
            if await node.store.answer_of(unborn_mark(execution_id, child)) is not None:
                return
            if asyncio.get_running_loop().time() > give_up_at:
                raise ConflictError(
                    "owner_silent", f"{child} has not been told yet", hint="what it is told is kept and will be applied"
                )
            looks += 1
            if looks % _ASK_FOR_THE_OWNER == 0:
                await self._replace_owner(child)
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _replace_owner(self, execution_id: str) -> None:
        """Whoever has it may be dead, and nobody else here to take it."""
        node = self._node
        node.kin.add(execution_id)
        node.has_news = True
        head = (await node.store.heads((execution_id,))).get(execution_id)
        if head is not None and head.owner not in {"", node.node_id}:
            await self._seize(head.owner, execution_id)
