"""Commands between nodes: sent through the store, applied by the owner in the commit of their effect, answered in the same row."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from taskengine.errors import (
    CommandRefusedError,
    ConflictError,
    LimitError,
    NotFoundError,
    StorageError,
    TaskEngineError,
)
from taskengine.model.command import ChildEnded, Command
from taskengine.model.effect import StartChild
from taskengine.model.status import Status
from taskengine.model.value import TaskError, encode
from taskengine.ports.store import InboxAnswer, LogLine, Message, Verdict
from taskengine.runtime.letters import Letter, is_between_executions, read_letter, unborn_mark
from taskengine.runtime.node import Node
from taskengine.runtime.operations import Operations, settled
from taskengine.runtime.residency import Elsewhere, Residency

__all__ = ["InboxService"]

_log: Final = logging.getLogger("taskengine.inbox")
_PAGE: Final = 200
_ASK_EVERY_S: Final = 0.02


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    error: str = ""  # the class of the error, empty when the command was applied
    name: str = ""
    message: str = ""
    hint: str = ""


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode
_ERRORS: Final[dict[str, type[TaskEngineError]]] = {
    kind.__name__: kind for kind in (CommandRefusedError, ConflictError, LimitError, NotFoundError, StorageError)
}
_NOT_HERE: Final = frozenset({"function_not_found", "secret_not_found", "step_not_performable", "unknown_step_type"})
_APPLIED: Final = encode(_Answer())


class InboxService:
    """Both ends: ``forward`` leaves a command for another node, ``receive`` takes those that were left for this one."""

    def __init__(self, node: Node, residency: Residency, *, answer_timeout_ms: int = 30_000) -> None:
        self._node = node
        self._residency = residency
        self._timeout_ms = answer_timeout_ms
        self._busy: set[int] = set()  # messages being applied

    async def forward(self, execution_id: str, command: Command, *, mark: str = "") -> None:
        """Send a command to the owner and wait for its answer. Raises what the owner refused with.

        ``ConflictError("owner_silent")`` when no answer came in time: the command stays in the inbox and may still be applied.
        """
        node = self._node
        message_id = await node.store.send(execution_id, encode(Letter(command, mark)), now=node.environment.now())
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._timeout_ms / 1000
        while loop.time() < give_up_at:
            body = await node.store.answer(message_id)
            if body is not None:
                answer = _decode_answer(body)
                if answer.error:
                    raise _ERRORS.get(answer.error, TaskEngineError)(answer.name, answer.message, hint=answer.hint)
                return
            await asyncio.sleep(_ASK_EVERY_S)
        raise ConflictError(
            "owner_silent",
            f"the node that owns {execution_id} has not answered",
            hint="the command is kept and will be applied when it does",
        )

    async def receive(self, operations: Operations) -> None:
        """Apply what has come. A command that is refused is answered with the refusal.

        The messages of one execution are applied in order, and one that stays keeps those behind it: a child that could not begin
        just now cannot be paused. Different executions do not wait for each other; commits are waited for at the end of a page.
        """
        node = self._node
        after = 0
        kept: set[str] = set()
        while messages := await node.store.pending(node.node_id, after=after, limit=_PAGE):
            lines: dict[str, list[Message]] = {}
            for message in messages:
                if message.execution_id not in kept:
                    lines.setdefault(message.execution_id, []).append(message)
            found = await asyncio.gather(
                *(self._apply_in_order(operations, line) for line in lines.values()), return_exceptions=True
            )
            for execution_id, through in zip(lines, found, strict=True):
                if isinstance(through, Exception):
                    _log.error("message.broken", exc_info=through, extra={"execution_id": execution_id})
                elif isinstance(through, BaseException):
                    raise through
                if through is not True:
                    kept.add(execution_id)
            after = messages[-1].message_id

    async def _apply_in_order(self, operations: Operations, line: Sequence[Message]) -> bool:
        """Begin one behind the other, then wait for all of them. Whether every one has been answered."""
        begun: dict[int, asyncio.Future[Verdict]] = {}
        is_through = True
        try:
            try:
                for message in line:
                    done = await self._apply(operations, message, earlier=begun.values())
                    if done is None:
                        is_through = False
                        break
                    begun[message.message_id] = done
            finally:
                self._node.let_go(line[0].execution_id)
            for message_id, done in begun.items():
                is_through &= await self._settle(message_id, await asyncio.shield(done))
        finally:
            self._busy -= begun.keys()
        return is_through

    async def _settle(self, message_id: int, verdict: Verdict) -> bool:
        if verdict is Verdict.DUPLICATE:
            await self._node.store.reply([InboxAnswer(message_id, _APPLIED)])
        elif verdict is Verdict.CONFLICT:
            self._node.has_news = True  # it is still there, for whoever owns the execution now
        return verdict is not Verdict.CONFLICT

    async def _apply(
        self, operations: Operations, message: Message, *, earlier: Iterable[asyncio.Future[Verdict]]
    ) -> asyncio.Future[Verdict] | None:
        """Begin to apply a message; ``None``: it stays. ``earlier``: what becomes of those before it that are on their way."""
        node, execution_id = self._node, message.execution_id
        if message.message_id in self._busy or not (execution_id in node.residents or node.may_bring_in(execution_id)):
            return None
        try:
            letter = read_letter(message.body)
        except msgspec.DecodeError as error:
            return await self._refuse(message, StorageError("unreadable_command", f"the command cannot be read: {error}"))
        self._busy.add(message.message_id)
        begun: asyncio.Future[Verdict] | None = None
        try:
            if await node.store.answer(message.message_id) is not None:
                begun = settled(Verdict.COMMITTED)  # another node was faster, when nobody owned the execution
            else:
                begun = await self._begin(operations, message, letter=letter, earlier=earlier)
        except Elsewhere:
            _log.debug("message.elsewhere", extra={"message_id": message.message_id})
        except TaskEngineError as error:
            if isinstance(error, StorageError) or error.name in _NOT_HERE:  # it stays, for later or for another node
                node.has_news = node.has_news or isinstance(error, StorageError)
                _log.info("message.kept", extra={"message_id": message.message_id, "error": error.name})
            elif Verdict.CONFLICT in [await asyncio.shield(one) for one in earlier]:
                node.has_news = True  # it was judged by a state that is no more
            else:
                begun = await self._refused(operations, message, error=error, mark=letter.mark)
        finally:
            if begun is None:
                self._busy.discard(message.message_id)
        return begun

    async def _refused(
        self, operations: Operations, message: Message, *, error: TaskEngineError, mark: str
    ) -> asyncio.Future[Verdict] | None:
        """What one execution tells another leaves its mark also when it is refused: whoever waits for it looks for that."""
        if is_between_executions(mark):
            try:
                verdict = await operations.answer_refused(message.execution_id, mark=mark, answer=_refusal(message, error))
            except Elsewhere:
                return None
            if verdict is not None:
                return settled(verdict)
        return await self._refuse(message, error)

    async def _begin(
        self, operations: Operations, message: Message, *, letter: Letter, earlier: Iterable[asyncio.Future[Verdict]]
    ) -> asyncio.Future[Verdict]:
        """Begin a command or a child. A child that cannot begin has failed: whoever waits for it is told so."""
        answer = InboxAnswer(message.message_id, _APPLIED)
        start = letter.command
        if not isinstance(start, StartChild):
            return await operations.answer_message(message.execution_id, start, mark=letter.mark, answer=answer, earlier=earlier)
        try:
            return await operations.begin_child(message.execution_id, start, answer=answer)
        except TaskEngineError as error:
            if isinstance(error, StorageError) or error.name in _NOT_HERE:
                raise
            parent, node = start.parent, self._node
            if parent.is_detached:  # nobody waits for it: its step has completed
                said = f"the workflow {start.workflow} did not begin: {error.message}"
                at = node.environment.now()
                node.book.add(LogLine(parent.execution_id, parent.task, parent.attempt, at, "error", "engine", said))
                raise
            hint = f" ({error.hint})" if error.name == "workflow_not_found" else ""
            told = TaskError(type="ChildNotStarted", message=f"{error.name}: {error.message}{hint}", is_final=True)
            ended = ChildEnded(
                at=start.at, task=parent.task, attempt=parent.attempt, child=message.execution_id, status=Status.FAILED, error=told
            )
            notice = Letter(ended, unborn_mark(parent.execution_id, message.execution_id))
            await node.store.send(parent.execution_id, encode(notice), now=node.environment.now())
            node.on_messages()
            raise

    async def _refuse(self, message: Message, error: TaskEngineError) -> asyncio.Future[Verdict]:
        await self._node.store.reply([_refusal(message, error)])
        return settled(Verdict.COMMITTED)


def _refusal(message: Message, error: TaskEngineError) -> InboxAnswer:
    answer = _Answer(error=type(error).__name__, name=error.name, message=error.message, hint=error.hint)
    return InboxAnswer(message.message_id, encode(answer))
