"""What callers ask of a node: start, command, wait. Each answer is given after the commit that makes it true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, Protocol

from taskengine.errors import CommandRefusedError, ConflictError, LimitError, NotFoundError, OverloadedError, StorageError
from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model.codec import decode_event
from taskengine.model.effect import Post, StartChild
from taskengine.model.event import TakenOver
from taskengine.model.ids import EXECUTION
from taskengine.model.value import Instant, Raw
from taskengine.ports.store import InboxAnswer, Mark, Verdict
from taskengine.runtime.catalog import KnownWorkflow
from taskengine.runtime.node import Node
from taskengine.runtime.residency import Elsewhere, Residency
from taskengine.runtime.resident import Resident, Result

__all__ = ["CONTROLS", "Operations", "Origin", "Started", "TakeIn", "settled"]

CONTROLS: Final = (cmd.Pause, cmd.Resume, cmd.Cancel, cmd.Terminate)  # which cross to other executions
_TRIES: Final = 8
_LARGEST_PRIORITY: Final = 9
_CHILD_APPEARS_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.02
_LATEST: Final = 100  # events in which a control is looked for


class Started:
    """A start that is on its way: the id is known at once, ``durable`` when the store has it."""

    __slots__ = ("durable", "execution_id")

    def __init__(self, execution_id: str, durable: asyncio.Future[Verdict]) -> None:
        self.execution_id = execution_id
        self.durable = durable


class Origin(NamedTuple):
    """What a fork comes from: an execution, a step of it, and what is taken over."""

    execution_id: str
    path: str
    tasks: tuple[TakenOver, ...]


class Forward(Protocol):
    """Sends a command to the node that owns the execution; returns when it is durable, raises what it was refused with."""

    def __call__(self, execution_id: str, command: cmd.Command, *, mark: str) -> Awaitable[None]:
        """Send it."""
        ...


class TakeIn(Protocol):
    """Finds the workflow of a child and judges its input: the version, the input with its defaults, the variables."""

    def __call__(self, start: StartChild) -> Awaitable[tuple[KnownWorkflow, Raw, Mapping[str, Raw]]]:
        """Take it in."""
        ...


class Operations:
    """Commands of people and programs, for executions here; ``forward`` takes those for executions elsewhere."""

    def __init__(self, node: Node, residency: Residency, *, forward: Forward, take_in: TakeIn) -> None:
        self._node = node
        self._take_in = take_in
        self._residency = residency
        self._forward = forward
        self.seizing = asyncio.Lock()  # a node that leaves waits for it: what it seized later would be nobody's
        self._under_way: dict[str, asyncio.Future[None]] = {}  # by deduplication mark

    def begin(
        self,
        known: KnownWorkflow,
        given: Raw,
        *,
        variables: Mapping[str, Raw],
        priority: int | None = None,
        business_key: str = "",
        by: str = "",
        mark: str = "",
        origin: Origin | None = None,
    ) -> Started:
        """Start an execution in this turn of the loop; nothing is promised before ``durable``. ``origin``: what it is a fork of.

        Raises ``CommandRefusedError`` for a priority that is none, ``OverloadedError`` when too much is waiting already,
        ``StorageError`` while the store refuses to write.
        """
        node = self._node
        self._must_accept()
        if priority is not None and not 0 <= priority <= _LARGEST_PRIORITY:
            raise CommandRefusedError("bad_priority", f"a priority is 0 to {_LARGEST_PRIORITY}, not {priority}")
        now = node.environment.now()
        execution_id = node.environment.new_id(EXECUTION)
        resident = self._new(execution_id, known, now=now)
        durable: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        start = cmd.Start(
            at=now,
            workflow_id=known.stored.workflow_id,
            workflow_version=known.stored.version,
            seed=node.environment.seed(),
            input=given,
            variables=dict(variables),
            priority=priority,
            business_key=business_key,
            by=by,
        )
        node.turn(
            resident,
            start if origin is None else _fork(start, origin),
            waiter=durable,
            marks=(Mark(f"start:{mark}", execution_id.encode(), now),) if mark else (),
        )
        return Started(execution_id, durable)

    def _new(self, execution_id: str, known: KnownWorkflow, *, now: Instant) -> Resident:
        resident = Resident(
            Execution(execution_id, known.plan),
            workflow_id=known.stored.workflow_id,
            source=known.stored.source,
            token=0,
            stored_owner="",
            created_at=now,
        )
        resident.snapshot_seq = 0
        self._node.residents[execution_id] = resident
        return resident

    async def begin_child(self, execution_id: str, start: StartChild, *, answer: InboxAnswer) -> asyncio.Future[Verdict]:
        """Start an execution that another one wants, in the commit that answers the message; its verdict.

        DUPLICATE: it is there already. It is held until ``node.let_go``: what stands behind the message in line may pause it.
        Raises ``NotFoundError`` for a workflow or a function that is not here, ``ValidationError`` for an input that does not fit,
        ``OverloadedError`` when too much is waiting already.
        """
        node = self._node
        if execution_id in node.residents or await node.store.heads((execution_id,)):
            return settled(Verdict.DUPLICATE)
        known, given, variables = await self._take_in(start)
        self._must_accept()
        now = max(node.environment.now(), start.at)
        resident = self._new(execution_id, known, now=now)
        done: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        node.turn(
            resident,
            cmd.Start(
                at=now,
                workflow_id=known.stored.workflow_id,
                workflow_version=known.stored.version,
                seed=start.seed,
                input=given,
                variables=dict(variables),
                by=start.parent.execution_id,
                parent=start.parent,
            ),
            is_held=True,
        )
        pending = node.append_nothing(resident)
        pending.answers.append(answer)
        pending.waiters.append(done)
        return done

    async def started(self, started: Started, *, mark: str = "") -> str:
        """Wait until a start is durable; the id of the execution, which is an earlier one's when the mark was there."""
        verdict = await started.durable
        if verdict is Verdict.COMMITTED:
            return started.execution_id
        earlier = await self._node.store.answer_of(f"start:{mark}") if mark else None
        if earlier is None:
            raise StorageError("start_lost", "the start was not written; nothing has happened", hint="start it again")
        return earlier.decode()

    async def command(self, execution_id: str, make: Callable[[Instant], cmd.Command], *, mark: str = "") -> None:
        """Apply a command and return when it is durable. A mark makes repeating it a no-op.

        Raises what the kernel refuses with, ``NotFoundError`` for an unknown execution, and ``ConflictError`` when others keep
        taking the execution away.
        """
        full_mark = f"command:{execution_id}:{mark}" if mark else ""
        async with self._alone_with(full_mark) as begun:
            posts = await self._command(execution_id, make, mark=full_mark, begun=begun)
        await self._acknowledged(posts or ())

    async def _command(
        self, execution_id: str, make: Callable[[Instant], cmd.Command], *, mark: str, begun: list[asyncio.Future[Verdict]]
    ) -> list[Post] | None:
        """What it made the execution tell others; ``None`` when it was applied before, or elsewhere."""
        node = self._node
        for _ in range(_TRIES):
            if mark and await node.store.answer_of(mark) is not None:
                return None
            now = node.environment.now()
            try:
                resident = await self._residency.resident(execution_id)
            except Elsewhere as elsewhere:
                if await self._seize(elsewhere.owner, keep=execution_id):
                    continue
                await self._forward(execution_id, make(now), mark=mark)
                return None
            if resident is None:
                raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
            node.must_be_open()
            done: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
            try:
                turn = node.turn(resident, make(now), waiter=done, marks=(Mark(mark, b"", now),) if mark else ())
            except (CommandRefusedError, LimitError):
                if await self._is_current(resident):
                    raise
                continue
            begun.append(done)
            if await asyncio.shield(done) is Verdict.COMMITTED:
                return [effect for effect in turn.effects if type(effect) is Post]
        raise ConflictError("execution_contended", f"others kept changing {execution_id}", hint="try again")

    async def _acknowledged(self, posts: Iterable[Post]) -> None:
        """A control reaches every execution below: it is true when all of them have written it down, and all below them.

        What was posted is done here at once, under the mark of the letter, which then finds that it has been done.
        """
        for post in posts:
            if isinstance(post.letter, CONTROLS):
                await self._acknowledged(await self._also(post.execution_id, post.letter, mark=post.mark))

    async def _also(self, execution_id: str, command: cmd.Command, *, mark: str) -> Iterable[Post]:
        """Nothing here waits for others while it holds the mark: the letters of all of them are read in one line."""
        give_up_at = asyncio.get_running_loop().time() + _CHILD_APPEARS_S
        while True:
            try:
                async with self._alone_with(mark) as begun:
                    posts = await self._command(execution_id, lambda _: command, mark=mark, begun=begun)
            except CommandRefusedError:
                return ()  # it has ended, or stands like that already
            except NotFoundError as error:
                is_unborn = error.name == "execution_not_found"
                if not is_unborn or asyncio.get_running_loop().time() > give_up_at:
                    why = "has not begun yet" if is_unborn else f"cannot be reached from here: {error.message}"
                    raise ConflictError(
                        "not_everywhere",
                        f"{execution_id}, which is to obey too, {why}",
                        hint="it is kept for that one, which obeys as soon as it can",
                    ) from error
                await asyncio.sleep(_LOOK_AGAIN_S)
            else:
                return await self._told_before(execution_id, command) if posts is None else posts

    async def _told_before(self, execution_id: str, command: cmd.Command) -> list[Post]:
        """What an execution told its own children when the letter was faster."""
        stored = await self._node.store.load((execution_id,))
        if not stored or not command.by:  # type: ignore[union-attr]
            return []
        events = await self._node.store.events(execution_id, after=max(0, stored[0].summary.seq - _LATEST), limit=_LATEST)
        state = await self._residency.read(stored[0])
        for event in reversed(events):
            if getattr(decode_event(event.body), "by", "") == command.by:  # type: ignore[union-attr]
                kind = type(command).__name__
                return [
                    Post(child, command, f"command:{child}:{execution_id}:{event.seq}:{kind}") for child in state.children.values()
                ]
        return []

    async def _is_current(self, resident: Resident) -> bool:
        """Whether what was asked of a resident may be refused: another node may have changed what is only kept in memory here."""
        await self.forget_stale((resident.execution_id,))
        return not resident.is_dropped

    async def forget_stale(self, execution_ids: Iterable[str]) -> None:
        """Drop what is only kept in memory and was changed by another node since; whoever needs it reads it again."""
        node = self._node
        kept = [one for one in execution_ids if one in node.residents]
        heads = await node.store.heads(kept) if kept else {}
        for execution_id, head in heads.items():
            resident = node.residents.get(execution_id)
            if resident is None or not resident.is_at_rest:
                continue  # an append of its own would conflict and drop it
            if (head.seq, head.token) != (resident.state.seq, resident.token):
                node.drop(resident, Verdict.CONFLICT)

    @asynccontextmanager
    async def _alone_with(self, mark: str) -> AsyncGenerator[list[asyncio.Future[Verdict]]]:
        """One command of a mark at a time: two in one commit would refuse each other. The second one finds the first one's mark.

        What is begun inside is put into the list: the next one waits for its verdict, also when this caller does not.
        """
        begun: list[asyncio.Future[Verdict]] = []
        if not mark:
            yield begun
            return
        while (other := self._under_way.get(mark)) is not None:
            await asyncio.wait((other,))
        mine = self._under_way[mark] = asyncio.get_running_loop().create_future()

        def let_go(_: object = None) -> None:
            del self._under_way[mark]
            mine.set_result(None)

        try:
            yield begun
        finally:
            if begun and not begun[-1].done():
                begun[-1].add_done_callback(let_go)
            else:
                let_go()

    async def adopt(self, execution_id: str) -> None:
        """Go on here with an execution that has no living owner. Does nothing when it is here already.

        Raises ``ConflictError``: a living node owns it (``owned_elsewhere``), or others keep taking it away; ``NotFoundError``.
        """
        for _ in range(_TRIES):
            try:
                resident = await self._residency.resident(execution_id)
            except Elsewhere as elsewhere:
                if not await self._seize(elsewhere.owner, keep=execution_id):
                    raise ConflictError(
                        "owned_elsewhere", f"another process is running {execution_id}", hint="wait for it, or stop that process"
                    ) from None
                continue
            if resident is None:
                raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
            return
        raise ConflictError("execution_contended", f"others kept changing {execution_id}", hint="try again")

    async def _seize(self, owner: str, *, keep: str) -> bool:
        """Take a dead node's executions, keep one, and give the others back for whoever recovers. False: it lives.

        A node that begins no attempts keeps none: if the command is refused, nobody would go on with what it owns.
        """
        node = self._node
        kept = keep if node.settings.can_run else ""
        async with self.seizing:
            node.must_be_open()
            if owner not in await node.store.dead_nodes(node.node_id):
                return False
            while seized := await node.store.seize(owner, by=node.node_id, limit=node.settings.load_batch):
                node.has_news = True  # there may be messages for what is kept
                self._residency.note_seized(seized)
                if kept in seized:
                    self._residency.missing[kept] = None  # until it is in memory
                await self._residency.give_back([one for one in seized if one != kept])
        return True

    async def answer_message(
        self,
        execution_id: str,
        command: cmd.Command,
        *,
        mark: str,
        answer: InboxAnswer,
        earlier: Iterable[asyncio.Future[Verdict]] = (),
    ) -> tuple[asyncio.Future[Verdict], Sequence[Post]]:
        """Apply a command that came through the inbox; its answer and its effect are one commit, whose verdict is given.

        DUPLICATE: its mark was there. CONFLICT: it is to be applied once more, also when that became of one of the ``earlier``.
        With controls for other executions the commit has no answer: ``crossed`` says when that is due.
        Raises what the kernel refuses with, ``NotFoundError``, and ``Elsewhere``.
        """
        node = self._node
        async with self._alone_with(mark) as begun:
            if mark and await node.store.answer_of(mark) is not None:
                return settled(Verdict.DUPLICATE), ()
            resident = await self._residency.resident(execution_id)
            if any(one.done() and one.result() is Verdict.CONFLICT for one in earlier):
                return settled(Verdict.CONFLICT), ()  # what it was to follow is not in this state
            if resident is None:
                raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
            node.must_be_open()
            done: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
            try:
                turn = node.turn(resident, command, marks=(Mark(mark, b"", node.environment.now()),) if mark else ())
            except (CommandRefusedError, LimitError):
                if await self._is_current(resident):
                    raise
                return settled(Verdict.CONFLICT), ()
            pending = node.append_nothing(resident)
            crossing = [effect for effect in turn.effects if type(effect) is Post and isinstance(effect.letter, CONTROLS)]
            if not crossing:
                pending.answers.append(answer)
            pending.waiters.append(done)
            begun.append(done)
            return done, crossing

    async def crossed(self, posts: Iterable[Post]) -> None:
        """Wait until a control that has crossed to other executions is written down by all of them."""
        await self._acknowledged(posts)

    async def wait(self, execution_id: str) -> Result:
        """Wait for an execution's end, here or elsewhere. Cancelling the wait changes nothing."""
        node = self._node
        node.must_be_open()
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        node.waiters.setdefault(execution_id, []).append(future)
        try:
            resident = node.residents.get(execution_id)
            if resident is None or resident.is_at_rest:  # kept in memory, it may be older than what the store has
                ended = await self.ended(execution_id)
                if ended is not None:
                    return ended
            return await future
        finally:
            waiting = node.waiters.get(execution_id)
            if waiting is not None and future in waiting:
                waiting.remove(future)
                if not waiting:
                    del node.waiters[execution_id]

    async def ended(self, execution_id: str) -> Result | None:
        """The result of an execution that the store has as finished; ``None`` while it goes on."""
        stored = await self._node.store.load((execution_id,))
        if not stored:
            raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
        if stored[0].summary.finished_at is None:
            return None
        state = await self._residency.read(stored[0])
        assert state.status_at_end is not None
        return Result(execution_id, state.status_at_end, state.outcome, state.output, state.error)

    def _must_accept(self) -> None:
        node, bounds = self._node, self._node.settings
        node.must_be_open()
        if node.commit.trouble is not None:
            raise node.commit.trouble
        for what, actual, bound in (
            ("executions in memory", len(node.residents), bounds.max_residents),
            ("appends waiting", len(node.commit), bounds.max_backlog),
        ):
            if actual >= bound:
                raise OverloadedError(
                    "overloaded", f"{actual} {what}, {bound} allowed", hint="wait for some to end, then start again", limit=bound
                )


def settled(verdict: Verdict) -> asyncio.Future[Verdict]:
    """A verdict that is known already."""
    future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
    future.set_result(verdict)
    return future


def _fork(start: cmd.Start, origin: Origin) -> cmd.Fork:
    said = {name: getattr(start, name) for name in start.__struct_fields__}
    return cmd.Fork(**said, origin=origin.execution_id, path=origin.path, tasks=origin.tasks)
