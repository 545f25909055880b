"""Why an execution is not further: answered by its state, with the kernel's own questions, and by who is there to go on with it.

Reads only. What it says of a task is what admission would find; what it says of functions is what this process can find.
"""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import redirect_stdout
from shlex import quote
from typing import Final

from msgspec.structs import replace

from taskengine.adapters.function import FunctionExecutor, FunctionRegistry
from taskengine.app.advice import advice
from taskengine.app.approval import decision_commands, in_words, question, until_when
from taskengine.app.inspect import Inspector, why_now
from taskengine.app.tree import is_scope, label_of
from taskengine.errors import NotFoundError
from taskengine.kernel.approval import is_asking
from taskengine.kernel.state import Execution
from taskengine.kernel.story import NOT_TAKEN_UP, waits_for, why
from taskengine.kernel.task import Task
from taskengine.kernel.timing import Clock
from taskengine.model.ids import task_id
from taskengine.model.status import Phase
from taskengine.ports.store import Summary
from taskengine.wire.execution import WireExplanation, WireReason
from taskengine.wire.instant import iso_instant

__all__ = ["explain"]

_FUNCTIONS: Final = 100  # that are looked for; a workflow of many steps has few functions
# What is said of how many tasks, by the kind of their reason; containers wait for what is inside of them.
_WORDS: Final = {
    "function_not_found": "without a function",
    "running": "running",
    "stuck": "waiting for a person",
    "approval": "waiting for a decision",
    "signal": "waiting for a signal",
    "timer": "waiting for a time",
    "execution": "waiting for another execution",
    "retry": "waiting for their next attempt",
    "slot": "ready",
    "suspect": "ready, alone",
    "paused": "paused",
    "dependencies": "waiting for others",
}
_ORDER: Final = (Phase.RUNNING, Phase.EXPANDED, Phase.WAITING, Phase.RETRYING, Phase.READY, Phase.PENDING)


async def explain(inspector: Inspector, word: str, *, database: str) -> WireExplanation:
    """Why the execution that a person means is where it is. ``database``: what commands need to name it, such as `` --db FILE``."""
    summary, state = await inspector.state((await inspector.find(word)).execution_id)
    is_attended = state.is_finished or await inspector.is_attended(summary)
    # A process that only runs what it was given is alive too, and takes nothing up.
    is_taken = is_attended and bool(summary.owner)
    lacking = {} if state.is_finished else await _lacking(inspector, summary, state=state)
    reasons = [] if state.is_finished else _reasons(state, lacking=lacking, is_taken=is_taken)
    reasons = [await _with_child(inspector, reason, state=state) for reason in reasons]
    return WireExplanation(
        id=state.execution_id,
        workflow_name=state.plan.workflow.name,
        status=state.status.value,
        at=iso_instant(inspector.now()),
        why=await _headline(inspector, summary, state=state, reasons=reasons, is_taken=is_taken),
        attended=await _attended(inspector, summary, state=state, is_attended=is_attended),
        reasons=reasons,
        next=_next(state, reasons, is_waited_for=is_attended and (is_taken or not state.counts[Phase.READY]), flag=database),
    )


async def _with_child(inspector: Inspector, reason: WireReason, *, state: Execution) -> WireReason:
    """Of a task that waits for another execution, how that is."""
    task = state.live.get(state.number_of(reason.path))
    if reason.kind != "execution" or task is None:
        return reason
    try:
        child = await inspector.find(task.child)
    except NotFoundError:
        return replace(reason, text=f"{reason.text}, which does not exist yet")
    return replace(reason, text=f"{reason.text}, which is {child.status}")


async def _headline(inspector: Inspector, summary: Summary, *, state: Execution, reasons: list[WireReason], is_taken: bool) -> str:
    if state.error is not None:
        told = f"{why(state, '/')}: {state.error.type}: {state.error.message}".rstrip(": ")
        return told + ("; correct the document and upload it, then fork" if advice(state).is_fork else "")
    done = await inspector.interventions(summary, state)
    if state.is_finished or state.is_cancelling:
        return "; ".join([why(state, "/"), *done])
    if state.is_paused:
        return "; ".join(done)
    kinds = Counter(reason.kind for reason in reasons)
    words = _WORDS if is_taken else {**_WORDS, "running": "lost with the process"}
    counted = [f"{kinds[kind]} {word}" for kind, word in words.items() if kinds[kind]]
    return "; ".join([f"tasks: {', '.join(counted)}" if counted else why(state, "/"), *done])


async def _attended(inspector: Inspector, summary: Summary, *, state: Execution, is_attended: bool) -> str:
    """Who is there to go on with it."""
    if state.is_finished:
        return ""
    if is_attended:
        if summary.owner:
            return f"{summary.owner} runs it and is alive"
        needed = "nobody has taken it up yet" if state.counts[Phase.READY] else "nobody needs to own it now"
        return f"{needed}; its own run, or any program with an Engine, takes it up when it is due"
    gone = f"its process is gone ({summary.owner})" if summary.owner else "nobody owns it"
    due = f"; it was to go on at {iso_instant(summary.wake_at)}" if summary.wake_at is not None and not summary.owner else ""
    # A process that only runs what it was given lives here too, and takes nothing over.
    alone = "has taken it over: a run goes on with its own execution only" if await inspector.living() else "uses this database"
    return f"{gone} and no living process {alone}{due}"


async def _lacking(inspector: Inspector, summary: Summary, *, state: Execution) -> dict[int, str]:
    """The open function steps whose function cannot be found here. Modules of the user are imported for it, as a run would."""
    source = (await inspector.stored(summary)).source
    executor = FunctionExecutor(FunctionRegistry())
    known: dict[str, str] = {}
    found: dict[int, str] = {}
    with redirect_stdout(sys.stderr):  # what a module prints while it is imported is not our data
        for number in range(1, len(state.steps)):
            step = state.steps[number].step
            name = step.config.get("function")
            if step.type != "function" or state.phase[number] >= Phase.COMPLETED or not isinstance(name, str):
                continue
            if name not in known and len(known) < _FUNCTIONS:
                # A plain name is registered by the program that runs it: it cannot be looked for from outside.
                known[name] = executor.missing(step, source) if ":" in name else ""
            if known.get(name):
                found[number] = known[name]
    return found


def _reasons(state: Execution, *, lacking: dict[int, str], is_taken: bool) -> list[WireReason]:
    """A reason for each open task but blocks, which only wait for their steps; those that could move first."""
    numbers = [
        number for number in range(1, len(state.steps)) if state.phase[number] < Phase.COMPLETED and not is_scope(state, number)
    ]
    numbers.sort(key=lambda number: (number not in lacking, _ORDER.index(Phase(state.phase[number])), number))
    return [_reason(state, number, lacking=lacking.get(number, ""), is_taken=is_taken) for number in numbers]


def _reason(state: Execution, number: int, *, lacking: str, is_taken: bool) -> WireReason:
    step, path, base = state.steps[number], state.path_of(number), state.scopes[number].base
    due_at = _due_at(state, number)
    kind = "function_not_found" if lacking and state.phase[number] != Phase.RUNNING else _kind(state, number)
    text = why_now(state, path, is_taken=is_taken).removesuffix(" (join all_success)").removesuffix(until_when(state, number))
    if kind == "slot" and not is_taken:
        text = NOT_TAKEN_UP
    if kind == "paused" and state.phase[number] not in {Phase.READY, Phase.EXPANDED}:
        text += f"; after that it {waits_for(state, number)}".removesuffix(" (join all_success)")
    asks = question(state, number)
    if asks is not None and in_words(asks):
        text += f": {in_words(asks)}"
    return WireReason(
        task_id=task_id(state.execution_id, number),
        path=path,
        step_id=step.id,
        status=state.status_of(number).value,
        kind=kind,
        text=f"{lacking}; {text}" if kind == "function_not_found" else text,
        asks=asks,
        until=None if due_at is None else iso_instant(due_at),
        waits_for=[state.steps[base + one].id for one in step.dependencies if state.phase[base + one] < Phase.COMPLETED],
    )


def _kind(state: Execution, number: int) -> str:
    """The reason in one word. The order is that of ``kernel.story.why``."""
    task, phase = state.live.get(number), Phase(state.phase[number])
    if state.is_cancelling:
        return "cancelling"
    if phase is not Phase.RUNNING and (state.is_paused or state.is_held(number)):
        return "paused"
    match phase:
        case Phase.PENDING:
            return "dependencies"
        case Phase.READY:
            return "suspect" if number in state.suspects else "slot"
        case Phase.RUNNING:
            return "running"
        case Phase.RETRYING:
            return "retry"
        case Phase.EXPANDED:
            return "children"
        case _:
            return "approval" if is_asking(state, number) else _kind_of_wait(task or Task())


def _kind_of_wait(task: Task) -> str:
    if task.is_stuck:
        return "stuck"
    if task.child:
        return "execution"
    return "signal" if task.signal else "timer"


def _due_at(state: Execution, number: int) -> int | None:
    """When time alone moves the task: its next attempt, or the end of its wait. Nothing while it is paused."""
    if state.is_paused:
        return None
    due = [at for clock in (Clock.RETRY, Clock.WAIT) if (at := state.timers.due.get((number, clock))) is not None]
    return min(due) + state.paused_ms if due else None


def _next(state: Execution, reasons: list[WireReason], *, is_waited_for: bool, flag: str) -> list[str]:
    """Commands that move it, the first one first."""
    execution_id = state.execution_id
    go_on = f"task-engine run --resume {execution_id}{flag}"
    if state.is_finished:
        begins = advice(state)
        return [f"task-engine {begins}{flag}" + ("" if begins.is_fork else f" && {go_on}")] if begins else []
    commands = [f"task-engine instance resume {execution_id}{flag}"] if state.is_paused else []
    for reason in reasons:
        number = state.number_of(reason.path)
        task = state.live.get(number)
        if reason.kind == "signal" and task is not None:
            commands.append(f"task-engine instance signal {execution_id} {task.signal}{flag}")
        elif reason.kind == "execution" and task is not None:
            commands.append(f"task-engine instance explain {task.child}{flag}")
        elif reason.kind == "approval":
            commands += decision_commands(state, state.number_of(reason.path), flag=flag)
        elif reason.kind == "stuck":
            commands.append(f"task-engine task retry {reason.task_id}{flag}")
        elif reason.kind == "paused" and not state.is_paused:
            paused = quote(label_of(state, state.held_by(number)))
            commands.append(f"task-engine instance resume {execution_id} --task {paused}{flag}")
    # What only the program has that was started, no other process can go on with: its reason says what to do.
    is_of_a_program = any(reason.kind == "function_not_found" and "__main__" in reason.text for reason in reasons)
    return [*dict.fromkeys(commands), *([] if is_waited_for or is_of_a_program else [go_on])]
