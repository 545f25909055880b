"""The engine as a program embeds it: ``async with Engine("work.db") as engine``, or ``with`` where there is no loop of one's own.

Composes store, executors and node; owns none of their rules. Everything is async and written once; the synchronous form is
``app.bridge``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from taskengine.app.find import find_open
from taskengine.define.declared import Declares, called_by, declared_by, must_be_sound
from taskengine.errors import ConflictError, NotFoundError
from taskengine.model import command as cmd
from taskengine.model.ids import WORKFLOW
from taskengine.model.value import Instant, Json, Raw
from taskengine.model.workflow import Workflow
from taskengine.ports.store import ExecutionFilter, LogLine, Store, StoredWorkflow, Summary
from taskengine.runtime.environment import Environment
from taskengine.runtime.settings import NodeSettings

if TYPE_CHECKING:
    from taskengine.app.bridge import SyncEngine
    from taskengine.app.parts import Parts
    from taskengine.ports.executor import Executor
    from taskengine.ports.outbound import EgressPolicy, Outbound
    from taskengine.ports.secrets import Secrets
    from taskengine.runtime.catalog import KnownWorkflow
    from taskengine.runtime.node import Node
    from taskengine.runtime.operations import Started
    from taskengine.runtime.resident import Result

__all__ = ["Engine", "Execution", "open_store"]
_KEPT = 256


class Execution:
    """A started execution: its id, and its result when one waits for it."""

    __slots__ = ("_engine", "id")

    def __init__(self, engine: Engine, execution_id: str) -> None:
        self._engine = engine
        self.id = execution_id

    async def result(self, *, timeout: float | None = None) -> Result:  # noqa: ASYNC109 -- the caller's own word for it
        """Wait for its end."""
        return await self._engine.wait_for_instance(self.id, timeout=timeout)

    def __repr__(self) -> str:
        return f"Execution({self.id!r})"


class Engine:
    """One node on one store. ``store`` is a path of an SQLite file, ``":memory:"``, or a ``Store``.

    ``functions``: callables by the name that steps use. ``services``: objects that functions get by a parameter's name.
    ``secrets``: where ``secrets.name`` comes from; by default the environment and ``/run/secrets``. ``egress``: whom ``http`` steps
    may talk to. ``builtins``: which of ``http_request`` and ``shell_command`` exist as functions; none unless named.
    """

    def __init__(
        self,
        store: str | Path | Store = "task-engine.db",
        *,
        functions: Mapping[str, Callable[..., Any]] | None = None,
        settings: NodeSettings | None = None,
        environment: Environment | None = None,
        services: Mapping[str, Any] | None = None,
        secrets: Secrets | None = None,
        egress: EgressPolicy | None = None,
        outbound: Outbound | None = None,
        builtins: Sequence[str] = (),
        around: Callable[[Mapping[str, Executor]], Mapping[str, Executor]] = lambda executors: executors,
    ) -> None:
        from taskengine.adapters.lanes import ThreadLane  # importing an engine's class is quick: what it is made of is loaded here
        from taskengine.adapters.secrets import EnvironmentSecrets
        from taskengine.app.performing import Performing

        self._around = around  # what stands in front of the executors: a test's mocked steps
        self._settings = settings if settings is not None else NodeSettings()
        self._environment = environment if environment is not None else Environment(ThreadLane)
        self._store = open_store(store, self._environment) if isinstance(store, str | Path) else store
        self._performing = Performing(
            self._settings,
            self._environment,
            functions=functions or {},
            services=services,
            egress=egress,
            outbound=outbound,
            builtins=builtins,
            tell=self._tell,
        )
        self._secrets = secrets if secrets is not None else EnvironmentSecrets(os.environ)
        self._checked: dict[int, Workflow] = {}  # those that were, held so that their numbers stay theirs
        self._parts: Parts | None = None
        self._sync: SyncEngine | None = None

    # Life

    async def start(self) -> None:
        """Open the store, join the other nodes, begin recovery. Idempotent."""
        if self._parts is not None:
            return
        from taskengine.app.parts import Parts

        await self._store.open()
        try:
            parts = Parts(
                self._store,
                self._environment,
                executors=self._around(self._performing.executors),
                settings=self._settings,
                secrets=self._secrets,
            )
            await parts.services.start()
        except BaseException:
            await self._store.close()
            raise
        if self._settings.capture_logs:
            from taskengine.adapters.function.records import attach

            attach()
        self._parts = parts

    async def stop(self) -> None:
        """Stop gracefully: attempts may finish for a while, the rest are given back uncounted. Idempotent."""
        parts, self._parts = self._parts, None
        if parts is None:
            return
        if self._settings.capture_logs:
            from taskengine.adapters.function.records import detach

            detach()
        try:
            await parts.services.stop()
        finally:  # also when whoever stops it loses patience: what is held for life must not be held without one
            await self._performing.close()
            await self._store.close()

    @property
    def _started(self) -> Parts:
        if self._parts is None:
            raise ConflictError(
                "engine_not_started", "the engine is not running", hint="use `async with engine:`, or await engine.start()"
            )
        return self._parts

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.stop()

    def __enter__(self) -> SyncEngine:
        from taskengine.app.bridge import SyncEngine

        self._sync = SyncEngine(self)
        return self._sync

    def __exit__(self, *exception: object) -> None:
        if self._sync is not None:
            self._sync.close()

    @property
    def node(self) -> Node:
        """The node, for those who look inside (statistics, live views)."""
        return self._started.node

    @property
    def store(self) -> Store:
        """The store."""
        return self._store

    # Definitions

    def register(self, name: str, function: Callable[..., Any]) -> None:
        """Make a function known to workflows under a name."""
        self._performing.registry.register(name, function)

    async def deploy(self, workflow: Workflow | Declares, *, source: str = "") -> StoredWorkflow:
        """Keep a version of a workflow, as data, a builder or what it built, a decorated function, and of those that it calls.

        ``source``: the directory where functions named by file are looked for.
        Raises ``DefinitionError`` for what cannot run, ``ConflictError("version_exists")`` when the label stands for other content.
        """
        workflow = workflow if isinstance(workflow, Workflow) else declared_by(workflow)
        for called in called_by(workflow):
            await self.deploy(self._declared(called))
        workflow = self._declared(workflow)
        document = msgspec.json.encode(msgspec.structs.replace(workflow, version=""), order="sorted")
        self._started.catalog.must_compile(workflow.name, document)  # else it would be the latest version of its name
        stored = await self._store.put_workflow(
            StoredWorkflow(
                self._environment.new_id(WORKFLOW),
                workflow.name,
                workflow.version,
                document,
                source,
                self._environment.now(),
            )
        )
        if source:
            self.look_for_functions(workflow.name, folder=source)
        return self._started.catalog.keep(stored).stored

    def _declared(self, workflow: Workflow | Declares) -> Workflow:
        """The workflow, its functions registered; one that a program made as data is checked as a document is."""
        if isinstance(workflow, Workflow):
            if id(workflow) not in self._checked:
                must_be_sound(workflow)
                self._checked[id(workflow)] = workflow
                if len(self._checked) > _KEPT:
                    del self._checked[next(iter(self._checked))]
            return workflow
        declared = declared_by(workflow)
        for name, function in declared.functions.items():
            self._performing.registry.register(name, function)
        return declared.workflow

    def look_for_functions(self, name: str, *, folder: str) -> None:
        """Look for functions of a workflow that are named by file in this directory, wherever it was deployed from."""
        self._started.catalog.look_in(name, folder)

    # Executions

    async def execute_workflow(
        self,
        workflow: Workflow | Declares | str | StoredWorkflow,
        *,
        params: Mapping[str, Json] | None = None,
        variables: Mapping[str, Json] | None = None,
        priority: int | None = None,
        business_key: str = "",
        by: str = "",
        idempotency_key: str = "",
    ) -> Execution:
        """Start an execution; it is durable when this returns.

        ``workflow``: what ``deploy`` takes (deployed when it is new), a name or an id (the latest version), or a stored version. An
        ``idempotency_key`` that was used before gives the earlier execution.
        Raises ``ValidationError`` for an input that does not fit (``invalid_input``) or is not JSON, ``NotFoundError`` (workflow,
        function), ``OverloadedError``, ``StorageError``.
        """
        known = await self._known(workflow)
        parts, intake = self._started, self._started.intake
        parts.catalog.must_be_performable(known)
        intake.labels_must_fit(business_key=business_key, by=by, idempotency_key=idempotency_key)
        intake.priority_must_fit(priority)
        if idempotency_key:
            earlier = await self._store.answer_of(f"start:{idempotency_key}")
            if earlier is not None:
                return Execution(self, earlier.decode())
        pins = await parts.catalog.pins(known.plan) if known.plan.called else None
        started = parts.operations.begin(
            known,
            intake.input_of(known, params),
            variables=intake.variables_of(known.plan.workflow, params, given=variables),
            pins=pins,
            priority=priority,
            business_key=business_key,
            by=by,
            mark=idempotency_key,
        )
        return Execution(self, await parts.operations.started(started, mark=idempotency_key))

    async def fork(
        self,
        execution_id: str,
        path: str,
        *,
        input: Mapping[str, Json] | None = None,
        variables: Mapping[str, Json] | None = None,
        version: str = "",
        by: str = "",
        idempotency_key: str = "",
    ) -> Execution:
        """Start an execution that goes on from the history of another one; it is durable when this returns.

        The step at ``path`` and all that comes after it begin anew (of ``/``: everything); what had ended before it or beside it is
        taken over with what it gave. Input, variables and version (``latest`` is one) are the other one's unless given.
        Raises what ``execute_workflow`` raises, ``NotFoundError("unknown_path")``, ``CommandRefusedError("fork_inside_group")`` and
        ``LimitError("fork_too_large")``.
        """
        from taskengine.app.forking import prepared
        from taskengine.runtime.operations import Origin

        parts = self._started
        parts.intake.labels_must_fit(path=path, by=by, idempotency_key=idempotency_key)
        earlier = await self._store.answer_of(f"start:{idempotency_key}") if idempotency_key else None
        if earlier is not None:
            return Execution(self, earlier.decode())
        fork = await prepared(
            execution_id,
            path,
            store=self._store,
            catalog=parts.catalog,
            intake=parts.intake,
            input=input,
            variables=variables,
            version=version,
        )
        if self._settings.can_run:
            parts.catalog.must_be_performable(fork.known)
        started = parts.operations.begin(
            fork.known,
            fork.given,
            variables=fork.variables,
            pins=fork.pins,
            priority=fork.origin.priority,
            business_key=fork.origin.business_key,
            by=by,
            mark=idempotency_key,
            origin=Origin(execution_id, path, fork.heritage.tasks),
        )
        return Execution(self, await parts.operations.started(started, mark=idempotency_key))

    async def begin_many(
        self, workflow: Workflow | Declares | str | StoredWorkflow, params: list[Mapping[str, Json]]
    ) -> list[Execution]:
        """Start one execution for each of the inputs, in as few commits as possible; all are durable when this returns.

        One input that does not fit keeps all of them from starting; the error names it by its place: ``params[3].names[0]``.
        """
        known = await self._known(workflow)
        self._started.catalog.must_be_performable(known)
        intake, workflow_ = self._started.intake, known.plan.workflow
        ready: list[tuple[Raw, dict[str, Raw]]] = []
        for number, one in enumerate(params):
            payload = intake.input_of(known, one, what=f"params[{number}]")
            ready.append((payload, intake.variables_of(workflow_, one, given=None)))
            if len(ready) % self._settings.batch_cap == 0:
                await asyncio.sleep(0)
        pins = await self._started.catalog.pins(known.plan) if known.plan.called else None
        started: list[Started] = []
        for payload, variables in ready:
            started.append(self._started.operations.begin(known, payload, variables=variables, pins=pins))
            if len(started) % self._settings.batch_cap == 0:
                await asyncio.sleep(0)
        return [Execution(self, await self._started.operations.started(one)) for one in started]

    async def wait_for_instance(self, execution_id: str, *, timeout: float | None = None) -> Result:  # noqa: ASYNC109
        """Wait for the end of an execution, wherever it runs. ``TimeoutError`` after ``timeout`` seconds; it goes on then."""
        if timeout is None:
            return await self._started.operations.wait(execution_id)
        async with asyncio.timeout(timeout):
            return await self._started.operations.wait(execution_id)

    async def pause_instance(self, execution_id: str, *, path: str = "/", by: str = "", reason: str = "") -> None:
        """Start nothing new at or below ``path``; true when this returns."""
        await self._command(execution_id, lambda at: cmd.Pause(at=at, path=path, by=by, reason=reason))

    async def resume_instance(self, execution_id: str, *, path: str = "/", by: str = "", reason: str = "") -> None:
        """End the pause of exactly this path."""
        await self._command(execution_id, lambda at: cmd.Resume(at=at, path=path, by=by, reason=reason))

    async def cancel_instance(
        self, execution_id: str, *, path: str = "/", by: str = "", reason: str = "", compensate: bool = False
    ) -> None:
        """Ask what runs to stop; nothing at or below ``path`` starts any more. ``compensate``: then undo what was done."""
        await self._command(execution_id, lambda at: cmd.Cancel(at=at, path=path, by=by, reason=reason, compensates=compensate))

    async def terminate_instance(self, execution_id: str, *, path: str = "/", by: str = "", reason: str = "") -> None:
        """End it now."""
        await self._command(execution_id, lambda at: cmd.Terminate(at=at, path=path, by=by, reason=reason))

    async def retry_instance(self, execution_id: str, *, path: str = "/", by: str = "", reason: str = "") -> None:
        """A new round for what failed or was cancelled."""
        await self._command(execution_id, lambda at: cmd.Retry(at=at, path=path, by=by, reason=reason))

    async def skip_task(self, execution_id: str, path: str, *, by: str = "", reason: str = "") -> None:
        """Go on without a task that has not completed, as if it had been done; its output is none.

        ``ConflictError``: it is running (``task_running``), has completed, or is no step (``not_a_step``).
        """
        await self._command(execution_id, lambda at: cmd.Skip(at=at, path=path, by=by, reason=reason))

    async def decide(
        self,
        execution_id: str,
        path: str,
        *,
        approve: bool = True,
        by: str = "",
        comment: str = "",
        data: Json = None,
    ) -> None:
        """Approve or reject what waits for a decision at ``path``. ``data`` is judged by the step's form, its defaults filled in.

        ``ConflictError``: ``not_waiting_for_approval``, ``not_an_approver``, ``paused``; ``ValidationError("invalid_input")``.
        """
        from taskengine.app.approval import form_at

        self._started.intake.labels_must_fit(path=path)
        summary = await self.get_instance(execution_id)
        known = await self._started.catalog.known(summary.workflow_id, summary.workflow_version)
        is_judged = approve or data is not None  # who rejects need not fill in a form
        payload = self._started.intake.answer_of(form_at(known.plan, path) if is_judged else None, data)
        await self._command(
            execution_id,
            lambda at: cmd.Decide(at=at, path=path, is_approved=approve, by=by, comment=comment, data=payload),
        )

    async def set_variables(self, execution_id: str, values: Mapping[str, Json], *, by: str = "") -> None:
        """Give variables new values: what is rendered from here on sees them. ``unknown_variable``: the workflow has none such."""
        kept = self._started.intake.values_of(values)
        await self._command(execution_id, lambda at: cmd.SetVariables(at=at, values=kept, by=by))

    async def signal(self, execution_id: str, name: str, *, data: Json = None, by: str = "", signal_id: str = "") -> None:
        """Send a signal; durable when this returns. Repeating a ``signal_id`` is a no-op."""
        payload = self._started.intake.payload_of(data, "data")
        self._started.intake.labels_must_fit(signal_id=signal_id)
        await self._command(
            execution_id,
            lambda at: cmd.Signal(at=at, name=name, data=payload, by=by),
            mark=f"signal:{signal_id}" if signal_id else "",
        )

    async def _tell(self, business_key: str, name: str, *, data: Json, by: str, signal_id: str) -> str:
        """What a ``signal`` step does that knows a business key."""
        found = await self.find_instance(business_key)
        await self.signal(found.execution_id, name, data=data, by=by, signal_id=signal_id)
        return found.execution_id

    async def adopt_instance(self, execution_id: str) -> None:
        """Go on here with an execution whose process is gone. ``ConflictError("owned_elsewhere")``: another one runs it."""
        await self._started.operations.adopt(execution_id)

    async def get_instance(self, execution_id: str) -> Summary:
        """The execution's row as committed. ``NotFoundError``: there is none."""
        found = await self._store.executions(ExecutionFilter(), limit=1, before=f"{execution_id} ")  # found by the key
        if not found or found[0].execution_id != execution_id:
            raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
        return found[0]

    async def find_instance(self, business_key: str) -> Summary:
        """The execution with this business key that has not ended. ``NotFoundError``: none, or several (``ambiguous_id``)."""
        return await find_open(self._store, business_key)

    async def get_workflow_history(self, workflow: str | Workflow | Declares, *, limit: int = 20, offset: int = 0) -> list[Summary]:
        """The executions of a workflow (any version), newest first. ``NotFoundError``: there is no such workflow."""
        name = workflow if isinstance(workflow, str) else self._declared(workflow).name
        known = await self._started.catalog.known(name, "")
        found = await self._store.executions(ExecutionFilter(workflow_id=known.stored.workflow_id), limit=offset + limit, before="")
        return found[offset:]

    async def logs(self, execution_id: str, *, step_id: str = "", after: int = 0, limit: int = 1_000) -> list[LogLine]:
        """What the work of an execution (or of one of its steps) has logged, in order, ``limit`` lines after ``after``.

        ``NotFoundError``: there is no such execution or step.
        """
        summary = await self.get_instance(execution_id)
        known = await self._started.catalog.known(summary.workflow_id, summary.workflow_version)
        task = known.plan.number_of(f"/{step_id}/") if step_id else None
        return await self._store.logs(execution_id, task=task, after=after, limit=limit)

    async def _command(self, execution_id: str, make: Callable[[Instant], cmd.Command], *, mark: str = "") -> None:
        await self._started.operations.command(execution_id, self._started.intake.command_of(make), mark=mark)

    async def _known(self, workflow: Workflow | Declares | str | StoredWorkflow) -> KnownWorkflow:
        if isinstance(workflow, str):
            return await self._started.catalog.known(workflow, "")
        if isinstance(workflow, StoredWorkflow):
            return self._started.catalog.keep(workflow)
        return self._started.catalog.keep(await self.deploy(workflow))


def open_store(store: str | Path, environment: Environment) -> Store:
    """The store that an address means: a file, or ``:memory:``."""
    if str(store) == ":memory:":
        from taskengine.adapters.memory import MemoryDatabase, MemoryStore

        return MemoryStore(MemoryDatabase())
    from taskengine.adapters.sqlite import SqliteStore

    return SqliteStore(Path(store), lanes=environment.lanes)
