"""What callers ask of a node: start, command, wait. Each answer is given after the commit that makes it true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, Protocol

from taskengine.errors import CommandRefusedError, ConflictError, LimitError, NotFoundError, OverloadedError, StorageError
from taskengine.kernel.state import Execution
from taskengine.model import command as cmd
from taskengine.model.effect import StartChild
from taskengine.model.event import TakenOver
from taskengine.model.ids import EXECUTION
from taskengine.model.value import Instant, Raw
from taskengine.ports.store import InboxAnswer, Mark, Verdict
from taskengine.runtime.catalog import KnownWorkflow
from taskengine.runtime.node import Node
from taskengine.runtime.reach import Reach
from taskengine.runtime.residency import Elsewhere, Residency
from taskengine.runtime.resident import Resident, Result

__all__ = ["Operations", "Origin", "Started", "TakeIn", "settled"]

_TRIES: Final = 8
_LARGEST_PRIORITY: Final = 9
_CONTROLS: Final = (cmd.Pause, cmd.Resume, cmd.Cancel, cmd.Terminate)


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
    """Finds the workflow of a child and judges its input: the version, the input with its defaults, the variables, its own pins."""

    def __call__(self, start: StartChild) -> Awaitable[tuple[KnownWorkflow, Raw, Mapping[str, Raw], dict[str, str]]]:
        """Take it in."""
        ...


class Operations:
    """Commands of people and programs, for executions here; ``forward`` takes those for executions elsewhere."""

    def __init__(self, node: Node, residency: Residency, *, forward: Forward, take_in: TakeIn) -> None:
        self._node = node
        self._take_in = take_in
        self._residency = residency
        self._forward = forward
        self._reach = Reach(node, residency, seize=lambda owner, keep: self.seize(owner, keep=(keep,)))
        self.seizing = asyncio.Lock()  # a node that leaves waits for it: what it seized later would be nobody's
        self._under_way: dict[str, asyncio.Future[None]] = {}  # by deduplication mark

    def begin(
        self,
        known: KnownWorkflow,
        given: Raw,
        *,
        variables: Mapping[str, Raw],
        pins: dict[str, str] | None = None,
        priority: int | None = None,
        business_key: str = "",
        by: str = "",
        mark: str = "",
        origin: Origin | None = None,
    ) -> Started:
        """Start an execution in this turn of the loop; nothing is promised before ``durable``.

        ``pins``: which versions its sub-workflows have. ``origin``: what it is a fork of.
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
            pins=pins or {},
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
        known, given, variables, pins = await self._take_in(start)
        if execution_id in node.residents:  # another node has begun it meanwhile, and it was read here: what runs for it stays
            return settled(Verdict.DUPLICATE)
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
                pins=pins,
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
        """Apply a command and return when it is durable, a control when it is so in every execution below.

        A mark makes repeating it a no-op. Raises what the kernel refuses with, ``NotFoundError`` for an unknown execution, and
        ``ConflictError`` when others keep taking the execution away, or one below has not been told in time.
        """
        if mark:
            full_mark = f"command:{execution_id}:{mark}"
            async with self._alone_with(full_mark) as begun:
                since = await self._command(execution_id, make, mark=full_mark, begun=begun)
        else:
            since = await self._command(execution_id, make, mark="", begun=[])
        if since is not None:
            await self._reach.everywhere(execution_id, since)

    async def _command(
        self, execution_id: str, make: Callable[[Instant], cmd.Command], *, mark: str, begun: list[asyncio.Future[Verdict]]
    ) -> Instant | None:
        """When it was asked for, if it is a control that may concern others."""
        node = self._node
        for _ in range(_TRIES):
            if mark and await node.store.answer_of(mark) is not None:
                return None
            now = node.environment.now()
            try:
                resident = await self._residency.resident(execution_id)
            except Elsewhere as elsewhere:
                if await self.seize(elsewhere.owner, keep=(execution_id,)):
                    continue
                command = make(now)
                await self._forward(execution_id, command, mark=mark)
                return now if isinstance(command, _CONTROLS) else None
            if resident is None:
                raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
            node.must_be_open()
            done: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
            command = make(now)
            try:
                node.turn(resident, command, waiter=done, marks=(Mark(mark, b"", now),) if mark else ())
            except (CommandRefusedError, LimitError):
                if await self._is_current(resident):
                    raise
                continue
            begun.append(done)
            if await asyncio.shield(done) is Verdict.COMMITTED:
                return now if isinstance(command, _CONTROLS) and resident.state.plan.posts else None
        raise ConflictError("execution_contended", f"others kept changing {execution_id}", hint="try again")

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
                if not await self.seize(elsewhere.owner, keep=(execution_id,)):
                    raise ConflictError(
                        "owned_elsewhere", f"another process is running {execution_id}", hint="wait for it, or stop that process"
                    ) from None
                continue
            if resident is None:
                raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
            return
        raise ConflictError("execution_contended", f"others kept changing {execution_id}", hint="try again")

    async def seize(self, owner: str, *, keep: Collection[str]) -> bool:
        """Take a dead node's executions, keep some, and give the others back for whoever recovers. False: it lives.

        A node that begins no attempts keeps none: if the command is refused, nobody would go on with what it owns.
        """
        node = self._node
        kept = keep if node.settings.can_run else ()
        async with self.seizing:
            node.must_be_open()
            if owner not in await node.store.dead_nodes(node.node_id):
                return False
            while seized := await node.store.seize(owner, by=node.node_id, limit=node.settings.load_batch):
                node.has_news = True  # there may be messages for what is kept
                self._residency.note_seized(seized)
                self._residency.missing.update((one, None) for one in seized if one in kept)  # until they are in memory
                await self._residency.give_back([one for one in seized if one not in kept])
        return True

    async def answer_message(
        self,
        execution_id: str,
        command: cmd.Command,
        *,
        mark: str,
        answer: InboxAnswer,
        earlier: Iterable[asyncio.Future[Verdict]] = (),
    ) -> asyncio.Future[Verdict]:
        """Apply a command that came through the inbox; its answer and its effect are one commit, whose verdict is given.

        DUPLICATE: its mark was there. CONFLICT: it is to be applied once more, also when that became of one of the ``earlier``.
        Raises what the kernel refuses with, ``NotFoundError``, and ``Elsewhere``.
        """
        node = self._node
        async with self._alone_with(mark) as begun:
            if mark and await node.store.answer_of(mark) is not None:
                return settled(Verdict.DUPLICATE)
            resident = await self._residency.resident(execution_id)
            if any(one.done() and one.result() is Verdict.CONFLICT for one in earlier):
                return settled(Verdict.CONFLICT)  # what it was to follow is not in this state
            if resident is None:
                raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
            node.must_be_open()
            done: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
            try:
                node.turn(resident, command, marks=(Mark(mark, b"", node.environment.now()),) if mark else ())
            except (CommandRefusedError, LimitError):
                if await self._is_current(resident):
                    raise
                return settled(Verdict.CONFLICT)
            pending = node.append_nothing(resident)
            pending.answers.append(answer)
            pending.waiters.append(done)
            begun.append(done)
            return done

    async def answer_refused(self, execution_id: str, *, mark: str, answer: InboxAnswer) -> Verdict | None:
        """Answer a letter that was refused, and leave its mark all the same; ``None`` when there is no such execution."""
        node = self._node
        async with self._alone_with(mark) as begun:
            resident = await self._residency.resident(execution_id)
            if resident is None:
                return None
            node.must_be_open()
            done: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
            pending = node.append_nothing(resident)
            pending.marks = (*pending.marks, Mark(mark, b"", node.environment.now()))
            pending.answers.append(answer)
            pending.waiters.append(done)
            begun.append(done)
            return await asyncio.shield(done)

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
