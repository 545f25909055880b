"""Group commit: whatever became ready since the last commit goes into the next one.

No timer, appends never split, one batch at a time.

A commit that fails outright is tried again with growing pauses, results kept; one whose outcome is unknown is resolved by
re-reading the heads of its streams, never guessed. Verdicts are handed to ``settled`` in the order of the batch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final, Literal, TypeAlias

from taskengine.errors import StorageError
from taskengine.ports.store import Append, CommitUnknownError, Head, InboxAnswer, Store, Verdict
from taskengine.runtime.environment import Environment
from taskengine.runtime.resident import Pending

__all__ = ["OVERTAKEN", "Fate", "GroupCommit"]

_FIRST_PAUSE_S: Final = 0.02
_LAST_PAUSE_S: Final = 2.0
_log: Final = logging.getLogger("taskengine.commit")


class Overtaken(Enum):
    """It was written, as far as can be told, and others have gone on from it: its state in memory is of no use any more."""

    YES = "overtaken"


_NOBODY_KNOWS: Final[Sequence[None]] = (None,)
OVERTAKEN: Final = Overtaken.YES
Fate: TypeAlias = Verdict | Literal[Overtaken.YES]


class GroupCommit:
    """Owns the open batch.

    ``build`` makes an append of a pending when its batch is closed, or says that it has become void; ``settled`` hears how each
    ended (void: CONFLICT).
    """

    def __init__(
        self,
        store: Store,
        environment: Environment,
        *,
        cap: int,
        build: Callable[[Pending], Append | None],
        settled: Callable[[Sequence[Pending], Sequence[Fate]], None],
        broken: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._environment = environment
        self._cap = cap
        self._build = build
        self._settled = settled
        self._broken = broken
        self._open: list[Pending] = []
        self._wake: asyncio.Future[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._closed: list[Pending] = []  # the batch on its way
        self._is_closing = False
        self.is_broken = False  # nothing is written any more, whatever is added
        self.trouble: StorageError | None = None  # why the last commit failed, while it is being retried
        self.commits = 0

    def start(self) -> None:
        """Begin to write, in the running loop."""
        self._writer = asyncio.get_running_loop().create_task(self._write(), name="taskengine-commit")
        self._writer.add_done_callback(self._ended)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def is_idle(self) -> bool:
        """Whether everything added is settled."""
        return not self._open and not self._closed

    def add(self, pending: Pending) -> None:
        """Put a pending into the open batch; it may still grow until the batch is closed."""
        self._open.append(pending)
        self._rouse()

    async def close(self) -> None:
        """Write what is open, then stop. While the store is in trouble the rest is given up after one try."""
        self._is_closing = True
        self._rouse()
        if self._writer is not None:
            await asyncio.wait((self._writer,))

    def left(self) -> Sequence[Pending]:
        """What was given up when it was closed: not written, or nobody knows."""
        return [*self._closed, *self._open]

    def _ended(self, writer: asyncio.Task[None]) -> None:
        """The writer has ended; when that was a bug of ours nobody may wait for it, and nothing may be started."""
        error = None if writer.cancelled() else writer.exception()
        if error is not None:
            _log.critical("commit.broken", exc_info=error)
            self._is_closing = self.is_broken = True
            self.trouble = StorageError(
                "writer_broken", f"the engine can write no more: {error!r}", hint="stop this process and start it again"
            )
            self._broken()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._open or not self._is_closing:
            if not self._open:
                self._wake = loop.create_future()
                await self._wake
                self._wake = None
                continue
            batch, self._open = self._open[: self._cap], self._open[self._cap :]
            for pending in batch:
                pending.resident.pending = None
            self._closed = batch
            built = [self._build(pending) for pending in batch]
            found = await self._commit([append for append in built if append is not None])
            if found is None:
                return
            self.commits += 1
            verdicts = iter(found)
            self._settled(batch, [Verdict.CONFLICT if append is None else next(verdicts) for append in built])
            self._closed = []  # only now: should that break, whoever waits for the rest of the batch is told

    async def _commit(self, appends: list[Append]) -> Sequence[Fate] | None:
        """Commit until it is known how every append ended; ``None`` when closing gives up."""
        verdicts: dict[int, Fate] = {}
        left: list[int] = list(range(len(appends)))
        pause = _FIRST_PAUSE_S
        is_unknown = False  # nothing is tried again before it is known what became of it: it would conflict with itself
        while left:
            tried = [appends[index] for index in left]
            known: Sequence[Fate | None] | None = None
            try:
                known = await (self._resolve(tried) if is_unknown else self._store.commit(tried))
                is_unknown = False
            except CommitUnknownError as error:
                self._note(error)
                is_unknown = True
                continue
            except StorageError as error:
                self._note(error)
            except Exception:  # noqa: BLE001 -- the supervisor of the one writer: a poisoned append must not end it for all
                _log.exception("commit.poisoned", extra={"appends": len(tried)})
                if len(tried) == 1:
                    known = [Verdict.CONFLICT]  # its execution is dropped and read again
                else:
                    known = [one for append in tried for one in await self._commit([append]) or _NOBODY_KNOWS]
            if known is not None:
                verdicts.update({index: verdict for index, verdict in zip(left, known, strict=True) if verdict is not None})
                left = [index for index in left if index not in verdicts]
                if not left:
                    break
            elif self._is_closing:
                return None
            await asyncio.sleep(pause * (0.5 + self._environment.rng.random()))
            pause = min(pause * 2, _LAST_PAUSE_S)
        if self.trouble is not None:
            _log.info("commit.recovered", extra={"appends": len(appends)})
            self.trouble = None
        return [verdicts[index] for index in range(len(appends))]

    async def _resolve(self, appends: list[Append]) -> list[Fate | None]:
        """Which of these took place; ``None`` for one that did not and may be tried again. ``StorageError``: nobody can say yet."""
        heads = await self._store.heads([append.summary.execution_id for append in appends])
        return [await self._resolve_one(append, heads.get(append.summary.execution_id)) for append in appends]

    async def _resolve_one(self, append: Append, head: Head | None) -> Fate | None:
        summary = append.summary
        if head is None:
            return None if append.expected_seq == 0 else Verdict.CONFLICT
        if (head.seq, head.token) == (append.expected_seq, append.expected_token):
            is_done = not append.events and head.owner == summary.owner and await self._are_answered(append.answers)
            return Verdict.COMMITTED if is_done else None
        is_there = (head.seq, head.token, head.owner) == (summary.seq, summary.token, summary.owner)
        if not append.events:
            return Verdict.COMMITTED if is_there else Verdict.CONFLICT
        # Others may have gone on from it already, so that it is no longer the last. Or they did the same in the same moment: then
        # nobody here waits for it, and what it launches is launched there.
        is_passed = head.seq > summary.seq or head.token > summary.token
        stored = await self._store.events(summary.execution_id, after=append.expected_seq, limit=len(append.events))
        if [one.body for one in stored] != list(append.events):
            return Verdict.CONFLICT
        return Verdict.COMMITTED if is_there else OVERTAKEN if is_passed else Verdict.CONFLICT

    async def _are_answered(self, answers: Sequence[InboxAnswer]) -> bool:
        return None not in [await self._store.answer(one.message_id) for one in answers]

    def _note(self, error: StorageError) -> None:
        if self.trouble is None:
            _log.warning("commit.failed", extra={"error": error.name, "reason": error.message})
        self.trouble = error
