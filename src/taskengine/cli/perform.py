"""What ``run`` does once its options are understood: one engine in this process, one execution, watched until it ends.

The node recovers nothing: what else lies unfinished in the database stays where it is.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from contextlib import redirect_stdout
from typing import Any, Final

import msgspec

from taskengine.app.advice import Advice, advice
from taskengine.app.engine import Engine
from taskengine.app.follow import Change, Follower
from taskengine.app.inspect import Inspector, inspecting
from taskengine.app.library import is_of
from taskengine.cli.command import NEWEST, Database
from taskengine.cli.language import say
from taskengine.cli.lines import Lines, Silence, View
from taskengine.cli.loop import Interrupts
from taskengine.cli.output import note
from taskengine.cli.terminal import look
from taskengine.define.phrase import numbered, quoted
from taskengine.errors import ConflictError, NotFoundError, StorageError
from taskengine.model.duration import format_duration
from taskengine.model.status import TERMINAL, Phase, Status
from taskengine.model.value import Json
from taskengine.model.workflow import Workflow
from taskengine.ports.store import StoredWorkflow, Summary
from taskengine.runtime.settings import NodeSettings
from taskengine.wire.execution import WireExecution, WireTask

__all__ = ["Ending", "Order", "ending_of", "perform", "view_on"]

_LOOK_EVERY_S: Final = 0.1


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be run, and how it is to be shown. Functions are looked for in ``folder``."""

    file: str  # empty for a workflow that the database keeps
    folder: str
    workflow: Workflow
    stored: StoredWorkflow | None = None  # the version to start where it is not the file's
    database: Database
    params: dict[str, Json]
    resume: str  # an execution, NEWEST, or empty to start one
    is_watched: bool
    is_plain: bool = False  # lines, also where a live picture could be
    timeout_ms: int | None
    grace_ms: int
    by: str
    priority: int | None = None
    is_draft: bool = False  # a version of its own, whatever label the document has

    def resume_command(self, execution_id: str) -> str:
        """The command that goes on with the execution, ready to paste."""
        file = f"{shlex.quote(self.file)} " if self.file else ""
        return self.database.command(f"run {file}--resume {execution_id}")


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended. ``stopped_by``: ``interrupt`` or ``timeout`` when this process stopped and the execution did not end."""

    execution: WireExecution
    failed: list[WireTask]  # that it failed with
    tolerated: list[WireTask]  # that it did not fail with
    advice: Advice  # how it begins again
    stopped_by: str = ""


async def perform(order: Order) -> Ending:
    """Start or go on, follow, stop. Raises the engine's named errors."""
    interrupts = Interrupts()
    engine = Engine(order.database.path, settings=NodeSettings(recovers=False, stop_grace_ms=order.grace_ms))
    # What the workflow's functions print is not this command's data.
    with redirect_stdout(sys.stderr):
        async with engine:
            inspector = Inspector(engine.store, engine.node.environment)
            execution_id, after = await (_resumed if order.resume else _started)(engine, inspector, order=order)
            interrupts.last_words = f"\ngo on: {order.resume_command(execution_id)}\n"
            follower = await inspector.follower(execution_id)
            stopped_by = await _watched(engine, follower, order=order, interrupts=interrupts, after=after)
            if not stopped_by:
                return await ending_of(inspector, execution_id)
        async with inspecting(order.database.path) as inspector:
            ending = await ending_of(inspector, execution_id)
    is_over = Status(ending.execution.status) in TERMINAL  # its last attempts ended within the grace
    return ending if is_over else msgspec.structs.replace(ending, stopped_by=stopped_by)


async def _started(engine: Engine, inspector: Inspector, *, order: Order) -> tuple[str, int]:
    left = await inspector.unfinished(order.workflow.name)
    stored = order.stored
    if stored is None:
        workflow = msgspec.structs.replace(order.workflow, version="") if order.is_draft else order.workflow
        stored = await engine.deploy(workflow, source=order.folder)
    execution = await engine.execute_workflow(stored, params=order.params, priority=order.priority, by=order.by)
    if left and order.is_watched:
        what = f"{numbered(len(left), 'earlier execution')} of {order.workflow.name} left unfinished"
        note(f"{what}; to go on with the newest: {order.resume_command(left[0].execution_id)}")
    return execution.id, 0


async def _resumed(engine: Engine, inspector: Inspector, *, order: Order) -> tuple[str, int]:
    summary = await _unfinished(inspector, order=order)
    engine.look_for_functions(order.workflow.name, folder=order.folder)
    if order.file:
        await _warn_of_changes(inspector, summary, order=order)
    await engine.adopt_instance(summary.execution_id)
    _, state = await inspector.state(summary.execution_id)
    if state.is_paused:
        words = f"instance resume {summary.execution_id}"
        note(f"{summary.execution_id} is paused; it goes on after: {order.database.command(words)}")
    return summary.execution_id, summary.seq


async def _warn_of_changes(inspector: Inspector, summary: Summary, *, order: Order) -> None:
    """Say so when the file is not what the execution began with: it keeps its version, whatever the file says now."""
    began = await inspector.stored(summary)
    if is_of(order.workflow, began):
        return
    versions = await inspector.store.versions(began.workflow_id)
    kept = order.workflow.version or next((one.version for one in versions if is_of(order.workflow, one)), "")
    told = say(
        "{file} has changed ({what}): {execution} goes on with version {version}, which it began with",
        file=order.file,
        what=say("version {version}", version=kept) if kept else say("a version that is not kept yet"),
        execution=summary.execution_id,
        version=began.version,
    )
    style = look(sys.stderr)
    note(f"{style.styled(say('warning'), 'warning')}: {told}")
    command = order.database.command(f"run {shlex.quote(order.file)}")
    note(f"  {style.styled(say('hint'), 'hint')}: {say('a new run takes the file as it is')}: {command}")


async def _unfinished(inspector: Inspector, *, order: Order) -> Summary:
    """The execution to go on with. It must be one of this workflow that has not ended."""
    name = order.workflow.name
    if order.resume == NEWEST:
        found = await inspector.unfinished(name)
        if not found:
            raise NotFoundError(
                "nothing_to_resume",
                f"no execution of {quoted(name)} is unfinished in {order.database.path}",
                hint=f"start one: {order.database.command(f'run {order.file}'.rstrip())}",
            )
        return found[0]
    summary = await inspector.find(order.resume)
    _, state = await inspector.state(summary.execution_id)
    if summary.finished_at is not None:
        begins = advice(state)
        again = order.database.command(begins) if begins else ""
        raise ConflictError(
            "execution_already_finished",
            f"{summary.execution_id} is {summary.status}",
            hint=f"{_begins_with(begins)}: {again}" if again else "start a new one without --resume",
        )
    if state.plan.workflow.name != name:
        raise ConflictError(
            "other_workflow",
            f"{summary.execution_id} is one of {quoted(state.plan.workflow.name)}, {order.file} describes {quoted(name)}",
            hint=f"leave the file out: {order.database.command(f'run --resume {summary.execution_id}')}",
        )
    return summary


def _begins_with(begins: Advice) -> str:
    return "correct the document, upload it, then" if begins.is_fork else "try what failed again"


async def _watched(engine: Engine, follower: Follower, *, order: Order, interrupts: Interrupts, after: int) -> str:
    """Show how it goes on until it ends (an empty text), or say why this process stops before."""
    loop = asyncio.get_running_loop()
    give_up_at = None if order.timeout_ms is None else loop.time() + order.timeout_ms / 1_000
    ended = loop.create_task(engine.wait_for_instance(follower.state.execution_id), name="taskengine-cli-wait")
    view = view_on(is_watched=order.is_watched, is_plain=order.is_plain, after=after)
    stopped_by = ""
    try:
        while not stopped_by:
            pause = _LOOK_EVERY_S if give_up_at is None else max(0.0, min(_LOOK_EVERY_S, give_up_at - loop.time()))
            waited: set[asyncio.Future[Any]] = {ended, interrupts.asked}
            await asyncio.wait(waited, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            is_over = ended.done()
            await _show(view, follower, engine=engine)
            if is_over:
                break
            if interrupts.asked.done():
                stopped_by = "interrupt"
            elif give_up_at is not None and loop.time() >= give_up_at:
                stopped_by = "timeout"
                interrupts.ask()
    finally:
        ended.cancel()
        view.close()
    if stopped_by and (follower.state.counts[Phase.RUNNING] or engine.node.attempts):
        again = " again" if stopped_by == "interrupt" else ""
        note(f"stopping: what runs may finish within {format_duration(order.grace_ms)}; Ctrl-C{again} stops at once")
    return stopped_by


async def _show(view: View, follower: Follower, *, engine: Engine) -> None:
    """Everything that was committed until now; a store in trouble shows nothing and stops nobody."""
    changes: list[Change] = []
    try:
        while more := await follower.read():
            changes += more
    except StorageError:
        return
    view.show(follower, changes, now=engine.node.environment.now())


def view_on(*, is_watched: bool, after: int, is_plain: bool = False) -> View:
    """Live on a terminal, lines in a pipe, nothing where nobody watches. What happened up to ``after`` is old news."""
    if not is_watched:
        return Silence()
    if look(sys.stderr).is_live and not is_plain:
        from taskengine.cli.live import LiveView

        return LiveView()
    return Lines(after=after)


async def ending_of(inspector: Inspector, execution_id: str) -> Ending:
    """How an execution stands, with what failed in it."""
    whole = await inspector.whole(execution_id)
    has_failed = whole.view.status != Status.COMPLETED
    failed, tolerated = whole.failures, whole.tolerated
    return Ending(
        execution=whole.view,
        failed=failed if has_failed else [],
        tolerated=tolerated if has_failed else [*failed, *tolerated],
        advice=advice(whole.state),
    )
