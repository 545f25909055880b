"""Commands between nodes: sent through the store, applied by the owner in the commit of their effect, answered in the same row."""

from __future__ import annotations

import asyncio
import logging
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
from taskengine.ports.store import InboxAnswer, Message, Verdict
from taskengine.runtime.letters import Letter, is_between_executions, read_letter, unborn_mark
from taskengine.runtime.node import Node
from taskengine.runtime.operations import Operations
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
        """Apply what has come, in order. A command that is refused is answered with the refusal.

        One that has to stay keeps those behind it for the same execution: a child that could not begin just now cannot be paused.
        """
        node = self._node
        after = 0
        kept: set[str] = set()
        while messages := await node.store.pending(node.node_id, after=after, limit=_PAGE):
            for message in messages:
                if message.execution_id not in kept and not await self._apply(operations, message):
                    kept.add(message.execution_id)
            after = messages[-1].message_id

    async def _apply(self, operations: Operations, message: Message) -> bool:
        """Whether it has been answered."""
        node, execution_id = self._node, message.execution_id
        if message.message_id in self._busy or not (execution_id in node.residents or node.may_bring_in(execution_id)):
            return False
        try:
            letter = read_letter(message.body)
        except msgspec.DecodeError as error:
            await self._refuse(message, StorageError("unreadable_command", f"the command cannot be read: {error}"))
            return True
        self._busy.add(message.message_id)
        try:
            if await node.store.answer(message.message_id) is not None:
                return True  # another node was faster, when nobody owned the execution
            answer = InboxAnswer(message.message_id, _APPLIED)
            if isinstance(letter.command, StartChild):
                verdict = await self._begin(operations, execution_id, start=letter.command, answer=answer)
            else:
                verdict = await operations.answer_message(execution_id, letter.command, mark=letter.mark, answer=answer)
            if verdict is Verdict.DUPLICATE:
                await node.store.reply([answer])
            elif verdict is Verdict.CONFLICT:
                node.has_news = True  # it is still there, for whoever owns the execution now
                return False
        except Elsewhere:
            _log.debug("message.elsewhere", extra={"message_id": message.message_id})
            return False
        except TaskEngineError as error:
            if isinstance(error, StorageError) or error.name in _NOT_HERE:  # it stays, for later or for another node
                node.has_news = node.has_news or isinstance(error, StorageError)
                _log.info("message.kept", extra={"message_id": message.message_id, "error": error.name})
                return False
            return await self._refused(operations, message, error=error, mark=letter.mark)
        finally:
            self._busy.discard(message.message_id)
        return True

    async def _refused(self, operations: Operations, message: Message, *, error: TaskEngineError, mark: str) -> bool:
        """What one execution tells another leaves its mark also when it is refused: whoever waits for it looks for that."""
        if is_between_executions(mark):
            try:
                verdict = await operations.answer_refused(message.execution_id, mark=mark, answer=_refusal(message, error))
            except Elsewhere:
                return False
            if verdict is Verdict.CONFLICT:
                self._node.has_news = True
                return False
            if verdict is Verdict.COMMITTED:
                return True
        await self._refuse(message, error)
        return True

    async def _begin(self, operations: Operations, execution_id: str, *, start: StartChild, answer: InboxAnswer) -> Verdict:
        """Begin a child. One that cannot begin has failed: whoever waits for it is told so."""
        try:
            return await operations.begin_child(execution_id, start, answer=answer)
        except TaskEngineError as error:
            if isinstance(error, StorageError) or error.name in _NOT_HERE or start.parent.is_detached:
                raise
            parent, node = start.parent, self._node
            told = TaskError(type="ChildNotStarted", message=f"{error.name}: {error.message}", is_final=True)
            ended = ChildEnded(
                at=start.at, task=parent.task, attempt=parent.attempt, child=execution_id, status=Status.FAILED, error=told
            )
            letter = Letter(ended, unborn_mark(parent.execution_id, execution_id))
            await node.store.send(parent.execution_id, encode(letter), now=node.environment.now())
            node.on_messages()
            raise

    async def _refuse(self, message: Message, error: TaskEngineError) -> None:
        await self._node.store.reply([_refusal(message, error)])


def _refusal(message: Message, error: TaskEngineError) -> InboxAnswer:
    answer = _Answer(error=type(error).__name__, name=error.name, message=error.message, hint=error.hint)
    return InboxAnswer(message.message_id, encode(answer))
