"""What happened in an execution, for assertions that read as sentences. Reads only; told from events and the kernel's own fold.

Each method that claims something raises ``HistoryError`` when it is not so, with the execution's story; whatever only tells gives
plain data. A step that the workflow does not have is a ``NotFoundError``: a claim about it would hold for the wrong reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NoReturn, Self, TypeVar

import msgspec

from taskengine.adapters.lanes import InlineLane
from taskengine.app.engine import open_store
from taskengine.app.find import find_execution
from taskengine.app.tree import failed_itself, is_scope, label_of
from taskengine.define.phrase import numbered
from taskengine.errors import NotFoundError
from taskengine.kernel.advance import fold
from taskengine.kernel.compile import compile_plan
from taskengine.kernel.plan import Plan
from taskengine.kernel.state import Execution
from taskengine.kernel.story import Line, story
from taskengine.model import event as ev
from taskengine.model.codec import decode_event
from taskengine.model.status import Outcome, Phase, Status
from taskengine.model.value import TaskError, decode
from taskengine.model.workflow import Workflow
from taskengine.ports.store import Store
from taskengine.runtime.environment import Environment

__all__ = ["Count", "History", "HistoryError", "history_of", "read_history"]

T = TypeVar("T", bound=ev.Event)

_PAGE: Final = 5_000
_SHOWN: Final = 5  # tasks of one step that a message names
_TOLD: Final = 120  # lines of a story in a message; the first and the last ones
_BEGINNINGS: Final = (ev.TaskScheduled, ev.TaskStarted)
_ENDS: Final = (ev.TaskCompleted, ev.TaskFailed, ev.TaskCancelled, ev.TaskSkipped, ev.TaskQuarantined)


class HistoryError(AssertionError):
    """What was claimed of a history is not so."""


class Count(int):
    """A number that knows what it counted: a failed comparison shows it."""

    told: str

    def __new__(cls, number: int, told: str) -> Self:
        """Count something."""
        made = super().__new__(cls, number)
        made.told = told
        return made

    def __repr__(self) -> str:
        return f"{int(self)} ({self.told})"


class History:
    """The events of one execution, in order, and the state they fold to.

    A step inside of others is named by its path, ``each/[0]/load``, or by its id where only one task has it.

    >>> from taskengine import Step, Workflow
    >>> from taskengine.testing import virtual_engine
    >>> pause = Step(id="pause", type="wait", config={"duration": "30d"})
    >>> with virtual_engine() as engine:
    ...     history = engine.run(Workflow(name="patient", steps=(pause,))).history
    >>> history.completed("pause")
    >>> history.failed("pause")
    Traceback (most recent call last):
        ...
    taskengine.testing.history.HistoryError: pause should be failed, it is completed
    ...
    """

    def __init__(self, execution_id: str, *, workflow: Workflow, events: Sequence[ev.Event]) -> None:
        self.execution_id = execution_id
        self.workflow = workflow
        self.events = tuple(events)
        self.plan: Plan = compile_plan(workflow)
        self.state: Execution = fold(execution_id, self.plan, self.events)

    # ── claims ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def completed(self, *steps: str) -> None:
        """These steps have completed; without a step: the execution has."""
        self._must_be(Phase.COMPLETED, steps) if steps else self.ended(Status.COMPLETED)

    def failed(self, *steps: str, error: str = "") -> None:
        """These steps have failed for good, with an error of this type (its name, or a base's); without a step: the execution."""
        if not steps:
            self.ended(Status.FAILED)
            self._must_match(self.state.error, error, what="the execution")
        self._must_be(Phase.FAILED, steps)
        for step in steps:
            self._must_match(self.error(step), error, what=step)

    def skipped(self, *steps: str) -> None:
        """These steps were skipped."""
        self._must_be(Phase.SKIPPED, _some(steps))

    def cancelled(self, *steps: str) -> None:
        """These steps were cancelled; without a step: the execution was."""
        if not steps:
            self.ended(Status.CANCELLED)
        for step in steps:
            status = self.state.status_of(self._number(step))
            if status is not Status.CANCELLED:
                self._refuse(f"{step} should be cancelled, it is {status}")

    def ended(self, status: Status | str, *, outcome: Outcome | str | None = None) -> None:
        """The execution ended like this."""
        state = self.state
        if not state.is_finished or state.status != status:
            self._refuse(f"the execution should be {status}, it is {state.status}{_because(state.error)}")
        if outcome is not None and state.outcome != outcome:
            self._refuse(f"its outcome should be {outcome}, it is {state.outcome}")

    def ran(self, step: str, *, times: int | None = None) -> None:
        """A step was begun; exactly so many times, when that is given."""
        found = self.attempts(step)
        if (times is None and not found) or (times is not None and found != times):
            self._refuse(
                f"{step} should have run {'' if times is None else numbered(times, 'time')}".rstrip()
                + f", it ran {numbered(int(found), 'time')}"
            )

    def never_ran(self, *steps: str) -> None:
        """These steps were never begun."""
        for step in _some(steps):
            if self.attempts(step):
                self._refuse(f"{step} should never have run, it ran {numbered(int(self.attempts(step)), 'time')}")

    def order(self, *steps: str) -> None:
        """Each of these steps had ended (the first time) before the next one began."""
        if len(steps) < 2:  # noqa: PLR2004 -- one alone is always in order
            raise TypeError("an order is one of two steps or more")
        for earlier, later in pairwise(steps):
            ended, began = self._first(earlier, _ENDS), self._first(later, _BEGINNINGS)
            if ended is None:
                self._refuse(f"{earlier} should have ended before {later} began, it has not ended")
            if began is None:
                self._refuse(f"{later} should have begun after {earlier} ended, it never began")
            if began < ended:
                self._refuse(
                    f"{earlier} should have ended before {later} began, it ended with event {ended}, and {later} began with {began}"
                )

    # ── what there is to tell ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def status(self) -> Status:
        """The execution's status."""
        return self.state.status

    @property
    def output(self) -> Any:
        """The execution's output; ``None`` when it has none."""
        return decode(self.state.output) if self.state.output else None

    @property
    def steps(self) -> list[str]:
        """The steps that were begun, in that order, each once."""
        began = [event.task for event in self.events if isinstance(event, _BEGINNINGS)]
        return [label_of(self.state, number) for number in dict.fromkeys(began)]

    def attempts(self, step: str) -> Count:
        """How many attempts at a step began."""
        told = "; ".join(line.text for line in self._lines(step)) or "nothing happened there"
        return Count(len(self.of(step, *_BEGINNINGS)), f"{step}: {told}")

    def output_of(self, step: str) -> Any:
        """The output of a step that has completed, else a ``HistoryError``."""
        self._must_be(Phase.COMPLETED, (step,))
        output = self.of(step, ev.TaskCompleted)[-1].output
        return decode(output) if output else None

    def input_of(self, step: str) -> Any:
        """The rendered parameters that a step began with; ``{}`` when it was given none."""
        number = self._number(step)
        given = [event.input for event in self.of(step, ev.TaskScheduled) if event.input]
        return decode(given[-1] if given else self.state.steps[number].constant_input or b"{}")

    def error(self, step: str) -> TaskError | None:
        """How the last attempt at a step failed."""
        live = self.state.live.get(self._number(step))
        return None if live is None else live.error

    def took(self, step: str = "") -> timedelta:
        """From the first beginning of a step to its last end; of the execution when no step is named. Zero for what never began."""
        found = [event.at for event in (self.of(step, *_BEGINNINGS, *_ENDS) if step else self.events)]
        return timedelta(milliseconds=found[-1] - found[0]) if found else timedelta()

    def of(self, step: str, *kinds: type[T]) -> list[T]:
        """The events of these kinds at a step."""
        number = self._number(step)
        return [event for event in self.events if isinstance(event, kinds) and getattr(event, "task", 0) == number]

    def story(self, *steps: str) -> str:
        """What happened, a line an event: at these steps, or everywhere."""
        return "\n".join(self._told(steps))

    def record(self, path: str | Path) -> Path:
        """Write it to a file for ``replay``. See ``taskengine.testing.recording``."""
        from taskengine.testing.recording import record

        return record(self, path)

    def __repr__(self) -> str:
        return f"History({self.execution_id} of {self.workflow.name}: {self.status}, {numbered(len(self.events), 'event')})"

    # ── how it is found ──────────────────────────────────────────────────────────────────────────────────────────────

    def _number(self, step: str) -> int:
        state = self.state
        number = self.plan.by_id.get(step)
        if number is None:
            number = state.find(f"/{step.strip('/')}/")
        if number is not None:
            return number
        found = [one for one in range(1, len(state.steps)) if state.steps[one].id == step and not is_scope(state, one)]
        if len(found) == 1:
            return found[0]
        from taskengine.testing.virtual.steps import nearest

        if found:
            paths = ", ".join(label_of(state, one) for one in found[:_SHOWN])
            message = f'{len(found)} tasks of {self.execution_id} are of the step "{step}"'
            raise NotFoundError("unknown_step", message, hint=f"name one of them by its path: {paths}")
        message = f'workflow {self.workflow.name} has no step "{step}", or none was opened at that path'
        known = {label_of(state, one) for one in range(1, len(state.steps))}
        raise NotFoundError("unknown_step", message if "/" in step else message.partition(",")[0], hint=nearest(step, known))

    def _first(self, step: str, kinds: tuple[type, ...]) -> int | None:
        number = self._number(step)
        found = (
            seq for seq, event in enumerate(self.events, 1) if isinstance(event, kinds) and getattr(event, "task", 0) == number
        )
        return next(found, None)

    def _must_be(self, phase: Phase, steps: Sequence[str]) -> None:
        for step in steps:
            number = self._number(step)
            if self.state.phase[number] != phase:
                error = _because(self.error(step))
                self._refuse(f"{step} should be {phase.name.lower()}, it is {self.state.status_of(number)}{error}")

    def _must_match(self, found: TaskError | None, error: str, *, what: str) -> None:
        if error and (found is None or not found.matches((error,))):
            self._refuse(f"{what} should have failed with {error}, it failed with {'nothing' if found is None else found.type}")

    def _refuse(self, what: str) -> NoReturn:
        raise HistoryError(f"{what}\n\nWhat happened in {self.execution_id} of {self.workflow.name}:\n{self.story()}")

    def _lines(self, step: str) -> list[Line]:
        return story(self.state, self.events, self.state.path_of(self._number(step)))

    def _told(self, steps: Sequence[str]) -> Iterator[str]:
        state = self.state
        own = [one for one in range(len(state.steps)) if not is_scope(state, one) or failed_itself(state, one)]
        wanted = [self._number(step) for step in steps] or own
        lines = [(line, label_of(state, one)) for one in wanted for line in story(state, self.events, state.path_of(one))]
        lines.sort(key=lambda pair: pair[0].seq)
        began_at = self.events[0].at if self.events else 0
        spans = [_span(timedelta(milliseconds=line.at - began_at)) for line, _ in lines]
        width = max((len(name) for _, name in lines), default=0)
        span_width = max(map(len, spans), default=0)
        for index, (line, name) in enumerate(lines):
            if index == _TOLD // 2 and len(lines) > _TOLD:
                yield f"  … {len(lines) - _TOLD} lines more …"
            if index < _TOLD // 2 or index >= len(lines) - _TOLD // 2:
                yield f"{line.seq:>4}  +{spans[index]:<{span_width}}  {name:<{width}}  {line.text}".rstrip()


async def read_history(store: Store, execution_id: str) -> History:
    """The history of an execution in a store. ``NotFoundError``."""
    found = await store.load((execution_id,))
    if not found:
        raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
    summary = found[0].summary
    stored = await store.workflow(summary.workflow_id, summary.workflow_version)
    assert stored is not None, "an execution's workflow is kept"
    workflow = msgspec.structs.replace(msgspec.json.decode(stored.document, type=Workflow), version=stored.version)
    bodies: list[bytes] = []
    while page := await store.events(execution_id, after=len(bodies), limit=_PAGE):
        bodies.extend(one.body for one in page)
    return History(execution_id, workflow=workflow, events=[decode_event(body) for body in bodies])


def history_of(database: str | Path, execution: str = "@latest") -> History:
    """The history of an execution in a database file, to look at or to record; nothing there is run or changed.

    ``execution``: an id, four or more characters of one, ``@latest`` or ``@failed``. ``NotFoundError``: no such file or execution.
    """
    if not Path(database).is_file():
        raise NotFoundError("file_not_found", f"there is no database {database}")
    with ThreadPoolExecutor(1) as thread:  # the caller may have a running loop
        return thread.submit(asyncio.run, _history_of(database, execution)).result()


async def _history_of(database: str | Path, execution: str) -> History:
    store = open_store(database, Environment(InlineLane))
    await store.open()
    try:
        return await read_history(store, (await find_execution(store, execution)).execution_id)
    finally:
        await store.close()


def _some(steps: tuple[str, ...]) -> tuple[str, ...]:
    if not steps:
        raise TypeError("name at least one step")
    return steps


def _because(error: TaskError | None) -> str:
    return f": {error.type} {error.message}".rstrip() if error is not None else ""


def _span(passed: timedelta) -> str:
    seconds = passed.total_seconds()
    if seconds < 120:  # noqa: PLR2004 -- minutes read better from there on
        return f"{seconds:g} s"
    clock, _, fraction = str(passed - timedelta(days=passed.days)).partition(".")
    return " ".join([f"{passed.days}d"] * bool(passed.days) + [f"{clock}{'.' * bool(fraction)}{fraction[:3]}"])
