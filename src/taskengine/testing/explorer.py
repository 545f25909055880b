"""Kills an engine at every commit of a workflow's run, lets a fresh one go on, and compares what comes of it.

A history grows by commits: what one commit holds is durable as a whole or not at all, so right before it and right after it are all
the instants at which a crash can differ for the engine. Each is tried once, on the real stores, in virtual time. A crash is the end
of everything in that engine's loop: no ``finally``, no ``except``. Plain functions run in the loop, so none is cut in its middle.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from copy import deepcopy
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias, cast

import msgspec

from taskengine.adapters.lanes import InlineLane
from taskengine.adapters.memory import MemoryDatabase, MemoryStore
from taskengine.adapters.sqlite import SqliteSettings, SqliteStore
from taskengine.app.tree import label_of
from taskengine.define.declared import Declares
from taskengine.errors import ConflictError, LimitError, NotFoundError
from taskengine.model.codec import decode_event
from taskengine.model.value import Json
from taskengine.model.workflow import Workflow
from taskengine.ports.store import Append, Store, Verdict
from taskengine.testing.documents import is_document, read_document, workflow_of
from taskengine.testing.family import facts_of, family, without_ids
from taskengine.testing.history import History
from taskengine.testing.virtual.clock import STARTS_AT
from taskengine.testing.virtual.engine import SETTINGS, VirtualEngine, VirtualExecution
from taskengine.testing.virtual.loop import VirtualLoop
from taskengine.testing.virtual.steps import nearest

__all__ = ["CrashError", "CrashPoint", "Exploration", "Finding", "explore_crashes"]

MOST_POINTS: Final = 2_000
_SHOWN: Final = 200  # characters of a value in a message
_RESTART_S: Final = 1.0  # of virtual time between a crash and the next engine
_BURIALS: Final = 3  # a task may wait for something else when it is cancelled
_KEY: Final = "explored"

Prepare: TypeAlias = Callable[[VirtualEngine], object]
Act: TypeAlias = Callable[[VirtualEngine, VirtualExecution], Awaitable[object]]
Choose: TypeAlias = Callable[[Sequence["CrashPoint"]], Sequence["CrashPoint"]]
Examine: TypeAlias = Callable[[Mapping[str, History]], Any]


class CrashPoint(msgspec.Struct, frozen=True):
    """Before or after the commit that held these events; the first one's number is ``seq``. ``streams``: of how many executions."""

    commit: int
    is_after: bool
    seq: int
    events: tuple[str, ...]
    streams: int = 1

    def __str__(self) -> str:
        """In words."""
        when = "right after this was durable" if self.is_after else "right before this was durable"
        last = self.seq + len(self.events) - 1
        numbers = f"event {self.seq}" if last == self.seq else f"events {self.seq} to {last}"
        if self.streams > 1:
            numbers = f"{len(self.events)} events of {self.streams} executions"
        return f"{when}: {numbers} ({', '.join(self.events)})"


class Finding(msgspec.Struct, frozen=True):
    """A crash that changes what happens: what differs, and how it came to it."""

    point: CrashPoint
    differences: tuple[str, ...]
    repeated: tuple[str, ...]
    story: str


class Exploration(msgspec.Struct, frozen=True):
    """What was tried. ``repeated``: at how many points the work of a step was done more often than without a crash."""

    points: int
    events: int
    repeated: dict[str, int]
    history: History  # of the undisturbed run


class CrashError(AssertionError):
    """Crashes change what happens. ``findings`` are in the order of the run."""

    def __init__(self, findings: Sequence[Finding], *, points: int) -> None:
        super().__init__(_told(findings, points))
        self.findings = tuple(findings)


async def _wait(_engine: VirtualEngine, _execution: VirtualExecution) -> None:
    """A client that only waits."""


def explore_crashes(
    workflow: Workflow | Declares | str | Path,
    params: Mapping[str, Json] | None = None,
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
    services: Mapping[str, Any] | None = None,
    source: str = "",
    reset: Callable[[], object] = lambda: None,
    effects: Callable[[], Any] = lambda: None,
    once: Collection[str] = (),
    signals: Mapping[str, Json] | None = None,
    prepare: Prepare = lambda _: None,
    workflows: Sequence[Workflow | Declares | str | Path] = (),
    act: Act = _wait,
    examine: Examine = lambda _: None,
    choose: Choose = lambda points: points,
    may_wait_for_a_person: bool = False,
    status: str = "completed",
    sqlite_in: str | Path | None = None,
) -> Exploration:
    """Run a workflow undisturbed, then once for each point at which the engine may crash, and compare.

    Compared are status, outcome, output, error, and the status of each step; ``effects()`` gives whatever else must be the same
    (what the functions left behind), ``reset()`` takes that away before each run; the work of steps in ``once`` may be done once
    only. ``signals`` are sent after the start. ``prepare(engine)`` may mock steps of each engine. ``may_wait_for_a_person``: a step
    that is not idempotent may wait for one after a crash. ``sqlite_in``: a folder, to explore on SQLite files there.
    ``workflows`` are those that steps of type workflow name; the executions that come of them are compared as well.
    ``await act(engine, execution)``: what the client does after the start, in every life again, as one that was not told what came
    of it. ``examine(histories)`` gives whatever else must be the same, from the histories of all executions: of the explored one
    under its workflow's name, of one that a step started under that with the step's path. ``choose(points)``: which are tried.
    ``status``: how the undisturbed run must end, else its history is told (``HistoryError``): a crash changes little for a
    workflow that fails anyway. Raises ``CrashError`` telling the first point at which anything differs.

    >>> from taskengine import Step, Workflow
    >>> sent = []
    >>> mail = Step(id="mail", type="function", config={"function": "mail"})
    >>> newsletter = Workflow(name="newsletter", steps=(mail,))
    >>> explore_crashes(newsletter, functions={"mail": lambda: None}).points
    4
    >>> def careless():
    ...     sent.append("a letter")
    >>> try:
    ...     explore_crashes(newsletter, functions={"mail": careless}, reset=sent.clear, effects=lambda: len(sent))
    ... except CrashError as error:
    ...     print(error.findings[0].differences)
    ('effects: 2, undisturbed 1',)
    """
    with ExitStack() as used:
        stores = _memory_stores
        if sqlite_in is not None:
            stores = _sqlite_stores(Path(used.enter_context(TemporaryDirectory(prefix="explored-", dir=sqlite_in))))
        exploring = _Explorer(
            workflow,
            params=params,
            functions=functions or {},
            services=services or {},
            source=source,
            reset=reset,
            effects=effects,
            once=frozenset(once),
            signals=signals or {},
            prepare=prepare,
            workflows=workflows,
            act=act,
            examine=examine,
            choose=choose,
            may_wait_for_a_person=may_wait_for_a_person,
            status=status,
            stores=stores,
        )
        thread = used.enter_context(ThreadPoolExecutor(1))  # the caller may have a running loop
        return thread.submit(exploring.explore).result()


class _Seen(msgspec.Struct):
    """What came of one run."""

    facts: dict[str, Any]
    performed: Counter[str]
    history: History | None
    commits: list[CrashPoint]  # of the first engine, each as the point before it
    is_waiting_for_a_person: bool = False


class _Explorer:
    def __init__(
        self,
        workflow: Workflow | Declares | str | Path,
        *,
        params: Mapping[str, Json] | None,
        functions: Mapping[str, Callable[..., Any]],
        services: Mapping[str, Any],
        source: str,
        reset: Callable[[], object],
        effects: Callable[[], Any],
        once: frozenset[str],
        signals: Mapping[str, Json],
        prepare: Prepare,
        workflows: Sequence[Workflow | Declares | str | Path],
        act: Act,
        examine: Examine,
        choose: Choose,
        may_wait_for_a_person: bool,
        status: str,
        stores: Callable[[], Callable[[], Store]],
    ) -> None:
        self._workflow: Any = workflow
        if is_document(workflow):
            self._workflow, source = read_document(cast("str | Path", workflow))
        steps = [step.id for one in (self._workflow, *workflows) for step in workflow_of(one).every_step()]
        for step in once:
            if step not in steps:
                raise NotFoundError("unknown_step", f'the workflow has no step "{step}"', hint=nearest(step, steps))
        self._params, self._functions, self._services, self._source = params, functions, services, source
        self._reset, self._effects, self._once, self._signals = reset, effects, once, signals
        self._prepare, self._may_wait, self._status = prepare, may_wait_for_a_person, status
        self._workflows, self._act, self._examine, self._choose = workflows, act, examine, choose
        self._stores = stores

    def explore(self) -> Exploration:
        plain = self._run(None)
        if "steps" not in plain.facts:
            hint = "signals={name: data} are sent after the start; prepare=… may mock steps"
            raise ConflictError("stands_still", f"undisturbed, the execution {plain.facts['status']}", hint=hint)
        assert plain.history is not None, "the undisturbed run was not crashed"
        assert plain.commits, "it began in this store"
        plain.history.ended(self._status)
        points = [point for before in plain.commits for point in (before, msgspec.structs.replace(before, is_after=True))]
        if len(points) > MOST_POINTS:
            message = f"this run has {len(points)} points to crash at, {MOST_POINTS} are explored"
            raise LimitError("too_many_points", message, hint="explore a smaller input", limit=MOST_POINTS, actual=len(points))
        findings: list[Finding] = []
        repeated: Counter[str] = Counter()
        points = [*self._choose(points)]
        for point in points:
            seen = self._run(point)
            again = {step: number for step, number in seen.performed.items() if number > plain.performed[step]}
            repeated.update(again.keys())
            differences = tuple(self._differences(plain, seen))
            if differences:
                found = next((one for one in seen.commits if one.commit == point.commit), point)
                told = tuple(
                    f"the work of {step} was done {number} times, undisturbed {plain.performed[step]}"
                    for step, number in again.items()
                )
                story = seen.history.story() if seen.history is not None else "nothing was written"
                findings.append(Finding(msgspec.structs.replace(found, is_after=point.is_after), differences, told, story))
        if findings:
            raise CrashError(findings, points=len(points))
        return Exploration(len(points), len(plain.history.events), dict(repeated), plain.history)

    def _differences(self, plain: _Seen, seen: _Seen) -> Iterator[str]:
        if seen.is_waiting_for_a_person and self._may_wait:
            return
        for name, value in plain.facts.items():
            if seen.facts.get(name) != value:
                yield f"{name}: {_short(seen.facts.get(name))}, undisturbed {_short(value)}"
        for step in sorted(self._once):
            if seen.performed[step] > max(1, plain.performed[step]):  # more than once in a map
                yield f"{step} must be done once, it was done {seen.performed[step]} times"

    # ── one run ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _run(self, point: CrashPoint | None) -> _Seen:
        """One engine until its end or its crash; in that case another one after it."""
        self._reset()
        open_store = self._stores()
        first = _Life(self, open_store(), point=point, starts_at_s=0.0, number=0)
        lives = [first]
        try:
            first.live(self)
            if point is not None:
                if not first.is_crashed:
                    raise ConflictError(
                        "not_repeatable",
                        f"the first run had commit {point.commit}, a later one ended before it",
                        hint="explore functions that do the same each time; reset() takes away what they left behind",
                    )
                lives.append(_Life(self, open_store(), point=None, starts_at_s=first.now_s + _RESTART_S, number=1))
                lives[-1].live(self)
            last = lives[-1]
            facts = {**last.facts, "effects": deepcopy(self._effects())}  # later runs may change it
        finally:
            for life in lives:
                life.bury()
        performed = sum((Counter(life.engine.performed) for life in lives), Counter[str]())
        return _Seen(facts, performed, last.history, first.commits, last.is_waiting_for_a_person)

    async def use(self, engine: VirtualEngine) -> tuple[dict[str, Any], History | None]:
        """What the test's own client does: the same in every life, as one that was not told what came of it."""
        self._prepare(engine)
        for workflow in self._workflows:
            await engine.deploy(workflow)
        execution = await engine.execute_workflow(self._workflow, params=self._params, source=self._source, idempotency_key=_KEY)
        for name, data in self._signals.items():
            with suppress(ConflictError):  # it has ended, and took the signal before
                await engine.engine.signal(execution.id, name, data=data, signal_id=name)
        await self._act(engine, execution)
        try:
            history = (await execution.result()).history
        except ConflictError as error:
            if error.name != "stands_still":
                raise
            return {"status": f"stands still: {error.message.partition(chr(10))[2].strip()}"}, await execution.history()
        histories = await family(engine, history)
        facts = facts_of(history)
        if len(histories) > 1:
            facts["executions"] = {name: facts_of(one) for name, one in histories.items()}
        facts["examined"] = self._examine(histories)
        return without_ids(facts, histories), history

    def make(self, loop: VirtualLoop, store: Store, *, number: int) -> VirtualEngine:
        """An engine of this workflow."""
        return VirtualEngine(
            loop,
            store=store,
            functions=self._functions,
            services=self._services,
            settings=SETTINGS,
            starts_at=STARTS_AT,
            seed=number,
            has_threads=False,
        )


class _Life:
    """One process: it lives in a loop of its own, until the client is content or the point is reached."""

    def __init__(self, explorer: _Explorer, store: Store, *, point: CrashPoint | None, starts_at_s: float, number: int) -> None:
        self._loop = VirtualLoop(starts_at_s=starts_at_s)
        self._loop.set_exception_handler(lambda _, __: None)
        self._store = store
        self._dead = self._loop.create_future()
        self._point = point
        self.commits: list[CrashPoint] = []
        self.facts: dict[str, Any] = {}
        self.history: History | None = None
        self.engine = explorer.make(self._loop, cast("Store", _Commits(store, self._commit)), number=number)

    def live(self, explorer: _Explorer) -> None:
        """To its end. Raises what the client was told, unless it is only that the execution stands still."""
        self._loop.run_until_complete(self._live(explorer))

    @property
    def now_s(self) -> float:
        return self._loop.time()

    @property
    def is_crashed(self) -> bool:
        return self._dead.done()

    @property
    def is_waiting_for_a_person(self) -> bool:
        return self.history is not None and any(task.is_stuck for task in self.history.state.live.values())

    async def _live(self, explorer: _Explorer) -> None:
        used = self._loop.create_task(self._use(explorer))
        await asyncio.wait((used, self._dead), return_when=asyncio.FIRST_COMPLETED)
        await self._store.close()  # what the system does for a process that is gone: its locks are free
        if not self.is_crashed:
            self.facts, self.history = await used

    async def _use(self, explorer: _Explorer) -> tuple[dict[str, Any], History | None]:
        await self.engine.start()
        seen = await self.engine.perform(partial(explorer.use, self.engine))
        if not self.is_crashed:
            await self.engine.perform(self.engine.stop)
        return seen

    async def _commit(self, batch: Sequence[Append]) -> list[Verdict]:
        events = [body for append in batch for body in append.events]
        if events:
            names = tuple(name for append in batch for name in self._names(append))
            streams = [append for append in batch if append.events]
            point = CrashPoint(
                len(self.commits) + 1, is_after=False, seq=streams[0].expected_seq + 1, events=names, streams=len(streams)
            )
            self.commits.append(point)
            await self._pass(point)
        verdicts = await self._store.commit(batch)
        if events:
            await self._pass(msgspec.structs.replace(self.commits[-1], is_after=True))
        return verdicts

    def _names(self, append: Append) -> Iterator[str]:
        resident = self.engine.engine.node.residents.get(append.summary.execution_id)
        for body in append.events:
            event = decode_event(body)
            task = getattr(event, "task", 0)
            step = label_of(resident.state, task) if resident is not None and task else ""
            yield type(event).__name__ + (f" of {step}" if step else "")

    async def _pass(self, here: CrashPoint) -> None:
        if self._dead.done() or (self._point and (here.commit, here.is_after) == (self._point.commit, self._point.is_after)):
            if not self._dead.done():
                self._dead.set_result(None)
            await self._loop.create_future()

    def bury(self) -> None:
        """Let go of what never ended. What it does now reaches nobody: everything was compared."""
        for _ in range(_BURIALS):
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


class _Commits:
    """A store whose commits somebody else carries out; all else is the store's own."""

    def __init__(self, inner: Store, commit: Callable[[Sequence[Append]], Any]) -> None:
        self._inner = inner
        self.commit = commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _memory_stores() -> Callable[[], Store]:
    database = MemoryDatabase()
    return lambda: MemoryStore(database)


def _sqlite_stores(folder: Path) -> Callable[[], Callable[[], Store]]:
    numbers = count(1)

    def database() -> Callable[[], Store]:
        path = folder / f"run-{next(numbers)}.db"
        return lambda: SqliteStore(path, lanes=InlineLane, settings=SqliteSettings(ballast_bytes=0))

    return database


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} …"


def _told(findings: Sequence[Finding], points: int) -> str:
    first = findings[0]
    lines = [f"{len(findings)} of {points} crashes change what happens. The first one, {first.point}", ""]
    lines += [f"  {line}" for line in (*first.differences, *first.repeated)]
    lines += ["", "What happened, with the crash:", first.story]
    if len(findings) > 1:
        lines += ["", "The others:", *(f"  {one.point}: {'; '.join(map(_short, one.differences))}" for one in findings[1:6])]
    lines += [
        "",
        "Work is done again when its result was not durable: give ctx.idempotency_key to whatever must not happen twice, or say",
        "that the step is not idempotent, so that it waits for a person.",
    ]
    return "\n".join(lines)
